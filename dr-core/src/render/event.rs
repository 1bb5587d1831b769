//! Events, as they happen.

use super::Style;
use super::layout::{Tone, bytes, clean, paint, wrap};
use super::report::{block, figure};
use crate::plan::Plan;
use crate::run::{Direction, Event, Outcome};

/// One event, as lines of a running story. The plan it belongs to gives the steps their names.
///
/// ```
/// use dr_core::render::{Style, event};
/// use dr_core::run::Event;
/// let progress = Event::Progress { phase: "copy".into(), done: 1536, total: Some(4096), unit: "bytes".into() };
/// assert_eq!(event(&progress, None, Style::default()), "copy: 1.5 KiB of 4.0 KiB\n");
/// ```
#[must_use]
pub fn event(event: &Event, plan: Option<&Plan>, style: Style) -> String {
    let mut page = String::new();
    match event {
        Event::PlanRecorded { title, digest, by } => {
            let line = format!("recorded: {} (plan {}, by {})", clean(title), digest.short(), clean(by));
            wrap(&mut page, "", &line, style);
        }
        Event::Resumed { by, direction } => {
            let way = if *direction == Direction::Forward { "goes on" } else { "goes back" };
            wrap(&mut page, "", &format!("taken up again by {}: it {way}", clean(by)), style);
        }
        Event::StepBegun { step, direction } => {
            wrap(&mut page, &number(*step, plan), &title(*step, *direction, plan), style);
        }
        Event::StepDone { step, direction, found } => {
            let done = match (direction, found) {
                (Direction::Forward, false) => "done",
                (Direction::Forward, true) => "was done already",
                (Direction::Back, false) => "taken back",
                (Direction::Back, true) => "was never done, or taken back already",
            };
            wrap(&mut page, &number(*step, plan), &paint(done, Tone::Good, style), style);
        }
        Event::StepFailed { step, direction, error, .. } => {
            let what = if *direction == Direction::Forward {
                "could not"
            } else {
                "could not be taken back: could not"
            };
            let line = format!("{what} {}: {}", clean(&error.operation), clean(&error.message));
            wrap(&mut page, &number(*step, plan), &paint(&line, Tone::Bad, style), style);
            if let Some(hint) = &error.hint {
                wrap(&mut page, "  → ", &clean(hint), style);
            }
        }
        Event::UndoBegun { why } => {
            let line = format!("taking back what was done: {}", clean(why));
            wrap(&mut page, "", &paint(&line, Tone::Doubtful, style), style);
        }
        Event::Finished { outcome } => {
            let (words, tone) = outcome_in_words(*outcome);
            wrap(&mut page, "", &paint(words, tone, style), style);
        }
        Event::Progress { phase, done, total, unit } => {
            wrap(&mut page, "", &progress(phase, *done, *total, unit), style);
        }
        Event::Note { message } => wrap(&mut page, "", &clean(message), style),
        Event::Found(finding) => block(&mut page, finding, style),
        Event::Counted { figures } => {
            let told = figures.iter().map(|(name, value)| figure(name, *value));
            let told: Vec<String> = told.map(|(name, value)| format!("{name} {value}")).collect();
            wrap(&mut page, "", &told.join(", "), style);
        }
    }
    page
}

fn number(step: usize, plan: Option<&Plan>) -> String {
    match plan {
        Some(plan) => format!("[{}/{}] ", step + 1, plan.steps.len()),
        None => format!("[{}] ", step + 1),
    }
}

fn title(step: usize, direction: Direction, plan: Option<&Plan>) -> String {
    let title = plan.and_then(|plan| plan.steps.get(step)).map(|planned| clean(&planned.title));
    match (direction, title) {
        (Direction::Forward, Some(title)) => title,
        (Direction::Back, Some(title)) => format!("take back: {title}"),
        (Direction::Forward, None) => "begun".to_owned(),
        (Direction::Back, None) => "taking back".to_owned(),
    }
}

fn progress(phase: &str, done: u64, total: Option<u64>, unit: &str) -> String {
    let phase = clean(phase);
    match (unit, total) {
        ("bytes", Some(total)) => format!("{phase}: {} of {}", bytes(done), bytes(total)),
        ("bytes", None) => format!("{phase}: {}", bytes(done)),
        (unit, Some(total)) => format!("{phase}: {done} of {total} {}", clean(unit)),
        (unit, None) => format!("{phase}: {done} {}", clean(unit)),
    }
}

/// How a run ended, for people.
fn outcome_in_words(outcome: Outcome) -> (&'static str, Tone) {
    match outcome {
        Outcome::New => ("done: everything is as planned", Tone::Good),
        Outcome::NewDegraded => {
            ("done: everything needed is as planned; steps that were only wanted are missing", Tone::Doubtful)
        }
        Outcome::Old => ("taken back: everything is as it was before", Tone::Doubtful),
        Outcome::Stopped => ("STOPPED between old and new: resume it or undo it", Tone::Alarm),
    }
}
