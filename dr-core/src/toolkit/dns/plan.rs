//! From what the operator wants a zone to say to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::dns::{Agreement, Serial, SetChange, Soa, Wish, ZoneChange, ZoneSpec, canonical_set};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet, RecordType};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::time::Period;
use crate::world::World;

/// How long all servers may take to show a change: with BIND's defaults a transfer begins within a few seconds, but a server
/// that missed the NOTIFY asks only after REFRESH.
const AGREE_WITHIN: Period = Period::from_secs(120);

type Sets = BTreeMap<RecordKey, Option<RecordSet>>;

/// Reads what the primary has and plans what is different.
pub(super) async fn records(world: &World, spec: &ZoneSpec, wishes: &[Wish]) -> Result<Plan> {
    let operation = format!("plan a change of zone {}", spec.zone);
    let wanted = wanted(spec, wishes, &operation)?;
    let primary = spec.primary.ok_or_else(|| {
        Error::new(ErrorKind::Usage, operation.as_str(), "its primary name server is not known")
            .hint("name the server that takes changes")
    })?;
    let current = read(world, spec, primary, &wanted).await?;
    check_aliases(&wanted, &current, &operation)?;
    check_soa(spec, &wanted, &current, &operation)?;
    let sets: Vec<SetChange> = wanted
        .into_iter()
        .map(|(key, to)| SetChange { from: current.get(&key).cloned().flatten(), key, to })
        .filter(|change| change.from != change.to)
        .collect();
    let at = world.clock.read().wall;
    let what: Vec<String> = sets.iter().map(|set| set.key.to_string()).collect();
    let what = what.join(", ");
    let title = if sets.is_empty() {
        format!("change nothing in {}: it is so already", spec.zone)
    } else {
        format!("change {what} in {}", spec.zone)
    };
    let steps = if sets.is_empty() { vec![] } else { steps(spec, primary, &what, sets) };
    Ok(Plan::new(title, at, OnFailure::Stop, steps))
}

/// One set or none for each key, in canonical form; the errors are the caller's.
fn wanted(spec: &ZoneSpec, wishes: &[Wish], operation: &str) -> Result<Sets> {
    let mut wanted = Sets::new();
    for wish in wishes {
        let (key, set) = match wish {
            Wish::Have(set) => (set.key(), Some(canonical_set(set, operation)?)),
            Wish::Remove(key) => (key.clone(), None),
        };
        let usage = |why: String| Err(Error::new(ErrorKind::Usage, operation, why));
        if !spec.zone.contains(&key.owner) {
            return usage(format!("{key} is not in the zone"));
        }
        if set.as_ref().is_some_and(|set| set.rdata.is_empty()) {
            return usage(format!("{key} has no data; to remove the record set, say so"));
        }
        if set.as_ref().is_some_and(|set| set.ttl > 0x7fff_ffff) {
            return usage(format!("{key}: a TTL is at most 2147483647 seconds"));
        }
        if set.is_none()
            && key.owner == spec.zone.apex()
            && matches!(key.rtype, RecordType::SOA | RecordType::NS)
        {
            return usage(format!("{key}: a zone cannot be without it"));
        }
        if wanted.insert(key.clone(), set).is_some() {
            return usage(format!("{key} is named twice"));
        }
    }
    Ok(wanted)
}

/// What the primary has for every key, and whether there is an alias beside it.
async fn read(world: &World, spec: &ZoneSpec, primary: SocketAddr, wanted: &Sets) -> Result<Sets> {
    let aliases = wanted.keys().map(|key| RecordKey::new(key.owner.clone(), RecordType::CNAME));
    let keys: BTreeSet<RecordKey> = wanted.keys().cloned().chain(aliases).collect();
    let keys: Vec<RecordKey> = keys.into_iter().collect();
    let sets = world.provider.read(&spec.zone, primary, &keys).await?;
    Ok(keys.into_iter().zip(sets).collect())
}

/// A name that is an alias has no other records (RFC 1034 section 3.6.2); a primary ignores such a change without a word.
fn check_aliases(wanted: &Sets, current: &Sets, operation: &str) -> Result<()> {
    for key in wanted.iter().filter(|(_, set)| set.is_some()).map(|(key, _)| key) {
        let alias = RecordKey::new(key.owner.clone(), RecordType::CNAME);
        let after = wanted.get(&alias).or_else(|| current.get(&alias)).cloned().flatten();
        if let Some(alias) = after.filter(|_| key.rtype != RecordType::CNAME) {
            return Err(Error::new(
                ErrorKind::Refused,
                operation,
                format!("{} is an alias: {alias}", key.owner),
            )
            .hint(format!(
                "change the name it points to, or remove {} CNAME in the same change",
                key.owner
            )));
        }
    }
    Ok(())
}

/// A primary ignores an SOA record whose serial is not newer (RFC 2136 section 3.4.2.2).
fn check_soa(spec: &ZoneSpec, wanted: &Sets, current: &Sets, operation: &str) -> Result<()> {
    let serial = |sets: &Sets| -> Option<Serial> {
        let set = sets.get(&spec.soa_key())?.as_ref()?;
        Some(Soa::from_rdata(set.rdata.iter().next()?)?.serial)
    };
    if current.get(&spec.soa_key()) == wanted.get(&spec.soa_key()) {
        return Ok(());
    }
    match (serial(wanted), serial(current)) {
        (Some(new), Some(old)) if new.ahead_of(old).is_none() => {
            Err(Error::new(ErrorKind::Usage, operation, format!("the serial {new} is not newer than {old}"))
                .hint("raise the serial in the SOA record"))
        }
        _ => Ok(()),
    }
}

fn steps(spec: &ZoneSpec, primary: SocketAddr, what: &str, sets: Vec<SetChange>) -> Vec<Planned> {
    let expect = sets.iter().map(|set| (set.key.clone(), set.to.clone())).collect();
    let change =
        ZoneChange { zone: spec.zone.clone(), primary, key: spec.update_key.clone(), require: vec![], sets };
    let servers: Vec<SocketAddr> = spec.servers.iter().map(|server| server.address).collect();
    let wait = format!("wait until all {} name servers show it", servers.len());
    let agreement = Agreement { zone: spec.zone.clone(), servers, expect, within: AGREE_WITHIN };
    let mut steps = vec![Planned::needed(format!("change {what} on the primary"), Step::ChangeZone(change))];
    if !agreement.servers.is_empty() {
        steps.push(Planned::needed(wait, Step::AwaitAgreement(agreement)));
    }
    steps
}
