//! Lots of files from one endpoint to another.

use std::os::unix::fs::symlink as link;
use std::path::Path;

use dr_core::mirror::{Basis, Bytes, Change, Entry, Kept, Kind, Landed, Landing, Lot, LotFile, Part, Piece};
use dr_core::world::endpoints::LocalEndpoint;
use dr_core::world::{Endpoint, PieceReceiver, PieceSender};
use dr_core::{Digest, Error, ErrorKind};

use crate::contract::{directory, file, make, path, write};
use crate::peers::Peer;

/// What a source says and what the target makes of it.
pub(crate) async fn send(
    source: &dyn Endpoint,
    target: &dyn Endpoint,
    lot: &Lot,
) -> Result<Vec<Landed>, Error> {
    let (out, pieces) = tokio::sync::mpsc::channel(4);
    let (supplied, landed) = tokio::join!(source.supply(lot, out), target.land(lot, pieces));
    if landed.is_ok() {
        supplied.unwrap();
    }
    landed
}

pub(crate) fn wanted(at: &str, from: Option<Entry>, to: Entry) -> LotFile {
    let change = Change { path: path(at), from, to: Some(to) };
    LotFile { change, basis: Basis::Nothing, part: Part::Whole }
}

/// Everything that both trees can carry of what stands at a path of the source.
async fn planned(source: &dyn Endpoint, target: &dyn Endpoint, at: &str) -> LotFile {
    let carries = source.carries().onto(target.carries());
    let to = source.stat(&path(at)).await.unwrap().unwrap().as_carried(carries);
    let from = target.stat(&path(at)).await.unwrap();
    wanted(at, from, to)
}

pub(crate) fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    (0..bytes as u32).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

async fn local(root: &Path) -> LocalEndpoint {
    std::fs::create_dir_all(root).unwrap();
    LocalEndpoint::open(root).await.unwrap()
}

/// Sizes on both sides of every limit, in one lot.
pub(crate) async fn files_of_every_size_arrive(peer: &Peer) {
    let (one, other) = (peer.directory.path().join("one"), peer.directory.path().join("other"));
    let source = local(&one).await;
    std::fs::create_dir_all(&other).unwrap();
    let target = peer.open(&other).await.unwrap();
    target.begin(&Landing::default()).await.unwrap();
    let mut lot = Lot::default();
    for d in 0..3 {
        std::fs::create_dir(one.join(format!("d{d}"))).unwrap();
        make(&*target, &format!("d{d}"), directory()).await;
    }
    let sizes = [0, 1, 4096, 65_536, 262_143, 262_144, 262_145, 1_048_576, 1_048_577, 9_000_000];
    let mut names: Vec<(String, usize)> = (0..700).map(|n| (format!("d{}/{n}", n % 2), n * 7)).collect();
    names.extend(sizes.iter().map(|size| (format!("d2/{size}"), *size)));
    for (name, size) in &names {
        std::fs::write(one.join(name), noise(*size, 1)).unwrap();
        lot.files.push(planned(&source, &*target, name).await);
    }
    let landed = send(&source, &*target, &lot).await.unwrap();
    for ((name, size), landed) in names.iter().zip(&landed) {
        assert!(matches!(landed, Landed::Done { bytes, .. } if *bytes == *size as u64), "{name}: {landed:?}");
        assert_eq!(std::fs::read(other.join(name)).unwrap(), noise(*size, 1), "{name}");
    }
    // All is done already: nothing is written again.
    let landed = send(&source, &*target, &lot).await.unwrap();
    assert!(landed.iter().all(|landed| matches!(landed, Landed::Done { .. })));
    target.settle().await.unwrap();
}

/// One file of a lot does not take the others with it.
pub(crate) async fn each_file_for_itself(peer: &Peer) {
    let (one, other) = (peer.directory.path().join("one"), peer.directory.path().join("other"));
    let source = local(&one).await;
    std::fs::create_dir_all(&other).unwrap();
    let target = peer.open(&other).await.unwrap();
    for name in ["plain", "gone", "link", "newer", "strange", "old"] {
        std::fs::write(one.join(name), format!("new {name}")).unwrap();
    }
    write(&*target, "old", b"what was").await;
    let mut lot = Lot::default();
    for name in ["plain", "gone", "link", "newer", "strange", "old"] {
        lot.files.push(planned(&source, &*target, name).await);
    }
    std::fs::remove_file(one.join("gone")).unwrap();
    std::fs::remove_file(one.join("link")).unwrap();
    link("plain", one.join("link")).unwrap();
    std::fs::write(one.join("newer"), "newer than what was planned").unwrap();
    std::fs::write(other.join("strange"), "by somebody else").unwrap();
    let landed = send(&source, &*target, &lot).await.unwrap();
    assert!(matches!(landed[0], Landed::Done { .. }), "{:?}", landed[0]);
    assert_eq!(landed[1], Landed::Kept(Kept::Gone));
    assert!(matches!(landed[2], Landed::Kept(Kept::NoFile)), "{:?}", landed[2]);
    assert!(matches!(landed[3], Landed::Done { .. }), "{:?}", landed[3]);
    assert_eq!(landed[4], Landed::Strange);
    assert!(matches!(landed[5], Landed::Done { .. }), "{:?}", landed[5]);
    target.settle().await.unwrap();
    assert_eq!(std::fs::read(other.join("newer")).unwrap(), b"newer than what was planned");
    assert_eq!(std::fs::read(other.join("strange")).unwrap(), b"by somebody else");
    assert_eq!(std::fs::read(other.join("old")).unwrap(), b"new old");
    assert!(!other.join("gone").exists() && !other.join("link").exists());
}

/// Whoever lands does not believe what arrives.
pub(crate) async fn garbage_does_not_land(peer: &Peer) {
    let root = peer.directory.path().join("tree");
    std::fs::create_dir_all(&root).unwrap();
    let target = peer.open(&root).await.unwrap();
    let lot = Lot { files: vec![wanted("page", None, file(b"whole"))] };
    let data = |offset: u64, bytes: &'static [u8]| Piece::Data { file: 0, offset, bytes: bytes.into() };
    let end = |digest: &[u8]| Piece::End { file: 0, entry: file(b"whole"), digest: Digest::of(digest) };
    let lies = [
        vec![Piece::Data { file: 1, offset: 0, bytes: "x".into() }],
        vec![data(0, b"whole"), end(b"whole"), end(b"whole")],
        vec![Piece::Copy { file: 0, offset: 0, from: 0, bytes: 5 }, end(b"whole")],
    ];
    for lie in lies {
        let refused = land(&*target, &lot, vec![lie.clone()]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{lie:?}: {refused:?}");
        let _ = std::fs::remove_file(root.join("page"));
    }
    let early = land(&*target, &lot, vec![vec![data(0, b"wh")]]).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Unreachable, "{early:?}");
    assert!(!root.join("page").exists());
    if peer.name == "local" {
        let lies = [
            vec![data(0, b"whale"), end(b"whole")],
            vec![data(0, b"who"), end(b"whole")],
            vec![data(0, b"whole"), data(0, b"whole"), end(b"whole")],
            vec![data(u64::MAX, b"whole"), end(b"whole")],
            vec![data(1 << 20, b"whole"), end(b"whole")],
            vec![data(0, b"whole!"), end(b"whole")],
        ];
        for lie in lies {
            let refused = land(&*target, &lot, vec![lie.clone()]).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{lie:?}: {refused:?}");
            assert!(!root.join("page").exists());
        }
    }
    if peer.name == "local" {
        let endless = land(&*target, &lot, vec![vec![data(1 << 62, b"whole"), end(b"whole")]]).await.unwrap();
        assert_eq!(endless, [Landed::Kept(Kept::Restless)]);
    }
    target.settle().await.unwrap();
    assert_eq!(
        std::fs::read_dir(peer.directory.path())
            .unwrap()
            .filter(|found| {
                found.as_ref().unwrap().file_name().to_string_lossy().starts_with(".dr-staging")
            })
            .count(),
        0
    );
}

pub(crate) async fn land(
    target: &dyn Endpoint,
    lot: &Lot,
    batches: Vec<Vec<Piece>>,
) -> Result<Vec<Landed>, Error> {
    let (out, pieces): (PieceSender, PieceReceiver) = tokio::sync::mpsc::channel(64);
    for batch in batches {
        out.send(batch).await.unwrap();
    }
    drop(out);
    target.land(lot, pieces).await
}

/// Directories in directories, what is in them, and all of it taken away again: each in one call.
pub(crate) async fn changes_may_need_the_ones_before_them(peer: &Peer) {
    let root = peer.directory.path().join("other");
    std::fs::create_dir_all(&root).unwrap();
    let target = peer.open(&root).await.unwrap();
    target.begin(&Landing::default()).await.unwrap();
    let change = |at: String, to: Entry| Change { path: path(&at), from: None, to: Some(to) };
    let target_of_link = Kind::Symlink { target: Bytes(b"nowhere".to_vec()) };
    let link = Entry { kind: target_of_link, ..directory() };
    let wide = |depth: &'static str| (0..700).map(move |n| format!("{n}{depth}"));
    let mut changes: Vec<Change> =
        ["", "/a", "/a/b"].into_iter().flat_map(wide).map(|at| change(at, directory())).collect();
    changes.extend(wide("/a/b/link").map(|at| change(at, link.clone())));
    let landed = target.change_all(&changes).await.unwrap();
    assert_eq!(landed.len(), changes.len());
    assert!(landed.iter().all(Landed::is_landed), "{:?}", landed.iter().find(|one| !one.is_landed()));
    let paths: Vec<_> = changes.iter().rev().map(|change| change.path.clone()).collect();
    let there = target.look(&paths).await.unwrap();
    let back: Vec<Change> =
        paths.into_iter().zip(there).map(|(path, from)| Change { path, from, to: None }).collect();
    let landed = target.change_all(&back).await.unwrap();
    assert!(landed.iter().all(Landed::is_landed), "{:?}", landed.iter().find(|one| !one.is_landed()));
    target.settle().await.unwrap();
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}
