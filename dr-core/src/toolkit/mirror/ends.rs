//! What a mirror keeps in its hands from one call to the next.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::seen::Early;
use crate::digest::Digest;
use crate::error::Result;
use crate::estate::Location;
use crate::mirror::wire::Pack;
use crate::mirror::{Change, Entries, Options, RelPath, Transfer};
use crate::time::Tick;
use crate::world::{Control, Endpoint, Way, World};

/// So many mirrors that were planned and not applied keep their ends open.
const OPEN_PAIRS: usize = 8;
/// A step that is done so soon after it was planned is done without another look.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Both ends of a mirror, open. They remember what they surveyed, so that they can agree on it afterwards.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) source: Arc<dyn Endpoint>,
    pub(super) target: Arc<dyn Endpoint>,
    /// What both were asked since they were opened.
    pub(super) surveyed: Option<Surveyed>,
    /// So much of what crossed lines is in the figures of former runs.
    pub(super) counted_bytes: u64,
}

/// What both ends remember until they agree.
#[derive(Clone)]
pub(super) struct Surveyed {
    /// Which mirror.
    pub(super) pair: Digest,
    /// What was just planned by it.
    pub(super) fresh: Option<Fresh>,
    /// Paths that the target will not get.
    pub(super) held: Vec<RelPath>,
    /// Paths of the target that are left as they are although they differ; each as it was when both were alike.
    pub(super) untouched: Vec<Change>,
    /// Files that both have, and of which new ones may be copies.
    pub(super) originals: Entries,
}

/// These changes are what both ends differ in, as they were looked at a moment ago.
#[derive(Clone)]
pub(super) struct Fresh {
    changes: Digest,
    at: Tick,
}

impl Fresh {
    pub(super) fn new(changes: &[Change], at: Tick) -> Self {
        let (mut hasher, mut pack) = (blake3::Hasher::new(), Pack::new());
        for change in changes {
            if pack.push(change) {
                pack.take().iter().for_each(|full| _ = hasher.update(full));
            }
        }
        pack.take().iter().for_each(|rest| _ = hasher.update(rest));
        Self { changes: Digest::from_bytes(*hasher.finalize().as_bytes()), at }
    }
}

impl Ends {
    /// Whether these changes were planned by these very ends a moment ago: then there is nothing to be looked at again before
    /// they are made, one by one compared with what is there. True only once.
    pub(super) fn have_just_seen(&mut self, changes: &[Change], now: Tick) -> bool {
        let fresh = self.surveyed.as_mut().and_then(|surveyed| surveyed.fresh.take());
        let fresh = fresh.filter(|fresh| now.since(fresh.at) < FRESH_FOR);
        fresh.is_some_and(|fresh| fresh.changes == Fresh::new(changes, now).changes)
    }

    pub(super) async fn open(
        world: &World,
        source: &Location,
        target: &Location,
        control: &Control,
    ) -> Result<Self> {
        let (source, target) =
            tokio::try_join!(world.endpoints.open(source, control), world.endpoints.open(target, control))?;
        Ok(Self { source: Arc::from(source), target: Arc::from(target), surveyed: None, counted_bytes: 0 })
    }

    /// As [`Self::open`], with what the source could say meanwhile.
    pub(super) async fn open_and_ask(
        world: &World,
        (source, target): (&Location, &Location),
        options: &Options,
        control: &Control,
    ) -> Result<(Self, Option<Early>)> {
        let here = async {
            let end = world.endpoints.open(source, control).await?;
            let early = Early::ask(&*end, (source, target), options, control).await?;
            Ok((end, early))
        };
        let ((source, early), target) = tokio::try_join!(here, world.endpoints.open(target, control))?;
        Ok((
            Self { source: Arc::from(source), target: Arc::from(target), surveyed: None, counted_bytes: 0 },
            early,
        ))
    }

    /// What crossed lines for this mirror since the ends were opened, and was not counted yet; none if both are on this machine.
    pub(super) fn crossed(&self) -> Option<u64> {
        let crossed = [&self.source, &self.target].map(|end| end.crossed());
        crossed.into_iter().flatten().reduce(u64::saturating_add).map(|all| all - self.counted_bytes)
    }

    /// All of that is in the figures.
    pub(super) fn count_crossed(&mut self) -> Option<u64> {
        let crossed = self.crossed();
        self.counted_bytes += crossed.unwrap_or(0);
        crossed
    }

    /// One file at a time, and none in parts.
    pub(super) fn use_sftp(&self) -> bool {
        [&self.source, &self.target].iter().any(|end| matches!(end.way(), Way::Sftp { .. }))
    }
}

/// Ends that were opened to plan a mirror and wait for it to be applied: to connect once more would cost more than the look that
/// is taken. Whoever takes a pair puts it back only if nothing went wrong with it.
#[derive(Clone, Default)]
pub(in crate::toolkit) struct Shelf(Arc<Mutex<Vec<(Location, Location, Ends)>>>);

impl Shelf {
    pub(super) fn take(&self, source: &Location, target: &Location) -> Option<Ends> {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = pairs.iter().position(|(from, to, _)| (from, to) == (source, target))?;
        Some(pairs.remove(at).2)
    }

    pub(super) fn put(&self, source: &Location, target: &Location, ends: Ends) {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.retain(|(from, to, _)| (from, to) != (source, target));
        if pairs.len() >= OPEN_PAIRS {
            pairs.remove(0);
        }
        pairs.push((source.clone(), target.clone(), ends));
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf { .. }")
    }
}

/// What one run keeps from one of its deeds to the next look: all of it may be lost, and then more is looked at.
pub(in crate::toolkit) struct Hands {
    pub(super) shelf: Shelf,
    /// Of the last deed the target itself said of every path what it became; of what it could not do, there is a finding.
    told: AtomicBool,
    /// Which changes the last look found done, by their numbers.
    done: Mutex<HashSet<usize>>,
}

impl Hands {
    pub(in crate::toolkit) fn new(shelf: &Shelf) -> Self {
        Self { shelf: shelf.clone(), told: AtomicBool::new(false), done: Mutex::default() }
    }

    /// For a run beside this one.
    pub(in crate::toolkit) fn another(&self) -> Self {
        Self::new(&self.shelf)
    }

    pub(super) fn tell(&self, is_told: bool) {
        self.told.store(is_told, Ordering::Relaxed);
    }

    /// True only once.
    pub(super) fn is_told(&self) -> bool {
        self.told.swap(false, Ordering::Relaxed)
    }

    /// What need not be done any more when the step is done.
    pub(super) fn found_done(&self, numbers: HashSet<usize>) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }

    pub(super) fn done(&self) -> HashSet<usize> {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ends of a step: those that planned it, or opened now.
    pub(super) async fn ends(&self, world: &World, transfer: &Transfer, control: &Control) -> Result<Ends> {
        match self.shelf.take(&transfer.source, &transfer.target) {
            Some(ends) => Ok(ends),
            None => {
                let ends = Ends::open(world, &transfer.source, &transfer.target, control).await?;
                for end in [&ends.source, &ends.target] {
                    end.heed(&transfer.options).await?;
                }
                Ok(ends)
            }
        }
    }
}
