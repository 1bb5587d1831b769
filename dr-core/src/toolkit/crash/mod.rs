//! Proof that a plan ends wholly old or wholly new: the real driver, the real steps, a simulated world, and every schedule of
//! crashes, lost replies, refusals and other people's changes, twice over.

mod cases;
mod explore;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use cases::{Case, Part, Stand};
use explore::{Begin, Count, End, Explorer, live};

use crate::plan::OnFailure;
use crate::run::Outcome;
use crate::run::defect::{self, Defect};
use crate::world::sim::{Fault, SimWorld};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

const ALL: &[Fault] = &[
    Fault::Refuse,
    Fault::LoseRequest,
    Fault::LoseReply,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Tear,
];
const SURVIVED: &[Fault] = &[Fault::Refuse, Fault::LoseRequest, Fault::LoseReply];
const CRASHES: &[Fault] = &[Fault::CrashBefore, Fault::CrashAfter, Fault::Tear];

fn check(case: &Case, lives: &[&[Fault]]) {
    let started = Instant::now();
    tell(case, started, block_on(Explorer::new(case, lives).all()));
}

fn tell(case: &Case, started: Instant, explored: Result<Count, String>) {
    match explored {
        Ok(count) => {
            println!("{}, {:?}: {count:?} in {:?}", case.name, case.plan.on_failure, started.elapsed());
            assert!(count.schedules > 1_000, "too few to prove anything: {count:?}");
        }
        Err(why) => panic!("{}: {why}", case.name),
    }
}

#[test]
fn every_fault_and_crash_of_a_failover_ends_old_or_new() {
    check(&cases::failover(OnFailure::Stop), &[ALL, CRASHES]);
}

#[test]
fn every_fault_and_crash_of_a_hopeless_plan_ends_old() {
    check(&cases::hopeless(), &[ALL, CRASHES]);
}

#[test]
fn every_double_crash_with_a_dead_home_ends_old_or_new() {
    check(&cases::dead_home(), &[CRASHES, CRASHES]);
}

#[test]
fn every_double_fault_over_what_was_found_done_leaves_that_alone() {
    check(&cases::found(), &[ALL, ALL]);
}

#[test]
fn every_fault_and_crash_of_a_mirror_leaves_whole_pages_and_the_epoch_old_or_new() {
    check(&cases::mirrored(), &[ALL, CRASHES]);
}

#[test]
fn every_fault_and_crash_in_the_middle_of_many_zones_ends_old_or_new() {
    check(&cases::zones(), &[ALL, CRASHES]);
}

#[test]
fn every_double_fault_of_a_small_plan_ends_old_or_new() {
    check(&cases::small(OnFailure::Stop), &[ALL, ALL]);
    check(&cases::small(OnFailure::Undo), &[ALL, ALL]);
}

#[test]
fn every_triple_crash_of_a_small_plan_ends_old_or_new() {
    check(&cases::small(OnFailure::Stop), &[CRASHES, CRASHES, CRASHES]);
}

#[test]
fn every_lost_reply_and_then_every_fault_in_the_same_life_ends_old_or_new() {
    for on_failure in [OnFailure::Stop, OnFailure::Undo] {
        let (case, started) = (cases::small(on_failure), Instant::now());
        tell(&case, started, block_on(Explorer::new(&case, &[]).pairs(SURVIVED, ALL)));
    }
    let (case, started) = (cases::failover(OnFailure::Undo), Instant::now());
    tell(&case, started, block_on(Explorer::new(&case, &[]).pairs(&[Fault::LoseReply], CRASHES)));
}

/// Somebody else changes one thing at any point: whatever is done after that, forward or back, their value stays, and the run does
/// not claim a world that is not so.
///
/// Mirrors are not among these: a page lands by rename, which asks nobody, so what somebody else writes into the target between
/// the look at a page and its landing is lost. The fence of the epoch is what keeps writers apart.
#[test]
fn what_others_change_meanwhile_is_never_overwritten() {
    let mut schedules = 0;
    for case in
        [cases::failover(OnFailure::Stop), cases::failover(OnFailure::Undo), cases::found(), cases::zones()]
    {
        let quiet = case.world.fork();
        block_on(live(&case, &quiet, Begin::Apply));
        for part in case.parts.iter().chain(&case.wanted) {
            for call in 1..=quiet.calls() + 20 {
                let world = case.world.fork();
                if let Err(why) = block_on(meddled(&case, &world, part, call)) {
                    let log = world.log().join("\n");
                    panic!("{}: {why}\n  {part:?} changed by others before call {call}\n{log}", case.name);
                }
                schedules += 1;
            }
        }
    }
    println!("{schedules} schedules of somebody else");
    assert!(schedules > 200);
}

async fn meddled(case: &Case, world: &SimWorld, part: &Part, call: u64) -> Result<(), String> {
    let before: Arc<Mutex<Option<Stand>>> = Arc::default();
    let (theirs, seen) = (part.clone(), Arc::clone(&before));
    world.before_call(call, move |world| {
        *seen.lock().unwrap() = Some(theirs.stand(world));
        theirs.meddle(world);
    });
    let mut begin = Begin::Apply;
    for next in [Begin::Resume as fn(_) -> _, Begin::Undo, Begin::Resume] {
        let applied = match live(case, world, begin).await {
            End::Applied(applied) => applied,
            End::Failed(why) => return Err(why),
            End::Died => return Err("it died".to_owned()),
        };
        begin = next(applied.run);
        let Some(stood) = *before.lock().unwrap() else { continue };
        if part.stand(world) != Stand::Neither {
            return Err(format!("their value is gone after {:?}", applied.outcome));
        }
        // What was over before they came may be claimed; nothing else.
        let claimed = match applied.outcome {
            Outcome::New => Stand::New,
            Outcome::Old => Stand::Old,
            Outcome::NewDegraded | Outcome::Stopped => continue,
        };
        if claimed != stood && !part.is_the_same_either_way() {
            return Err(format!("it claims {:?}", applied.outcome));
        }
    }
    Ok(())
}

/// Each deliberate defect is noticed by at least one schedule; without a defect the same schedules find nothing.
#[test]
fn mutants_of_the_machine_are_noticed() {
    let notices = |case: &Case, lives: &[&[Fault]]| {
        let explored = block_on(Explorer::new(case, lives).all());
        explored.err().map(|why| why.lines().last().unwrap_or_default().to_owned())
    };
    let cases = [
        (Defect::UndoSkipsAStep, cases::small(OnFailure::Stop), CRASHES),
        (Defect::UndoSkipsTheFailedStep, cases::small(OnFailure::Stop), CRASHES),
        (Defect::UndoSkipsTheFailedStep, cases::small(OnFailure::Undo), ALL),
        (Defect::NoReadBackAfterALostReply, cases::small(OnFailure::Stop), &[Fault::LoseRequest]),
        (Defect::PlanNotDurableFirst, cases::small(OnFailure::Stop), CRASHES),
        (Defect::BeginsInSilence, cases::small(OnFailure::Stop), CRASHES),
        (Defect::TakesBackWhatWasFound, cases::found(), CRASHES),
    ];
    for (mutant, case, faults) in cases {
        assert_eq!(notices(&case, &[faults]), None, "without a defect");
        defect::set(Some(mutant));
        let noticed = notices(&case, &[faults]);
        defect::set(None);
        println!("{mutant:?}: noticed{}", noticed.clone().unwrap_or_default());
        assert!(noticed.is_some(), "{mutant:?} goes unnoticed");
    }
}
