//! Certificates for keys, as OpenSSH reads them (PROTOCOL.certkeys): an authority's signed word that a key is a host's, or may log in.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known_hosts::matches;
use super::public::{PublicKey, word};
use super::wire::{Fields, put};
use crate::time::Timestamp;

pub(super) const USER: u32 = 1;
pub(super) const HOST: u32 = 2;
/// What the name of a kind of certificate ends with.
pub(super) const SUFFIX: &str = "-cert-v01@openssh.com";
const FOREVER: u64 = u64::MAX;

/// What a certificate speaks of.
///
/// ```
/// assert_eq!(dr_core::keys::Bearer::Host.to_string(), "host");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// Somebody who logs in; its names are accounts.
    User,
    /// A server; its names are the names and addresses by which it is reached.
    Host,
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Host => "host",
        })
    }
}

/// A certificate. Reading one says nothing about its signature.
///
/// ```
/// use dr_core::keys::Certificate;
/// let why = "ssh-ed25519-cert-v01@openssh.com AAAA".parse::<Certificate>().unwrap_err();
/// assert!(why.contains("no certificate"), "{why}");
/// ```
#[derive(Clone)]
pub struct Certificate {
    pub(super) blob: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) bearer: Bearer,
    pub(super) serial: u64,
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) after: u64,
    pub(super) before: u64,
    pub(super) critical: Vec<(String, String)>,
    pub(super) extensions: Vec<String>,
    pub(super) authority: PublicKey,
    pub(super) comment: String,
}

impl Certificate {
    /// The certificate with these bytes. None if they are none that OpenSSH would read.
    #[must_use]
    pub fn from_blob(blob: &[u8]) -> Option<Self> {
        let mut fields = Fields(blob);
        let kind = plain_kind(std::str::from_utf8(fields.string()?).ok()?)?;
        let _nonce = fields.string()?;
        let mut plain = vec![];
        put(&mut plain, kind.as_bytes());
        for _ in 1..PublicKey::fields_of(&kind)? {
            put(&mut plain, fields.string()?);
        }
        let key = PublicKey::from_blob(&plain)?;
        let serial = fields.u64()?;
        let bearer = match fields.u32()? {
            USER => Bearer::User,
            HOST => Bearer::Host,
            _ => return None,
        };
        let id = text(fields.string()?)?;
        let mut listed = Fields(fields.string()?);
        let names = listed.by_ref().map(text).collect::<Option<Vec<_>>>()?;
        let (after, before) = (fields.u64()?, fields.u64()?);
        let critical = options(fields.string()?)?;
        let extensions = options(fields.string()?)?.into_iter().map(|(name, _)| name).collect();
        let _reserved = fields.string()?;
        let authority = PublicKey::from_blob(fields.string()?)?;
        let _signature = fields.string()?;
        let whole = fields.is_empty() && listed.is_empty();
        whole.then(|| Self {
            blob: blob.to_vec(),
            key,
            bearer,
            serial,
            id,
            names,
            after,
            before,
            critical,
            extensions,
            authority,
            comment: String::new(),
        })
    }

    /// The exact bytes.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key that it is for.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whom it speaks of.
    #[must_use]
    pub fn bearer(&self) -> Bearer {
        self.bearer
    }

    /// Its number; 0 for none.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// What stands in sshd's log when it is used.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The accounts, or the names of the host, that it is good for.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whose word it is.
    #[must_use]
    pub fn authority(&self) -> &PublicKey {
        &self.authority
    }

    /// The line by which those who check it trust its authority for its names: of known_hosts for a host's, of authorized_keys for a
    /// user's.
    #[must_use]
    pub fn trusted_by(&self) -> String {
        let (names, authority) = (self.names.join(","), self.authority.clone().with_comment(""));
        match self.bearer {
            Bearer::Host => format!("@cert-authority {names} {authority}"),
            Bearer::User => format!("cert-authority,principals=\"{names}\" {authority}"),
        }
    }

    /// From when on it is good.
    #[must_use]
    pub fn after(&self) -> Timestamp {
        moment(self.after)
    }

    /// From when on it is good no more; none for never.
    #[must_use]
    pub fn before(&self) -> Option<Timestamp> {
        (self.before != FOREVER).then(|| moment(self.before))
    }

    /// What a critical option says, such as `force-command`.
    #[must_use]
    pub fn critical(&self, name: &str) -> Option<&str> {
        self.critical.iter().find(|option| option.0 == name).map(|option| option.1.as_str())
    }

    /// Whether it allows something, such as `permit-pty`.
    #[must_use]
    pub fn allows(&self, extension: &str) -> bool {
        self.extensions.iter().any(|name| name == extension)
    }

    /// Whether a host that shows it under this name is the right one at this time, as ssh judges it, beside the signature and whether
    /// its authority is trusted and it is not revoked.
    ///
    /// No name at all is none, as for OpenSSH since 10.3; earlier ones took it for every name.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn stands_for_host(&self, name: &str, at: Timestamp) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        if self.bearer != Bearer::Host {
            return Err("it is a user's".to_owned());
        }
        if let Some((option, _)) = self.critical.first() {
            return Err(format!("it demands something unknown ({})", option.escape_debug()));
        }
        let named = |pattern: &String| matches(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
        if !self.names.iter().any(named) {
            let names: Vec<_> = self.names.iter().map(|name| name.escape_debug().to_string()).collect();
            return Err(format!("it is for {}, not for {name}", some_or(&names.join(", "), "no name")));
        }
        self.is_in_time(at)
    }

    /// Whether its time has begun and is not over.
    ///
    /// # Errors
    /// Which of both, in words.
    pub fn is_in_time(&self, at: Timestamp) -> Result<(), String> {
        let at = u64::try_from(at.as_micros().div_euclid(1_000_000)).unwrap_or(0);
        if at < self.after {
            return Err(format!("its time begins {}", moment(self.after)));
        }
        if at >= self.before {
            return Err(format!("its time was over {}", moment(self.before)));
        }
        Ok(())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}
impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Certificate({} {} {} for {})",
            self.bearer,
            self.serial,
            self.id.escape_debug(),
            self.key.fingerprint()
        )
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = Fields(&self.blob);
        let kind = String::from_utf8_lossy(fields.string().unwrap_or_default());
        write!(f, "{kind} {}", BASE64.encode(&self.blob))?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " {}", self.comment) }
    }
}

impl FromStr for Certificate {
    type Err = String;
    fn from_str(line: &str) -> Result<Self, String> {
        let read = || {
            let (kind, rest) = word(line.trim().as_bytes())?;
            let (base64, comment) = word(rest)?;
            let mut found = Self::from_blob(&BASE64.decode(base64).ok()?)?;
            found.comment = text(comment)?;
            (Fields(&found.blob).string()? == kind).then_some(found)
        };
        read().ok_or_else(|| "no certificate such as stands in a -cert.pub file".to_owned())
    }
}

/// `ssh-ed25519` of `ssh-ed25519-cert-v01@openssh.com`.
fn plain_kind(kind: &str) -> Option<String> {
    let plain = kind.strip_suffix(SUFFIX)?;
    Some(if plain.starts_with("sk-") { format!("{plain}@openssh.com") } else { plain.to_owned() })
}

/// `ssh-ed25519-cert-v01@openssh.com` of `ssh-ed25519`.
pub(super) fn certified_kind(plain: &str) -> String {
    format!("{}{SUFFIX}", plain.trim_end_matches("@openssh.com"))
}

/// The names and values of a list; a value is a string in a string, or nothing.
fn options(list: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields = Fields(list);
    let mut found: Vec<(String, String)> = vec![];
    while !fields.is_empty() {
        let (name, data) = (text(fields.string()?)?, fields.string()?);
        let mut inner = Fields(data);
        let value = if data.is_empty() { String::new() } else { text(inner.string()?)? };
        if !inner.is_empty() || found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        found.push((name, value));
    }
    Some(found)
}

/// Text as OpenSSH takes it: without a NUL.
fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.contains(&0)).then(|| String::from_utf8(bytes.to_vec()).ok())?
}

fn moment(seconds: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

fn some_or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
