//! Large files between two trees of this machine: what travels, and what arrives.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::LocalEndpoint;
use crate::mirror::{
    Basis, Change, Entry, Kind, Landed, Landing, Lot, LotFile, LotLimits, Lots, Part, Piece, RelPath, lots,
};
use crate::world::Endpoint;

/// Content that nothing else is like.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

/// A source that remembers, and a target.
struct Pair {
    directory: tempfile::TempDir,
    source: LocalEndpoint,
    target: LocalEndpoint,
}

impl Pair {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["one", "other", "state"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let at = |name: &str| directory.path().join(name);
        let source = LocalEndpoint::open(&at("one")).await.unwrap().with_state(&at("state"));
        let target = LocalEndpoint::open(&at("other")).await.unwrap();
        target.begin(&Landing::default()).await.unwrap();
        Self { source, target, directory }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn wanted(&self, name: &str, basis: Basis) -> LotFile {
        let path = RelPath::new(name.as_bytes()).unwrap();
        let to = self.source.stat(&path).await.unwrap();
        let from = self.target.stat(&path).await.unwrap();
        LotFile { change: Change { path, from, to }, basis, part: Part::Whole }
    }

    /// What became of each file, and how many bytes of content travelled.
    async fn send(&self, files: Vec<LotFile>) -> (Vec<Landed>, usize) {
        let lot = Lot { files };
        let (out, mut said) = tokio::sync::mpsc::channel::<Vec<Piece>>(4);
        let (forth, pieces) = tokio::sync::mpsc::channel(4);
        let counted = async move {
            let mut literal = 0;
            while let Some(batch) = said.recv().await {
                literal += batch.iter().map(content_of).sum::<usize>();
                if forth.send(batch).await.is_err() {
                    break;
                }
            }
            literal
        };
        let (supplied, landed, literal) =
            tokio::join!(self.source.supply(&lot, out), self.target.land(&lot, pieces), counted);
        supplied.unwrap();
        (landed.unwrap(), literal)
    }

    async fn send_one(&self, name: &str, basis: Basis) -> (Landed, usize) {
        let (landed, literal) = self.send(vec![self.wanted(name, basis).await]).await;
        (landed.into_iter().next().unwrap(), literal)
    }

    /// All ranges of a file, and its landing; how many bytes travelled.
    async fn send_ranges(&self, cut: Lots, name: &str) -> usize {
        let mut literal = 0;
        for lot in cut.then {
            let (landed, bytes) = self.send(lot.files).await;
            assert_eq!(landed, [Landed::Staged]);
            literal += bytes;
        }
        let (landed, _) = self.send(cut.landings).await;
        assert!(matches!(landed[..], [Landed::Done { .. }]), "{landed:?}");
        assert!(self.is_alike(name));
        literal
    }

    fn is_alike(&self, name: &str) -> bool {
        let read = |side: &str| std::fs::read(self.at(side).join(name)).unwrap();
        read("one") == read("other")
    }

    async fn remembers(&self, name: &str) -> bool {
        let path = RelPath::new(name.as_bytes()).unwrap();
        let Some(from) = self.target.stat(&path).await.unwrap() else { return false };
        self.source.remembers(&[(path, from)]).await.unwrap() == [true]
    }
}

fn content_of(piece: &Piece) -> usize {
    if let Piece::Data { bytes, .. } = piece { bytes.len() } else { 0 }
}

const OLD: Basis = Basis::Chunks { staged: false };

/// Writes content with a time of its own.
fn write(path: &Path, content: &[u8], mtime_s: u64) {
    std::fs::write(path, content).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime_s);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn a_file_that_was_sent_once_costs_its_edits() {
    let pair = Pair::new().await;
    let mut content = noise(3_000_000, 1);
    write(&pair.at("one/big"), &content, 1000);
    let (landed, literal) = pair.send_one("big", Basis::Nothing).await;
    assert!(matches!(landed, Landed::Done { bytes: 3_000_000, .. }), "{landed:?}");
    assert_eq!(literal, 3_000_000);
    assert!(pair.remembers("big").await);
    for round in 0..3_u64 {
        content.splice(100..100, noise(1000, 10 + round));
        content[2_000_000] ^= 1;
        write(&pair.at("one/big"), &content, 2000 + round);
        let (landed, literal) = pair.send_one("big", OLD).await;
        assert!(matches!(landed, Landed::Done { .. }), "{landed:?}");
        assert!(literal < 20_000, "round {round}: {literal} bytes travelled");
        assert!(pair.is_alike("big"));
        assert!(pair.remembers("big").await);
    }
}

#[tokio::test]
async fn what_the_source_forgot_the_target_tells() {
    let pair = Pair::new().await;
    let content = noise(2_500_000, 2);
    write(&pair.at("other/big"), &content, 1000);
    write(&pair.at("one/big"), &[b"a new beginning", content.as_slice()].concat(), 2000);
    assert!(!pair.remembers("big").await);
    let wanted = pair.wanted("big", OLD).await.change;
    let signature = pair.target.signature(&wanted.path, &wanted.to.unwrap()).await.unwrap().unwrap();
    assert!(!signature.staged);
    let from = wanted.from.unwrap();
    assert!(pair.source.remember(&wanted.path, &from, &signature).await.unwrap());
    assert!(pair.remembers("big").await);
    let (landed, literal) = pair.send_one("big", OLD).await;
    assert!(matches!(landed, Landed::Done { .. }), "{landed:?}");
    assert!(literal < 10_000 && pair.is_alike("big"), "{literal} bytes travelled");
    let kind = Kind::File { size_bytes: 9, digest: None };
    let longer = Entry { kind, ..from };
    assert!(!pair.source.remember(&wanted.path, &longer, &signature).await.unwrap(), "it is of another size");
}

#[tokio::test]
async fn what_is_not_remembered_is_sent_whole() {
    let pair = Pair::new().await;
    write(&pair.at("other/big"), &noise(2_000_000, 3), 1000);
    write(&pair.at("one/big"), &noise(2_000_001, 3), 2000);
    let (landed, literal) = pair.send_one("big", OLD).await;
    assert!(matches!(landed, Landed::Done { .. }), "{landed:?}");
    assert_eq!(literal, 2_000_001);
    assert!(pair.is_alike("big"));
}

#[tokio::test]
async fn a_basis_that_is_another_is_noticed() {
    let pair = Pair::new().await;
    let mut content = noise(2_000_000, 4);
    write(&pair.at("one/big"), &content, 1000);
    pair.send_one("big", Basis::Nothing).await;
    content[7] ^= 1;
    write(&pair.at("one/big"), &content, 2000);
    // Somebody changed the target without a trace.
    write(&pair.at("other/big"), &noise(2_000_000, 5), 1000);
    let (landed, _) = pair.send_one("big", OLD).await;
    assert_eq!(landed, Landed::Unlike);
    assert_eq!(std::fs::read(pair.at("other/big")).unwrap(), noise(2_000_000, 5), "it is left as it was");
    let (landed, _) = pair.send_one("big", Basis::Nothing).await;
    assert!(matches!(landed, Landed::Done { .. }) && pair.is_alike("big"));
}

#[tokio::test]
async fn a_huge_file_goes_in_ranges_and_is_remembered_as_a_whole() {
    let pair = Pair::new().await;
    let mut content = noise(9_500_000, 6);
    write(&pair.at("one/huge"), &content, 1000);
    let limits = LotLimits { range_bytes: Some(2 << 20), ..LotLimits::default() };
    for (round, basis) in [Basis::Nothing, OLD].into_iter().enumerate() {
        let cut = lots(vec![pair.wanted("huge", basis).await], &limits);
        assert_eq!((cut.then.len(), cut.landings.len()), (5, 1));
        let literal = pair.send_ranges(cut, "huge").await;
        assert!(round == 0 || literal < 60_000, "{literal} bytes travelled");
        assert!(pair.remembers("huge").await);
        content.splice(5..5, noise(3000, 7));
        content[8_000_000] ^= 1;
        write(&pair.at("one/huge"), &content, 2000);
    }
}

#[tokio::test]
async fn what_a_cut_run_left_is_not_sent_again() {
    let pair = Pair::new().await;
    let content = noise(12_000_000, 8);
    write(&pair.at("one/huge"), &content, 1000);
    let limits = LotLimits { range_bytes: Some(3 << 20), ..LotLimits::default() };
    let cut = lots(vec![pair.wanted("huge", Basis::Nothing).await], &limits);
    for lot in cut.then.into_iter().take(2) {
        pair.send(lot.files).await;
    }
    // The run ends here. The next one asks what there is.
    let wanted = pair.wanted("huge", Basis::Chunks { staged: true }).await;
    let to = wanted.change.to.clone().unwrap();
    let signature = pair.target.signature(&wanted.change.path, &to).await.unwrap().unwrap();
    assert!(signature.staged);
    assert!(pair.source.remember(&wanted.change.path, &to, &signature).await.unwrap());
    let cut = lots(vec![wanted], &limits);
    let literal = pair.send_ranges(cut, "huge").await;
    assert!(literal <= content.len() - (6 << 20) + 8192, "{literal} bytes travelled");
}

#[tokio::test]
async fn holes_stay_holes() {
    let pair = Pair::new().await;
    let path = pair.at("one/sparse");
    let file = File::create(&path).unwrap();
    file.set_len(40 << 20).unwrap();
    file.write_all_at(&noise(1_500_000, 9), 10 << 20).unwrap();
    for (basis, round) in [Basis::Nothing, OLD].into_iter().zip(0_u64..) {
        file.write_all_at(&noise(100_000, 10 + round), 30 << 20).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + round)).unwrap();
        let (landed, literal) = pair.send_one("sparse", basis).await;
        assert!(matches!(landed, Landed::Done { .. }), "{landed:?}");
        assert!(pair.is_alike("sparse"));
        assert!(round == 0 || literal < 130_000, "{literal} bytes travelled");
        let blocks = std::fs::metadata(pair.at("other/sparse")).unwrap().blocks();
        assert!(blocks * 512 < 4 << 20, "{blocks} blocks");
    }
}
