//! Failover through the world.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::failover::{Expect, Raise, RoleChange, Sight, Standing, Tenure};
use crate::run::StepState;
use crate::world::{Cas, World};

/// How long one look at a service may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn observe_raise(world: &World, step: &Raise) -> Result<StepState> {
    let held = world.coordinator.read(&step.site).await?;
    if held.as_ref() == Some(&step.to) {
        return Ok(StepState::To);
    }
    if held == step.from {
        return Ok(StepState::From);
    }
    Ok(StepState::Other(format!("site {} is held otherwise: {}", step.site, tenure(held.as_ref()))))
}

pub(super) async fn act_raise(world: &World, step: &Raise) -> Result<()> {
    let operation = || format!("raise the epoch of {} to {}", step.site, step.to.epoch);
    match world.coordinator.cas(&step.site, step.from.as_ref(), &step.to).await? {
        Cas::Won => Ok(()),
        Cas::Lost(held) => Err(Error::new(
            ErrorKind::Conflict,
            operation(),
            format!("it is held otherwise: {}", tenure(held.as_ref())),
        )),
        Cas::Unknown(why) => Err(Error::new(ErrorKind::OutcomeUnknown, operation(), why)),
    }
}

pub(super) async fn observe_role(world: &World, step: &RoleChange) -> Result<StepState> {
    let content = world.shell.read_file(&step.remote, &step.path()).await?;
    let standing = match content.as_deref().map(serde_json::from_slice::<Standing>) {
        None => None,
        Some(Ok(standing)) => Some(standing),
        Some(Err(why)) => {
            return Ok(StepState::Other(format!("{} on {} is unreadable: {why}", step.path(), step.host)));
        }
    };
    if standing == step.to {
        return Ok(StepState::To);
    }
    if standing == step.from {
        return Ok(StepState::From);
    }
    Ok(StepState::Other(format!("{} stands otherwise for {}: {standing:?}", step.host, step.site)))
}

pub(super) async fn act_role(world: &World, step: &RoleChange) -> Result<()> {
    let (path, operation) = (step.path(), format!("tell {} what it is for {}", step.host, step.site));
    let found = world.shell.read_file(&step.remote, &path).await?;
    let standing = found.as_deref().map(serde_json::from_slice::<Standing>).transpose().ok();
    if standing != Some(step.from) {
        return Err(Error::new(ErrorKind::Conflict, operation, "it stands otherwise by now"));
    }
    let to = step.to.as_ref().map(|standing| file_of(standing, &operation)).transpose()?;
    world.shell.replace_file(&step.remote, &path, found.as_deref(), to.as_deref(), 0o644).await
}

pub(super) async fn observe_health(world: &World, step: &Expect) -> Result<StepState> {
    Ok(match world.probe.look(step.address, &step.probe, LOOK_WITHIN).await {
        Sight::Up { .. } => StepState::To,
        Sight::Down { detail, .. } | Sight::Degraded { detail } | Sight::Unknown { detail } => {
            StepState::Other(detail)
        }
    })
}

fn file_of(standing: &Standing, operation: &str) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(standing)
        .map_err(|why| Error::new(ErrorKind::Internal, operation, why.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn tenure(held: Option<&Tenure>) -> String {
    held.map_or_else(|| "by nobody".to_owned(), Tenure::to_text)
}
