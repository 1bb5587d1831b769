//! Where trees live: on this machine, or on a host by dr's agent there or by SFTP.

pub(crate) mod agent;
mod local;
pub(super) mod passing;
mod sftp;
pub(super) mod singly;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

pub use agent::{AgentEndpoint, Agents};
pub use local::LocalEndpoint;
pub use passing::Onlooker;
pub use sftp::SftpEndpoint;

use super::ssh::Connector;
use super::{Control, Endpoint, Endpoints};
use crate::error::{Error, Result};
use crate::estate::{Location, Remote};

/// SFTP channels a tree: on the host, each is a process that works for itself. sshd allows ten a connection (MaxSessions).
const CHANNELS: usize = 4;
/// So much content goes into one batch of pieces.
pub const BATCH_BYTES: usize = 256 * 1024;

/// The endpoints of the real world: directories of this machine, and trees on hosts, by an agent or else by SFTP.
///
/// ```
/// use dr_core::world::endpoints::SystemEndpoints;
/// use dr_core::world::ssh::{Access, Connector};
/// let endpoints = SystemEndpoints::new(Connector::new(Access::default()));
/// ```
pub struct SystemEndpoints {
    connector: Arc<Connector>,
    finder: agent::Finder,
    state: Option<PathBuf>,
}

impl SystemEndpoints {
    /// Endpoints that reach hosts over this connector, by the agents that are there.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self::with(connector, Agents::default())
    }

    /// As [`Self::new`], and by which agents.
    #[must_use]
    pub fn with(connector: Arc<Connector>, agents: Agents) -> Self {
        Self { connector, finder: agent::Finder::new(agents), state: None }
    }

    /// The same, with a directory for what the trees of this machine remember between runs (see [`LocalEndpoint::with_state`]).
    #[must_use]
    pub fn with_state(self, directory: PathBuf) -> Self {
        Self { state: Some(directory), ..self }
    }

    async fn open_here(&self, path: &Path) -> Result<LocalEndpoint> {
        let tree = LocalEndpoint::open(path).await?;
        Ok(match &self.state {
            Some(directory) => tree.with_state(directory),
            None => tree,
        })
    }

    async fn open_on_host(
        &self,
        location: &Location,
        remote: &Remote,
        path: &str,
        control: &Control,
    ) -> Result<Box<dyn Endpoint>> {
        let (session, ()) = tokio::join!(self.connector.session(remote), self.finder.prepare());
        let session = session?;
        let why = match self.finder.open((&self.connector, &session), remote, path, control).await? {
            agent::Found::Agent(tree) => return Ok(tree),
            agent::Found::None(why) => why,
        };
        let asked = (0..CHANNELS).map(|_| session.sftp_stream());
        let mut granted = futures_util::future::join_all(asked).await;
        // One is enough; a server may grant no more.
        granted.sort_by_key(std::result::Result::is_err);
        let mut granted = granted.into_iter();
        let mut streams: Vec<_> = granted.next().into_iter().collect::<Result<_>>()?;
        streams.extend(granted.flatten());
        Ok(Box::new(SftpEndpoint::on_host(streams, location, why).await?))
    }
}

impl std::fmt::Debug for SystemEndpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemEndpoints").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl Endpoints for SystemEndpoints {
    async fn open(&self, location: &Location, control: &Control) -> Result<Box<dyn Endpoint>> {
        let work = async {
            let opened: Box<dyn Endpoint> = match location {
                Location::Local { path } => Box::new(self.open_here(path).await?),
                Location::Remote { remote, path } => {
                    self.open_on_host(location, remote, path, control).await?
                }
            };
            Ok(opened)
        };
        control.run(&format!("open {location}"), work).await
    }
}

/// What went wrong while content was read: the error of whoever supplied it, if it is one of ours.
pub(in crate::world) fn from_content(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::io("read the content of a file", error))
}
