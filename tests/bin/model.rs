//! Checks the model: `cargo run --release -p dr-tests --bin model -- [--drift 0|1] [--large] [--depth N]`,
//! and `--ticks`, `--crashes`, `--pauses`, `--takes`, `--handovers`, `--writes` with a number each; `--unknown-drift` for terms that do
//! not know that clocks drift, which must be noticed.
//!
//! Prints how many states there are and what was found. Ends with 1 if anything was violated, or, of the whole space (without
//! `--depth`), something was never reached.
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::process::ExitCode;

use dr_tests::model::{Bounds, check};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str| value(name).and_then(|text| text.parse::<usize>().ok());
    let drift = u8::from(number("--drift") == Some(1));
    let mut bounds =
        if words.iter().any(|word| word == "--large") { Bounds::large(drift) } else { Bounds::small(drift) };
    for (name, bound) in [
        ("--ticks", &mut bounds.ticks),
        ("--crashes", &mut bounds.crashes),
        ("--pauses", &mut bounds.pauses),
        ("--takes", &mut bounds.takes),
        ("--handovers", &mut bounds.handovers),
        ("--writes", &mut bounds.writes),
    ] {
        *bound = number(name).and_then(|value| u8::try_from(value).ok()).unwrap_or(*bound);
    }
    bounds.known = !words.iter().any(|word| word == "--unknown-drift");
    // A part of the space need not hold everything that can happen; the whole of it must.
    let limited = number("--depth").is_some();
    let began = std::time::Instant::now();
    let checked = check(bounds, number("--depth"));
    println!("{bounds:?}");
    println!(
        "{} unique states of {}, depth {}, {:.1} s{}",
        checked.unique,
        checked.states,
        checked.depth,
        began.elapsed().as_secs_f64(),
        if limited { " (limited)" } else { ", the whole space" }
    );
    for (what, path) in &checked.violated {
        println!("VIOLATED {what}: {path}");
    }
    for what in &checked.missed {
        println!("{} {what}", if limited { "not reached so far:" } else { "NEVER REACHED" });
    }
    if checked.violated.is_empty() && (limited || checked.missed.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
