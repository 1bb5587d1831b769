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
#[allow(clippy::large_enum_variant, reason = "there are few, and they do not move")]
pub(super) enum End {
    Died,
    Failed(String),
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
    /// What may go wrong in the first life, in the second, and so on; the one after the last is undisturbed.
    lives: &'a [&'a [Fault]],
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
        ended = life => ended.map_or_else(|error| End::Failed(format!("{error:?}")), End::Applied),
        () = world.died() => End::Died,
    }
}

/// What the journal and the world say after a life; an error if they contradict each other or the case.
pub(super) async fn judge(case: &Case, world: &SimWorld, end: &End) -> Result<Option<RunId>, String> {
    let toolkit = Toolkit::new(world.fork().world(), Estate::default());
    let run = toolkit.runs().await.map_err(|error| format!("{error:?}"))?.first().map(|run| run.run);
    let stands: Vec<Stand> = case.parts.iter().map(|part| part.stand(world)).collect();
    let wanted: Vec<Stand> = case.wanted.iter().map(|part| part.stand(world)).collect();
    let all = |stands: &[Stand], wished| {
        stands.iter().zip(&case.parts).all(|(stand, part)| part.fits(*stand, wished))
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
    let effect = [
        "journal.claim",
        "coordinator.cas",
        "provider.commit",
        "replace ",
        "write ",
        "change ",
        "clock.sleep",
    ];
    match fault {
        Fault::Tear => written,
        Fault::CrashBefore | Fault::LoseRequest => {
            written || effect.iter().any(|name| call.starts_with(name))
        }
        _ => true,
    }
}

impl<'a> Explorer<'a> {
    pub(super) fn new(case: &'a Case, lives: &'a [&'a [Fault]]) -> Self {
        Self { case, lives, count: Count::default(), known: HashMap::new() }
    }

    /// Every schedule.
    pub(super) async fn all(&mut self) -> Result<Count, String> {
        let world = self.case.world.fork();
        self.count.schedules = self.from(&world, Begin::Apply, 0).await?;
        Ok(self.count)
    }

    /// Every schedule from here: `lives` were lived before.
    async fn from(&mut self, world: &SimWorld, begin: Begin, lives: usize) -> Result<u64, String> {
        let known = (world.fingerprint(), begin, lives);
        if let Some(schedules) = self.known.get(&known) {
            return Ok(*schedules);
        }
        let mut schedules = 1;
        let quiet = world.fork();
        self.undisturbed(&quiet, begin).await?;
        let faults = self.lives.get(lives).copied().unwrap_or_default();
        for (call, name) in (world.calls() + 1..).zip(quiet.log()) {
            for fault in faults.iter().filter(|fault| differs(**fault, &name)) {
                let disturbed = world.fork();
                disturbed.fault(call, *fault);
                let told =
                    |why: String| format!("{why}\n  after {begin:?} with {fault:?} at call {call}, {name}");
                schedules += self.disturbed(&disturbed, begin, lives + 1).await.map_err(told)?;
            }
        }
        self.known.insert(known, schedules);
        Ok(schedules)
    }

    /// Two faults in the first life: first one that it survives, then, at any later call, one that it need not survive.
    pub(super) async fn pairs(&mut self, first: &[Fault], second: &[Fault]) -> Result<Count, String> {
        let quiet = self.case.world.fork();
        self.undisturbed(&quiet, Begin::Apply).await?;
        for (call, name) in (1..).zip(quiet.log()) {
            for fault in first.iter().filter(|fault| differs(**fault, &name)) {
                let world = self.case.world.fork();
                world.fault(call, *fault);
                let survived = world.fork();
                live(self.case, &survived, Begin::Apply).await;
                for (later, then) in (1..).zip(survived.log()).filter(|(later, _)| *later > call) {
                    for crash in second.iter().filter(|crash| differs(**crash, &then)) {
                        let world = world.fork();
                        world.fault(later, *crash);
                        let told = |why: String| {
                            format!(
                                "{why}\n  after {fault:?} at call {call}, {name}, and {crash:?} at call {later}, {then}"
                            )
                        };
                        let schedules = self.disturbed(&world, Begin::Apply, self.lives.len()).await;
                        self.count.schedules += schedules.map_err(told)?;
                    }
                }
            }
        }
        Ok(self.count)
    }

    /// Lives one life with the fault that is already laid, and everything that can follow.
    async fn disturbed(&mut self, world: &SimWorld, begin: Begin, lives: usize) -> Result<u64, String> {
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
            schedules += Box::pin(self.from(&world.fork(), next, lives)).await.map_err(told)?;
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
