//! Keys, signatures and delegation signers of a zone, from their presentation (RFC 4034).

use data_encoding::{BASE64, HEXLOWER};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384};

/// A zone's key (DNSKEY, CDNSKEY).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZoneKey {
    pub(super) flags: u16,
    pub(super) algorithm: u8,
    wire: Vec<u8>,
    public: Vec<u8>,
}

impl ZoneKey {
    /// None if it is not the data of a key.
    pub(super) fn from_rdata(rdata: &str) -> Option<Self> {
        let mut fields = rdata.split(' ');
        let flags: u16 = fields.next()?.parse().ok()?;
        let protocol: u8 = fields.next()?.parse().ok()?;
        let algorithm: u8 = fields.next()?.parse().ok()?;
        let public = BASE64.decode(fields.next()?.as_bytes()).ok()?;
        let mut wire = flags.to_be_bytes().to_vec();
        wire.extend([protocol, algorithm]);
        wire.extend(&public);
        Some(Self { flags, algorithm, wire, public })
    }

    /// The key itself.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// RFC 4034 appendix B.
    pub(super) fn tag(&self) -> u16 {
        let sum: u32 = self
            .wire
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
            .fold(0, u32::wrapping_add);
        let [_, _, high, low] = (sum + (sum >> 16 & 0xffff)).to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Whether it is a key of the zone (RFC 4034 section 2.1.1) that was not revoked (RFC 5011 section 3).
    pub(super) fn is_in_use(&self) -> bool {
        self.flags & 0x0100 != 0 && self.flags & 0x0080 == 0
    }

    /// Bits of the modulus of an RSA key (RFC 3110 section 2); none for other kinds.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        if !matches!(self.algorithm, 1 | 5 | 7 | 8 | 10) {
            return None;
        }
        let (exponent, rest) = match self.public.as_slice() {
            [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            [length, rest @ ..] => (usize::from(*length), rest),
            [] => return None,
        };
        let modulus = rest.get(exponent..)?;
        let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
        let first = modulus.get(zeros)?;
        Some((modulus.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0))
    }

    /// Why the algorithm should not be used any more (RFC 8624 section 3.1, RFC 9905); none if it is fine.
    pub(super) fn weakness(&self) -> Option<String> {
        match self.algorithm {
            1 => Some("RSAMD5".to_owned()),
            3 | 6 => Some("DSA".to_owned()),
            5 | 7 => Some("RSASHA1".to_owned()),
            12 => Some("GOST R 34.10-2001".to_owned()),
            _ => self.rsa_bits().filter(|bits| *bits < 2048).map(|bits| format!("RSA with {bits} bits")),
        }
    }
}

/// A delegation signer (DS, CDS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) tag: u16,
    pub(super) algorithm: u8,
    pub(super) digest_type: u8,
    digest: String,
}

impl Signer {
    /// None if it is not the data of a DS record.
    pub(super) fn from_rdata(rdata: &str) -> Option<Self> {
        let mut fields = rdata.split(' ');
        Some(Self {
            tag: fields.next()?.parse().ok()?,
            algorithm: fields.next()?.parse().ok()?,
            digest_type: fields.next()?.parse().ok()?,
            digest: fields.next()?.to_owned(),
        })
    }

    /// Whether it stands for this key of this zone. A digest that we cannot compute is believed.
    pub(super) fn is_of(&self, zone: &str, key: &ZoneKey) -> bool {
        if self.tag != key.tag() || self.algorithm != key.algorithm {
            return false;
        }
        let mut signed: Vec<u8> = vec![];
        for label in zone.split('.').filter(|label| !label.is_empty()) {
            signed.extend(u8::try_from(label.len()).ok());
            signed.extend(label.as_bytes());
        }
        signed.push(0);
        signed.extend(&key.wire);
        let digest = match self.digest_type {
            1 => HEXLOWER.encode(&Sha1::digest(&signed)),
            2 => HEXLOWER.encode(&Sha256::digest(&signed)),
            4 => HEXLOWER.encode(&Sha384::digest(&signed)),
            _ => return true,
        };
        digest == self.digest
    }

    /// RFC 8080 asks validators to leave out a key that a CDS record of all zeros takes away (RFC 8078 section 4).
    pub(super) fn is_removal(&self) -> bool {
        self.algorithm == 0
    }
}

/// A signature (RRSIG).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) covers: u16,
    pub(super) algorithm: u8,
    /// Seconds since 1970, with the order of serial numbers (RFC 4034 section 3.1.5).
    pub(super) until: u32,
    pub(super) from: u32,
    pub(super) tag: u16,
}

impl Signature {
    /// None if it is not the data of a signature.
    pub(super) fn from_rdata(rdata: &str) -> Option<Self> {
        let fields: Vec<&str> = rdata.split(' ').collect();
        let [covers, algorithm, _labels, _ttl, until, from, tag, _signer, _signature] = fields.as_slice()
        else {
            return None;
        };
        Some(Self {
            covers: covers.parse().ok()?,
            algorithm: algorithm.parse().ok()?,
            until: until.parse().ok()?,
            from: from.parse().ok()?,
            tag: tag.parse().ok()?,
        })
    }

    /// Seconds from `now` until it ends, negative when it has.
    pub(super) fn left(&self, now: u32) -> i32 {
        self.until.wrapping_sub(now).cast_signed()
    }

    /// Seconds since it began to be valid, negative when that is to come.
    pub(super) fn age(&self, now: u32) -> i32 {
        now.wrapping_sub(self.from).cast_signed()
    }

    /// Seconds for which it is valid.
    pub(super) fn span(&self) -> u32 {
        self.until.wrapping_sub(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4034 section 5.4.
    const KEY: &str = "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";

    #[test]
    fn the_key_and_signer_of_the_rfc() {
        let key = ZoneKey::from_rdata(KEY).unwrap();
        assert_eq!((key.tag(), key.rsa_bits(), key.is_in_use()), (60485, Some(1024), true));
        let signer = |text: &str| Signer::from_rdata(text).unwrap();
        let good = signer("60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118");
        assert!(good.is_of("dskey.example.com", &key) && !good.is_of("other.example.com", &key));
        let sha256 = signer("60485 5 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a");
        assert!(sha256.is_of("dskey.example.com", &key), "RFC 4509 section 2.3");
        assert!(!signer("60485 5 1 00").is_of("dskey.example.com", &key));
    }

    #[test]
    fn times_of_signatures_go_round() {
        let signature = Signature::from_rdata("6 13 2 300 100 4294967196 7 example.org AA==").unwrap();
        assert_eq!((signature.left(0), signature.age(0), signature.span()), (100, 100, 200));
        assert_eq!(signature.left(150), -50);
    }
}
