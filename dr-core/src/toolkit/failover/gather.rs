//! The facts that say whether a site could be moved now: all asked at once, because in a disaster some never answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};

use super::ready::Ready;
use super::steps::damaged;
use crate::dns::{Answer, Question, SetChange, Soa, Transport, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{
    DnsName, Epoch, Host, HostId, Mode, ProbeSpec, RecordKey, RecordSet, RecordType, Site, SiteId, Zone,
    ZoneName,
};
use crate::failover::{
    DownKind, Guard, LastMirror, Role, Sight, Standing, Tenure, guard, last_mirror_path, standing_path,
};
use crate::plan::{Planned, Side, ZoneNow, first_roles};
use crate::time::{Period, Timestamp};
use crate::toolkit::Toolkit;
use crate::world::World;

/// How long a name server may take to show that it is there.
const SERVER_WITHIN: Duration = Duration::from_secs(2);
/// How long the old home may take to say what it believes, once it is known how it answers visitors. It may be gone without a
/// trace, and what it believes is not needed to leave it: nothing waits for the whole timeout of a connection here.
const OLD_HOME_WITHIN: Duration = Duration::from_secs(5);
/// The same for one that did not answer visitors in time either.
const LOST_HOME_WITHIN: Duration = Duration::from_secs(1);

/// Everything that was seen. What could not be seen is kept as the error it gave.
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) tenure: Result<Option<Tenure>>,
    pub(super) home: Party,
    pub(super) other: Party,
    pub(super) last_mirror: Result<Option<LastMirror>>,
    pub(super) zones: Vec<Result<ZoneNow>>,
    /// Names of the site that are in no zone of the estate.
    pub(super) zoneless: Vec<DnsName>,
    pub(super) ready: Ready,
}

/// What was seen of a site that has been taken.
pub(super) struct Taken {
    pub(super) at: Timestamp,
    pub(super) tenure: Option<Tenure>,
    pub(super) to: Side,
    pub(super) from: Side,
    pub(super) zones: Vec<Result<ZoneNow>>,
}

/// One host of the site.
pub(super) struct Party {
    pub(super) id: HostId,
    pub(super) host: Host,
    pub(super) standing: Result<Option<Standing>>,
    pub(super) sights: Vec<Sight>,
}

impl Party {
    pub(super) fn side(&self) -> Side {
        let standing = self.standing.as_ref().ok().copied().flatten();
        Side { id: self.id.clone(), host: self.host.clone(), reachable: self.standing.is_ok(), standing }
    }
}

/// How the health of a site is seen: as the estate says, else by a GET of `/` under its first name.
pub(in crate::toolkit) fn probes(site: &Site) -> Vec<ProbeSpec> {
    if !site.probes.is_empty() {
        return site.probes.clone();
    }
    let default = |name: &DnsName| ProbeSpec::Http {
        host: name.clone(),
        path: "/".to_owned(),
        port: 80,
        status: 200,
        contains: None,
    };
    site.names.first().map(default).into_iter().collect()
}

impl Toolkit {
    /// The site of this name; an error that lists those there are.
    pub(super) fn site(&self, id: &SiteId, operation: &str) -> Result<&Site> {
        self.estate.sites.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.estate.sites.keys().map(SiteId::as_str).collect();
            Error::new(ErrorKind::NotFound, operation, format!("the estate has no site {id}")).hint(format!(
                "its sites: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })
    }

    /// Looks at everything that a move of the site depends on. Nothing is changed.
    pub(super) async fn gather(&self, id: &SiteId, operation: &str) -> Result<Seen> {
        let site = self.site(id, operation)?;
        let at = self.world.clock.read().wall;
        let tenure = self.world.coordinator.read(id).await;
        let held_by = tenure.as_ref().ok().and_then(Option::as_ref).map(|tenure| &tenure.home);
        let home = held_by.unwrap_or(&site.home);
        let other = if *home == site.home { &site.standby } else { &site.home };
        if *home != site.home && *home != site.standby {
            let why = format!("{home} holds it, which is neither {} nor {}", site.home, site.standby);
            return Err(
                Error::new(ErrorKind::Refused, operation, why).hint("correct the site's hosts in the estate")
            );
        }
        let (home, other, last_mirror, zones, ready) = tokio::join!(
            self.party(id, site, home, true, operation),
            self.party(id, site, other, false, operation),
            self.last_mirror(id, other, operation),
            self.zones_now(id, site),
            self.ready(id, site, home, other)
        );
        let (home, other, (zones, zoneless)) = (home?, other?, zones);
        Ok(Seen { at, tenure, home, other, last_mirror, zones, zoneless, ready })
    }

    /// What is left to know of a site that `me` has taken. What says whether it may be taken is not looked at again, and whom it was
    /// taken from may be gone: nothing waits for that.
    pub(super) async fn gather_taken(&self, id: &SiteId, me: &HostId, operation: &str) -> Result<Taken> {
        let site = self.site(id, operation)?;
        let at = self.world.clock.read().wall;
        let from = if *me == site.home { &site.standby } else { &site.home };
        let (tenure, to, from, (zones, _)) = tokio::join!(
            self.world.coordinator.read(id),
            self.party(id, site, me, false, operation),
            self.party(id, site, from, true, operation),
            self.zones_now(id, site)
        );
        Ok(Taken { at, tenure: tenure?, to: to?.side(), from: from?.side(), zones })
    }

    /// Every zone that names of the site are in, and those names that are in none.
    async fn zones_now(&self, id: &SiteId, site: &Site) -> (Vec<Result<ZoneNow>>, Vec<DnsName>) {
        let (zones, zoneless) = self.zones_of(site);
        let tenure_place = self.world.coordinator.place_in_dns(id);
        let zones = zones.into_iter().map(|(apex, names)| {
            let owner =
                tenure_place.as_ref().filter(|(zone, _)| zone == apex).map(|(_, owner)| owner.clone());
            self.zone_now(apex, names, owner)
        });
        (join_all(zones).await, zoneless)
    }

    fn host(&self, id: &HostId, operation: &str) -> Result<&Host> {
        self.estate.hosts.get(id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation, format!("the estate has no host {id}"))
                .hint(format!("add [hosts.{id}] to the estate"))
        })
    }

    async fn party(
        &self,
        site_id: &SiteId,
        site: &Site,
        id: &HostId,
        may_be_lost: bool,
        operation: &str,
    ) -> Result<Party> {
        let host = self.host(id, operation)?;
        let within = self.estate.policy.health.timeout.as_duration();
        let probes = probes(site);
        let looks = host.addresses.first().into_iter().flat_map(|address| {
            probes.iter().map(move |probe| self.world.probe.look(*address, probe, within))
        });
        let asked = std::pin::pin!(standing(&self.world, site_id, id, host));
        let (standing, sights) = match select(asked, std::pin::pin!(join_all(looks))).await {
            Either::Left((standing, looks)) => (standing, looks.await),
            Either::Right((sights, asked)) if may_be_lost => {
                let is_silent = |sight: &Sight| {
                    matches!(sight, Sight::Down { kind: DownKind::TimedOut | DownKind::NoRoute, .. })
                };
                let is_lost = sights.iter().any(is_silent);
                let limit = if is_lost { LOST_HOME_WITHIN } else { OLD_HOME_WITHIN };
                let standing = tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
                    let why = format!("no answer in {} s", limit.as_secs());
                    Err(Error::new(ErrorKind::Timeout, format!("ask {id} what it is for {site_id}"), why))
                });
                (standing, sights)
            }
            Either::Right((sights, asked)) => (asked.await, sights),
        };
        Ok(Party { id: id.clone(), host: host.clone(), standing, sights })
    }

    async fn last_mirror(&self, site: &SiteId, id: &HostId, operation: &str) -> Result<Option<LastMirror>> {
        let host = self.host(id, operation)?;
        let path = last_mirror_path(&host.state_dir, site);
        let Some(bytes) = self.world.shell.read_file(&host.ssh, &path).await? else { return Ok(None) };
        let last = LastMirror::from_bytes(&bytes).map_err(|why| damaged(&path, id, why))?;
        if self.seal.as_ref().is_some_and(|secret| !last.is_sealed_by(secret, id)) {
            let why = "the record does not have the seal of this estate".to_owned();
            return Err(damaged(&path, id, why).hint("mirror the site: that writes a new record"));
        }
        Ok(Some(last))
    }

    /// The site's names by the zone that they are in, and those that are in none.
    fn zones_of(&self, site: &Site) -> (BTreeMap<&ZoneName, Vec<DnsName>>, Vec<DnsName>) {
        let (mut zones, mut zoneless) = (BTreeMap::<_, Vec<_>>::new(), vec![]);
        for name in &site.names {
            match self.estate.zone_of(name) {
                Some((apex, _)) => zones.entry(apex).or_default().push(name.clone()),
                None => zoneless.push(name.clone()),
            }
        }
        (zones, zoneless)
    }

    /// What the primary has, which servers answer, and whether the zone could be changed now.
    async fn zone_now(
        &self,
        apex: &ZoneName,
        names: Vec<DnsName>,
        tenure_owner: Option<DnsName>,
    ) -> Result<ZoneNow> {
        let operation = format!("look at the zone {apex}");
        let address = |zone: &Zone| self.estate.name_servers.get(&zone.primary).map(|server| server.address);
        let (zone, primary) =
            (self.estate.zones.get(apex)).and_then(|zone| Some((zone, address(zone)?))).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, &*operation, "the estate has no primary for it")
            })?;
        let servers: Vec<SocketAddr> = zone
            .servers
            .iter()
            .filter_map(|id| self.estate.name_servers.get(id))
            .map(|server| server.address)
            .collect();
        let types = [RecordType::A, RecordType::AAAA, RecordType::CNAME];
        let mut keys: Vec<RecordKey> =
            names.iter().flat_map(|name| types.map(|rtype| RecordKey::new(name.clone(), rtype))).collect();
        keys.extend(tenure_owner.iter().map(|owner| RecordKey::new(owner.clone(), RecordType::TXT)));
        let (sets, (silent, negative_ttl)) =
            tokio::join!(self.world.provider.read(apex, primary, &keys), self.silent(apex, &servers));
        let mut sets = sets?;
        let tenure = tenure_owner.as_ref().and_then(|_| sets.pop().flatten());
        let sets: Vec<RecordSet> = sets.into_iter().flatten().collect();
        let (key, through) = (zone.update_key.clone(), self.world.provider.abilities(apex).through());
        let unchanged =
            |set: &RecordSet| SetChange { key: set.key(), from: Some(set.clone()), to: Some(set.clone()) };
        let rehearsal = ZoneChange {
            zone: apex.clone(),
            primary,
            key: key.clone(),
            through: through.clone(),
            require: vec![],
            sets: sets.iter().map(unchanged).collect(),
        };
        self.world.provider.rehearse(&rehearsal).await?;
        let zone = apex.clone();
        Ok(ZoneNow {
            zone,
            primary,
            key,
            servers,
            silent,
            names,
            sets,
            tenure_owner,
            tenure,
            negative_ttl,
            through,
        })
    }

    /// Who does not answer, and how long resolvers remember that something does not exist.
    async fn silent(&self, apex: &ZoneName, servers: &[SocketAddr]) -> (BTreeSet<SocketAddr>, Option<u32>) {
        let key = RecordKey::new(apex.apex(), RecordType::SOA);
        let question = Question { key, transport: Transport::Udp, recursive: false };
        let asked = servers.iter().map(|server| self.world.resolver.ask(*server, &question, SERVER_WITHIN));
        let answers = join_all(asked).await;
        let is_silent = |answer: &Answer| matches!(answer, Answer::Silent | Answer::Unreachable { .. });
        let silent = servers.iter().zip(&answers).filter(|(_, answer)| is_silent(answer));
        let negative = answers.iter().filter_map(|answer| match answer {
            Answer::Records { set, .. } => Soa::negative_ttl(set),
            _ => None,
        });
        (silent.map(|(server, _)| *server).collect(), negative.max())
    }
}

impl Toolkit {
    /// The steps that tell both hosts of a site what they are, as far as they were never told. A host that cannot be asked is left
    /// alone.
    pub(in crate::toolkit) async fn first_roles(
        &self,
        site: &SiteId,
        epoch: Epoch,
        home: (&HostId, &Host),
        other: (&HostId, &Host),
    ) -> Vec<Planned> {
        let asked = |(id, host)| standing(&self.world, site, id, host);
        let (at_home, there) = tokio::join!(asked(home), asked(other));
        let hosts = [(home, Role::Home, at_home), (other, Role::Standby, there)];
        let known = |((id, host), role, standing): &((_, _), _, Result<_>)| {
            Some((*id, *host, *role, *standing.as_ref().ok()?))
        };
        let hosts: Vec<(&HostId, &Host, Role, Option<Standing>)> = hosts.iter().filter_map(known).collect();
        first_roles(site, epoch, &hosts)
    }
}

async fn standing(world: &World, site: &SiteId, id: &HostId, host: &Host) -> Result<Option<Standing>> {
    let path = standing_path(&host.state_dir, site);
    let Some(bytes) = world.shell.read_file(&host.ssh, &path).await? else { return Ok(None) };
    Standing::from_bytes(&bytes).map(Some).map_err(|why| damaged(&path, id, why))
}

impl Seen {
    /// The highest epoch that somebody can have held the site in: a standby's standing alone is no proof, it may be a fence that
    /// was put up for an epoch that never came.
    fn highest_epoch(&self) -> Epoch {
        let homes = [&self.home, &self.other].into_iter().filter_map(|party| party.side().standing);
        let homes = homes.filter(|standing| standing.role == Role::Home).map(|standing| standing.epoch);
        let mirrored = self.last_mirror.as_ref().ok().and_then(Option::as_ref).map(|last| last.epoch);
        homes.chain(mirrored).max().unwrap_or_default()
    }

    /// Of the records that would be changed, in seconds.
    fn longest_ttl(&self) -> Option<u32> {
        self.zones.iter().flatten().flat_map(|zone| &zone.sets).map(|set| set.ttl).max()
    }

    /// Every guard that facts alone can judge, in the order in which they matter.
    pub(super) fn guards(&self, toolkit: &Toolkit, id: &SiteId, site: &Site) -> Vec<Guard> {
        let said = |why: &Error| why.to_string();
        let unchangeable: Vec<String> =
            self.zones.iter().filter_map(|zone| zone.as_ref().err().map(said)).collect();
        let mut guards = vec![
            guard::standby_healthy(&self.other.id, &self.other.sights),
            guard::dns_changeable(self.zones.len(), &unchangeable),
            guard::tenure(self.tenure.as_ref().map(Option::as_ref), self.highest_epoch()),
            guard::ttl(self.longest_ttl(), until_changed(toolkit, site), toolkit.estate.policy.rto),
        ];
        guards.extend(self.ready.guards(toolkit, id, site, &self.other.id));
        if site.mirror && !site.trees.is_empty() {
            let rpo = site.rpo.unwrap_or(toolkit.estate.policy.rpo);
            let unread = self.last_mirror.as_ref().err().map(said).unwrap_or_default();
            let last = self.last_mirror.as_ref().map(Option::as_ref).map_err(|_| unread.as_str());
            guards.insert(1, guard::mirror_fresh(&self.other.id, last, self.at, rpo));
        }
        guards
    }
}

/// What passes until the records are changed: noticing at worst, and waiting for the old home where nobody is asked.
fn until_changed(toolkit: &Toolkit, site: &Site) -> Period {
    let (health, failover) = (&toolkit.estate.policy.health, &toolkit.estate.policy.failover);
    let look = health.timeout.as_duration().saturating_add(health.confirm_interval.as_duration());
    let noticed = health.interval.as_duration().saturating_add(look.saturating_mul(health.fall));
    let waits = site.failover.unwrap_or(failover.mode) == Mode::Auto;
    Period::from(if waits { noticed.saturating_add(failover.times.take.as_duration()) } else { noticed })
}
