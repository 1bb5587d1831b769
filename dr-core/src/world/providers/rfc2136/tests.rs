use std::collections::BTreeMap;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm as Algorithm, TsigError};
use hickory_proto::rr::{Name, TSigResponseContext, TSigner};
use proptest::prelude::*;

use super::outcome::{Refusal, Verdict, hear};
use super::seal::{Sent, seal};
use super::update;
use crate::dns::{SetChange, Signed, TsigSigner, ZoneChange};
use crate::error::ErrorKind;
use crate::estate::{RecordKey, RecordSet, RecordType, TsigAlgorithm};
use crate::secret::Secret;
use crate::world::Provider;

const NOW: u64 = 1_795_000_000;
const SECRET: &str = "c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=";
const OTHER: &str = "YW5vdGhlciBzZWNyZXQgdGhhdCBwcm90ZWN0cyBub3Q=";

fn address(owner: &str, data: &str) -> RecordSet {
    RecordSet::new(owner.parse().unwrap(), RecordType::A, 60, [data])
}

fn change(from: Option<RecordSet>, to: Option<RecordSet>) -> ZoneChange {
    let key = from.as_ref().or(to.as_ref()).unwrap().key();
    ZoneChange {
        zone: "example.org".parse().unwrap(),
        primary: "192.0.2.53:53".parse().unwrap(),
        key: Some("update-key".parse().unwrap()),
        through: None,
        require: vec![],
        sets: vec![SetChange { key, from, to }],
    }
}

fn usual() -> ZoneChange {
    change(Some(address("www.example.org", "192.0.2.1")), Some(address("www.example.org", "192.0.2.2")))
}

/// Our signer, and as a peer the wire library's.
struct Signer(TSigner, TsigSigner);

fn signer(algorithm: TsigAlgorithm, secret: &str) -> Signer {
    let key = data_encoding::BASE64.decode(secret.as_bytes()).unwrap();
    let wire = match algorithm {
        TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
    };
    let theirs = TSigner::new(key, wire, Name::from_ascii("update-key.").unwrap(), 300).unwrap();
    let ours = TsigSigner::new(&"update-key".parse().unwrap(), algorithm, &Secret::new(secret.to_owned()));
    Signer(theirs, ours.unwrap())
}

fn sent(signer: &Signer) -> Sent {
    seal(&update::change(&usual(), 7).unwrap(), Some(&signer.1), NOW).unwrap()
}

#[test]
fn the_wire_library_signs_alike() {
    for algorithm in [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512] {
        let ours = signer(algorithm, SECRET);
        let mut message = update::change(&usual(), 7).unwrap();
        message.finalize(&ours.0, NOW).unwrap();
        assert_eq!(sent(&ours).signed.octets, message.to_vec().unwrap(), "{algorithm:?}");
    }
}

/// What a primary answers that signs at `time` with its own idea of the key.
fn response(
    sent: &Sent,
    rcode: ResponseCode,
    theirs: &Signer,
    time: u64,
    error: Option<TsigError>,
) -> Vec<u8> {
    let mut message = Message::response(sent.id, OpCode::Update);
    message.metadata.response_code = rcode;
    let context = TSigResponseContext::new(sent.id, time, theirs.0.clone(), sent.signed.mac.clone(), error);
    message.set_signature(context.sign(&message.to_vec().unwrap()).unwrap());
    message.to_vec().unwrap()
}

#[test]
fn a_signed_answer_is_believed_with_every_algorithm() {
    use TsigAlgorithm::{HmacSha256, HmacSha384, HmacSha512};
    for algorithm in [HmacSha256, HmacSha384, HmacSha512] {
        let ours = signer(algorithm, SECRET);
        let sent = sent(&ours);
        let octets = response(&sent, ResponseCode::NoError, &ours, NOW + 299, None);
        assert!(matches!(hear(&octets, &sent, Some(&ours.1), NOW), Some(Verdict::Done)), "{algorithm:?}");
        let octets = response(&sent, ResponseCode::NXRRSet, &ours, NOW, None);
        let verdict = hear(&octets, &sent, Some(&ours.1), NOW);
        assert!(matches!(verdict, Some(Verdict::Prerequisite { rcode }) if rcode == "NXRRSET"));
    }
}

#[test]
fn what_is_not_signed_by_the_primary_settles_nothing() {
    let ours = signer(TsigAlgorithm::HmacSha256, SECRET);
    let sent = sent(&ours);
    let unknown = |octets: &[u8]| {
        let verdict = hear(octets, &sent, Some(&ours.1), NOW);
        assert!(matches!(verdict, Some(Verdict::Unknown(_))), "{verdict:?}");
    };
    for rcode in [ResponseCode::NoError, ResponseCode::YXRRSet, ResponseCode::NXDomain] {
        let mut bare = Message::response(sent.id, OpCode::Update);
        bare.metadata.response_code = rcode;
        unknown(&bare.to_vec().unwrap());
        unknown(&response(&sent, rcode, &signer(TsigAlgorithm::HmacSha256, OTHER), NOW, None));
        unknown(&response(&sent, rcode, &signer(TsigAlgorithm::HmacSha512, SECRET), NOW, None));
        unknown(&response(&sent, rcode, &ours, NOW - 301, None));
        unknown(&response(&sent, rcode, &ours, NOW + 301, None));
        let elsewhere = Sent { id: sent.id, signed: Signed { mac: vec![0; 32], octets: vec![] } };
        unknown(&response(&elsewhere, rcode, &ours, NOW, None));
        let mut changed = response(&sent, rcode, &ours, NOW, None);
        changed[3] ^= 0x80;
        unknown(&changed);
    }
    unknown(&response(&sent, ResponseCode::NoError, &ours, NOW, None)[..20]);
    // Another identifier is another conversation.
    let mut stranger = Message::response(sent.id + 1, OpCode::Update);
    stranger.metadata.message_type = MessageType::Response;
    assert!(hear(&stranger.to_vec().unwrap(), &sent, Some(&ours.1), NOW).is_none());
}

#[test]
fn every_refusal_has_its_words_and_its_cure() {
    let ours = signer(TsigAlgorithm::HmacSha256, SECRET);
    let sent = sent(&ours);
    let contexts = [
        (
            TSigResponseContext::unknown_key(7, NOW, ours.0.signer_name().clone()),
            "does not know the key 'update-key' (BADKEY)",
        ),
        (TSigResponseContext::bad_signature(7, NOW, ours.0.clone()), "(BADSIG)"),
    ];
    let words = |octets: &[u8]| match hear(octets, &sent, Some(&ours.1), NOW) {
        Some(Verdict::Refused(refusal)) => {
            let error = refusal.into_error(&usual(), "change it");
            assert_eq!(error.kind(), ErrorKind::Rejected);
            format!("{}; {}", error.message(), error.advice().unwrap())
        }
        other => panic!("{other:?}"),
    };
    for (context, says) in contexts {
        let mut message = Message::response(7, OpCode::Update);
        message.metadata.response_code = ResponseCode::NotAuth;
        message.set_signature(context.sign(&[]).unwrap());
        assert!(words(&message.to_vec().unwrap()).contains(says), "{says}");
    }
    let late = response(&sent, ResponseCode::NotAuth, &ours, NOW, Some(TsigError::BadTime));
    assert!(words(&late).contains("BADTIME"));
    for (rcode, says) in [
        (ResponseCode::Refused, "update-policy"),
        (ResponseCode::NotAuth, "192.0.2.53:53 is the primary of example.org"),
        (ResponseCode::NotZone, "NOTZONE"),
        (ResponseCode::ServFail, "could not store"),
        (ResponseCode::NotImp, "does not take dynamic updates"),
        (ResponseCode::FormErr, "FORMERR"),
    ] {
        // Several servers do not sign these.
        let mut bare = Message::response(sent.id, OpCode::Update);
        bare.metadata.response_code = rcode;
        assert!(words(&bare.to_vec().unwrap()).contains(says), "{says}");
    }
    let apart = Refusal::Clock(Some(4000)).into_error(&usual(), "change it");
    assert!(apart.message().contains("4000 s apart"));
}

#[test]
fn a_change_that_makes_no_sense_is_not_sent() {
    let www = || address("www.example.org", "192.0.2.1");
    let ns = || RecordSet::new("example.org".parse().unwrap(), RecordType::NS, 60, ["ns1.example.org"]);
    let soa = RecordSet::new("example.org".parse().unwrap(), RecordType::SOA, 60, ["a b 1 2 3 4 5"]);
    let mut nothing = usual();
    nothing.sets.clear();
    let mut other_key = usual();
    other_key.sets[0].key = RecordKey::new("other.example.org".parse().unwrap(), RecordType::A);
    let mut outside = usual();
    outside.require.push(address("www.example.com", "192.0.2.1"));
    for (change, says) in [
        (nothing, "no record set"),
        (other_key, "two record sets"),
        (outside, "not in the zone"),
        (change(None, Some(address("notexample.org", "192.0.2.1"))), "not in the zone"),
        (change(Some(www()), Some(RecordSet { rdata: [].into(), ..www() })), "at least one"),
        (change(Some(www()), Some(RecordSet { ttl: 1 << 31, ..www() })), "2147483647"),
        (change(Some(www()), Some(address("www.example.org", "no address"))), "IPv4"),
        (change(Some(ns()), None), "without it"),
        (change(Some(soa), None), "without it"),
    ] {
        let why = update::change(&change, 1).unwrap_err();
        assert!(why.contains(says), "{why}");
    }
    let many =
        RecordSet { rdata: (0..9000).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect(), ..www() };
    let message = update::change(&change(None, Some(many)), 1).unwrap();
    assert!(
        seal(&message, Some(&signer(TsigAlgorithm::HmacSha256, SECRET).1), NOW)
            .is_err_and(|why| why.contains("65,535"))
    );
}

/// A change of so many long records and two that are short, and get longer by one octet with each of `more`.
fn of_length(records: usize, more: usize) -> ZoneChange {
    let (rtype, owner) = (RecordType::TXT, "www.example.org".parse().unwrap());
    let text = |number: usize, length: usize| format!("\"{number:03}{}\"", "x".repeat(length));
    let mut set = RecordSet::new(owner, rtype, 60, (0..records).map(|number| text(number, 250)));
    set.rdata.extend([text(998, more.min(250)), text(999, more.saturating_sub(250))]);
    change(None, Some(set))
}

#[test]
fn what_does_not_fit_with_its_signature_is_refused_at_planning() {
    for algorithm in [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512] {
        let signer = signer(algorithm, SECRET).1;
        let secret = Secret::new(SECRET.to_owned());
        let provider =
            super::Rfc2136::new(BTreeMap::from([("update-key".parse().unwrap(), (algorithm, secret))]));
        let sealed = |change: &ZoneChange| seal(&update::change(change, 7).unwrap(), Some(&signer), NOW);
        let records = (1..500).take_while(|records| sealed(&of_length(*records, 0)).is_ok()).last().unwrap();
        let lengths: Vec<usize> = (0..500)
            .map_while(|more| {
                let change = of_length(records, more);
                let sealed = sealed(&change).ok();
                assert_eq!(provider.fits(&change).is_ok(), sealed.is_some(), "{more} more");
                sealed.map(|sent| sent.signed.octets.len())
            })
            .collect();
        assert_eq!(lengths.last(), Some(&65_535), "{algorithm:?}: the longest that was sealed");
        let longer = of_length(records, lengths.len());
        let why = provider.fits(&longer).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Usage);
        assert!(why.to_string().contains("65,535") && sealed(&longer).is_err(), "{why}");
        // Without a key there is room for it; without the secret it is not known how much.
        assert!(provider.fits(&ZoneChange { key: None, ..longer }).is_ok());
        let elsewhere = super::Rfc2136::new(BTreeMap::new());
        let longest = of_length(records, lengths.len() - 1);
        assert_eq!(elsewhere.fits(&longest).is_ok(), algorithm == TsigAlgorithm::HmacSha512);
    }
}

#[test]
fn a_secret_that_is_none_is_refused_and_never_shown() {
    for secret in ["", "not base64!"] {
        let secret = Secret::new(secret.to_owned());
        assert!(TsigSigner::new(&"k".parse().unwrap(), TsigAlgorithm::HmacSha256, &secret).is_err());
    }
    let keys =
        BTreeMap::from([("k".parse().unwrap(), (TsigAlgorithm::HmacSha256, Secret::new(SECRET.to_owned())))]);
    assert!(!format!("{:?}", super::Rfc2136::new(keys)).contains(SECRET));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_answer_panics(octets in prop::collection::vec(any::<u8>(), 0..200), counts in any::<[u8; 8]>()) {
        let ours = signer(TsigAlgorithm::HmacSha256, SECRET);
        let sent = sent(&ours);
        let _ = hear(&octets, &sent, Some(&ours.1), NOW);
        let mut behind_a_header = Message::response(sent.id, OpCode::Update).to_vec().unwrap();
        behind_a_header[4..12].copy_from_slice(&counts);
        behind_a_header.extend(octets);
        let _ = hear(&behind_a_header, &sent, Some(&ours.1), NOW);
    }

    #[test]
    fn no_damage_to_a_signed_answer_panics_or_is_believed(at in 0_usize..200, flip in 1_u8.., cut in 0_usize..200) {
        let ours = signer(TsigAlgorithm::HmacSha256, SECRET);
        let sent = sent(&ours);
        let whole = response(&sent, ResponseCode::NoError, &ours, NOW, None);
        let mut damaged = whole.clone();
        let Some(octet) = damaged.get_mut(at) else { return Ok(()) };
        *octet ^= flip;
        let verdict = hear(&damaged, &sent, Some(&ours.1), NOW);
        // The identifier in the header is outside the signature, which has its own copy.
        let harmless = damaged.eq_ignore_ascii_case(&whole) || at < 2;
        prop_assert!(harmless || !matches!(verdict, Some(Verdict::Done)), "octet {at}: {verdict:?}");
        damaged.truncate(cut);
        let _ = hear(&damaged, &sent, Some(&ours.1), NOW);
    }
}
