//! Lots and changes on their way from one end to the other, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::ahead::{Aim, Stage};
use super::bases::bases;
use super::ends::Ends;
use super::fence::Fence;
use super::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{
    Basis, Carries, Change, Entry, Kept, Kind, Landed, Landing, Lot, LotFile, LotLimits, Lots, Order, Part,
    Passed, Progress, RelPath, Transfer, lots, stages,
};
use crate::world::endpoints::Onlooker;

/// Huge files go in ranges of this size, several at once.
const RANGE_BYTES: u64 = 64 << 20;
/// So many lots are under way at once, two for each channel of a far line: while the answer to one travels, the other fills it. With
/// all its pieces on the way, each holds a few batches.
const LOTS: usize = 16;
/// Little is cut into as many lots, so that all channels have a share of it; but not into smaller ones.
const LOT_BYTES_MIN: u64 = 512 << 10;
/// An SFTP server takes one file at a time, many of them at once within each lot: fewer lots, so that it has not too many open.
const LOTS_BY_SFTP: usize = 2;
/// So many changes without content go in one call.
pub(super) const CHANGES: usize = 1024;
/// So many paths are named when the target is not as it should be.
const NAMED_PATHS: usize = 5;

/// A mirror that is under way.
pub(super) struct Flow<'a> {
    pub(super) ends: &'a Ends,
    pub(super) all: &'a [Change],
    pub(super) carries: Carries,
    pub(super) fence: &'a Fence,
    pub(super) landing: &'a Landing,
    /// Content does not pass through here.
    pub(super) is_direct: bool,
    pub(super) meter: Meter<'a>,
    pub(super) ledger: Mutex<Ledger>,
    /// Turns of lots: those that come first go first.
    pub(super) lots: Semaphore,
    /// All content there is to move.
    bytes: u64,
}

/// What became of every path so far.
#[derive(Default)]
pub(super) struct Ledger {
    /// Not done, each with the reason.
    pub(super) left: Vec<(Change, Left)>,
    /// Those of them that others cannot be done without.
    blocked: BTreeSet<RelPath>,
    /// Done: as the target says it is now.
    pub(super) landed: Vec<Change>,
    /// Files that were newer than planned when they were read: as they were read.
    pub(super) newer: Vec<(RelPath, Entry)>,
    /// The target was told what is to land, or is being told.
    has_begun: bool,
    /// It could not: there is nothing to be settled.
    pub(super) could_not_begin: bool,
    /// The new state is the live one.
    pub(super) is_switched: bool,
    /// All is durable.
    pub(super) is_settled: bool,
    /// Huge files of which a range did not arrive: what became of it.
    pub(super) spoiled: BTreeMap<RelPath, Landed>,
    /// Neither as before nor as planned.
    strange: Vec<Change>,
    /// Bytes that left the source, and that were written.
    pub(super) sent_bytes: u64,
    pub(super) written_bytes: u64,
}

/// What became of a lot.
pub(super) struct Moved {
    /// Files that are worth another try.
    pub(super) again: Vec<LotFile>,
    /// Not all of it landed.
    pub(super) is_spoiled: bool,
}

/// Why a path is not as planned.
#[derive(Debug)]
pub(super) enum Left {
    /// The source did not supply it.
    Kept(Kept),
    /// The target could not.
    Failed(String),
    /// What it is in, what is in it, or what it is another name of, was left.
    Blocked,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        ends: &'a Ends,
        transfer: &'a Transfer,
        landing: &'a Landing,
        fence: &'a Fence,
        meter: Meter<'a>,
        is_direct: bool,
    ) -> Self {
        let carries = ends.source.carries().onto(ends.target.carries());
        let (ledger, lots) = (Mutex::default(), Semaphore::new(lots_at_once(ends)));
        let (all, bytes) = (&transfer.changes, transfer.summary.bytes);
        Self { ends, all, carries, fence, landing, is_direct, meter, ledger, lots, bytes }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the target what is to land, and awaits its answer.
    pub(super) async fn begin(&self) -> Result<()> {
        if !self.begins() {
            return Ok(());
        }
        let begun = self.ends.target.begin(self.landing).await;
        self.ledger().could_not_begin = begun.is_err();
        begun
    }

    /// Whether the target is yet to be told: true once.
    pub(super) fn begins(&self) -> bool {
        !std::mem::replace(&mut self.ledger().has_begun, true)
    }

    /// Makes what is left of a stage, answer by answer.
    pub(super) async fn complete(&self, stage: Stage) -> Result<()> {
        let Stage { aim, changes, again, .. } = stage;
        match aim {
            Aim::Open => {
                for change in changes {
                    let is_there = self.ends.target.look(std::slice::from_ref(&change.path)).await?;
                    if is_there.iter().flatten().any(Entry::is_directory) {
                        self.prepare(std::iter::once(change)).await?;
                    }
                }
            }
            Aim::Prepare => {
                let again = self.judge_strange().await?;
                self.change(again, false).await?;
                for part in stages(&changes) {
                    self.prepare(part.iter().cloned()).await?;
                }
            }
            Aim::Make => {
                if changes.first().is_some_and(|change| change.to.is_none()) {
                    self.meter.phase("delete");
                }
                self.move_all(again, false).await?;
                self.stage(changes.into_iter()).await?;
            }
        }
        Ok(())
    }

    /// Makes all changes of one stage; those that move content by lots.
    async fn stage(&self, stage: impl Iterator<Item = Change>) -> Result<()> {
        self.make(self.unblocked(stage)).await?;
        let again = self.judge_strange().await?;
        if again.is_empty() {
            return Ok(());
        }
        self.make(again).await?;
        match self.judge_strange().await? {
            still if still.is_empty() => Ok(()),
            still => Err(self.conflict(&still.iter().map(|change| &change.path).collect::<Vec<_>>())),
        }
    }

    async fn make(&self, changes: Vec<Change>) -> Result<()> {
        let (files, others): (Vec<Change>, Vec<Change>) =
            changes.into_iter().partition(Change::moves_content);
        if !files.is_empty() {
            let mut bases = bases(self.ends, &files.iter().collect::<Vec<_>>(), self.all).await?;
            let files = files.into_iter().map(|change| {
                let basis = bases.remove(&change.path).unwrap_or_default();
                LotFile { change, basis, part: Part::Whole }
            });
            let again = self.move_all(files.collect(), true).await?;
            self.move_all(again, false).await?;
        }
        // After the files: what is set at one name of a file shows at its other names.
        self.change(others, true).await
    }

    /// Makes changes that others need and that are not final: only what cannot be done is noted.
    async fn prepare(&self, changes: impl Iterator<Item = Change>) -> Result<()> {
        self.change(self.unblocked(changes), false).await?;
        let again = self.judge_strange().await?;
        self.change(again, false).await
    }

    /// Makes changes that move no content and do not depend on each other.
    async fn change(&self, changes: Vec<Change>, is_final: bool) -> Result<()> {
        let batches: Vec<&[Change]> = changes.chunks(CHANGES).collect();
        let made = stream::iter(batches).map(|batch| self.change_batch(batch, is_final).boxed());
        made.buffer_unordered(LOTS).try_collect().await
    }

    async fn change_batch(&self, batch: &[Change], is_final: bool) -> Result<()> {
        self.fence.hold().await?;
        let landed = told(batch.len(), self.ends.target.change_all(batch).await?)?;
        let mut ledger = self.ledger();
        for (change, landed) in batch.iter().zip(landed) {
            if is_final || !matches!(landed, Landed::Done { .. }) {
                ledger.enter(change, landed, false);
            }
        }
        drop(ledger);
        if is_final {
            self.meter.paths(batch.len());
        }
        Ok(())
    }

    /// Moves files lot by lot; gives those that are worth another try.
    async fn move_all(&self, files: Vec<LotFile>, is_first: bool) -> Result<Vec<LotFile>> {
        let Lots { first, then, landings, last } = lots(files, &self.limits());
        let mut again = self.move_lots(first, is_first).await?;
        again.extend(self.move_lots(then, is_first).await?);
        let (spoiled, whole): (Vec<LotFile>, Vec<LotFile>) =
            landings.into_iter().partition(|file| self.ledger().spoiled.contains_key(&file.change.path));
        let landings = whole.into_iter().map(|file| Lot { files: vec![file] }).collect();
        again.extend(self.move_lots(landings, is_first).await?);
        again.extend(self.move_lots(last, is_first).await?);
        let mut ledger = self.ledger();
        for file in spoiled {
            let Some(landed) = ledger.spoiled.remove(&file.change.path) else { continue };
            if ledger.enter(&file.change, landed, is_first) {
                again.push(anew(file));
            }
        }
        Ok(again)
    }

    pub(super) fn limits(&self) -> LotLimits {
        let limits = LotLimits::default();
        if self.ends.use_sftp() {
            return limits;
        }
        let bytes = (self.bytes / LOTS as u64).clamp(LOT_BYTES_MIN, limits.bytes);
        LotLimits { range_bytes: Some(RANGE_BYTES), bytes, ..limits }
    }

    async fn move_lots(&self, lots: Vec<Lot>, is_first: bool) -> Result<Vec<LotFile>> {
        let moved = lots.into_iter().map(|lot| async move { self.move_one(&lot, is_first, None).await });
        let moved = stream::iter(moved).map(FutureExt::boxed).buffer_unordered(lots_at_once(self.ends));
        let moved: Vec<Moved> = moved.try_collect().await?;
        Ok(moved.into_iter().flat_map(|moved| moved.again).collect())
    }

    /// One lot: what the source supplies lands, piece by piece.
    pub(super) async fn move_one(&self, lot: &Lot, is_first: bool, order: Option<Order>) -> Result<Moved> {
        self.fence.hold().await?;
        let landed = self.ends.source.deliver(&*self.ends.target, lot, self.carries, self, order).await?;
        let landed = told(lot.files.len(), landed)?;
        let mut again = vec![];
        let is_spoiled = !landed.iter().all(Landed::is_landed);
        let mut ledger = self.ledger();
        for (file, landed) in lot.files.iter().zip(landed) {
            if matches!(file.part, Part::Range { .. }) {
                if landed != Landed::Staged {
                    ledger.spoiled.insert(file.change.path.clone(), landed);
                }
            } else if ledger.enter(&file.change, landed, is_first) {
                again.push(anew(file.clone()));
            } else {
                self.meter.paths(1);
            }
        }
        Ok(Moved { again, is_spoiled })
    }

    fn read(&self, newer: Vec<(RelPath, Entry)>, sent_bytes: u64) {
        let mut ledger = self.ledger();
        ledger.newer.extend(newer);
        ledger.sent_bytes = ledger.sent_bytes.saturating_add(sent_bytes);
    }

    /// Leaves out what cannot be done because of what was left before.
    pub(super) fn unblocked(&self, stage: impl Iterator<Item = Change>) -> Vec<Change> {
        let mut ledger = self.ledger();
        if ledger.blocked.is_empty() {
            return stage.collect();
        }
        let (blocked, free): (Vec<Change>, Vec<Change>) = stage.partition(|change| ledger.blocks(change));
        ledger.left.extend(blocked.into_iter().map(|change| (change, Left::Blocked)));
        free
    }

    /// Another path of the mirror that differs from this one only in case.
    fn twin(&self, path: &RelPath) -> Option<&RelPath> {
        let mut paths = self.all.iter().filter(|change| change.to.is_some()).map(|change| &change.path);
        paths.find(|other| *other != path && other.as_bytes().eq_ignore_ascii_case(path.as_bytes()))
    }

    /// Paths that are neither as before nor as planned: fine if they are like the source by now. What became different through
    /// another name of the same file is given back, to be made from what is there. Anything else is the end of the run.
    async fn judge_strange(&self) -> Result<Vec<Change>> {
        let changes = std::mem::take(&mut self.ledger().strange);
        if changes.is_empty() {
            return Ok(vec![]);
        }
        let paths: Vec<RelPath> = changes.iter().map(|change| change.path.clone()).collect();
        let (source, target) =
            tokio::try_join!(self.ends.source.look(&paths), self.ends.target.look(&paths))?;
        let (mut again, mut strange) = (vec![], vec![]);
        for (change, (source, there)) in changes.into_iter().zip(source.into_iter().zip(target)) {
            let to = source.map(|entry| entry.as_carried(self.carries));
            let now = Change { path: change.path.clone(), from: None, to };
            if now.progress(there.as_ref()) == Progress::Done {
                continue;
            }
            match there.filter(|there| self.is_by_us(there)) {
                Some(there) => again.push(Change { from: Some(seen_as(change.from, there)), ..change }),
                None => strange.push(change.path),
            }
        }
        if strange.is_empty() { Ok(again) } else { Err(self.conflict(&strange.iter().collect::<Vec<_>>())) }
    }

    /// Whether this looks like something that landed a moment ago: one file under several names has the same metadata under each.
    fn is_by_us(&self, there: &Entry) -> bool {
        let look = |entry: &Entry| (entry.mode, entry.mtime_s, entry.mtime_ns, entry.owner);
        let is_it = |change: &Change| {
            change.to.as_ref().is_some_and(|to| !to.is_directory() && look(to) == look(there))
        };
        !there.is_directory() && self.ledger().landed.iter().any(is_it)
    }

    fn conflict(&self, strange: &[&RelPath]) -> Error {
        if let Some((one, other)) = strange.iter().find_map(|path| Some((*path, self.twin(path)?))) {
            let message =
                format!("it does not tell upper from lower case, and the source has {one} and {other}");
            return Error::new(ErrorKind::Unsupported, "change the target", message)
                .hint("rename one of them on the source, exclude one, or mirror to another file system");
        }
        let message = format!("somebody else changed it meanwhile: {}", named(strange));
        Error::new(ErrorKind::Conflict, "change the target", message)
            .hint("look at what writes into the target, then plan the mirror again")
    }
}

/// Nothing lands that the fence does not allow, and what was read is noted.
#[async_trait]
impl Onlooker for Flow<'_> {
    async fn see(&self, passed: Passed) -> Result<()> {
        let Passed { sent_bytes, copied_bytes, lands, newer } = passed;
        self.read(newer, sent_bytes);
        self.meter.bytes(sent_bytes.saturating_add(copied_bytes));
        if lands { self.fence.hold().await } else { Ok(()) }
    }
}

impl Ledger {
    /// Notes what became of a path; true if it is worth another try.
    pub(super) fn enter(&mut self, change: &Change, landed: Landed, is_first: bool) -> bool {
        let why = match landed {
            Landed::Done { bytes, entry } => {
                self.written_bytes += bytes;
                self.landed.push(Change { path: change.path.clone(), from: change.from.clone(), to: entry });
                return false;
            }
            Landed::Staged => return false,
            Landed::Strange => {
                self.strange.push(change.clone());
                return false;
            }
            Landed::Unlike | Landed::Kept(Kept::Restless) if is_first => return true,
            Landed::Unlike => Left::Failed("what it was made from changed twice".to_owned()),
            Landed::Kept(why) => Left::Kept(why),
            Landed::Failed(why) => Left::Failed(why),
        };
        self.left.push((change.clone(), why));
        self.blocked.insert(change.path.clone());
        false
    }

    /// What is below a path that was left, a directory that would have to go although something in it stays, and another name of a
    /// file that was left: what is set at one name shows at all, and the old content would look like the new one.
    fn blocks(&self, change: &Change) -> bool {
        let goes = change.from.as_ref().is_some_and(Entry::is_directory)
            && !change.to.as_ref().is_some_and(Entry::is_directory);
        let above = std::iter::successors(change.path.parent(), RelPath::parent);
        let first = change.to.as_ref().and_then(|to| match &to.kind {
            Kind::HardLink { first } => Some(first),
            _ => None,
        });
        above.into_iter().any(|above| self.blocked.contains(&above))
            || first.is_some_and(|first| self.blocked.contains(first))
            || goes && self.blocked.iter().any(|left| left.is_below(&change.path))
    }
}

/// As many answers as there were questions.
pub(super) fn told(asked: usize, landed: Vec<Landed>) -> Result<Vec<Landed>> {
    if landed.len() == asked {
        return Ok(landed);
    }
    let why = format!("it was told of {asked} paths and answers for {}", landed.len());
    Err(Error::new(ErrorKind::Protocol, "change the target", why))
}

/// What is there, seen alone; where it was another name of something, it is one still.
fn seen_as(before: Option<Entry>, there: Entry) -> Entry {
    match before.map(|before| before.kind) {
        Some(kind @ Kind::HardLink { .. }) => Entry { kind, ..there },
        _ => there,
    }
}

fn lots_at_once(ends: &Ends) -> usize {
    if ends.use_sftp() { LOTS_BY_SFTP } else { LOTS }
}

/// All of it once more, from nothing.
pub(super) fn anew(file: LotFile) -> LotFile {
    LotFile { basis: Basis::Nothing, part: Part::Whole, ..file }
}

/// The first paths, and how many more there are.
pub(super) fn named(paths: &[&RelPath]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED_PATHS).map(ToString::to_string).collect();
    let more = paths.len().saturating_sub(NAMED_PATHS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
