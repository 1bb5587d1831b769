//! The kinds of key that can be made.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of key to be made. Ed25519 is right unless somebody cannot take it.
///
/// ```
/// use dr_core::keys::KeyKind;
/// assert_eq!(KeyKind::default(), KeyKind::Ed25519);
/// assert_eq!("ecdsa-p384".parse(), Ok(KeyKind::EcdsaP384));
/// assert!("dsa".parse::<KeyKind>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519 (RFC 8709): 256 bits, short, fast.
    #[default]
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA over NIST P-256 (RFC 5656).
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA over NIST P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// ECDSA over NIST P-521.
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    /// RSA with 3072 bits; needs a build with the feature `rsa`.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits; needs a build with the feature `rsa`.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

const NAMES: &[(KeyKind, &str)] = &[
    (KeyKind::Ed25519, "ed25519"),
    (KeyKind::EcdsaP256, "ecdsa-p256"),
    (KeyKind::EcdsaP384, "ecdsa-p384"),
    (KeyKind::EcdsaP521, "ecdsa-p521"),
    (KeyKind::Rsa3072, "rsa-3072"),
    (KeyKind::Rsa4096, "rsa-4096"),
];

impl KeyKind {
    /// Every kind, the best first.
    ///
    /// ```
    /// assert_eq!(dr_core::keys::KeyKind::all().count(), 6);
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|row| row.0)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|row| row.0 == *self).map_or("", |row| row.1);
        f.write_str(name)
    }
}

impl FromStr for KeyKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|row| row.1 == text).map(|row| row.0);
        found.ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|row| row.1).collect();
            format!("'{}' is no kind of key; there are {}", text.escape_debug(), names.join(", "))
        })
    }
}
