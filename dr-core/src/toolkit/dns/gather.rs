//! Facts about zones: every server at once, and no more patience with a dead one than needed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use crate::dns::{Answer, Fact, Question, Server, ZoneFacts, ZoneSpec, first_questions, questions};
use crate::time::Tick;
use crate::world::World;

/// How long one question may take.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(2);
/// So many sockets are open at a time: well below the usual limit of 1,024 files.
const QUESTIONS_AT_ONCE: usize = 384;
/// A server that was silent for so many zones in a row is given up, and tried again from time to time.
const SILENCES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// One round of questions about one zone or many, with what it learns about the servers.
pub(super) struct Round<'w> {
    world: &'w World,
    /// So many questions are put to one server about one zone at a time.
    window: usize,
    open: Semaphore,
    servers: Mutex<BTreeMap<SocketAddr, Acquaintance>>,
}

/// What the round knows about a server.
#[derive(Clone, Copy, Default)]
struct Acquaintance {
    /// Whether it has been asked over TCP: once is enough.
    tcp: bool,
    silences: u32,
    silent_at: Tick,
}

impl<'w> Round<'w> {
    /// A round about a single zone: all questions at once.
    pub(super) fn of_one(world: &'w World) -> Self {
        Self::new(world, 32)
    }

    /// A round about many zones, gentle to each server.
    pub(super) fn of_many(world: &'w World) -> Self {
        Self::new(world, 4)
    }

    fn new(world: &'w World, window: usize) -> Self {
        Self { world, window, open: Semaphore::new(QUESTIONS_AT_ONCE), servers: Mutex::default() }
    }

    /// Everything that the servers of a zone say about it.
    pub(super) async fn zone(&self, spec: &ZoneSpec) -> ZoneFacts {
        let at = self.world.clock.read().wall;
        let said = join_all(spec.servers.iter().map(|server| self.server(spec, server))).await;
        ZoneFacts { spec: spec.clone(), at, facts: said.into_iter().flatten().collect() }
    }

    /// A server is asked for the SOA record first; only one that has authority is worth more questions.
    async fn server(&self, spec: &ZoneSpec, server: &Server) -> Vec<Fact> {
        let [over_udp, over_tcp] = first_questions(spec);
        let server = server.address;
        if self.is_given_up(server) {
            let why = "it was silent about other zones a moment ago, and was not asked again".to_owned();
            let answer = Answer::Unreachable { why };
            return vec![Fact { server, question: over_udp, answer, took_us: 0 }];
        }
        let first = if self.is_new_over_tcp(server) {
            let (udp, tcp) = join(self.ask(server, over_udp), self.ask(server, over_tcp)).await;
            vec![udp, tcp]
        } else {
            vec![self.ask(server, over_udp).await]
        };
        let is_silence = |fact: &Fact| matches!(fact.answer, Answer::Silent | Answer::Unreachable { .. });
        self.note(server, first.iter().all(is_silence));
        if !matches!(first[0].answer, Answer::Records { authoritative: true, .. }) {
            return first;
        }
        let rest = questions(spec).into_iter().map(|question| self.ask(server, question));
        let rest: Vec<Fact> = stream::iter(rest).buffer_unordered(self.window).collect().await;
        first.into_iter().chain(rest).collect()
    }

    async fn ask(&self, server: SocketAddr, question: Question) -> Fact {
        // The semaphore is never closed; if it were, asking without a permit would do no harm.
        let _permit = self.open.acquire().await.ok();
        let begun = self.world.clock.read().running;
        let answer = self.world.resolver.ask(server, &question, ASK_WITHIN).await;
        let took = self.world.clock.read().running.since(begun);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Fact { server, question, answer, took_us }
    }

    fn is_given_up(&self, server: SocketAddr) -> bool {
        let now = self.world.clock.read().running;
        let mut servers = self.known();
        let known = servers.entry(server).or_default();
        let given_up = known.silences >= SILENCES && now.since(known.silent_at) < TRY_AGAIN;
        if known.silences >= SILENCES && !given_up {
            // This one zone tries again; the others wait for what it finds.
            known.silent_at = now;
        }
        given_up
    }

    fn is_new_over_tcp(&self, server: SocketAddr) -> bool {
        !std::mem::replace(&mut self.known().entry(server).or_default().tcp, true)
    }

    fn note(&self, server: SocketAddr, silent: bool) {
        let silent_at = self.world.clock.read().running;
        let mut servers = self.known();
        let known = servers.entry(server).or_default();
        let silences = if silent { known.silences.saturating_add(1) } else { 0 };
        *known = Acquaintance { silences, silent_at, ..*known };
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Acquaintance>> {
        // What a panicking task left behind is still only a hint.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
