//! What people and programs see: results on standard output, the story on standard error, JSON lines on request.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dr_core::dns::Prediction;
use dr_core::estate::Policy;
use dr_core::mirror::Verdict;
use dr_core::render::{self, Style};
use dr_core::report::Report;
use dr_core::run::Event;
use dr_core::toolkit::{Applied, Discovered};
use dr_core::world::Control;
use dr_core::{Error, Plan, Severity};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Common;
use crate::textfile::Textfile;

/// Where everything is shown.
#[derive(Clone)]
pub(crate) struct Console {
    json: bool,
    nagios: bool,
    prometheus: Option<Textfile>,
    /// As asked for with --fail-on.
    fail_on: Option<Severity>,
    /// As the estate has it.
    policy: Severity,
    out: Style,
    err: Style,
    bar: Arc<Mutex<Option<Bar>>>,
    /// The plan that is being applied: its steps have names.
    plan: Arc<Mutex<Option<Plan>>>,
}

/// The progress of one phase of the work.
struct Bar {
    phase: String,
    /// What the bar itself counts.
    unit: String,
    bar: ProgressBar,
}

impl Bar {
    /// Where a phase counts bytes and something else, the bar is about the bytes and the other count stands before it.
    fn show(&mut self, done: u64, total: Option<u64>, unit: &str) {
        if self.unit == "bytes" && unit != "bytes" {
            let of = total.map_or_else(String::new, |total| format!("/{total}"));
            self.bar.set_message(format!("{} {done}{of} {unit}", self.phase));
            return;
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        if self.unit != unit {
            self.unit = unit.to_owned();
            let template = match (total, unit) {
                (Some(_), "bytes") => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                (Some(_), _) => "{msg} {wide_bar} {human_pos}/{human_len}",
                (None, "bytes") => "{spinner} {msg} {bytes} {bytes_per_sec}",
                (None, _) => "{spinner} {msg} {human_pos}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_message(if unit == "bytes" {
                self.phase.clone()
            } else {
                format!("{} {unit}", self.phase)
            });
        }
    }
}

/// One line of JSON on standard output.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum JsonLine<'a> {
    Event(&'a Event),
    Plan(&'a Plan),
    Guards(&'a [Verdict]),
    Report(&'a Report),
    Error(&'a dr_core::ErrorRecord),
    Result(&'a serde_json::Value),
}

impl Console {
    /// As the options and the terminal say. `NO_COLOR` is honoured (no-color.org).
    pub(crate) fn new(common: &Common) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = |terminal: bool| if terminal { terminal_width() } else { 100 };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self {
            json: common.json,
            nagios: common.nagios,
            prometheus: common.prometheus.clone().map(Textfile::at),
            fail_on: common.fail_on.map(Into::into),
            policy: Policy::default().fail_on,
            out: Style { color: colour && out, width: width(out), full: common.verbose },
            err: Style { color: colour && err, width: width(err), full: common.verbose },
            bar: Arc::default(),
            plan: Arc::default(),
        }
    }

    /// The same where this policy holds: a check fails as it says, unless --fail-on says otherwise.
    pub(crate) fn under(&self, policy: &Policy) -> Self {
        Self { policy: policy.fail_on, ..self.clone() }
    }

    /// Whether the output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a monitoring system reads it.
    pub(crate) fn is_monitoring(&self) -> bool {
        self.nagios
    }

    /// Whether a person sits there who can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && !self.nagios && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// What accompanies work: events are shown, and Ctrl-C or SIGTERM stops it. A second Ctrl-C ends the process at once;
    /// the journal knows what was under way.
    pub(crate) fn control(&self) -> Control {
        let shown = self.clone();
        let control = Control::new(move |event| shown.event(event));
        let cancel = control.cancel.clone();
        let teller = self.clone();
        // From here on, not from when the task first runs: nothing that is begun may be cut off without a word.
        let mut signals = Signals::catch();
        tokio::spawn(async move {
            signals.next().await;
            // Said first: once it is cancelled the program may be over before another word.
            teller.story("stopping; press Ctrl-C again to end at once");
            cancel.cancel();
            signals.next().await;
            std::process::exit(i32::from(dr_core::ErrorKind::Cancelled.code()));
        });
        control
    }

    /// The same work with less to read: for people only progress and notes. Programs get every event.
    pub(crate) fn quiet(&self, control: &Control) -> Control {
        if self.json {
            return control.clone();
        }
        let shown = self.clone();
        let mut quiet = Control::new(move |event| {
            if matches!(event, Event::Progress { .. } | Event::Note { .. }) {
                shown.event(event);
            }
        });
        quiet.cancel = control.cancel.clone();
        quiet
    }

    /// Shows an event.
    pub(crate) fn event(&self, event: &Event) {
        if self.json {
            self.line(&JsonLine::Event(event));
            return;
        }
        if let Event::Progress { phase, done, total, unit } = event {
            self.progress(phase, *done, *total, unit);
            return;
        }
        // What is found and counted stands in the report that follows.
        if self.nagios || matches!(event, Event::Found(_) | Event::Counted { .. }) {
            return;
        }
        // Whatever the bar was about is over.
        self.settle();
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.story(render::event(event, plan.as_ref(), self.err).trim_end_matches('\n'));
    }

    /// A line of the story.
    pub(crate) fn story(&self, line: &str) {
        if self.json || self.nagios {
            return;
        }
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match bar.as_ref() {
            Some(Bar { bar, .. }) => bar.suspend(|| tell(line)),
            None => tell(line),
        }
    }

    fn progress(&self, phase: &str, done: u64, total: Option<u64>, unit: &str) {
        if !self.err.color && !std::io::stderr().is_terminal() {
            return;
        }
        let mut slot = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|bar| bar.phase != phase) {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(200));
            *slot = Some(Bar { phase: phase.to_owned(), unit: String::new(), bar });
        }
        if let Some(bar) = slot.as_mut() {
            bar.show(done, total, unit);
        }
    }

    /// Takes the progress bar away.
    pub(crate) fn settle(&self) {
        if let Some(Bar { bar, .. }) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }

    /// From now on events are about this plan.
    pub(crate) fn follow(&self, plan: &Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan.clone());
    }

    /// Shows a plan.
    pub(crate) fn plan(&self, plan: &Plan) {
        self.settle();
        if self.json {
            self.line(&JsonLine::Plan(plan));
        } else {
            self.print(&render::plan(plan, self.out));
        }
    }

    /// Shows what each guard of a mirror says.
    pub(crate) fn guards(&self, verdicts: &[Verdict]) {
        self.settle();
        if self.json {
            self.line(&JsonLine::Guards(verdicts));
        } else if !self.nagios {
            self.print(&render::guards(verdicts, self.out));
        }
    }

    /// Says how long a change of records will take.
    pub(crate) fn foretell(&self, prediction: &Prediction) {
        if self.json {
            self.line(&JsonLine::Result(&serde_json::json!({ "prediction": prediction })));
        }
        self.story(&prediction.to_string());
    }

    /// Says what a host has and the estate has not.
    pub(crate) fn discovery(&self, discovered: &Discovered) {
        let text = render::discovery(&discovered.differences, &discovered.left_out, self.err);
        self.story(if text.is_empty() { "nothing is new" } else { text.trim_end_matches('\n') });
    }

    /// Says what a run has proved about the records that it changed.
    pub(crate) fn proof(&self, applied: &Applied) {
        if self.json && applied.verified.is_some() {
            let proof = serde_json::json!({ "verified": applied.verified, "settled": applied.settled });
            self.line(&JsonLine::Result(&proof));
        }
        if let Some(verified) = &applied.verified {
            let servers = verified.servers().len();
            self.story(&format!("verified: all {servers} name servers show it since {}", verified.at()));
        }
        if let Some(settled) = &applied.settled {
            self.story(&format!("settled: resolvers have forgotten what was before since {}", settled.at()));
        }
    }

    /// Shows a report; gives the exit code.
    pub(crate) fn report(&self, report: &Report) -> u8 {
        self.settle();
        if let Some(Err(why)) = self.prometheus.as_ref().map(|file| file.write(report)) {
            tell(render::error(&why, self.err).trim_end_matches('\n'));
        }
        if self.nagios {
            let (code, line) = render::nagios(report);
            self.print(&line);
            return code;
        }
        if self.json {
            self.line(&JsonLine::Report(report));
        } else {
            self.print(&render::report(report, self.out));
        }
        let fail_on = self.fail_on.unwrap_or(self.policy);
        u8::from(report.worst().is_some_and(|worst| worst >= fail_on))
    }

    /// Shows a result that is neither plan nor report: `text` for people, `value` for programs.
    pub(crate) fn result(&self, text: &str, value: &serde_json::Value) {
        self.settle();
        if self.json { self.line(&JsonLine::Result(value)) } else { self.print(text) }
    }

    /// Shows a single look at something; gives the exit code. `word` and `code` are for monitoring.
    pub(crate) fn look(&self, text: &str, value: &serde_json::Value, (code, word): (u8, &str)) -> u8 {
        if self.nagios {
            self.print(&format!("DR {word} - {}", text.replace('|', "/")));
            return code;
        }
        self.result(text, value);
        u8::from(code != 0)
    }

    /// Shows an error; gives the exit code.
    pub(crate) fn error(&self, error: &Error) -> u8 {
        self.settle();
        if let Some(Err(why)) = self.prometheus.as_ref().map(|file| file.write_error(error)) {
            tell(render::error(&why, self.err).trim_end_matches('\n'));
        }
        if self.nagios {
            self.print(&format!("DR UNKNOWN - {}", error.to_string().replace(['|', '\n'], " ")));
            return 3;
        }
        if self.json {
            self.line(&JsonLine::Error(&error.to_record()));
        } else {
            tell(render::error(error, self.err).trim_end_matches('\n'));
        }
        error.kind().code()
    }

    fn line(&self, line: &JsonLine<'_>) {
        // What cannot be written (a closed pipe) has no reader.
        if let Ok(json) = serde_json::to_string(line) {
            let _ = writeln!(std::io::stdout().lock(), "{json}");
        }
    }

    fn print(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
    }

    /// Asks for a yes on the terminal.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        if !self.can_ask() {
            return false;
        }
        let _ = write!(std::io::stderr().lock(), "{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

/// A line on standard error. Unlike `eprintln!` it does not mind that nobody reads any more (`2>&1 | head`).
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The width of the terminal in columns, between 40 and 120.
fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if size == 0 { 80 } else { size.clamp(40, 120) }
}

/// Ctrl-C and SIGTERM, caught from the moment this is made.
struct Signals([Option<Signal>; 2]);

impl Signals {
    fn catch() -> Self {
        // Where the system refuses, they end the process as ever.
        Self([SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()))
    }

    /// Waits for the next of them.
    async fn next(&mut self) {
        async fn received(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
        }
    }
}

/// A stopwatch that reads as people say it.
pub(crate) fn elapsed(since: Instant) -> String {
    format!("{:.2} s", since.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_of_bytes_is_not_taken_for_one_of_files() {
        let bar = ProgressBar::hidden();
        let mut bar = Bar { phase: "copy".to_owned(), unit: String::new(), bar };
        bar.show(0, Some(301), "files");
        assert_eq!(
            (bar.bar.position(), bar.bar.length(), bar.bar.message().as_str()),
            (0, Some(301), "copy files")
        );
        bar.show(4096, Some(60_000), "bytes");
        bar.show(17, Some(301), "files");
        bar.show(5000, Some(60_000), "bytes");
        let said = bar.bar.message();
        assert_eq!(
            (bar.bar.position(), bar.bar.length(), said.as_str()),
            (5000, Some(60_000), "copy 17/301 files")
        );
    }
}
