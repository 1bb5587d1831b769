//! Public keys as they stand in `.pub` files, `authorized_keys` and `known_hosts`.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest as _, Sha256};

use super::wire::Fields;

/// The kinds of key that OpenSSH knows, and the number of fields in their blobs, the name included.
const KINDS: &[(&str, usize)] = &[
    ("ssh-ed25519", 2),
    ("ecdsa-sha2-nistp256", 3),
    ("ecdsa-sha2-nistp384", 3),
    ("ecdsa-sha2-nistp521", 3),
    ("ssh-rsa", 3),
    ("sk-ssh-ed25519@openssh.com", 3),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 4),
    ("ssh-dss", 5),
];

/// A public key: its kind, its exact bytes, and the comment that stood beside it.
///
/// Two are equal when the key is the same, whatever the comments say. Reading is as tolerant as sshd's own
/// (`sshkey_read` in OpenSSH): blanks and tabs between the fields, a trailing carriage return.
///
/// ```
/// use dr_core::keys::PublicKey;
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@uk";
/// let key: PublicKey = line.parse().unwrap();
/// assert_eq!((key.algorithm(), key.comment()), ("ssh-ed25519", "me@uk"));
/// assert_eq!(key.fingerprint(), "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE");
/// assert_eq!(key.to_string(), line);
/// ```
#[derive(Clone)]
pub struct PublicKey {
    algorithm: &'static str,
    blob: Vec<u8>,
    comment: String,
}

impl PublicKey {
    /// The key with these bytes (the decoded second field of a `.pub` line). None if they are no key that OpenSSH knows.
    ///
    /// ```
    /// use dr_core::keys::PublicKey;
    /// assert!(PublicKey::from_blob(b"\0\0\0\x0bssh-ed25519\0\0\0\x01x").is_none(), "too short");
    /// ```
    #[must_use]
    pub fn from_blob(blob: &[u8]) -> Option<Self> {
        let algorithm = Self::judge(blob)?;
        Some(Self { algorithm, blob: blob.to_vec(), comment: String::new() })
    }

    /// The kind of key that these bytes are.
    fn judge(blob: &[u8]) -> Option<&'static str> {
        let mut fields = Fields(blob);
        let name = fields.next()?;
        let (algorithm, count) = KINDS.iter().find(|kind| kind.0.as_bytes() == name)?;
        let mut rest = 1;
        let mut last: &[u8] = &[];
        for field in fields.by_ref() {
            rest += 1;
            last = field;
        }
        let whole = fields.0.is_empty() && rest == *count;
        let sized = *algorithm != "ssh-ed25519" || last.len() == 32;
        (whole && sized).then_some(*algorithm)
    }

    /// Reads `kind base64 [comment]` from the start of a line; what follows the base64 is the comment.
    ///
    /// None where sshd would not find a key at this place either.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (kind, rest) = word(line)?;
        if !KINDS.iter().any(|known| known.0.as_bytes() == kind) {
            return None;
        }
        let (text, comment) = word(rest)?;
        // sshd's base64 decoder skips white space of every sort, so a carriage return at the end of a line does no harm.
        let blob = if text.iter().any(u8::is_ascii_whitespace) {
            let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(&text)
        } else {
            BASE64.decode(text)
        };
        let blob = blob.ok()?;
        let algorithm = Self::judge(&blob).filter(|algorithm| kind == algorithm.as_bytes())?;
        Some(Self { algorithm, blob, comment: String::from_utf8_lossy(comment).trim().to_owned() })
    }

    /// The number of fields in the blob of a kind of key, its name included.
    pub(crate) fn fields_of(kind: &str) -> Option<usize> {
        KINDS.iter().find(|known| known.0 == kind).map(|known| known.1)
    }

    /// The kind of key as SSH names it: `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The exact bytes that identify the key.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What stood beside the key; anyone can write anything there.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The same key with another comment. Line ends in it become blanks.
    ///
    /// ```
    /// # use dr_core::keys::PublicKey;
    /// # let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@uk";
    /// let key: PublicKey = line.parse().unwrap();
    /// assert_eq!(key.clone().with_comment("mirror"), key, "still the same key");
    /// ```
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.comment = comment.replace(['\r', '\n', '\0'], " ").trim().to_owned();
        self
    }

    /// Its size in bits as `ssh-keygen -l` shows it: for RSA and DSA the length of the modulus.
    ///
    /// ```
    /// # use dr_core::keys::PublicKey;
    /// # let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me@uk";
    /// assert_eq!(line.parse::<PublicKey>().unwrap().bits(), 256);
    /// ```
    #[must_use]
    pub fn bits(&self) -> u32 {
        let modulus = match self.algorithm {
            "ssh-rsa" => Fields(&self.blob).nth(2),
            "ssh-dss" => Fields(&self.blob).nth(1),
            "ecdsa-sha2-nistp384" => return 384,
            "ecdsa-sha2-nistp521" => return 521,
            _ => return 256,
        };
        let modulus = modulus.unwrap_or_default();
        let start = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
        let bytes = &modulus[start..];
        let bits = u32::try_from(bytes.len() * 8).unwrap_or(u32::MAX);
        bits - bytes.first().map_or(0, |byte| byte.leading_zeros())
    }

    /// The fingerprint as `ssh-keygen -l` shows it: `SHA256:` and the digest of the bytes in base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut text = String::with_capacity(50);
        text.push_str("SHA256:");
        BASE64_NOPAD.encode_append(&Sha256::digest(&self.blob), &mut text);
        text
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}
impl Eq for PublicKey {}

impl FromStr for PublicKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let said = "not a public key such as ssh-ed25519 AAAAC3Nza… me@host";
        if text.contains("PRIVATE KEY-----") {
            return Err(format!("{said}: this is a private key; give the .pub file beside it"));
        }
        let text = text.trim();
        if text.contains('\n') {
            return Err(format!("{said}: there is more than one line"));
        }
        Self::read(text.as_bytes()).ok_or_else(|| said.to_owned())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, BASE64.encode(&self.blob))?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " {}", self.comment) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm, self.fingerprint())
    }
}

/// The first word of a line, and what follows it and the blanks after it. None if there is no word.
pub(super) fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = skip_blanks(line);
    let end = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    (end > 0).then(|| (&line[..end], skip_blanks(&line[end..])))
}

/// The line without leading blanks and tabs.
pub(super) fn skip_blanks(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
    &line[start..]
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn reads(line: &str, comment: Option<&str>) {
        let key = PublicKey::read(line.as_bytes());
        assert_eq!(key.as_ref().map(PublicKey::comment), comment, "{line:?}");
    }

    #[test]
    fn keys_are_read_as_sshd_reads_them() {
        reads(&format!("ssh-ed25519 {KEY}"), Some(""));
        reads(&format!("  ssh-ed25519\t {KEY}\t a  b "), Some("a  b"));
        reads(&format!("ED25519 {KEY} short"), None);
        reads(&format!("ssh-ed25519 {KEY}\r"), Some(""));
        reads(&format!("ssh-ed25519 {KEY} host#1"), Some("host#1"));
        reads(&format!("ssh-rsa {KEY}"), None);
        reads(&format!("SSH-ED25519 {KEY}"), None);
        reads(&format!("ssh-ed25519 {}", &KEY[..60]), None);
        reads("ssh-ed25519", None);
        reads("", None);
        reads("ssh-ed25519 !!!!", None);
    }

    #[test]
    fn a_private_key_is_recognised() {
        let why = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc".parse::<PublicKey>().unwrap_err();
        assert!(why.contains(".pub"), "{why}");
    }
}
