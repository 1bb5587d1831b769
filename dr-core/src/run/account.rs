//! What became of a run, told from its plan and its events.

use std::collections::BTreeMap;

use super::event::{Direction, Event, Line, Outcome, RunId};
use crate::error::ErrorRecord;
use crate::plan::{Plan, Step};
use crate::report::{Finding, Report, Subject, code};
use crate::time::Timestamp;

/// Judges a run by everything that was recorded about it: steps that were passed over, why it stopped, and what it found.
///
/// ```
/// use dr_core::plan::{OnFailure, Plan};
/// use dr_core::run::{Event, RunId, account, chain};
/// let plan = Plan::new("nothing", Default::default(), OnFailure::Stop, vec![]);
/// let event = Event::PlanRecorded { title: plan.title.clone(), digest: plan.digest(), by: "ann".into() };
/// let line = chain::next_line(None, RunId::from_bytes([1; 8]), Default::default(), event);
/// let report = account(line.run, &plan, &[line.clone()], line.at);
/// assert_eq!(report.findings[0].code.name(), "run.unfinished");
/// ```
pub fn account(run: RunId, plan: &Plan, lines: &[Line], at: Timestamp) -> Report {
    let mut report = Report::new(plan.title.clone(), at);
    report.examined.push(Subject::new("run", run));
    let mut failed: BTreeMap<usize, (Direction, &ErrorRecord)> = BTreeMap::new();
    let (mut outcome, mut last, mut done, mut switch) = (None, None, 0_u64, None);
    for line in lines {
        match &line.event {
            Event::StepBegun { step, .. } => last = Some(*step),
            Event::StepDone { step, direction, .. } => {
                (last, done) = (Some(*step), done + u64::from(*direction == Direction::Forward));
                failed.remove(step);
                if let Some(Step::SetSwitch(set)) = plan.steps.get(*step).map(|planned| &planned.step) {
                    let arms = set.arm == (*direction == Direction::Forward);
                    switch = arms.then(|| line.at + set.after.as_duration());
                }
            }
            Event::StepFailed { step, direction, error, .. } => {
                last = Some(*step);
                failed.insert(*step, (*direction, error));
            }
            Event::Resumed { .. } | Event::UndoBegun { .. } => outcome = None,
            Event::Finished { outcome: how } => outcome = Some(*how),
            Event::Found(finding) => report.push(finding.clone()),
            Event::Counted { figures } => {
                for (name, more) in figures {
                    let sum = report.figures.entry(name.clone()).or_default();
                    *sum = sum.saturating_add(*more);
                }
            }
            Event::PlanRecorded { .. } | Event::Progress { .. } | Event::Note { .. } => {}
        }
    }
    match outcome {
        Some(Outcome::New | Outcome::Old) => {}
        Some(Outcome::NewDegraded) => {
            for (step, (_, error)) in &failed {
                report.push(skipped(plan, *step, error));
            }
        }
        Some(Outcome::Stopped) | None => {
            let why = last.and_then(|step| failed.get(&step).map(|(_, error)| (step, *error)));
            let finding = unfinished(run, plan, last, why);
            report.push(match switch {
                Some(at) => finding.with(
                    "switch",
                    format!("armed: what is not done by then the host takes back itself at {at}"),
                ),
                None => finding,
            });
        }
    }
    report.figures.insert("steps".to_owned(), u64::try_from(plan.steps.len()).unwrap_or(u64::MAX));
    report.figures.insert("steps_done".to_owned(), done);
    report
}

fn skipped(plan: &Plan, step: usize, error: &ErrorRecord) -> Finding {
    let finding =
        Finding::new(code::RUN_STEP_SKIPPED, Subject::new("step", title(plan, step)), &error.message);
    explained(finding, error).with("step", step)
}

fn unfinished(run: RunId, plan: &Plan, last: Option<usize>, why: Option<(usize, &ErrorRecord)>) -> Finding {
    let message = match (why, last) {
        (Some((step, error)), _) => {
            format!("it stopped at step {step} ({}): {}", title(plan, step), error.message)
        }
        (None, Some(step)) => format!("it was stopped at step {step} ({})", title(plan, step)),
        (None, None) => "it was stopped before its first step".to_owned(),
    };
    let finding = Finding::new(code::RUN_UNFINISHED, Subject::new("run", run), message);
    match why {
        Some((step, error)) => explained(finding, error).with("step", step),
        None => finding,
    }
}

fn explained(finding: Finding, error: &ErrorRecord) -> Finding {
    let finding = finding.with("kind", error.kind.name()).with("operation", &error.operation);
    match &error.hint {
        Some(hint) => finding.with("hint", hint),
        None => finding,
    }
}

fn title(plan: &Plan, step: usize) -> &str {
    plan.steps.get(step).map_or("?", |planned| &planned.title)
}
