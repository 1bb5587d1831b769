//! The host keys that a host has: each proved by a key exchange of its own, and none believed; or, after a login to a host that is
//! known, all that it announces and proves to hold.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use russh::client::{Config, Handler, Session};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Names, Preferred};

use super::access::Access;
use super::attempt::log_in;
use super::fault;
use super::login::{CIPHERS, Connection, dial};
use super::trust::{CHECKABLE, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{PublicKey, Software, Stranger};
use crate::world::HostKeyShown;

/// Remembers the key, and who shows it; whoever shows another one than it proves to hold never gets as far as a connection.
#[derive(Clone, Default)]
struct Looker {
    shown: Arc<OnceLock<Vec<u8>>>,
    software: Arc<OnceLock<Software>>,
}

impl Handler for Looker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let _ = self.shown.set(shown.public_key().to_bytes()?);
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        _: &Names,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let _ = self.software.set(Software::parse(&String::from_utf8_lossy(session.remote_sshid())));
        Ok(())
    }
}

/// Every key of a kind that this build can check, with what is known of it. There are as many connections as keys, and sshd has forgotten
/// each of them before the next: whoever looks again and again is never taken for an attacker.
pub(super) async fn host_keys(access: &Access, remote: &Remote) -> Result<Vec<HostKeyShown>> {
    let trust = Trust::gather(access, remote).await?;
    let mut found = vec![];
    let mut others = String::new();
    let mut kinds = CHECKABLE;
    while !kinds.is_empty() {
        match look(access, remote, kinds).await? {
            Ok((key, software)) => {
                kinds = left(kinds, key.algorithm());
                let (verdict, pinned) = trust.standing(&key);
                found.push(HostKeyShown { key, verdict, pinned });
                tokio::time::sleep(software.held_against(Stranger::Silent)).await;
            }
            Err(theirs) => {
                others = theirs.join(", ");
                break;
            }
        }
    }
    if found.is_empty() {
        let why = format!("it has no host key of a kind that this build can check; it offers {others}");
        return Err(Error::new(ErrorKind::Unsupported, format!("look at the host keys of {remote}"), why)
            .hint("make an ed25519 host key on it: ssh-keygen -A, then reload sshd"));
    }
    found.reverse();
    Ok(found)
}

/// The kinds of which the host may have a key still. They are asked for from the last to the first, and a host takes the first that it has
/// (RFC 4253 section 7.1): it has none of those behind the one that it took.
fn left<'a>(kinds: &'a [(&'static str, Algorithm)], taken: &str) -> &'a [(&'static str, Algorithm)] {
    let place = kinds.iter().position(|(name, _)| *name == taken);
    &kinds[..place.unwrap_or_default()]
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

/// The key of the last of these kinds of which the host has one, and the server's program; or else the kinds that the host has.
async fn look(
    access: &Access,
    remote: &Remote,
    kinds: &[(&str, Algorithm)],
) -> Result<std::result::Result<(PublicKey, Software), Vec<String>>> {
    let operation = || format!("look at the host keys of {remote}");
    let config = Config {
        preferred: Preferred {
            key: kinds.iter().rev().map(|row| row.1.clone()).collect(),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    };
    let stream = dial(remote, access.connect_timeout).await?;
    let looker = Looker::default();
    match russh::client::connect_stream(Arc::new(config), stream, looker.clone()).await {
        Ok(handle) => {
            let _ = handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
            let key = looker.shown.get().and_then(|blob| PublicKey::from_blob(blob));
            let software = looker.software.get().cloned().unwrap_or_default();
            key.map(|key| Ok((key, software))).ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, operation(), "it shows something that is no key")
            })
        }
        Err(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. }) => Ok(Err(theirs)),
        Err(error) => Err(fault::ssh(operation(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many connections as the host has keys, whatever it has.
    #[test]
    fn a_host_is_asked_once_for_each_key() {
        let check = |host: &[&str], connections: usize| {
            let (mut kinds, mut found, mut asked) = (CHECKABLE, vec![], 0);
            while !kinds.is_empty() {
                asked += 1;
                let Some((taken, _)) = kinds.iter().rev().find(|(name, _)| host.contains(name)) else {
                    break;
                };
                found.push(*taken);
                kinds = left(kinds, taken);
            }
            assert_eq!(asked, connections, "{host:?}");
            assert_eq!(found.len(), host.len(), "{host:?}");
        };
        let [ed25519, p256, p384, p521] = CHECKABLE else { panic!("four kinds") };
        check(&[ed25519.0], 1);
        check(&[ed25519.0, p256.0], 2);
        check(&[ed25519.0, p256.0, p384.0, p521.0], 4);
        // Only where the best is not there is it asked for in vain.
        check(&[p256.0], 2);
        check(&[], 1);
        assert!(left(CHECKABLE, "of a kind that nobody asked for").is_empty());
    }
}
