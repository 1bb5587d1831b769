//! Steps meet the world: one function reads where the world stands, one does the step.

use super::mirror::Hands;
use super::{dns, failover, keys, mirror};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Step;
use crate::run::StepState;
use crate::world::{Control, World};

/// Where the world stands with respect to a step.
pub(super) async fn observe(
    world: &World,
    hands: &Hands,
    step: &Step,
    control: &Control,
) -> Result<StepState> {
    match step {
        Step::Mirror(transfer) => mirror::observe(world, hands, transfer, control).await,
        Step::ChangeZone(change) => dns::observe_change(world, change).await,
        Step::ChangeZones(changes) => dns::observe_changes(world, changes).await,
        Step::AwaitAgreement(agreement) => dns::observe_agreement(world, agreement).await,
        Step::AwaitAgreements(all) => dns::observe_agreements(world, all, control).await,
        Step::Moves(moves) => failover::observe_moves(world, moves).await,
        Step::RaiseEpoch(raise) => failover::observe_raise(world, raise).await,
        Step::ChangeRole(change) => failover::observe_role(world, change).await,
        Step::RecordMirror(record) => failover::observe_record(world, record).await,
        Step::AwaitHealthy(expect) => failover::observe_health(world, expect).await,
        Step::ChangeAuthorizedKeys(change) => keys::observe_file(world, change).await,
        Step::ProveKey(proof) => keys::observe_proof(world, proof).await,
        Step::ProveKeyRefused(proof) => keys::observe_refusal(world, proof).await,
        Step::SetSwitch(switch) => keys::lock::observe_switch(world, switch, control).await,
        Step::ChangeSshd(change) => keys::lock::observe_sshd(world, change, control).await,
        Step::ProvePasswordsRefused(look) => keys::lock::observe_passwords(world, look).await,
        Step::ProveHost(proof) => keys::bring::observe_host(world, proof).await,
        // The machine knows when the step began; the world has nothing to say about it.
        Step::Pause(_) => Ok(StepState::From),
    }
}

/// Does the step. `OutcomeUnknown` asks the machine to read back.
pub(super) async fn act(world: &World, hands: &Hands, step: &Step, control: &Control) -> Result<()> {
    match step {
        Step::Mirror(transfer) => mirror::act(world, hands, transfer, control).await,
        Step::ChangeZone(change) => dns::act(world, change).await,
        Step::ChangeZones(changes) => dns::act_on_many(world, changes, control).await,
        Step::Moves(moves) => failover::act_moves(world, hands, moves, control).await,
        Step::RaiseEpoch(raise) => failover::act_raise(world, raise).await,
        Step::ChangeRole(change) => failover::act_role(world, change).await,
        Step::RecordMirror(record) => failover::act_record(world, record).await,
        Step::ChangeAuthorizedKeys(change) => keys::act(world, change).await,
        Step::SetSwitch(switch) => keys::lock::act_switch(world, switch, control).await,
        Step::ChangeSshd(change) => keys::lock::act_sshd(world, change, control).await,
        Step::AwaitAgreement(_)
        | Step::AwaitAgreements(_)
        | Step::AwaitHealthy(_)
        | Step::ProveKey(_)
        | Step::ProveKeyRefused(_)
        | Step::ProvePasswordsRefused(_)
        | Step::ProveHost(_)
        | Step::Pause(_) => Err(Error::new(
            ErrorKind::Internal,
            "perform a step",
            "a step that only waits was asked to change something",
        )),
    }
}
