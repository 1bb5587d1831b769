//! What a dynamic update does to a zone (RFC 2136, section 3): pure, from one whole zone to the next.

use hickory_proto::{
    op::ResponseCode,
    rr::{DNSClass, LowerName, RData, Record, RecordType, RrKey},
};

use super::zone::{Zone, is_newer};

/// Whether the prerequisites hold (section 3.2); if not, what to answer.
pub(super) fn check(zone: &Zone, prerequisites: &[Record]) -> Result<(), ResponseCode> {
    // RRsets that have to be exactly so: the records of one set may stand anywhere in the section.
    let mut exact: Vec<(LowerName, RecordType, Vec<&RData>)> = Vec::new();
    for record in prerequisites {
        let (name, kind) = (LowerName::from(&record.name), record.record_type());
        if record.ttl != 0 {
            return Err(ResponseCode::FormErr);
        }
        if !zone.origin().zone_of(&name) {
            return Err(ResponseCode::NotZone);
        }
        let is_empty = matches!(record.data, RData::Update0(_));
        match (record.dns_class, kind) {
            (DNSClass::ANY | DNSClass::NONE, _) if !is_empty => return Err(ResponseCode::FormErr),
            (DNSClass::ANY, RecordType::ANY) if !zone.has_name(&name) => return Err(ResponseCode::NXDomain),
            (DNSClass::NONE, RecordType::ANY) if zone.has_name(&name) => return Err(ResponseCode::YXDomain),
            (DNSClass::ANY | DNSClass::NONE, RecordType::ANY) => {}
            (DNSClass::ANY, _) if zone.rrset(&name, kind).is_empty() => return Err(ResponseCode::NXRRSet),
            (DNSClass::NONE, _) if !zone.rrset(&name, kind).is_empty() => return Err(ResponseCode::YXRRSet),
            (DNSClass::ANY | DNSClass::NONE, _) => {}
            (DNSClass::IN, _) if !is_empty => {
                match exact.iter_mut().find(|(known, of, _)| *known == name && *of == kind) {
                    Some((_, _, data)) => data.push(&record.data),
                    None => exact.push((name, kind, vec![&record.data])),
                }
            }
            _ => return Err(ResponseCode::FormErr),
        }
    }
    for (name, kind, wanted) in exact {
        let there = zone.rrset(&name, kind);
        let same = there.iter().all(|record| wanted.contains(&&record.data))
            && wanted.iter().all(|data| there.iter().any(|record| record.data == **data));
        if !same {
            return Err(ResponseCode::NXRRSet);
        }
    }
    Ok(())
}

/// The zone after the updates (sections 3.4 and 3.6), or `None` where they change nothing. A changed zone has a
/// serial that is newer.
pub(super) fn apply(zone: &Zone, updates: &[Record]) -> Result<Option<Zone>, ResponseCode> {
    for record in updates {
        prescan(zone, record)?;
    }
    let mut after = zone.clone();
    for record in updates {
        match record.dns_class {
            DNSClass::ANY => delete_sets(&mut after, record),
            DNSClass::NONE => delete_one(&mut after, record),
            _ => add(&mut after, record),
        }
    }
    if after == *zone {
        return Ok(None);
    }
    if !is_newer(after.serial(), zone.serial()) {
        // 0 is avoided: some secondaries take it for "no zone yet".
        after.soa.serial = zone.serial().wrapping_add(1).max(1);
    }
    Ok(Some(after))
}

fn prescan(zone: &Zone, record: &Record) -> Result<(), ResponseCode> {
    if !zone.origin().zone_of(&LowerName::from(&record.name)) {
        return Err(ResponseCode::NotZone);
    }
    let kind = record.record_type();
    // Types that are questions or about the message (RFC 6895, section 3.1).
    let is_meta = (128..=255).contains(&u16::from(kind)) || kind == RecordType::OPT;
    let is_empty = matches!(record.data, RData::Update0(_));
    let is_good = match record.dns_class {
        DNSClass::IN => !is_meta && !is_empty,
        DNSClass::ANY => record.ttl == 0 && is_empty && (!is_meta || kind == RecordType::ANY),
        DNSClass::NONE => record.ttl == 0 && !is_meta && !is_empty,
        _ => false,
    };
    if is_good { Ok(()) } else { Err(ResponseCode::FormErr) }
}

fn add(zone: &mut Zone, record: &Record) {
    let name = LowerName::from(&record.name);
    if let RData::SOA(soa) = &record.data {
        if name == zone.origin() && is_newer(soa.serial, zone.serial()) {
            zone.soa = soa.clone();
            zone.soa_ttl = record.ttl;
        }
        return;
    }
    let kind = record.record_type();
    let is_alias = kind == RecordType::CNAME;
    let excluded = zone.has_name(&name)
        && (name == zone.origin() && is_alias
            || zone
                .rrsets
                .keys()
                .any(|key| *key.name() == name && (key.record_type == RecordType::CNAME) != is_alias));
    if excluded {
        return;
    }
    let set = zone.rrsets.entry(RrKey::new(name, kind)).or_default();
    if is_alias {
        set.clear();
    }
    if !set.iter().any(|known| known.data == record.data) {
        set.push(record.clone());
    }
    // One time to live for the whole set (RFC 2181, section 5.2): the newest.
    for known in set {
        known.ttl = record.ttl;
    }
}

/// Deletes an RRset, or all of a name, but never what makes the apex a zone.
fn delete_sets(zone: &mut Zone, record: &Record) {
    let (name, kind) = (LowerName::from(&record.name), record.record_type());
    let apex = name == zone.origin();
    zone.rrsets.retain(|key, _| {
        let meant = *key.name() == name && (kind == RecordType::ANY || key.record_type == kind);
        !meant || (apex && key.record_type == RecordType::NS)
    });
}

fn delete_one(zone: &mut Zone, record: &Record) {
    let (name, kind) = (LowerName::from(&record.name), record.record_type());
    let last_apex_ns = name == zone.origin() && kind == RecordType::NS && zone.rrset(&name, kind).len() == 1;
    if last_apex_ns {
        return;
    }
    let key = RrKey::new(name, kind);
    if let Some(set) = zone.rrsets.get_mut(&key) {
        set.retain(|known| known.data != record.data);
        if set.is_empty() {
            zone.rrsets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::rr::{Name, rdata};

    use super::{super::zone::tests::zone, *};

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn a(owner: &str, class: DNSClass, ttl: u32, last: u8) -> Record {
        let mut record = Record::from_rdata(name(owner), ttl, RData::A(rdata::A::new(127, 0, 0, last)));
        record.dns_class = class;
        record
    }

    fn empty(owner: &str, class: DNSClass, kind: RecordType) -> Record {
        let mut record = Record::update0(name(owner), 0, kind);
        record.dns_class = class;
        record
    }

    #[test]
    fn prerequisites() {
        const WWW: &str = "www.example.org.";
        const NEW: &str = "new.example.org.";
        use DNSClass as C;
        use RecordType as T;
        for (prerequisites, expected) in [
            (vec![], Ok(())),
            (vec![a(WWW, C::IN, 0, 2)], Ok(())),
            (vec![a("WwW.eXample.org.", C::IN, 0, 2)], Ok(())),
            (vec![a(WWW, C::IN, 0, 3)], Err(ResponseCode::NXRRSet)),
            (vec![a(WWW, C::IN, 0, 2), a(WWW, C::IN, 0, 3)], Err(ResponseCode::NXRRSet)),
            (vec![a(NEW, C::IN, 0, 2)], Err(ResponseCode::NXRRSet)),
            (vec![empty(WWW, C::ANY, T::A)], Ok(())),
            (vec![empty(WWW, C::ANY, T::MX)], Err(ResponseCode::NXRRSet)),
            (vec![empty(WWW, C::NONE, T::A)], Err(ResponseCode::YXRRSet)),
            (vec![empty(WWW, C::NONE, T::MX)], Ok(())),
            (vec![empty(NEW, C::NONE, T::ANY)], Ok(())),
            (vec![empty(WWW, C::NONE, T::ANY)], Err(ResponseCode::YXDomain)),
            (vec![empty(NEW, C::ANY, T::ANY)], Err(ResponseCode::NXDomain)),
            (vec![empty("example.org.", C::ANY, T::SOA)], Ok(())),
            (vec![a("www.example.com.", C::IN, 0, 2)], Err(ResponseCode::NotZone)),
            (vec![a(WWW, C::IN, 5, 2)], Err(ResponseCode::FormErr)),
            (vec![a(WWW, C::ANY, 0, 2)], Err(ResponseCode::FormErr)),
            (vec![empty(WWW, C::IN, T::A)], Err(ResponseCode::FormErr)),
            (vec![empty(WWW, C::CH, T::A)], Err(ResponseCode::FormErr)),
        ] {
            assert_eq!(check(&zone(), &prerequisites), expected, "{prerequisites:?}");
        }
    }

    #[test]
    fn a_soa_prerequisite_is_about_every_field() {
        let mut good = zone().soa_record();
        good.ttl = 0;
        assert_eq!(check(&zone(), std::slice::from_ref(&good)), Ok(()));
        let mut stale = zone();
        stale.soa.serial = 6;
        let mut stale = stale.soa_record();
        stale.ttl = 0;
        assert_eq!(check(&zone(), &[stale]), Err(ResponseCode::NXRRSet));
    }

    /// The zone after `updates`, as the A records of `www` and the serial.
    fn after(updates: &[Record]) -> Result<Option<(Vec<String>, u32)>, ResponseCode> {
        let www = LowerName::from_str("www.example.org.").unwrap();
        let describe = |zone: Zone| {
            let set = zone.rrset(&www, RecordType::A);
            (set.iter().map(|record| format!("{} {}", record.ttl, record.data)).collect(), zone.serial())
        };
        apply(&zone(), updates).map(|zone| zone.map(describe))
    }

    #[test]
    fn updates() {
        const WWW: &str = "www.example.org.";
        use DNSClass as C;
        use RecordType as T;
        let set =
            |records: &[&str]| Ok(Some((records.iter().map(|record| (*record).to_owned()).collect(), 8)));
        assert_eq!(after(&[a(WWW, C::IN, 60, 3)]), set(&["60 127.0.0.2", "60 127.0.0.3"]));
        assert_eq!(after(&[a(WWW, C::IN, 30, 2)]), Ok(None), "already there");
        assert_eq!(after(&[a(WWW, C::IN, 31, 2)]), set(&["31 127.0.0.2"]));
        assert_eq!(after(&[empty(WWW, C::ANY, T::A), a(WWW, C::IN, 30, 9)]), set(&["30 127.0.0.9"]));
        assert_eq!(after(&[a(WWW, C::NONE, 0, 2)]), set(&[]));
        assert_eq!(after(&[a(WWW, C::NONE, 0, 77)]), Ok(None), "was not there");
        assert_eq!(after(&[empty(WWW, C::ANY, T::ANY)]), set(&[]));
        // An alias holds its name alone.
        assert_eq!(after(&[a("mail.example.org.", C::IN, 30, 1)]), Ok(None));
        // All or nothing.
        let refused = [a(WWW, C::IN, 30, 3), a("www.example.com.", C::IN, 30, 3)];
        assert_eq!(after(&refused), Err(ResponseCode::NotZone));
        assert_eq!(after(&[a(WWW, C::IN, 30, 3), a(WWW, C::ANY, 0, 3)]), Err(ResponseCode::FormErr));
        assert_eq!(after(&[empty(WWW, C::IN, T::A)]), Err(ResponseCode::FormErr));
        assert_eq!(after(&[empty(WWW, C::ANY, T::AXFR)]), Err(ResponseCode::FormErr));
    }

    #[test]
    fn the_apex_stays_a_zone() {
        let all = empty("example.org.", DNSClass::ANY, RecordType::ANY);
        let after = apply(&zone(), &[all]).unwrap().unwrap();
        let apex = after.origin();
        assert_eq!(after.rrset(&apex, RecordType::NS).len(), 2);
        assert_eq!(after.rrset(&apex, RecordType::MX).len(), 0);
        let servers: Vec<Record> = after
            .rrset(&apex, RecordType::NS)
            .into_iter()
            .map(|mut record| {
                (record.ttl, record.dns_class) = (0, DNSClass::NONE);
                record
            })
            .collect();
        let after = apply(&after, &servers).unwrap().unwrap();
        assert_eq!(after.rrset(&apex, RecordType::NS).len(), 1, "the last one stays");
    }

    #[test]
    fn the_serial_moves_on_even_where_it_wraps() {
        let mut old = zone();
        old.soa.serial = u32::MAX;
        let add = a("www.example.org.", DNSClass::IN, 30, 3);
        let new = apply(&old, std::slice::from_ref(&add)).unwrap().unwrap();
        assert_eq!(new.serial(), 1);
        // A serial that the update sets itself is kept, if it is newer.
        let mut soa = zone().soa_record();
        if let RData::SOA(data) = &mut soa.data {
            data.serial = 2026;
        }
        assert_eq!(apply(&zone(), &[soa, add]).unwrap().unwrap().serial(), 2026);
    }
}
