//! Armoured keys (RFC 7468), and the encryption that PEM had before PKCS#8 (RFC 1421, as OpenSSL does it).

use data_encoding::{BASE64, HEXUPPER_PERMISSIVE};
use russh::keys::ssh_key::Cipher;
use zeroize::Zeroizing;

use super::bad::Bad;

/// A block between its BEGIN and END lines.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    /// How it is encrypted (`DEK-Info`), for those that say so in their headers.
    dek_info: Option<&'a str>,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl<'a> Block<'a> {
    /// The private key among the blocks of a text; others (parameters, certificates) may stand before it.
    pub(super) fn find(text: &'a str) -> Result<Self, Bad> {
        let mut lines = text.lines();
        let label = loop {
            let line = lines.next().ok_or_else(|| refusal(text))?;
            let label =
                line.trim_end().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
            if let Some(label) = label.filter(|label| label.ends_with("PRIVATE KEY")) {
                break label;
            }
        };
        let mut body = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut dek_info = None;
        loop {
            let line = lines.next().ok_or(Bad::CutOff)?.trim_end();
            if let Some(end) = line.strip_prefix("-----END ") {
                if end.strip_suffix("-----") != Some(label) {
                    return Err(Bad::Damaged);
                }
                break;
            }
            match line.split_once(": ") {
                Some(("DEK-Info", value)) => dek_info = Some(value),
                Some(_) => {}
                None => body.extend_from_slice(line.as_bytes()),
            }
        }
        let mut bytes = Zeroizing::new(vec![0; BASE64.decode_len(body.len()).map_err(|_| Bad::Damaged)?]);
        let length = BASE64.decode_mut(&body, &mut bytes).map_err(|_| Bad::Damaged)?;
        bytes.truncate(length);
        Ok(Self { label, dek_info, bytes })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.dek_info.is_some() || self.label.starts_with("ENCRYPTED")
    }

    /// Decrypts what its headers say is encrypted.
    pub(super) fn open(mut self, passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Bad> {
        let Some(info) = self.dek_info else { return Ok(self.bytes) };
        let (name, salt) = info.split_once(',').ok_or(Bad::Damaged)?;
        let (cipher, key_length) = match name {
            "AES-128-CBC" => (Cipher::Aes128Cbc, 16),
            "AES-192-CBC" => (Cipher::Aes192Cbc, 24),
            "AES-256-CBC" => (Cipher::Aes256Cbc, 32),
            other => {
                return Err(Bad::Cipher(other.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()));
            }
        };
        let iv = HEXUPPER_PERMISSIVE.decode(salt.trim().as_bytes()).map_err(|_| Bad::Damaged)?;
        if iv.len() != 16 {
            return Err(Bad::Damaged);
        }
        let key = derive(passphrase.ok_or(Bad::Locked)?, &iv[..8], key_length);
        cipher.decrypt(&key, &iv, &mut self.bytes, None).map_err(|_| Bad::Damaged)?;
        // A wrong passphrase shows in the padding (RFC 8018 section 6.1.1), or else in what comes out.
        let padding = usize::from(*self.bytes.last().ok_or(Bad::Damaged)?);
        let length = self.bytes.len().checked_sub(padding).ok_or(Bad::WrongPassphrase)?;
        let right = (1..=16).contains(&padding)
            && self.bytes[length..].iter().all(|byte| usize::from(*byte) == padding);
        if !right || self.bytes.first() != Some(&0x30) {
            return Err(Bad::WrongPassphrase);
        }
        self.bytes.truncate(length);
        Ok(self.bytes)
    }
}

/// The key by OpenSSL's `EVP_BytesToKey` with one round of MD5. Nothing that is written here is encrypted so weakly.
fn derive(passphrase: &str, salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(48));
    while key.len() < length {
        let mut digest = md5::Context::new();
        digest.consume(&key[key.len().saturating_sub(16)..]);
        digest.consume(passphrase.as_bytes());
        digest.consume(salt);
        key.extend_from_slice(&*Zeroizing::new(digest.finalize().0));
    }
    key.truncate(length);
    key
}

/// Why there is no private key in a text.
fn refusal(text: &str) -> Bad {
    let trimmed = text.trim_start();
    if trimmed.is_empty() {
        return Bad::Empty;
    }
    let public = trimmed.parse::<crate::keys::PublicKey>().is_ok()
        || trimmed.starts_with("---- BEGIN SSH2 PUBLIC KEY ----")
        || trimmed.starts_with("-----BEGIN PUBLIC KEY-----")
        || trimmed.starts_with("-----BEGIN RSA PUBLIC KEY-----");
    let begins =
        |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with("PRIVATE KEY-----");
    match (public, text.lines().any(|line| begins(line.trim_start()))) {
        (true, _) => Bad::PublicHalf,
        (false, true) => Bad::Indented,
        (false, false) if trimmed.starts_with("-----BEGIN ") && !trimmed.contains("-----END ") => Bad::CutOff,
        _ => Bad::NoKey,
    }
}
