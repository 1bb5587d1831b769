//! Differences on random trees, and in what order they are made.

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
        for (path, entry) in seen.entries.iter() {
            if !is_held(&path) && !seen.unreadable.contains_key(&path) {
                prop_assert!(disk.get(&path).is_some_and(|there| same_content(&entry, there)), "{} is missing", path);
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
    let tree =
        |entry: &Entry| Snapshot { entries: [(root.clone(), entry.clone())].into(), ..Snapshot::default() };
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
