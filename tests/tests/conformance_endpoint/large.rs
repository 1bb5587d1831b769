//! Large files, and what gets in the way of a lot.

use std::os::unix::fs::{FileExt, MetadataExt, symlink as link};
use std::path::Path;
use std::process::Command;

use dr_core::mirror::{Basis, Change, Entry, Kept, Kind, Landed, Lot, LotFile, Part, Piece};
use dr_core::world::Endpoint;
use dr_core::world::endpoints::LocalEndpoint;
use dr_core::{Digest, ErrorKind};

use crate::contract::path;
use crate::lots::{land, noise, send, wanted};

const PART_BYTES: u64 = 4 << 20;

struct Pair {
    directory: tempfile::TempDir,
    source: LocalEndpoint,
    target: LocalEndpoint,
}

impl Pair {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["one", "other"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let source = LocalEndpoint::open(&directory.path().join("one")).await.unwrap();
        let target = LocalEndpoint::open(&directory.path().join("other")).await.unwrap();
        Self { directory, source, target }
    }

    fn one(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("one").join(name)
    }

    fn other(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("other").join(name)
    }

    async fn planned(&self, name: &str) -> LotFile {
        let to = self.source.stat(&path(name)).await.unwrap().unwrap();
        wanted(name, self.target.stat(&path(name)).await.unwrap(), to)
    }

    async fn send(&self, files: Vec<LotFile>) -> Vec<Landed> {
        send(&self.source, &self.target, &Lot { files }).await.unwrap()
    }

    fn is_staging_left(&self) -> bool {
        self.directory.path().join(".dr-staging-other").exists()
    }
}

fn range(file: &LotFile, offset: u64) -> LotFile {
    LotFile { part: Part::Range { offset, bytes: PART_BYTES }, ..file.clone() }
}

fn landing(file: &LotFile) -> LotFile {
    LotFile { part: Part::Land, ..file.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_file_comes_in_ranges_of_any_order() {
    let pair = Pair::new().await;
    let content = noise(10_000_000, 3);
    std::fs::write(pair.one("huge"), &content).unwrap();
    let file = pair.planned("huge").await;
    let (last, first) = (vec![range(&file, 2 * PART_BYTES)], vec![range(&file, 0)]);
    let (last, first) = tokio::join!(pair.send(last), pair.send(first));
    assert_eq!((last, first), (vec![Landed::Staged], vec![Landed::Staged]));
    assert_eq!(pair.send(vec![landing(&file)]).await, [Landed::Unlike], "the middle is missing");
    assert!(!pair.other("huge").exists());
    assert_eq!(pair.send(vec![range(&file, PART_BYTES)]).await, [Landed::Staged]);
    assert!(matches!(pair.send(vec![landing(&file)]).await[..], [Landed::Done { bytes: 10_000_000, .. }]));
    assert_eq!(std::fs::read(pair.other("huge")).unwrap(), content);
    pair.target.settle().await.unwrap();
    assert!(!pair.is_staging_left());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_between_its_ranges_does_not_land() {
    let pair = Pair::new().await;
    std::fs::write(pair.one("huge"), noise(10_000_000, 3)).unwrap();
    let file = pair.planned("huge").await;
    assert_eq!(pair.send(vec![range(&file, 0)]).await, [Landed::Staged]);
    std::fs::write(pair.one("huge"), noise(10_000_000, 4)).unwrap();
    assert_eq!(pair.send(vec![range(&file, PART_BYTES)]).await, [Landed::Kept(Kept::Restless)]);
    assert_eq!(pair.send(vec![landing(&file)]).await, [Landed::Kept(Kept::Restless)]);
    pair.target.settle().await.unwrap();
    assert!(!pair.other("huge").exists() && !pair.is_staging_left());
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_stay_holes() {
    let pair = Pair::new().await;
    for (name, size) in [("wide", 64 << 20), ("small", 300_000), ("empty", 5 << 20)] {
        let file = std::fs::File::create(pair.one(name)).unwrap();
        file.set_len(size).unwrap();
        if name != "empty" {
            file.write_all_at(b"in the middle", size / 2).unwrap();
        }
    }
    let mut files = vec![];
    for name in ["wide", "small", "empty"] {
        files.push(pair.planned(name).await);
    }
    let landed = pair.send(files).await;
    assert!(landed.iter().all(|landed| matches!(landed, Landed::Done { .. })), "{landed:?}");
    for name in ["wide", "small", "empty"] {
        assert_eq!(std::fs::read(pair.other(name)).unwrap(), std::fs::read(pair.one(name)).unwrap());
    }
    for name in ["wide", "empty"] {
        assert!(std::fs::metadata(pair.other(name)).unwrap().blocks() < 1024, "{name}");
    }
    pair.target.settle().await.unwrap();
}

/// A line that is cut leaves what arrived; the next run copies from it and lands the whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_short_is_gone_on_with() {
    let pair = Pair::new().await;
    let content = noise(9_000_000, 5);
    std::fs::write(pair.one("huge"), &content).unwrap();
    let file = pair.planned("huge").await;
    let data = |from: usize, to: usize| Piece::Data {
        file: 0,
        offset: from as u64,
        bytes: content[from..to].to_vec().into(),
    };
    let lot = Lot { files: vec![file.clone()] };
    let cut =
        land(&pair.target, &lot, vec![vec![data(0, 2_000_000)], vec![data(2_000_000, 6_000_000)]]).await;
    assert_eq!(cut.unwrap_err().kind(), ErrorKind::Unreachable);
    pair.target.settle().await.unwrap();
    assert!(pair.is_staging_left(), "what arrived is kept");
    let again = LocalEndpoint::open(&pair.directory.path().join("other")).await.unwrap();
    again.begin(&dr_core::mirror::Landing::default()).await.unwrap();
    let to = file.change.to.clone().unwrap();
    let known = again.signature(&path("huge"), &to).await.unwrap().unwrap();
    assert!(known.staged && known.size_bytes() == 6_000_000);
    let lot = Lot { files: vec![LotFile { basis: Basis::Chunks { staged: true }, ..file }] };
    let copy = Piece::Copy { file: 0, offset: 0, from: 0, bytes: 6_000_000 };
    let end = |digest| Piece::End { file: 0, entry: to.clone(), digest };
    // A digest that does not fit is the fault of what was copied, and then nothing of it is kept.
    let rest = data(6_000_000, 9_000_000);
    let landed = land(&again, &lot, vec![vec![copy, rest, end(Digest::of(&content))]]).await.unwrap();
    assert!(matches!(landed[..], [Landed::Done { .. }]), "{landed:?}");
    assert_eq!(std::fs::read(pair.other("huge")).unwrap(), content);
    again.settle().await.unwrap();
    assert!(!pair.is_staging_left());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basis_that_is_another_is_told() {
    let pair = Pair::new().await;
    std::fs::write(pair.other("huge"), noise(3_000_000, 1)).unwrap();
    std::fs::write(pair.one("huge"), noise(3_000_000, 2)).unwrap();
    let file = LotFile { basis: Basis::Chunks { staged: false }, ..pair.planned("huge").await };
    let to = file.change.to.clone().unwrap();
    let lot = Lot { files: vec![file] };
    let copy = |bytes| Piece::Copy { file: 0, offset: 0, from: 0, bytes };
    let end = Piece::End { file: 0, entry: to, digest: Digest::of(&noise(3_000_000, 2)) };
    for pieces in [
        vec![copy(3_000_000), end.clone()],
        vec![Piece::Copy { file: 0, offset: 0, from: 2_000_000, bytes: 2_000_000 }, end],
    ] {
        assert_eq!(land(&pair.target, &lot, vec![pieces]).await.unwrap(), [Landed::Unlike]);
    }
    assert_eq!(std::fs::read(pair.other("huge")).unwrap(), noise(3_000_000, 1), "it keeps what it had");
    let more = land(&pair.target, &lot, vec![vec![copy(u64::MAX)]]).await.unwrap_err();
    assert_eq!(more.kind(), ErrorKind::Corrupt);
    pair.target.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_the_same_file() {
    let pair = Pair::new().await;
    for size in [5_000, 3_000_000] {
        std::fs::write(pair.other("old"), noise(size, 1)).unwrap();
        std::fs::write(pair.one("new"), noise(size, 1)).unwrap();
        let number = std::fs::metadata(pair.other("old")).unwrap().ino();
        for (leaves, bytes) in [(false, size as u64), (true, 0)] {
            let basis = |digest| Basis::Same { path: path("old"), digest, leaves };
            let file = pair.planned("new").await;
            let wrong = LotFile { basis: basis(Digest::of(b"another")), ..file.clone() };
            assert_eq!(pair.send(vec![wrong]).await, [Landed::Unlike]);
            let right = LotFile { basis: basis(Digest::of(&noise(size, 1))), ..file };
            let landed = pair.send(vec![right]).await;
            assert!(
                matches!(landed[..], [Landed::Done { bytes: written, .. }] if written == bytes),
                "{landed:?}"
            );
            assert_eq!(std::fs::read(pair.other("new")).unwrap(), noise(size, 1));
            assert_eq!(std::fs::metadata(pair.other("new")).unwrap().ino() == number, leaves);
            std::fs::remove_file(pair.other("new")).unwrap();
        }
    }
    pair.target.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_holds_still_is_left() {
    let pair = Pair::new().await;
    std::fs::write(pair.one("log"), noise(40_000_000, 1)).unwrap();
    let file = pair.planned("log").await;
    let (out, mut pieces) = tokio::sync::mpsc::channel(1);
    let lot = Lot { files: vec![file] };
    let supply = pair.source.supply(&lot, out);
    let read = async {
        let mut last = None;
        let mut is_first = true;
        while let Some(batch) = pieces.recv().await {
            if std::mem::take(&mut is_first) {
                // It grows after its beginning has been read.
                let log = std::fs::OpenOptions::new().append(true).open(pair.one("log")).unwrap();
                std::io::Write::write_all(&mut &log, b"one more line").unwrap();
            }
            last = batch.into_iter().last();
        }
        last
    };
    let (supplied, last) = tokio::join!(supply, read);
    supplied.unwrap();
    assert_eq!(last, Some(Piece::Kept { file: 0, why: Kept::Restless }));
}

/// Whoever waits for a lot goes away: the work ends, and nothing half-written is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_lot_that_nobody_waits_for_ends() {
    let pair = Pair::new().await;
    std::fs::write(pair.one("page"), noise(3_000_000, 1)).unwrap();
    let lot = Lot { files: vec![pair.planned("page").await] };
    let (out, pieces) = tokio::sync::mpsc::channel(64);
    let half = Piece::Data { file: 0, offset: 0, bytes: noise(2_000_000, 1).into() };
    out.send(vec![half]).await.unwrap();
    let waited = tokio::time::timeout(std::time::Duration::from_millis(200), pair.target.land(&lot, pieces));
    assert!(waited.await.is_err(), "it waits for more");
    drop(out);
    pair.target.settle().await.unwrap();
    assert!(!pair.other("page").exists() && !pair.is_staging_left());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lot_is_led_out_of_the_tree() {
    let pair = Pair::new().await;
    let outside = pair.directory.path().join("outside");
    for at in [pair.one("d"), pair.other("d"), outside.clone()] {
        std::fs::create_dir(at).unwrap();
    }
    std::fs::write(outside.join("page"), "outside").unwrap();
    std::fs::write(pair.one("d/page"), "new").unwrap();
    std::fs::write(pair.one("d/secret"), "new").unwrap();
    let files = vec![pair.planned("d/page").await, pair.planned("d/secret").await];
    // After it was planned, a link is slipped in.
    std::fs::remove_dir(pair.other("d")).unwrap();
    link(&outside, pair.other("d")).unwrap();
    let landed = pair.send(files).await;
    assert!(landed.iter().all(|landed| matches!(landed, Landed::Failed(_))), "{landed:?}");
    let gone = Change { path: path("d/page"), from: Some(crate::contract::file(b"outside")), to: None };
    let _ = pair.target.change_all(&[gone]).await.unwrap();
    assert_eq!(std::fs::read_to_string(outside.join("page")).unwrap(), "outside");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    // The same at the source: what a link leads to is never sent.
    std::fs::remove_dir_all(pair.one("d")).unwrap();
    link(&outside, pair.one("d")).unwrap();
    let to = Entry { kind: Kind::File { size_bytes: 7, digest: None }, ..crate::contract::file(b"outside") };
    let landed = pair.send(vec![wanted("d/page", None, to)]).await;
    assert!(matches!(landed[..], [Landed::Kept(_)]), "{landed:?}");
    pair.target.settle().await.unwrap();
}

/// chattr(1) works where the file system and the account allow it.
fn make_immutable(at: &Path, is: bool) -> bool {
    let word = if is { "+i" } else { "-i" };
    Command::new("chattr").arg(word).arg(at).output().is_ok_and(|done| done.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_file_does_not_stop_the_others() {
    let pair = Pair::new().await;
    for name in ["fixed", "free"] {
        std::fs::write(pair.other(name), "old").unwrap();
        std::fs::write(pair.one(name), "newer").unwrap();
    }
    let files = vec![pair.planned("fixed").await, pair.planned("free").await];
    if !make_immutable(&pair.other("fixed"), true) {
        return;
    }
    let landed = pair.send(files).await;
    make_immutable(&pair.other("fixed"), false);
    assert!(matches!(landed[..], [Landed::Failed(_), Landed::Done { .. }]), "{landed:?}");
    assert_eq!(std::fs::read_to_string(pair.other("fixed")).unwrap(), "old");
    assert_eq!(std::fs::read_to_string(pair.other("free")).unwrap(), "newer");
    pair.target.settle().await.unwrap();
}
