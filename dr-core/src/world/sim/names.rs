//! Name servers of the simulated world: a primary that takes changes, and secondaries that lag behind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::calls::{Got, Process};
use crate::dns::{Answer, EdnsHeard, Entry, Heard, Probe, Question, Reply, Transport, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType, ZoneName};
use crate::time::Tick;
use crate::world::{Commit, Provider, Resolver};

type Records = BTreeMap<RecordKey, RecordSet>;

/// A zone with all its versions; a server shows the newest that is older than its lag.
#[derive(Clone)]
pub(super) struct SimZone {
    primary: SocketAddr,
    lags: BTreeMap<SocketAddr, Duration>,
    versions: Vec<(Tick, Records)>,
}

impl SimZone {
    pub(super) fn new(
        primary: SocketAddr,
        secondaries: &[(SocketAddr, Duration)],
        records: &[RecordSet],
        at: Tick,
    ) -> Self {
        let mut lags: BTreeMap<_, _> = secondaries.iter().copied().collect();
        lags.insert(primary, Duration::ZERO);
        let records = records.iter().map(|set| (set.key(), set.clone())).collect();
        Self { primary, lags, versions: vec![(at, records)] }
    }

    pub(super) fn newest(&self) -> &Records {
        static NOTHING: Records = Records::new();
        self.versions.last().map_or(&NOTHING, |(_, records)| records)
    }

    pub(super) fn set(&mut self, at: Tick, sets: impl IntoIterator<Item = (RecordKey, Option<RecordSet>)>) {
        let mut records = self.newest().clone();
        for (key, set) in sets {
            match set {
                Some(set) => records.insert(key, set),
                None => records.remove(&key),
            };
        }
        self.versions.push((at, records));
    }

    /// The first version is on every server from the beginning.
    fn shown_by(&self, server: SocketAddr, now: Tick) -> Option<&Records> {
        let lag = *self.lags.get(&server)?;
        let shown = self.versions.iter().rev().find(|(at, _)| now.since(*at) >= lag && *at <= now);
        shown.or_else(|| self.versions.first()).map(|(_, records)| records)
    }

    /// Aliases are followed within the zone, as an authoritative server does.
    fn answer(&self, server: SocketAddr, key: &RecordKey, now: Tick) -> Option<Answer> {
        const LONGEST_CHAIN: usize = 16;
        let records = self.shown_by(server, now)?;
        let exists = |owner: &DnsName| records.keys().any(|other| other.owner == *owner);
        let mut owner = key.owner.clone();
        for _ in 0..LONGEST_CHAIN {
            if let Some(set) = records.get(&RecordKey::new(owner.clone(), key.rtype)) {
                return Some(Answer::Records { set: set.clone(), authoritative: true });
            }
            let Some(alias) = records.get(&RecordKey::new(owner.clone(), RecordType::CNAME)) else {
                return Some(if exists(&owner) {
                    Answer::NoData { authoritative: true }
                } else {
                    Answer::NxDomain { authoritative: true }
                });
            };
            let target = alias.rdata.first().and_then(|target| target.parse().ok());
            match target.filter(|target| exists(target)) {
                Some(target) => owner = target,
                None => return Some(Answer::Records { set: alias.clone(), authoritative: true }),
            }
        }
        Some(Answer::Malformed { why: "its aliases (CNAME) go round in a circle".to_owned() })
    }

    /// None if every prerequisite holds, else what is there in the order of the change's sets. TTLs are not compared
    /// (RFC 2136 section 2.4.2).
    fn conflict(&self, change: &ZoneChange) -> Option<Vec<Option<RecordSet>>> {
        let records = self.newest();
        let same = |has: Option<&RecordSet>, wants: Option<&RecordSet>| match (has, wants) {
            (Some(has), Some(wants)) => has.same_data(wants),
            (None, None) => true,
            _ => false,
        };
        let sets = change.sets.iter().all(|set| same(records.get(&set.key), set.from.as_ref()));
        let required = change.require.iter().all(|set| same(records.get(&set.key()), Some(set)));
        (!sets || !required).then(|| change.sets.iter().map(|set| records.get(&set.key).cloned()).collect())
    }
}

#[async_trait]
impl Resolver for Process {
    async fn ask(&self, server: SocketAddr, question: &Question, _within: Duration) -> Answer {
        let name = format!("ask {server}");
        let peer = server.ip().to_string();
        let asked = self.call(name, &peer, |state| {
            let now = state.tick();
            let zones = state.zones.iter().filter(|(name, _)| name.contains(&question.key.owner));
            // The deepest zone that this server has is the one that answers.
            let deepest = zones
                .filter(|(_, zone)| zone.lags.contains_key(&server))
                .max_by_key(|(name, _)| name.as_str().len());
            let refused = || Answer::Failed { rcode: "REFUSED".to_owned() };
            let serves = state.zones.values().any(|zone| zone.lags.contains_key(&server));
            match deepest.and_then(|(_, zone)| zone.answer(server, &question.key, now)) {
                Some(answer) => answer,
                None if serves => refused(),
                None => Answer::Silent,
            }
        });
        match asked.await {
            Got::Reply(answer) => answer,
            Got::Refused => Answer::Unreachable { why: "no route to host".to_owned() },
            Got::Lost => Answer::Silent,
        }
    }

    /// A server as they should be: it knows EDNS, keeps letters, denies what is not there, and gives nothing away.
    async fn probe(&self, server: SocketAddr, zone: &ZoneName, probe: Probe, within: Duration) -> Reply {
        let key = RecordKey::new(zone.apex(), RecordType::SOA);
        let question = Question { key, transport: Transport::Udp, recursive: false };
        let (set, authoritative) = match self.ask(server, &question, within).await {
            Answer::Records { set, authoritative } => (Some(set), authoritative),
            Answer::Silent => return Reply::Silent,
            Answer::Unreachable { why } => return Reply::Unreachable { why },
            Answer::Malformed { why } => return Reply::Malformed { why },
            _ => (None, false),
        };
        let shape = probe.shape(zone);
        let edns = shape.edns.map(|_| EdnsHeard { payload: 1232, ..EdnsHeard::default() });
        let rcode = match probe {
            Probe::EdnsVersion => "BADVERS",
            Probe::Missing => "NXDOMAIN",
            Probe::Stranger | Probe::Version | Probe::Transfer | Probe::SignedTransfer => "REFUSED",
            _ if set.is_none() => "REFUSED",
            _ => "NOERROR",
        };
        let mut heard =
            Heard { rcode: rcode.to_owned(), authoritative, name: shape.owner, edns, ..Heard::default() };
        if matches!(probe, Probe::Apex | Probe::Case | Probe::EdnsOption | Probe::EdnsFlag) {
            let entry = |set: &RecordSet, rdata: &String| Entry {
                owner: set.owner.to_string(),
                rtype: set.rtype.to_string(),
                ttl: set.ttl,
                rdata: rdata.clone(),
            };
            heard.answers =
                set.iter().flat_map(|set| set.rdata.iter().map(|rdata| entry(set, rdata))).collect();
        }
        Reply::Message(Box::new(heard))
    }
}

#[async_trait]
impl Provider for Process {
    async fn read(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read zone {zone}");
        let peer = primary.ip().to_string();
        let read = self.call("provider.read", &peer, |state| {
            let zone = state.zones.get(zone).filter(|zone| zone.primary == primary)?;
            Some(keys.iter().map(|key| zone.newest().get(key).cloned()).collect())
        });
        match read.await {
            Got::Reply(read) => read.ok_or_else(|| not_primary(operation)),
            Got::Refused | Got::Lost => Err(unreachable(operation)),
        }
    }

    async fn commit(&self, change: &ZoneChange) -> Result<Commit> {
        let operation = format!("change zone {}", change.zone);
        let peer = change.primary.ip().to_string();
        let committed = self.call("provider.commit", &peer, |state| {
            let now = state.tick();
            let zone = state.zones.get_mut(&change.zone).filter(|zone| zone.primary == change.primary)?;
            if let Some(observed) = zone.conflict(change) {
                return Some(Commit::Conflict { observed });
            }
            zone.set(now, change.sets.iter().map(|set| (set.key.clone(), set.to.clone())));
            Some(Commit::Applied)
        });
        match committed.await {
            Got::Reply(commit) => commit.ok_or_else(|| not_primary(operation)),
            Got::Refused => Err(unreachable(operation)),
            Got::Lost => Ok(Commit::Unknown { why: "no reply came".to_owned() }),
        }
    }

    async fn rehearse(&self, change: &ZoneChange) -> Result<()> {
        let operation = format!("rehearse a change of zone {}", change.zone);
        let peer = change.primary.ip().to_string();
        let rehearsed = self.call("provider.rehearse", &peer, |state| {
            let zone = state.zones.get(&change.zone).filter(|zone| zone.primary == change.primary)?;
            Some(zone.conflict(change).is_none())
        });
        match rehearsed.await {
            Got::Reply(Some(true)) => Ok(()),
            Got::Reply(Some(false)) => {
                Err(Error::new(ErrorKind::Conflict, operation, "the primary has other records by now"))
            }
            Got::Reply(None) => Err(not_primary(operation)),
            Got::Refused | Got::Lost => Err(unreachable(operation)),
        }
    }
}

fn not_primary(operation: String) -> Error {
    Error::new(ErrorKind::Rejected, operation, "NOTAUTH: this server is not the primary of the zone")
}

fn unreachable(operation: String) -> Error {
    Error::new(ErrorKind::Unreachable, operation, "the primary does not answer")
}
