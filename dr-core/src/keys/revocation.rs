//! Lists of keys and certificates that open nothing any more: KRLs, as sshd's `RevokedKeys` and ssh-keygen read them
//! (PROTOCOL.krl in OpenSSH).
//!
//! sshd refuses *every* key while the file that `RevokedKeys` names cannot be read, so what is written here is right or not written.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64_NOPAD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::certificate::Certificate;
use super::public::PublicKey;
use super::wire::{Fields, put};
use crate::time::Timestamp;

const MAGIC: &[u8] = b"SSHKRL\n\0";
const FORMAT: u32 = 1;
const CERTIFICATES: u8 = 1;
const KEYS: u8 = 2;
const KEYS_BY_SHA1: u8 = 3;
const KEYS_BY_SHA256: u8 = 5;
const SERIAL_LIST: u8 = 0x20;
const SERIAL_RANGE: u8 = 0x21;
const SERIAL_BITMAP: u8 = 0x22;
const KEY_ID: u8 = 0x23;
/// OpenSSH reads no longer number than this.
const BITMAP_BYTES_MAX: usize = 2048;

/// A list of revoked keys and certificates.
///
/// ```
/// use dr_core::keys::{PublicKey, RevocationList};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let stolen: PublicKey = line.parse().unwrap();
/// let mut list = RevocationList::default();
/// assert!(list.revoke(&stolen) && !list.revoke(&stolen), "once is enough");
/// let read = RevocationList::parse(&list.to_bytes(3, Default::default())).unwrap();
/// assert!(read.revokes(&stolen));
/// assert_eq!(read.version(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    version: u64,
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<Vec<u8>>,
    sha256: BTreeSet<Vec<u8>>,
    /// By the authority's key; an empty one stands for every authority.
    certificates: BTreeMap<Vec<u8>, Certificates>,
}

/// What can be revoked by name: a key, or one certificate.
///
/// ```
/// use dr_core::keys::Revoked;
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// assert!(matches!(line.parse::<Revoked>(), Ok(Revoked::Key(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A key, and every certificate for it or by it.
    Key(PublicKey),
    /// One certificate.
    Certificate(Box<Certificate>),
}

impl Revoked {
    /// The key that it is about.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }
}

impl std::str::FromStr for Revoked {
    type Err = String;
    fn from_str(line: &str) -> Result<Self, String> {
        line.parse().map(|one| Self::Certificate(Box::new(one))).or_else(|_| line.parse().map(Self::Key))
    }
}

impl std::fmt::Display for Revoked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Certificate(certificate) => certificate.fmt(f),
        }
    }
}

/// What is revoked of one authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Certificates {
    /// First serial to last serial; they neither overlap nor touch.
    serials: BTreeMap<u64, u64>,
    ids: BTreeSet<Vec<u8>>,
}

impl RevocationList {
    /// Reads a list. What sshd would refuse is refused here, and what would be lost in writing it again: signatures and
    /// extensions.
    ///
    /// ```
    /// use dr_core::keys::RevocationList;
    /// assert!(RevocationList::parse(b"").unwrap().is_empty(), "sshd takes an empty file for an empty list");
    /// assert!(RevocationList::parse(b"SSHKRL\n\0\0\0\0\x01").unwrap_err().contains("cut off"));
    /// ```
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err("it is no list of revoked keys in OpenSSH's binary format (KRL)".to_owned());
        };
        let mut fields = Fields(rest);
        let cut = || "it is cut off".to_owned();
        let format = fields.u32().ok_or_else(cut)?;
        if format != FORMAT {
            return Err(format!("its format {format} is unknown"));
        }
        let version = fields.u64().ok_or_else(cut)?;
        let _generated = fields.u64().ok_or_else(cut)?;
        let _flags = fields.u64().ok_or_else(cut)?;
        let _reserved = fields.string().ok_or_else(cut)?;
        let comment = fields.string().ok_or_else(cut)?;
        if comment.contains(&0) {
            return Err("its comment is none".to_owned());
        }
        let mut list = Self { version, ..Self::default() };
        while let Some(section) = fields.byte() {
            let content = Fields(fields.string().ok_or_else(cut)?);
            match section {
                CERTIFICATES => list.read_certificates(content)?,
                KEYS => list.keys.extend(strings(content, None)?),
                KEYS_BY_SHA1 => list.sha1.extend(strings(content, Some(20))?),
                KEYS_BY_SHA256 => list.sha256.extend(strings(content, Some(32))?),
                other => return Err(format!("it has a section of the unknown kind {other}")),
            }
        }
        Ok(list)
    }

    /// Whether these bytes claim to be one, whole or not. What is none is a list of text lines to sshd.
    #[must_use]
    pub fn claims(bytes: &[u8]) -> bool {
        bytes.is_empty() || bytes.starts_with(MAGIC)
    }

    /// The list as a file: `version` says which of two is the later one.
    #[must_use]
    pub fn to_bytes(&self, version: u64, generated: Timestamp) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        let seconds = u64::try_from(generated.as_micros() / 1_000_000).unwrap_or(0);
        bytes.extend(seconds.to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        put(&mut bytes, b"");
        put(&mut bytes, b"dr");
        for (authority, revoked) in &self.certificates {
            section(&mut bytes, CERTIFICATES, &revoked.to_bytes(authority));
        }
        for (kind, set) in [(KEYS, &self.keys), (KEYS_BY_SHA1, &self.sha1), (KEYS_BY_SHA256, &self.sha256)] {
            if !set.is_empty() {
                let mut content = vec![];
                set.iter().for_each(|one| put(&mut content, one));
                section(&mut bytes, kind, &content);
            }
        }
        bytes
    }

    /// Which version of the list was read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// It revokes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.sha1.is_empty()
            && self.sha256.is_empty()
            && self.certificates.values().all(|one| one.serials.is_empty() && one.ids.is_empty())
    }

    /// Revokes a key, and with it every certificate for it and, if it is an authority's, every one that it signed. Whether that is new.
    pub fn revoke(&mut self, key: &PublicKey) -> bool {
        self.keys.insert(key.blob().to_vec())
    }

    /// Revokes the key with this fingerprint (`SHA256:…`, as `ssh-keygen -l` shows it), without having it. Whether that is new.
    ///
    /// ```
    /// use dr_core::keys::{PublicKey, RevocationList};
    /// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    /// let key: PublicKey = line.parse().unwrap();
    /// let mut list = RevocationList::default();
    /// assert!(list.revoke_fingerprint(&key.fingerprint()).unwrap());
    /// assert!(list.revokes(&key));
    /// assert!(list.revoke_fingerprint("MD5:00").is_err());
    /// ```
    ///
    /// # Errors
    /// What is given is no such fingerprint, in words.
    pub fn revoke_fingerprint(&mut self, fingerprint: &str) -> Result<bool, String> {
        let base64 = fingerprint.strip_prefix("SHA256:").unwrap_or_default();
        match BASE64_NOPAD.decode(base64.as_bytes()) {
            Ok(digest) if digest.len() == 32 => Ok(self.sha256.insert(digest)),
            _ => Err(format!("'{}' is no fingerprint such as SHA256:T7SvZ2cs…", fingerprint.escape_debug())),
        }
    }

    /// Revokes the certificates that an authority signed with these serial numbers. Whether that is new.
    ///
    /// # Errors
    /// Zero is no serial number, and the last one must not be below the first: sshd would refuse the whole list.
    pub fn revoke_serials(&mut self, authority: &PublicKey, first: u64, last: u64) -> Result<bool, String> {
        self.certificates.entry(authority.blob().to_vec()).or_default().add(first, last)
    }

    /// Revokes the certificates that an authority signed with this key id. Whether that is new.
    ///
    /// # Errors
    /// It holds a NUL: sshd would refuse the whole list.
    pub fn revoke_id(&mut self, authority: &PublicKey, id: &str) -> Result<bool, String> {
        if id.contains('\0') {
            return Err("a key id cannot hold a NUL".to_owned());
        }
        let revoked = self.certificates.entry(authority.blob().to_vec()).or_default();
        Ok(revoked.ids.insert(id.as_bytes().to_vec()))
    }

    /// Revokes a key, or one certificate: by its number, or by its id where it has none. Whether that is new.
    ///
    /// # Errors
    /// The certificate has neither: only its key can be revoked.
    pub fn add(&mut self, revoked: &Revoked) -> Result<bool, String> {
        match revoked {
            Revoked::Key(key) => Ok(self.revoke(key)),
            Revoked::Certificate(certificate) => match (certificate.serial(), certificate.id()) {
                (0, "") => Err("the certificate has neither number nor id; revoke its key".to_owned()),
                (0, id) => self.revoke_id(certificate.authority(), id),
                (serial, _) => self.revoke_serials(certificate.authority(), serial, serial),
            },
        }
    }

    /// Whether a key is revoked.
    #[must_use]
    pub fn revokes(&self, key: &PublicKey) -> bool {
        self.keys.contains(key.blob())
            || self.sha256.contains(&Sha256::digest(key.blob())[..])
            || self.sha1.contains(&Sha1::digest(key.blob())[..])
    }

    /// Whether a certificate is revoked: itself, the key that it is for, or its authority.
    #[must_use]
    pub fn revokes_certificate(&self, certificate: &Certificate) -> bool {
        let authority = certificate.authority();
        self.revokes(certificate.key())
            || self.revokes(authority)
            || [authority.blob(), b""].iter().filter_map(|by| self.certificates.get(*by)).any(|revoked| {
                revoked.ids.contains(certificate.id().as_bytes()) || revoked.has(certificate.serial())
            })
    }

    /// Everything that another list revokes, too.
    pub fn extend(&mut self, other: &Self) {
        self.keys.extend(other.keys.iter().cloned());
        self.sha1.extend(other.sha1.iter().cloned());
        self.sha256.extend(other.sha256.iter().cloned());
        for (authority, theirs) in &other.certificates {
            let ours = self.certificates.entry(authority.clone()).or_default();
            ours.ids.extend(theirs.ids.iter().cloned());
            for (first, last) in &theirs.serials {
                ours.insert(*first, *last);
            }
        }
    }

    fn read_certificates(&mut self, mut content: Fields<'_>) -> Result<(), String> {
        let cut = || "a section about certificates is cut off".to_owned();
        let authority = content.string().ok_or_else(cut)?;
        let _reserved = content.string().ok_or_else(cut)?;
        if !authority.is_empty() && PublicKey::from_blob(authority).is_none() {
            return Err("it names an authority by something that is no key".to_owned());
        }
        let revoked = self.certificates.entry(authority.to_vec()).or_default();
        while let Some(section) = content.byte() {
            let mut part = Fields(content.string().ok_or_else(cut)?);
            match section {
                SERIAL_LIST => {
                    while !part.is_empty() {
                        let serial = part.u64().ok_or_else(cut)?;
                        revoked.add(serial, serial)?;
                    }
                }
                SERIAL_RANGE => {
                    let (first, last) = part.u64().zip(part.u64()).ok_or_else(cut)?;
                    revoked.add(first, last)?;
                }
                SERIAL_BITMAP => {
                    let (offset, bits) = part.u64().zip(part.string()).ok_or_else(cut)?;
                    revoked.add_bits(offset, bits)?;
                }
                KEY_ID => revoked.ids.extend(texts(&mut part)?),
                other => {
                    return Err(format!("it says of certificates something of the unknown kind {other}"));
                }
            }
            if !part.is_empty() {
                return Err("a section about certificates has a rest".to_owned());
            }
        }
        Ok(())
    }
}

impl Certificates {
    fn add(&mut self, first: u64, last: u64) -> Result<bool, String> {
        if first == 0 || last < first {
            return Err(format!("{first} to {last} are no serial numbers"));
        }
        Ok(self.insert(first, last))
    }

    /// Joins what overlaps or touches. Whether there is more now.
    fn insert(&mut self, first: u64, last: u64) -> bool {
        if self.serials.range(..=first).next_back().is_some_and(|(_, end)| *end >= last) {
            return false;
        }
        let (mut from, mut to) = (first, last);
        while let Some((start, end)) = self.serials.range(..=to.saturating_add(1)).next_back() {
            let (start, end) = (*start, *end);
            if end.saturating_add(1) < from {
                break;
            }
            from = from.min(start);
            to = to.max(end);
            self.serials.remove(&start);
        }
        self.serials.insert(from, to);
        true
    }

    /// A number whose bits, the lowest first, stand for serials from `offset` on.
    fn add_bits(&mut self, offset: u64, number: &[u8]) -> Result<(), String> {
        let negative = number.first().is_some_and(|byte| *byte >= 0x80);
        if negative || number.len() > BITMAP_BYTES_MAX + 1 {
            return Err("a bitmap of serial numbers is none".to_owned());
        }
        for (at, byte) in number.iter().rev().enumerate() {
            for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
                let step = u64::try_from(at * 8 + bit).unwrap_or(u64::MAX);
                let serial = offset.checked_add(step).ok_or("a bitmap of serial numbers goes too far")?;
                self.add(serial, serial)?;
            }
        }
        Ok(())
    }

    /// Zero says that a certificate has no serial, and is never revoked by it.
    fn has(&self, serial: u64) -> bool {
        serial != 0 && self.serials.range(..=serial).next_back().is_some_and(|(_, last)| *last >= serial)
    }

    fn to_bytes(&self, authority: &[u8]) -> Vec<u8> {
        let mut content = vec![];
        put(&mut content, authority);
        put(&mut content, b"");
        let singles: Vec<u8> = (self.serials.iter().filter(|(first, last)| first == last))
            .flat_map(|(serial, _)| serial.to_be_bytes())
            .collect();
        if !singles.is_empty() {
            section(&mut content, SERIAL_LIST, &singles);
        }
        for (first, last) in self.serials.iter().filter(|(first, last)| first != last) {
            section(&mut content, SERIAL_RANGE, &[first.to_be_bytes(), last.to_be_bytes()].concat());
        }
        if !self.ids.is_empty() {
            let mut ids = vec![];
            self.ids.iter().for_each(|id| put(&mut ids, id));
            section(&mut content, KEY_ID, &ids);
        }
        content
    }
}

fn section(into: &mut Vec<u8>, kind: u8, content: &[u8]) {
    into.push(kind);
    put(into, content);
}

/// All strings of a section, each of the given length if one is given.
fn strings(mut section: Fields<'_>, length: Option<usize>) -> Result<Vec<Vec<u8>>, String> {
    let mut found = vec![];
    while !section.is_empty() {
        let one = section.string().ok_or("a section about keys is cut off")?;
        if length.is_some_and(|length| one.len() != length) {
            return Err("a fingerprint has the wrong length".to_owned());
        }
        found.push(one.to_vec());
    }
    Ok(found)
}

fn texts(part: &mut Fields<'_>) -> Result<Vec<Vec<u8>>, String> {
    let found = strings(*part, None)?;
    *part = Fields(&[]);
    if found.iter().any(|id| id.contains(&0)) {
        return Err("a key id holds a NUL".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    proptest! {
        #[test]
        fn serials_are_those_that_were_revoked(ranges in proptest::collection::vec((1_u64..60, 0_u64..9), 0..20), far: bool) {
            let key: PublicKey = KEY.parse().unwrap();
            let mut list = RevocationList::default();
            let base = if far { u64::MAX - 80 } else { 0 };
            let mut plain = BTreeSet::new();
            for (first, more) in ranges {
                let new = (first..=first + more).fold(false, |new, serial| plain.insert(serial) | new);
                prop_assert_eq!(list.revoke_serials(&key, base + first, base + first + more), Ok(new));
            }
            let read = RevocationList::parse(&list.to_bytes(1, Timestamp::default())).unwrap();
            let of = read.certificates.get(key.blob()).cloned().unwrap_or_default();
            for serial in 0..=80 {
                prop_assert_eq!(of.has(base + serial), plain.contains(&serial), "{}", serial);
            }
            let apart = |pair: (&u64, &u64), next: &u64| pair.1 + 1 < *next;
            prop_assert!(of.serials.iter().zip(of.serials.keys().skip(1)).all(|(pair, next)| apart(pair, next)));
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, cut in 0_usize..300, flip in 0_usize..300, with: u8) {
            let _ = RevocationList::parse(&bytes);
            let key: PublicKey = KEY.parse().unwrap();
            let mut list = RevocationList::default();
            list.revoke(&key);
            list.revoke_serials(&key, 3, 9).unwrap();
            list.revoke_id(&key, "ann").unwrap();
            let whole = list.to_bytes(1, Timestamp::default());
            let mut other = whole.clone();
            let at = flip % other.len();
            other[at] ^= with;
            for bytes in [&whole[..cut % whole.len()], &other] {
                if let Ok(read) = RevocationList::parse(bytes) {
                    prop_assert_eq!(RevocationList::parse(&read.to_bytes(read.version, Timestamp::default())), Ok(read));
                }
            }
        }
    }

    #[test]
    fn what_sshd_would_refuse_is_refused() {
        let key: PublicKey = KEY.parse().unwrap();
        let mut list = RevocationList::default();
        assert!(list.revoke_serials(&key, 0, 3).is_err() && list.revoke_serials(&key, 3, 2).is_err());
        assert!(list.revoke_id(&key, "a\0b").is_err());
        let head = RevocationList::default().to_bytes(1, Timestamp::default());
        let with = |kind: u8, content: &[u8]| {
            let mut bytes = head.clone();
            section(&mut bytes, kind, content);
            RevocationList::parse(&bytes)
        };
        assert!(with(4, b"").unwrap_err().contains("unknown kind 4"), "signatures");
        assert!(with(5, b"\0\0\0\x02ab").unwrap_err().contains("length"));
        let bits = |offset: u64, number: &[u8]| {
            let mut part = offset.to_be_bytes().to_vec();
            put(&mut part, number);
            let mut content = vec![0; 8];
            section(&mut content, SERIAL_BITMAP, &part);
            with(CERTIFICATES, &content)
        };
        assert!(bits(1, &[5]).is_ok());
        assert!(bits(0, &[5]).is_err(), "0 is no serial");
        assert!(bits(1, &[0x85]).is_err(), "negative");
        assert!(bits(u64::MAX, &[3]).is_err(), "too far");
        assert!(RevocationList::parse(b"ssh-ed25519 AAAA").unwrap_err().contains("KRL"));
    }
}
