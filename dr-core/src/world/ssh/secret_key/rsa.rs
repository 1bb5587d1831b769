//! RSA by aws-lc-rs, the one crypto backend; the crate that SSH libraries use for it has an open advisory (RUSTSEC-2023-0071).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use russh::keys::ssh_key::private::RsaKeypair;
use zeroize::Zeroizing;

use super::bad::Bad;
use super::der;
use super::pair::{Found, number};
use crate::keys::wire::put;

/// A new key.
pub(super) fn generate(size: KeySize) -> Result<Found, Bad> {
    let made = KeyPair::generate(size).map_err(|_| Bad::Damaged)?;
    let der: Pkcs8V1Der<'_> = made.as_der().map_err(|_| Bad::Damaged)?;
    der::pkcs1(der::rsa_inside(der.as_ref()).ok_or(Bad::Damaged)?)
}

/// Whether the numbers are those of one key.
pub(super) fn belongs_together(pair: &RsaKeypair) -> bool {
    key_pair(pair).is_some()
}

/// A signature as SSH writes it: `rsa-sha2-512` (RFC 8332).
pub(super) fn sign(pair: &RsaKeypair, message: &[u8]) -> Option<Vec<u8>> {
    let key = key_pair(pair)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), message, &mut signature).ok()?;
    let mut blob = Vec::with_capacity(signature.len() + 32);
    put(&mut blob, b"rsa-sha2-512");
    put(&mut blob, &signature);
    Some(blob)
}

fn key_pair(pair: &RsaKeypair) -> Option<KeyPair> {
    let (public, private) = (pair.public(), pair.private());
    let (d, p, q) = (private.d().as_bytes(), number(private.p().as_bytes()), number(private.q().as_bytes()));
    let (exponent_p, exponent_q) = (remainder_less_one(d, p)?, remainder_less_one(d, q)?);
    let numbers: [&[u8]; 9] = [
        &[0],
        public.n().as_bytes(),
        public.e().as_bytes(),
        d,
        p,
        q,
        &exponent_p,
        &exponent_q,
        private.iqmp().as_bytes(),
    ];
    let mut body = Zeroizing::new(Vec::with_capacity(16 * p.len()));
    for value in numbers {
        let value = if value == [0] { value } else { number(value) };
        let sign = usize::from(value.first().is_some_and(|byte| *byte >= 0x80));
        head(&mut body, 0x02, value.len() + sign);
        body.extend_from_slice(&[0][..sign]);
        body.extend_from_slice(value);
    }
    let mut der = Zeroizing::new(Vec::with_capacity(body.len() + 8));
    head(&mut der, 0x30, body.len());
    der.extend_from_slice(&body);
    KeyPair::from_der(&der).ok()
}

/// The tag and the length of a DER value.
fn head(into: &mut Vec<u8>, tag: u8, length: usize) {
    into.push(tag);
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..=0x7f => into.push(low),
        0x80..=0xff => into.extend([0x81, low]),
        _ => into.extend([0x82, high, low]),
    }
}

/// `value` modulo `prime - 1`, for an odd prime: what the formats of SSH leave out and all others have. Takes the same steps whatever the
/// numbers are.
fn remainder_less_one(value: &[u8], prime: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (last, _) = prime.split_last().filter(|(last, _)| **last & 1 == 1)?;
    let mut modulus = Zeroizing::new(vec![0]);
    modulus.reserve_exact(prime.len());
    modulus.extend_from_slice(prime);
    let end = modulus.len() - 1;
    modulus[end] = last & 0xfe;
    let mut rest = Zeroizing::new(vec![0_u8; modulus.len()]);
    let mut less = Zeroizing::new(vec![0_u8; modulus.len()]);
    for byte in value {
        for bit in (0..8).rev() {
            let mut carry = byte >> bit & 1;
            for digit in rest.iter_mut().rev() {
                (*digit, carry) = (*digit << 1 | carry, *digit >> 7);
            }
            let mut borrow = 0_u16;
            for ((digit, of), out) in rest.iter().zip(modulus.iter()).zip(less.iter_mut()).rev() {
                let difference = 0x100 + u16::from(*digit) - u16::from(*of) - borrow;
                (*out, borrow) = (difference.to_be_bytes()[1], 1 - (difference >> 8));
            }
            // All ones where the difference is not negative.
            let taken = 0_u8.wrapping_sub(u8::from(borrow == 0));
            for (digit, new) in rest.iter_mut().zip(less.iter()) {
                *digit = (*digit & !taken) | (new & taken);
            }
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_right() {
        let check = |value: u64, prime: u32| {
            let rest = remainder_less_one(&value.to_be_bytes(), &prime.to_be_bytes()).unwrap();
            let rest = rest.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            assert_eq!(rest, value % u64::from(prime - 1), "{value} mod {prime} - 1");
        };
        for prime in [3, 5, 257, 65_537, 4_294_967_291] {
            for value in [0, 1, u64::from(prime - 1), u64::from(prime), 1 << 40, u64::MAX - 1, u64::MAX] {
                check(value, prime);
            }
        }
    }
}
