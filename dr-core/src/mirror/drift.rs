//! What has changed in a tree since it was written down, found while both go by in the order of the tree.

use std::collections::HashMap;

use super::diff::{same_content, same_metadata};
use super::entries::{Entries, Row, is_below};
use super::entry::{Entry, Kind, RelPath};
use super::reuse::{is_worth_copying, possible_originals};
use super::snapshot::{Snapshot, Stamp};
use super::survey::{Counts, Delta};
use crate::digest::Digest;

/// Finds what changed. Its memory grows with what changed, the depth of the tree and the files that have several names.
pub(crate) struct Drift {
    was: Snapshot,
    now: Snapshot,
    counts: Counts,
    /// The directories that lead to where we are.
    above: Vec<Passed>,
    /// The first names of files that have several.
    firsts: HashMap<Vec<u8>, Passed>,
    /// Large files that did not change: what is new may be a copy of one.
    large: Entries,
}

/// A path that went by, and whether it is listed.
struct Passed {
    path: Vec<u8>,
    was: Option<Entry>,
    now: Option<Entry>,
    is_listed: bool,
}

/// What is known of one path on one side.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) is_linked: bool,
}

impl Drift {
    pub(crate) fn new() -> Self {
        Self {
            was: Snapshot::default(),
            now: Snapshot::default(),
            counts: Counts::default(),
            above: vec![],
            firsts: HashMap::new(),
            large: Entries::default(),
        }
    }

    /// The next path, with what was there and what is.
    pub(crate) fn pass(&mut self, path: &[u8], was: Option<Known<'_>>, now: Option<Known<'_>>) {
        while self.above.last().is_some_and(|last| !is_below(path, &last.path)) {
            self.above.pop();
        }
        self.count(now);
        let mut passed = Passed {
            path: vec![],
            was: was.map(|was| was.entry.clone()),
            now: now.map(|now| now.entry.clone()),
            is_listed: !is_same(was, now) || self.follows_a_first(was, now),
        };
        let is_directory = [was, now].into_iter().flatten().any(|known| known.entry.is_directory());
        let is_first =
            [was, now].into_iter().flatten().any(|known| known.is_linked && first_of(known).is_none());
        if let Some(now) = now.filter(|now| !passed.is_listed && is_worth_copying(now.entry.size_bytes())) {
            self.large.insert_at(path, now.entry.clone());
        }
        if !(passed.is_listed || is_directory || is_first) {
            return;
        }
        passed.path = path.to_vec();
        if passed.is_listed {
            self.list(&passed);
        }
        if is_directory {
            self.above.push(passed);
        } else if is_first {
            self.firsts.insert(path.to_vec(), passed);
        }
    }

    /// What could not be read is told at every survey.
    pub(crate) fn unreadable(&mut self, path: &[u8], why: String) {
        self.now.unreadable.insert(RelPath::known(path), why);
    }

    /// So is what the filter leaves out.
    pub(crate) fn excluded(&mut self, path: &[u8]) {
        self.now.excluded.insert(RelPath::known(path));
    }

    pub(crate) fn finish(self, agreed: Digest) -> Delta {
        let sizes = self.now.entries.rows().filter(Row::is_file).map(|row| row.size_bytes());
        let originals = possible_originals(self.large.rows(), &sizes.collect());
        let Self { was, now, counts, .. } = self;
        Delta { agreed: Some(agreed), was, now, counts, originals, ..Delta::default() }
    }

    fn count(&mut self, now: Option<Known<'_>>) {
        match now {
            Some(now) if now.entry.is_directory() => self.counts.directories += 1,
            Some(now) => {
                self.counts.files += 1;
                self.counts.bytes += now.entry.size_bytes();
            }
            None => {}
        }
    }

    /// A further name of a file that changed must be known too: it may have to be linked anew.
    fn follows_a_first(&self, was: Option<Known<'_>>, now: Option<Known<'_>>) -> bool {
        let is_listed =
            |first: &RelPath| self.firsts.get(first.as_bytes()).is_some_and(|first| first.is_listed);
        [was, now].into_iter().flatten().filter_map(first_of).any(is_listed)
    }

    /// Lists a path, the directories that lead there, and the first name of the file if this is another.
    fn list(&mut self, passed: &Passed) {
        let Self { was, now, above, firsts, .. } = self;
        let mut put = |passed: &Passed| {
            let path = || RelPath::known(&passed.path);
            if let Some(entry) = &passed.was {
                was.entries.insert(path(), entry.clone());
            }
            if let Some(entry) = &passed.now {
                now.entries.insert(path(), entry.clone());
            }
        };
        for directory in above.iter_mut().filter(|directory| !directory.is_listed) {
            put(directory);
            directory.is_listed = true;
        }
        for entry in [&passed.was, &passed.now].into_iter().flatten() {
            let Kind::HardLink { first } = &entry.kind else { continue };
            if let Some(first) = firsts.get_mut(first.as_bytes()).filter(|first| !first.is_listed) {
                put(first);
                first.is_listed = true;
            }
        }
        put(passed);
    }
}

fn first_of(known: Known<'_>) -> Option<&RelPath> {
    match &known.entry.kind {
        Kind::HardLink { first } => Some(first),
        _ => None,
    }
}

/// Whether a path is as it was; a stamp that is not known on one side says nothing.
fn is_same(was: Option<Known<'_>>, now: Option<Known<'_>>) -> bool {
    let (Some(was), Some(now)) = (was, now) else { return false };
    let is_untouched = match (was.stamp, now.stamp) {
        (Some(was), Some(now)) => was == now,
        _ => true,
    };
    same_content(now.entry, was.entry)
        && same_metadata(now.entry, was.entry)
        && (is_untouched || !now.entry.is_file())
}
