//! Whatever is put is taken; whatever else comes is refused, and nothing panics.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::digest::Digest;
use crate::mirror::{
    Basis, Bytes, Change, ChunkSum, Entry, Fsync, Kept, Kind, Landed, Landing, LotFile, Options, Order,
    Owner, Part, Passed, Piece, RelPath,
};

fn path() -> impl Strategy<Value = RelPath> {
    vec(vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff), Just(b'\n')], 1..4), 0..4).prop_map(|parts| {
        let joined = parts.join(&b'/');
        if joined.is_empty() { RelPath::root() } else { RelPath::new(&joined).unwrap() }
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (any::<u64>(), option::of(digest()))
            .prop_map(|(size_bytes, digest)| Kind::File { size_bytes, digest }),
        Just(Kind::Directory),
        vec(any::<u8>(), 0..20).prop_map(|target| Kind::Symlink { target: Bytes(target) }),
        path().prop_filter("no root", |path| !path.is_root()).prop_map(|first| Kind::HardLink { first }),
        any::<(bool, u32, u32)>().prop_map(|(is_block, major, minor)| Kind::Device {
            is_block,
            major,
            minor
        }),
        Just(Kind::Fifo),
        Just(Kind::Socket),
        Just(Kind::Other),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let owner = option::of(any::<(u32, u32)>().prop_map(|(uid, gid)| Owner { uid, gid }));
    let names = prop_oneof![Just("user.a".to_owned()), Just("system.posix_acl_access".to_owned())];
    let values = vec(any::<u8>(), 0..8).prop_map(Bytes);
    let xattrs = option::of(proptest::collection::btree_map(names, values, 0..3).prop_map(Arc::new));
    (kind(), 0..0o10000_u32, any::<i64>(), 0..1_000_000_000_u32, owner, xattrs).prop_map(
        |(kind, mode, mtime_s, mtime_ns, owner, xattrs)| Entry {
            kind,
            mode,
            mtime_s,
            mtime_ns,
            owner,
            xattrs,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    (path(), option::of(entry()), option::of(entry())).prop_map(|(path, from, to)| Change { path, from, to })
}

fn lot_file() -> impl Strategy<Value = LotFile> {
    let basis = prop_oneof![
        Just(Basis::Nothing),
        any::<bool>().prop_map(|staged| Basis::Chunks { staged }),
        (path(), digest(), any::<bool>()).prop_map(|(path, digest, leaves)| Basis::Same {
            path,
            digest,
            leaves
        }),
        (path(), digest()).prop_map(|(path, digest)| Basis::Twin { path, digest }),
    ];
    let part = prop_oneof![
        Just(Part::Whole),
        (any::<u32>(), any::<u32>())
            .prop_map(|(offset, bytes)| Part::Range { offset: offset.into(), bytes: bytes.into() }),
        Just(Part::Land),
    ];
    (change(), basis, part).prop_map(|(change, basis, part)| LotFile { change, basis, part })
}

fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        Just(Kept::Gone),
        Just(Kept::NoFile),
        Just(Kept::Restless),
        ".{0,9}".prop_map(Kept::Unreadable),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        (any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..40)).prop_map(|(file, offset, bytes)| Piece::Data {
            file,
            offset: offset.into(),
            bytes: bytes.into()
        }),
        any::<(u32, u32, u32, u32)>().prop_map(|(file, offset, from, bytes)| Piece::Copy {
            file,
            offset: offset.into(),
            from: from.into(),
            bytes: bytes.into()
        }),
        (any::<u32>(), entry(), digest()).prop_map(|(file, entry, digest)| Piece::End {
            file,
            entry,
            digest
        }),
        (any::<u32>(), kept()).prop_map(|(file, why)| Piece::Kept { file, why }),
    ]
}

fn landed() -> impl Strategy<Value = Landed> {
    prop_oneof![
        (any::<u64>(), option::of(entry())).prop_map(|(bytes, entry)| Landed::Done { bytes, entry }),
        Just(Landed::Staged),
        kept().prop_map(Landed::Kept),
        Just(Landed::Strange),
        Just(Landed::Unlike),
        ".{0,9}".prop_map(Landed::Failed),
    ]
}

fn seen() -> impl Strategy<Value = Seen> {
    let sight = prop_oneof![
        (path(), entry()).prop_map(|(path, entry)| Sight::Entry(path, entry)),
        (path(), ".{0,9}").prop_map(|(path, why)| Sight::Unreadable(path, why)),
        path().prop_map(Sight::Excluded),
        path().prop_map(Sight::Landed),
        (path(), entry()).prop_map(|(path, entry)| Sight::Original(path, entry)),
        (any::<u32>(), ".{0,9}").prop_map(|(number, name)| Sight::User(number, name)),
        (any::<u32>(), ".{0,9}").prop_map(|(number, name)| Sight::Group(number, name)),
    ];
    (any::<bool>(), sight).prop_map(|(before, sight)| Seen { before, sight })
}

fn door() -> impl Strategy<Value = Door> {
    let parts = (vec(any::<u8>(), 0..30), ".{0,20}", vec(any::<u8>(), 0..33), vec(".{0,20}", 0..3));
    parts.prop_map(|(root, command, token, host_keys)| Door {
        remote: "root@us.example.net:2222".parse().unwrap(),
        root,
        command,
        token,
        host_keys,
    })
}

fn passed() -> impl Strategy<Value = Passed> {
    let parts = (any::<u64>(), any::<u64>(), any::<bool>(), vec((path(), entry()), 0..4));
    parts.prop_map(|(sent_bytes, copied_bytes, lands, newer)| Passed {
        sent_bytes,
        copied_bytes,
        lands,
        newer,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let order = (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(landing, after, needs)| Order {
        landing,
        after,
        needs,
    });
    let ordered = (order, plain_call()).prop_map(|(order, call)| Call::InOrder(order, Box::new(call)));
    prop_oneof![plain_call(), ordered]
}

fn plain_call() -> impl Strategy<Value = Call> {
    let landing = (any::<u32>(), prop_oneof![Just(Fsync::Once), Just(Fsync::Each), Just(Fsync::Never)])
        .prop_map(|(generations, fsync)| Landing { generations, fsync, ..Landing::default() });
    prop_oneof![
        vec(any::<u8>(), 0..30).prop_map(|root| Call::Open { root }),
        Just(Call::Scan(Options { exclude: vec!["*.log".into()], ..Options::default() })),
        (digest(), digest()).prop_map(|(pair, name)| Call::Agree { pair, name }),
        (path(), entry()).prop_map(|(path, wanted)| Call::Signature { path, wanted }),
        landing.prop_map(Call::Begin),
        change().prop_map(Call::Change),
        Just(Call::Land),
        Just(Call::FoldsCase),
        vec(".{0,9}", 0..3).prop_map(|exclude| Call::Watch { exclude }),
        Just(Call::Remembers),
        select(vec![
            Call::Keep,
            Call::Switch,
            Call::Settle,
            Call::Quarantined,
            Call::Generations,
            Call::Room
        ]),
        door().prop_map(|door| Call::Reach { door, manners: Manners::default() }),
    ]
}

fn through<T: Item + Clone + PartialEq + std::fmt::Debug>(items: &[T]) {
    let mut pack = Pack::new();
    let mut packs = vec![];
    for item in items {
        if pack.push(item) {
            packs.extend(pack.take());
        }
    }
    packs.extend(pack.take());
    let read: Vec<T> = packs.iter().cloned().flat_map(|pack| unpack::<T>(pack).unwrap()).collect();
    assert_eq!(read, items);
    // Cut anywhere, it is less or nothing, never something else and never a panic.
    for pack in packs {
        for cut in [pack.len() / 2, pack.len().saturating_sub(1)] {
            if let Ok(some) = unpack::<T>(pack.slice(..cut)) {
                assert!(items.starts_with(&some));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_put_is_taken(
        seen in vec(seen(), 0..8),
        changes in vec(change(), 0..8),
        files in vec(lot_file(), 0..8),
        pieces in vec(piece(), 0..8),
        landed in vec(landed(), 0..8),
        found in vec(option::of(entry()), 0..8),
        grains in vec(any::<u64>().prop_map(Grain), 0..8),
        chunks in vec(any::<(u32, [u8; 16])>().prop_map(|(bytes, sum)| ChunkSum { bytes, sum }), 0..8),
        passed in vec(passed(), 0..8),
    ) {
        through(&passed);
        through(&seen);
        through(&changes);
        through(&files);
        through(&pieces);
        through(&landed);
        through(&found);
        through(&grains);
        through(&chunks);
    }

    #[test]
    fn calls_are_what_they_were(call in call()) {
        let mut to = Writer::new();
        call.put(&mut to);
        prop_assert_eq!(Call::take(&mut Reader::new(to.into_bytes())).unwrap(), call);
    }

    #[test]
    fn no_bytes_panic(kind in 1..21_u8, bytes in vec(any::<u8>(), 0..300)) {
        let raw = bytes::Bytes::from(bytes.clone());
        let _ = Call::take(&mut Reader::new(raw.clone()));
        let _ = Reply::take(&mut Reader::new(raw.clone()));
        let _ = Hello::read(raw);
        let pack: bytes::Bytes = [&[kind][..], &bytes].concat().into();
        let _ = unpack::<Seen>(pack.clone());
        let _ = unpack::<Change>(pack.clone());
        let _ = unpack::<LotFile>(pack.clone());
        let _ = unpack::<Piece>(pack.clone());
        let _ = unpack::<Landed>(pack.clone());
        let _ = unpack::<Passed>(pack.clone());
        let _ = unpack::<RelPath>(pack);
    }
}

#[test]
fn no_path_that_leaves_its_root_can_be_said() {
    for path in [&b"../etc/passwd"[..], b"a/../b", b"/etc/passwd", b"a//b", b"a\0b", b"."] {
        let mut to = Writer::new();
        to.byte(RelPath::KIND);
        to.path(path);
        assert!(unpack::<RelPath>(to.into_bytes()).is_err(), "{path:?}");
    }
}

#[test]
fn few_bytes_never_stand_for_many() {
    // Every path is the one before with one byte more or less: three bytes each, and four thousand when written out.
    let long = [[b'a'; 255].as_slice(); 15].join(&b'/');
    let mut to = Writer::new();
    to.byte(RelPath::KIND);
    for _ in 0..10_000 {
        to.path(&long);
        to.path(&long[..long.len() - 1]);
    }
    assert!(to.len() < FRAME_BYTES_MAX);
    assert!(unpack::<RelPath>(to.into_bytes()).is_err());
    // What dr packs itself is never so dense.
    let paths = vec![RelPath::new(&long).unwrap(); 3_000];
    through(&paths);
}

#[test]
fn an_entry_of_a_website_is_short() {
    let page = |number: u32| {
        let path = RelPath::new(format!("wp-content/uploads/2026/11/image-{number}.jpg").as_bytes()).unwrap();
        let kind = Kind::File { size_bytes: 4000 + u64::from(number), digest: None };
        let owner = Some(Owner { uid: 33, gid: 33 });
        let (mtime_s, mtime_ns) = (1_760_000_000 + i64::from(number), number * 7919 % 1_000_000_000);
        Seen {
            before: false,
            sight: Sight::Entry(path, Entry { kind, mode: 0o644, mtime_s, mtime_ns, owner, xattrs: None }),
        }
    };
    let mut pack = Pack::new();
    let items = (0..1000).map(page).take_while(|item| !pack.push(item)).count();
    assert_eq!(items, 1000);
    let bytes = pack.take().unwrap().len();
    assert!(bytes < 22 * items, "{bytes} bytes for {items} entries");
}
