//! Applying plans: the machine says what is next, the journal keeps it, the world is touched.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::report::{Finding, Report, Subject, code};
use crate::run::{
    Deed, Direction, Event, Line, Machine, Next, Outcome, Perform, Reply, RunId, Settled, Verified, account,
    chain,
};
use crate::time::Timestamp;
use crate::world::{Claim, Control, Reading, RunSummary, World};

use super::mirror::Hands;
use super::{Toolkit, perform};

/// What became of a plan.
///
/// ```
/// # fn shown(applied: &dr_core::toolkit::Applied) {
/// use dr_core::run::Outcome;
/// if applied.outcome == Outcome::Stopped {
///     println!("run {} waits: {}", applied.run, applied.report.findings[0].message);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// Which run it was; `resume` and `undo` take it.
    pub run: RunId,
    /// How it ended: wholly new, wholly old, or stopped in between.
    pub outcome: Outcome,
    /// Which steps were passed over, why it stopped, and what was found on the way.
    pub report: Report,
    /// Everything recorded about the run, with times; earlier attempts included.
    pub lines: Vec<Line>,
    /// Proof that every name server shows the records that the run changed; none if it changed none, or if one does not.
    pub verified: Option<Verified>,
    /// Proof that resolvers had the time to forget what was before.
    pub settled: Option<Settled>,
}

impl Toolkit {
    /// Applies a plan: every step in order, each recorded before it is done and read back before it counts. `by` says who asked
    /// for it, for the audit.
    ///
    /// A plan that cannot go on is no error: the outcome is `Stopped` (or `Old`, if the plan takes itself back), and the report
    /// says at which step and why. Cancelling stops it before the next effect. A plan without steps is recorded and finished.
    ///
    /// Errors: the journal cannot be written; then nothing was done after the last recorded line.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
    /// use dr_core::run::Outcome;
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let pause = Step::Pause(Pause { span: "1h".parse().unwrap(), why: "let the TTL pass".into() });
    /// let plan = Plan::new("wait", Default::default(), OnFailure::Stop, vec![Planned::needed("wait an hour", pause)]);
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let applied = toolkit.apply(&plan, "ann", &Control::silent()).await.unwrap();
    /// assert_eq!(applied.outcome, Outcome::New);
    /// # });
    /// ```
    pub async fn apply(&self, plan: &Plan, by: &str, control: &Control) -> Result<Applied> {
        let run = new_run()?;
        // Claimed before it exists, so that nobody can take it up in between.
        let claim = self.world.journal.claim(run).await?;
        let machine = Machine::new(plan.clone(), by);
        Drive::new(&self.world, Hands::new(&self.shelf), control, run, machine, vec![], claim).finish().await
    }

    /// Goes on with a run that stopped or whose process died, in the direction it was going. A run that is over stays as it is.
    ///
    /// Errors: `Locked` while another process is at it, `NotFound`, `Corrupt` for a journal that was changed, or the journal
    /// cannot be written.
    pub async fn resume(&self, run: RunId, by: &str, control: &Control) -> Result<Applied> {
        let mut drive = self.take_up(run, control).await?;
        if matches!(drive.machine.outcome(), None | Some(Outcome::Stopped)) {
            let direction = drive.machine.direction();
            drive.record(Event::Resumed { by: by.to_owned(), direction }).await?;
        }
        drive.finish().await
    }

    /// Takes a run back, whether it stopped, died or ended well: every step that was begun, in reverse order. What the world has
    /// become since by others' hands is not touched; the run then stops and says where. Errors as for [`Toolkit::resume`].
    pub async fn undo(&self, run: RunId, by: &str, control: &Control) -> Result<Applied> {
        let mut drive = self.take_up(run, control).await?;
        match (drive.machine.direction(), drive.machine.outcome()) {
            (Direction::Back, Some(Outcome::Old)) => {}
            (Direction::Back, _) => {
                drive.record(Event::Resumed { by: by.to_owned(), direction: Direction::Back }).await?;
            }
            (Direction::Forward, _) => {
                drive.record(Event::UndoBegun { why: format!("{by} asked for it") }).await?;
            }
        }
        drive.finish().await
    }

    /// Every run in the journal, newest first.
    pub async fn runs(&self) -> Result<Vec<RunSummary>> {
        self.world.journal.runs().await
    }

    /// Checks the whole journal: the chain over all its lines, every run's plan and order of events, and which runs wait for
    /// somebody. What is wrong with it is a finding.
    pub async fn audit(&self) -> Result<Report> {
        let mut report = Report::new("audit of the journal", self.world.clock.read().wall);
        let mut lines = vec![];
        for summary in self.runs().await? {
            let subject = Subject::new("run", summary.run);
            report.examined.push(subject.clone());
            match self.world.journal.load(summary.run).await {
                Ok((plan, recorded)) => {
                    if let Err(error) = Machine::replay(plan.clone(), &recorded) {
                        report.push(broken(subject, &error));
                    }
                    let judged = account(summary.run, &plan, &recorded, report.at);
                    let waits = judged.findings.into_iter().filter(|f| f.code == code::RUN_UNFINISHED);
                    report.findings.extend(waits);
                    lines.extend(recorded);
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => report.push(broken(subject, &error)),
                Err(error) => return Err(error),
            }
        }
        lines.sort_by_key(|line| line.number);
        if let Err(error) = chain::verify(&lines) {
            report.push(broken(Subject::new("journal", "chain"), &error));
        }
        report.figures.insert("lines".to_owned(), u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(report)
    }

    async fn take_up<'a>(&'a self, run: RunId, control: &'a Control) -> Result<Drive<'a>> {
        take_up(&self.world, Hands::new(&self.shelf), run, control).await
    }
}

async fn take_up<'a>(world: &'a World, hands: Hands, run: RunId, control: &'a Control) -> Result<Drive<'a>> {
    let claim = world.journal.claim(run).await?;
    let (plan, lines) = world.journal.load(run).await?;
    let machine = Machine::replay(plan, &lines)?;
    Ok(Drive::new(world, hands, control, run, machine, lines, claim))
}

/// A plan that is carried out as part of another.
pub(super) struct Part<'a> {
    pub(super) run: RunId,
    pub(super) plan: &'a Plan,
    pub(super) by: &'a str,
    pub(super) is_begun: bool,
    pub(super) back: bool,
}

/// Carries a plan out, goes on with it, or takes it back, as a run of its own. Of its steps the whole is told nothing, of what was found
/// everything, and how it ended.
pub(super) async fn carry_out_part(
    world: &World,
    hands: &Hands,
    part: Part<'_>,
    control: &Control,
) -> Result<Outcome> {
    let outer = control.clone();
    let mut inner = Control::new(move |event: &Event| {
        if matches!(event, Event::Found(_)) {
            outer.emit(event);
        }
    });
    inner.cancel = control.cancel.clone();
    let hands = hands.another();
    let mut drive = if part.is_begun {
        take_up(world, hands, part.run, &inner).await?
    } else {
        let claim = world.journal.claim(part.run).await?;
        let machine = Machine::new(part.plan.clone(), part.by);
        Drive::new(world, hands, &inner, part.run, machine, vec![], claim)
    };
    let direction = drive.machine.direction();
    if part.back && direction == Direction::Forward {
        drive.record(Event::UndoBegun { why: part.by.to_owned() }).await?;
    } else if part.is_begun && matches!(drive.machine.outcome(), None | Some(Outcome::Stopped)) {
        drive.record(Event::Resumed { by: part.by.to_owned(), direction }).await?;
    }
    let applied = drive.finish().await?;
    let word = match applied.outcome {
        Outcome::New => "done",
        Outcome::NewDegraded => "done, with something missing",
        Outcome::Old => "taken back",
        Outcome::Stopped => "stopped",
    };
    control.emit(&Event::Note { message: format!("{}: {word} (run {})", part.plan.title, part.run) });
    for finding in applied.report.findings {
        control.emit(&Event::Found(finding));
    }
    Ok(applied.outcome)
}

/// One process driving one run.
struct Drive<'a> {
    world: &'a World,
    hands: Hands,
    control: &'a Control,
    run: RunId,
    machine: Machine,
    lines: Vec<Line>,
    began: Reading,
    clocks: Reading,
    _claim: Box<dyn Claim>,
}

impl<'a> Drive<'a> {
    fn new(
        world: &'a World,
        hands: Hands,
        control: &'a Control,
        run: RunId,
        machine: Machine,
        lines: Vec<Line>,
        claim: Box<dyn Claim>,
    ) -> Self {
        let clocks = world.clock.read();
        Self { world, hands, control, run, machine, lines, began: clocks, clocks, _claim: claim }
    }

    async fn finish(mut self) -> Result<Applied> {
        loop {
            self.watch_the_clocks().await?;
            let next = self.machine.next(self.now());
            let stops = self.control.cancel.is_cancelled() && self.machine.outcome().is_none();
            match next {
                Next::Record(event) => self.record(event).await?,
                Next::Perform(_) | Next::Wait(_) if stops => {
                    self.record(Event::Finished { outcome: Outcome::Stopped }).await?;
                }
                Next::Perform(work) => {
                    let (listening, found) = listen(self.control);
                    let reply = perform(self.world, &self.hands, &work, &listening).await;
                    let now = self.now();
                    // What was cut short by cancelling is looked at when the run is taken up again.
                    if !self.control.cancel.is_cancelled() {
                        self.machine.performed(now, reply);
                    }
                    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
                    for event in found {
                        self.record(event).await?;
                    }
                }
                Next::Wait(span) => {
                    tokio::select! {
                        () = self.world.clock.sleep(span) => {}
                        () = self.control.cancel.cancelled() => {}
                    }
                }
                Next::Finish(outcome) => return Ok(self.applied(outcome)),
            }
        }
    }

    /// Makes an event durable, then tells the machine and the caller. If it cannot be made durable, nothing more is done.
    async fn record(&mut self, event: Event) -> Result<()> {
        let journal = &self.world.journal;
        let written = match &event {
            Event::PlanRecorded { by, .. } => journal.begin(self.run, self.machine.plan(), by).await,
            _ => journal.append(self.run, &event).await,
        };
        let line = written.map_err(|error| fatal(self.run, error))?;
        self.machine.recorded(self.now(), &event)?;
        self.lines.push(line);
        self.control.emit(&event);
        Ok(())
    }

    /// The wall clock as it was when this process took the run up, and the time since then by the boot clock: a wall clock that is
    /// set meanwhile neither cuts a pause short nor draws it out.
    fn now(&self) -> Timestamp {
        self.began.wall + self.world.clock.read().boot.since(self.began.boot)
    }

    async fn watch_the_clocks(&mut self) -> Result<()> {
        let now = self.world.clock.read();
        let disturbance = now.disturbance_since(&self.clocks);
        self.clocks = now;
        let Some(disturbance) = disturbance.filter(|_| !self.lines.is_empty()) else { return Ok(()) };
        let seconds = disturbance.suspended.as_secs();
        let message = format!(
            "the machine was suspended for {seconds} s and its wall clock was set by {} ms",
            disturbance.jumped_us / 1_000
        );
        self.record(Event::Found(Finding::new(code::CLOCK_JUMPED, Subject::new("run", self.run), message)))
            .await
    }

    fn applied(self, outcome: Outcome) -> Applied {
        let plan = self.machine.plan();
        let report = account(self.run, plan, &self.lines, self.clocks.wall);
        let (verified, settled) = (Verified::by(plan, &self.lines), Settled::by(plan, &self.lines));
        Applied { run: self.run, outcome, report, lines: self.lines, verified, settled }
    }
}

/// Passes everything on at once but findings and figures: those are written down before anybody is told.
fn listen(control: &Control) -> (Control, Arc<Mutex<Vec<Event>>>) {
    let found = Arc::new(Mutex::new(vec![]));
    let (heard, outer) = (Arc::clone(&found), control.clone());
    let mut listening = Control::new(move |event: &Event| match event {
        Event::Found(_) | Event::Counted { .. } => {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
        event => outer.emit(event),
    });
    listening.cancel = control.cancel.clone();
    (listening, found)
}

async fn perform(world: &World, hands: &Hands, work: &Perform<'_>, control: &Control) -> Reply {
    let failed = |error: Error| match error.kind() {
        ErrorKind::OutcomeUnknown => Reply::Lost(error.to_record()),
        _ => Reply::Failed(error.to_record()),
    };
    match work.deed {
        Deed::Observe => {
            perform::observe(world, hands, &work.what, control).await.map_or_else(failed, Reply::State)
        }
        Deed::Act => {
            perform::act(world, hands, &work.what, control).await.map_or_else(failed, |()| Reply::Done)
        }
    }
}

fn new_run() -> Result<RunId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|why| {
        Error::new(ErrorKind::Io, "name a new run", format!("the system gives no random numbers: {why}"))
    })?;
    Ok(RunId::from_bytes(bytes))
}

fn fatal(run: RunId, error: Error) -> Error {
    let message = format!("{}; nothing more was done in run {run}", error.message());
    let hint = match error.advice() {
        Some(hint) => format!("{hint}; resume or undo the run once the journal can be written"),
        None => "resume or undo the run once the journal can be written".to_owned(),
    };
    Error::new(error.kind(), error.operation(), message).hint(hint).caused_by(error)
}

fn broken(subject: Subject, error: &Error) -> Finding {
    Finding::new(code::RUN_JOURNAL_BROKEN, subject, error.message()).with("kind", error.kind().name())
}
