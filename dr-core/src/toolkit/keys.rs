//! Keys through the world.

use crate::error::Result;
use crate::keys::{AuthorizedKeysChange, Proof};
use crate::run::StepState;
use crate::world::World;

pub(super) async fn observe_file(_world: &World, _step: &AuthorizedKeysChange) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn observe_proof(_world: &World, _step: &Proof) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn act(_world: &World, _step: &AuthorizedKeysChange) -> Result<()> {
    Ok(())
}
