//! Failover through the world.

use crate::error::Result;
use crate::failover::{Expect, Raise, RoleChange};
use crate::run::StepState;
use crate::world::World;

pub(super) async fn observe_raise(_world: &World, _step: &Raise) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn act_raise(_world: &World, _step: &Raise) -> Result<()> {
    Ok(())
}

pub(super) async fn observe_role(_world: &World, _step: &RoleChange) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn act_role(_world: &World, _step: &RoleChange) -> Result<()> {
    Ok(())
}

pub(super) async fn observe_health(_world: &World, _step: &Expect) -> Result<StepState> {
    Ok(StepState::From)
}
