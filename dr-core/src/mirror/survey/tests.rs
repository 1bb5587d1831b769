//! What two ends tell of themselves gives the same difference as both whole trees.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::mirror::drift::{Drift, Known};
use crate::mirror::{Bytes, Entry, Kind, Stamp, diff};

const CARRIES: Carries = Carries {
    nanoseconds: true,
    owners: true,
    any_name: true,
    hard_links: true,
    xattrs: true,
    special: true,
};

type Disk = BTreeMap<RelPath, Entry>;

fn arbitrary_entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        4 => (0..3_u64).prop_map(|size_bytes| Kind::File { size_bytes, digest: None }),
        5 => Just(Kind::Directory),
        1 => (0..2_u8).prop_map(|to| Kind::Symlink { target: Bytes(vec![b'a' + to]) }),
        1 => Just(Kind::Fifo),
    ];
    (kind, 1..3_i64).prop_map(|(kind, mtime_s)| Entry {
        kind,
        mode: 0o644,
        mtime_s,
        mtime_ns: 0,
        owner: None,
        xattrs: None,
    })
}

fn arbitrary_disk() -> impl Strategy<Value = Vec<(RelPath, Entry)>> {
    let path = proptest::collection::vec(prop_oneof!["[ab]", Just("a-".to_owned())], 1..4)
        .prop_map(|names| RelPath::new(names.join("/").as_bytes()).unwrap());
    proptest::collection::vec((path, arbitrary_entry()), 0..25)
}

/// Puts entries over a tree, drops what has no directory to be in, and makes all files of two bytes one file.
fn disk(base: &Disk, over: &[(RelPath, Entry)], gone: &[bool]) -> Disk {
    let root =
        Entry { kind: Kind::Directory, mode: 0o755, mtime_s: 1, mtime_ns: 0, owner: None, xattrs: None };
    let mut wanted = base.clone();
    let mut gone = gone.iter().chain(std::iter::repeat(&false));
    wanted.retain(|_, _| !*gone.next().unwrap());
    wanted.extend(over.iter().cloned());
    let mut disk = Disk::from([(RelPath::root(), root)]);
    let mut shared: Option<(RelPath, Entry)> = None;
    for (path, mut entry) in wanted {
        if !path.parent().is_some_and(|parent| disk.get(&parent).is_some_and(Entry::is_directory)) {
            continue;
        }
        if matches!(entry.kind, Kind::HardLink { .. }) || entry.size_bytes() == 2 {
            entry = match &shared {
                Some((first, file)) => {
                    Entry { kind: Kind::HardLink { first: first.clone() }, ..file.clone() }
                }
                None => {
                    let file = Entry { kind: Kind::File { size_bytes: 2, digest: None }, ..entry };
                    shared = Some((path.clone(), file.clone()));
                    file
                }
            };
        }
        disk.insert(path, entry);
    }
    disk
}

fn delta(was: &Disk, now: &Disk) -> Delta {
    let mut drift = Drift::new();
    let mut paths: Vec<&RelPath> = was.keys().chain(now.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let known = |disk: &'_ Disk| {
            let entry = disk.get(path)?.clone();
            Some((matches!(entry.kind, Kind::HardLink { .. }) || entry.size_bytes() == 2, entry))
        };
        let (was, now) = (known(was), known(now));
        fn side(known: &Option<(bool, Entry)>) -> Option<Known<'_>> {
            known.as_ref().map(|(is_linked, entry)| Known { entry, stamp: None, is_linked: *is_linked })
        }
        drift.pass(path.as_bytes(), side(&was), side(&now));
    }
    drift.finish(Digest::of(b"agreed"))
}

fn whole(disk: &Disk) -> Snapshot {
    Snapshot { entries: disk.clone().into_iter().collect(), ..Snapshot::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn deltas_say_what_whole_trees_say(
        base in arbitrary_disk(), here in arbitrary_disk(), there in arbitrary_disk(),
        holes in proptest::collection::vec(any::<[bool; 2]>(), 0..9),
    ) {
        let agreed = disk(&Disk::new(), &base, &[]);
        let (gone, lost): (Vec<bool>, Vec<bool>) = holes.iter().map(|[gone, lost]| (*gone, *lost)).unzip();
        let (source, target) = (disk(&agreed, &here, &gone), disk(&agreed, &there, &lost));
        let (ours, theirs) = (delta(&agreed, &source), delta(&agreed, &target));
        prop_assert_eq!(ours.counts.files + ours.counts.directories, source.len() as u64);
        let joined = join(&ours, &theirs, CARRIES);
        let options = Options::default();
        let expected = diff(&whole(&source), &whole(&target), &options, CARRIES);
        let told = diff(&joined.source, &joined.target, &options, CARRIES);
        prop_assert_eq!(&told.changes, &expected.changes);
        // What is listed stands in directories that are listed.
        for side in [&joined.source, &joined.target] {
            for row in side.entries.rows().filter(|row| !row.is_file()) {
                let parent = row.path().parent();
                prop_assert!(parent.is_none_or(|parent| side.entries.contains_key(&parent)), "{}", row.path());
            }
        }
    }
}

#[test]
fn a_file_that_was_touched_behind_its_time_is_doubted() {
    let file = Entry {
        kind: Kind::File { size_bytes: 5, digest: None },
        mode: 0o644,
        mtime_s: 1,
        mtime_ns: 0,
        owner: None,
        xattrs: None,
    };
    let check = |was: Option<u64>, now: Option<u64>, expected: usize| {
        let known = |inode: Option<u64>| {
            let stamp = inode.map(|inode| Stamp { inode, ..Stamp::default() });
            Some(Known { entry: &file, stamp, is_linked: false })
        };
        let mut drift = Drift::new();
        drift.pass(b"page", known(was), known(now));
        let delta = drift.finish(Digest::of(b"agreed"));
        let joined = join(&delta, &Delta::default(), CARRIES);
        assert_eq!(joined.doubtful.len(), expected, "{was:?} {now:?}");
        assert_eq!(joined.target.entries.len(), expected, "it is there as it was");
    };
    check(Some(1), Some(1), 0);
    check(Some(1), Some(2), 1);
    check(None, Some(2), 0);
}

/// The target makes a new file of the first name: the others must be tied to it, though nothing shows at them.
#[test]
fn all_names_of_a_file_that_changed_are_told() {
    let entry = |kind| Entry { kind, mode: 0o644, mtime_s: 1, mtime_ns: 0, owner: None, xattrs: None };
    let file = |size_bytes| entry(Kind::File { size_bytes, digest: None });
    let link = entry(Kind::HardLink { first: RelPath::new(b"a").unwrap() });
    let (before, after) = (file(5), file(6));
    fn known(entry: &Entry) -> Option<Known<'_>> {
        Some(Known { entry, stamp: None, is_linked: true })
    }
    let mut drift = Drift::new();
    drift.pass(b"a", known(&before), known(&after));
    drift.pass(b"b", known(&link), known(&link));
    let delta = drift.finish(Digest::of(b"agreed"));
    let joined = join(&delta, &Delta::default(), CARRIES);
    let told = diff(&joined.source, &joined.target, &Options::default(), CARRIES);
    let paths: Vec<String> = told.changes.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(paths, ["a", "b"]);
}
