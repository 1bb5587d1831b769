//! The contract of `Endpoint`, through nothing but the trait: any implementation can be put to it.

use std::io;

use dr_core::mirror::{Bytes, Change, Entry, Kind, Options, Progress, RelPath};
use dr_core::world::{Content, Control, Endpoint};
use dr_core::{Digest, Error, ErrorKind};

pub(crate) fn path(text: &str) -> RelPath {
    if text.is_empty() { RelPath::root() } else { RelPath::new(text.as_bytes()).unwrap() }
}

pub(crate) fn entry(kind: Kind, mode: u32) -> Entry {
    Entry { kind, mode, mtime_s: 1_600_000_000, mtime_ns: 0, owner: None, xattrs: None }
}

pub(crate) fn file(content: &[u8]) -> Entry {
    entry(Kind::File { size_bytes: content.len() as u64, digest: None }, 0o640)
}

pub(crate) fn directory() -> Entry {
    entry(Kind::Directory, 0o755)
}

pub(crate) fn symlink(target: &str) -> Entry {
    entry(Kind::Symlink { target: Bytes(target.as_bytes().to_vec()) }, 0o777)
}

pub(crate) fn content(bytes: &[u8]) -> Content {
    Box::new(io::Cursor::new(bytes.to_vec()))
}

pub(crate) async fn write(tree: &dyn Endpoint, at: &str, bytes: &[u8]) {
    assert_eq!(tree.write(&path(at), &file(bytes), content(bytes)).await.unwrap(), bytes.len() as u64);
}

pub(crate) async fn make(tree: &dyn Endpoint, at: &str, to: Entry) {
    tree.change(&Change { path: path(at), from: None, to: Some(to) }).await.unwrap();
}

pub(crate) async fn read(tree: &dyn Endpoint, at: &RelPath) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![];
    tokio::io::AsyncReadExt::read_to_end(&mut tree.read(at).await?, &mut bytes).await.unwrap();
    Ok(bytes)
}

/// Puts an implementation to the contract. `open` opens one and the same tree, which does not exist at first. Each is settled
/// before the next one is opened: one that is only dropped may keep the tree locked until its far end has noticed.
pub(crate) async fn conformance_endpoint(open: impl AsyncFn() -> Box<dyn Endpoint>) {
    let settled = async |part: for<'a> fn(&'a dyn Endpoint) -> Part<'a>| {
        let tree = open().await;
        part(&*tree).await;
        tree.settle().await.unwrap();
    };
    settled(|tree| Box::pin(a_tree_that_is_not_there_is_empty(tree))).await;
    settled(|tree| Box::pin(files_land_as_they_are(tree))).await;
    settled(|tree| Box::pin(changes_can_be_made_twice(tree))).await;
    settled(|tree| Box::pin(kinds_trade_places(tree))).await;
    settled(|tree| Box::pin(what_goes_wrong_leaves_what_was(tree))).await;
    settled(|tree| Box::pin(a_scan_shows_what_the_filter_lets_through(tree))).await;
}

type Part<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

async fn scan(tree: &dyn Endpoint, options: &Options) -> dr_core::mirror::Snapshot {
    tree.scan(options, &Control::silent()).await.unwrap()
}

async fn a_tree_that_is_not_there_is_empty(tree: &dyn Endpoint) {
    let seen = scan(tree, &Options::default()).await;
    assert_eq!(seen, dr_core::mirror::Snapshot::default());
    assert_eq!(tree.stat(&RelPath::root()).await.unwrap(), None);
    assert_eq!(tree.stat(&path("a/b")).await.unwrap(), None);
    make(tree, "", directory()).await;
    let root = tree.stat(&RelPath::root()).await.unwrap().unwrap();
    assert!(root.is_directory() && root.mode == 0o755 && root.mtime_s == 1_600_000_000, "{root:?}");
    assert_eq!(scan(tree, &Options::default()).await.entries.len(), 1);
}

async fn files_land_as_they_are(tree: &dyn Endpoint) {
    let big: Vec<u8> = (0..3_000_001_u32).map(|n| (n * 7 + n / 251) as u8).collect();
    make(tree, "d", directory()).await;
    for (at, bytes) in [("empty", &b""[..]), ("d/small", b"hello\n"), ("d/big", &big)] {
        write(tree, at, bytes).await;
        assert_eq!(read(tree, &path(at)).await.unwrap(), bytes, "{at}");
        let there = tree.stat(&path(at)).await.unwrap();
        let change = Change { path: path(at), from: None, to: Some(file(bytes)) };
        assert_eq!(change.progress(there.as_ref()), Progress::Done, "{at}: {there:?}");
    }
    write(tree, "d/big", b"shorter").await;
    assert_eq!(read(tree, &path("d/big")).await.unwrap(), b"shorter");
    tree.settle().await.unwrap();
    let seen = scan(tree, &Options::default()).await;
    let paths: Vec<String> = seen.entries.rows().map(|row| row.path().to_string()).collect();
    assert_eq!(paths, [".", "d", "d/big", "d/small", "empty"]);
    assert!(seen.unreadable.is_empty() && seen.excluded.is_empty());
    let with_digests = scan(tree, &Options { checksum: true, ..Options::default() }).await;
    let digest = |at: &str| match with_digests.entries.get(&path(at)).unwrap().kind {
        Kind::File { digest, .. } => digest,
        _ => None,
    };
    assert_eq!(digest("d/small"), Some(Digest::of(b"hello\n")));
    assert_eq!(digest("empty"), Some(Digest::of(b"")));
}

async fn changes_can_be_made_twice(tree: &dyn Endpoint) {
    let changes = [
        ("new", directory()),
        ("new/sub", entry(Kind::Directory, 0o2750)),
        ("new/link", symlink("../no/where")),
        ("empty", entry(Kind::File { size_bytes: 0, digest: None }, 0o400)),
    ];
    for (at, to) in &changes {
        for _ in 0..2 {
            make(tree, at, to.clone()).await;
        }
        let change = Change { path: path(at), from: None, to: Some(to.clone()) };
        if *at != "new" {
            assert_eq!(change.progress(tree.stat(&path(at)).await.unwrap().as_ref()), Progress::Done, "{at}");
        }
    }
    for (at, from) in [("new/link", symlink("../no/where")), ("new/sub", directory()), ("new", directory())] {
        let removal = Change { path: path(at), from: Some(from), to: None };
        for _ in 0..2 {
            tree.change(&removal).await.unwrap();
        }
        assert_eq!(tree.stat(&path(at)).await.unwrap(), None);
    }
    let below_nothing = Change { path: path("new/sub/x"), from: Some(file(b"")), to: None };
    tree.change(&below_nothing).await.unwrap();
}

async fn kinds_trade_places(tree: &dyn Endpoint) {
    write(tree, "thing", b"file").await;
    let change = |from: Entry, to: Entry| Change { path: path("thing"), from: Some(from), to: Some(to) };
    tree.change(&change(file(b"file"), symlink("d"))).await.unwrap();
    assert!(matches!(tree.stat(&path("thing")).await.unwrap().unwrap().kind, Kind::Symlink { .. }));
    tree.change(&change(symlink("d"), symlink("e"))).await.unwrap();
    assert_eq!(tree.stat(&path("thing")).await.unwrap().unwrap().kind, symlink("e").kind);
    tree.change(&change(symlink("e"), directory())).await.unwrap();
    assert!(tree.stat(&path("thing")).await.unwrap().unwrap().is_directory());
    tree.change(&change(directory(), symlink("f"))).await.unwrap();
    assert_eq!(tree.stat(&path("thing")).await.unwrap().unwrap().kind, symlink("f").kind);
    tree.change(&change(symlink("f"), directory())).await.unwrap();
    write(tree, "thing", b"file again").await;
    assert_eq!(read(tree, &path("thing")).await.unwrap(), b"file again");
}

async fn what_goes_wrong_leaves_what_was(tree: &dyn Endpoint) {
    struct Breaks(usize);
    impl tokio::io::AsyncRead for Breaks {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if self.0 == 0 {
                let error = Error::new(ErrorKind::Busy, "read a file", "it changed");
                return std::task::Poll::Ready(Err(io::Error::other(error)));
            }
            let count = self.0.min(buffer.remaining());
            buffer.put_slice(&vec![b'x'; count]);
            self.0 -= count;
            std::task::Poll::Ready(Ok(()))
        }
    }
    for size in [0, 5, 2_000_000] {
        let failed = tree.write(&path("thing"), &file(b""), Box::new(Breaks(size))).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Busy, "the error of the content comes back");
        assert_eq!(read(tree, &path("thing")).await.unwrap(), b"file again");
    }
    let removal = |at: &str, from| Change { path: path(at), from: Some(from), to: None };
    let full = tree.change(&removal("d", directory())).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Conflict, "{full:?}");
    let over_full = tree.write(&path("d"), &file(b"x"), content(b"x")).await.unwrap_err();
    assert_eq!(over_full.kind(), ErrorKind::Conflict, "{over_full:?}");
    assert_eq!(read(tree, &path("d/small")).await.unwrap(), b"hello\n");
    tree.change(&removal("", directory())).await.unwrap_err();
    assert_eq!(read(tree, &path("nothing")).await.unwrap_err().kind(), ErrorKind::NotFound);
    tree.write(&path("no/such/directory"), &file(b"x"), content(b"x")).await.unwrap_err();
    assert!(read(tree, &path("d")).await.is_err(), "a directory has no content");
    assert_eq!(tree.stat(&path("thing/below")).await.unwrap(), None);
    tree.settle().await.unwrap();
}

async fn a_scan_shows_what_the_filter_lets_through(tree: &dyn Endpoint) {
    make(tree, "d/cache", directory()).await;
    write(tree, "d/cache/x", b"x").await;
    write(tree, "d/error.log", b"x").await;
    let options = Options { exclude: vec!["cache/".into(), "*.log".into()], ..Options::default() };
    let seen = scan(tree, &options).await;
    let excluded: Vec<String> = seen.excluded.iter().map(ToString::to_string).collect();
    assert_eq!(excluded, ["d/cache", "d/error.log"]);
    assert!(!seen.entries.contains_key(&path("d/cache/x")) && seen.entries.contains_key(&path("d/small")));
    let control = Control::silent();
    control.cancel.cancel();
    assert_eq!(tree.scan(&options, &control).await.unwrap_err().kind(), ErrorKind::Cancelled);
    let wrong = Options { exclude: vec!["[".into()], ..Options::default() };
    assert_eq!(tree.scan(&wrong, &Control::silent()).await.unwrap_err().kind(), ErrorKind::Usage);
}
