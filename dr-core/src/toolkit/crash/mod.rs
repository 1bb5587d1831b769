//! Proof that a plan ends wholly old or wholly new: the real driver, the real steps, a simulated world, and every schedule of
//! crashes, lost replies, refusals and other people's changes, twice over.

mod cases;
mod explore;

use std::time::Instant;

use cases::{Case, Stand};
use explore::{Begin, Count, End, Explorer, judge, live};

use crate::plan::OnFailure;
use crate::run::Outcome;
use crate::run::defect::{self, Defect};
use crate::world::sim::Fault;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn explore(case: &Case, faults: impl IntoIterator<Item = Fault>, lives: usize) -> Result<Count, String> {
    block_on(Explorer::new(case, faults).all(lives))
}

fn check(case: &Case, faults: impl IntoIterator<Item = Fault>, lives: usize) {
    let started = Instant::now();
    match explore(case, faults, lives) {
        Ok(count) => {
            println!("{}, {:?}: {count:?} in {:?}", case.name, case.plan.on_failure, started.elapsed());
            assert!(count.schedules > 100, "too few to prove anything: {count:?}");
        }
        Err(why) => panic!("{}: {why}", case.name),
    }
}

#[test]
fn every_double_fault_of_a_failover_that_stops_ends_old_or_new() {
    check(&cases::failover(OnFailure::Stop), Fault::all(), 2);
}

#[test]
fn every_double_fault_of_a_failover_that_undoes_itself_ends_old_or_new() {
    check(&cases::failover(OnFailure::Undo), Fault::all(), 2);
}

#[test]
fn every_double_fault_of_a_hopeless_plan_ends_old() {
    check(&cases::hopeless(), Fault::all(), 2);
}

#[test]
fn every_double_fault_with_a_dead_home_ends_old_or_new() {
    check(&cases::dead_home(), Fault::all(), 2);
}

#[test]
fn what_was_found_done_is_never_taken_back() {
    check(&cases::found(), Fault::all(), 2);
}

#[test]
fn a_triple_fault_changes_nothing() {
    check(&cases::small(OnFailure::Undo), Fault::all(), 2);
    check(&cases::small(OnFailure::Stop), Fault::all(), 2);
}
