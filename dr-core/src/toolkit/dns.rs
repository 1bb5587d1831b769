//! DNS through the world.

use std::time::Duration;

use crate::dns::{Agreement, Answer, Question, Transport, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet};
use crate::run::StepState;
use crate::world::{Commit, World};

/// How long one question may take.
const ASK_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn observe_change(world: &World, step: &ZoneChange) -> Result<StepState> {
    let changed = step.sets.iter().map(|set| set.key.clone());
    let keys: Vec<RecordKey> = changed.chain(step.require.iter().map(RecordSet::key)).collect();
    let mut sets = world.provider.read(&step.zone, step.primary, &keys).await?;
    let required = sets.split_off(step.sets.len().min(sets.len()));
    if sets.iter().eq(step.sets.iter().map(|change| &change.to)) {
        return Ok(StepState::To);
    }
    if !sets.iter().eq(step.sets.iter().map(|change| &change.from)) {
        return Ok(StepState::Other(format!("the primary of {} has {}", step.zone, shown(&sets))));
    }
    let holds =
        |(has, wants): (&Option<RecordSet>, &RecordSet)| has.as_ref().is_some_and(|has| has.same_data(wants));
    if required.iter().zip(&step.require).all(holds) {
        return Ok(StepState::From);
    }
    Ok(StepState::Other(format!("what {} must have besides is not so: {}", step.zone, shown(&required))))
}

pub(super) async fn observe_agreement(world: &World, step: &Agreement) -> Result<StepState> {
    for server in &step.servers {
        for (key, expected) in &step.expect {
            let question = Question { key: key.clone(), transport: Transport::Udp, recursive: false };
            let answer = world.resolver.ask(*server, &question, ASK_WITHIN).await;
            if !agrees(&answer, expected.as_ref()) {
                return Ok(StepState::Other(format!("{server} does not show {key} yet: {answer:?}")));
            }
        }
    }
    Ok(StepState::To)
}

pub(super) async fn act(world: &World, step: &ZoneChange) -> Result<()> {
    let operation = || format!("change zone {}", step.zone);
    match world.provider.commit(step).await? {
        Commit::Applied => Ok(()),
        Commit::Conflict { observed } => {
            Err(Error::new(ErrorKind::Conflict, operation(), format!("the primary has {}", shown(&observed))))
        }
        Commit::Unknown { why } => Err(Error::new(ErrorKind::OutcomeUnknown, operation(), why)),
    }
}

fn agrees(answer: &Answer, expected: Option<&RecordSet>) -> bool {
    match (answer, expected) {
        (Answer::Records { set, authoritative: true }, Some(expected)) => set.same_data(expected),
        (Answer::NoData { authoritative: true } | Answer::NxDomain { authoritative: true }, None) => true,
        _ => false,
    }
}

fn shown(sets: &[Option<RecordSet>]) -> String {
    let each = sets.iter().map(|set| set.as_ref().map_or_else(|| "nothing".to_owned(), RecordSet::to_string));
    each.collect::<Vec<_>>().join("; ")
}
