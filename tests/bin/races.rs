//! Races for one lease: `cargo run --release -p dr-tests --bin races -- [--races 1000] [--on sqlite,bind,knot,powerdns,etcd] [--kill]`.
//!
//! Eight clients swap the lease while lines are cut and clients die; what each saw is checked for linearizability. Prints what came of
//! it, and ends with 1 if something cannot have happened.
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use dr_tests::history::backends::{Backend, Rules};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let races = value("--races").and_then(|text| text.parse().ok()).unwrap_or(1000);
    let kill = words.iter().any(|word| word == "--kill");
    let on = value("--on");
    let mut sound = true;
    for kind in
        Backend::ALL.into_iter().filter(|kind| on.is_none_or(|on| on.split(',').any(|one| one == *kind)))
    {
        let backend = Backend::start(kind);
        let began = Instant::now();
        let raced = backend.race(Rules { races, dying: 25, kill, patience: Duration::from_secs(600) }).await;
        let violation = raced.violation.as_deref().unwrap_or("linearizable");
        println!(
            "{kind}: {} won, {} lost, {} unknown, {} not done, {} calls in {:.1} s: {violation}",
            raced.won,
            raced.lost,
            raced.unknown,
            raced.not_done,
            raced.calls,
            began.elapsed().as_secs_f64()
        );
        sound &= raced.violation.is_none() && raced.won >= races;
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
