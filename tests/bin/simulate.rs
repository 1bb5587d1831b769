//! Simulates: `cargo run --release -p dr-tests --bin simulate -- --seeds 1000 --days 30 [--from N] [--mutant NAME|all] [--trace]`.
//!
//! Prints seeds, steps, violations, and how often each thing was reached. Ends with 1 if anything was violated; with `--mutant`, if
//! a mutant was not noticed.
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::process::ExitCode;

use dr_tests::simulate::{Mutant, Outcome, campaign};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, otherwise: u64| match value(name) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| format!("{name} takes a number, not '{text}'")),
    };
    let said = || -> Result<bool, String> {
        let (seeds, days, from) = (number("--seeds", 1000)?, number("--days", 30)?, number("--from", 0)?);
        let tracing = words.iter().any(|word| word == "--trace");
        let mutants: Vec<Mutant> = match value("--mutant").map(String::as_str) {
            None => return Ok(sound(from, seeds, days, tracing)),
            Some("all") => Mutant::ALL.to_vec(),
            Some(name) => {
                let known = || Mutant::ALL.map(Mutant::name).join(", ");
                vec![
                    Mutant::find(name)
                        .ok_or_else(|| format!("no mutant is called {name}; there are {}", known()))?,
                ]
            }
        };
        Ok(mutants
            .into_iter()
            .map(|mutant| noticed(mutant, from, seeds, days, tracing))
            .fold(true, |all, one| all & one))
    };
    match said() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}

/// The protocol as it is: nothing may be violated.
fn sound(from: u64, seeds: u64, days: u64, tracing: bool) -> bool {
    let began = std::time::Instant::now();
    let mut failed: Vec<u64> = vec![];
    let sum = campaign(from, seeds, days, None, tracing, |outcome: &Outcome| {
        if !outcome.violations.is_empty() && failed.len() < 20 {
            println!("seed {}: {:?}", outcome.seed, outcome.violations);
            failed.push(outcome.seed);
        }
    });
    let took = began.elapsed().as_secs_f64();
    println!(
        "seeds {seeds} from {from}, {days} days each: {} steps in {took:.1} s, {:.0} steps/s",
        sum.steps,
        sum.steps as f64 / took
    );
    for (what, times) in &sum.reached {
        println!("  reached {times:>10} {what}");
    }
    let violations: u64 = sum.violations.values().sum();
    println!("violations {violations} {:?}", sum.violations);
    violations == 0
}

/// One defect: it must be noticed.
fn noticed(mutant: Mutant, from: u64, seeds: u64, days: u64, tracing: bool) -> bool {
    let (mut hits, mut first) = (0_u64, None);
    let sum = campaign(from, seeds, days, Some(mutant), tracing, |outcome: &Outcome| {
        if !outcome.violations.is_empty() {
            hits += 1;
            first = first.or(Some(outcome.seed));
        }
    });
    let first = first.map_or_else(|| "none".to_owned(), |seed: u64| seed.to_string());
    println!(
        "mutant {:<26} hits {hits:>6} of {seeds}, first seed {first:>6}, {:?}",
        mutant.name(),
        sum.violations
    );
    hits > 0
}
