//! Moving a site: one plan made of steps of all four bodies.
//!
//! The order is what keeps it safe. **Mirror** while the old home is still home (planned moves only), so that no scheduled
//! mirror can run the wrong way meanwhile. **Fence** the receiver: from then on it refuses mirrors of an older epoch. **Raise**
//! the epoch by compare-and-set: whoever loses stops here, and only the fence is taken back. Make the old home **step down** if
//! it can be reached. **Promote** the new home, and see it answer. Only then **change the records**. So at no moment do two
//! hosts hold one epoch, and no writer of the old epoch gets into the new home.
//!
//! Everything up to the change of the records is needed, and a failure there takes everything back: visitors never noticed.
//! Everything after it is wanted only: once visitors have moved, no silent name server may send them back to a host that is
//! perhaps dead. What is missing then is named, and the run ends as done but degraded.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{OnFailure, Pause, Plan, Planned, Step, addresses};
use crate::digest::Digest;
use crate::dns::{Agreement, SetChange, Through, ZoneChange, remembered};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Epoch, Host, HostId, ProbeSpec, RecordSet, SiteId, ZoneName};
use crate::failover::{Expect, Raise, RecordMirror, Role, RoleChange, Standing, Tenure, standing_path};
use crate::time::{Period, Timestamp};

/// How long a host may take to answer as it should.
const HEALTHY_WITHIN: Period = Period::from_secs(30);
/// How long name servers that answer may take to agree: a NOTIFY and a transfer, with retries.
const AGREE_WITHIN: Period = Period::from_secs(120);
/// How long is waited for name servers that were silent already when the plan was made.
const SILENT_WITHIN: Period = Period::from_secs(5);

/// Why a site is moved.
///
/// ```
/// use dr_core::plan::Occasion;
/// assert_eq!(serde_json::to_string(&Occasion::Disaster).unwrap(), r#""disaster""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The home host is lost or unwell. What it has not mirrored yet stays there.
    Disaster,
    /// Both hosts are well. The site is mirrored a last time first.
    Planned,
    /// The seat of the new home holds the site already: it has raised the epoch and has seen to it that the old home has stopped.
    /// What is left is to bring the visitors.
    Taken,
}

/// One of the two hosts, and what is known of it.
///
/// ```
/// use dr_core::{estate::Host, plan::Side};
/// let host = Host::new("root@uk.example.net".parse().unwrap());
/// let lost = Side { id: "uk".parse().unwrap(), host, reachable: false, standing: None };
/// assert!(!lost.reachable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// What the operator calls it.
    pub id: HostId,
    /// The host.
    pub host: Host,
    /// Whether it can be reached by SSH.
    pub reachable: bool,
    /// What it believes to be for the site; none if it was never told or cannot be asked.
    pub standing: Option<Standing>,
}

/// A zone with names of the site, as its primary has it now.
///
/// ```
/// use dr_core::{RecordSet, RecordType, plan::ZoneNow};
/// let www: dr_core::DnsName = "www.example.org".parse().unwrap();
/// let now = ZoneNow {
///     zone: "example.org".parse().unwrap(),
///     primary: "192.0.2.53:53".parse().unwrap(),
///     key: None,
///     servers: vec!["192.0.2.53:53".parse().unwrap(), "198.51.100.53:53".parse().unwrap()],
///     silent: Default::default(),
///     names: vec![www.clone()],
///     sets: vec![RecordSet::new(www, RecordType::A, 60, ["192.0.2.1"])],
///     tenure_owner: None,
///     tenure: None,
///     negative_ttl: Some(300),
///     through: None,
/// };
/// assert!(now.names.iter().all(|name| now.zone.contains(name)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneNow {
    /// The zone.
    pub zone: ZoneName,
    /// Its primary.
    pub primary: SocketAddr,
    /// The TSIG key that may change it.
    pub key: Option<DnsName>,
    /// All its name servers.
    pub servers: Vec<SocketAddr>,
    /// Those of them that do not answer now.
    pub silent: BTreeSet<SocketAddr>,
    /// The site's names that are in it.
    pub names: Vec<DnsName>,
    /// Their A, AAAA and CNAME record sets now.
    pub sets: Vec<RecordSet>,
    /// The owner of the record set that holds the site's tenure, if the coordinator keeps it in this zone.
    pub tenure_owner: Option<DnsName>,
    /// That record set now.
    #[serde(default)]
    pub tenure: Option<RecordSet>,
    /// How long resolvers remember that something does not exist, in seconds (RFC 2308 section 5), if a name server said so.
    #[serde(default)]
    pub negative_ttl: Option<u32>,
    /// The API that changes it, if it is not changed by dynamic updates.
    #[serde(default)]
    pub through: Option<Through>,
}

/// Everything that a plan to move a site is made from. It can be stored: a plan that was made in the night can be made again and
/// looked at in the morning. [`failover_plan`] shows how it is filled in.
///
/// ```
/// let why = serde_json::from_str::<dr_core::plan::FailoverFacts>(r#"{"site":"shop"}"#).unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailoverFacts {
    /// Before anything was looked at.
    pub at: Timestamp,
    /// The site.
    pub site: SiteId,
    /// Why it is moved.
    pub occasion: Occasion,
    /// The host that holds it.
    pub from: Side,
    /// The host that will.
    pub to: Side,
    /// Who holds it, by the coordinator.
    pub tenure: Option<Tenure>,
    /// A random mark of this plan.
    pub nonce: String,
    /// What the new home must answer.
    pub probes: Vec<ProbeSpec>,
    /// Every zone with names of the site.
    pub zones: Vec<ZoneNow>,
    /// The steps that mirror the site from the old home to the new one; none for a site that is not mirrored by dr.
    pub transfers: Option<Vec<Planned>>,
}

/// The plan that moves a site, whether by disaster, as planned, or back home: who is which is in the facts.
///
/// An error of kind `Refused` says why the site cannot be moved so, `Unreachable` which host a planned move lacks.
///
/// ```
/// use dr_core::estate::{Host, ProbeSpec};
/// use dr_core::plan::{FailoverFacts, Occasion, Side, failover_plan};
/// let side = |id: &str, address: &str| {
///     let mut host = Host::new(format!("root@{id}.example.net").parse().unwrap());
///     host.addresses = vec![address.parse().unwrap()];
///     Side { id: id.parse().unwrap(), host, reachable: id == "us", standing: None }
/// };
/// let facts = FailoverFacts {
///     at: "2026-11-22T03:00:00Z".parse().unwrap(),
///     site: "shop".parse().unwrap(),
///     occasion: Occasion::Disaster,
///     from: side("uk", "192.0.2.1"),
///     to: side("us", "198.51.100.1"),
///     tenure: None,
///     nonce: "a1b2".into(),
///     probes: vec![ProbeSpec::Tcp { port: 80 }],
///     zones: vec![],
///     transfers: None,
/// };
/// let titles: Vec<String> = failover_plan(&facts).unwrap().steps.into_iter().map(|step| step.title).collect();
/// assert_eq!(titles, [
///     "write down that uk holds shop: epoch 1",
///     "us refuses mirrors of shop from before epoch 2",
///     "raise the epoch of shop to 2: us holds it",
///     "us becomes home of shop",
///     "wait until us answers for shop",
/// ]);
/// ```
pub fn failover_plan(facts: &FailoverFacts) -> Result<Plan> {
    let FailoverFacts { site, from, to, .. } = facts;
    check(facts)?;
    if facts.occasion == Occasion::Taken {
        return taken(facts);
    }
    let claim = first_claim(facts);
    let now = facts.tenure.clone().unwrap_or_else(|| claim.clone());
    let next =
        Tenure { epoch: next_epoch(facts, now.epoch), home: to.id.clone(), nonce: facts.nonce.clone() };
    let changes = zone_changes(facts, &next)?;

    let mut steps = vec![];
    if facts.tenure.is_none() {
        let raise = Raise { site: site.clone(), from: None, to: claim };
        let title = format!("write down that {} holds {site}: epoch {}", from.id, now.epoch);
        steps.push(Planned::needed(title, Step::RaiseEpoch(raise)));
    }
    let mut standing = to.standing;
    if let (Occasion::Planned, Some(transfers)) = (facts.occasion, &facts.transfers) {
        let down = Standing { role: Role::Standby, epoch: now.epoch };
        if standing.is_some_and(|standing| standing.role == Role::Home) {
            let title = format!("{} steps down: {} holds {site} since epoch {}", to.id, from.id, now.epoch);
            steps.push(Planned::needed(title, role_change(facts, to, standing, down)));
            standing = Some(down);
        }
        steps.extend(mirror_and_record(site, (&to.id, &to.host), now.epoch, facts.at, transfers.clone()));
    }
    steps.extend(take_over(facts, standing, &now, &next));
    steps.extend(move_visitors(facts, changes));
    let how = if facts.occasion == Occasion::Planned { "move" } else { "fail over" };
    let title = format!("{how} {site} from {} to {}", from.id, to.id);
    Ok(Plan::new(title, facts.at, OnFailure::Undo, steps))
}

/// What is left to do for a home that holds the site by its seat.
fn taken(facts: &FailoverFacts) -> Result<Plan> {
    let FailoverFacts { site, from, to, tenure, .. } = facts;
    let Some(now) = tenure else { return Err(not_taken(facts, "nobody holds it")) };
    let changes = zone_changes(facts, now)?;
    let home = Standing { role: Role::Home, epoch: now.epoch };
    let mut steps = vec![];
    if to.standing != Some(home) {
        let title = format!("{} becomes home of {site}", to.id);
        steps.push(Planned::needed(title, role_change(facts, to, to.standing, home)));
    }
    steps.extend(healthy(facts).into_iter().map(|(title, step)| Planned::needed(title, step)));
    steps.extend(move_visitors(facts, changes));
    let title = format!("bring the visitors of {site} from {} to {}: epoch {}", from.id, to.id, now.epoch);
    Ok(Plan::new(title, facts.at, OnFailure::Undo, steps))
}

fn not_taken(facts: &FailoverFacts, why: impl Into<String>) -> Error {
    let operation = format!("plan to bring the visitors of {} to {}", facts.site, facts.to.id);
    Error::new(ErrorKind::Refused, operation, why).hint("look at dr failover status and plan again")
}

/// Mirror steps, followed by the step that writes down on the receiving host that they succeeded.
///
/// `started` is a moment before the sources were looked at: the age of the copy counts from it.
///
/// ```
/// use dr_core::plan::mirror_and_record;
/// use dr_core::{Epoch, estate::Host};
/// let us = Host::new("root@us.example.net".parse().unwrap());
/// let started = "2026-11-22T03:00:00Z".parse().unwrap();
/// let steps =
///     mirror_and_record(&"shop".parse().unwrap(), (&"us".parse().unwrap(), &us), Epoch(1), started, vec![]);
/// assert_eq!(steps[0].title, "write down on us that shop was mirrored");
/// ```
#[must_use]
pub fn mirror_and_record(
    site: &SiteId,
    receiver: (&HostId, &Host),
    epoch: Epoch,
    started: Timestamp,
    transfers: Vec<Planned>,
) -> Vec<Planned> {
    let mut steps = transfers;
    let (mut paths, mut bytes) = (0, 0);
    for planned in &mut steps {
        if let Step::Mirror(transfer) = &mut planned.step {
            transfer.site = Some(site.clone());
            transfer.epoch = Some(epoch);
            transfer.standing = Some(standing_path(&receiver.1.state_dir, site));
            paths += transfer.changes.len() as u64;
            bytes += transfer.summary.bytes;
        }
    }
    let (host, state_dir) = (receiver.0.clone(), receiver.1.state_dir.clone());
    let remote = receiver.1.ssh.clone();
    let title = format!("write down on {host} that {site} was mirrored");
    let planned = Some(Digest::of_value(&steps));
    let site = site.clone();
    // Whoever applies the plan has the estate's secret, if it has one.
    let seal = None;
    let record = RecordMirror { site, host, remote, state_dir, epoch, started, paths, bytes, planned, seal };
    steps.push(Planned::needed(title, Step::RecordMirror(record)));
    steps
}

/// The steps that tell hosts for the first time what they are for a site; none for a host that was told before. A host that was
/// told that it is home refuses mirrors from then on, also after it was away and the site has moved.
///
/// They are wanted only: whoever mirrors wants the mirror.
///
/// ```
/// use dr_core::failover::Role;
/// use dr_core::plan::first_roles;
/// use dr_core::{Epoch, estate::Host};
/// let (uk, us) = ("uk".parse().unwrap(), "us".parse().unwrap());
/// let host = Host::new("root@uk.example.net".parse().unwrap());
/// let never_told = [(&uk, &host, Role::Home, None), (&us, &host, Role::Standby, None)];
/// let steps = first_roles(&"shop".parse().unwrap(), Epoch(1), &never_told);
/// assert_eq!(steps[0].title, "tell uk that it is home for shop");
/// assert_eq!(steps[1].title, "tell us that it is standby for shop");
/// ```
#[must_use]
pub fn first_roles(
    site: &SiteId,
    epoch: Epoch,
    hosts: &[(&HostId, &Host, Role, Option<Standing>)],
) -> Vec<Planned> {
    let never_told = hosts.iter().filter(|(.., standing)| standing.is_none());
    never_told
        .map(|(id, host, role, _)| {
            let change = RoleChange {
                site: site.clone(),
                host: (*id).clone(),
                remote: host.ssh.clone(),
                state_dir: host.state_dir.clone(),
                from: None,
                to: Some(Standing { role: *role, epoch }),
            };
            Planned::wanted(format!("tell {id} that it is {role} for {site}"), Step::ChangeRole(change))
        })
        .collect()
}

fn check(facts: &FailoverFacts) -> Result<()> {
    let FailoverFacts { site, from, to, tenure, .. } = facts;
    let operation = || format!("plan to move {site} from {} to {}", from.id, to.id);
    let refused = |why: String, hint: &str| Err(Error::new(ErrorKind::Refused, operation(), why).hint(hint));
    if from.id == to.id {
        return refused(format!("{} holds it already", to.id), "there is nothing to move");
    }
    if facts.occasion == Occasion::Taken {
        if let Some(tenure) = tenure.as_ref().filter(|tenure| tenure.home != to.id) {
            return Err(not_taken(facts, format!("{} holds it in epoch {}", tenure.home, tenure.epoch)));
        }
    } else if let Some(tenure) = tenure.as_ref().filter(|tenure| tenure.home != from.id) {
        let why = format!("{} holds it in epoch {}", tenure.home, tenure.epoch);
        return refused(why, "look at dr failover status and plan again");
    }
    if to.host.addresses.is_empty() {
        return refused(
            format!("{} has no address to put into DNS", to.id),
            "list the host's public addresses in the estate",
        );
    }
    if facts.probes.is_empty() {
        let why = "nothing says how its health is seen".to_owned();
        return refused(why, "give the site a name or a probe in the estate");
    }
    let lost = [from, to]
        .into_iter()
        .find(|side| !side.reachable && (side.id == to.id || facts.occasion == Occasion::Planned));
    if let Some(side) = lost {
        let hint = if side.id == to.id {
            "bring it back first"
        } else {
            "if it is lost, fail over without --planned"
        };
        return Err(Error::new(
            ErrorKind::Unreachable,
            operation(),
            format!("{} cannot be reached by SSH", side.id),
        )
        .hint(hint));
    }
    Ok(())
}

/// Before the first move nobody may have claimed the site: then the old home is written down first, so that taking the move
/// back has something to go back to.
fn first_claim(facts: &FailoverFacts) -> Tenure {
    Tenure { epoch: Epoch(1), home: facts.from.id.clone(), nonce: format!("{}-first", facts.nonce) }
}

/// Above everything that any of the parties has heard of: a fence left behind by an unfinished run counts too.
fn next_epoch(facts: &FailoverFacts, now: Epoch) -> Epoch {
    let standings = [&facts.from, &facts.to].into_iter().filter_map(|side| side.standing);
    standings.map(|standing| standing.epoch).fold(now, Epoch::max).next()
}

fn take_over(facts: &FailoverFacts, standing: Option<Standing>, now: &Tenure, next: &Tenure) -> Vec<Planned> {
    let FailoverFacts { site, from, to, .. } = facts;
    let epoch = next.epoch;
    let (waiting, home) = (Standing { role: Role::Standby, epoch }, Standing { role: Role::Home, epoch });
    let raise = Raise { site: site.clone(), from: Some(now.clone()), to: next.clone() };
    let mut steps = vec![
        Planned::needed(
            format!("{} refuses mirrors of {site} from before epoch {epoch}", to.id),
            role_change(facts, to, standing, waiting),
        ),
        Planned::needed(
            format!("raise the epoch of {site} to {epoch}: {} holds it", to.id),
            Step::RaiseEpoch(raise),
        ),
    ];
    if from.reachable {
        let title = format!("{} steps down as home of {site}", from.id);
        let step = role_change(facts, from, from.standing, waiting);
        // A lost host cannot be told, and must not be waited for. It learns it when it is back: by the epoch.
        steps.push(match facts.occasion {
            Occasion::Planned => Planned::needed(title, step),
            Occasion::Disaster | Occasion::Taken => Planned::wanted(title, step),
        });
    }
    steps.push(Planned::needed(
        format!("{} becomes home of {site}", to.id),
        role_change(facts, to, Some(waiting), home),
    ));
    steps.extend(healthy(facts).into_iter().map(|(title, step)| Planned::needed(title, step)));
    steps
}

fn role_change(facts: &FailoverFacts, side: &Side, from: Option<Standing>, to: Standing) -> Step {
    Step::ChangeRole(RoleChange {
        site: facts.site.clone(),
        host: side.id.clone(),
        remote: side.host.ssh.clone(),
        state_dir: side.host.state_dir.clone(),
        from,
        to: Some(to),
    })
}

/// One wait a probe, at the new home's first address: the others need not be reachable from here.
fn healthy(facts: &FailoverFacts) -> Vec<(String, Step)> {
    let Some(address) = facts.to.host.addresses.first().copied() else { return vec![] };
    let title = format!("wait until {} answers for {}", facts.to.id, facts.site);
    let expect = |probe: &ProbeSpec| Expect { address, probe: probe.clone(), within: HEALTHY_WITHIN };
    facts.probes.iter().map(|probe| (title.clone(), Step::AwaitHealthy(expect(probe)))).collect()
}

fn zone_changes<'a>(facts: &'a FailoverFacts, next: &Tenure) -> Result<Vec<(&'a ZoneNow, ZoneChange)>> {
    let (from, to) = (&facts.from, &facts.to);
    let all: Vec<DnsName> = facts.zones.iter().flat_map(|now| now.names.clone()).collect();
    let mut changes = vec![];
    for now in &facts.zones {
        let mut sets: Vec<SetChange> = vec![];
        for name in &now.names {
            sets.extend(addresses::moved(name, &all, &now.sets, (&from.id, &from.host), (&to.id, &to.host))?);
        }
        if sets.is_empty() {
            continue;
        }
        // Where the tenure stands in the same zone, the primary itself refuses the change once somebody else holds the site.
        let mut require: Vec<RecordSet> =
            now.tenure_owner.iter().map(|owner| next.to_record_set(owner.clone())).collect();
        if facts.occasion == Occasion::Taken && is_older(now.tenure.as_ref(), next) {
            // The epoch was raised in a zone of its own, and has not arrived here: it comes with the records.
            let arrives = |to: RecordSet| SetChange { key: to.key(), from: now.tenure.clone(), to: Some(to) };
            sets.extend(require.drain(..).map(arrives));
        }
        let ZoneNow { zone, primary, key, through, .. } = now.clone();
        changes.push((now, ZoneChange { zone, primary, key, through, require, sets }));
    }
    Ok(changes)
}

/// Whether what stands in a zone is from before this tenure.
fn is_older(set: Option<&RecordSet>, next: &Tenure) -> bool {
    set.is_none_or(|set| Tenure::from_record_set(set).is_ok_and(|there| there.epoch < next.epoch))
}

fn move_visitors(facts: &FailoverFacts, changes: Vec<(&ZoneNow, ZoneChange)>) -> Vec<Planned> {
    // What visitors ask for: the tenure may be among the changes, and is not.
    let of_visitors = |now: &ZoneNow, set: &&SetChange| now.tenure_owner.as_ref() != Some(&set.key.owner);
    let of_zone = |(now, change): &(&ZoneNow, ZoneChange)| {
        remembered(change.sets.iter().filter(|set| of_visitors(now, set)), now.negative_ttl)
    };
    let ttl_s = changes.iter().map(of_zone).max().unwrap_or(0);
    let (mut steps, mut waits) = (vec![], vec![]);
    for (now, change) in changes {
        let owners: BTreeSet<&str> = change.sets.iter().map(|set| set.key.owner.as_str()).collect();
        let names: Vec<&str> = owners.into_iter().collect();
        let title = format!("point {} at {}", names.join(" and "), facts.to.id);
        waits.extend(agreements(now, &change));
        steps.push(Planned::needed(title, Step::ChangeZone(change)));
    }
    steps.extend(waits);
    if ttl_s > 0 {
        let span = Period::from_secs(u64::from(ttl_s));
        let why = "resolvers may keep the old address so long".to_owned();
        steps.push(Planned::wanted(format!("wait {span}: {why}"), Step::Pause(Pause { span, why })));
        let again = healthy(facts).into_iter().map(|(_, step)| step);
        let title = format!("see {} answer for {} with all visitors there", facts.to.id, facts.site);
        steps.extend(again.map(|step| Planned::wanted(title.clone(), step)));
    }
    steps
}

fn agreements(now: &ZoneNow, change: &ZoneChange) -> Vec<Planned> {
    let (silent, answering): (Vec<SocketAddr>, Vec<SocketAddr>) =
        now.servers.iter().copied().partition(|server| now.silent.contains(server));
    let expect: Vec<_> = change.sets.iter().map(|set| (set.key.clone(), set.to.clone())).collect();
    let step = |servers, within| {
        let (zone, expect) = (now.zone.clone(), expect.clone());
        Step::AwaitAgreement(Agreement { zone, servers, expect, within, resolvers: false })
    };
    let mut steps = vec![];
    if !answering.is_empty() {
        let title = format!("wait until {} name servers of {} agree", answering.len(), now.zone);
        steps.push(Planned::wanted(title, step(answering, AGREE_WITHIN)));
    }
    if !silent.is_empty() {
        let who: Vec<String> = silent.iter().map(ToString::to_string).collect();
        let title = format!("ask {} too, silent when this was planned", who.join(", "));
        steps.push(Planned::wanted(title, step(silent, SILENT_WITHIN)));
    }
    steps
}

#[cfg(test)]
mod tests;
