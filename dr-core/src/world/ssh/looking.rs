//! The host keys that a host has: each proved by a key exchange of its own, and none believed; or, after a login to a host that is
//! known, all that it announces and proves to hold.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{Config, Handler};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Preferred};

use super::access::Access;
use super::attempt::log_in;
use super::fault;
use super::login::{CIPHERS, Connection, dial};
use super::trust::{CHECKABLE, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::PublicKey;
use crate::world::HostKeyShown;

/// Remembers the key; whoever shows another one than it proves to hold never gets as far as a connection.
struct Looker {
    shown: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Handler for Looker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.public_key().to_bytes()?);
        Ok(true)
    }
}

/// Every key of a kind that this build can check, with what is known of it.
pub(super) async fn host_keys(access: &Access, remote: &Remote) -> Result<Vec<HostKeyShown>> {
    let trust = Trust::gather(access, remote).await?;
    let mut found = vec![];
    let mut others = String::new();
    for (_, algorithm) in CHECKABLE {
        match look(access, remote, algorithm).await? {
            Ok(key) => {
                let (verdict, pinned) = trust.standing(&key);
                found.push(HostKeyShown { key, verdict, pinned });
            }
            Err(theirs) => others = theirs.join(", "),
        }
    }
    if found.is_empty() {
        let why = format!("it has no host key of a kind that this build can check; it offers {others}");
        return Err(Error::new(ErrorKind::Unsupported, format!("look at the host keys of {remote}"), why)
            .hint("make an ed25519 host key on it: ssh-keygen -A, then reload sshd"));
    }
    Ok(found)
}

/// The keys that a host which is known already announces after a login and proves to hold, with what is known of them.
pub(super) async fn announced(access: &Access, remote: &Remote) -> Result<Vec<HostKeyShown>> {
    let mut connection = Connection::open(access, remote).await?;
    log_in(access, &mut connection).await?;
    let keys = connection.proven_host_keys().await;
    connection.close().await;
    let trust = Trust::gather(access, remote).await?;
    let shown = |key| {
        let (verdict, pinned) = trust.standing(&key);
        HostKeyShown { key, verdict, pinned }
    };
    Ok(keys?.into_iter().map(shown).collect())
}

/// The key of one kind; or else the kinds that the host has.
async fn look(
    access: &Access,
    remote: &Remote,
    kind: &Algorithm,
) -> Result<std::result::Result<PublicKey, Vec<String>>> {
    let operation = || format!("look at the host keys of {remote}");
    let config = Config {
        preferred: Preferred {
            key: Cow::Owned(vec![kind.clone()]),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    };
    let stream = dial(remote, access.connect_timeout).await?;
    let shown = Arc::new(Mutex::new(None));
    match russh::client::connect_stream(Arc::new(config), stream, Looker { shown: Arc::clone(&shown) }).await
    {
        Ok(handle) => {
            let _ = handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
            let blob = shown.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            PublicKey::from_blob(&blob).map(Ok).ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, operation(), "it shows something that is no key")
            })
        }
        Err(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. }) => Ok(Err(theirs)),
        Err(error) => Err(fault::ssh(operation(), error)),
    }
}
