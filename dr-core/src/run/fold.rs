//! What the recorded events say about a run: the machine's only durable state.

use super::defect::{self, Defect};
use super::event::{Direction, Event, Outcome};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, ErrorRecord, Result};
use crate::plan::{Inverse, Need, Plan};
use crate::time::Timestamp;

/// What is known of a step in one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Leg {
    /// When it was last begun; none before that, and none again after it failed.
    pub(super) begun: Option<Timestamp>,
    /// Whether it was ever begun: from then on its effect may be ours.
    pub(super) touched: bool,
    pub(super) end: Option<End>,
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Done,
    Failed(ErrorRecord),
}

/// Where a run stands.
#[derive(Clone, Debug)]
pub(super) enum Position<'a> {
    /// This step is next, or under way.
    At(usize),
    /// This step failed, and the run cannot go on in its direction without it.
    Halted(usize, &'a ErrorRecord),
    /// Nothing is left to do in this direction.
    End(Outcome),
}

#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) recorded: bool,
    pub(super) direction: Direction,
    pub(super) finished: Option<Outcome>,
    forward: Vec<Leg>,
    back: Vec<Leg>,
}

impl Fold {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            recorded: false,
            direction: Direction::Forward,
            finished: None,
            forward: vec![Leg::default(); steps],
            back: vec![Leg::default(); steps],
        }
    }

    /// The step in the direction of the run; an empty leg for a step that the plan does not have.
    pub(super) fn leg(&self, step: usize) -> Leg {
        let legs = if self.direction == Direction::Forward { &self.forward } else { &self.back };
        legs.get(step).cloned().unwrap_or_default()
    }

    pub(super) fn position(&self, plan: &Plan) -> Position<'_> {
        match self.direction {
            Direction::Forward => self.position_forward(plan),
            Direction::Back => self.position_back(plan),
        }
    }

    fn position_forward(&self, plan: &Plan) -> Position<'_> {
        let mut outcome = Outcome::New;
        for (step, (leg, planned)) in self.forward.iter().zip(&plan.steps).enumerate() {
            match &leg.end {
                Some(End::Done) => {}
                Some(End::Failed(_)) if planned.need == Need::Wanted => outcome = Outcome::NewDegraded,
                Some(End::Failed(error)) => return Position::Halted(step, error),
                None => return Position::At(step),
            }
        }
        Position::End(outcome)
    }

    /// Backwards over every step that was ever begun, the failed and the unfinished one included: their effect may have landed.
    /// A step that was found done was never begun, so what others did is not taken back.
    fn position_back(&self, plan: &Plan) -> Position<'_> {
        let legs = self.forward.iter().zip(&self.back).zip(&plan.steps).enumerate();
        for (step, ((forward, back), planned)) in legs.rev() {
            if !is_taken_back(step, forward) || matches!(planned.step.inverse(), Inverse::Nothing { .. }) {
                continue;
            }
            match &back.end {
                Some(End::Done) => {}
                Some(End::Failed(error)) => return Position::Halted(step, error),
                None => return Position::At(step),
            }
        }
        Position::End(Outcome::Old)
    }

    /// Takes in one event; `Corrupt` for one that cannot follow what was recorded before.
    pub(super) fn apply(&mut self, plan: &Plan, digest: Digest, at: Timestamp, event: &Event) -> Result<()> {
        match event {
            Event::Progress { .. } | Event::Note { .. } => return Ok(()),
            Event::PlanRecorded { digest: recorded, .. } => {
                if self.recorded {
                    return Err(nonsense(event, "the plan was recorded before"));
                }
                if *recorded != digest {
                    return Err(nonsense(event, "it is another plan than the one kept beside"));
                }
                self.recorded = true;
                return Ok(());
            }
            _ if !self.recorded => return Err(nonsense(event, "the plan is not recorded")),
            Event::Found(_) | Event::Counted { .. } => return Ok(()),
            Event::Resumed { direction, .. } => return self.resumed(plan, *direction, event),
            Event::UndoBegun { .. } => return self.undo_begun(event),
            _ => {}
        }
        if self.finished.is_some() {
            return Err(nonsense(event, "the run was finished"));
        }
        match event {
            Event::Finished { outcome } => self.finish(plan, *outcome, event),
            Event::StepBegun { step, direction } => self.step(plan, *step, *direction, event, |leg| {
                *leg = Leg { begun: Some(at), touched: true, end: None };
            }),
            Event::StepDone { step, direction, .. } => self.step(plan, *step, *direction, event, |leg| {
                leg.end = Some(End::Done);
            }),
            Event::StepFailed { step, direction, error, untouched } => {
                self.step(plan, *step, *direction, event, |leg| {
                    leg.begun = None;
                    leg.touched &= !untouched;
                    leg.end = Some(End::Failed(error.clone()));
                })
            }
            _ => Ok(()),
        }
    }

    fn step(
        &mut self,
        plan: &Plan,
        step: usize,
        direction: Direction,
        event: &Event,
        change: impl FnOnce(&mut Leg),
    ) -> Result<()> {
        if direction != self.direction {
            return Err(nonsense(event, "the run goes the other way"));
        }
        if !matches!(self.position(plan), Position::At(at) if at == step) {
            return Err(nonsense(event, "another step is due"));
        }
        let legs = if direction == Direction::Forward { &mut self.forward } else { &mut self.back };
        if let Some(leg) = legs.get_mut(step) {
            change(leg);
        }
        Ok(())
    }

    fn finish(&mut self, plan: &Plan, outcome: Outcome, event: &Event) -> Result<()> {
        let possible = match self.position(plan) {
            _ if outcome == Outcome::Stopped => true,
            Position::End(end) => end == outcome,
            Position::At(_) | Position::Halted(..) => false,
        };
        if !possible {
            return Err(nonsense(event, "the steps before it do not add up to that"));
        }
        self.finished = Some(outcome);
        Ok(())
    }

    /// A failed step is tried afresh, and what waits for something waits its full time again.
    fn resumed(&mut self, plan: &Plan, direction: Direction, event: &Event) -> Result<()> {
        if direction != self.direction {
            return Err(nonsense(event, "the run goes the other way"));
        }
        if !matches!(self.finished, None | Some(Outcome::Stopped)) {
            return Err(nonsense(event, "the run was finished"));
        }
        self.finished = None;
        let (Position::At(step) | Position::Halted(step, _)) = self.position(plan) else { return Ok(()) };
        let pauses =
            matches!(plan.steps.get(step).map(|planned| &planned.step), Some(crate::plan::Step::Pause(_)));
        let legs = if direction == Direction::Forward { &mut self.forward } else { &mut self.back };
        if let Some(leg) = legs.get_mut(step) {
            leg.end = None;
            // A pause lets a span of wall time pass, and it passed while nobody looked, too.
            if !pauses {
                leg.begun = None;
            }
        }
        Ok(())
    }

    fn undo_begun(&mut self, event: &Event) -> Result<()> {
        if self.direction == Direction::Back {
            return Err(nonsense(event, "the run goes back already"));
        }
        self.direction = Direction::Back;
        self.finished = None;
        Ok(())
    }
}

fn is_taken_back(step: usize, forward: &Leg) -> bool {
    let done = matches!(forward.end, Some(End::Done));
    if defect::is(Defect::UndoSkipsAStep) && step == 0 || defect::is(Defect::UndoSkipsTheFailedStep) && !done
    {
        return false;
    }
    forward.touched || defect::is(Defect::TakesBackWhatWasFound) && done
}

fn nonsense(event: &Event, why: &str) -> Error {
    let mut said = serde_json::to_string(event).unwrap_or_default();
    if let Some((cut, _)) = said.char_indices().nth(200) {
        said.truncate(cut);
    }
    Error::new(ErrorKind::Corrupt, "follow the journal of a run", format!("{why}, and yet it says {said}"))
        .hint("the journal was changed by something else than dr: check its chain, and look at the world by dr check")
}
