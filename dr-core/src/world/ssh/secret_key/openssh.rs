//! OpenSSH's own format (PROTOCOL.key in its sources).

use russh::keys::ssh_key::{Cipher, Kdf};
use zeroize::Zeroizing;

use super::bad::Bad;
use super::pair::{Found, pair, usable};
use crate::keys::PublicKey;
use crate::keys::wire::Fields;

pub(super) const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Some minutes of work; ssh-keygen takes 24 rounds if it is not told otherwise.
const ROUNDS_MAX: u32 = 10_000;

/// The outer part: all of it can be read without the passphrase.
pub(super) struct Container<'a> {
    cipher: Cipher,
    kdf: &'a [u8],
    options: &'a [u8],
    /// The blob of the public half.
    pub(super) public: &'a [u8],
    private: &'a [u8],
    /// What authenticates the private part, for ciphers that do that.
    tag: &'a [u8],
}

impl<'a> Container<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Bad> {
        let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(Bad::Damaged)?);
        let mut next = || fields.string().ok_or(Bad::Damaged);
        let (cipher, kdf, options) = (next()?, next()?, next()?);
        let name = std::str::from_utf8(cipher).map_err(|_| Bad::Damaged)?;
        let cipher = Cipher::new(name).map_err(|_| Bad::Cipher(name.chars().take(40).collect()))?;
        if fields.u32() != Some(1) {
            return Err(Bad::Damaged);
        }
        let mut next = || fields.string().ok_or(Bad::Damaged);
        let (public, private) = (next()?, next()?);
        Ok(Self { cipher, kdf, options, public, private, tag: fields.0 })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.cipher != Cipher::None
    }

    /// The public half; of a kind that is not known here, the kind.
    pub(super) fn key(&self) -> Result<PublicKey, Bad> {
        PublicKey::from_blob(self.public).ok_or_else(|| {
            let kind = Fields(self.public).string().and_then(|kind| std::str::from_utf8(kind).ok());
            let kind = kind.filter(|kind| kind.bytes().all(|byte| byte.is_ascii_graphic()));
            let unknown = kind.filter(|kind| !kind.is_empty() && PublicKey::fields_of(kind).is_none());
            unknown.map_or(Bad::Damaged, |kind| Bad::Kind(kind.chars().take(60).collect()))
        })
    }

    pub(super) fn open(&self, passphrase: Option<&str>) -> Result<Found, Bad> {
        usable(&self.key()?)?;
        let mut private = Zeroizing::new(self.private.to_vec());
        if self.is_encrypted() {
            self.decrypt(&mut private, passphrase.ok_or(Bad::Locked)?)?;
        } else if !self.tag.is_empty() {
            return Err(Bad::Damaged);
        }
        let mut fields = Fields(&private);
        let (first, second) = (fields.u32(), fields.u32());
        if first.is_none() || first != second {
            // The one thing that tells a wrong passphrase from a right one.
            return Err(if self.is_encrypted() { Bad::WrongPassphrase } else { Bad::Damaged });
        }
        let found = pair(&mut fields)?;
        let padding = fields.0.iter().zip(1..).all(|(byte, wanted)| *byte == wanted);
        if !padding || fields.0.len() >= 16 {
            return Err(Bad::Damaged);
        }
        if found.pair.public()?.blob() != self.public {
            return Err(Bad::TwoHalves);
        }
        Ok(found)
    }

    fn decrypt(&self, private: &mut [u8], passphrase: &str) -> Result<(), Bad> {
        if self.kdf != b"bcrypt" {
            return Err(Bad::Damaged);
        }
        let mut options = Fields(self.options);
        let (Some(salt), Some(rounds), true) = (options.string(), options.u32(), options.is_empty()) else {
            return Err(Bad::Damaged);
        };
        if rounds > ROUNDS_MAX {
            return Err(Bad::TooDear(format!("{rounds} rounds of bcrypt")));
        }
        let kdf = Kdf::Bcrypt { salt: salt.to_vec(), rounds };
        // It refuses an empty passphrase, which opens nothing.
        let (key, iv) = kdf.derive_key_and_iv(self.cipher, passphrase).map_err(|_| Bad::WrongPassphrase)?;
        let tag = match self.tag {
            [] => None,
            tag => Some(tag.try_into().map_err(|_| Bad::Damaged)?),
        };
        let opened = self.cipher.decrypt(&key, &iv, private, tag);
        opened.map_err(|_| if tag.is_some() { Bad::WrongPassphrase } else { Bad::Damaged })
    }
}
