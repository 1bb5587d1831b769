//! Private keys: made, read from files of every usual format, and written in OpenSSH's.
//!
//! Whatever the format, what is found is taken apart into the numbers of the key, and [`pair`] puts those together in one place, where the
//! halves are compared. They lie on the heap in one buffer that is wiped when it is dropped. Whatever computes with them does so on
//! the stack, and that is overwritten afterwards.

mod bad;
mod der;
mod openssh;
mod pair;
mod pem;
mod ppk;
#[cfg(feature = "rsa")]
mod rsa;
mod save;
mod stack;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::Ed25519Keypair;
#[cfg(feature = "rsa")]
use russh::keys::ssh_key::private::KeypairData;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::keys::{KeyKind, PublicKey};
use crate::secret::Secret;
use bad::Bad;
use pair::{Found, Pair};
pub(in crate::world::ssh) use stack::leaving_no_trace;

/// No key file is larger.
const LENGTH_MAX: u64 = 1 << 20;

/// A private key. Debug shows its fingerprint only, and it is wiped from memory when dropped.
///
/// ```
/// use dr_core::world::ssh::SecretKey;
/// let key = SecretKey::generate("mirror@uk").unwrap();
/// assert!(key.public().to_string().starts_with("ssh-ed25519 AAAA"));
/// assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.public().fingerprint()));
/// ```
pub struct SecretKey {
    pair: Pair,
    public: PublicKey,
}

impl SecretKey {
    /// Makes an ed25519 key, from the kernel's randomness. The comment says later on what the key is for.
    ///
    /// # Errors
    /// `Internal` if the kernel gives no randomness.
    pub fn generate(comment: &str) -> Result<Self> {
        Self::generate_kind(KeyKind::Ed25519, comment)
    }

    /// Makes a key of this kind.
    ///
    /// ```
    /// use dr_core::{keys::KeyKind, world::ssh::SecretKey};
    /// let key = SecretKey::generate_kind(KeyKind::EcdsaP256, "for the old router").unwrap();
    /// assert_eq!((key.public().algorithm(), key.public().bits()), ("ecdsa-sha2-nistp256", 256));
    /// ```
    ///
    /// # Errors
    /// `Internal` if the kernel gives no randomness; `Unsupported` for RSA in a build without the feature `rsa`.
    pub fn generate_kind(kind: KeyKind, comment: &str) -> Result<Self> {
        let comment = comment.replace(['\r', '\n', '\0'], " ").trim().to_owned();
        leaving_no_trace(|| {
            let pair = match kind {
                KeyKind::Ed25519 => {
                    let mut seed = Zeroizing::new([0; 32]);
                    fill(&mut seed[..])?;
                    pair::of_seed(&seed, &Ed25519Keypair::from_seed(&seed).public.0)
                }
                KeyKind::EcdsaP256 => ecdsa(&P256)?,
                KeyKind::EcdsaP384 => ecdsa(&P384)?,
                KeyKind::EcdsaP521 => ecdsa(&P521)?,
                KeyKind::Rsa3072 | KeyKind::Rsa4096 => rsa_pair(kind)?,
            };
            Self::of(Found { pair, comment }).map_err(|bad| bad.error("generate a key".to_owned()))
        })
    }

    /// Reads a private key file: OpenSSH's format, PKCS#8, SEC1 or PKCS#1 as OpenSSL writes them, or PuTTY's (versions 2 and 3). It must not
    /// be open to others.
    ///
    /// ```
    /// use dr_core::world::ssh::SecretKey;
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("id_ed25519");
    /// let made = SecretKey::generate("mirror@uk").unwrap();
    /// made.save_new(&path, None).unwrap();
    /// assert_eq!(SecretKey::load(&path, None).unwrap().public(), made.public());
    /// let error = SecretKey::from_text(&made.public().to_string(), None).unwrap_err();
    /// assert!(error.to_string().ends_with("it holds the public half of a key"), "{error}");
    /// ```
    ///
    /// # Errors
    /// `PermissionDenied` if others can read it; `Usage` if it is no private key, or encrypted and the passphrase is wrong or missing;
    /// `Corrupt` if it is empty, cut off or damaged; `Refused` if it is weak, or takes too much work to open; `Unsupported` for kinds and
    /// ciphers that this build cannot use. Opening an encrypted one takes about half a second of work.
    pub fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self> {
        let text = text(path)?;
        Self::parse(&text, passphrase.map(Secret::reveal)).map_err(|bad| bad.error(using(path)))
    }

    /// The same for a text that is no file's.
    ///
    /// ```
    /// let error = dr_core::world::ssh::SecretKey::from_text("-----BEGIN PRIVATE KEY-----\nMC4C", None).unwrap_err();
    /// assert!(error.to_string().ends_with("it is cut off"), "{error}");
    /// ```
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_text(text: &str, passphrase: Option<&Secret>) -> Result<Self> {
        Self::parse(text, passphrase.map(Secret::reveal))
            .map_err(|bad| bad.error("read a private key".to_owned()))
    }

    fn parse(text: &str, passphrase: Option<&str>) -> Result<Self, Bad> {
        leaving_no_trace(|| Self::of(find(text, passphrase)?))
    }

    fn of(found: Found) -> Result<Self, Bad> {
        let public = found.pair.public()?.with_comment(&found.comment);
        Ok(Self { pair: found.pair, public })
    }

    /// Its public half, with the comment.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signature as SSH writes it, the algorithm's name before it; for RSA that is `rsa-sha2-512`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::new(ErrorKind::Internal, "sign with a private key", "the key does not sign");
        leaving_no_trace(|| match self.pair.open().map_err(|_| failed())? {
            #[cfg(feature = "rsa")]
            KeypairData::Rsa(pair) => rsa::sign(&pair, message).ok_or_else(failed),
            pair => {
                let key = PrivateKey::new(pair, "").map_err(|error| failed().caused_by(error))?;
                let signature = key.try_sign(message).map_err(|error| failed().caused_by(error))?;
                signature.encode_vec().map_err(|error| failed().caused_by(error))
            }
        })
    }

    /// Both halves as OpenSSH and its agent write them.
    pub(super) fn wire(&self) -> &[u8] {
        &self.pair.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.public.fingerprint())
    }
}

/// The public half of a private key file, opened only if its format hides it.
pub(super) fn public_of(path: &Path) -> Result<PublicKey> {
    let text = text(path)?;
    let found = leaving_no_trace(|| {
        if text.starts_with(ppk::BEGIN) {
            return PublicKey::from_blob(&ppk::Ppk::parse(&text)?.public).ok_or(Bad::Damaged);
        }
        let block = pem::Block::find(&text)?;
        if block.label == "OPENSSH PRIVATE KEY" {
            let container = openssh::Container::parse(&block.bytes)?;
            // What is not encrypted is read whole: the comment is in there.
            if container.is_encrypted() {
                return container.key();
            }
        }
        if block.is_encrypted() {
            return Err(Bad::Locked);
        }
        let found = find(&text, None)?;
        Ok(found.pair.public()?.with_comment(&found.comment))
    });
    let beside = || public_beside(path).ok_or(Bad::Locked);
    let found = found.or_else(|bad| if bad == Bad::Locked { beside() } else { Err(bad) });
    found.map_err(|bad| bad.error(using(path)))
}

/// The public half in `PATH.pub`.
fn public_beside(path: &Path) -> Option<PublicKey> {
    std::fs::read_to_string(save::pub_beside(path)).ok()?.trim().parse().ok()
}

/// What is in a text, by whichever format it has.
fn find(text: &str, passphrase: Option<&str>) -> Result<Found, Bad> {
    if text.starts_with(ppk::BEGIN) {
        return ppk::Ppk::parse(text)?.open(passphrase);
    }
    let block = pem::Block::find(text)?;
    match block.label {
        "OPENSSH PRIVATE KEY" => openssh::Container::parse(&block.bytes)?.open(passphrase),
        "ENCRYPTED PRIVATE KEY" => der::encrypted(&block.bytes, passphrase),
        "PRIVATE KEY" => der::plain(&block.bytes),
        "EC PRIVATE KEY" => der::plain(&block.open(passphrase)?),
        "RSA PRIVATE KEY" => der::pkcs1(&block.open(passphrase)?),
        "DSA PRIVATE KEY" => Err(Bad::Kind("ssh-dss".to_owned())),
        _ => Err(Bad::NoKey),
    }
}

/// Reads the file, if nobody else can.
fn text(path: &Path) -> Result<Zeroizing<String>> {
    use std::io::Read as _;
    let failed = |kind, why: &str, hint: &str| Error::new(kind, using(path), why).hint(hint);
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::io(using(path), error).hint("name the private key file; dr keys generate makes a new pair")
        }
        _ => Error::io(using(path), error),
    })?;
    let facts = file.metadata().map_err(|error| Error::io(using(path), error))?;
    if !facts.is_file() {
        return Err(failed(ErrorKind::Usage, "it is no file", "name the private key file itself"));
    }
    // One buffer that never has to grow, so that no copy is left behind.
    let length = usize::try_from(facts.len().min(LENGTH_MAX)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 32));
    file.take(length as u64).read_to_end(&mut bytes).map_err(|error| Error::io(using(path), error))?;
    let no_text = |_| failed(ErrorKind::Usage, "it is no private key", "name the private key file itself");
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new);
    let ours = facts.uid() == rustix::process::getuid().as_raw();
    // A public half is open to all, and is told by what it is.
    let is_public = || text.as_ref().is_ok_and(|text| pem::Block::find(text).err() == Some(Bad::PublicHalf));
    if ours && facts.mode() & 0o077 != 0 && !is_public() {
        let why = format!("others can read or write it (mode {:04o})", facts.mode() & 0o7777);
        return Err(failed(ErrorKind::PermissionDenied, &why, &format!("chmod 600 {}", path.display())));
    }
    text.map_err(no_text)
}

fn using(path: &Path) -> String {
    format!("use the key file {}", path.display())
}

/// A curve: how its keys begin and end as SEC1 ECPrivateKeys (RFC 5915), which the library completes with the public half.
struct Curve {
    /// How long a secret number is.
    length: u8,
    /// The bits of its first byte that may be set.
    top: u8,
    /// The curve's object identifier, tagged.
    name: &'static [u8],
}

const P256: Curve = Curve { length: 32, top: 0xff, name: &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] };
const P384: Curve = Curve { length: 48, top: 0xff, name: &[6, 5, 0x2b, 0x81, 4, 0, 0x22] };
const P521: Curve = Curve { length: 66, top: 0x01, name: &[6, 5, 0x2b, 0x81, 4, 0, 0x23] };

/// A secret number below the curve's order, each as likely as any other: drawn until it is (FIPS 186-5 appendix A.2.2).
fn ecdsa(curve: &Curve) -> Result<Pair> {
    let length = usize::from(curve.length);
    let name_length = curve.name.len();
    let mut der = Zeroizing::new(vec![0; 9 + length + name_length]);
    let whole = curve.length + 7 + name_length.to_be_bytes()[7];
    der[..7].copy_from_slice(&[0x30, whole, 2, 1, 1, 4, curve.length]);
    der[7 + length..9 + length].copy_from_slice(&[0xa0, name_length.to_be_bytes()[7]]);
    der[9 + length..].copy_from_slice(curve.name);
    for _ in 0..128 {
        fill(&mut der[7..7 + length])?;
        der[7] &= curve.top;
        if let Ok(found) = der::plain(&der) {
            return Ok(found.pair);
        }
    }
    Err(Error::new(ErrorKind::Internal, "generate a key", "no number that was drawn makes a key"))
}

#[cfg(not(feature = "rsa"))]
fn rsa_pair(kind: KeyKind) -> Result<Pair> {
    let why = format!("this build makes no keys of the kind {kind}");
    Err(Error::new(ErrorKind::Unsupported, "generate a key", why)
        .hint("make an ed25519 key, or build dr with --features rsa"))
}

#[cfg(feature = "rsa")]
fn rsa_pair(kind: KeyKind) -> Result<Pair> {
    use aws_lc_rs::rsa::KeySize;
    let size = if kind == KeyKind::Rsa4096 { KeySize::Rsa4096 } else { KeySize::Rsa3072 };
    rsa::generate(size).map(|found| found.pair).map_err(|bad| bad.error("generate a key".to_owned()))
}

/// The kernel's randomness.
pub(super) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "generate a key", "the kernel gave no randomness").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// Pieces that key files are made of.
    fn file() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned()),
            Just("-----END OPENSSH PRIVATE KEY-----\n".to_owned()),
            Just("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n".to_owned()),
            Just("-----END RSA PRIVATE KEY-----".to_owned()),
            Just("-----BEGIN ENCRYPTED PRIVATE KEY-----\n".to_owned()),
            Just("-----BEGIN PRIVATE KEY-----\n".to_owned()),
            Just("-----END PRIVATE KEY-----\n".to_owned()),
            Just("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n".to_owned()),
            Just("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc\nComment: x\n".to_owned()),
            Just("Key-Derivation: Argon2id\nArgon2-Memory: 4294967295\nArgon2-Passes: 4294967295\nArgon2-Parallelism: 1\nArgon2-Salt: 00\n".to_owned()),
            Just("Public-Lines: 1\nAAAA\nPrivate-Lines: 4294967295\n".to_owned()),
            Just("Private-Lines: 1\nAAAAAAAAAAAAAAAAAAAAAA==\nPrivate-MAC: 00\n".to_owned()),
            "[A-Za-z0-9+/]{0,80}\n",
            ".{0,20}",
        ];
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    fn judged_soon(text: &str) {
        let begun = Instant::now();
        for passphrase in [None, Some("sesame")] {
            let _ = SecretKey::parse(text, passphrase);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{text:?} took {:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in file()) {
            judged_soon(&text);
        }

        /// A key in which one byte is another, or the end is missing, is no key or still that one.
        #[test]
        fn a_damaged_key_is_never_another_one(at in 0_usize..600, byte: u8, cut in 0_usize..600, kind in 0_usize..2) {
            let kind = [KeyKind::Ed25519, KeyKind::EcdsaP256][kind];
            let key = SecretKey::generate_kind(kind, "x").unwrap();
            let text = key.to_text(None).unwrap();
            let (at, cut) = (at % text.len(), cut % text.len());
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            for damaged in [bytes.as_slice(), &text.as_bytes()[..cut]] {
                if let Ok(read) = SecretKey::parse(&String::from_utf8_lossy(damaged), None) {
                    prop_assert_eq!(read.public(), key.public());
                }
            }
        }
    }
}
