//! A certificate authority: a private key that signs certificates, from a file or in an ssh-agent.

use std::path::Path;

use super::agent::SshAgent;
use super::identity::Identity;
use super::secret_key::fill;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Certificate, PublicKey, Terms};
use crate::secret::Secret;

/// A key file that signs certificates. Debug shows its fingerprint only.
///
/// ```
/// use dr_core::keys::{Bearer, Terms};
/// use dr_core::world::ssh::{Authority, SecretKey};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("ca");
/// SecretKey::generate("authority").unwrap().save_new(&path, None).unwrap();
/// let authority = Authority::load(&path, None).await.unwrap();
/// let terms = Terms {
///     bearer: Bearer::Host,
///     key: SecretKey::generate("host").unwrap().public().clone(),
///     id: "uk".into(),
///     serial: 1,
///     names: vec!["uk.example.net".into()],
///     at: "2026-11-22T00:00:00Z".parse().unwrap(),
///     good_for: std::time::Duration::from_secs(30 * 24 * 3600),
///     from: vec![],
///     command: None,
///     permits: vec![],
/// };
/// let certificate = authority.certify(&terms).unwrap();
/// assert_eq!(certificate.authority(), authority.public());
/// # });
/// ```
#[derive(Debug)]
pub struct Authority {
    identity: Identity,
}

impl Authority {
    /// Reads the authority's private key.
    ///
    /// # Errors
    /// What is wrong with the file: it is missing, others can read it, it is no private key, or the passphrase does not open it.
    pub async fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self> {
        Ok(Self { identity: Identity::load(path, passphrase).await? })
    }

    /// Its public half: what hosts and known_hosts files trust.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        self.identity.key.public()
    }

    /// Signs a certificate.
    ///
    /// # Errors
    /// `Refused` if the terms give away too much, `Internal` if the kernel gives no randomness or the key does not sign.
    pub fn certify(&self, terms: &Terms) -> Result<Certificate> {
        let bytes = unsigned(terms, self.public())?;
        let signature = self.identity.key.sign(&bytes)?;
        signed(bytes, &signature)
    }
}

impl SshAgent {
    /// Signs a certificate with a key that the agent holds: its private half leaves the agent no more than for a login.
    ///
    /// # Errors
    /// As [`Authority::certify`], and as [`SshAgent::sign`].
    pub async fn certify(&mut self, authority: &PublicKey, terms: &Terms) -> Result<Certificate> {
        let bytes = unsigned(terms, authority)?;
        let signature = self.sign(authority, &bytes).await?;
        signed(bytes, &signature)
    }
}

const OPERATION: &str = "sign a certificate";

fn unsigned(terms: &Terms, authority: &PublicKey) -> Result<Vec<u8>> {
    let mut nonce = [0; 32];
    fill(&mut nonce)?;
    terms
        .to_sign(authority, &nonce)
        .map_err(|why| Error::new(ErrorKind::Refused, OPERATION, why).hint("nothing was signed"))
}

fn signed(bytes: Vec<u8>, signature: &[u8]) -> Result<Certificate> {
    Certificate::signed(bytes, signature)
        .ok_or_else(|| Error::new(ErrorKind::Internal, OPERATION, "the key does not sign"))
}
