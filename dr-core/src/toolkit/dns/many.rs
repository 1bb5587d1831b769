//! The steps about many zones: each zone by itself, many at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use super::progress;
use super::steps::{act, dissent, observe_change};
use crate::dns::{Agreement, Agreements, ZoneChange, ZoneChanges};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::run::StepState;
use crate::world::{Control, World};

/// So many zones are changed at a time.
pub(super) const CHANGES_AT_ONCE: usize = 16;
/// So many zones' servers are asked at a time.
const ZONES_AT_ONCE: usize = 64;
/// Once so many answers are not as expected, the rest need not be asked for now.
const DISSENTS_ENOUGH: usize = 64;
/// So many are named.
const NAMED: usize = 5;

/// Where the primaries stand. As long as one zone can still be changed the step is not done, whatever the others are like: they are named
/// when nothing is left to do.
pub(crate) async fn observe_changes(world: &World, step: &ZoneChanges) -> Result<StepState> {
    let looked = stream::iter(&step.zones).map(|change| observe_change(world, change));
    let looked: Vec<Result<StepState>> = looked.buffered(CHANGES_AT_ONCE).collect().await;
    let (mut done, mut open, mut others, mut failed) = (0, 0, vec![], None);
    for (state, change) in looked.into_iter().zip(&step.zones) {
        match state {
            Ok(StepState::To) => done += 1,
            Ok(StepState::From | StepState::Partial) => open += 1,
            Ok(StepState::Other(seen)) => others.push(format!("{}: {seen}", change.zone)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match (open, failed) {
        (0, Some(error)) => Err(error),
        (0, None) if others.is_empty() => Ok(StepState::To),
        (0, None) => Ok(StepState::Other(some_of(&others))),
        (_, failed) if done == 0 && others.is_empty() && failed.is_none() => Ok(StepState::From),
        _ => Ok(StepState::Partial),
    }
}

/// Changes every zone that is as the plan says; what is so already counts as done. The first primary that says no ends it: it would say so
/// to the others too.
pub(crate) async fn act_on_many(world: &World, step: &ZoneChanges, control: &Control) -> Result<()> {
    let gap = step.per_second.filter(|rate| *rate > 0).map(|rate| Duration::from_secs(1) / rate);
    let paced = stream::iter(step.zones.iter().enumerate()).then(|(number, change)| async move {
        if let Some(gap) = gap.filter(|_| number > 0) {
            world.clock.sleep(gap).await;
        }
        change
    });
    let mut acted =
        std::pin::pin!(paced.map(|change| act_on(world, change)).buffer_unordered(CHANGES_AT_ONCE));
    let (mut done, mut failed) = (0, vec![]);
    while let Some(outcome) = acted.next().await {
        control.check("change the zones")?;
        match outcome {
            Ok(()) => {
                done += 1;
                control.emit(&progress("change", done, step.zones.len()));
            }
            Err(error) if error.kind() == ErrorKind::Conflict || error.kind().retry() == Retry::Later => {
                failed.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    worst(failed, step.zones.len())
}

/// A zone that has what is wanted already needs no change.
async fn act_on(world: &World, change: &ZoneChange) -> Result<()> {
    let acted = act(world, change).await;
    match acted {
        Err(error) if error.kind() == ErrorKind::Conflict => match observe_change(world, change).await {
            Ok(StepState::To) => Ok(()),
            _ => Err(error),
        },
        acted => acted,
    }
}

/// What nobody knows comes before what failed for sure, and that before what may yet succeed.
fn worst(mut failed: Vec<Error>, zones: usize) -> Result<()> {
    let rank = |error: &Error| match error.kind() {
        ErrorKind::OutcomeUnknown => 0,
        kind if kind.retry() == Retry::Later => 1,
        _ => 2,
    };
    failed.sort_by_key(rank);
    let said: Vec<String> =
        failed.iter().map(|error| format!("{}: {}", error.operation(), error.message())).collect();
    let Some(first) = failed.into_iter().next() else { return Ok(()) };
    let message = format!("{} of {zones} zones could not be changed: {}", said.len(), some_of(&said));
    let hint =
        first.advice().unwrap_or("look at those zones, then resume, undo, or plan them again").to_owned();
    Err(Error::new(first.kind(), "change the zones", message).hint(hint).caused_by(first))
}

/// Whether all servers of all zones show what they should, at the same time; who does not, and for how many zones.
pub(crate) async fn observe_agreements(
    world: &World,
    step: &Agreements,
    control: &Control,
) -> Result<StepState> {
    let (mut behind, mut agreed) = (Behind::default(), 0);
    for zones in step.zones.chunks(ZONES_AT_ONCE) {
        control.check("ask all name servers")?;
        for dissents in join_all(zones.iter().map(|zone| dissents(world, zone))).await {
            agreed += usize::from(dissents.is_empty());
            dissents.into_iter().for_each(|(server, zone, says)| behind.note(server, zone, says));
        }
        control.emit(&progress("verify", agreed, step.zones.len()));
        if behind.count >= DISSENTS_ENOUGH {
            break;
        }
    }
    Ok(if behind.count == 0 { StepState::To } else { StepState::Other(behind.in_words()) })
}

async fn dissents<'a>(world: &World, zone: &'a Agreement) -> Vec<(SocketAddr, &'a str, String)> {
    let asked = zone.servers.iter().map(async |server| {
        dissent(world, *server, zone).await.map(|says| (*server, zone.zone.as_str(), says))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Which servers do not show a change, and in which zones.
#[derive(Default)]
struct Behind {
    count: usize,
    servers: BTreeMap<SocketAddr, (Vec<String>, String)>,
}

impl Behind {
    fn note(&mut self, server: SocketAddr, zone: &str, says: String) {
        self.count += 1;
        self.servers.entry(server).or_insert_with(|| (vec![], says)).0.push(zone.to_owned());
    }

    fn in_words(&self) -> String {
        let each = self.servers.values().map(|(zones, says)| match zones.len() {
            1 => says.clone(),
            many => format!("{says} (and {} more zones)", many - 1),
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

fn some_of(said: &[String]) -> String {
    let named = said.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if said.len() > NAMED { format!("{named}; and {} more", said.len() - NAMED) } else { named }
}
