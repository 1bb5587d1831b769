//! The steps that bring a key to a host and prove it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::estate::Remote;
use crate::time::Period;

/// The step: bring an account's authorized_keys file from one content to another, atomically, with the right modes.
///
/// The whole content stands here, so that the step can be shown, compared and taken back; it holds public keys only.
///
/// ```
/// use dr_core::keys::{AuthorizedKeysChange, Content};
/// let change = AuthorizedKeysChange {
///     remote: "root@us.example.net".parse().unwrap(),
///     path: ".ssh/authorized_keys".into(),
///     from: None,
///     to: Some(Content::new(b"restrict ssh-ed25519 AAAA me\n")),
/// };
/// assert!(change.to.unwrap().bytes().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizedKeysChange {
    /// The account.
    pub remote: Remote,
    /// The file; relative to the account's home directory without a leading slash.
    pub path: String,
    /// What it must hold; none if it does not exist.
    pub from: Option<Content>,
    /// What it will hold; none to remove it.
    pub to: Option<Content>,
}

/// The content of a small file, with its digest for the eye.
///
/// ```
/// use dr_core::keys::Content;
/// let mut content = Content::new(b"a line\n");
/// assert_eq!(content.bytes().unwrap(), b"a line\n");
/// content.base64 = "AAAA".into();
/// assert_eq!(content.bytes(), None, "what was tampered with is nothing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// The bytes in base64: foreign lines need not be text.
    pub base64: String,
}

impl Content {
    /// The content with these bytes.
    ///
    /// ```
    /// let content = dr_core::keys::Content::new(b"ssh-ed25519 AAAA me\n");
    /// assert_eq!(content.bytes().unwrap(), b"ssh-ed25519 AAAA me\n");
    /// ```
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), base64: data_encoding::BASE64.encode(bytes) }
    }

    /// The bytes; none if the value was tampered with.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = data_encoding::BASE64.decode(self.base64.as_bytes()).ok()?;
        (Digest::of(&bytes) == self.digest).then_some(bytes)
    }
}

/// The step: a fresh connection logs in with this key and nothing else.
///
/// ```
/// use dr_core::Period;
/// use dr_core::keys::Proof;
/// let proof = Proof {
///     remote: "root@us.example.net".parse().unwrap(),
///     public_key: "ssh-ed25519 AAAA me".into(),
///     within: Period::from_secs(10),
/// };
/// assert_eq!(proof.remote.port, 22);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The account.
    pub remote: Remote,
    /// The public key, as it stands in a .pub file; the private half is found by it.
    pub public_key: String,
    /// How long to wait for it.
    pub within: Period,
}
