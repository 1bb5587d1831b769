//! What it takes to make one tree like another, in an order in which every step is safe.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::change::{Change, Options, Summary};
use super::entry::{Carries, Entry, Kind, RelPath, Snapshot};

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
/// let held = Held { path: RelPath::new(b"run/socket").unwrap(), why: "it is a socket" };
/// assert_eq!(format!("{}: {}", held.path, held.why), "run/socket: it is a socket");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The path below both roots.
    pub path: RelPath,
    /// Why it cannot be mirrored, in words.
    pub why: &'static str,
}

/// Compares two trees, in what `carries` says that both ends know (see [`Carries::onto`]).
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
    let mut comparison = Comparison {
        source,
        target,
        options,
        carries,
        kept: kept_directories(target),
        held: BTreeSet::new(),
        stirred: BTreeSet::new(),
        difference: Difference::default(),
    };
    for (path, entry) in &source.entries {
        comparison.bring(path, entry);
    }
    for (path, entry) in &target.entries {
        comparison.clear(path, entry);
    }
    comparison.finish()
}

/// The changes in groups: those of one group do not depend on each other, and each group needs the ones before it. Directories come
/// first, parents before what is in them; then files; then symbolic links; then what takes the place of a directory; deletions
/// come last, children before parents. Nothing vanishes before its replacement is in place, except where a directory
/// and something else trade places.
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
    Directory { depth: usize },
    File,
    Symlink,
    ReplaceDirectory,
    Remove,
    RemoveDirectory { height: usize },
}

impl Sort {
    fn of(change: &Change) -> Self {
        let was_directory = change.from.as_ref().is_some_and(Entry::is_directory);
        match change.to.as_ref().map(|entry| &entry.kind) {
            None if was_directory => Self::RemoveDirectory { height: usize::MAX - depth(&change.path) },
            None => Self::Remove,
            Some(Kind::Directory) => Self::Directory { depth: depth(&change.path) },
            Some(_) if was_directory => Self::ReplaceDirectory,
            Some(Kind::Symlink { .. }) => Self::Symlink,
            Some(_) => Self::File,
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
    /// Directories of the target that hold what must stay.
    kept: BTreeSet<RelPath>,
    /// Paths of the target that stay as they are, with everything below.
    held: BTreeSet<RelPath>,
    /// Directories of the target whose listing changes.
    stirred: BTreeSet<RelPath>,
    difference: Difference,
}

impl Comparison<'_> {
    /// One path of the source.
    fn bring(&mut self, path: &RelPath, entry: &Entry) {
        if self.is_below_held(path) || self.is_unknown(path) {
            return;
        }
        if entry.kind == Kind::Other {
            return self.hold(path, "it is a device, a FIFO or a socket");
        }
        if !self.carries.any_name && path.as_str().is_none() {
            return self.hold(path, "its name is not UTF-8, and the target takes no other");
        }
        let there = self.target.entries.get(path);
        let is_hidden =
            self.target.unreadable.contains_key(path) && there.is_none_or(|there| there.is_directory());
        if self.target.excluded.contains(path) || is_hidden {
            return self
                .hold(path, "the target has something in its place that is excluded or cannot be read");
        }
        let wanted = entry.as_carried(self.carries);
        match there {
            Some(there) if there.is_directory() && !wanted.is_directory() && self.must_stay(path) => {
                self.hold(path, "the target has a directory in its place, with content that must stay");
            }
            Some(there) if same_content(&wanted, &there.as_carried(self.carries)) => {
                self.settle(path, wanted, there);
            }
            _ => {
                let summary = &mut self.difference.summary;
                summary.bytes += wanted.size_bytes();
                *(if there.is_none() { &mut summary.created } else { &mut summary.updated }) += 1;
                self.push(path, there.cloned(), Some(wanted), true);
            }
        }
    }

    /// A path whose content is right: its metadata may not be.
    fn settle(&mut self, path: &RelPath, mut wanted: Entry, there: &Entry) {
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
            self.push(path, Some(there.clone()), Some(wanted), false);
        }
    }

    /// One path of the target, which the source may not have.
    fn clear(&mut self, path: &RelPath, there: &Entry) {
        let is_wanted = self.source.entries.contains_key(path);
        if is_wanted || path.is_root() || self.is_below_held(path) || self.is_unknown(path) {
            return;
        }
        if !self.options.delete || (there.is_directory() && self.kept.contains(path)) {
            return;
        }
        self.difference.summary.deleted += 1;
        self.push(path, Some(there.clone()), None, true);
    }

    fn push(&mut self, path: &RelPath, from: Option<Entry>, to: Option<Entry>, stirs: bool) {
        if stirs {
            self.stirred.extend(path.parent());
        }
        self.difference.changes.push(Change { path: path.clone(), from, to });
    }

    fn hold(&mut self, path: &RelPath, why: &'static str) {
        self.held.insert(path.clone());
        self.difference.held.push(Held { path: path.clone(), why });
    }

    fn is_below_held(&self, path: &RelPath) -> bool {
        !self.held.is_empty() && lineage(path).any(|above| self.held.contains(&above))
    }

    /// Whether the source cannot say what is at this path: unreadable itself or below what is, or excluded on its side only.
    fn is_unknown(&self, path: &RelPath) -> bool {
        let is_listed_directory = self.source.entries.get(path).is_some_and(Entry::is_directory);
        let is_dark =
            |path: &RelPath| self.source.unreadable.contains_key(path) || self.source.excluded.contains(path);
        if self.source.unreadable.is_empty() && self.source.excluded.is_empty() {
            return false;
        }
        lineage(path).skip(usize::from(is_listed_directory)).any(|above| is_dark(&above))
    }

    /// Whether a directory of the target may not make place for something else.
    fn must_stay(&self, path: &RelPath) -> bool {
        if self.options.delete {
            return self.kept.contains(path);
        }
        let after = (Bound::Excluded(path), Bound::Unbounded);
        let near = self.target.entries.range::<RelPath, _>(after).map(|(next, _)| next);
        self.kept.contains(path)
            || near
                .take_while(|next| next.as_bytes().starts_with(path.as_bytes()))
                .any(|next| next.is_below(path))
    }

    /// Lists the directories to be set right afterwards, and puts everything in order.
    fn finish(self) -> Difference {
        let Self { target, mut difference, stirred, .. } = self;
        let listed: BTreeSet<RelPath> = difference.changes.iter().map(|change| change.path.clone()).collect();
        for path in stirred.difference(&listed) {
            let is_wanted = self.source.entries.get(path).is_some_and(Entry::is_directory);
            if let Some(entry) = target.entries.get(path).filter(|entry| is_wanted && entry.is_directory()) {
                let entry = Some(entry.clone());
                difference.changes.push(Change { path: path.clone(), from: entry.clone(), to: entry });
            }
        }
        let replaced: BTreeSet<RelPath> = difference
            .changes
            .iter()
            .filter(|change| Sort::of(change) == Sort::ReplaceDirectory)
            .map(|change| change.path.clone())
            .collect();
        difference.changes.sort_by_cached_key(|change| {
            // What is in a directory that makes place goes before the one that takes it; all other deletions go last.
            let makes_place =
                change.to.is_none() && lineage(&change.path).any(|above| replaced.contains(&above));
            let is_last = change.to.is_none() && !makes_place;
            let group = match Sort::of(change) {
                Sort::Directory { .. } | Sort::File | Sort::Symlink => 0,
                _ if makes_place => 1,
                _ => 2 + u8::from(is_last),
            };
            (group, Sort::of(change), change.path.clone())
        });
        difference
    }
}

/// A path, the directory it is in, and so on; the root too.
fn lineage(path: &RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(Some(path.clone()), RelPath::parent)
}

/// The directories of the target that cannot be removed: they lead to what is excluded, or could not be read.
fn kept_directories(target: &Snapshot) -> BTreeSet<RelPath> {
    // A file that cannot be read can be removed all the same; a directory that cannot be listed cannot.
    let is_opaque = |path: &&RelPath| target.entries.get(path).is_none_or(Entry::is_directory);
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
        (Kind::Directory, Kind::Directory) => true,
        (Kind::Symlink { target }, Kind::Symlink { target: target_there }) => target == target_there,
        (Kind::Other, Kind::Other) => true,
        _ => false,
    }
}

/// Whether mode, time and, where one is wanted, owner are equal. The mode of a symbolic link means nothing, and its time cannot be
/// set everywhere.
pub(super) fn same_metadata(wanted: &Entry, there: &Entry) -> bool {
    let is_link = matches!(wanted.kind, Kind::Symlink { .. });
    same_owner(wanted, there) && (is_link || (wanted.mode == there.mode && same_time(wanted, there)))
}

pub(super) fn same_owner(wanted: &Entry, there: &Entry) -> bool {
    wanted.owner.is_none_or(|owner| there.owner.is_none_or(|owner_there| owner == owner_there))
}

pub(super) fn same_time(wanted: &Entry, there: &Entry) -> bool {
    (wanted.mtime_s, wanted.mtime_ns) == (there.mtime_s, there.mtime_ns)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::mirror::{Bytes, Progress};

    const CARRIES: Carries = Carries {
        nanoseconds: true,
        owners: false,
        any_name: true,
        hard_links: true,
        xattrs: true,
        special: false,
    };
    /// What a file system sets when something in a directory changes.
    const NOW: i64 = 999;

    /// A tree on a disk: everything, also what a scan would not show.
    type Disk = BTreeMap<RelPath, Entry>;

    fn path(text: &str) -> RelPath {
        if text.is_empty() { RelPath::root() } else { RelPath::new(text.as_bytes()).unwrap() }
    }

    fn entry(kind: Kind, mtime_s: i64) -> Entry {
        Entry { kind, mode: 0o644, mtime_s, mtime_ns: 0, owner: None, xattrs: None }
    }

    fn file(size_bytes: u64, mtime_s: i64) -> Entry {
        entry(Kind::File { size_bytes, digest: None }, mtime_s)
    }

    fn is_protected(path: &RelPath) -> bool {
        path.as_bytes().split(|byte| *byte == b'/').any(|name| name == b"x")
    }

    /// What a scan shows of a disk: names `x` are excluded, `unreadable` paths cannot be read.
    fn scan(disk: &Disk, unreadable: &BTreeSet<RelPath>) -> Snapshot {
        let mut seen = Snapshot::default();
        let is_dark = |path: &RelPath| unreadable.contains(path);
        for (path, entry) in disk {
            if lineage(path).skip(1).any(|above| is_dark(&above)) {
                continue;
            }
            if is_protected(path) {
                if !path.parent().is_some_and(|parent| is_protected(&parent)) {
                    seen.excluded.insert(path.clone());
                }
                continue;
            }
            if is_dark(path) {
                seen.unreadable.insert(path.clone(), "permission denied".into());
            }
            seen.entries.insert(path.clone(), entry.clone());
        }
        seen
    }

    fn has_content(disk: &Disk, path: &RelPath) -> bool {
        disk.keys().any(|other| other.is_below(path))
    }

    /// Makes one change as a file system would, and refuses what one would refuse.
    fn apply(disk: &mut Disk, change: &Change) {
        let path = &change.path;
        let there = disk.get(path);
        assert_ne!(change.progress(there), Progress::Strange, "{change:?} but there is {there:?}");
        if let Some(parent) = path.parent() {
            assert!(disk.get(&parent).is_some_and(Entry::is_directory), "{path} has no directory to be in");
            if there.is_none() || change.to.as_ref().is_none_or(|to| !to.is_directory()) {
                disk.get_mut(&parent).unwrap().mtime_s = NOW;
            }
        }
        match &change.to {
            Some(to) if to.is_directory() => drop(disk.insert(path.clone(), to.clone())),
            Some(to) => {
                assert!(!has_content(disk, path), "{path} makes place although it is not empty");
                disk.insert(path.clone(), to.clone());
            }
            None => {
                assert!(!has_content(disk, path), "{path} is removed although it is not empty");
                disk.remove(path);
            }
        }
    }

    fn arbitrary_entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            4 => (0..3_u64, 0..3_i64).prop_map(|(size, time)| file(size, time)),
            5 => (0..3_i64).prop_map(|time| entry(Kind::Directory, time)),
            1 => (0..2_u8).prop_map(|to| entry(Kind::Symlink { target: Bytes(vec![b'a' + to]) }, 0)),
            1 => Just(entry(Kind::Other, 0)),
        ]
    }

    /// Paths of up to four components; entries whose parent is no directory are dropped.
    fn arbitrary_disk() -> impl Strategy<Value = Disk> {
        let name = prop_oneof![6 => "[abc]", 1 => Just("a-".to_owned()), 1 => Just("x".to_owned())];
        let some = (proptest::collection::vec(name, 1..5), arbitrary_entry());
        proptest::collection::btree_map(some.0, some.1, 0..40).prop_map(|entries| {
            let mut disk = Disk::from([(RelPath::root(), entry(Kind::Directory, 0))]);
            for (names, entry) in entries {
                let path = path(&names.join("/"));
                if path.parent().is_some_and(|parent| disk.get(&parent).is_some_and(Entry::is_directory)) {
                    disk.insert(path, entry);
                }
            }
            disk
        })
    }

    fn some_of(disk: &Disk, picks: &[prop::sample::Index]) -> BTreeSet<RelPath> {
        let paths: Vec<&RelPath> = disk.keys().filter(|path| !path.is_root()).collect();
        if paths.is_empty() {
            return BTreeSet::new();
        }
        picks.iter().map(|pick| (*pick.get(&paths)).clone()).collect()
    }

    fn picks() -> impl Strategy<Value = Vec<prop::sample::Index>> {
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn applying_makes_the_target_like_the_source(
            source in arbitrary_disk(), target in arbitrary_disk(),
            dark in picks(), dark_there in picks(), delete in any::<bool>(),
        ) {
            let (dark, dark_there) = (some_of(&source, &dark), some_of(&target, &dark_there));
            let seen = scan(&source, &dark);
            let options = Options { delete, ..Options::default() };
            let plan = diff(&seen, &scan(&target, &dark_there), &options, CARRIES);
            let mut disk = target.clone();
            for change in stages(&plan.changes).flatten() {
                apply(&mut disk, change);
            }
            for change in plan.changes.iter().rev().filter(|change| change.to.as_ref().is_some_and(Entry::is_directory)) {
                apply(&mut disk, change);
            }

            // What took the place of something unreadable can be read.
            let is_directory = |disk: &Disk, path: &RelPath| disk.get(path).is_some_and(Entry::is_directory);
            let dark_there: BTreeSet<RelPath> =
                dark_there.into_iter().filter(|path| is_directory(&disk, path) == is_directory(&target, path)).collect();
            // Twice is a no-op, and everything that was not held is there.
            let again = diff(&seen, &scan(&disk, &dark_there), &options, CARRIES);
            prop_assert_eq!(&again.changes, &vec![]);
            let is_held = |path: &RelPath| plan.held.iter().any(|held| held.path == *path || path.is_below(&held.path));
            for (path, entry) in &seen.entries {
                if !is_held(path) && !seen.unreadable.contains_key(path) {
                    prop_assert!(disk.get(path).is_some_and(|there| same_content(entry, there)), "{} is missing", path);
                }
            }
            // What is excluded, below what could not be read, or of no concern stays.
            let is_dark = |path: &RelPath| lineage(path).any(|above| dark.contains(&above));
            for (path, entry) in &target {
                let is_gone = !disk.contains_key(path);
                prop_assert!(!(is_gone && (is_protected(path) || is_dark(path) || !delete)) , "{} was removed", path);
                let is_listed = source.get(path).is_some_and(Entry::is_directory);
                if is_dark(path) && !is_listed && !entry.is_directory() {
                    prop_assert_eq!(disk.get(path), Some(entry));
                }
                let is_free = !is_protected(path) && !is_held(path) && !seen.excluded.iter().any(|hidden| path == hidden || path.is_below(hidden));
                if delete && is_free && !entry.is_directory() && !dark_there.iter().any(|dark| path == dark || path.is_below(dark)) && !is_dark(path) {
                    prop_assert!(is_gone || source.contains_key(path), "{} was left", path);
                }
            }
        }

        #[test]
        fn a_stage_holds_only_what_is_independent(source in arbitrary_disk(), target in arbitrary_disk()) {
            let none = BTreeSet::new();
            let plan = diff(&scan(&source, &none), &scan(&target, &none), &Options::default(), CARRIES);
            for stage in stages(&plan.changes) {
                for one in stage {
                    prop_assert!(stage.iter().all(|other| !other.path.is_below(&one.path)), "{} and what is in it", one.path);
                }
            }
            prop_assert_eq!(stages(&plan.changes).map(<[Change]>::len).sum::<usize>(), plan.changes.len());
        }
    }

    fn check(source: &[(&str, Entry)], target: &[(&str, Entry)], expected: &[&str]) -> Difference {
        let tree = |entries: &[(&str, Entry)]| Snapshot {
            entries: entries.iter().map(|(at, entry)| (path(at), entry.clone())).collect(),
            ..Snapshot::default()
        };
        let difference = diff(&tree(source), &tree(target), &Options::default(), CARRIES);
        let said: Vec<String> = difference
            .changes
            .iter()
            .map(|change| match (&change.from, &change.to) {
                (None, Some(_)) => format!("+{}", change.path),
                (Some(_), None) => format!("-{}", change.path),
                (from, to) if from == to => format!("={}", change.path),
                _ => format!("~{}", change.path),
            })
            .collect();
        assert_eq!(said, expected);
        difference
    }

    #[test]
    fn the_order_is_safe_at_every_point() {
        let directory = || entry(Kind::Directory, 0);
        let link = || entry(Kind::Symlink { target: Bytes(b"b".to_vec()) }, 0);
        check(
            &[("", directory()), ("d", directory()), ("d/new", file(1, 1)), ("l", link()), ("t", file(1, 1))],
            &[
                ("", directory()),
                ("old", directory()),
                ("old/f", file(1, 1)),
                ("t", directory()),
                ("t/f", file(2, 2)),
            ],
            &["=.", "+d", "+d/new", "+l", "-t/f", "~t", "-old/f", "-old"],
        );
        let difference = check(
            &[("", directory()), ("d", directory()), ("d/f", file(7, 2))],
            &[("", directory()), ("d", directory()), ("d/f", file(7, 1))],
            &["=d", "~d/f"],
        );
        assert_eq!(
            (difference.summary.updated, difference.summary.bytes, difference.summary.unchanged),
            (1, 7, 2)
        );
    }

    #[test]
    fn only_what_both_ends_know_is_compared() {
        let root = path("page");
        let owner = |uid| Some(crate::mirror::Owner { uid, gid: uid });
        let fine = Entry { mtime_ns: 5, owner: owner(1), ..file(1, -3) };
        let coarse = Entry { owner: owner(2), ..file(1, 0) };
        let tree = |entry: &Entry| Snapshot {
            entries: [(root.clone(), entry.clone())].into(),
            ..Snapshot::default()
        };
        let count = |carries| diff(&tree(&fine), &tree(&coarse), &Options::default(), carries).changes.len();
        assert_eq!(
            count(Carries {
                nanoseconds: false,
                owners: false,
                any_name: true,
                hard_links: false,
                xattrs: false,
                special: false
            }),
            0
        );
        assert_eq!(
            count(Carries {
                nanoseconds: true,
                owners: false,
                any_name: true,
                hard_links: true,
                xattrs: true,
                special: false
            }),
            1
        );
        assert_eq!(
            count(Carries {
                nanoseconds: false,
                owners: true,
                any_name: true,
                hard_links: false,
                xattrs: false,
                special: false
            }),
            1
        );
    }
}
