//! The message of a change: what must hold, and what is then done.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Record, RecordType as WireType};

use crate::dns::{SetChange, ZoneChange};
use crate::estate::{RecordKey, RecordSet, RecordType};
use crate::world::resolver::wire::{rdata_value, wire_name, wire_type};

/// The whole change in one message.
pub(super) fn change(change: &ZoneChange, id: u16) -> Result<Message, String> {
    let mut message = prerequisites(change, id)?;
    if change.sets.is_empty() {
        return Err("it changes no record set".to_owned());
    }
    // All that goes first, so that an alias can take the place of other records and the other way round.
    for set in &change.sets {
        message.add_authorities(removals(change, set)?);
    }
    for set in change.sets.iter().filter_map(|set| set.to.as_ref()) {
        message.add_authorities(records(set, set.ttl)?);
    }
    Ok(message)
}

/// The same prerequisites, and updates of the same record sets that change nothing: what is removed is not there, as the
/// prerequisites say. Without them a primary would not look whether the key may change those record sets.
pub(super) fn rehearsal(change: &ZoneChange, id: u16) -> Result<Message, String> {
    let mut message = prerequisites(change, id)?;
    for set in &change.sets {
        match (&set.from, &set.to) {
            (None, _) => {
                message.add_authority(empty(&set.key, DNSClass::ANY)?);
            }
            (Some(from), Some(to)) if set.key.rtype != RecordType::SOA => {
                let foreign = to.rdata.difference(&from.rdata).cloned().collect();
                let mut records = records(&RecordSet { rdata: foreign, ..to.clone() }, 0)?;
                records.iter_mut().for_each(|record| record.dns_class = DNSClass::NONE);
                message.add_authorities(records);
            }
            (Some(_), _) => {}
        }
    }
    Ok(message)
}

/// What must hold (RFC 2136 section 2.4).
fn prerequisites(change: &ZoneChange, id: u16) -> Result<Message, String> {
    for set in &change.sets {
        check(change, set)?;
    }
    for set in &change.require {
        in_zone(change, &set.key())?;
    }
    let mut message = Message::new(id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(wire_name(&change.zone.apex())?, WireType::SOA));
    let existing = change.require.iter().chain(change.sets.iter().filter_map(|set| set.from.as_ref()));
    for set in existing {
        // "RRset exists (value dependent)": class IN and a TTL of zero.
        message.add_answers(records(set, 0)?);
    }
    let absent = change.sets.iter().filter(|set| set.from.is_none()).map(|set| set.key.clone());
    for key in absent.chain(no_alias_beside(change)) {
        message.add_answer(empty(&key, DNSClass::NONE)?);
    }
    Ok(message)
}

/// Where records are added there must be no alias: servers ignore the addition, and say that all is well (section 3.4.2.2).
fn no_alias_beside(change: &ZoneChange) -> BTreeSet<RecordKey> {
    let handled: BTreeSet<&RecordKey> = change.sets.iter().map(|set| &set.key).collect();
    let added = change.sets.iter().filter(|set| set.to.is_some() && set.from.is_none());
    added
        .map(|set| RecordKey::new(set.key.owner.clone(), RecordType::CNAME))
        .filter(|alias| !handled.contains(alias))
        .collect()
}

/// What takes the old records away.
fn removals(change: &ZoneChange, set: &SetChange) -> Result<Vec<Record>, String> {
    match (&set.from, &set.to) {
        (None, _) => Ok(vec![]),
        // A newer SOA record replaces the old one; the name servers at the apex cannot be removed as a set (section 3.4.2.4).
        _ if set.key.rtype == RecordType::SOA => Ok(vec![]),
        (Some(from), Some(to)) if is_apex_ns(change, set) => {
            let gone = from.rdata.difference(&to.rdata).cloned().collect();
            let mut records = records(&RecordSet { rdata: gone, ..from.clone() }, 0)?;
            records.iter_mut().for_each(|record| record.dns_class = DNSClass::NONE);
            Ok(records)
        }
        (Some(_), _) => Ok(vec![empty(&set.key, DNSClass::ANY)?]),
    }
}

fn is_apex_ns(change: &ZoneChange, set: &SetChange) -> bool {
    set.key.rtype == RecordType::NS && set.key.owner == change.zone.apex()
}

fn check(change: &ZoneChange, set: &SetChange) -> Result<(), String> {
    in_zone(change, &set.key)?;
    for side in [&set.from, &set.to].into_iter().flatten() {
        if side.key() != set.key {
            return Err(format!("{} is to become {}: those are two record sets", set.key, side.key()));
        }
        if side.rdata.is_empty() {
            return Err(format!("{}: a record set has at least one record", set.key));
        }
        if side.ttl > 0x7fff_ffff {
            return Err(format!("{}: a TTL is at most 2147483647 seconds", set.key));
        }
    }
    let soa = set.key.rtype == RecordType::SOA;
    if (soa && (set.from.is_none() || set.to.is_none())) || (is_apex_ns(change, set) && set.to.is_none()) {
        return Err(format!("{}: a zone cannot be without it", set.key));
    }
    Ok(())
}

fn in_zone(change: &ZoneChange, key: &RecordKey) -> Result<(), String> {
    let ZoneChange { zone, .. } = change;
    if zone.contains(&key.owner) { Ok(()) } else { Err(format!("{key} is not in the zone {zone}")) }
}

fn records(set: &RecordSet, ttl: u32) -> Result<Vec<Record>, String> {
    let owner = wire_name(&set.owner)?;
    let record = |data: &String| Ok(Record::from_rdata(owner.clone(), ttl, rdata_value(set.rtype, data)?));
    set.rdata.iter().map(record).collect()
}

/// A record without data: with class NONE "does not exist", with class ANY "remove the set".
fn empty(key: &RecordKey, class: DNSClass) -> Result<Record, String> {
    let mut record = Record::update0(wire_name(&key.owner)?, 0, wire_type(key.rtype));
    record.dns_class = class;
    Ok(record)
}
