//! Where trees live: on this machine, or on a host by SFTP.

mod local;
mod sftp;
pub(super) mod singly;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

pub use local::LocalEndpoint;
pub use sftp::SftpEndpoint;

use super::ssh::Connector;
use super::{Control, Endpoint, Endpoints};
use crate::error::{Error, Result};
use crate::estate::Location;

/// SFTP channels a tree: on the host, each is a process that works for itself. sshd allows ten a connection (MaxSessions).
const CHANNELS: usize = 4;
/// So much content goes into one batch of pieces.
pub const BATCH_BYTES: usize = 256 * 1024;

/// The endpoints of the real world: directories of this machine, and trees on hosts by SFTP.
///
/// ```
/// use dr_core::world::endpoints::SystemEndpoints;
/// use dr_core::world::ssh::{Access, Connector};
/// let endpoints = SystemEndpoints::new(Connector::new(Access::default()));
/// ```
#[derive(Debug)]
pub struct SystemEndpoints {
    connector: Arc<Connector>,
}

impl SystemEndpoints {
    /// Endpoints that reach hosts over this connector.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }
}

#[async_trait]
impl Endpoints for SystemEndpoints {
    async fn open(&self, location: &Location, control: &Control) -> Result<Box<dyn Endpoint>> {
        let work = async {
            let opened: Box<dyn Endpoint> = match location {
                Location::Local { path } => Box::new(LocalEndpoint::open(path).await?),
                Location::Remote { remote, .. } => {
                    let session = self.connector.session(remote).await?;
                    let mut streams = vec![session.sftp_stream().await?];
                    let more = (1..CHANNELS).map(|_| session.sftp_stream());
                    // One is enough; a server may grant no more.
                    streams.extend(futures_util::future::join_all(more).await.into_iter().flatten());
                    Box::new(SftpEndpoint::on_host(streams, location).await?)
                }
            };
            Ok(opened)
        };
        control.run(&format!("open {location}"), work).await
    }
}

/// What went wrong while content was read: the error of whoever supplied it, if it is one of ours.
pub(super) fn from_content(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::io("read the content of a file", error))
}
