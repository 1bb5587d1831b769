//! The machine: what to do next, from nothing but recorded events and the last thing that was seen.
//!
//! A step that changes something goes: look; if it is to be done, record that it begins; do it; look again; record what is so.
//! Nothing is believed that was not read back. What the machine must not forget is in the events; what it may forget (how often
//! it tried, what it saw last) is gone after a crash, and the first thing it then does is look.

use std::borrow::Cow;
use std::time::Duration;

use super::defect::{self, Defect};
use super::event::{Direction, Event, Line, Outcome};
use super::fold::{Fold, Leg, Position};
use super::state::StepState;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, ErrorRecord, Result, Retry};
use crate::plan::{Inverse, Need, OnFailure, Plan, Step};
use crate::time::Timestamp;

/// How often a step is tried, and how often the world is looked at without an answer, before the step has failed.
pub const TRIES: u32 = 3;

/// The first rest between two tries; each further one is twice as long.
const REST: Duration = Duration::from_millis(500);

/// A wall clock that is this far behind a recorded time was set back.
const SET_BACK: Duration = Duration::from_secs(2);

/// What to do next.
///
/// ```
/// use dr_core::plan::{OnFailure, Plan};
/// use dr_core::run::{Event, Machine, Next};
/// let plan = Plan::new("nothing", Default::default(), OnFailure::Stop, vec![]);
/// let mut machine = Machine::new(plan, "ann");
/// assert!(matches!(machine.next(Default::default()), Next::Record(Event::PlanRecorded { .. })), "the plan first");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it does not move")]
pub enum Next<'a> {
    /// Make this event durable, then call [`Machine::recorded`].
    Record(Event),
    /// Do this in the world, then call [`Machine::performed`].
    Perform(Perform<'a>),
    /// Let so much time pass, then ask again.
    Wait(Duration),
    /// The run is over, or has stopped.
    Finish(Outcome),
}

/// Something to do in the world.
///
/// ```
/// use std::borrow::Cow;
/// use dr_core::plan::{Pause, Step};
/// use dr_core::run::{Deed, Direction, Perform};
/// let step = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// let look = Perform { step: 0, direction: Direction::Forward, deed: Deed::Observe, what: Cow::Borrowed(&step) };
/// assert_eq!(*look.what, step);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Perform<'a> {
    /// The step's number, from 0.
    pub step: usize,
    /// Doing it, or taking it back.
    pub direction: Direction,
    /// Look, or act.
    pub deed: Deed,
    /// What to look for or to do: the step of the plan, or what takes it back.
    pub what: Cow<'a, Step>,
}

/// Looking changes nothing; acting may.
///
/// ```
/// use dr_core::run::Deed;
/// assert_ne!(Deed::Observe, Deed::Act);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Read where the world stands with respect to the step.
    Observe,
    /// Do it.
    Act,
}

/// What came of it.
///
/// ```
/// use dr_core::run::{Reply, StepState};
/// use dr_core::{Error, ErrorKind};
/// let lost = Reply::Lost(Error::new(ErrorKind::OutcomeUnknown, "change a zone", "no answer came").to_record());
/// assert_ne!(lost, Reply::State(StepState::From), "the machine looks before it acts again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What was seen: the answer to [`Deed::Observe`].
    State(StepState),
    /// It was said to be done: the answer to [`Deed::Act`].
    Done,
    /// Nobody knows whether it was done.
    Lost(ErrorRecord),
    /// It was certainly not done, or could not be seen.
    Failed(ErrorRecord),
}

/// Applies a plan, takes it back, or goes on with it: a value that is told what happened and says what is next.
///
/// ```
/// use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
/// use dr_core::run::{Event, Machine, Next, Outcome};
/// use dr_core::Timestamp;
/// use std::time::Duration;
/// let pause = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// let plan = Plan::new("wait", Timestamp::default(), OnFailure::Stop, vec![Planned::needed("wait", pause)]);
/// let mut machine = Machine::new(plan, "ann");
/// let start = Timestamp::from_micros(0);
/// // The plan first, then that the step begins; both are durable before any time counts.
/// for _ in 0..2 {
///     let Next::Record(event) = machine.next(start) else { panic!() };
///     machine.recorded(start, &event).unwrap();
/// }
/// assert_eq!(machine.next(start), Next::Wait(Duration::from_secs(2)));
/// let later = start + Duration::from_secs(2);
/// assert!(matches!(machine.next(later), Next::Record(Event::StepDone { step: 0, .. })));
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Plan,
    digest: Digest,
    by: String,
    fold: Fold,
    phase: Phase,
    acts: u32,
    looks: u32,
    /// The step in hand was never begun before, and whatever was tried since then was refused whole.
    untouched: bool,
}

/// Where the step in hand stands; forgotten in a crash.
#[derive(Clone, Debug)]
enum Phase {
    /// To be looked at; after an act, with what the act replied.
    Look(Option<Acted>),
    /// Going back, and what takes the step back fits nothing: to be looked at as the step itself.
    LookForward { because: String },
    /// Seen as it was before the step: to be done.
    Act,
    /// Nothing is done until then; afterwards as for `Look`.
    Rest { since: Timestamp, span: Duration, acted: Option<Acted> },
    /// Settled: to be recorded.
    Say(Event),
}

#[derive(Clone, Debug)]
enum Acted {
    Done,
    Lost(ErrorRecord),
    Failed(ErrorRecord),
}

impl Machine {
    /// A machine at the beginning of a plan, asked for by `by`.
    #[must_use]
    pub fn new(plan: Plan, by: impl Into<String>) -> Self {
        let (fold, digest) = (Fold::new(plan.steps.len()), plan.digest());
        Self {
            plan,
            digest,
            by: by.into(),
            fold,
            phase: Phase::Look(None),
            acts: 0,
            looks: 0,
            untouched: false,
        }
    }

    /// A machine where these lines of its journal leave it; an error of kind `Corrupt` for lines that no run can have left.
    pub fn replay(plan: Plan, lines: &[Line]) -> Result<Self> {
        let mut machine = Self::new(plan, "");
        for line in lines {
            machine.recorded(line.at, &line.event)?;
        }
        Ok(machine)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Which way the run goes.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.fold.direction
    }

    /// How the run ended; none while it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.fold.finished
    }

    /// What to do next, at this time of the wall clock. Asking changes nothing.
    pub fn next(&self, now: Timestamp) -> Next<'_> {
        let premature = defect::is(Defect::PlanNotDurableFirst) && self.acts == 0;
        if !self.fold.recorded && !premature {
            return Next::Record(Event::PlanRecorded {
                title: self.plan.title.clone(),
                digest: self.digest,
                by: self.by.clone(),
            });
        }
        if let Some(outcome) = self.fold.finished {
            return Next::Finish(outcome);
        }
        match self.fold.position(&self.plan) {
            Position::End(outcome) => Next::Record(Event::Finished { outcome }),
            Position::Halted(step, error) => Next::Record(self.after_failure(step, error)),
            Position::At(step) => self.on_step(step, now),
        }
    }

    /// Takes in an event that is durable now; the only thing that moves the run. An error of kind `Corrupt` for an event that
    /// cannot follow; the machine is then as it was.
    pub fn recorded(&mut self, at: Timestamp, event: &Event) -> Result<()> {
        let first = matches!(event, Event::StepBegun { step, .. } if !self.fold.leg(*step).touched);
        self.fold.apply(&self.plan, self.digest, at, event)?;
        if event.is_journalled() && !matches!(event, Event::Found(_) | Event::Counted { .. }) {
            self.untouched = first;
        }
        // That a step begins does not change what was seen of it.
        let stays = matches!(event, Event::StepBegun { .. } | Event::Found(_) | Event::Counted { .. });
        let moves = !stays && event.is_journalled();
        if moves {
            (self.phase, self.acts, self.looks) = (Phase::Look(None), 0, 0);
        }
        Ok(())
    }

    /// Takes in what came of the last [`Next::Perform`].
    pub fn performed(&mut self, now: Timestamp, reply: Reply) {
        let Position::At(step) = self.fold.position(&self.plan) else { return };
        let Some(what) = self.plan.steps.get(step).map(|planned| &planned.step) else { return };
        let refused_whole = what.conflicts_whole()
            && matches!(&reply, Reply::Failed(error) if error.kind == ErrorKind::Conflict);
        if let Some(patience) = what.patience() {
            self.waited(step, patience, now, reply);
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Look(None)) {
            Phase::Look(acted) | Phase::Rest { acted, .. } => self.looked(step, now, acted, reply),
            Phase::LookForward { because } => self.looked_forward(step, now, because, reply),
            Phase::Act => {
                self.acts += 1;
                self.untouched &= refused_whole;
                self.phase = self.acted(step, reply);
            }
            // Nothing was asked for.
            settled @ Phase::Say(_) => self.phase = settled,
        }
    }

    fn after_failure(&self, step: usize, error: &ErrorRecord) -> Event {
        let undo = self.plan.on_failure == OnFailure::Undo && self.fold.direction == Direction::Forward;
        // What is unknown needs a person: both ways are open until someone looks.
        if undo && error.kind != ErrorKind::OutcomeUnknown {
            let why = format!("{} was not possible: {}", self.title(step), error.message);
            return Event::UndoBegun { why };
        }
        Event::Finished { outcome: Outcome::Stopped }
    }

    fn on_step(&self, step: usize, now: Timestamp) -> Next<'_> {
        let Some(planned) = self.plan.steps.get(step) else { return Next::Finish(Outcome::Stopped) };
        let leg = self.fold.leg(step);
        if let Phase::Say(event) = &self.phase {
            return Next::Record(event.clone());
        }
        if let Some(patience) = planned.step.patience()
            && let Some(next) = self.on_waiting_step(step, patience, &leg, now)
        {
            return next;
        }
        let silent = defect::is(Defect::BeginsInSilence) || !self.fold.recorded;
        let (deed, forward) = match &self.phase {
            Phase::Rest { since, span, .. } if now >= *since && now.since(*since) < *span => {
                return Next::Wait(span.saturating_sub(now.since(*since)));
            }
            Phase::Act if leg.begun.is_none() && !silent => {
                return Next::Record(Event::StepBegun { step, direction: self.fold.direction });
            }
            Phase::Act => (Deed::Act, false),
            Phase::LookForward { .. } => (Deed::Observe, true),
            Phase::Look(_) | Phase::Rest { .. } | Phase::Say(_) => (Deed::Observe, false),
        };
        let what = if forward { Cow::Borrowed(&planned.step) } else { self.what(&planned.step) };
        Next::Perform(Perform { step, direction: self.fold.direction, deed, what })
    }

    /// The step itself, or what takes it back.
    fn what<'a>(&self, step: &'a Step) -> Cow<'a, Step> {
        match (self.fold.direction, step.inverse()) {
            (Direction::Back, Inverse::Step(inverse)) => Cow::Owned(*inverse),
            _ => Cow::Borrowed(step),
        }
    }

    /// A step that only waits: its time counts from when it was recorded to have begun, by the wall clock.
    fn on_waiting_step(
        &self,
        step: usize,
        patience: Duration,
        leg: &Leg,
        now: Timestamp,
    ) -> Option<Next<'_>> {
        let direction = self.fold.direction;
        let Some(begun) = leg.begun.filter(|begun| now + SET_BACK >= *begun) else {
            return Some(Next::Record(Event::StepBegun { step, direction }));
        };
        if !matches!(self.plan.steps.get(step).map(|planned| &planned.step), Some(Step::Pause(_))) {
            return None;
        }
        let passed = now.since(begun);
        Some(if passed >= patience {
            Next::Record(Event::StepDone { step, direction, found: false })
        } else {
            Next::Wait(patience.saturating_sub(passed))
        })
    }

    fn waited(&mut self, step: usize, patience: Duration, now: Timestamp, reply: Reply) {
        let direction = self.fold.direction;
        let seen = match reply {
            Reply::State(StepState::To) => {
                self.phase = Phase::Say(Event::StepDone { step, direction, found: false });
                return;
            }
            Reply::Failed(error) | Reply::Lost(error) if error.kind.retry() == Retry::Never => {
                self.fail(step, error);
                return;
            }
            Reply::State(StepState::Other(seen)) => seen,
            Reply::State(StepState::From | StepState::Partial) | Reply::Done => "not yet".to_owned(),
            Reply::Failed(error) | Reply::Lost(error) => error.message,
        };
        let passed = self.fold.leg(step).begun.map_or(Duration::ZERO, |begun| now.since(begun));
        if passed >= patience {
            let message = format!("it did not come about within {} s; last seen: {seen}", patience.as_secs());
            self.fail(step, record(ErrorKind::Timeout, self.title(step), message, None));
        } else {
            let pace = (patience / 100).clamp(Duration::from_millis(100), Duration::from_secs(1));
            let span = pace.min(patience.saturating_sub(passed));
            self.phase = Phase::Rest { since: now, span, acted: None };
        }
    }

    fn looked(&mut self, step: usize, now: Timestamp, acted: Option<Acted>, reply: Reply) {
        let direction = self.fold.direction;
        let seen = match reply {
            Reply::State(seen) => seen,
            Reply::Failed(error) | Reply::Lost(error) => return self.saw_nothing(step, now, acted, error),
            Reply::Done => {
                let error =
                    record(ErrorKind::Internal, self.title(step), "a look was answered by a deed", None);
                return self.saw_nothing(step, now, acted, error);
            }
        };
        match (seen, acted) {
            // Once it was recorded to begin, it may be our doing: then it is ours to take back.
            (StepState::To, _) => self.done(step, !self.fold.leg(step).touched),
            (StepState::From | StepState::Partial, None) => (self.phase, self.looks) = (Phase::Act, 0),
            (StepState::From | StepState::Partial, Some(acted)) => self.not_there_after(step, now, acted),
            (StepState::Other(because), _) if direction == Direction::Back => {
                self.phase = Phase::LookForward { because };
            }
            (StepState::Other(seen), _) => self.conflict(step, seen),
        }
    }

    /// Going back: what takes the step back does not fit. If the step itself was never done, there is nothing to take back.
    fn looked_forward(&mut self, step: usize, now: Timestamp, because: String, reply: Reply) {
        match reply {
            Reply::State(StepState::From) => self.done(step, true),
            Reply::State(_) => self.conflict(step, because),
            Reply::Failed(error) | Reply::Lost(error) => self.saw_nothing(step, now, None, error),
            Reply::Done => self.conflict(step, because),
        }
    }

    fn acted(&self, step: usize, reply: Reply) -> Phase {
        let acted = match reply {
            Reply::Done => Acted::Done,
            Reply::Lost(error) => {
                if defect::is(Defect::NoReadBackAfterALostReply) {
                    let direction = self.fold.direction;
                    return Phase::Say(Event::StepDone { step, direction, found: false });
                }
                Acted::Lost(error)
            }
            Reply::Failed(error) => Acted::Failed(error),
            Reply::State(_) => Acted::Lost(record(
                ErrorKind::Internal,
                self.title(step),
                "a deed was answered by a look",
                None,
            )),
        };
        Phase::Look(Some(acted))
    }

    /// It was tried, and reading back shows the world as before.
    fn not_there_after(&mut self, step: usize, now: Timestamp, acted: Acted) {
        let again = self.acts < self.tries(step);
        let error = match acted {
            Acted::Failed(error) if !again || error.kind.retry() == Retry::Never => error,
            Acted::Lost(error) if !again => self.unknown(step, &error.message),
            Acted::Done if !again => self.unknown(step, "it was said to be done and cannot be seen"),
            Acted::Failed(_) | Acted::Lost(_) | Acted::Done => return self.rest(now, self.acts, None),
        };
        self.fail(step, error);
    }

    /// The world could not be read.
    fn saw_nothing(&mut self, step: usize, now: Timestamp, acted: Option<Acted>, error: ErrorRecord) {
        self.looks += 1;
        if error.kind.retry() == Retry::Later && self.looks < self.tries(step) {
            return self.rest(now, self.looks, acted);
        }
        let error = match acted {
            // The failure to do it says more than the failure to look.
            Some(Acted::Failed(error)) => error,
            Some(Acted::Done | Acted::Lost(_)) => self.unknown(step, &error.message),
            None if self.fold.leg(step).begun.is_some() => self.unknown(step, &error.message),
            None => error,
        };
        self.fail(step, error);
    }

    fn rest(&mut self, now: Timestamp, times: u32, acted: Option<Acted>) {
        let span = REST.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)));
        self.phase = Phase::Rest { since: now, span, acted };
    }

    fn done(&mut self, step: usize, found: bool) {
        let direction = self.fold.direction;
        self.phase = Phase::Say(Event::StepDone { step, direction, found });
    }

    fn conflict(&mut self, step: usize, seen: String) {
        let hint = "nothing was overwritten; see who changed it, then resume, undo, or make a new plan";
        self.fail(step, record(ErrorKind::Conflict, self.title(step), seen, Some(hint)));
    }

    fn fail(&mut self, step: usize, error: ErrorRecord) {
        // Forward only: what could not be taken back was done before.
        let untouched = self.untouched && self.acts > 0 && self.fold.direction == Direction::Forward;
        self.phase = Phase::Say(Event::StepFailed { step, direction: self.fold.direction, error, untouched });
    }

    fn unknown(&self, step: usize, why: &str) -> ErrorRecord {
        let operation = format!("find out whether this was done: {}", self.title(step));
        let hint = "look at it by hand, then resume to go on or undo to take it back; both look again first";
        record(ErrorKind::OutcomeUnknown, operation, why, Some(hint))
    }

    /// A step that is only wanted is tried once, so that a dead host does not hold up a failover; going back, every step counts.
    fn tries(&self, step: usize) -> u32 {
        let wanted = self.plan.steps.get(step).is_some_and(|planned| planned.need == Need::Wanted);
        if wanted && self.fold.direction == Direction::Forward { 1 } else { TRIES }
    }

    fn title(&self, step: usize) -> String {
        let title = self.plan.steps.get(step).map(|planned| planned.title.clone()).unwrap_or_default();
        match self.fold.direction {
            Direction::Forward => title,
            Direction::Back => format!("take back: {title}"),
        }
    }
}

fn record(
    kind: ErrorKind,
    operation: impl Into<String>,
    message: impl Into<String>,
    hint: Option<&str>,
) -> ErrorRecord {
    let error = Error::new(kind, operation, message);
    match hint {
        Some(hint) => error.hint(hint).to_record(),
        None => error.to_record(),
    }
}
