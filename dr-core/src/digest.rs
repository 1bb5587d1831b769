//! BLAKE3 digests as values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// A BLAKE3 digest, written as 64 hexadecimal digits.
///
/// ```
/// use dr_core::Digest;
/// let digest = Digest::of(b"page");
/// assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a value, by its canonical JSON.
    #[must_use]
    pub fn of_value(value: &impl Serialize) -> Self {
        // Struct fields keep their order and maps are ordered, so the same value always gives the same bytes. A value of
        // ours always serialises; one that did not would get the digest of nothing, which matches no other value. A plan may
        // have a million changes: its text is never whole in memory.
        let mut text = std::io::BufWriter::with_capacity(64 << 10, blake3::Hasher::new());
        let hashed = serde_json::to_writer(&mut text, value).ok().and_then(|()| text.into_inner().ok());
        hashed.map_or_else(|| Self::of(b""), |hasher| Self(*hasher.finalize().as_bytes()))
    }

    /// The digest of these bytes under a secret (BLAKE3's keyed mode): who does not know the secret cannot make it. `purpose` keeps
    /// digests of different uses of one secret apart.
    ///
    /// ```
    /// use dr_core::Digest;
    /// let sealed = Digest::keyed(b"moss-piano-41", "dr example", b"page");
    /// assert_ne!(sealed, Digest::keyed(b"moss-piano-41", "dr another example", b"page"));
    /// ```
    #[must_use]
    pub fn keyed(secret: &[u8], purpose: &str, bytes: &[u8]) -> Self {
        let key = blake3::derive_key(purpose, secret);
        Self(*blake3::keyed_hash(&key, bytes).as_bytes())
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From raw bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first twelve digits, enough to tell two apart by eye.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        bytes
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| "not a digest of 64 hexadecimal digits".to_owned())
    }
}

as_text!(Digest, { "type": "string", "pattern": "^[0-9a-f]{64}$" });
