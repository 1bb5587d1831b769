//! PuTTY's format, versions 2 and 3 (appendix C of its manual).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_key::Cipher;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::bad::Bad;
use super::pair::{Found, Pair, Rsa, ecdsa, ed25519, number, rsa};
use crate::keys::PublicKey;
use crate::keys::wire::{Fields, put};

pub(super) const BEGIN: &str = "PuTTY-User-Key-File-";
/// puttygen takes 8 MiB, and as many passes as fit into a tenth of a second.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// Memory times passes: some minutes of work.
const WORK_KIB_MAX: u64 = 1 << 27;
const LANES_MAX: u32 = 64;

/// A file, read as far as it can be without the passphrase.
pub(super) struct Ppk<'a> {
    version: u8,
    kind: &'a str,
    encryption: &'a str,
    comment: &'a str,
    pub(super) public: Vec<u8>,
    private: Zeroizing<Vec<u8>>,
    argon: Argon<'a>,
    mac: Vec<u8>,
}

#[derive(Default)]
struct Argon<'a> {
    flavour: &'a str,
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
}

impl<'a> Ppk<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Bad> {
        let mut lines = text.lines();
        let first = lines.next().and_then(|line| line.strip_prefix(BEGIN)).ok_or(Bad::Damaged)?;
        let (version, kind) = first.split_once(": ").ok_or(Bad::Damaged)?;
        let version = match version {
            "2" => 2,
            "3" => 3,
            _ => return Err(Bad::Kind(format!("PPK{}", version.chars().take(3).collect::<String>()))),
        };
        // It stands last.
        if !text.contains("\nPrivate-MAC: ") {
            return Err(Bad::CutOff);
        }
        let mut ppk = Self {
            version,
            kind,
            encryption: "",
            comment: "",
            public: vec![],
            private: Zeroizing::default(),
            argon: Argon::default(),
            mac: vec![],
        };
        while let Some(line) = lines.next() {
            let Some((key, value)) = line.split_once(": ") else {
                if line.trim().is_empty() { continue } else { return Err(Bad::Damaged) }
            };
            let number = || value.parse::<u32>().map_err(|_| Bad::Damaged);
            let hex = || HEXLOWER_PERMISSIVE.decode(value.trim().as_bytes()).map_err(|_| Bad::Damaged);
            match key {
                "Encryption" => ppk.encryption = value,
                "Comment" => ppk.comment = value,
                "Key-Derivation" => ppk.argon.flavour = value,
                "Argon2-Memory" => ppk.argon.memory = number()?,
                "Argon2-Passes" => ppk.argon.passes = number()?,
                "Argon2-Parallelism" => ppk.argon.lanes = number()?,
                "Argon2-Salt" => ppk.argon.salt = hex()?,
                "Public-Lines" => ppk.public = body(&mut lines, number()?)?.to_vec(),
                "Private-Lines" => ppk.private = body(&mut lines, number()?)?,
                "Private-MAC" => ppk.mac = hex()?,
                _ => return Err(Bad::Damaged),
            }
        }
        Ok(ppk)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encryption != "none"
    }

    pub(super) fn open(mut self, passphrase: Option<&str>) -> Result<Found, Bad> {
        let keys = match self.encryption {
            "none" => self.keys("")?,
            "aes256-cbc" => self.keys(passphrase.ok_or(Bad::Locked)?)?,
            other => {
                return Err(Bad::Cipher(other.chars().filter(char::is_ascii_graphic).take(40).collect()));
            }
        };
        if self.is_encrypted() {
            Cipher::Aes256Cbc
                .decrypt(&keys[..32], &keys[32..48], &mut self.private, None)
                .map_err(|_| Bad::Damaged)?;
        }
        if !self.is_genuine(&keys[48..]) {
            return Err(if self.is_encrypted() { Bad::WrongPassphrase } else { Bad::Damaged });
        }
        let pair = self.pair()?;
        Ok(Found { pair, comment: self.comment.to_owned() })
    }

    /// The keys of the cipher (32 bytes), its first block (16), and that of the code which authenticates all.
    fn keys(&self, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Bad> {
        let mut keys = Zeroizing::new(Vec::with_capacity(128));
        match (self.version, self.is_encrypted()) {
            (2, _) => {
                for counter in [0_u32, 1] {
                    let digest = Sha1::new().chain_update(counter.to_be_bytes()).chain_update(passphrase);
                    keys.extend_from_slice(&digest.finalize());
                }
                keys.truncate(32);
                keys.extend_from_slice(&[0; 16]);
                let code =
                    Sha1::new().chain_update("putty-private-key-file-mac-key").chain_update(passphrase);
                keys.extend_from_slice(&code.finalize());
            }
            (_, false) => keys.resize(48, 0),
            (_, true) => {
                keys.resize(80, 0);
                self.argon.derive(passphrase, &mut keys)?;
            }
        }
        Ok(keys)
    }

    fn is_genuine(&self, key: &[u8]) -> bool {
        let mut all = Zeroizing::new(Vec::with_capacity(self.public.len() + self.private.len() + 256));
        for part in [
            self.kind.as_bytes(),
            self.encryption.as_bytes(),
            self.comment.as_bytes(),
            &self.public,
            &self.private,
        ] {
            put(&mut all, part);
        }
        if self.version == 2 {
            Hmac::<Sha1>::new_from_slice(key)
                .is_ok_and(|code| code.chain_update(&*all).verify_slice(&self.mac).is_ok())
        } else {
            Hmac::<Sha256>::new_from_slice(key)
                .is_ok_and(|code| code.chain_update(&*all).verify_slice(&self.mac).is_ok())
        }
    }

    fn pair(&self) -> Result<Pair, Bad> {
        let public = PublicKey::from_blob(&self.public).ok_or(Bad::Damaged)?;
        if public.algorithm() != self.kind {
            return Err(Bad::Damaged);
        }
        let mut open = Fields(&self.public);
        let mut secret = Fields(&self.private);
        let mut next = || secret.string().map(number).ok_or(Bad::Damaged);
        match self.kind {
            "ssh-ed25519" => {
                let point = open.nth(1).ok_or(Bad::Damaged)?;
                let short = next()?;
                let missing = 32_usize.checked_sub(short.len()).ok_or(Bad::Damaged)?;
                let mut seed = Zeroizing::new([0; 32]);
                seed[missing..].copy_from_slice(short);
                ed25519(&*seed, point)
            }
            kind if kind.starts_with("ecdsa-sha2-") => {
                let (curve, point) = (open.nth(1).ok_or(Bad::Damaged)?, open.string().ok_or(Bad::Damaged)?);
                ecdsa(curve, point, next()?)
            }
            "ssh-rsa" => {
                let (e, n) = (open.nth(1).ok_or(Bad::Damaged)?, open.string().ok_or(Bad::Damaged)?);
                let (d, p, q, inverse) = (next()?, next()?, next()?, next()?);
                rsa(&Rsa { n, e, d, inverse, p, q })
            }
            other => Err(Bad::Kind(other.to_owned())),
        }
    }
}

impl Argon<'_> {
    fn derive(&self, passphrase: &str, keys: &mut [u8]) -> Result<(), Bad> {
        let flavour = match self.flavour {
            "Argon2id" => Algorithm::Argon2id,
            "Argon2i" => Algorithm::Argon2i,
            "Argon2d" => Algorithm::Argon2d,
            _ => return Err(Bad::Damaged),
        };
        let work = u64::from(self.memory) * u64::from(self.passes);
        if self.memory > MEMORY_KIB_MAX || work > WORK_KIB_MAX || self.lanes > LANES_MAX {
            return Err(Bad::TooDear(format!("{} passes over {} KiB", self.passes, self.memory)));
        }
        let params = Params::new(self.memory, self.passes, self.lanes, None).map_err(|_| Bad::Damaged)?;
        let mut memory = vec![Block::default(); params.block_count()];
        let argon = Argon2::new(flavour, Version::V0x13, params);
        argon
            .hash_password_into_with_memory(passphrase.as_bytes(), &self.salt, keys, &mut memory)
            .map_err(|_| Bad::Damaged)
    }
}

/// So many lines of base64.
fn body(lines: &mut std::str::Lines<'_>, count: u32) -> Result<Zeroizing<Vec<u8>>, Bad> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
    for _ in 0..count {
        text.extend_from_slice(lines.next().ok_or(Bad::CutOff)?.trim_end().as_bytes());
    }
    let mut bytes = Zeroizing::new(vec![0; BASE64.decode_len(text.len()).map_err(|_| Bad::Damaged)?]);
    let length = BASE64.decode_mut(&text, &mut bytes).map_err(|_| Bad::Damaged)?;
    bytes.truncate(length);
    Ok(bytes)
}
