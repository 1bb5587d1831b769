//! A packed map beside the map that it stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RelPath {
    if text.is_empty() { RelPath::root() } else { RelPath::new(text.as_bytes()).unwrap() }
}

pub(crate) fn arbitrary_path() -> impl Strategy<Value = RelPath> {
    proptest::collection::vec("[ab -~]{1,9}", 0..4).prop_map(|names| {
        let names: Vec<String> = names.iter().map(|name| name.replace(['/', '.'], "_")).collect();
        path(&names.join("/"))
    })
}

pub(crate) fn arbitrary_entry() -> impl Strategy<Value = Entry> {
    let text = proptest::collection::vec(any::<u8>(), 0..20);
    let kind = prop_oneof![
        (any::<u64>(), any::<Option<u8>>()).prop_map(|(size_bytes, digest)| Kind::File {
            size_bytes,
            digest: digest.map(|byte| Digest::from_bytes([byte; 32]))
        }),
        Just(Kind::Directory),
        text.prop_map(|target| Kind::Symlink { target: Bytes(target) }),
        arbitrary_path().prop_map(|first| Kind::HardLink { first }),
        (any::<bool>(), any::<u32>(), any::<u32>()).prop_map(|(is_block, major, minor)| Kind::Device {
            is_block,
            major,
            minor
        }),
        prop_oneof![Just(Kind::Fifo), Just(Kind::Socket), Just(Kind::Other)],
    ];
    let owner = proptest::option::of((0..3_u32, 0..3_u32).prop_map(|(uid, gid)| Owner { uid, gid }));
    let xattrs =
        proptest::option::of(proptest::collection::btree_map("user[.][ab]", Just(Bytes(vec![0])), 0..3));
    (kind, any::<u32>(), any::<i64>(), any::<u32>(), owner, xattrs).prop_map(
        |(kind, mode, mtime_s, mtime_ns, owner, xattrs)| Entry {
            kind,
            mode,
            mtime_s,
            mtime_ns,
            owner,
            xattrs: xattrs.map(Arc::new),
        },
    )
}

proptest! {
    #[test]
    fn it_is_the_map_it_stands_for(
        some in proptest::collection::vec((arbitrary_path(), arbitrary_entry()), 0..30),
        late in proptest::collection::vec((arbitrary_path(), arbitrary_entry()), 0..10),
        at in arbitrary_path(),
    ) {
        let mut map: BTreeMap<RelPath, Entry> = BTreeMap::new();
        let mut entries: Entries = some.iter().cloned().collect();
        map.extend(some);
        for (path, entry) in late {
            prop_assert_eq!(entries.insert(path.clone(), entry.clone()), map.insert(path, entry));
        }
        prop_assert_eq!(entries.remove(&at), map.remove(&at));
        let all: Vec<(RelPath, Entry)> = entries.iter().collect();
        prop_assert_eq!(&all, &map.clone().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(&entries, &map.clone().into_iter().rev().collect::<Entries>());
        for path in map.keys().chain([&at]) {
            prop_assert_eq!(entries.get(path), map.get(path).cloned());
            let below: Vec<RelPath> = entries.below(path).map(|row| row.path()).collect();
            let expected: Vec<RelPath> = map.keys().filter(|other| other.is_below(path)).cloned().collect();
            prop_assert_eq!(below, expected);
        }
    }

    #[test]
    fn a_directory_is_followed_by_what_is_in_it(one in arbitrary_path(), other in arbitrary_path()) {
        let walked = |path: &RelPath| path.as_bytes().split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let expected = match (one.is_root(), other.is_root()) {
            (false, false) => walked(&one).cmp(&walked(&other)),
            (root, other_root) => other_root.cmp(&root),
        };
        prop_assert_eq!(one.cmp(&other), expected);
    }
}

#[test]
fn a_million_paths_take_less_than_a_hundred_bytes_each() {
    let entry = |size_bytes| Entry {
        kind: Kind::File { size_bytes, digest: None },
        mode: 0o644,
        mtime_s: 1,
        mtime_ns: 2,
        owner: Some(Owner { uid: 33, gid: 33 }),
        xattrs: Some(Xattrs::default()),
    };
    let mut entries = Entries::default();
    for number in 0..10_000_u64 {
        let text = format!(
            "wp-content/uploads/{:04}/{:02}/photo-{number:06}-300x200.jpeg",
            number / 1000,
            number % 1000 / 10
        );
        entries.insert(path(&text), entry(number));
    }
    entries.shrink_to_fit();
    assert_eq!(size_of::<Packed>(), 32);
    let bytes = entries.rows.capacity() * size_of::<Packed>() + entries.paths.capacity();
    assert!(bytes < 100 * entries.len(), "{} bytes a path", bytes / entries.len());
    assert_eq!(entries.metas.known.len(), 1);
}
