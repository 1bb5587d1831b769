//! Signatures of messages (RFC 8945), ours made and theirs verified: octets and a time in, octets or a verdict out.
//!
//! An answer may come in many messages (a transfer), of which up to 99 in a row need not be signed (section 5.3.1): a [`Verifier`] takes
//! them one after another, and says at the end whether everything was covered.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::message::{Message, name_at, name_text, number16};
use crate::estate::{DnsName, TsigAlgorithm};
use crate::secret::Secret;

/// How far apart the clocks may be, in seconds (RFC 8945 section 10 recommends it).
pub const FUDGE_S: u16 = 300;
/// The type of the record.
const TSIG: u16 = 250;
const ANY: u16 = 255;
/// So many messages in a row may be without a signature (section 5.3.1).
const UNSIGNED_MAX: u32 = 99;

/// A key, ready to sign and to verify.
///
/// ```
/// use dr_core::dns::{TsigSigner, TsigFault};
/// use dr_core::{Secret, estate::TsigAlgorithm};
/// let secret = Secret::new("c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=".to_owned());
/// let key = TsigSigner::new(&"update-key".parse().unwrap(), TsigAlgorithm::HmacSha256, &secret).unwrap();
/// let question = [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// let sent = key.sign(&question, 1_795_000_000).unwrap();
/// // What comes back without a signature is not believed.
/// assert_eq!(key.verifier(&sent).take(&[0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1_795_000_000), Err(TsigFault::Missing));
/// ```
#[derive(Clone)]
pub struct TsigSigner {
    name: Vec<u8>,
    algorithm: TsigAlgorithm,
    secret: Secret,
}

/// A message as it went out.
///
/// ```
/// use dr_core::dns::Signed;
/// assert!(Signed { octets: vec![0; 12], mac: vec![] }.mac.is_empty(), "without a key there is no signature");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The whole message.
    pub octets: Vec<u8>,
    /// Its signature, which that of the answer covers too.
    pub mac: Vec<u8>,
}

/// Why an answer is not to be believed, or why ours was not.
///
/// ```
/// use dr_core::dns::TsigFault;
/// assert_eq!(TsigFault::BadKey.to_string(), "it does not know the key (BADKEY)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TsigFault {
    /// They say that they do not know the key (BADKEY).
    BadKey,
    /// They say that our signature is wrong (BADSIG): the secrets differ.
    BadSig,
    /// They say that our clock is wrong (BADTIME); theirs, in seconds since 1970, if they told it and signed that.
    BadTime(Option<u64>),
    /// They say another error of TSIG, by its number.
    Other(u16),
    /// There is no signature where there must be one.
    Missing,
    /// It is signed with another key or algorithm than ours.
    OtherKey,
    /// The signature does not fit: somebody else made it, or changed the message.
    Forged,
    /// The signature fits, and is so many seconds old, or from the future.
    Stale(u64),
    /// It cannot be read, and why.
    Malformed(&'static str),
}

impl std::fmt::Display for TsigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadKey => f.write_str("it does not know the key (BADKEY)"),
            Self::BadSig => f.write_str("it finds our signature wrong (BADSIG)"),
            Self::BadTime(_) => f.write_str("its clock and ours are too far apart (BADTIME)"),
            Self::Other(number) => write!(f, "it does not accept our signature (TSIG error {number})"),
            Self::Missing => f.write_str("it is not signed"),
            Self::OtherKey => f.write_str("it is signed with another key"),
            Self::Forged => f.write_str("its signature does not fit"),
            Self::Stale(seconds) => write!(f, "its signature is {seconds} s old, or from the future"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl TsigSigner {
    /// A key by its name, with its secret in base64; the error says what is wrong with that.
    pub fn new(name: &DnsName, algorithm: TsigAlgorithm, secret: &Secret) -> Result<Self, String> {
        let decoded = data_encoding::BASE64
            .decode(secret.reveal().trim().as_bytes())
            .map_err(|_| "its secret is not base64".to_owned())?;
        if decoded.is_empty() {
            return Err("its secret is empty".to_owned());
        }
        let name = super::rdata::name_to_wire(name.as_str())?;
        Ok(Self { name, algorithm, secret: secret.clone() })
    }

    /// How many octets a signature adds to a message (RFC 8945 section 4.2), which is known without the secret.
    pub(crate) fn added_octets(name: &DnsName, algorithm: TsigAlgorithm) -> Result<usize, String> {
        const TIMES_AND_NUMBERS: usize = 10 + 6 + 2 + 2 + 2 + 2 + 2;
        let mac = match algorithm {
            TsigAlgorithm::HmacSha256 => 32,
            TsigAlgorithm::HmacSha384 => 48,
            TsigAlgorithm::HmacSha512 => 64,
        };
        let name = super::rdata::name_to_wire(name.as_str())?;
        Ok(name.len() + algorithm_name(algorithm).len() + TIMES_AND_NUMBERS + mac)
    }

    /// Signs a message that has no signature yet, at this time in seconds since 1970. The error says that it does not fit.
    pub fn sign(&self, message: &[u8], now: u64) -> Result<Signed, String> {
        let mut mac = self.mac();
        mac.update(message);
        let values = Values { time: now, fudge: FUDGE_S, error: 0, other: &[] };
        mac.update(&values.whole(&self.name, self.algorithm));
        let mac = mac.finish();
        let mut octets = message.to_vec();
        let additional = number16(message, 10)?.checked_add(1).ok_or("it has too many records")?;
        octets.get_mut(10..12).ok_or("it is too short")?.copy_from_slice(&additional.to_be_bytes());
        octets.extend(self.record(&values, &mac, [message[0], message[1]]));
        if octets.len() > usize::from(u16::MAX) {
            return Err("it does not fit into one message of 65,535 octets".to_owned());
        }
        Ok(Signed { octets, mac })
    }

    /// What verifies the answer to a message that this key has signed.
    #[must_use]
    pub fn verifier(&self, sent: &Signed) -> Verifier {
        Verifier { key: self.clone(), mac: self.following(&sent.mac), is_first: true, unsigned: 0 }
    }

    fn record(&self, values: &Values<'_>, mac: &[u8], id: [u8; 2]) -> Vec<u8> {
        let mut data = algorithm_name(self.algorithm);
        data.extend(values.timers());
        data.extend(length(mac));
        data.extend(mac);
        data.extend(id);
        data.extend(values.error.to_be_bytes());
        data.extend(length(values.other));
        data.extend(values.other);
        let mut record = self.name.clone();
        record.extend(TSIG.to_be_bytes());
        record.extend(ANY.to_be_bytes());
        record.extend([0; 4]);
        record.extend(length(&data));
        record.extend(data);
        record
    }

    fn mac(&self) -> AnyMac {
        let decoded = data_encoding::BASE64.decode(self.secret.reveal().trim().as_bytes());
        AnyMac::new(self.algorithm, &zeroize::Zeroizing::new(decoded.unwrap_or_default()))
    }

    /// A signature over something that follows another.
    fn following(&self, before: &[u8]) -> AnyMac {
        let mut mac = self.mac();
        mac.update(&length(before));
        mac.update(before);
        mac
    }
}

impl std::fmt::Debug for TsigSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TsigSigner({}, {:?})", name_text(&self.name).unwrap_or_default(), self.algorithm)
    }
}

/// Takes the messages of an answer one after another; [`TsigSigner`] shows how.
///
/// ```
/// use dr_core::dns::{Signed, TsigFault, TsigSigner};
/// use dr_core::{Secret, estate::TsigAlgorithm};
/// let secret = Secret::new("c2VjcmV0".to_owned());
/// let key = TsigSigner::new(&"key".parse().unwrap(), TsigAlgorithm::HmacSha512, &secret).unwrap();
/// let mut verifier = key.verifier(&Signed { octets: vec![], mac: vec![1; 64] });
/// assert!(matches!(verifier.take(b"garbage", 0), Err(TsigFault::Malformed(_))));
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    key: TsigSigner,
    mac: AnyMac,
    is_first: bool,
    unsigned: u32,
}

impl Verifier {
    /// Takes the next message, which came at this time in seconds since 1970. True: everything so far is covered by a signature; false:
    /// this message is not signed, and a later one has to cover it.
    pub fn take(&mut self, octets: &[u8], now: u64) -> Result<bool, TsigFault> {
        let message = Message::read(octets).map_err(|_| TsigFault::Malformed("it cannot be read"))?;
        let tsig = message.last.as_ref().filter(|record| record.rtype == TSIG);
        let Some(record) = tsig else {
            self.unsigned += 1;
            if self.is_first || self.unsigned > UNSIGNED_MAX {
                return Err(TsigFault::Missing);
            }
            self.mac.update(octets);
            return Ok(false);
        };
        if record.class != ANY || record.ttl != 0 {
            return Err(TsigFault::Malformed("its signature is malformed"));
        }
        let data = octets.get(record.data.clone()).unwrap_or_default();
        let theirs = Theirs::read(octets, record.data.start, data)
            .ok_or(TsigFault::Malformed("its signature cannot be read"))?;
        // Who does not know the key, or finds our signature wrong, cannot sign (sections 5.2.1 and 5.2.2).
        match theirs.values.error {
            16 => return Err(TsigFault::BadSig),
            17 => return Err(TsigFault::BadKey),
            _ => {}
        }
        if record.owner != self.key.name || theirs.algorithm != algorithm_name(self.key.algorithm) {
            return Err(TsigFault::OtherKey);
        }
        self.mac.update(&theirs.id);
        self.mac.update(octets.get(2..10).unwrap_or_default());
        let additional = number16(octets, 10).unwrap_or_default().saturating_sub(1);
        self.mac.update(&additional.to_be_bytes());
        self.mac.update(octets.get(12..record.begins).unwrap_or_default());
        if self.is_first {
            self.mac.update(&theirs.values.whole(&self.key.name, self.key.algorithm));
        } else {
            self.mac.update(&theirs.values.timers());
        }
        let next = self.key.following(theirs.mac);
        // A shortened signature is not accepted; the comparison takes the same time whatever differs.
        if !std::mem::replace(&mut self.mac, next).is(theirs.mac) {
            return Err(TsigFault::Forged);
        }
        (self.is_first, self.unsigned) = (false, 0);
        match theirs.values.error {
            0 => {}
            18 => return Err(TsigFault::BadTime(theirs.clock())),
            number => return Err(TsigFault::Other(number)),
        }
        let apart = now.abs_diff(theirs.values.time);
        if apart > u64::from(theirs.values.fudge) { Err(TsigFault::Stale(apart)) } else { Ok(true) }
    }
}

/// What a signature covers beside the message.
#[derive(Debug)]
struct Values<'a> {
    time: u64,
    fudge: u16,
    error: u16,
    other: &'a [u8],
}

impl Values<'_> {
    /// The variables of the first signature (section 4.3.3).
    fn whole(&self, name: &[u8], algorithm: TsigAlgorithm) -> Vec<u8> {
        let mut octets = name.to_vec();
        octets.extend(ANY.to_be_bytes());
        octets.extend([0; 4]);
        octets.extend(algorithm_name(algorithm));
        octets.extend(self.timers());
        octets.extend(self.error.to_be_bytes());
        octets.extend(length(self.other));
        octets.extend(self.other);
        octets
    }

    /// All that later ones have (section 5.3.1).
    fn timers(&self) -> [u8; 8] {
        let [_, _, a, b, c, d, e, f] = self.time.to_be_bytes();
        let [high, low] = self.fudge.to_be_bytes();
        [a, b, c, d, e, f, high, low]
    }
}

/// The record of the other side.
struct Theirs<'a> {
    algorithm: Vec<u8>,
    values: Values<'a>,
    mac: &'a [u8],
    id: [u8; 2],
}

impl<'a> Theirs<'a> {
    fn read(octets: &[u8], begins: usize, data: &'a [u8]) -> Option<Self> {
        let (algorithm, after) = name_at(octets, begins).ok()?;
        let mut rest = data.get(after.checked_sub(begins)?..)?;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at_checked(count)?;
            rest = left;
            Some(taken)
        };
        let number = |octets: &[u8]| octets.iter().fold(0_u64, |all, octet| all << 8 | u64::from(*octet));
        let time = number(take(6)?);
        let fudge = u16::try_from(number(take(2)?)).ok()?;
        let length = usize::try_from(number(take(2)?)).ok()?;
        let mac = take(length)?;
        let id = take(2)?.try_into().ok()?;
        let error = u16::try_from(number(take(2)?)).ok()?;
        let length = usize::try_from(number(take(2)?)).ok()?;
        let other = take(length)?;
        rest.is_empty().then_some(Self { algorithm, values: Values { time, fudge, error, other }, mac, id })
    }

    /// With BADTIME they tell their clock, in 48 bits (section 5.2.3).
    fn clock(&self) -> Option<u64> {
        let [a, b, c, d, e, f] = *self.values.other else { return None };
        Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

#[derive(Clone)]
enum AnyMac {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
    /// A key of no length that the hash takes; there is none. It equals nothing.
    None,
}

impl AnyMac {
    fn new(algorithm: TsigAlgorithm, secret: &[u8]) -> Self {
        let made = match algorithm {
            TsigAlgorithm::HmacSha256 => Hmac::new_from_slice(secret).map(Self::Sha256),
            TsigAlgorithm::HmacSha384 => Hmac::new_from_slice(secret).map(Self::Sha384),
            TsigAlgorithm::HmacSha512 => Hmac::new_from_slice(secret).map(Self::Sha512),
        };
        made.unwrap_or(Self::None)
    }

    fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(octets),
            Self::Sha384(mac) => mac.update(octets),
            Self::Sha512(mac) => mac.update(octets),
            Self::None => {}
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha384(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => mac.finalize().into_bytes().to_vec(),
            Self::None => vec![],
        }
    }

    fn is(self, signature: &[u8]) -> bool {
        match self {
            Self::Sha256(mac) => mac.verify_slice(signature).is_ok(),
            Self::Sha384(mac) => mac.verify_slice(signature).is_ok(),
            Self::Sha512(mac) => mac.verify_slice(signature).is_ok(),
            Self::None => false,
        }
    }
}

impl std::fmt::Debug for AnyMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyMac(..)")
    }
}

/// The name of the algorithm in octets.
fn algorithm_name(algorithm: TsigAlgorithm) -> Vec<u8> {
    let label = match algorithm {
        TsigAlgorithm::HmacSha256 => "hmac-sha256",
        TsigAlgorithm::HmacSha384 => "hmac-sha384",
        TsigAlgorithm::HmacSha512 => "hmac-sha512",
    };
    let mut name = vec![11];
    name.extend(label.as_bytes());
    name.push(0);
    name
}

/// A length of at most 65,535 octets in two; nothing longer is ever signed or taken apart here.
fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
