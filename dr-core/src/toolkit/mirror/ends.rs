//! What a mirror keeps in its hands from one call to the next.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::error::Result;
use crate::estate::Location;
use crate::mirror::{Change, RelPath, Transfer};
use crate::world::{Control, Endpoint, Way, World};

/// So many mirrors that were planned and not applied keep their ends open.
const OPEN_PAIRS: usize = 8;

/// Both ends of a mirror, open. They remember what they surveyed, so that they can agree on it afterwards.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) source: Arc<dyn Endpoint>,
    pub(super) target: Arc<dyn Endpoint>,
    /// What both were asked since they were opened.
    pub(super) surveyed: Option<Surveyed>,
}

/// What both ends remember until they agree.
#[derive(Clone)]
pub(super) struct Surveyed {
    /// Which mirror.
    pub(super) pair: Digest,
    /// Paths that the target will not get.
    pub(super) held: Vec<RelPath>,
    /// Paths of the target that are left as they are although they differ; each as it was when both were alike.
    pub(super) untouched: Vec<Change>,
}

impl Ends {
    pub(super) async fn open(
        world: &World,
        source: &Location,
        target: &Location,
        control: &Control,
    ) -> Result<Self> {
        let (source, target) =
            tokio::try_join!(world.endpoints.open(source, control), world.endpoints.open(target, control))?;
        Ok(Self { source: Arc::from(source), target: Arc::from(target), surveyed: None })
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
    /// What the last deed said; none before it, and once it was looked at.
    said: Mutex<Option<Said>>,
    /// Which changes the last look found done, by their numbers.
    done: Mutex<HashSet<usize>>,
}

/// What the target itself said of every path that was to be changed.
pub(super) struct Said {
    /// Paths that could not be done and were told of, each in a finding.
    pub(super) left: BTreeSet<RelPath>,
}

impl Hands {
    pub(in crate::toolkit) fn new(shelf: &Shelf) -> Self {
        Self { shelf: shelf.clone(), said: Mutex::new(None), done: Mutex::default() }
    }

    pub(super) fn say(&self, said: Option<Said>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    pub(super) fn said(&self) -> Option<Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).take()
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
            None => Ends::open(world, &transfer.source, &transfer.target, control).await,
        }
    }
}
