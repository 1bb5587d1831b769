//! The steps of a failover meet the world.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::failover::{Expect, LastMirror, Raise, RecordMirror, RoleChange, Sight, Standing, Tenure};
use crate::run::StepState;
use crate::world::{Cas, Swap, World};

/// How long one look at a service may take while a step waits for it.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

pub(in crate::toolkit) async fn observe_raise(world: &World, step: &Raise) -> Result<StepState> {
    let now = world.coordinator.read(&step.site).await?;
    Ok(if now.as_ref() == Some(&step.to) {
        StepState::To
    } else if now == step.from {
        StepState::From
    } else {
        StepState::Other(held(now.as_ref()))
    })
}

pub(in crate::toolkit) async fn act_raise(world: &World, step: &Raise) -> Result<()> {
    let operation = || format!("raise the epoch of {} to {}", step.site, step.to.epoch);
    match world.coordinator.cas(&step.site, step.from.as_ref(), &step.to).await? {
        Cas::Won => Ok(()),
        Cas::Lost(now) => Err(Error::new(ErrorKind::Conflict, operation(), held(now.as_ref()))
            .hint("somebody else moved the site; look at dr failover status and plan again")),
        Cas::Unknown(why) => Err(Error::new(ErrorKind::OutcomeUnknown, operation(), why)),
    }
}

fn held(tenure: Option<&Tenure>) -> String {
    tenure.map_or_else(
        || "nobody holds it".to_owned(),
        |tenure| format!("{} holds it in epoch {}", tenure.home, tenure.epoch),
    )
}

pub(in crate::toolkit) async fn observe_role(world: &World, step: &RoleChange) -> Result<StepState> {
    let standing = match read_standing(world, step).await {
        Ok(there) => there.map(|(standing, _)| standing),
        Err(why) if why.kind() == ErrorKind::Corrupt => return Ok(StepState::Other(why.to_string())),
        Err(why) => return Err(why),
    };
    Ok(if standing == step.to {
        StepState::To
    } else if standing == step.from {
        StepState::From
    } else {
        StepState::Other(format!("{} believes {}", step.host, believed(standing)))
    })
}

pub(in crate::toolkit) async fn act_role(world: &World, step: &RoleChange) -> Result<()> {
    let there = read_standing(world, step).await?;
    if there.as_ref().map(|(standing, _)| *standing) != step.from {
        let standing = there.map(|(standing, _)| standing);
        let operation = format!("tell {} what it is for {}", step.host, step.site);
        return Err(Error::new(
            ErrorKind::Conflict,
            operation,
            format!("it believes {}", believed(standing)),
        )
        .hint("look at dr failover status and plan again"));
    }
    // Compared by meaning above, exchanged by bytes here: a file with other white space is the same standing.
    let from = there.as_ref().map(|(_, bytes)| bytes.as_slice());
    let to = step.to.map(Standing::to_bytes);
    world.shell.replace_file(&step.remote, &step.path(), Swap::new(from, to.as_deref(), 0o644)).await
}

async fn read_standing(world: &World, step: &RoleChange) -> Result<Option<(Standing, Vec<u8>)>> {
    let Some(bytes) = world.shell.read_file(&step.remote, &step.path()).await? else { return Ok(None) };
    let standing = Standing::from_bytes(&bytes).map_err(|why| damaged(&step.path(), &step.host, why))?;
    Ok(Some((standing, bytes)))
}

pub(super) fn damaged(path: &str, host: &impl std::fmt::Display, why: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read {path} on {host}"), why)
        .hint("look at the file; if it is lost, remove it and plan again")
}

fn believed(standing: Option<Standing>) -> String {
    standing.map_or_else(
        || "nothing".to_owned(),
        |standing| format!("that it is {} in epoch {}", standing.role, standing.epoch),
    )
}

pub(in crate::toolkit) async fn observe_record(world: &World, step: &RecordMirror) -> Result<StepState> {
    let there = world.shell.read_file(&step.remote, &step.path()).await?;
    // What cannot be read is overwritten: it tells nothing, and the mirror that it told of has been followed by this one.
    let there = there.and_then(|bytes| LastMirror::from_bytes(&bytes).ok());
    Ok(match there {
        Some(there) if step.is_covered_by(&there) => StepState::To,
        _ => StepState::From,
    })
}

pub(in crate::toolkit) async fn act_record(world: &World, step: &RecordMirror) -> Result<()> {
    let from = world.shell.read_file(&step.remote, &step.path()).await?;
    let to = step.record(world.clock.read().wall).to_bytes();
    world.shell.replace_file(&step.remote, &step.path(), Swap::new(from.as_deref(), Some(&to), 0o644)).await
}

pub(in crate::toolkit) async fn observe_health(world: &World, step: &Expect) -> Result<StepState> {
    let within = LOOK_WITHIN.min(step.within.as_duration());
    Ok(match world.probe.look(step.address, &step.probe, within).await {
        Sight::Up { .. } => StepState::To,
        Sight::Down { detail, .. } | Sight::Degraded { detail } | Sight::Unknown { detail } => {
            StepState::Other(detail)
        }
    })
}
