//! From what the operator wants zones to say to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::failover::nonce;
use super::change::{ChangeOptions, ChangePlan};
use super::gather::ASK_WITHIN;
use super::many::CHANGES_AT_ONCE;
use crate::dns::{
    Agreement, Agreements, Answer, Serial, SetChange, Soa, Wish, ZoneChange, ZoneChanges, ZoneSpec,
    canonical_set, first_questions, predict, remembered,
};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Notify, RecordKey, RecordSet, RecordType};
use crate::plan::{OnFailure, Pause, Plan, Planned, Step};
use crate::time::Period;
use crate::world::World;

/// How long all servers may take to show a change at least: with BIND's defaults a transfer begins within a few seconds, but a server
/// that missed the NOTIFY asks only after REFRESH.
const AGREE_WITHIN: Duration = Duration::from_secs(120);
/// How long resolvers may take to answer when there is nothing left to wait for.
const RESOLVE_WITHIN: Period = Period::from_secs(30);
/// The TTL of a new record set, in seconds, where nobody said another.
const TTL_SECONDS: u32 = 300;
/// The first label of the record that says whose change it was, and its TTL in seconds.
const MARK: &str = "_dr-change";
const MARK_TTL_SECONDS: u32 = 60;

/// What is wanted of each record set: one or none.
type Sets = BTreeMap<RecordKey, Option<RecordSet>>;
/// The same before it is known what TTLs there are now.
type Wanted = BTreeMap<RecordKey, Option<(Option<u32>, BTreeSet<String>)>>;

/// What one zone has and what is to change.
struct Zone {
    change: Option<ZoneChange>,
    servers: Vec<SocketAddr>,
    /// How long resolvers remember what is there now, in seconds.
    ttl_s: u32,
}

/// Reads what the primaries have and plans what is different.
pub(super) async fn changes(
    world: &World,
    notify: &Notify,
    wishes: &[(ZoneSpec, Vec<Wish>)],
    options: &ChangeOptions,
) -> Result<ChangePlan> {
    let (at, begun) = (world.clock.read().wall, world.clock.read().running);
    let mark = if options.mark { Some(nonce("plan the changes")?) } else { None };
    let looked = stream::iter(wishes).map(|(spec, wishes)| zone(world, spec, wishes, mark.as_deref()));
    let zones: Vec<Zone> = looked.buffered(CHANGES_AT_ONCE).try_collect().await?;
    let reading = world.clock.read().running.since(begun);
    let changed: Vec<&Zone> = zones.iter().filter(|zone| zone.change.is_some()).collect();
    let named = match wishes {
        [(spec, _)] => spec.zone.to_string(),
        many => format!("{} zones", many.len()),
    };
    let secondaries = changed.iter().map(|zone| zone.servers.len().saturating_sub(1)).max().unwrap_or(0);
    let ttl_s = changed.iter().map(|zone| zone.ttl_s).max().unwrap_or(0);
    let paced = options
        .per_second
        .filter(|rate| *rate > 0)
        .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(changed.len() as f64 / f64::from(rate)));
    // Each change is looked at, made, and looked at again: three times what it took to look.
    let apply = (reading * 3).max(paced);
    let prediction = predict(changed.len(), secondaries, notify, apply, ttl_s);
    let within =
        options.within.unwrap_or_else(|| (prediction.spread.as_duration() * 2).max(AGREE_WITHIN).into());
    let (title, steps) = match changed.len() {
        0 => (format!("change nothing in {named}: it is so already"), vec![]),
        count => {
            let what = changed_keys(&changed);
            let title = if wishes.len() == 1 {
                format!("change {what} in {named}")
            } else {
                format!("change {count} zones")
            };
            let mut steps = apply_and_verify(&changed, &what, within, options);
            if options.settle || !options.resolvers.is_empty() {
                steps.extend(settle(&changed, ttl_s, options));
            }
            (title, steps)
        }
    };
    Ok(ChangePlan { plan: Plan::new(title, at, OnFailure::Stop, steps), prediction })
}

fn changed_keys(zones: &[&Zone]) -> String {
    let sets = zones.iter().flat_map(|zone| &zone.change).flat_map(|change| &change.sets);
    sets.filter(|set| !is_mark(&set.key)).map(|set| set.key.to_string()).collect::<Vec<_>>().join(", ")
}

async fn zone(world: &World, spec: &ZoneSpec, wishes: &[Wish], mark: Option<&str>) -> Result<Zone> {
    let operation = format!("plan a change of zone {}", spec.zone);
    let wanted = wanted(spec, wishes, &operation)?;
    let primary = spec.primary.ok_or_else(|| {
        Error::new(ErrorKind::Usage, operation.as_str(), "its primary name server is not known")
            .hint("name the server that takes changes")
    })?;
    let current = read(world, spec, primary, &wanted).await?;
    let wanted = with_ttls(wanted, &current);
    check_aliases(&wanted, &current, &operation)?;
    check_soa(spec, &wanted, &current, &operation)?;
    let sets: Vec<SetChange> = wanted
        .into_iter()
        .map(|(key, to)| SetChange { from: current.get(&key).cloned().flatten(), key, to })
        .filter(|change| change.from != change.to)
        .collect();
    let servers: Vec<SocketAddr> = spec.servers.iter().map(|server| server.address).collect();
    if sets.is_empty() {
        return Ok(Zone { change: None, servers, ttl_s: 0 });
    }
    let ttl_s = remembered(&sets, negative_ttl(world, spec, &current).await);
    let (zone, key) = (spec.zone.clone(), spec.update_key.clone());
    let through = world.provider.abilities(&zone).through();
    let mut change = ZoneChange { zone, primary, key, through, require: vec![], sets };
    if let Some(mark) = mark {
        // The last of all: where one set is written after another, it says that all of them are.
        change.sets.push(marked(world, spec, primary, mark).await?);
    }
    // What the zone's provider would refuse later, or change without a word.
    world.provider.fits(&change)?;
    Ok(Zone { change: Some(change), servers, ttl_s })
}

/// The record that says whose change it was.
async fn marked(world: &World, spec: &ZoneSpec, primary: SocketAddr, mark: &str) -> Result<SetChange> {
    let operation = || format!("plan a change of zone {}", spec.zone);
    let owner = format!("{MARK}.{}", spec.zone).parse::<DnsName>().map_err(|why| {
        Error::new(
            ErrorKind::Usage,
            operation(),
            format!("the name of the zone is too long for a mark: {why}"),
        )
    })?;
    let key = RecordKey::new(owner, RecordType::TXT);
    let from = world.provider.read(&spec.zone, primary, std::slice::from_ref(&key)).await?.pop().flatten();
    let ttl = world.provider.abilities(&spec.zone).min_ttl_s.max(MARK_TTL_SECONDS);
    let to = RecordSet::new(key.owner.clone(), RecordType::TXT, ttl, [format!("\"change={mark}\"")]);
    Ok(SetChange { key, from, to: Some(to) })
}

/// How long resolvers remember that something does not exist. What an API does not tell of its SOA record, the name servers do.
async fn negative_ttl(world: &World, spec: &ZoneSpec, current: &Sets) -> Option<u32> {
    if let Some(Some(set)) = current.get(&spec.soa_key()) {
        return Soa::negative_ttl(set);
    }
    let [question, _] = first_questions(spec);
    let asked = spec.servers.iter().map(|at| world.resolver.ask(at.address, &question, ASK_WITHIN));
    let told = join_all(asked).await.into_iter().filter_map(|answer| match answer {
        Answer::Records { set, .. } => Soa::negative_ttl(&set),
        _ => None,
    });
    told.max()
}

fn apply_and_verify(zones: &[&Zone], what: &str, within: Period, options: &ChangeOptions) -> Vec<Planned> {
    let changes: Vec<ZoneChange> = zones.iter().filter_map(|zone| zone.change.clone()).collect();
    let asked = zones.iter().filter(|zone| !zone.servers.is_empty());
    let asked: Vec<Agreement> =
        asked.filter_map(|zone| agreement(zone, zone.servers.clone(), within)).collect();
    let mut servers: Vec<SocketAddr> = asked.iter().flat_map(|of| of.servers.clone()).collect();
    servers.sort_unstable();
    servers.dedup();
    let wait = format!("wait until all {} name servers show it", servers.len());
    let (count, per_second) = (changes.len(), options.per_second);
    let first = match changes.as_slice() {
        [change] => {
            let by = change.through.as_ref().map_or_else(|| "on the primary".to_owned(), ToString::to_string);
            Planned::needed(format!("change {what} {by}"), Step::ChangeZone(change.clone()))
        }
        _ => {
            let title = format!("change {count} zones {}", by_whom(&changes));
            Planned::needed(title, Step::ChangeZones(ZoneChanges { zones: changes, per_second }))
        }
    };
    let second = match asked.as_slice() {
        [] => None,
        [agreement] if count == 1 => Some(Step::AwaitAgreement(agreement.clone())),
        _ => Some(Step::AwaitAgreements(Agreements { zones: asked, within })),
    };
    std::iter::once(first).chain(second.map(|step| Planned::needed(wait, step))).collect()
}

/// Nothing may undo what every server shows: what is missing from here on is named, no more.
fn settle(zones: &[&Zone], ttl_s: u32, options: &ChangeOptions) -> Vec<Planned> {
    let span = Period::from_secs(u64::from(ttl_s));
    let why = "resolvers may keep what was before so long".to_owned();
    let mut steps = vec![Planned::wanted(format!("wait {span}: {why}"), Step::Pause(Pause { span, why }))];
    if !options.resolvers.is_empty() {
        let of = |zone: &&Zone| agreement(zone, options.resolvers.clone(), RESOLVE_WITHIN);
        let of = zones.iter().filter_map(|zone| Some(Agreement { resolvers: true, ..of(zone)? }));
        // No visitor asks for a mark.
        let of = of.map(|mut all| {
            all.expect.retain(|(key, _)| !is_mark(key));
            all
        });
        let all = Agreements { zones: of.collect(), within: RESOLVE_WITHIN };
        let title = format!("see that {} resolvers show it", options.resolvers.len());
        steps.push(Planned::wanted(title, Step::AwaitAgreements(all)));
    }
    steps
}

/// By what many zones are changed, each of the ways named once.
fn by_whom(changes: &[ZoneChange]) -> String {
    let ways: BTreeSet<String> =
        changes.iter().flat_map(|change| &change.through).map(ToString::to_string).collect();
    let on_primaries = changes.iter().any(|change| change.through.is_none());
    let first = on_primaries.then(|| "on their primaries".to_owned());
    first.into_iter().chain(ways).collect::<Vec<_>>().join(" and ")
}

fn is_mark(key: &RecordKey) -> bool {
    key.rtype == RecordType::TXT && key.owner.as_str().split_once('.').is_some_and(|(first, _)| first == MARK)
}

fn agreement(zone: &Zone, servers: Vec<SocketAddr>, within: Period) -> Option<Agreement> {
    let change = zone.change.as_ref()?;
    let expect = change.sets.iter().map(|set| (set.key.clone(), set.to.clone())).collect();
    Some(Agreement { zone: change.zone.clone(), servers, expect, within, resolvers: false })
}

/// Where no TTL was said, the one that is there stays.
fn with_ttls(wanted: Wanted, current: &Sets) -> Sets {
    let known = |key: &RecordKey| current.get(key).and_then(Option::as_ref).map(|set| set.ttl);
    let each = wanted.into_iter().map(|(key, wish)| {
        let set = wish.map(|(ttl, rdata)| {
            let ttl = ttl.or_else(|| known(&key)).unwrap_or(TTL_SECONDS);
            RecordSet { owner: key.owner.clone(), rtype: key.rtype, ttl, rdata }
        });
        (key, set)
    });
    each.collect()
}

/// One set or none for each key, in canonical form; the errors are the caller's.
fn wanted(spec: &ZoneSpec, wishes: &[Wish], operation: &str) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    for wish in wishes {
        let (key, set) = match wish {
            Wish::Have(set) => (set.key(), Some(canonical_set(set, operation)?)),
            Wish::Say { key, rdata } => {
                let set =
                    RecordSet { owner: key.owner.clone(), rtype: key.rtype, ttl: 0, rdata: rdata.clone() };
                (key.clone(), Some(canonical_set(&set, operation)?))
            }
            Wish::Remove(key) => (key.clone(), None),
        };
        let says_ttl = matches!(wish, Wish::Have(_));
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
        let set = set.map(|set| (says_ttl.then_some(set.ttl), set.rdata));
        if wanted.insert(key.clone(), set).is_some() {
            return usage(format!("{key} is named twice"));
        }
    }
    Ok(wanted)
}

/// What the primary has for every key, whether there is an alias beside it, and the SOA record.
async fn read(world: &World, spec: &ZoneSpec, primary: SocketAddr, wanted: &Wanted) -> Result<Sets> {
    let aliases = wanted.keys().map(|key| RecordKey::new(key.owner.clone(), RecordType::CNAME));
    let keys: BTreeSet<RecordKey> = wanted.keys().cloned().chain(aliases).chain([spec.soa_key()]).collect();
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
    if wanted.get(&spec.soa_key()).is_none_or(|set| current.get(&spec.soa_key()) == Some(set)) {
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
