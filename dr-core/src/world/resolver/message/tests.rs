use hickory_proto::op::Edns;
use hickory_proto::rr::rdata;
use proptest::prelude::*;

use super::*;
use crate::dns::Transport;
use crate::estate::RecordKey;
use crate::world::resolver::wire::rdata_value;

fn query(owner: &str, rtype: RecordType) -> Query {
    let key = RecordKey::new(owner.parse().unwrap(), rtype);
    let question = Question { key, transport: Transport::Udp, recursive: false };
    Query::with_id(&question, 4711).unwrap()
}

/// An authoritative response to the question, to be changed.
fn response(query: &Query) -> Message {
    let mut message = Message::response(query.id, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_query(Asked::query(query.name.clone(), query.rtype));
    message
}

fn record(owner: &str, rtype: RecordType, ttl: u32, data: &str) -> Record {
    Record::from_rdata(wire_name(&owner.parse().unwrap()).unwrap(), ttl, rdata_value(rtype, data).unwrap())
}

fn hear(query: &Query, change: impl FnOnce(&mut Message)) -> Heard {
    let mut message = response(query);
    change(&mut message);
    query.hear(&message.to_vec().unwrap())
}

fn answer(query: &Query, change: impl FnOnce(&mut Message)) -> Answer {
    match hear(query, change) {
        Heard::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_set_is_read_in_any_order_with_its_lowest_ttl() {
    let www = query("www.example.org", RecordType::A);
    let said = answer(&www, |message| {
        message.add_answer(record("WWW.example.org", RecordType::A, 300, "192.0.2.2"));
        message.add_answer(record("www.Example.org", RecordType::A, 60, "192.0.2.1"));
        message.add_answer(record("other.example.org", RecordType::A, 60, "192.0.2.9"));
    });
    let set =
        RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(said, Answer::Records { set, authoritative: true });
}

#[test]
fn every_type_passes_through_the_wire_library_unchanged() {
    use RecordType::*;
    for (rtype, data) in [
        (A, "192.0.2.1"),
        (AAAA, "2001:db8::1"),
        (CAA, "0 issue \"letsencrypt.org; accounturi=https://ca.example/1\""),
        (CNAME, "a.b.example.org"),
        (DS, "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"),
        (
            DNSKEY,
            "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
        ),
        (MX, "10 mail.example.org"),
        (NS, "ns1.example.org"),
        (PTR, "host.example.org"),
        (SOA, r"ns1.example.org host\.master.example.org 7 3600 900 1209600 300"),
        (SRV, "0 5 5060 sip.example.org"),
        (SSHFP, "4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        (TLSA, "3 1 1 00ff"),
        (TXT, r#""v=spf1 mx -all" "" "\000\255\"\\""#),
    ] {
        assert_eq!(rdata_text(rtype, &rdata_value(rtype, data).unwrap()).as_deref(), Ok(data), "{rtype}");
        let query = query("example.org", rtype);
        let said = answer(&query, |message| {
            message.add_answer(record("example.org", rtype, 300, data));
        });
        let set = RecordSet::new("example.org".parse().unwrap(), rtype, 300, [data]);
        assert_eq!(said, Answer::Records { set, authoritative: true });
    }
}

#[test]
fn aliases_are_followed_within_the_answer_only() {
    let www = query("www.example.org", RecordType::A);
    let chain = |message: &mut Message| {
        message.add_answer(record("b.example.org", RecordType::A, 300, "192.0.2.1"));
        message.add_answer(record("a.example.org", RecordType::CNAME, 300, "b.example.org"));
        message.add_answer(record("www.example.org", RecordType::CNAME, 300, "a.example.org"));
    };
    let Answer::Records { set, .. } = answer(&www, chain) else { panic!() };
    assert_eq!(set.to_string(), "b.example.org 300 A 192.0.2.1");

    let leaving = |message: &mut Message| {
        message.add_answer(record("www.example.org", RecordType::CNAME, 300, "cdn.example.net"));
    };
    let Answer::Records { set, .. } = answer(&www, leaving) else { panic!() };
    assert_eq!(set.to_string(), "www.example.org 300 CNAME cdn.example.net");

    let soa = "ns1.example.org h.example.org 1 2 3 4 5";
    let to_nothing = |message: &mut Message| {
        leaving(message);
        message.add_authority(record("example.net", RecordType::SOA, 300, soa));
    };
    assert_eq!(answer(&www, to_nothing), Answer::NoData { authoritative: true });

    let circle = |message: &mut Message| {
        message.add_answer(record("www.example.org", RecordType::CNAME, 300, "a.example.org"));
        message.add_answer(record("a.example.org", RecordType::CNAME, 300, "www.example.org"));
    };
    assert!(matches!(answer(&www, circle), Answer::Malformed { .. }));
    let alias = query("www.example.org", RecordType::CNAME);
    assert!(matches!(answer(&alias, circle), Answer::Records { .. }), "the alias itself was asked for");
}

#[test]
fn nothing_there_has_its_own_words() {
    let www = query("www.example.org", RecordType::A);
    let soa = || record("example.org", RecordType::SOA, 300, "ns1.example.org h.example.org 1 2 3 4 5");
    let no_data = answer(&www, |message| {
        message.add_authority(soa());
    });
    assert_eq!(no_data, Answer::NoData { authoritative: true });
    let no_name = answer(&www, |message| {
        message.metadata.response_code = ResponseCode::NXDomain;
        message.add_authority(soa());
    });
    assert_eq!(no_name, Answer::NxDomain { authoritative: true });
    let referral = answer(&www, |message| {
        message.metadata.authoritative = false;
        message.add_authority(record("org", RecordType::NS, 300, "a.nic.org"));
    });
    assert_eq!(referral, Answer::Referral);
}

#[test]
fn response_codes_have_their_mnemonics() {
    let www = query("www.example.org", RecordType::A);
    for (rcode, name) in [
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::NotAuth, "NOTAUTH"),
        (ResponseCode::YXDomain, "YXDOMAIN"),
        (ResponseCode::from(0, 11), "RCODE11"),
    ] {
        let said = answer(&www, |message| message.metadata.response_code = rcode);
        assert_eq!(said, Answer::Failed { rcode: name.to_owned() });
    }
    // NSD sends a header and nothing else when it refuses.
    let mut bare = response(&www);
    bare.queries.clear();
    bare.metadata.response_code = ResponseCode::NotImp;
    assert!(
        matches!(www.hear(&bare.to_vec().unwrap()), Heard::NoEdns(Answer::Failed { rcode }) if rcode == "NOTIMP")
    );
    bare.metadata.response_code = ResponseCode::NoError;
    assert!(matches!(www.hear(&bare.to_vec().unwrap()), Heard::NotOurs(_)), "not for a success");
}

#[test]
fn what_does_not_repeat_the_question_is_not_ours() {
    let www = query("www.example.org", RecordType::A);
    let strangers: [fn(&mut Message); 6] = [
        |message| message.metadata.id = 1,
        |message| message.metadata.message_type = MessageType::Query,
        |message| message.metadata.op_code = OpCode::Notify,
        |message| message.queries.clear(),
        |message| drop(message.queries[0].set_query_type(WireType::AAAA).clone()),
        |message| message.queries[0] = Asked::query(Name::from_ascii("evil.example.").unwrap(), WireType::A),
    ];
    for change in strangers {
        assert!(matches!(hear(&www, change), Heard::NotOurs(_)));
    }
    assert!(matches!(hear(&www, |message| message.metadata.truncation = true), Heard::Truncated));
}

#[test]
fn an_owner_with_a_dot_in_a_label_is_not_taken_for_another_name() {
    let name = Name::from_labels([&b"www.example"[..], b"org"]).unwrap();
    assert!(dns_name(&name).is_err());
    let record = Record::from_rdata(name, 1, RData::A(rdata::A::new(192, 0, 2, 1)));
    let www = query("www.example.org", RecordType::A);
    let said = answer(&www, |message| {
        message.add_answer(record);
    });
    assert_eq!(said, Answer::NoData { authoritative: true });
}

/// Responses with everything in them that the decoder knows.
fn rich(query: &Query) -> Vec<u8> {
    let mut message = response(query);
    for (rtype, data) in [
        (RecordType::CNAME, "a.example.org"),
        (RecordType::A, "192.0.2.1"),
        (RecordType::TXT, "\"one\" \"two\""),
        (RecordType::CAA, "0 issue \"ca.example\""),
        (RecordType::SRV, "1 2 3 a.example.org"),
        (RecordType::DNSKEY, "257 3 13 AQIDBA=="),
    ] {
        message.add_answer(record("www.example.org", rtype, 300, data));
    }
    message.add_authority(record("example.org", RecordType::NS, 300, "ns1.example.org"));
    message.set_edns(Edns::new());
    message.to_vec().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = query("www.example.org", RecordType::A).hear(&octets);
    }

    #[test]
    fn no_octets_behind_a_valid_question_panic(counts in any::<[u8; 6]>(), tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let query = query("www.example.org", RecordType::A);
        let mut octets = response(&query).to_vec().unwrap();
        octets[6..12].copy_from_slice(&counts);
        octets.extend(tail);
        let _ = query.hear(&octets);
    }

    #[test]
    fn no_damage_to_a_valid_answer_panics(at in 2_usize..250, octet: u8, cut in 0_usize..250) {
        let query = query("www.example.org", RecordType::A);
        let mut octets = rich(&query);
        if let Some(place) = octets.get_mut(at) {
            *place = octet;
        }
        let _ = query.hear(&octets);
        octets.truncate(cut);
        let _ = query.hear(&octets);
    }
}
