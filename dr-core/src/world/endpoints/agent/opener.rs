//! More channels to the host of an agent, on the connection there is and on more of them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::estate::Remote;
use crate::world::agent::line::{Incoming, Outgoing};
use crate::world::ssh::{Connector, Session};

/// Both ways of a line on which nothing was said yet.
pub(super) type Way = (Incoming, Outgoing);

/// Opens lines to one host, and starts an agent on each, or has it join the one that is there.
pub(super) struct Opener {
    connector: Arc<Connector>,
    remote: Remote,
    command: String,
    /// Everybody's.
    session: Arc<Session>,
    /// The lines' own: they end with them.
    more: Mutex<Vec<Arc<Session>>>,
}

impl Opener {
    pub(super) fn new(
        connector: Arc<Connector>,
        session: Arc<Session>,
        remote: Remote,
        command: String,
    ) -> Self {
        Self { connector, remote, command, session, more: Mutex::default() }
    }

    /// One more line on the connection that everybody uses.
    pub(super) async fn line(&self) -> Result<Way> {
        self.line_on(&self.session).await
    }

    /// Logs in once more.
    pub(super) async fn connection(&self) -> Result<Arc<Session>> {
        let session = Arc::new(self.connector.another(&self.remote).await?);
        self.more.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&session));
        Ok(session)
    }

    pub(super) async fn line_on(&self, session: &Session) -> Result<Way> {
        let (input, output) = session.start(&self.command).await?;
        Ok((Incoming::Channel(input), Outgoing::Channel(output)))
    }
}
