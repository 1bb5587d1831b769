//! Renamed and duplicated files: what the target has already under another name.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::change::Change;
use super::diff::same_metadata;
use super::entries::{Entries, Row};
use super::entry::{Entry, RelPath};

/// Below this, reading two files to see whether they are alike costs more than sending one, unless they look alike.
const UNLIKELY_BYTES_MIN: u64 = 1 << 16;

/// Files of a tree of which a new one may be a copy: only large ones, and only of a size that is wanted.
#[cfg(any(test, feature = "world"))]
pub(crate) fn possible_originals<'a>(files: impl Iterator<Item = Row<'a>>, wanted: &HashSet<u64>) -> Entries {
    let mut originals = Entries::default();
    let is_possible = |row: &Row<'_>| row.is_file() && wanted.contains(&row.size_bytes());
    for row in files.filter(is_possible) {
        originals.insert_at(row.path_bytes(), row.entry());
    }
    originals
}

/// Whether it is worth to know of what a file of this size could be made.
#[cfg(any(test, feature = "world"))]
pub(crate) fn is_worth_copying(size_bytes: u64) -> bool {
    size_bytes >= UNLIKELY_BYTES_MIN
}

/// A file that the target may have already.
///
/// ```
/// use dr_core::mirror::{Reuse, RelPath};
/// let reuse = Reuse { change: 0, path: RelPath::new(b"old.html").unwrap(), is_likely: true, leaves: true };
/// assert!(reuse.is_likely, "it is enough to ask the source for its digest: the target looks when it lands");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Which of the changes.
    pub change: usize,
    /// Where the target has it.
    pub path: RelPath,
    /// Size and time are the same. Otherwise only the size is, and both ends should be asked for digests.
    pub is_likely: bool,
    /// The same changes remove it from there, it has the right metadata too, and nothing else is made from it: it can be given the
    /// new name as it is.
    pub leaves: bool,
}

/// What could be made from files of the target: those that the changes remove or replace, and all `others` of them that are known.
/// At most one for each change.
///
/// ```
/// use dr_core::mirror::{Change, Entries, Entry, Kind, RelPath, reusable};
/// let path = |name: &str| RelPath::new(name.as_bytes()).unwrap();
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 7, mtime_ns: 9, owner: None, xattrs: None };
/// let changes = [
///     Change { path: path("new.html"), from: None, to: Some(page.clone()) },
///     Change { path: path("old.html"), from: Some(page), to: None },
/// ];
/// let found = reusable(&changes, &Entries::default());
/// assert_eq!((found[0].change, found[0].path.clone(), found[0].leaves), (0, path("old.html"), true));
/// ```
#[must_use]
pub fn reusable(changes: &[Change], others: &Entries) -> Vec<Reuse> {
    let wanted = changes.iter().filter_map(wanted);
    let mut known = Known { wanted: wanted.map(Entry::size_bytes).collect(), ..Known::default() };
    // What is removed comes first: it can be renamed instead of copied.
    let removed = changes.iter().filter(|change| change.to.is_none());
    let replaced = changes.iter().filter(|change| change.to.is_some() && change.moves_content());
    for change in removed.clone().chain(replaced) {
        if let Some(from) = change.from.as_ref().filter(|from| from.is_file()) {
            known.add(change.path.as_bytes(), look_of(from));
        }
    }
    let changed: HashSet<&[u8]> = changes.iter().map(|change| change.path.as_bytes()).collect();
    for row in others.rows().filter(Row::is_file) {
        let (mtime_s, mtime_ns) = row.mtime();
        if !changed.contains(row.path_bytes()) {
            known.add(row.path_bytes(), (row.size_bytes(), mtime_s, mtime_ns));
        }
    }
    let mut found: Vec<Reuse> = changes
        .iter()
        .enumerate()
        .filter_map(|(number, change)| {
            let (path, is_likely) = known.find(change)?;
            Some(Reuse { change: number, path: RelPath::new(path).ok()?, is_likely, leaves: false })
        })
        .collect();
    let mut uses: HashMap<RelPath, usize> = HashMap::new();
    for reuse in &found {
        *uses.entry(reuse.path.clone()).or_default() += 1;
    }
    let removed = removed.filter_map(|change| Some((&change.path, change.from.as_ref()?)));
    let removed: HashMap<&RelPath, &Entry> = removed.collect();
    for reuse in &mut found {
        // While it has both names, its metadata must be as planned under either.
        let is_ready = |old: &&Entry| {
            changes[reuse.change]
                .to
                .as_ref()
                .is_some_and(|to| same_metadata(to, old) && same_metadata(old, to))
        };
        let leaves = removed.get(&reuse.path).is_some_and(is_ready);
        reuse.leaves = leaves && uses.get(&reuse.path) == Some(&1);
    }
    found
}

/// Of what is moved, at most one part in so many is read beforehand on the mere suspicion that two files are alike; so many bytes
/// in any case.
const SUSPECTED_PART: u64 = 4;
const SUSPECTED_BYTES: u64 = 64 << 20;

/// New files of which one may be the copy of another, by their numbers in order: of one size, and large. The source should be asked
/// for their digests. Size, name and time together are taken for a reason to read them; the size alone only as far as that costs
/// little beside what is moved. `is_open` says of which changes it is of use: at least one of those that are alike.
///
/// ```
/// use dr_core::mirror::{Change, Entry, Kind, RelPath, possible_twins};
/// let film = Entry { kind: Kind::File { size_bytes: 1 << 20, digest: None }, mode: 0o644, mtime_s: 7, mtime_ns: 9, owner: None, xattrs: None };
/// let new = |name: &[u8]| Change { path: RelPath::new(name).unwrap(), from: None, to: Some(film.clone()) };
/// assert_eq!(possible_twins(&[new(b"film"), new(b"old/film")], |_| true), [0, 1]);
/// assert!(possible_twins(&[new(b"film")], |_| true).is_empty());
/// ```
#[must_use]
pub fn possible_twins(changes: &[Change], is_open: impl Fn(&Change) -> bool) -> Vec<usize> {
    let mut by_size: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut moved_bytes = 0_u64;
    for (number, change) in changes.iter().enumerate() {
        let Some(size) = wanted(change).map(Entry::size_bytes) else { continue };
        moved_bytes = moved_bytes.saturating_add(size);
        if change.from.is_none() && size >= UNLIKELY_BYTES_MIN {
            by_size.entry(size).or_default().push(number);
        }
    }
    let mut left_bytes = (moved_bytes / SUSPECTED_PART).max(SUSPECTED_BYTES);
    let mut found = vec![];
    let several = |(size, numbers): (u64, Vec<usize>)| (numbers.len() > 1).then_some((size, numbers));
    // The largest first: they are worth most.
    for (size, numbers) in by_size.into_iter().rev().filter_map(several) {
        if !numbers.iter().any(|number| is_open(&changes[*number])) {
            continue;
        }
        let look = |number: usize| {
            let change = &changes[number];
            let time = change.to.as_ref().map(|to| (to.mtime_s, to.mtime_ns));
            (name_of(change.path.as_bytes()), time)
        };
        let mut looks: HashMap<_, usize> = HashMap::new();
        for number in &numbers {
            *looks.entry(look(*number)).or_default() += 1;
        }
        let (likely, others): (Vec<usize>, Vec<usize>) =
            numbers.into_iter().partition(|number| looks.get(&look(*number)).is_some_and(|alike| *alike > 1));
        found.extend(likely);
        let bytes = size.saturating_mul(others.len() as u64);
        if bytes <= left_bytes {
            left_bytes -= bytes;
            found.extend(others);
        }
    }
    found.sort_unstable();
    found
}

/// What has to be moved for a change, if it is anything.
fn wanted(change: &Change) -> Option<&Entry> {
    change.to.as_ref().filter(|to| change.moves_content() && to.size_bytes() > 0)
}

/// Size and time.
type Look = (u64, i64, u32);

fn look_of(entry: &Entry) -> Look {
    (entry.size_bytes(), entry.mtime_s, entry.mtime_ns)
}

/// Files of the target with a size that is wanted, by what they look like.
#[derive(Default)]
struct Known<'a> {
    wanted: HashSet<u64>,
    by_look: HashMap<Look, VecDeque<&'a [u8]>>,
    by_look_and_name: HashMap<(Look, &'a [u8]), VecDeque<&'a [u8]>>,
    by_size: HashMap<u64, &'a [u8]>,
}

impl<'a> Known<'a> {
    fn add(&mut self, path: &'a [u8], look: Look) {
        if !self.wanted.contains(&look.0) {
            return;
        }
        self.by_look.entry(look).or_default().push_back(path);
        self.by_look_and_name.entry((look, name_of(path))).or_default().push_back(path);
        if look.0 >= UNLIKELY_BYTES_MIN {
            self.by_size.entry(look.0).or_insert(path);
        }
    }

    /// The best of them for this change, and whether it is likely.
    fn find(&mut self, change: &'a Change) -> Option<(&'a [u8], bool)> {
        let (look, path) = (look_of(wanted(change)?), change.path.as_bytes());
        let named = self.by_look_and_name.get_mut(&(look, name_of(path)));
        let likely = named.and_then(|paths| take(paths, path));
        let likely = likely.or_else(|| take(self.by_look.get_mut(&look)?, path));
        if let Some(likely) = likely {
            return Some((likely, true));
        }
        // What has an old version of its own is better compared with that.
        let other = self.by_size.get(&look.0).copied();
        other.filter(|other| change.from.is_none() && *other != path).map(|other| (other, false))
    }
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The first of these that is another file. It goes to the end, so that each is used once before any is used twice.
fn take<'a>(paths: &mut VecDeque<&'a [u8]>, other_than: &[u8]) -> Option<&'a [u8]> {
    let place = paths.iter().take(2).position(|path| *path != other_than)?;
    let path = paths.remove(place)?;
    paths.push_back(path);
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Kind;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn path(name: &str) -> RelPath {
        RelPath::new(name.as_bytes()).unwrap()
    }

    fn file(size_bytes: u64, mtime_s: i64) -> Option<Entry> {
        let kind = Kind::File { size_bytes, digest: None };
        Some(Entry { kind, mode: 0o644, mtime_s, mtime_ns: 0, owner: None, xattrs: None })
    }

    #[test]
    fn a_renamed_directory_is_found_file_by_file() {
        let mut changes = vec![];
        for number in 0..100 {
            // All look alike: only the names tell which is which.
            let (new, old) = (path(&format!("new/{number}")), path(&format!("old/{number}")));
            changes.push(Change { path: new, from: None, to: file(10, 1) });
            changes.push(Change { path: old, from: file(10, 1), to: None });
        }
        let found = reusable(&changes, &Entries::default());
        assert_eq!(found.len(), 100);
        for reuse in found {
            assert_eq!(reuse.path.file_name(), changes[reuse.change].path.file_name());
            assert!(reuse.leaves && reuse.is_likely);
        }
    }

    #[test]
    fn one_old_file_for_two_new_ones_stays_what_it_is() {
        let changes = [
            Change { path: path("a"), from: None, to: file(10, 1) },
            Change { path: path("b"), from: None, to: file(10, 1) },
            Change { path: path("old"), from: file(10, 1), to: None },
        ];
        let found = reusable(&changes, &Entries::default());
        assert_eq!(found.iter().map(|reuse| reuse.leaves).collect::<Vec<_>>(), [false, false]);
    }

    #[test]
    fn what_gets_another_mode_too_is_copied() {
        let mut to = file(10, 1).unwrap();
        to.mode = 0o600;
        let changes = [
            Change { path: path("new"), from: None, to: Some(to) },
            Change { path: path("old"), from: file(10, 1), to: None },
        ];
        let found = reusable(&changes, &Entries::default());
        assert!(found[0].is_likely && !found[0].leaves, "the old name would not look as planned any more");
    }

    #[test]
    fn only_large_files_are_looked_for_by_size_alone() {
        let (small, large) = (path("small"), path("large"));
        let kept = [(small, file(100, 5).unwrap()), (large.clone(), file(1 << 20, 5).unwrap())];
        let changes = [
            Change { path: path("a"), from: None, to: file(100, 1) },
            Change { path: path("b"), from: None, to: file(1 << 20, 1) },
            Change { path: path("c"), from: file(7, 0), to: file(1 << 20, 1) },
        ];
        let found = reusable(&changes, &Entries::from(kept));
        assert_eq!(found, [Reuse { change: 1, path: large, is_likely: false, leaves: false }]);
    }

    #[test]
    fn files_of_one_size_are_suspected_as_long_as_that_costs_little() {
        let new =
            |name: &str, size, mtime_s| Change { path: path(name), from: None, to: file(size, mtime_s) };
        let check =
            |changes: &[Change], found: &[usize]| assert_eq!(possible_twins(changes, |_| true), found);
        check(&[new("a", 1 << 20, 1), new("b", 1 << 20, 2), new("c", 1 << 21, 1)], &[0, 1]);
        check(&[new("a", 1000, 1), new("b", 1000, 1)], &[]);
        // Of what looks alike any amount is read; on size alone, the largest that fit.
        let huge = 1_u64 << 40;
        check(&[new("1/a", huge, 1), new("2/a", huge, 1), new("b", huge, 2)], &[0, 1]);
        check(&[new("a", huge, 1), new("b", huge, 2), new("c", 1 << 20, 1), new("d", 1 << 20, 2)], &[2, 3]);
        let changes = [new("1/a", huge, 1), new("2/a", huge, 1)];
        assert!(possible_twins(&changes, |_| false).is_empty(), "both are there");
    }

    proptest! {
        #[test]
        fn what_is_found_is_there_and_leaves_for_one_only(
            files in prop::collection::vec((0_u8..40, prop::option::of(0_u64..4), prop::option::of(0_u64..4), 0_i64..2), 0..40),
        ) {
            let mut changes: BTreeMap<RelPath, Change> = BTreeMap::new();
            for (name, from, to, mtime_s) in files {
                let sized = |kind: Option<u64>| kind.and_then(|kind| file(kind << 15, mtime_s));
                let path = path(&format!("{}/{}", name % 5, name / 5));
                changes.insert(path.clone(), Change { path, from: sized(from), to: sized(to) });
            }
            let changes: Vec<_> = changes.into_values().collect();
            let mut leaving = BTreeSet::new();
            let found = reusable(&changes, &Entries::default());
            for reuse in &found {
                let wanted = &changes[reuse.change];
                let basis = changes.iter().find(|change| change.path == reuse.path).unwrap();
                prop_assert!(wanted.moves_content());
                prop_assert_ne!(&wanted.path, &basis.path);
                prop_assert_eq!(wanted.to.as_ref().unwrap().size_bytes(), basis.from.as_ref().unwrap().size_bytes());
                if reuse.leaves {
                    prop_assert!(basis.to.is_none());
                    prop_assert!(leaving.insert(&reuse.path));
                    prop_assert_eq!(found.iter().filter(|other| other.path == reuse.path).count(), 1);
                }
            }
            let numbers: BTreeSet<_> = found.iter().map(|reuse| reuse.change).collect();
            prop_assert_eq!(numbers.len(), found.len());
        }
    }
}
