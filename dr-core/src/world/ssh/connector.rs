//! One connection for each account, opened when it is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::access::Access;
use super::attempt::log_in;
use super::login::Connection;
use super::session::Session;
use crate::error::{Error, ErrorKind, ErrorRecord, Result};
use crate::estate::Remote;

/// Opens connections, and keeps one for each account.
///
/// ```no_run
/// # async fn example() -> dr_core::Result<()> {
/// use dr_core::world::ssh::{Access, Connector};
/// let access = Access {
///     identities: vec!["/root/.ssh/id_ed25519".into()],
///     known_hosts: vec!["/root/.ssh/known_hosts".into()],
///     ..Access::default()
/// };
/// let connector = Connector::new(access);
/// let session = connector.session(&"root@us.example.net".parse().unwrap()).await?;
/// println!("at home in {}", session.home().await?);
/// connector.close().await;
/// # Ok(()) }
/// ```
pub struct Connector {
    access: Access,
    slots: Mutex<BTreeMap<Remote, Arc<Slot>>>,
    /// Accounts whose host has said that it has no SFTP.
    without_sftp: Mutex<BTreeSet<Remote>>,
}

/// The place of one account's session. Its lock is held while connecting, so that several tasks share one login, or one failure.
type Slot = tokio::sync::Mutex<Held>;

#[derive(Default)]
struct Held {
    session: Option<Arc<Session>>,
    /// When the last attempt failed, and why.
    failed: Option<(Instant, ErrorRecord)>,
}

impl Connector {
    /// Reaches hosts with this access. Nothing is read or opened yet.
    #[must_use]
    pub fn new(access: Access) -> Arc<Self> {
        Arc::new(Self { access, slots: Mutex::default(), without_sftp: Mutex::default() })
    }

    /// What hosts are reached with.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The session with this account: the one that is open, or a new one if there is none or its connection is dead.
    ///
    /// # Errors
    /// `Unreachable` if there is no connection or it was lost, `HostKey` if the host is not known to be the right one,
    /// `Authentication` if it refused everything we have; about the key files: `PermissionDenied`, `NotFound`, `Usage`,
    /// `Corrupt` or `Unsupported`.
    pub async fn session(&self, remote: &Remote) -> Result<Arc<Session>> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(remote.clone()).or_default())
        };
        let asked = Instant::now();
        let mut held = slot.lock().await;
        if let Some(session) = held.session.as_ref().filter(|session| session.is_alive() && session.take()) {
            return Ok(Arc::clone(session));
        }
        if let Some((_, error)) = held.failed.as_ref().filter(|(ended, _)| *ended >= asked) {
            // Another task tried while we waited. To try again at once would only wait as long, or look like an attack.
            return Err(error.clone().into());
        }
        match self.open(remote).await {
            Ok(session) => {
                let session = Arc::new(session);
                session.take();
                *held = Held { session: Some(Arc::clone(&session)), failed: None };
                Ok(session)
            }
            Err(error) => {
                *held = Held { session: None, failed: Some((Instant::now(), error.to_record())) };
                Err(error)
            }
        }
    }

    /// One more session with this account, for its caller alone. It ends when the value is dropped.
    ///
    /// # Errors
    /// As for [`Connector::session`].
    pub(crate) async fn another(&self, remote: &Remote) -> Result<Session> {
        self.open(remote).await
    }

    /// Says goodbye to every host. Sessions opened afterwards are new ones.
    pub async fn close(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in slots.into_values() {
            if let Some(session) = slot.lock().await.session.take() {
                session.close().await;
            }
        }
    }

    pub(super) fn is_without_sftp(&self, remote: &Remote) -> bool {
        self.without_sftp.lock().unwrap_or_else(PoisonError::into_inner).contains(remote)
    }

    pub(super) fn remember_no_sftp(&self, remote: &Remote) {
        self.without_sftp.lock().unwrap_or_else(PoisonError::into_inner).insert(remote.clone());
    }

    async fn open(&self, remote: &Remote) -> Result<Session> {
        self.limited(remote, async {
            let mut connection = Connection::open(&self.access, remote).await?;
            log_in(&self.access, &mut connection).await?;
            Ok(Session::new(connection, remote.clone()))
        })
        .await
    }

    /// Goes as far as the host's proof that it has a key which is trusted, and no further.
    pub(in crate::world) async fn greet(&self, remote: &Remote) -> Result<()> {
        let greet = async {
            Connection::open(&self.access, remote).await?.close().await;
            Ok(())
        };
        self.limited(remote, greet).await
    }

    /// A host that accepts the connection and then says nothing must not hold us up.
    pub(super) async fn limited<T>(
        &self,
        remote: &Remote,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = self.access.connect_timeout + self.access.login_timeout;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let why = format!("the host did not finish within {} s", limit.as_secs_f32());
            Err(Error::new(ErrorKind::Unreachable, format!("log in to {remote}"), why)
                .hint("look at the load of the host, and at the line"))
        })
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("access", &self.access).finish_non_exhaustive()
    }
}
