//! DNS through the world.

use crate::dns::{Agreement, ZoneChange};
use crate::error::Result;
use crate::run::StepState;
use crate::world::World;

pub(super) async fn observe_change(_world: &World, _step: &ZoneChange) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn observe_agreement(_world: &World, _step: &Agreement) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn act(_world: &World, _step: &ZoneChange) -> Result<()> {
    Ok(())
}
