use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_795_000_000;
const SECRET: &str = "c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=";

fn key(name: &str, algorithm: TsigAlgorithm, secret: &str) -> TsigSigner {
    TsigSigner::new(&name.parse().unwrap(), algorithm, &Secret::new(secret.to_owned())).unwrap()
}

fn usual() -> TsigSigner {
    key("Update-Key", TsigAlgorithm::HmacSha256, SECRET)
}

/// A question for the transfer of example.org.
fn question() -> Vec<u8> {
    let mut message = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(b"\x07example\x03org\x00\x00\xfc\x00\x01");
    message
}

/// The other side: it signs message after message.
struct Other {
    key: TsigSigner,
    mac: AnyMac,
    is_first: bool,
}

impl Other {
    fn new(key: &TsigSigner, sent: &Signed) -> Self {
        Self { key: key.clone(), mac: key.following(&sent.mac), is_first: true }
    }

    fn answer(number: u8) -> Vec<u8> {
        vec![0, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, number]
    }

    fn unsigned(&mut self, number: u8) -> Vec<u8> {
        let octets = Self::answer(number);
        self.mac.update(&octets);
        octets
    }

    fn signed(&mut self, number: u8, time: u64, error: u16, other: &[u8]) -> Vec<u8> {
        let mut octets = Self::answer(number);
        let values = Values { time, fudge: FUDGE_S, error, other };
        self.mac.update(&octets);
        if std::mem::take(&mut self.is_first) {
            self.mac.update(&values.whole(&self.key.name, self.key.algorithm));
        } else {
            self.mac.update(&values.timers());
        }
        let mac = std::mem::replace(&mut self.mac, AnyMac::None).finish();
        self.mac = self.key.following(&mac);
        octets[11] += 1;
        octets.extend(self.key.record(&values, &mac, [0, 7]));
        octets
    }
}

#[test]
fn what_is_signed_is_what_others_sign() {
    // Reckoned with the hmac module of Python's library over the octets of RFC 8945 section 4.3.3.
    for (algorithm, expected) in [
        (TsigAlgorithm::HmacSha256, "ef21832075f12dcf953e408744653b0e9a353bfb32495b4851def061ec164231"),
        (
            TsigAlgorithm::HmacSha384,
            "380b986245da284c0727dfe82939ca1ce769c9f93a3cee1072fe8fc0d9cd1af56742aa8cba9fdb57d38cfde370c30979",
        ),
        (
            TsigAlgorithm::HmacSha512,
            "336fce17c444d6e76bb69429da783806bd31ce47650c7b362404e048f677d7209f22ff0590a2ce84a2373edcb8acb781df993bd1c3445571859f4b417d18b382",
        ),
    ] {
        let signed = key("Update-Key.", algorithm, SECRET).sign(&question(), NOW).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&signed.mac), expected, "{algorithm:?}");
        assert_eq!(signed.octets[10..12], [0, 1], "one record more");
    }
}

#[test]
fn messages_in_between_may_be_unsigned() {
    let ours = usual();
    let sent = ours.sign(&question(), NOW).unwrap();
    let mut other = Other::new(&ours, &sent);
    let mut verifier = ours.verifier(&sent);
    assert_eq!(verifier.take(&other.signed(1, NOW, 0, &[]), NOW), Ok(true));
    for number in 2..=100 {
        assert_eq!(verifier.take(&other.unsigned(number), NOW), Ok(false));
    }
    let mut patient = verifier.clone();
    assert_eq!(patient.take(&other.signed(101, NOW, 0, &[]), NOW), Ok(true));
    assert_eq!(
        verifier.take(&other.unsigned(101), NOW),
        Err(TsigFault::Missing),
        "a hundred in a row are too many"
    );
    // The first must be signed.
    assert_eq!(ours.verifier(&sent).take(&Other::answer(1), NOW), Err(TsigFault::Missing));
    // A message in between that somebody changed, left out or put in shows at the next signature.
    for tampered in 0..3 {
        let (mut other, mut verifier) = (Other::new(&ours, &sent), ours.verifier(&sent));
        assert_eq!(verifier.take(&other.signed(1, NOW, 0, &[]), NOW), Ok(true));
        let mut between = other.unsigned(2);
        between[26] ^= u8::from(tampered == 0);
        if tampered != 1 {
            assert_eq!(verifier.take(&between, NOW), Ok(false));
        }
        if tampered == 2 {
            assert_eq!(verifier.take(&between, NOW), Ok(false));
        }
        assert_eq!(verifier.take(&other.signed(3, NOW, 0, &[]), NOW), Err(TsigFault::Forged));
    }
}

#[test]
fn every_fault_has_its_name() {
    let ours = usual();
    let sent = ours.sign(&question(), NOW).unwrap();
    let heard = |octets: &[u8]| ours.verifier(&sent).take(octets, NOW);
    let by = |key: &TsigSigner, time, error, other: &[u8]| {
        heard(&Other::new(key, &sent).signed(1, time, error, other))
    };
    assert_eq!(by(&ours, NOW + 300, 0, &[]), Ok(true));
    assert_eq!(by(&ours, NOW - 301, 0, &[]), Err(TsigFault::Stale(301)));
    let clock = [0, 0, 0x6a, 0xfd, 0, 0];
    assert_eq!(by(&ours, NOW, 18, &clock), Err(TsigFault::BadTime(Some(0x6afd_0000))));
    assert_eq!(by(&ours, NOW, 22, &[]), Err(TsigFault::Other(22)));
    assert_eq!(by(&ours, NOW, 16, &[]), Err(TsigFault::BadSig));
    assert_eq!(by(&ours, NOW, 17, &[]), Err(TsigFault::BadKey));
    let secret = "YW5vdGhlciBzZWNyZXQgdGhhdCBwcm90ZWN0cyBub3Q=";
    assert_eq!(
        by(&key("update-key", TsigAlgorithm::HmacSha256, secret), NOW, 0, &[]),
        Err(TsigFault::Forged)
    );
    // A clock that is told by somebody else is none.
    assert_eq!(
        by(&key("update-key", TsigAlgorithm::HmacSha256, secret), NOW, 18, &clock),
        Err(TsigFault::Forged)
    );
    assert_eq!(
        by(&key("other-key", TsigAlgorithm::HmacSha256, SECRET), NOW, 0, &[]),
        Err(TsigFault::OtherKey)
    );
    assert_eq!(
        by(&key("update-key", TsigAlgorithm::HmacSha512, SECRET), NOW, 0, &[]),
        Err(TsigFault::OtherKey)
    );
    // The answer to another question.
    let elsewhere = Signed { mac: vec![0; 32], ..sent.clone() };
    assert_eq!(heard(&Other::new(&ours, &elsewhere).signed(1, NOW, 0, &[])), Err(TsigFault::Forged));
    assert!(!format!("{ours:?}").contains(SECRET));
    assert!(ours.sign(&vec![0; 65_500], NOW).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_octets_panic_and_no_damage_is_believed(at in 0_usize..120, flip in 1_u8.., rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = usual();
        let sent = ours.sign(&question(), NOW).unwrap();
        let _ = ours.verifier(&sent).take(&rest, NOW);
        let whole = Other::new(&ours, &sent).signed(1, NOW, 0, &[]);
        let mut damaged = whole.clone();
        let Some(octet) = damaged.get_mut(at) else { return Ok(()) };
        *octet ^= flip;
        // The identifier in the header is outside of the signature, which has its own copy; letters' case in names is none.
        let is_harmless = at < 2 || damaged.eq_ignore_ascii_case(&whole);
        prop_assert!(is_harmless || ours.verifier(&sent).take(&damaged, NOW).is_err());
        prop_assert!(ours.verifier(&sent).take(&whole[..at.min(whole.len() - 1)], NOW).is_err());
    }
}
