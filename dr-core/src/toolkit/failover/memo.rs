//! What a recovery memo tells beside the estate: the moves in the journal, with what they took.

use super::audit::{AuditFailover, Move};
use crate::error::Result;
use crate::failover::GuardName;
use crate::plan::{Plan, Step};
use crate::render::MemoMove;
use crate::run::{Direction, Event};
use crate::time::{Period, Timestamp};
use crate::toolkit::Toolkit;

impl Toolkit {
    /// The moves that this machine's journal tells of, oldest first, each with what it took: for
    /// [`memo`](crate::render::memo).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::{toolkit::Toolkit, world::sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// assert!(toolkit.memo_moves().await.unwrap().is_empty());
    /// # });
    /// ```
    pub async fn memo_moves(&self) -> Result<Vec<MemoMove>> {
        let audit = self.failover_audit(&AuditFailover::default()).await?;
        let mut moves = Vec::with_capacity(audit.moves.len());
        for made in audit.moves {
            let (plan, _) = self.world.journal.load(made.run).await?;
            moves.push(told(made, &plan));
        }
        Ok(moves)
    }
}

fn told(made: Move, plan: &Plan) -> MemoMove {
    let changes = |step: usize| {
        let planned = plan.steps.get(step).map(|planned| &planned.step);
        matches!(planned, Some(Step::ChangeZone(_) | Step::ChangeZones(_) | Step::Moves(_)))
    };
    let begun = made.lines.first().map_or(made.at, |line| line.at);
    let span = |at: Timestamp| {
        Period::from_secs(at.since(begun).as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
    };
    let last = |is: &dyn Fn(&Event) -> bool| {
        made.lines.iter().rev().find(|line| is(&line.event)).map(|line| span(line.at))
    };
    let took = last(&|event| matches!(event, Event::Finished { .. }));
    let records_after = last(&|event| match event {
        Event::StepDone { step, direction: Direction::Forward, .. } => changes(*step),
        _ => false,
    });
    let grounds = made.grounds.unwrap_or_default();
    let mirror = grounds.guards.iter().find(|guard| guard.name == GuardName::MirrorFresh);
    MemoMove {
        copy_age: mirror.and_then(|guard| guard.evidence.get("age")?.parse().ok()),
        mirrored_first: plan.steps.iter().any(|planned| matches!(planned.step, Step::Mirror(_))),
        took,
        records_after,
        sites: made.sites,
        at: made.at,
        title: made.title,
        by: made.by,
        outcome: made.outcome,
        despite: grounds.despite.into_iter().collect(),
    }
}
