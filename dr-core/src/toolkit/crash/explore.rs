//! Every schedule of faults, one after the other.
//!
//! A process lives until a fault ends it or its work is done; then the next one takes the run up. Between two lives the whole
//! state is the simulated world's, so two schedules that leave the same world behind have the same future, and that is walked
//! once. The counts are of schedules all the same.

use std::collections::HashMap;

use super::cases::{Case, Stand};
use crate::digest::Digest;
use crate::estate::Estate;
use crate::run::{Outcome, RunId};
use crate::toolkit::{Applied, Toolkit};
use crate::world::Control;
use crate::world::sim::{Fault, SimWorld};

/// How a life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Begin {
    Apply,
    Resume(RunId),
    Undo(RunId),
}

/// How a life ended.
#[derive(Debug)]
pub(super) enum End {
    Died,
    Failed(crate::Error),
    Applied(Applied),
}

/// How many schedules there are, and how many lives were really lived to know about all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) schedules: u64,
    pub(super) lives: u64,
}

pub(super) struct Explorer<'a> {
    pub(super) case: &'a Case,
    /// What may go wrong in a life.
    pub(super) faults: Vec<Fault>,
    pub(super) count: Count,
    known: HashMap<(Digest, Begin, usize), u64>,
}

/// Lives one life of a process, from `begin` to its end.
pub(super) async fn live(case: &Case, world: &SimWorld, begin: Begin) -> End {
    let (toolkit, control) = (Toolkit::new(world.world(), Estate::default()), Control::silent());
    let life = async {
        match begin {
            Begin::Apply => toolkit.apply(&case.plan, "ann", &control).await,
            Begin::Resume(run) => toolkit.resume(run, "bob", &control).await,
            Begin::Undo(run) => toolkit.undo(run, "cyd", &control).await,
        }
    };
    tokio::select! {
        biased;
        ended = life => ended.map_or_else(End::Failed, End::Applied),
        () = world.died() => End::Died,
    }
}

/// What the journal and the world say after a life; an error if they contradict each other or the case.
pub(super) async fn judge(case: &Case, world: &SimWorld, end: &End) -> Result<Option<RunId>, String> {
    let toolkit = Toolkit::new(world.fork().world(), Estate::default());
    let run = toolkit.runs().await.map_err(|error| format!("{error:?}"))?.first().map(|run| run.run);
    let stands: Vec<Stand> = case.parts.iter().map(|part| part.stand(world)).collect();
    let wanted: Vec<Stand> = case.wanted.iter().map(|part| part.stand(world)).collect();
    // A part that the plan found as it wants it reads as old in every state.
    let all = |stands: &[Stand], wished| {
        let both = |part: &super::cases::Part| part.is_the_same_either_way();
        stands.iter().zip(case.parts.iter()).all(|(stand, part)| *stand == wished || both(part))
    };
    let fine = match end {
        _ if run.is_none() => all(&stands, Stand::Old) && wanted.iter().all(|stand| *stand == Stand::Old),
        End::Died | End::Failed(_) => true,
        End::Applied(applied) => match applied.outcome {
            Outcome::New => all(&stands, Stand::New) && wanted.iter().all(|stand| *stand == Stand::New),
            Outcome::NewDegraded => all(&stands, Stand::New) && !wanted.contains(&Stand::Neither),
            Outcome::Old => all(&stands, Stand::Old) && wanted.iter().all(|stand| *stand == Stand::Old),
            Outcome::Stopped => true,
        },
    };
    if fine { Ok(run) } else { Err(format!("the world is {stands:?} {wanted:?} after {end:?}")) }
}

/// Whether a fault of this call is not the same as another fault of it. For a call without an effect, before and after are one,
/// and so are a lost request and a lost reply; only what is written to the disk can be torn.
fn differs(fault: Fault, call: &str) -> bool {
    let written = ["journal.begin", "journal.append"].iter().any(|name| call.starts_with(name));
    let effect = ["journal.claim", "coordinator.cas", "provider.commit", "replace ", "clock.sleep"];
    match fault {
        Fault::Tear => written,
        Fault::CrashBefore | Fault::LoseRequest => {
            written || effect.iter().any(|name| call.starts_with(name))
        }
        _ => true,
    }
}

impl<'a> Explorer<'a> {
    pub(super) fn new(case: &'a Case, faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = faults.into_iter().collect();
        Self { case, faults, count: Count::default(), known: HashMap::new() }
    }

    /// Every schedule with up to `faults` lives that a fault disturbs, and then one that nothing disturbs.
    pub(super) async fn all(&mut self, faults: usize) -> Result<Count, String> {
        let world = self.case.world.fork();
        self.count.schedules = self.from(&world, Begin::Apply, faults).await?;
        Ok(self.count)
    }

    async fn from(&mut self, world: &SimWorld, begin: Begin, faults: usize) -> Result<u64, String> {
        let known = (world.fingerprint(), begin, faults);
        if let Some(schedules) = self.known.get(&known) {
            return Ok(*schedules);
        }
        let mut schedules = 1;
        let quiet = world.fork();
        self.undisturbed(&quiet, begin).await?;
        if faults > 0 {
            for (call, name) in (world.calls() + 1..).zip(quiet.log()) {
                for fault in
                    self.faults.iter().copied().filter(|fault| differs(*fault, &name)).collect::<Vec<_>>()
                {
                    let disturbed = world.fork();
                    disturbed.fault(call, fault);
                    let told =
                        |why: String| format!("{why}\n  after {begin:?} with {fault:?} at call {call}");
                    schedules += self.disturbed(&disturbed, begin, faults - 1).await.map_err(told)?;
                }
            }
        }
        self.known.insert(known, schedules);
        Ok(schedules)
    }

    /// Lives one life with the fault that is already laid, and everything that can follow.
    pub(super) async fn disturbed(
        &mut self,
        world: &SimWorld,
        begin: Begin,
        faults: usize,
    ) -> Result<u64, String> {
        self.count.lives += 1;
        let end = live(self.case, world, begin).await;
        let run = judge(self.case, world, &end).await?;
        let Some(run) = run else {
            // The plan was never recorded: nothing to take up, nothing done.
            return Ok(1);
        };
        let mut schedules = 0;
        for next in [Begin::Resume(run), Begin::Undo(run)] {
            let told = |why: String| format!("{why}\n  then {next:?}");
            schedules += Box::pin(self.from(&world.fork(), next, faults)).await.map_err(told)?;
        }
        Ok(schedules)
    }

    /// A life without faults ends wholly old or wholly new.
    async fn undisturbed(&mut self, world: &SimWorld, begin: Begin) -> Result<(), String> {
        self.count.lives += 1;
        let end = live(self.case, world, begin).await;
        judge(self.case, world, &end).await?;
        let toolkit = Toolkit::new(world.fork().world(), Estate::default());
        let audit = toolkit.audit().await.map_err(|error| format!("the audit failed: {error:?}"))?;
        if !audit.findings.is_empty() {
            return Err(format!("the journal is not in order: {:?}", audit.findings));
        }
        match (&end, begin) {
            (End::Applied(Applied { outcome: Outcome::Old, .. }), Begin::Undo(_)) => Ok(()),
            (End::Applied(applied), Begin::Apply | Begin::Resume(_))
                if applied.outcome != Outcome::Stopped =>
            {
                Ok(())
            }
            _ => Err(format!("{begin:?} without a fault ended as {end:?}\n{}", world.log().join("\n"))),
        }
    }
}
