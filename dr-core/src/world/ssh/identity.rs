//! Private keys in files, as those by which we log in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::secret_key::SecretKey;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{Bearer, Certificate};
use crate::secret::Secret;
use crate::world::Clock as _;
use crate::world::clock::SystemClock;

/// A private key that can log in, and where it was found.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) key: Arc<SecretKey>,
}

impl Identity {
    /// Reads a private key file, and opens it if it is encrypted. On a thread of its own: opening takes half a second of work.
    pub(super) async fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self> {
        let (path, passphrase) = (path.to_owned(), passphrase.cloned());
        let loaded = tokio::task::spawn_blocking(move || {
            let key = Arc::new(SecretKey::load(&path, passphrase.as_ref())?);
            Ok(Self { path, key })
        });
        loaded.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "read a private key", "the thread that read it died")
                .caused_by(error)
        })?
    }

    /// The certificate in `PATH-cert.pub`, if it is for this key and for now, and whether it names this account. Where it does not, a host may
    /// take it all the same (`AuthorizedPrincipalsFile`), but most would refuse it, and count that.
    pub(super) fn certificate(&self, remote: &Remote) -> Option<(russh::keys::Certificate, bool)> {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push("-cert.pub");
        let text = std::fs::read_to_string(PathBuf::from(beside)).ok()?;
        let certificate: Certificate = text.parse().ok()?;
        let named = certificate.names().iter().any(|name| name == remote.user.as_str());
        let in_time = certificate.is_in_time(SystemClock::new().read().wall).is_ok();
        let ours = certificate.bearer() == Bearer::User && certificate.key() == self.key.public();
        let certificate = russh::keys::Certificate::from_bytes(certificate.blob()).ok()?;
        (in_time && ours).then_some((certificate, named))
    }
}
