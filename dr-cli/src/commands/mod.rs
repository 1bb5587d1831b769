//! One file a command: parse, call the core, show, exit code.

mod agent;
mod check;
mod discover;
mod dns;
mod failover;
mod hook;
mod keys;
mod log;
mod memo;
mod mirror;
mod probe;
mod rollback;
mod seats;
mod sites;
mod watch;

use dr_core::run::{Event, Outcome};
use dr_core::toolkit::{Applied, Toolkit};
use dr_core::world::Control;
use dr_core::{ErrorKind, Plan, Result};

use crate::args::{Cli, Command, Common};
use crate::console::Console;
use crate::context;

/// Runs a command and gives its exit code.
pub(crate) async fn run(cli: Cli) -> u8 {
    let Cli { common, command } = cli;
    let console = Console::new(&common);
    let done = match command {
        Command::Check { names } => check::run(&common, &console, &names).await,
        Command::Mirror(words) => mirror::run(&common, &console, *words).await,
        Command::Dns(words) => dns::run(&common, &console, words).await,
        Command::Keys(words) => keys::run(&common, &console, words).await,
        Command::Probe(words) => probe::run(&common, &console, words).await,
        Command::Failover(words) => failover::run(&common, &console, words).await,
        Command::Log { run, verify } => log::run(&common, &console, run, verify).await,
        Command::Discover(words) => discover::run(&common, &console, words).await,
        Command::Hook(words) => hook::run(&common, &console, words).await,
        Command::Memo(words) => memo::run(&common, &console, &words).await,
        Command::Demo(words) => crate::demo::run(&console, words).await,
        Command::Agent(words) => agent::run(&common, &console, words).await,
        Command::DemoProcess { what } => Ok(crate::demo::process(&what).await),
    };
    done.unwrap_or_else(|error| console.error(&error))
}

/// Shows the plan and, unless it is a dry run or empty, applies it and shows what became of it.
pub(crate) async fn show_and_apply(
    toolkit: &Toolkit,
    plan: &Plan,
    common: &Common,
    console: &Console,
    control: &Control,
) -> Result<u8> {
    if common.dry_run || plan.is_empty() {
        console.plan(plan);
        return Ok(0);
    }
    console.follow(plan);
    let applied = toolkit.apply(plan, &context::asked_by(), control).await?;
    Ok(finish(console, &applied, control))
}

/// The exit code after a run: its report's, or when it did not reach what was planned that of the step that failed.
pub(crate) fn finish(console: &Console, applied: &Applied, control: &Control) -> u8 {
    let code = console.report(&applied.report);
    console.proof(applied);
    if console.is_monitoring() || matches!(applied.outcome, Outcome::New | Outcome::NewDegraded) {
        return code;
    }
    if control.cancel.is_cancelled() {
        return ErrorKind::Cancelled.code();
    }
    let failed = applied.lines.iter().rev().find_map(|line| match &line.event {
        Event::StepFailed { error, .. } => Some(error.kind.code()),
        _ => None,
    });
    failed.unwrap_or_else(|| code.max(1))
}
