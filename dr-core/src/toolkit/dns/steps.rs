//! The steps: where a zone and its servers stand, and changing it.

use std::net::SocketAddr;

use futures_util::future::join_all;

use super::gather::ASK_WITHIN;
use crate::dns::{Agreement, Answer, Question, Transport, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet};
use crate::run::StepState;
use crate::world::{Commit, World};

/// Where the primary stands. `To` counts TTLs; `From` does not, as the primary itself does not (RFC 2136 section 2.4.2): a TTL
/// that somebody lowered must not stop a failover.
pub(crate) async fn observe_change(world: &World, step: &ZoneChange) -> Result<StepState> {
    let changed = step.sets.iter().map(|set| set.key.clone());
    let keys: Vec<RecordKey> = changed.chain(step.require.iter().map(RecordSet::key)).collect();
    let mut sets = world.provider.read(&step.zone, step.primary, &keys).await?;
    let required = sets.split_off(step.sets.len().min(sets.len()));
    if sets.iter().eq(step.sets.iter().map(|change| &change.to)) {
        return Ok(StepState::To);
    }
    let is_from = sets.iter().zip(&step.sets).all(|(has, change)| same(has.as_ref(), change.from.as_ref()));
    if !is_from {
        return Ok(StepState::Other(format!("the primary of {} has {}", step.zone, shown(&sets))));
    }
    if required.iter().zip(&step.require).all(|(has, wants)| same(has.as_ref(), Some(wants))) {
        return Ok(StepState::From);
    }
    Ok(StepState::Other(format!("what {} must have besides is not so: {}", step.zone, shown(&required))))
}

/// Whether every server shows it; while one does not, what that one says instead.
pub(crate) async fn observe_agreement(world: &World, step: &Agreement) -> Result<StepState> {
    let dissent = join_all(step.servers.iter().map(|server| dissent(world, *server, step))).await;
    let dissent: Vec<String> = dissent.into_iter().flatten().collect();
    Ok(if dissent.is_empty() { StepState::To } else { StepState::Other(dissent.join("; ")) })
}

/// The first thing that a server does not show.
pub(super) async fn dissent(world: &World, server: SocketAddr, step: &Agreement) -> Option<String> {
    for (key, expected) in &step.expect {
        let question = Question { key: key.clone(), transport: Transport::Udp, recursive: step.resolvers };
        let answer = world.resolver.ask(server, &question, ASK_WITHIN).await;
        let agrees = if step.resolvers { resolves } else { agrees };
        if !agrees(&answer, key, expected.as_ref()) {
            return Some(format!("{server} does not show {key} yet: {}", answer.in_words()));
        }
    }
    None
}

/// Makes the change. `OutcomeUnknown` means: read back.
pub(crate) async fn act(world: &World, step: &ZoneChange) -> Result<()> {
    let operation = || format!("change zone {}", step.zone);
    match world.provider.commit(step).await? {
        Commit::Applied => Ok(()),
        Commit::Conflict { observed } => {
            let why = format!("the primary has {}", shown(&observed));
            Err(Error::new(ErrorKind::Conflict, operation(), why)
                .hint("somebody else changed the zone; plan the change again"))
        }
        Commit::Unknown { why } => Err(Error::new(ErrorKind::OutcomeUnknown, operation(), why)),
    }
}

fn agrees(answer: &Answer, key: &RecordKey, expected: Option<&RecordSet>) -> bool {
    match (answer, expected) {
        (Answer::Records { set, authoritative: true }, Some(expected)) => set == expected,
        // Behind an alias there is something else: the record set itself does not exist.
        (Answer::Records { set, authoritative: true }, None) => set.key() != *key,
        (Answer::NoData { authoritative: true } | Answer::NxDomain { authoritative: true }, None) => true,
        _ => false,
    }
}

/// As a resolver says it: without authority, and with less and less time to live.
fn resolves(answer: &Answer, key: &RecordKey, expected: Option<&RecordSet>) -> bool {
    match (answer, expected) {
        (Answer::Records { set, .. }, Some(expected)) => set.same_data(expected) && set.ttl <= expected.ttl,
        (Answer::Records { set, .. }, None) => set.key() != *key,
        (Answer::NoData { .. } | Answer::NxDomain { .. }, None) => true,
        _ => false,
    }
}

fn same(has: Option<&RecordSet>, wants: Option<&RecordSet>) -> bool {
    match (has, wants) {
        (Some(has), Some(wants)) => has.same_data(wants),
        (None, None) => true,
        _ => false,
    }
}

fn shown(sets: &[Option<RecordSet>]) -> String {
    let each = sets.iter().map(|set| set.as_ref().map_or_else(|| "nothing".to_owned(), RecordSet::to_string));
    each.collect::<Vec<_>>().join("; ")
}
