//! Signatures by the keys of SSH, for what is not SSH.

use russh::keys::signature::Verifier as _;
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::public::KeyData;

use super::SecretKey;
use crate::error::Result;
use crate::keys::PublicKey;

/// A signature by a private key, as SSH writes signatures (RFC 4253 section 6.6): the algorithm's name, then the bytes.
///
/// Nothing is put before the message: it must begin with words that nothing else begins with.
///
/// ```
/// use dr_core::world::ssh::{SecretKey, sign, verify};
/// let key = SecretKey::generate("agent@uk").unwrap();
/// let signature = sign(&key, b"an example: this").unwrap();
/// assert!(verify(key.public(), b"an example: this", &signature));
/// assert!(!verify(key.public(), b"an example: that", &signature));
/// ```
pub fn sign(key: &SecretKey, message: &[u8]) -> Result<Vec<u8>> {
    key.sign(message)
}

/// Whether a signature was made by the private half of this key. What is no signature was not.
///
/// ```
/// use dr_core::world::ssh::{SecretKey, verify};
/// assert!(!verify(SecretKey::generate("agent@uk").unwrap().public(), b"an example", b"no signature"));
/// ```
#[must_use]
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let (mut key, mut signature) = (key.blob(), signature);
    let (key, signature) = (KeyData::decode(&mut key), Signature::decode(&mut signature));
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
}
