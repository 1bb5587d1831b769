//! Everything there is to do, sent ahead: nothing waits for the answer to what was sent before, and the target keeps the order.
//!
//! A stage begins when all before it has landed. Where something does not land, nothing behind it is done: it comes back from
//! here as it was, that stage is made answer by answer ([`Flow::complete`]), and the rest is sent ahead again.

use futures_util::{FutureExt, StreamExt, stream};

use super::bases::bases;
use super::flow::{CHANGES, Flow, anew};
use crate::error::{ErrorKind, Result};
use crate::mirror::{Change, Landed, Lot, LotFile, Lots, Order, Part, lots};
use crate::world::Ordered;

/// So many calls are on their way at most: less than a line carries, and more than a round trip takes.
const CALLS: usize = 32;

/// What is done at one place in the order.
pub(super) struct Stage {
    pub(super) aim: Aim,
    /// What is to be done.
    pub(super) changes: Vec<Change>,
    /// Files that did not land at the first try.
    pub(super) again: Vec<LotFile>,
    /// Something of it did not land.
    is_spoiled: bool,
}

/// What the changes of a stage are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Directories that go are opened, so that what is in them can be removed.
    Open,
    /// Directories are made, and opened.
    Prepare,
    /// Paths become what they are to be.
    Make,
}

impl Stage {
    pub(super) fn new(aim: Aim, changes: Vec<Change>) -> Self {
        Self { aim, changes, again: vec![], is_spoiled: false }
    }

    /// Whether something is still to be done, or to be judged.
    pub(super) fn is_open(&self) -> bool {
        self.is_spoiled || !self.changes.is_empty() || !self.again.is_empty()
    }
}

/// One call.
enum Job {
    Begin,
    /// Each change with the number of its stage.
    Change(Aim, Vec<usize>, Vec<Change>),
    Lot(usize, Lot),
    Switch,
    Settle,
}

/// Calls, each with its place.
struct Jobs {
    landing: u64,
    all: Vec<(Order, Job)>,
    aim: Option<Aim>,
    stages: Vec<usize>,
    changes: Vec<Change>,
}

impl Jobs {
    fn new(landing: u64) -> Self {
        Self { landing, all: vec![], aim: None, stages: vec![], changes: vec![] }
    }

    /// The place behind all that is there.
    fn next(&self) -> Order {
        Order::new(self.landing, self.all.len() as u64)
    }

    fn push(&mut self, job: Job) {
        self.flush();
        self.all.push((self.next(), job));
    }

    /// The files of a stage. What the target was to make from files of its own may turn out to be something else: the other lots
    /// wait for it, for they may replace those files, and go ahead.
    fn push_all(&mut self, stage: usize, Lots { first, then, landings, last }: Lots) {
        self.flush();
        let begin = self.next().after;
        let push = |all: &mut Vec<_>, order, lots: Vec<Lot>| {
            all.extend(lots.into_iter().map(|lot| (order, Job::Lot(stage, lot))));
        };
        push(&mut self.all, Order::new(self.landing, begin), first);
        let behind = Order { needs: begin, ..self.next() };
        push(&mut self.all, behind, then);
        let behind = self.next();
        push(&mut self.all, behind, landings.into_iter().map(|file| Lot { files: vec![file] }).collect());
        let behind = Order { needs: begin, ..self.next() };
        push(&mut self.all, behind, last);
    }

    /// Changes of many stages go together.
    fn change(&mut self, stage: usize, aim: Aim, change: Change) {
        if self.aim != Some(aim) || self.changes.len() >= CHANGES {
            self.flush();
        }
        self.aim = Some(aim);
        self.stages.push(stage);
        self.changes.push(change);
    }

    fn flush(&mut self) {
        let (stages, changes) = (std::mem::take(&mut self.stages), std::mem::take(&mut self.changes));
        if let (Some(aim), false) = (self.aim, changes.is_empty()) {
            self.all.push((self.next(), Job::Change(aim, stages, changes)));
        }
    }
}

/// What came back of a stage: it was not done, or is to be tried again.
enum Back {
    Change(Change),
    Again(LotFile),
}

/// What one call came to: the stage in which something did not land, and what came back of which stage.
#[derive(Default)]
struct Outcome {
    spoiled: Option<usize>,
    back: Vec<(usize, Back)>,
}

impl Flow<'_> {
    /// Sends all stages, and gives them back with what is left of each. With an end that keeps no order, or content that does not
    /// pass through here, all of it.
    pub(super) async fn ahead(&self, mut stages: Vec<Stage>) -> Result<Vec<Stage>> {
        let order = if self.is_direct { None } else { self.ends.target.new_order() };
        let Some(landing) = order else { return Ok(stages) };
        let jobs = self.jobs(landing, &mut stages).await?;
        let mut calls =
            stream::iter(jobs).map(|(order, job)| self.call(order, job).boxed()).buffer_unordered(CALLS);
        while let Some(outcome) = calls.next().await {
            let Outcome { spoiled, back } = outcome?;
            if let Some(stage) = spoiled {
                stages[stage].is_spoiled = true;
            }
            for (stage, back) in back {
                match back {
                    Back::Change(change) => stages[stage].changes.push(change),
                    Back::Again(file) => stages[stage].again.push(file),
                }
            }
        }
        Ok(stages)
    }

    /// Takes the changes out of the stages.
    async fn jobs(&self, landing: u64, stages: &mut [Stage]) -> Result<Vec<(Order, Job)>> {
        for stage in stages.iter_mut() {
            stage.changes = self.unblocked(std::mem::take(&mut stage.changes).into_iter());
        }
        let files: Vec<&Change> =
            stages.iter().flat_map(|stage| &stage.changes).filter(|change| change.moves_content()).collect();
        let mut bases =
            if files.is_empty() { Default::default() } else { bases(self.ends, &files, self.all).await? };
        let mut jobs = Jobs::new(landing);
        if self.begins() {
            jobs.push(Job::Begin);
        }
        let mut is_guessed = false;
        for (number, stage) in stages.iter_mut().enumerate() {
            if is_guessed && stage.changes.iter().any(Change::moves_content) {
                // Should a guess be wrong, all that was sent for this stage would travel twice: it waits until that is known.
                jobs.flush();
                return Ok(jobs.all);
            }
            let mut files = std::mem::take(&mut stage.changes);
            let others: Vec<Change> = files.extract_if(.., |change| !change.moves_content()).collect();
            let files = files.into_iter().map(|change| {
                let basis = bases.remove(&change.path).unwrap_or_default();
                LotFile { change, basis, part: Part::Whole }
            });
            let lots = lots(files, &self.limits());
            is_guessed |= !lots.first.is_empty() || !lots.last.is_empty();
            jobs.push_all(number, lots);
            // After the files: what is set at one name of a file shows at its other names.
            others.into_iter().for_each(|change| jobs.change(number, stage.aim, change));
        }
        jobs.flush();
        if self.landing.generations > 0 {
            jobs.push(Job::Switch);
        }
        jobs.push(Job::Settle);
        Ok(jobs.all)
    }

    async fn call(&self, order: Order, job: Job) -> Result<Outcome> {
        match job {
            Job::Begin => {
                let begun = self.ends.target.in_order(order, Ordered::Begin(self.landing)).await;
                self.ledger().could_not_begin = begun.is_err();
                begun.map(|_| Outcome::default())
            }
            Job::Change(aim, stages, changes) => self.change_ahead(order, aim, stages, changes).await,
            Job::Lot(stage, lot) => self.move_ahead(order, stage, lot).await,
            Job::Switch | Job::Settle => {
                let is_switch = matches!(job, Job::Switch);
                self.fence.hold().await?;
                let what = if is_switch { Ordered::Switch } else { Ordered::Settle };
                match self.ends.target.in_order(order, what).await {
                    Err(error) if error.kind() == ErrorKind::Cancelled => {}
                    done => {
                        done?;
                        let mut ledger = self.ledger();
                        *(if is_switch { &mut ledger.is_switched } else { &mut ledger.is_settled }) = true;
                    }
                }
                Ok(Outcome::default())
            }
        }
    }

    async fn change_ahead(
        &self,
        order: Order,
        aim: Aim,
        stages: Vec<usize>,
        changes: Vec<Change>,
    ) -> Result<Outcome> {
        self.fence.hold().await?;
        let landed = match self.ends.target.in_order(order, Ordered::Change(&changes)).await {
            Err(error) if error.kind() == ErrorKind::Cancelled => vec![],
            landed => landed?,
        };
        if aim == Aim::Make && !landed.is_empty() {
            if changes[..landed.len()].iter().any(|change| change.to.is_none()) {
                self.meter.phase("delete");
            }
            self.meter.paths(landed.len());
        }
        let mut outcome = Outcome::default();
        let mut landed = landed.into_iter();
        let mut ledger = self.ledger();
        for (stage, change) in stages.into_iter().zip(changes) {
            let landed = landed.next();
            if landed.as_ref().is_some_and(|landed| !landed.is_landed()) {
                outcome.spoiled.get_or_insert(stage);
            }
            match landed {
                // What was to be opened may have gone already.
                None => outcome.back.push((stage, Back::Change(change))),
                Some(Landed::Strange) if aim == Aim::Open => {
                    outcome.back.push((stage, Back::Change(change)));
                }
                Some(Landed::Done { .. }) if aim != Aim::Make => {}
                Some(landed) => drop(ledger.enter(&change, landed, false)),
            }
        }
        Ok(outcome)
    }

    async fn move_ahead(&self, order: Order, stage: usize, lot: Lot) -> Result<Outcome> {
        let _turn = self.lots.acquire().await;
        match self.move_one(&lot, true, Some(order)).await {
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                let back = lot.files.into_iter().filter_map(|file| self.not_moved(file));
                Ok(Outcome { spoiled: None, back: back.map(|back| (stage, back)).collect() })
            }
            Err(error) => Err(error),
            Ok(moved) => Ok(Outcome {
                spoiled: moved.is_spoiled.then_some(stage),
                back: moved.again.into_iter().map(|file| (stage, Back::Again(file))).collect(),
            }),
        }
    }

    /// What becomes of a file that was not called for. Of one that comes in ranges, the end of them tells.
    fn not_moved(&self, file: LotFile) -> Option<Back> {
        if matches!(file.part, Part::Range { .. }) {
            return None;
        }
        let mut ledger = self.ledger();
        match ledger.spoiled.remove(&file.change.path) {
            None => Some(Back::Change(file.change)),
            Some(landed) => ledger.enter(&file.change, landed, true).then(|| Back::Again(anew(file))),
        }
    }
}
