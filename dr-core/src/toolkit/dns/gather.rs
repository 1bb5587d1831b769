//! Facts about zones: every server at once, and no more patience with a dead one than needed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Semaphore;

use crate::dns::{
    Answer, Depth, Exchange, Fact, Probe, Question, Reply, Server, Software, TransferLimits, Transport,
    ZoneFacts, ZoneSpec, first_questions, follow_up, followers, proofs, questions,
};
use crate::error::ErrorKind;
use crate::estate::{DnsName, RecordKey, RecordType};
use crate::time::Tick;
use crate::world::resolver::turns::Turns;
use crate::world::{World, signatures};

/// How long one question may take.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(2);
/// How long a whole zone may take.
const TRANSFER_WITHIN: Duration = Duration::from_secs(10);
/// So many sockets are open at a time: well below the usual limit of 1,024 files.
const QUESTIONS_AT_ONCE: usize = 384;
/// A server that was silent for so many zones in a row is given up, and tried again from time to time.
const SILENCES: u32 = 3;
/// For so many zones a server is told of a change in one round.
const DRILLS: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// What is said of a server that was silent about whole zones.
const SILENT_BEFORE: &str = "it was silent when asked for other zones a moment ago, and was not asked again";

/// One round of questions about one zone or many, with what it learns about the servers.
pub(super) struct Round<'w> {
    world: &'w World,
    /// So many questions are put to one server about one zone at a time.
    window: usize,
    open: Semaphore,
    /// Who may ask for a whole zone now: waiting for that is no silence of the server.
    transfers: Turns,
    servers: Mutex<BTreeMap<SocketAddr, Acquaintance>>,
}

/// What the round knows about a server.
#[derive(Clone, Copy, Default)]
struct Acquaintance {
    /// Whether it has been asked over TCP: once is enough.
    tcp: bool,
    /// For how many zones it was told of a change in the name of a standby primary.
    drilled: u32,
    questions: Silence,
    /// When it is asked for whole zones, which come over TCP.
    transfers: Silence,
}

/// How often in a row a server was silent, and when it was last.
#[derive(Clone, Copy, Default)]
struct Silence {
    times: u32,
    at: Tick,
}

impl Silence {
    fn note(&mut self, silent: bool, at: Tick) {
        *self = Self { times: if silent { self.times.saturating_add(1) } else { 0 }, at };
    }

    fn is_long(self) -> bool {
        self.times >= SILENCES
    }

    /// Whether it is too early to try again.
    fn lasts(self, now: Tick) -> bool {
        self.is_long() && now.since(self.at) < TRY_AGAIN
    }
}

impl<'w> Round<'w> {
    /// A round about a single zone: all questions at once.
    pub(super) fn of_one(world: &'w World) -> Self {
        Self::new(world, 32)
    }

    /// A round about many zones, gentle to each server.
    pub(super) fn of_many(world: &'w World) -> Self {
        Self::new(world, 8)
    }

    fn new(world: &'w World, window: usize) -> Self {
        let open = Semaphore::new(QUESTIONS_AT_ONCE);
        Self { world, window, open, transfers: Turns::default(), servers: Mutex::default() }
    }

    /// Everything that the servers of a zone say about it, and what that leads to.
    pub(super) async fn zone(&self, spec: &ZoneSpec) -> ZoneFacts {
        let at = self.world.clock.read().wall;
        let found = ZoneSpec { parents: self.parents_of(spec).await, ..spec.clone() };
        let spec = &found;
        let servers = join_all(spec.servers.iter().map(|server| self.server(spec, server)));
        let drill = async { if spec.depth == Depth::Full { self.drill(spec).await } else { vec![] } };
        let (said, (parents, drill)) = join(servers, join(self.parents(spec), drill)).await;
        let mut facts = ZoneFacts { spec: spec.clone(), at, facts: vec![], probes: parents, proofs: vec![] };
        facts.probes.extend(drill);
        for (said, probes) in said {
            facts.facts.extend(said);
            facts.probes.extend(probes);
        }
        if spec.depth == Depth::Full {
            self.follow(&mut facts).await;
            facts.proofs = proofs(&facts, signatures::verify);
        }
        facts
    }

    /// A server is asked for the SOA record first; only one that has authority is worth more questions.
    async fn server(&self, spec: &ZoneSpec, server: &Server) -> (Vec<Fact>, Vec<Exchange>) {
        let [over_udp, over_tcp] = first_questions(spec);
        let (server, is_full) = (server.address, spec.depth == Depth::Full);
        if self.is_given_up(server) {
            let why = "it was silent about other zones a moment ago, and was not asked again".to_owned();
            let answer = Answer::Unreachable { why };
            return (vec![Fact { server, question: over_udp, answer, took_us: 0 }], vec![]);
        }
        let is_new = self.is_new_over_tcp(server);
        let over_tcp = async { if is_new { Some(self.ask(server, over_tcp).await) } else { None } };
        let apex = async { if is_full { Some(self.probe(server, spec, Probe::Apex).await) } else { None } };
        let (udp, (tcp, apex)) = join(self.ask(server, over_udp), join(over_tcp, apex)).await;
        let has_authority = matches!(udp.answer, Answer::Records { authoritative: true, .. });
        let first: Vec<Fact> = [Some(udp), tcp].into_iter().flatten().collect();
        let is_silence = |fact: &Fact| matches!(fact.answer, Answer::Silent | Answer::Unreachable { .. });
        self.note(server, first.iter().all(is_silence));
        let mut probes: Vec<Exchange> = apex.into_iter().collect();
        if !has_authority {
            return (first, probes);
        }
        let rest = questions(spec).into_iter().map(|question| self.ask(server, question));
        let rest = stream::iter(rest).buffer_unordered(self.window).collect::<Vec<Fact>>();
        let (rest, more) = join(rest, self.probes(spec, server, is_full, is_new)).await;
        probes.extend(more);
        (first.into_iter().chain(rest).collect(), probes)
    }

    async fn probes(
        &self,
        spec: &ZoneSpec,
        server: SocketAddr,
        is_full: bool,
        is_new: bool,
    ) -> Vec<Exchange> {
        if !is_full {
            return vec![];
        }
        let of_server = Probe::OF_SERVER.into_iter().filter(|_| is_new);
        let probes = Probe::OF_ZONE.into_iter().chain(of_server).map(|probe| self.probe(server, spec, probe));
        let asked = stream::iter(probes).buffer_unordered(self.window).collect::<Vec<Exchange>>();
        let (mut probes, signed) = join(asked, self.signed_transfer(spec, server)).await;
        probes.extend(signed);
        let has_keys = |said: &Exchange| match &said.reply {
            Reply::Message(heard) => said.probe == Probe::Keys && !heard.answers.is_empty(),
            _ => false,
        };
        if probes.iter().any(has_keys) {
            probes.extend(join_all(Probe::OF_SIGNED_ZONE.map(|probe| self.probe(server, spec, probe))).await);
        }
        probes
    }

    /// The whole zone with the zone's transfer key, if it has one.
    async fn signed_transfer(&self, spec: &ZoneSpec, server: SocketAddr) -> Option<Exchange> {
        let key = spec.transfer_key.as_ref()?;
        let asked =
            self.world.provider.transfer(&spec.zone, server, Some(key), None, TransferLimits::default());
        let replied = async {
            Ok(match tokio::time::timeout(TRANSFER_WITHIN, asked).await {
                Ok(Ok(zone)) => zone.reply(),
                // Where nobody could ask there is nothing to say.
                Ok(Err(why)) if why.kind() == ErrorKind::Unsupported => return Err(why),
                Ok(Err(why)) if why.kind() == ErrorKind::Unreachable => {
                    Reply::Unreachable { why: why.message().to_owned() }
                }
                Ok(Err(why)) => Reply::Refused { why: why.message().to_owned() },
                Err(_) => Reply::Silent,
            })
        };
        self.transfer(server, Probe::SignedTransfer, replied).await.ok()
    }

    /// Tells the servers that would have to follow the standby primary of a change, in its name: for a few zones only, as each of
    /// them will look at its primary whether there is one.
    pub(super) async fn drill(&self, spec: &ZoneSpec) -> Vec<Exchange> {
        let Some(from) = spec.standby_primary.map(|standby| standby.ip()) else { return vec![] };
        let is_due = |server: &Server| {
            let mut servers = self.known();
            let drilled = &mut servers.entry(server.address).or_default().drilled;
            *drilled += 1;
            *drilled <= DRILLS
        };
        let due: Vec<Server> = followers(spec).into_iter().filter(is_due).collect();
        join_all(due.iter().map(|server| self.probe(server.address, spec, Probe::Notify { from }))).await
    }

    /// What a server calls its software.
    pub(super) async fn software(&self, spec: &ZoneSpec, server: &Server) -> Option<Software> {
        match self.probe(server.address, spec, Probe::Version).await.reply {
            Reply::Message(heard) => {
                heard.answers_of("TXT").find_map(|entry| Software::of_version(&entry.rdata))
            }
            _ => None,
        }
    }

    /// The servers of the parent zone: those that are named, or those that the resolver finds. A few of them tell enough.
    async fn parents_of(&self, spec: &ZoneSpec) -> Vec<Server> {
        const ENOUGH: usize = 4;
        let Some(resolver) = spec.resolver.filter(|_| spec.parents.is_empty() && spec.depth == Depth::Full)
        else {
            return spec.parents.clone();
        };
        let mut above = spec.zone.as_str();
        while let Some((_, rest)) = above.split_once('.') {
            above = rest;
            let Ok(parent) = above.parse::<DnsName>() else { return vec![] };
            let names = self.looked_up(resolver, RecordKey::new(parent, RecordType::NS)).await;
            let names = names.iter().filter_map(|name| name.parse::<DnsName>().ok()).take(ENOUGH);
            let each = names.map(async |name| {
                let key = RecordKey::new(name.clone(), RecordType::A);
                let mut at = self.looked_up(resolver, key).await;
                if at.is_empty() {
                    at = self.looked_up(resolver, RecordKey::new(name.clone(), RecordType::AAAA)).await;
                }
                let address: IpAddr = at.first()?.parse().ok()?;
                Some(Server { name: name.to_string(), address: (address, 53).into() })
            });
            let found: Vec<Server> = join_all(each).await.into_iter().flatten().collect();
            if !found.is_empty() {
                return found;
            }
        }
        vec![]
    }

    /// What the resolver knows of a record set.
    async fn looked_up(&self, resolver: SocketAddr, key: RecordKey) -> BTreeSet<String> {
        let question = Question { key: key.clone(), transport: Transport::Udp, recursive: true };
        match self.ask(resolver, question).await.answer {
            Answer::Records { set, .. } if set.key() == key => set.rdata,
            _ => BTreeSet::new(),
        }
    }

    async fn parents(&self, spec: &ZoneSpec) -> Vec<Exchange> {
        let parents = spec.parents.iter().filter(|_| spec.depth == Depth::Full);
        let probes =
            parents.flat_map(|parent| Probe::OF_PARENT.map(|probe| self.probe(parent.address, spec, probe)));
        join_all(probes).await
    }

    /// Asks what the answers lead to, until they lead nowhere new: all names of a zone that could be had whole, where the name
    /// servers and mail exchanges are, what their addresses are called.
    async fn follow(&self, facts: &mut ZoneFacts) {
        const ROUNDS: usize = 12;
        let whole: BTreeSet<RecordKey> = facts.probes.iter().filter_map(keys_of).flatten().cloned().collect();
        let known = facts.spec.keys();
        facts.spec.records.extend(whole.into_iter().filter(|key| !known.contains(key)));
        for _ in 0..ROUNDS {
            let more = follow_up(facts);
            if more.is_empty() {
                return;
            }
            let asked = more.into_iter().map(|(server, question)| self.ask(server, question));
            let said: Vec<Fact> = stream::iter(asked).buffer_unordered(self.window * 8).collect().await;
            facts.facts.extend(said);
        }
    }

    async fn probe(&self, server: SocketAddr, spec: &ZoneSpec, probe: Probe) -> Exchange {
        if probe == Probe::Transfer {
            let asked = self.world.resolver.probe(server, &spec.zone, probe, TRANSFER_WITHIN);
            let Ok(said) = self.transfer(server, probe, asked.map(Ok::<_, Infallible>)).await;
            return said;
        }
        let _permit = self.open.acquire().await.ok();
        let begun = self.world.clock.read().running;
        let reply = self.world.resolver.probe(server, &spec.zone, probe, ASK_WITHIN).await;
        Exchange { server, probe, reply, took_us: self.microseconds_since(begun) }
    }

    /// A whole zone, if the server gives zones; as many at a time as may open connections to it.
    async fn transfer<E>(
        &self,
        server: SocketAddr,
        probe: Probe,
        replied: impl Future<Output = Result<Reply, E>>,
    ) -> Result<Exchange, E> {
        let _turn = self.transfers.at(server).await;
        let _permit = self.open.acquire().await.ok();
        let begun = self.world.clock.read().running;
        let silence = self.known().entry(server).or_default().transfers;
        let reply = if silence.lasts(begun) {
            Reply::Unreachable { why: SILENT_BEFORE.to_owned() }
        } else {
            replied.await?
        };
        // Where the connection did not come about, or nobody asked, nothing is learnt.
        if !matches!(reply, Reply::Unreachable { .. }) {
            let now = self.world.clock.read().running;
            self.known().entry(server).or_default().transfers.note(reply == Reply::Silent, now);
        }
        Ok(Exchange { server, probe, reply, took_us: self.microseconds_since(begun) })
    }

    fn microseconds_since(&self, begun: Tick) -> u64 {
        let took = self.world.clock.read().running.since(begun);
        u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
    }

    async fn ask(&self, server: SocketAddr, question: Question) -> Fact {
        // Questions over UDP share sockets, and wait for one another there. The semaphore is never closed; if it were, asking
        // without a permit would do no harm.
        let _permit = match question.transport {
            Transport::Tcp => self.open.acquire().await.ok(),
            Transport::Udp => None,
        };
        let begun = self.world.clock.read().running;
        let answer = self.world.resolver.ask(server, &question, ASK_WITHIN).await;
        Fact { server, question, answer, took_us: self.microseconds_since(begun) }
    }

    fn is_given_up(&self, server: SocketAddr) -> bool {
        let now = self.world.clock.read().running;
        let mut servers = self.known();
        let silence = &mut servers.entry(server).or_default().questions;
        let given_up = silence.lasts(now);
        if silence.is_long() && !given_up {
            // This one zone tries again; the others wait for what it finds.
            silence.at = now;
        }
        given_up
    }

    fn is_new_over_tcp(&self, server: SocketAddr) -> bool {
        !std::mem::replace(&mut self.known().entry(server).or_default().tcp, true)
    }

    fn note(&self, server: SocketAddr, silent: bool) {
        let now = self.world.clock.read().running;
        self.known().entry(server).or_default().questions.note(silent, now);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Acquaintance>> {
        // What a panicking task left behind is still only a hint.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record sets of a zone that came as a whole.
fn keys_of(said: &Exchange) -> Option<&BTreeSet<RecordKey>> {
    match &said.reply {
        Reply::Transferred { keys, .. } => Some(keys),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::estate::{RecordSet, ZoneName};
    use crate::world::Resolver;
    use crate::world::sim::SimWorld;

    /// A server that never says a word to who asks for a whole zone.
    struct NoZones {
        rest: Arc<dyn Resolver>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Resolver for NoZones {
        async fn ask(&self, server: SocketAddr, question: &Question, within: Duration) -> Answer {
            self.rest.ask(server, question, within).await
        }

        async fn probe(&self, server: SocketAddr, zone: &ZoneName, probe: Probe, within: Duration) -> Reply {
            if probe != Probe::Transfer {
                return self.rest.probe(server, zone, probe, within).await;
            }
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(within).await;
            Reply::Silent
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_gives_no_zones_is_not_waited_for_by_all_of_them() {
        let (sim, server) = (SimWorld::new(), SocketAddr::from(([192, 0, 2, 1], 53)));
        let specs: Vec<ZoneSpec> = (0..100)
            .map(|number| {
                let zone: ZoneName = format!("z{number}.test").parse().unwrap();
                let soa = "ns1 hostmaster 1 3600 900 1209600 300";
                let owner = zone.as_str().parse().unwrap();
                sim.put_zone(&zone, server, &[], &[RecordSet::new(owner, RecordType::SOA, 300, [soa])]);
                let servers = vec![Server { name: "ns1".to_owned(), address: server }];
                ZoneSpec { depth: Depth::Full, ..ZoneSpec::new(zone, servers) }
            })
            .collect();
        let mut world = sim.world();
        let resolver = Arc::new(NoZones { rest: world.resolver.clone(), asked: AtomicUsize::new(0) });
        world.resolver = resolver.clone();
        let (round, begun) = (Round::of_many(&world), tokio::time::Instant::now());
        let found = join_all(specs.iter().map(|spec| round.zone(spec))).await;
        let said = |wanted: fn(&Reply) -> bool| {
            let of = |facts: &ZoneFacts| {
                facts.probes.iter().any(|said| said.probe == Probe::Transfer && wanted(&said.reply))
            };
            found.iter().filter(|facts| of(facts)).count()
        };
        assert_eq!(resolver.asked.load(Ordering::Relaxed), 8);
        assert_eq!(said(|reply| *reply == Reply::Silent), 8);
        assert_eq!(said(|reply| matches!(reply, Reply::Unreachable { .. })), 92, "each zone says why");
        assert_eq!(begun.elapsed().as_secs(), TRANSFER_WITHIN.as_secs(), "the time of one");
    }

    #[tokio::test]
    async fn the_parent_is_found_through_the_resolver() {
        let sim = SimWorld::new();
        let [resolver, parent, own] = [9, 53, 1].map(|last| SocketAddr::from(([192, 0, 2, last], 53)));
        let set =
            |owner: &str, rtype, rdata: &str| RecordSet::new(owner.parse().unwrap(), rtype, 60, [rdata]);
        let of_parent = [set("test", RecordType::NS, "ns.test"), set("ns.test", RecordType::A, "192.0.2.53")];
        sim.put_zone(&"test".parse().unwrap(), parent, &[(resolver, Duration::ZERO)], &of_parent);
        sim.put_zone(&"a.b.test".parse().unwrap(), own, &[], &[]);
        let servers = vec![Server { name: "ns1".to_owned(), address: own }];
        let mut spec = ZoneSpec::new("a.b.test".parse().unwrap(), servers);
        let world = sim.world();
        let round = Round::of_one(&world);
        assert_eq!(round.parents_of(&spec).await, [], "without a resolver nobody can be asked");
        spec.resolver = Some(resolver);
        let found = round.zone(&spec).await;
        let named = vec![Server { name: "ns.test".to_owned(), address: parent }];
        assert_eq!(found.spec.parents, named, "b.test is no zone of its own");
        assert!(found.probes.iter().any(|said| said.server == parent && said.probe == Probe::Delegation));
        spec.parents = vec!["p=192.0.2.54".parse().unwrap()];
        assert_eq!(round.parents_of(&spec).await, spec.parents, "who is named is asked");
    }
}
