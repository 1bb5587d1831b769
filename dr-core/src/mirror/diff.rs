//! What it takes to make one tree like another, in an order in which every step is safe.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::change::{Change, Options, Summary};
use super::entries::{Alike, Row, is_below, side_by_side};
use super::entry::{Carries, Entry, Kind, RelPath};
use super::marks::Marks;
use super::owners::OwnerMap;
use super::snapshot::Snapshot;

/// What a mirror would do, and what it would leave although the source has it.
///
/// ```
/// use dr_core::mirror::Difference;
/// assert!(Difference::default().changes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The changes of the target, in the order of [`stages`].
    pub changes: Vec<Change>,
    /// Their counts.
    pub summary: Summary,
    /// What the source has and the target will not get.
    pub held: Vec<Held>,
}

/// A path that is left as it is on the target, and why.
///
/// ```
/// use dr_core::mirror::{Held, RelPath};
/// let held = Held { path: RelPath::new(b"run/socket").unwrap(), why: "it is a socket".into() };
/// assert_eq!(format!("{}: {}", held.path, held.why), "run/socket: it is a socket");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The path below both roots.
    pub path: RelPath,
    /// Why it cannot be mirrored, in words.
    pub why: Cow<'static, str>,
}

/// Compares two trees, in what `carries` says that both ends know (see [`Carries::onto`]).
///
/// Owners of the source become those of the target by [`Options::owners`] and the names that both snapshots bring. What
/// [`Options::delete_excluded`] is to remove must be in the target's snapshot (see [`Options::for_target`]).
///
/// Content is equal when the digests are, or, where either is missing, when size and time are. What could not be read in the
/// source, and everything below it, is left alone on the target; so is what the filter excludes on either side, with the
/// directories that lead to it. A directory whose own metadata is right but in which something changes is listed with `from`
/// equal to `to`: its time must be set back afterwards.
///
/// ```
/// use dr_core::mirror::{Carries, Entry, Kind, Options, RelPath, Snapshot, diff};
/// let mut source = Snapshot::default();
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// source.entries.insert(RelPath::new(b"index.html").unwrap(), page);
/// let carries = Carries { nanoseconds: true, owners: true, any_name: true, hard_links: true, xattrs: true, special: true };
/// let difference = diff(&source, &Snapshot::default(), &Options::default(), carries);
/// assert_eq!((difference.summary.created, difference.summary.bytes), (1, 5));
/// assert!(diff(&source, &source, &Options::default(), carries).changes.is_empty());
/// ```
#[must_use]
pub fn diff(source: &Snapshot, target: &Snapshot, options: &Options, carries: Carries) -> Difference {
    let comparison = Comparison {
        source,
        target,
        options,
        carries,
        owners: OwnerMap::new(&options.owners, &source.names, &target.names),
        kept: kept_directories(target),
        holding: None,
        stirred: BTreeSet::new(),
        difference: Difference::default(),
    };
    comparison.run()
}

/// The changes in groups: those of one group do not depend on each other, and each group needs the ones before it. Directories come
/// first, parents before what is in them; then files; then symbolic links and special files; then more names of all of these; then what
/// takes the place of a directory; deletions come last, children before parents. Nothing vanishes before its replacement is in
/// place, except where a directory and something else trade places.
///
/// ```
/// use dr_core::mirror::stages;
/// assert_eq!(stages(&[]).count(), 0);
/// ```
pub fn stages(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(|one, next| Sort::of(one) == Sort::of(next))
}

/// What a change is to the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Directory {
        depth: usize,
    },
    File,
    /// Symbolic links, devices, FIFOs, sockets.
    Node,
    /// A hard link to what is there by now: it need not be a file.
    HardLink,
    Remove,
    RemoveDirectory {
        height: usize,
    },
    /// Something else than a hard link takes the place of a directory.
    ReplaceDirectory,
    /// A hard link that takes the place of a directory, after all to which it may lead.
    ReplaceByLink,
}

impl Sort {
    fn of(change: &Change) -> Self {
        let was_directory = change.from.as_ref().is_some_and(Entry::is_directory);
        match change.to.as_ref().map(|entry| &entry.kind) {
            None if was_directory => Self::RemoveDirectory { height: usize::MAX - depth(&change.path) },
            None => Self::Remove,
            Some(Kind::Directory) => Self::Directory { depth: depth(&change.path) },
            Some(Kind::HardLink { .. }) if was_directory => Self::ReplaceByLink,
            Some(_) if was_directory => Self::ReplaceDirectory,
            Some(Kind::HardLink { .. }) => Self::HardLink,
            Some(Kind::File { .. }) => Self::File,
            Some(_) => Self::Node,
        }
    }
}

fn depth(path: &RelPath) -> usize {
    if path.is_root() { 0 } else { 1 + path.as_bytes().iter().filter(|byte| **byte == b'/').count() }
}

struct Comparison<'a> {
    source: &'a Snapshot,
    target: &'a Snapshot,
    options: &'a Options,
    carries: Carries,
    owners: OwnerMap,
    /// Directories of the target that hold what must stay.
    kept: BTreeSet<RelPath>,
    /// The path of the target that stays as it is, with everything below, if we are there.
    holding: Option<RelPath>,
    /// Directories of the target whose listing changes.
    stirred: BTreeSet<RelPath>,
    difference: Difference,
}

impl Comparison<'_> {
    /// Both trees once, side by side.
    fn run(mut self) -> Difference {
        let mut dark = Marks::new(self.source.unreadable.keys());
        let mut excluded = Marks::new(self.source.excluded.iter());
        let mut dark_there = Marks::new(self.target.unreadable.keys());
        let mut excluded_there = Marks::new(self.target.excluded.iter());
        let (mut alike, keeps_owners) = (Alike::default(), self.owners.is_empty());
        for (wanted, there) in side_by_side(&self.source.entries, &self.target.entries) {
            let Some(path) = wanted.or(there).map(|row| row.path_bytes()) else { continue };
            let dark = dark.seek(path);
            let excluded = excluded.seek(path);
            let blocked = dark_there.seek(path).is_at && there.is_none_or(|there| there.is_directory())
                || excluded_there.seek(path).is_at;
            if self.holding.as_ref().is_some_and(|held| !is_at_or_below(path, held)) {
                self.holding = None;
            }
            if self.holding.is_some() {
                continue;
            }
            let is_listed = wanted.is_some_and(|wanted| wanted.is_directory());
            match (wanted, there) {
                _ if dark.is_unknown(is_listed) => {}
                (Some(_), _) if excluded.is_unknown(is_listed) => {}
                (Some(wanted), Some(there))
                    if !blocked && keeps_owners && wanted.is_plainly(&there, &mut alike) =>
                {
                    self.difference.summary.unchanged += 1;
                }
                (Some(wanted), there) => self.bring(wanted, there, blocked),
                (None, Some(there)) if self.options.delete_excluded || !excluded.is_unknown(false) => {
                    self.clear(there);
                }
                (None, _) => {}
            }
        }
        self.finish()
    }

    /// One path of the source.
    fn bring(&mut self, row: Row<'_>, there: Option<Row<'_>>, blocked: bool) {
        let path = row.path();
        let entry = row.entry();
        if let Some(why) = self.obstacle(&path, &entry, blocked) {
            return self.hold(path, why);
        }
        let mut wanted = self.as_arriving(self.source, entry).as_carried(self.carries);
        wanted.owner = wanted.owner.map(|owner| self.owners.apply(owner));
        let there = there.map(|there| there.entry());
        match there {
            Some(there) if there.is_directory() && !wanted.is_directory() && self.must_stay(&path) => {
                self.hold(path, "the target has a directory in its place, with content that must stay");
            }
            Some(there) if self.is_same(&wanted, &there) => self.settle(path, wanted, there),
            there => {
                let summary = &mut self.difference.summary;
                summary.bytes += wanted.size_bytes();
                *(if there.is_none() { &mut summary.created } else { &mut summary.updated }) += 1;
                self.push(path, there, Some(wanted), true);
            }
        }
    }

    /// Why the target cannot have what the source has.
    fn obstacle(&self, path: &RelPath, entry: &Entry, blocked: bool) -> Option<&'static str> {
        let is_special = matches!(entry.kind, Kind::Device { .. } | Kind::Fifo | Kind::Socket);
        if entry.kind == Kind::Other || (is_special && !self.carries.special) {
            Some("it is a device, a FIFO or a socket")
        } else if !self.carries.any_name && path.as_str().is_none() {
            Some("its name is not UTF-8, and the target takes no other")
        } else if blocked {
            Some("the target has something in its place that is excluded or cannot be read")
        } else {
            None
        }
    }

    /// One more name of a file is a file of its own where names cannot be shared, or where the first one stays away.
    fn as_arriving(&self, tree: &Snapshot, entry: Entry) -> Entry {
        let Kind::HardLink { first } = &entry.kind else { return entry };
        let is_held = || {
            // They are in the order of the tree, and none is inside another.
            let held = &self.difference.held;
            let before = held.partition_point(|held| held.path <= *first);
            held[..before].last().is_some_and(|held| is_at_or_below(first.as_bytes(), &held.path))
        };
        if self.carries.hard_links && !is_held() {
            return entry;
        }
        tree.entries.get(first).unwrap_or(entry)
    }

    /// Whether the target has this content already. Another name of a file that will be another one must be linked anew.
    fn is_same(&self, wanted: &Entry, there: &Entry) -> bool {
        let there = match self.carries.hard_links {
            true => there.clone(),
            false => self.as_arriving(self.target, there.clone()),
        };
        let there = there.as_carried(self.carries);
        let is_first_there = match &wanted.kind {
            Kind::HardLink { first } => {
                match (self.source.entries.get(first), self.target.entries.get(first)) {
                    (Some(first), Some(first_there)) => {
                        same_content(&first.as_carried(self.carries), &first_there.as_carried(self.carries))
                    }
                    // In a part of a tree, what is not listed did not change.
                    (first, first_there) => first.is_none() && first_there.is_none(),
                }
            }
            _ => true,
        };
        is_first_there && same_content(wanted, &there)
    }

    /// A path whose content is right: its metadata may not be.
    fn settle(&mut self, path: RelPath, mut wanted: Entry, there: Entry) {
        let seen = there.as_carried(self.carries);
        let summary = &mut self.difference.summary;
        if same_metadata(&wanted, &seen) {
            summary.unchanged += 1;
        } else {
            summary.metadata_only += 1;
            if same_time(&wanted, &seen) {
                // As far as both ends know it is right: what is finer than that stays.
                (wanted.mtime_s, wanted.mtime_ns) = (there.mtime_s, there.mtime_ns);
            }
            self.push(path, Some(there), Some(wanted), false);
        }
    }

    /// One path of the target that the source does not have.
    fn clear(&mut self, there: Row<'_>) {
        let path = there.path();
        let stays = there.is_directory() && self.kept.contains(&path);
        if !self.options.delete || path.is_root() || stays {
            return;
        }
        self.difference.summary.deleted += 1;
        self.push(path, Some(there.entry()), None, true);
    }

    fn push(&mut self, path: RelPath, from: Option<Entry>, to: Option<Entry>, stirs: bool) {
        if stirs {
            self.stirred.extend(path.parent());
        }
        self.difference.changes.push(Change { path, from, to });
    }

    fn hold(&mut self, path: RelPath, why: &'static str) {
        self.holding = Some(path.clone());
        self.difference.held.push(Held { path, why: why.into() });
    }

    /// Whether a directory of the target may not make place for something else.
    fn must_stay(&self, path: &RelPath) -> bool {
        self.kept.contains(path) || (!self.options.delete && self.target.entries.below(path).next().is_some())
    }

    /// Lists the directories to be set right afterwards, and puts everything in order.
    fn finish(self) -> Difference {
        let Self { source, target, mut difference, stirred, .. } = self;
        let is_directory = |tree: &Snapshot, path: &RelPath| {
            tree.entries.row(path).filter(|row| row.is_directory()).map(|row| row.entry())
        };
        // Until here the changes are in the order of the tree.
        let is_listed =
            |path: &RelPath| difference.changes.binary_search_by(|change| change.path.cmp(path)).is_ok();
        let quiet = stirred.iter().filter(|path| !is_listed(path) && is_directory(source, path).is_some());
        let set_right: Vec<Change> = quiet
            .filter_map(|path| {
                let entry = Some(is_directory(target, path)?);
                Some(Change { path: path.clone(), from: entry.clone(), to: entry })
            })
            .collect();
        difference.changes.extend(set_right);
        difference.changes = in_order(difference.changes);
        difference
    }
}

/// Changes so that every one finds what it needs, and takes away nothing that another one needs.
fn in_order(changes: Vec<Change>) -> Vec<Change> {
    let makes_way =
        |change: &&Change| matches!(Sort::of(change), Sort::ReplaceDirectory | Sort::ReplaceByLink);
    let replaced: BTreeSet<RelPath> =
        changes.iter().filter(makes_way).map(|change| change.path.clone()).collect();
    let is_replaced = |path: &RelPath| !replaced.is_empty() && replaced.contains(path);
    let group = |change: &Change| match Sort::of(change) {
        // What is in a directory that makes place goes before the one that takes it; all other deletions go last.
        Sort::Remove | Sort::RemoveDirectory { .. } => {
            let is_in_replaced =
                !replaced.is_empty() && lineage(&change.path).any(|above| is_replaced(&above));
            if is_in_replaced { 1 } else { 4 }
        }
        Sort::ReplaceDirectory => 2,
        Sort::ReplaceByLink => 3,
        Sort::HardLink => match change.to.as_ref().map(|to| &to.kind) {
            Some(Kind::HardLink { first }) if is_replaced(first) => 3,
            _ => 0,
        },
        Sort::Directory { .. } | Sort::File | Sort::Node => 0,
    };
    let mut sorted: Vec<(u8, Sort, Change)> =
        changes.into_iter().map(|change| (group(&change), Sort::of(&change), change)).collect();
    sorted.sort_by(|(group, sort, change), (other_group, other_sort, other)| {
        (group, sort).cmp(&(other_group, other_sort)).then_with(|| change.path.cmp(&other.path))
    });
    sorted.into_iter().map(|(_, _, change)| change).collect()
}

fn is_at_or_below(path: &[u8], above: &RelPath) -> bool {
    path == above.as_bytes() || is_below(path, above.as_bytes())
}

/// A path, the directory it is in, and so on; the root too.
fn lineage(path: &RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(Some(path.clone()), RelPath::parent)
}

/// The directories of the target that cannot be removed: they lead to what is excluded, or could not be read.
fn kept_directories(target: &Snapshot) -> BTreeSet<RelPath> {
    // A file that cannot be read can be removed all the same; a directory that cannot be listed cannot.
    let is_opaque = |path: &&RelPath| target.entries.row(path).is_none_or(|row| row.is_directory());
    let unreadable = target.unreadable.keys().filter(is_opaque);
    let leading = target.excluded.iter().flat_map(|path| lineage(path).skip(1));
    unreadable.flat_map(lineage).chain(leading).collect()
}

/// Whether two entries are of one kind and, as far as is known, of one content. `wanted` decides how finely times are compared.
pub(super) fn same_content(wanted: &Entry, there: &Entry) -> bool {
    match (&wanted.kind, &there.kind) {
        (Kind::File { size_bytes, digest }, Kind::File { size_bytes: size_there, digest: digest_there }) => {
            size_bytes == size_there
                && match (digest, digest_there) {
                    (Some(digest), Some(digest_there)) => digest == digest_there,
                    _ => same_time(wanted, there),
                }
        }
        (wanted, there) => wanted == there,
    }
}

/// Whether mode, time and, where they are wanted, owner and attributes are equal. The mode of a symbolic link means nothing, and its
/// time is 0 where it is not known (see [`Entry::as_carried`]).
pub(super) fn same_metadata(wanted: &Entry, there: &Entry) -> bool {
    let is_same = match wanted.kind {
        Kind::Symlink { .. } => {
            let is_unknown = |entry: &Entry| (entry.mtime_s, entry.mtime_ns) == (0, 0);
            is_unknown(wanted) || is_unknown(there) || same_time(wanted, there)
        }
        _ => wanted.mode == there.mode && same_time(wanted, there),
    };
    is_same && same_owner(wanted, there) && same_xattrs(wanted, there)
}

pub(super) fn same_owner(wanted: &Entry, there: &Entry) -> bool {
    wanted.owner.is_none_or(|owner| there.owner.is_none_or(|owner_there| owner == owner_there))
}

pub(super) fn same_xattrs(wanted: &Entry, there: &Entry) -> bool {
    match (&wanted.xattrs, &there.xattrs) {
        (Some(wanted), Some(there)) => wanted == there,
        _ => true,
    }
}

pub(super) fn same_time(wanted: &Entry, there: &Entry) -> bool {
    (wanted.mtime_s, wanted.mtime_ns) == (there.mtime_s, there.mtime_ns)
}

#[cfg(test)]
mod tests;
