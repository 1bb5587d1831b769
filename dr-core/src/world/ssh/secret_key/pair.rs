//! A key pair out of the values that make it, whatever file they stood in.

use russh::keys::PrivateKey;
use russh::keys::signature::{Signer as _, Verifier as _};
use russh::keys::ssh_encoding::{Decode as _, Encode as _};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::public::KeyData;
use zeroize::Zeroizing;

use super::bad::Bad;
use crate::keys::PublicKey;
use crate::keys::RSA_BITS_MIN;
use crate::keys::wire::{Fields, put};

/// A key as OpenSSH and its agent write it: its kind, then the numbers of both halves, each as short as it can be.
#[derive(Clone)]
pub(super) struct Pair(pub(super) Zeroizing<Vec<u8>>);

impl Pair {
    /// A key that the library read.
    pub(super) fn of(data: &KeypairData) -> Result<Self, Bad> {
        let mut wire = Zeroizing::new(Vec::with_capacity(data.encoded_len().map_err(|_| Bad::Damaged)?));
        data.encode(&mut *wire).map_err(|_| Bad::Damaged)?;
        numbers(&mut Fields(&wire))
    }

    /// As the library takes it. It stays on the stack, which is to be overwritten: a move to the heap takes along what lay there before,
    /// and that is not wiped when the key is.
    pub(super) fn open(&self) -> Result<KeypairData, Bad> {
        let mut fields = Fields(&self.0);
        let mut wire = Zeroizing::new(Vec::with_capacity(self.0.len() + 80));
        let kind = fields.string().ok_or(Bad::Damaged)?;
        put(&mut wire, kind);
        if kind.starts_with(b"ecdsa-") {
            let mut next = || fields.string().ok_or(Bad::Damaged);
            let (curve, point, scalar) = (next()?, next()?, number(next()?));
            let length = length_of(curve).ok_or(Bad::Damaged)?;
            // The library takes no number shorter than the curve's; one key of 256 has such a number.
            let mut padded = Zeroizing::new(vec![0; length + 1]);
            let missing = length.checked_sub(scalar.len()).ok_or(Bad::Damaged)?;
            padded[1 + missing..].copy_from_slice(scalar);
            for value in [curve, point, &padded] {
                put(&mut wire, value);
            }
        } else {
            wire.extend_from_slice(fields.0);
        }
        KeypairData::decode(&mut wire.as_slice()).map_err(|_| Bad::Damaged)
    }

    pub(super) fn public(&self) -> Result<PublicKey, Bad> {
        let key = KeyData::try_from(&self.open()?).map_err(|_| Bad::Damaged)?;
        let blob = key.encode_vec().map_err(|_| Bad::Damaged)?;
        PublicKey::from_blob(&blob).ok_or(Bad::Damaged)
    }
}

/// What was found in a file.
pub(super) struct Found {
    pub(super) pair: Pair,
    pub(super) comment: String,
}

/// Reads a pair and its comment as OpenSSH and its agent write them.
pub(super) fn pair(fields: &mut Fields<'_>) -> Result<Found, Bad> {
    let pair = numbers(fields)?;
    let comment = String::from_utf8_lossy(fields.string().ok_or(Bad::Damaged)?).into_owned();
    Ok(Found { pair, comment })
}

fn numbers(fields: &mut Fields<'_>) -> Result<Pair, Bad> {
    let kind = text(fields)?;
    let count = match kind {
        "ssh-ed25519" => 2,
        "ssh-rsa" => 6,
        kind if kind.starts_with("ecdsa-sha2-") => 3,
        other => return Err(Bad::Kind(other.chars().filter(char::is_ascii_graphic).take(60).collect())),
    };
    let mut values = [&[][..]; 6];
    for value in &mut values[..count] {
        *value = fields.string().ok_or(Bad::Damaged)?;
    }
    match values {
        [public, private, ..] if kind == "ssh-ed25519" => {
            ed25519(private.get(..32).ok_or(Bad::Damaged)?, public)
        }
        [curve, point, scalar, ..] if count == 3 => ecdsa(curve, point, scalar),
        [n, e, d, inverse, p, q] => rsa(&Rsa { n, e, d, inverse, p, q }),
    }
}

fn text<'a>(fields: &mut Fields<'a>) -> Result<&'a str, Bad> {
    std::str::from_utf8(fields.string().ok_or(Bad::Damaged)?).map_err(|_| Bad::Damaged)
}

/// A pair from its seed; the public half must be that of the seed.
pub(super) fn ed25519(seed: &[u8], public: &[u8]) -> Result<Pair, Bad> {
    let seed: &[u8; 32] = seed.try_into().map_err(|_| Bad::Damaged)?;
    let pair = Ed25519Keypair::from_seed(seed);
    if pair.public.0 == public { Ok(of_seed(seed, &pair.public.0)) } else { Err(Bad::TwoHalves) }
}

/// A pair from its seed.
pub(super) fn of_seed(seed: &[u8; 32], public: &[u8; 32]) -> Pair {
    let mut wire = Zeroizing::new(Vec::with_capacity(128));
    put(&mut wire, b"ssh-ed25519");
    put(&mut wire, public);
    put(&mut wire, &Zeroizing::new([*seed, *public].concat()));
    Pair(wire)
}

/// How long the numbers of a curve are.
fn length_of(curve: &[u8]) -> Option<usize> {
    match curve {
        b"nistp256" => Some(32),
        b"nistp384" => Some(48),
        b"nistp521" => Some(66),
        _ => None,
    }
}

/// A pair from the curve's short name, the public point and the secret number.
pub(super) fn ecdsa(curve: &[u8], point: &[u8], scalar: &[u8]) -> Result<Pair, Bad> {
    if length_of(curve).is_none() {
        let curve = String::from_utf8_lossy(curve);
        return Err(Bad::Kind(curve.chars().filter(char::is_ascii_graphic).take(60).collect()));
    }
    let mut wire = Zeroizing::new(Vec::with_capacity(512));
    put(&mut wire, &[b"ecdsa-sha2-", curve].concat());
    put(&mut wire, curve);
    put(&mut wire, point);
    put_number(&mut wire, scalar);
    let pair = Pair(wire);
    // The library does not compare the halves: what one signs, the other must verify.
    let key = PrivateKey::new(pair.open()?, "").map_err(|_| Bad::Damaged)?;
    let signature = key.try_sign(b"halves of one key").map_err(|_| Bad::Damaged)?;
    let public = key.public_key().key_data();
    public.verify(b"halves of one key", &signature).map_err(|_| Bad::TwoHalves)?;
    Ok(pair)
}

/// The numbers of an RSA key; `inverse` is that of q modulo p.
pub(super) struct Rsa<'a> {
    pub(super) n: &'a [u8],
    pub(super) e: &'a [u8],
    pub(super) d: &'a [u8],
    pub(super) inverse: &'a [u8],
    pub(super) p: &'a [u8],
    pub(super) q: &'a [u8],
}

/// Whether a key with this public half can be used by this build, and may be.
pub(super) fn usable(public: &PublicKey) -> Result<(), Bad> {
    match public.algorithm() {
        "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => Ok(()),
        "ssh-rsa" if public.bits() < RSA_BITS_MIN => Err(Bad::Weak(public.bits())),
        #[cfg(feature = "rsa")]
        "ssh-rsa" => Ok(()),
        #[cfg(not(feature = "rsa"))]
        "ssh-rsa" => Err(Bad::NoRsa),
        other => Err(Bad::Kind(other.to_owned())),
    }
}

/// A pair from its numbers, if they belong together and are large enough.
pub(super) fn rsa(numbers: &Rsa<'_>) -> Result<Pair, Bad> {
    let mut blob = vec![];
    for value in [b"ssh-rsa", numbers.e, numbers.n] {
        put(&mut blob, value);
    }
    usable(&PublicKey::from_blob(&blob).ok_or(Bad::Damaged)?)?;
    assembled(numbers)
}

/// This build has no use for them.
#[cfg(not(feature = "rsa"))]
fn assembled(numbers: &Rsa<'_>) -> Result<Pair, Bad> {
    let Rsa { n, e, d, inverse, p, q } = numbers;
    let whole = [n, e, d, inverse, p, q].iter().all(|number| !number.is_empty());
    Err(if whole { Bad::NoRsa } else { Bad::Damaged })
}

#[cfg(feature = "rsa")]
fn assembled(numbers: &Rsa<'_>) -> Result<Pair, Bad> {
    let mut wire = Zeroizing::new(Vec::with_capacity(8 * numbers.n.len()));
    put(&mut wire, b"ssh-rsa");
    for value in [numbers.n, numbers.e, numbers.d, numbers.inverse, numbers.p, numbers.q] {
        put_number(&mut wire, value);
    }
    let pair = Pair(wire);
    match &pair.open()? {
        KeypairData::Rsa(rsa) if super::rsa::belongs_together(rsa) => Ok(pair),
        _ => Err(Bad::TwoHalves),
    }
}

/// Appends a number that is not negative (RFC 4251 section 5, mpint).
fn put_number(wire: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = number(bytes);
    let mut positive = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    if bytes.first().is_some_and(|byte| *byte >= 0x80) {
        positive.push(0);
    }
    positive.extend_from_slice(bytes);
    put(wire, &positive);
}

/// A number without the zeros before it.
pub(super) fn number(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    &bytes[start..]
}
