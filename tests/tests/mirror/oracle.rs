//! Trees of every kind, grown and changed at random between mirrors: after each, rsync finds nothing to do.

use std::path::Path;
use std::process::Command;

use dr_core::Location;
use dr_core::estate::MaxDelete;
use dr_core::mirror::Options;
use dr_core::toolkit::Toolkit;

use crate::garden::{Gardener, Kinds, census};
use crate::real::Host;
use crate::{here, mirror, rsync, toolkit};

/// Seeds to try; `DR_TEST_SEEDS=500` or `DR_TEST_SEEDS=17..18` asks for others.
pub(crate) fn seeds(usual: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("DR_TEST_SEEDS") else { return 0..usual };
    let (from, to) = text.split_once("..").unwrap_or(("0", &text));
    from.parse().unwrap()..to.parse().unwrap()
}

/// What rsync with everything it can compare would still change.
pub(crate) fn oracle(source: &Path, target: &Path) -> String {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-aHAXn", "--numeric-ids", "--delete", "--checksum", "--itemize-changes"])
        .args([with_slash(source), with_slash(target)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A large part of such a tree may go at once.
pub(crate) fn options() -> Options {
    Options { max_delete: MaxDelete { percent: 100, files: u64::MAX }, ..Options::default() }
}

/// One seed: a first mirror over something else or nothing, and some more after changes at the source.
async fn season(seed: u64, kinds: Kinds, ends_of: impl Fn(&Path, &Path) -> (Toolkit, Location, Location)) {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    let mut gardener = Gardener::new(seed, kinds);
    gardener.grow(&from, 60);
    if seed % 2 == 1 {
        gardener.grow(&to, 25);
    }
    for round in 0..4 {
        if round > 0 {
            gardener.change(&from, 12);
        }
        let (toolkit, source, target) = ends_of(&from, &to);
        let (planned, _) = mirror(&toolkit, &source, &target, &options()).await;
        let context = format!("seed {seed}, round {round}, {}", census(&from));
        let left = match kinds {
            Kinds::All => oracle(&from, &to),
            // Times to the second, and none of links: not every server can set them.
            Kinds::Plain => rsync(&from, &to, &["--checksum", "--modify-window=1"]),
        };
        assert_eq!(left, "", "{context}");
        assert_eq!(planned.report.findings, vec![], "{context}");
    }
    let beside = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(beside, 2, "seed {seed}: something staged is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_tree_on_this_machine() {
    for seed in seeds(12) {
        season(seed, Kinds::All, |from, to| (toolkit(), here(from), here(to))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_tree_over_ssh() {
    let host = Host::start();
    for seed in seeds(6) {
        season(seed, Kinds::Plain, |from, to| (host.toolkit(), here(from), host.at(to))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_tree_by_an_agent_there_and_back() {
    let host = Host::start();
    let toolkit = host.toolkit_by_agent();
    for seed in seeds(6) {
        let ends = |from: &Path, to: &Path| match seed % 2 {
            0 => (toolkit.clone(), here(from), host.at(to)),
            _ => (toolkit.clone(), host.at(from), here(to)),
        };
        season(seed, Kinds::All, ends).await;
    }
}
