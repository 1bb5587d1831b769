//! What is asked of a far end so that less travels, and sooner.

use std::sync::Mutex;
use std::time::Duration;

use dr_core::Period;
use dr_core::mirror::Options;
use dr_core::toolkit::{MirrorWatch, Watched};
use dr_core::world::Control;

use crate::real::Host;
use crate::{here, mirror, rsync_would_change};

/// Bytes that no compression makes fewer.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut number = seed;
    let mut next = || {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number.to_le_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(|_| next()).take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_files_that_come_twice_one_travels() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    for name in ["a", "b"] {
        std::fs::create_dir_all(from.join(name)).unwrap();
    }
    let (film, page) = (noise(3_000_000, 7), noise(200_000, 8));
    // Copies with other names and times; one in ranges; one that only has the same size.
    std::fs::write(from.join("a/film"), &film).unwrap();
    std::fs::write(from.join("b/other film"), &film).unwrap();
    std::fs::write(from.join("page"), &page).unwrap();
    std::fs::write(from.join("b/page"), &page).unwrap();
    std::fs::write(from.join("no page"), noise(200_000, 9)).unwrap();
    for name in ["huge", "a/huge"] {
        let huge = std::fs::File::create(from.join(name)).unwrap();
        huge.set_len(200 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&huge, &film, 100 << 20).unwrap();
        // Of huge files nobody reads all on suspicion: these look alike.
        huge.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }
    let once = (2 * film.len() + page.len() + 200_000) as u64;
    for generations in [0, 2] {
        let to = to.with_extension(generations.to_string());
        let options = Options { generations, ..Options::default() };
        let (_, applied) = mirror(&host.toolkit_by_agent(), &here(&from), &host.at(&to), &options).await;
        let figures = applied.report.figures;
        assert!(figures["wire_bytes"] < once + 100_000, "{figures:?}");
        assert_eq!(figures["left_paths"], 0);
        assert_eq!(rsync_would_change(&from, &to), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_on_a_host_tells_of_changes_by_itself() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir_all(from.join("sub")).unwrap();
    std::fs::write(from.join("page"), "one").unwrap();
    let options = Box::new(Options { exclude: vec!["*.tmp".to_owned()], ..Options::default() });
    let what = Watched::Tree { source: host.at(&from), target: here(&to), options };
    let hour = Period::from_secs(3600);
    let watch = MirrorWatch {
        quiet: Period::from_millis(50),
        scan_every: hour,
        poll_every: hour,
        ..MirrorWatch::new(what)
    };
    let (toolkit, control) = (host.toolkit_by_agent(), Control::silent());
    let rounds = Mutex::new(vec![]);
    let watching = toolkit.watch_mirror(&watch, &control, |round| {
        rounds.lock().unwrap().push((round.summary.created, round.lag));
        match rounds.lock().unwrap().len() {
            1 => std::fs::write(from.join("sub/new"), "two").unwrap(),
            _ => control.cancel.cancel(),
        }
    });
    tokio::time::timeout(Duration::from_secs(60), watching).await.expect("it would look in an hour").unwrap();
    let rounds = rounds.into_inner().unwrap();
    assert_eq!(rounds.iter().map(|(created, _)| *created).collect::<Vec<_>>(), [3, 1]);
    assert!(rounds[1].1 > Period::from_millis(0), "how far it was behind is told: {rounds:?}");
    assert_eq!(rsync_would_change(&from, &to), "");
}
