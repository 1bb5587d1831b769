//! Signatures of zones, verified by aws-lc-rs.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// Whether a key of a zone has signed these octets; none for an algorithm that is not known. Key and signature are as DNS has them (RFC 3110,
/// RFC 6605, RFC 8080). That an algorithm or a length is weak is not asked here.
pub(crate) fn verify(algorithm: u8, key: &[u8], octets: &[u8], signature: &[u8]) -> Option<bool> {
    let by = |with: &'static dyn VerificationAlgorithm, key: &[u8]| {
        Some(UnparsedPublicKey::new(with, key).verify(octets, signature).is_ok())
    };
    // An uncompressed point (SEC 1 section 2.3.4), which DNS leaves unsaid.
    let point = || [&[4], key].concat();
    match algorithm {
        5 | 7 => rsa(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key, octets, signature),
        8 => rsa(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key, octets, signature),
        10 => rsa(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, key, octets, signature),
        13 => by(&ECDSA_P256_SHA256_FIXED, &point()),
        14 => by(&ECDSA_P384_SHA384_FIXED, &point()),
        15 => by(&ED25519, key),
        _ => None,
    }
}

fn rsa(with: &'static RsaParameters, key: &[u8], octets: &[u8], signature: &[u8]) -> Option<bool> {
    let (length, rest) = match key {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return Some(false),
    };
    let Some((e, n)) = rest.split_at_checked(length) else { return Some(false) };
    Some(RsaPublicKeyComponents { n, e }.verify(with, octets, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn garbage_verifies_nothing_and_harms_nothing() {
        for algorithm in 0..=255_u8 {
            for key in [&[][..], &[0], &[0, 0, 9, 1], &[1, 3, 5], &[255; 64], &[7; 32]] {
                assert_ne!(verify(algorithm, key, b"records", &[1; 64]), Some(true), "{algorithm} {key:?}");
            }
        }
        assert_eq!(verify(16, &[1; 57], b"", &[]), None, "Ed448 is not known here");
    }

    #[test]
    fn one_octet_more_is_another_message() {
        // The first example of RFC 8032 section 7.1: an empty message.
        let [key, signature] = [
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ]
        .map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap());
        assert_eq!(verify(15, &key, b"", &signature), Some(true));
        assert_eq!(verify(15, &key, b"x", &signature), Some(false));
    }
}
