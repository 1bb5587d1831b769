//! Mirroring through the world.

use crate::error::Result;
use crate::mirror::Transfer;
use crate::run::StepState;
use crate::world::{Control, World};

pub(super) async fn observe(_world: &World, _step: &Transfer, _control: &Control) -> Result<StepState> {
    Ok(StepState::From)
}

pub(super) async fn act(_world: &World, _step: &Transfer, _control: &Control) -> Result<()> {
    Ok(())
}
