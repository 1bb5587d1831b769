use proptest::prelude::*;

use super::*;

fn wire(name: &str) -> Vec<u8> {
    crate::dns::rdata::name_to_wire(name).unwrap()
}

fn soa(serial: u32) -> (&'static str, u16, Vec<u8>) {
    let text = format!("ns1.example.org hostmaster.example.org {serial} 3600 900 1209600 300");
    ("example.org", SOA, crate::dns::rdata::rdata_to_wire(RecordType::SOA, &text).unwrap())
}

fn a(owner: &'static str, last: u8) -> (&'static str, u16, Vec<u8>) {
    (owner, 1, vec![192, 0, 2, last])
}

/// A message with these answers, no question.
fn message(records: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let mut octets = vec![0, 7, 0x84, 0, 0, 0, count[0], count[1], 0, 0, 0, 0];
    for (owner, rtype, data) in records {
        octets.extend(wire(owner));
        octets.extend(rtype.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 60]);
        octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        octets.extend(data);
    }
    octets
}

fn transfer(since: Option<u32>) -> Transfer {
    let mut transfer =
        Transfer::new("example.org".parse().unwrap(), since.map(Serial), TransferLimits::default());
    transfer.question(7).unwrap();
    transfer
}

/// The records in one message, and each in a message of its own: both come to the same.
fn taken(
    since: Option<u32>,
    records: &[(&'static str, u16, Vec<u8>)],
) -> Result<Option<Transferred>, TransferFault> {
    let mut at_once = transfer(since);
    let outcome = at_once.take(&message(records));
    let mut one_by_one = transfer(since);
    let mut each = Ok(false);
    for record in records {
        each = one_by_one.take(&message(std::slice::from_ref(record)));
        if each.is_err() {
            break;
        }
    }
    assert_eq!(each.is_err(), outcome.is_err(), "{each:?} {outcome:?}");
    outcome?;
    let whole = at_once.finish();
    assert_eq!(one_by_one.finish(), whole);
    Ok(whole)
}

#[test]
fn a_whole_zone() {
    let records = [soa(3), a("example.org", 1), a("www.example.org", 2), a("WWW.example.org", 3), soa(3)];
    let whole = taken(None, &records).unwrap().unwrap();
    let sets: Vec<String> = whole.sets().iter().map(ToString::to_string).collect();
    assert_eq!(sets[0], "example.org 60 A 192.0.2.1");
    assert_eq!(sets[2], "www.example.org 60 A 192.0.2.2, 192.0.2.3");
    assert!(matches!(whole, Transferred::Whole { serial: Serial(3), records } if records.len() == 4));
    // Asked for changes, a server may give the whole zone.
    assert!(matches!(taken(Some(1), &records), Ok(Some(Transferred::Whole { .. }))));
    assert_eq!(taken(None, &records[..4]), Ok(None), "it is not over before the second SOA record");
    let bare = taken(None, &[soa(3), soa(3)]).unwrap().unwrap();
    assert!(matches!(bare, Transferred::Whole { records, .. } if records.len() == 1));
}

#[test]
fn changes_step_by_step() {
    let records = [
        soa(5),
        soa(3),
        a("www.example.org", 1),
        soa(4),
        a("www.example.org", 2),
        soa(4),
        soa(5),
        a("x.example.org", 9),
        soa(5),
    ];
    let Transferred::Changes { steps } = taken(Some(3), &records).unwrap().unwrap() else { panic!() };
    let told: Vec<_> =
        steps.iter().map(|step| (step.from.0, step.to.0, step.gone.len(), step.new.len())).collect();
    assert_eq!(told, [(3, 4, 1, 1), (4, 5, 0, 1)]);
    let mut newest = transfer(Some(5));
    assert_eq!(newest.take(&message(&[soa(5)])), Ok(true));
    assert_eq!(newest.finish(), Some(Transferred::UpToDate { serial: Serial(5) }));
    for (wrong, says) in [
        (vec![soa(5), soa(2), soa(5), soa(5)], "not at what was asked for"),
        (vec![soa(5), soa(3), soa(4), soa(3), soa(5), soa(5)], "the one before ended at 4"),
    ] {
        let fault = taken(Some(3), &wrong).unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    }
}

#[test]
fn what_is_no_transfer_is_said_so() {
    let other_mailbox = {
        let text = "ns1.example.org other.example.org 3 3600 900 1209600 300";
        ("example.org", SOA, crate::dns::rdata::rdata_to_wire(RecordType::SOA, text).unwrap())
    };
    for (records, says) in [
        (vec![a("www.example.org", 1)], "does not begin with the SOA"),
        (vec![soa(3), a("www.example.com", 1)], "www.example.com is not in the zone"),
        (vec![soa(3), a("notexample.org", 1)], "not in the zone"),
        (vec![soa(3), a("www.example.org", 1), soa(4)], "the zone changed meanwhile"),
        (vec![soa(3), a("www.example.org", 1), other_mailbox], "another SOA"),
        (vec![soa(3), soa(4)], "two SOA"),
        (vec![soa(3), soa(3), a("www.example.org", 1)], "behind its last"),
        (vec![("www.example.org", SOA, soa(3).2)], "none of the zone"),
        (vec![], "no records"),
    ] {
        let fault = transfer(None).take(&message(&records)).unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    }
    let mut stranger = message(&[soa(3)]);
    stranger[1] = 8;
    assert!(transfer(None).take(&stranger).is_err(), "another identifier");
    let mut small =
        Transfer::new("example.org".parse().unwrap(), None, TransferLimits { octets: 1 << 20, records: 3 });
    let records = [soa(3), a("a.example.org", 1), a("b.example.org", 1), a("c.example.org", 1)];
    assert_eq!(small.take(&message(&records)), Err(TransferFault::TooLarge("records")));
    let mut small =
        Transfer::new("example.org".parse().unwrap(), None, TransferLimits { octets: 60, records: 3 });
    assert_eq!(small.take(&message(&records)), Err(TransferFault::TooLarge("octets")));
}

#[test]
fn compressed_names_in_data_are_made_whole() {
    let mut octets = message(&[soa(3)]);
    octets[7] = 2;
    // An MX record whose owner and exchange are pointers to the owner of the SOA record at 12.
    octets.extend([0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 10, 0xc0, 12]);
    let mut transfer = transfer(None);
    assert_eq!(transfer.take(&octets), Ok(false));
    assert_eq!(transfer.take(&message(&[soa(3)])), Ok(true));
    let sets: Vec<String> = transfer.finish().unwrap().sets().iter().map(ToString::to_string).collect();
    assert_eq!(sets[0], "example.org 60 MX 10 example.org");
}

#[test]
fn pointers_do_not_blow_up_a_small_answer() {
    // Thousands of records whose owner of 200 octets stands in the message once.
    let long = format!("{0}.{0}.{0}.example.org", "x".repeat(60));
    let mut octets = message(&[soa(3)]);
    let at = octets.len();
    octets.extend(wire(&long));
    octets.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 0]);
    let pointer = u16::try_from(at).unwrap() | 0xc000;
    for number in 0..3000_u16 {
        octets.extend(pointer.to_be_bytes());
        let [high, low] = number.to_be_bytes();
        octets.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, high, low]);
    }
    octets[6..8].copy_from_slice(&3002_u16.to_be_bytes());
    let limits = TransferLimits { octets: 70_000, records: 1_000_000 };
    let mut transfer = Transfer::new("example.org".parse().unwrap(), None, limits);
    assert_eq!(transfer.take(&octets), Err(TransferFault::TooLarge("octets")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..400, flip: u8, since: Option<u32>) {
        let mut damaged = message(&[soa(3), a("www.example.org", 1), soa(3)]);
        if let Some(octet) = damaged.get_mut(at) {
            *octet ^= flip;
        }
        let mut reader = transfer(since);
        let _ = reader.take(&damaged);
        let _ = reader.take(&octets);
        let _ = reader.finish().map(|transferred| transferred.sets());
    }
}
