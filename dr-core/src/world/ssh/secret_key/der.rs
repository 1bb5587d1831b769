//! Keys as OpenSSL writes them: PKCS#8 (RFC 5958), SEC1 (RFC 5915) and PKCS#1 (RFC 8017), in DER.

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use russh::keys::pkcs8::decode_pkcs8;

use super::bad::Bad;
use super::pair::{Found, Pair, Rsa, rsa};

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// OpenSSL takes 2048 rounds, careful people a million.
const ROUNDS_MAX: u32 = 20_000_000;
/// scrypt's memory is 128 bytes times its cost times its block size.
const MEMORY_MAX: u64 = 1 << 30;
const LANES_MAX: u16 = 64;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Values one after the other; each is none where there is another one, or where the bytes end too early.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match head[1] {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (long, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*long)), rest)
            }
            _ => return None,
        };
        let value = rest.get(..length).filter(|_| head[0] == tag)?;
        self.0 = &rest[length..];
        Some(value)
    }
}

/// The RSAPrivateKey inside a PKCS#8 key; none if it holds another kind.
pub(super) fn rsa_inside(pkcs8: &[u8]) -> Option<&[u8]> {
    let mut key = Der(Der(pkcs8).take(SEQUENCE)?);
    key.take(INTEGER)?;
    let kind = Der(key.take(SEQUENCE)?).take(OBJECT)?;
    if kind == RSA { key.take(OCTETS) } else { None }
}

/// An RSAPrivateKey.
pub(super) fn pkcs1(der: &[u8]) -> Result<Found, Bad> {
    let mut fields = Der(Der(der).take(SEQUENCE).ok_or(Bad::Damaged)?);
    let mut next = || fields.take(INTEGER).ok_or(Bad::Damaged);
    // More than two primes would be version 1.
    if next()? != [0] {
        return Err(Bad::Damaged);
    }
    let (n, e, d, p, q) = (next()?, next()?, next()?, next()?, next()?);
    let (_, _, inverse) = (next()?, next()?, next()?);
    let pair = rsa(&Rsa { n, e, d, inverse, p, q })?;
    Ok(Found { pair, comment: String::new() })
}

/// A PKCS#8 key, or an ECPrivateKey.
pub(super) fn plain(der: &[u8]) -> Result<Found, Bad> {
    if let Some(inside) = rsa_inside(der) {
        return pkcs1(inside);
    }
    let key = decode_pkcs8(der, None).map_err(|error| match error {
        russh::keys::Error::UnknownAlgorithm(kind) => Bad::Kind(kind.to_string()),
        _ => Bad::Damaged,
    })?;
    Ok(Found { pair: Pair::of(key.key_data())?, comment: String::new() })
}

/// An encrypted PKCS#8 key.
pub(super) fn encrypted(der: &[u8], passphrase: Option<&str>) -> Result<Found, Bad> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| Bad::Damaged)?;
    affordable(&info.encryption_algorithm)?;
    let passphrase = passphrase.ok_or(Bad::Locked)?;
    let opened: SecretDocument = info.decrypt(passphrase).map_err(|_| Bad::WrongPassphrase)?;
    plain(opened.as_bytes())
}

/// What the file asks for before a passphrase can be tried is limited here.
fn affordable(scheme: &EncryptionScheme) -> Result<(), Bad> {
    let Some(parameters) = scheme.pbes2() else { return Err(Bad::Cipher("PBES1".to_owned())) };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count > ROUNDS_MAX => {
            Err(Bad::TooDear(format!("{} rounds of PBKDF2", pbkdf2.iteration_count)))
        }
        Kdf::Scrypt(scrypt) => {
            let memory =
                scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
            if memory > MEMORY_MAX || scrypt.parallelization > LANES_MAX {
                return Err(Bad::TooDear(format!("{memory} bytes of memory")));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
