//! `dr failover`: look, plan, move, bring back, go on, take back.

use dr_core::failover::Guard;
use dr_core::run::{Outcome, RunId};
use dr_core::toolkit::{AuditFailover, FailoverOptions, Together, Toolkit};
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Plan, Report, Result, SiteId};

use super::{finish, show_and_apply};
use crate::args::{Common, Failover, FailoverPlan};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Failover) -> Result<u8> {
    if let Failover::Seat(words) = words {
        return super::seats::run(console, words).await;
    }
    // A run has all that it needs in its plan, and may have been one without an estate.
    let estate = match words {
        Failover::Resume { .. } | Failover::Undo { .. } | Failover::Audit { .. } => {
            context::estate(common)?.unwrap_or_default()
        }
        _ => context::needed_estate(common)?,
    };
    let console = &console.under(&estate.policy);
    let toolkit = match words {
        Failover::Audit { .. } => context::without_secrets(common, &estate)?,
        _ => context::toolkit(common, estate)?,
    };
    let control = console.control();
    match words {
        // Said above, to the agent.
        Failover::Seat(_) => Ok(0),
        Failover::Status { sites } => status(&toolkit, console, &control, sites).await,
        Failover::Plan(words) => {
            console.plan(&plan(&toolkit, &words, &control).await?);
            Ok(0)
        }
        Failover::Run(words) => {
            let plan = plan(&toolkit, &words, &control).await?;
            confirmed(common, console, &plan, words.yes)?;
            show_and_apply(&toolkit, &plan, common, console, &control).await
        }
        Failover::Back { site, yes } => {
            let plan = toolkit.plan_failback(&site, &control).await?;
            confirmed(common, console, &plan, yes)?;
            show_and_apply(&toolkit, &plan, common, console, &control).await
        }
        Failover::Resume { run } => {
            let run = chosen(&toolkit, run, true).await?;
            if common.dry_run {
                return shown(&toolkit, console, run).await;
            }
            let applied = toolkit.resume(run, &context::asked_by(), &control).await?;
            Ok(finish(console, &applied, &control))
        }
        Failover::Audit { site, verify } => audit(&toolkit, console, AuditFailover { site, verify }).await,
        Failover::Undo { run, yes } => {
            let run = chosen(&toolkit, run, false).await?;
            if common.dry_run {
                return shown(&toolkit, console, run).await;
            }
            if !yes && !console.confirm(&format!("Take back run {run}?")) {
                return Err(not_confirmed());
            }
            let mut applied = toolkit.undo(run, &context::asked_by(), &control).await?;
            if applied.outcome == Outcome::Old {
                // Being back where one was is what was asked for.
                applied.outcome = Outcome::New;
            }
            Ok(finish(console, &applied, &control))
        }
    }
}

async fn status(toolkit: &Toolkit, console: &Console, control: &Control, sites: Vec<SiteId>) -> Result<u8> {
    let sites = if sites.is_empty() { toolkit.estate.sites.keys().cloned().collect() } else { sites };
    let mut report = Report::new("failover status", dr_core::toolkit::now());
    for site in &sites {
        if !console.is_monitoring() {
            let guards = toolkit.failover_guards(site, control).await?;
            let lines: Vec<String> = guards.iter().map(explained).collect();
            let json = serde_json::json!({ "site": site, "guards": guards });
            console.result(&format!("{site}:\n{}\n", lines.join("\n")), &json);
        }
        report.absorb(toolkit.failover_status(site, control).await?);
    }
    Ok(console.report(&report.judged(&toolkit.estate.policy.severity)))
}

/// One move a line, in JSON: it is made to be kept and searched.
async fn audit(toolkit: &Toolkit, console: &Console, request: AuditFailover) -> Result<u8> {
    let audit = toolkit.failover_audit(&request).await?;
    if audit.moves.is_empty() {
        console.story("no move stands in this journal (each machine has its own)");
    }
    for one in &audit.moves {
        let json = serde_json::to_value(one).unwrap_or_default();
        console.result(&json.to_string(), &json);
    }
    Ok(audit.report.map_or(0, |report| console.report(&report.judged(&toolkit.estate.policy.severity))))
}

/// A guard and what it saw, as a line.
fn explained(guard: &Guard) -> String {
    let word = if guard.passed { "passes" } else { "REFUSES" };
    format!("  {word:<8} {:<17} {}", guard.name.name(), guard.explanation)
}

async fn plan(toolkit: &Toolkit, words: &FailoverPlan, control: &Control) -> Result<Plan> {
    let options = FailoverOptions {
        planned: words.planned,
        despite: words.despite.iter().copied().collect(),
        why: words.why.clone(),
        from: words.from.clone(),
    };
    let which = match (&words.site, &words.host, &words.group) {
        (Some(site), ..) => return toolkit.plan_failover(site, &options, control).await,
        (None, Some(host), _) => Together::Host(host.clone()),
        (None, None, Some(group)) => Together::Group(group.clone()),
        // The command line takes none of these together, and not none.
        (None, None, None) => return Err(Error::new(ErrorKind::Usage, "plan a failover", "of what?")),
    };
    toolkit.plan_failovers(&which, &options, words.per_second, control).await
}

/// A person has seen the plan and said yes, or said so beforehand.
fn confirmed(common: &Common, console: &Console, plan: &Plan, yes: bool) -> Result<()> {
    if yes || common.dry_run || plan.is_empty() {
        return Ok(());
    }
    console.plan(plan);
    if console.confirm("Do this now?") { Ok(()) } else { Err(not_confirmed()) }
}

fn not_confirmed() -> Error {
    Error::new(ErrorKind::Cancelled, "go on", "nobody said yes").hint("add --yes where nobody can be asked")
}

/// The plan of a run, of which a dry run does nothing.
async fn shown(toolkit: &Toolkit, console: &Console, run: RunId) -> Result<u8> {
    let (plan, _) = toolkit.world.journal.load(run).await?;
    console.plan(&plan);
    Ok(0)
}

/// The run that was named, or the latest: with `unfinished`, the latest that waits to be finished.
async fn chosen(toolkit: &Toolkit, run: Option<RunId>, unfinished: bool) -> Result<RunId> {
    if let Some(run) = run {
        return Ok(run);
    }
    let waits = |outcome: Option<Outcome>| matches!(outcome, None | Some(Outcome::Stopped));
    let runs = toolkit.runs().await?;
    runs.iter().find(|run| !unfinished || waits(run.outcome)).map(|run| run.run).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find a run", "the journal has none that this could mean")
            .hint("dr log lists the runs; --journal names another journal")
    })
}
