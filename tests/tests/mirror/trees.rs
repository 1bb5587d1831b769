//! Trees of every shape, mirrored here and judged by rsync.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dr_core::mirror::Options;
use dr_core::report::code;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::fs::{CWD, FileType, Mode};

use crate::oracle::oracle;
use crate::{here, mirror, plan, rsync, toolkit};

#[derive(Clone, Debug)]
enum Node {
    File { bytes: usize, letter: u8, mode: u32, age_s: u64 },
    Directory { mode: u32, age_s: u64 },
    Link(&'static str),
}

fn node() -> impl Strategy<Value = Node> {
    let age_s = prop_oneof![Just(1_000_000_u64), Just(1_000_001), Just(5_000_000)];
    let mode = prop_oneof![3 => Just(0o644_u32), 1 => Just(0o600), 1 => Just(0o755), 1 => Just(0o444)];
    let directory_mode =
        prop_oneof![3 => Just(0o755_u32), 1 => Just(0o700), 1 => Just(0o555), 1 => Just(0o2775)];
    prop_oneof![
        5 => (0..3_usize, b'a'..b'd', mode, age_s.clone()).prop_map(|(size, letter, mode, age_s)| {
            Node::File { bytes: [0, 5, 300_000][size], letter, mode, age_s }
        }),
        4 => (directory_mode, age_s).prop_map(|(mode, age_s)| Node::Directory { mode, age_s }),
        1 => prop_oneof![Just("a"), Just("../no/where"), Just("/etc/passwd")].prop_map(Node::Link),
    ]
}

fn tree() -> impl Strategy<Value = Vec<(PathBuf, Node)>> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c\nd"), Just("-é"), Just("a.b")];
    let paths = proptest::collection::vec(name, 1..4).prop_map(|names| names.iter().collect::<PathBuf>());
    proptest::collection::btree_map(paths, node(), 0..25).prop_map(|nodes| nodes.into_iter().collect())
}

/// Makes the tree on the disk; what has no directory to be in is left out. Deepest first for modes and times, which making things changes.
fn build(root: &Path, nodes: &[(PathBuf, Node)]) {
    let at = |age_s: u64| SystemTime::now().checked_sub(Duration::from_secs(age_s)).unwrap();
    let rounded = |time: SystemTime| {
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 100 * 100;
        SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789)
    };
    std::fs::create_dir(root).unwrap();
    let mut made = vec![];
    for (path, node) in nodes {
        let full = root.join(path);
        let done = match node {
            Node::File { bytes, letter, .. } => std::fs::write(&full, vec![*letter; *bytes]),
            Node::Directory { .. } => std::fs::create_dir(&full),
            Node::Link(to) => symlink(to, &full),
        };
        if done.is_ok() {
            made.push((full, node));
        }
    }
    for (full, node) in made.iter().rev() {
        let (Node::File { mode, age_s, .. } | Node::Directory { mode, age_s }) = node else { continue };
        std::fs::set_permissions(full, std::fs::Permissions::from_mode(*mode)).unwrap();
        let opened = std::fs::File::open(full).unwrap();
        opened.set_modified(rounded(at(*age_s))).unwrap();
    }
}

#[test]
fn any_tree_becomes_any_other() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&(tree(), tree(), any::<bool>()), |(source, target, checksum)| {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        build(&from, &source);
        build(&to, &target);
        // An emptied source is refused, which is tested elsewhere.
        std::fs::write(from.join("index.html"), "<p>").unwrap();
        let options = Options { checksum, ..Options::default() };
        let _ = runtime.block_on(mirror(&toolkit(), &here(&from), &here(&to), &options));
        // Files of one size and time are taken for equal by both, unless both are to read them.
        let more: &[&str] = if checksum { &["--checksum"] } else { &[] };
        prop_assert_eq!(rsync(&from, &to, more), "");
        prop_assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing staged is left");
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn what_is_excluded_is_neither_sent_nor_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    for root in [&from, &to] {
        std::fs::create_dir_all(root.join("var/cache")).unwrap();
        std::fs::write(root.join("var/cache/x"), root.to_str().unwrap()).unwrap();
    }
    std::fs::write(from.join("page"), "new").unwrap();
    std::fs::write(from.join("debug.log"), "x").unwrap();
    std::fs::create_dir_all(to.join("old/deep")).unwrap();
    std::fs::write(to.join("old/deep/kept.log"), "x").unwrap();
    std::fs::write(to.join("old/gone"), "x").unwrap();
    let options = Options { exclude: vec!["cache/".into(), "*.log".into()], ..Options::default() };
    let (planned, _) = mirror(&toolkit(), &here(&from), &here(&to), &options).await;
    assert_eq!((planned.summary.created, planned.summary.deleted), (1, 1));
    assert_eq!(std::fs::read_to_string(to.join("var/cache/x")).unwrap(), to.to_str().unwrap());
    assert!(!to.join("debug.log").exists() && !to.join("old/gone").exists());
    assert!(to.join("old/deep/kept.log").exists(), "and so are the directories that lead to it");
}

#[tokio::test]
async fn without_delete_nothing_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    std::fs::create_dir_all(to.join("thing")).unwrap();
    std::fs::write(to.join("thing/inside"), "x").unwrap();
    std::fs::write(to.join("extra"), "x").unwrap();
    std::fs::write(from.join("thing"), "a file here, a directory with content there").unwrap();
    let options = Options { delete: false, ..Options::default() };
    let planned = plan(&toolkit(), &here(&from), &here(&to), &options).await.unwrap();
    assert_eq!(planned.summary.deleted, 0);
    assert_eq!(planned.report.findings[0].code, code::MIRROR_FILE_NOT_MIRRORED);
    let _ = mirror(&toolkit(), &here(&from), &here(&to), &options).await;
    assert!(to.join("thing/inside").exists() && to.join("extra").exists());
}

#[tokio::test]
async fn devices_and_fifos_are_carried_by_root_and_else_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("page"), "x").unwrap();
    let made = std::process::Command::new("mkfifo").arg(from.join("pipe")).status().unwrap();
    assert!(made.success());
    let (planned, _) = mirror(&toolkit(), &here(&from), &here(&to), &Options::default()).await;
    let is_root = rustix::process::geteuid().is_root();
    let held = planned.report.findings.iter().filter(|found| found.code == code::MIRROR_FILE_NOT_MIRRORED);
    assert_eq!(held.count(), usize::from(!is_root), "{:?}", planned.report.findings);
    assert!(to.join("page").exists() && to.join("pipe").exists() == is_root);
}

#[tokio::test]
async fn a_file_that_only_looks_older_is_not_moved_when_content_is_compared() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    for (root, age) in [(&from, 5), (&to, 500)] {
        std::fs::create_dir(root).unwrap();
        std::fs::write(root.join("same"), "content").unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::open(root.join("same")).unwrap().set_modified(time).unwrap();
    }
    let inode = std::fs::metadata(to.join("same")).unwrap().ino();
    let options = Options { checksum: true, ..Options::default() };
    let (planned, _) = mirror(&toolkit(), &here(&from), &here(&to), &options).await;
    assert_eq!((planned.summary.updated, planned.summary.bytes), (0, 0));
    assert_eq!(std::fs::metadata(to.join("same")).unwrap().ino(), inode);
    // Same size, same time, other content: only reading it tells.
    let time = std::fs::metadata(to.join("same")).unwrap().modified().unwrap();
    std::fs::write(to.join("same"), "CONTENT").unwrap();
    std::fs::File::open(to.join("same")).unwrap().set_modified(time).unwrap();
    assert!(plan(&toolkit(), &here(&from), &here(&to), &Options::default()).await.unwrap().plan.is_empty());
    let _ = mirror(&toolkit(), &here(&from), &here(&to), &options).await;
    assert_eq!(std::fs::read_to_string(to.join("same")).unwrap(), "content");
}

#[tokio::test]
async fn names_of_one_thing_part_ways() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let make = |name: &str, mode| {
        let _ = std::fs::remove_file(from.join(name));
        match name {
            _ if name.contains("link") => symlink("somewhere", from.join(name)).unwrap(),
            _ if is_root && name.contains("pipe") => {
                rustix::fs::mknodat(CWD, from.join(name), FileType::Fifo, Mode::from_raw_mode(mode), 0)
                    .unwrap();
            }
            _ => std::fs::write(from.join(name), "x").unwrap(),
        }
    };
    for first in ["a link", "a pipe", "a page"] {
        make(first, 0o600);
        std::fs::hard_link(from.join(first), from.join(first.replace('a', "b"))).unwrap();
    }
    let _ = mirror(&toolkit(), &here(&from), &here(&to), &Options::default()).await;
    for first in ["a link", "a pipe", "a page"] {
        make(&first.replace('a', "b"), 0o640);
    }
    // The first name changes as well, and with it, on the target, all names.
    std::fs::set_permissions(from.join("a pipe"), std::fs::Permissions::from_mode(0o604)).unwrap();
    let _ = mirror(&toolkit(), &here(&from), &here(&to), &Options::default()).await;
    assert_eq!(oracle(&from, &to), "");
}
