//! What a tree was when both ends agreed is remembered, and what changed since is told.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dr_core::Digest;
use dr_core::mirror::{Agreement, Carries, Change, Delta, Options, RelPath, Survey, join};
use dr_core::world::endpoints::LocalEndpoint;
use dr_core::world::{Control, Endpoint};
use tempfile::TempDir;

use crate::contract::{directory, file, path};

/// A tree and what its end remembers.
struct Site {
    directory: TempDir,
    root: PathBuf,
    state: PathBuf,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, state) = (directory.path().join("site"), directory.path().join("state"));
        std::fs::create_dir_all(root.join("d/deep")).unwrap();
        for at in ["a", "d/b", "d/deep/c", "d-e", "z"] {
            std::fs::write(root.join(at), at).unwrap();
        }
        Self { directory, root, state }
    }

    async fn open(&self) -> LocalEndpoint {
        LocalEndpoint::open(&self.root).await.unwrap().with_state(&self.state)
    }

    /// Agrees on what is there now, with these changes.
    async fn agree(&self, pair: &[u8], name: &[u8], changes: Vec<Change>) {
        let tree = self.open().await;
        tree.scan(&Options::default(), &Control::silent()).await.unwrap();
        let agreement = Agreement { pair: Digest::of(pair), name: Digest::of(name), changes };
        tree.agree(&agreement).await.unwrap();
    }

    async fn survey(&self, pair: &[u8]) -> Delta {
        let survey = Survey { pair: Digest::of(pair), options: Options::default() };
        self.open().await.survey(&survey, &Control::silent()).await.unwrap()
    }

    /// What an end says that knows of no agreement.
    async fn everything(&self) -> Delta {
        let seen = self.open().await.scan(&Options::default(), &Control::silent()).await;
        Delta::of_everything(seen.unwrap())
    }

    fn baseline(&self) -> PathBuf {
        let mut found = std::fs::read_dir(self.state.join("baselines")).unwrap();
        let only = found.next().unwrap().unwrap().path();
        assert!(found.next().is_none(), "nothing else is left there");
        only
    }
}

fn paths(tree: &dr_core::mirror::Snapshot) -> Vec<String> {
    tree.entries.rows().map(|row| row.path().to_string()).collect()
}

/// Writes without a trace in size and time.
fn write_behind_its_time(at: &Path, content: &str) {
    let time = at.metadata().unwrap().modified().unwrap();
    std::fs::write(at, content).unwrap();
    std::fs::File::options().write(true).open(at).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn only_what_changed_is_told() {
    let site = Site::new();
    assert_eq!(site.survey(b"pair").await, site.everything().await, "nobody agreed yet");
    site.agree(b"pair", b"one", vec![]).await;
    let same = site.survey(b"pair").await;
    assert_eq!(same.agreed, Some(Digest::of(b"one")));
    assert!(same.was.entries.is_empty() && same.now.entries.is_empty());
    assert_eq!((same.counts.files, same.counts.directories, same.counts.bytes), (5, 3, 1 + 3 + 8 + 3 + 1));

    std::fs::write(site.root.join("d/deep/c"), "longer than it was").unwrap();
    std::fs::remove_file(site.root.join("z")).unwrap();
    std::fs::rename(site.root.join("d-e"), site.root.join("d/new")).unwrap();
    let delta = site.survey(b"pair").await;
    assert_eq!(paths(&delta.was), [".", "d", "d/deep", "d/deep/c", "d-e", "z"]);
    assert_eq!(paths(&delta.now), [".", "d", "d/deep", "d/deep/c", "d/new"]);
    assert_eq!(site.survey(b"another pair").await, site.everything().await);

    // An endpoint agrees on what it surveyed, with what was changed since.
    let tree = site.open().await;
    let survey = Survey { pair: Digest::of(b"pair"), options: Options::default() };
    tree.survey(&survey, &Control::silent()).await.unwrap();
    let changes = vec![
        Change { path: path("later"), from: None, to: Some(file(b"x")) },
        Change { path: path("a"), from: Some(file(b"a")), to: None },
    ];
    let agreement = Agreement { pair: Digest::of(b"pair"), name: Digest::of(b"two"), changes };
    tree.agree(&agreement).await.unwrap();
    let delta = site.survey(b"pair").await;
    assert_eq!(delta.agreed, Some(Digest::of(b"two")));
    assert_eq!(
        (paths(&delta.was), paths(&delta.now)),
        (vec![".".into(), "later".into()], vec![".".into(), "a".into()])
    );
}

#[tokio::test]
async fn a_file_that_was_written_behind_its_time_is_doubted() {
    let site = Site::new();
    site.agree(b"pair", b"one", vec![]).await;
    write_behind_its_time(&site.root.join("d/b"), "B/d");
    let delta = site.survey(b"pair").await;
    assert_eq!(paths(&delta.now), [".", "d", "d/b"]);
    let all = Carries {
        nanoseconds: true,
        owners: true,
        any_name: true,
        hard_links: true,
        xattrs: true,
        special: true,
    };
    assert_eq!(join(&delta, &Delta::default(), all).doubtful, [path("d/b")]);
}

#[tokio::test]
async fn attributes_that_change_are_told_and_others_stay_known() {
    let site = Site::new();
    let set = |at: &str, value: &[u8]| {
        rustix::fs::setxattr(site.root.join(at), "user.dr", value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("a", b"old");
    set("d/b", b"stays");
    site.agree(b"pair", b"one", vec![]).await;
    assert_eq!(paths(&site.survey(b"pair").await.now), [""; 0]);
    set("a", b"new");
    let delta = site.survey(b"pair").await;
    assert_eq!(paths(&delta.now), [".", "a"]);
    let value = |tree: &dr_core::mirror::Snapshot| {
        tree.entries.get(&path("a")).unwrap().xattrs.unwrap()["user.dr"].0.clone()
    };
    assert_eq!((value(&delta.was), value(&delta.now)), (b"old".to_vec(), b"new".to_vec()));
}

#[tokio::test]
async fn another_generation_of_the_same_files_is_not_doubted() {
    let site = Site::new();
    let tree = site.open().await;
    let options = Options::default();
    tree.scan(&options, &Control::silent()).await.unwrap();
    // A new tree of the same files is put in place of the old one.
    let next = site.directory.path().join("next");
    let copied = std::process::Command::new("cp").arg("-al").arg(&site.root).arg(&next).status().unwrap();
    assert!(copied.success());
    std::fs::rename(&site.root, site.directory.path().join("former")).unwrap();
    std::fs::rename(&next, &site.root).unwrap();
    let (pair, name) = (Digest::of(b"pair"), Digest::of(b"one"));
    tree.agree(&Agreement { pair, name, changes: vec![] }).await.unwrap();
    let delta = site.survey(b"pair").await;
    assert_eq!((delta.agreed, paths(&delta.now)), (Some(name), vec![]));
}

#[tokio::test]
async fn what_is_damaged_is_as_if_it_were_not_there() {
    let site = Site::new();
    site.agree(b"pair", b"one", vec![]).await;
    let whole = std::fs::read(site.baseline()).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(site.baseline(), &damaged).unwrap();
        assert_eq!(site.survey(b"pair").await.agreed, None, "byte {at} of {}", whole.len());
        std::fs::write(site.baseline(), &whole[..at]).unwrap();
        assert_eq!(site.survey(b"pair").await.agreed, None, "cut at {at} of {}", whole.len());
    }
    std::fs::write(site.baseline(), &whole).unwrap();
    assert!(site.survey(b"pair").await.agreed.is_some());
}

#[tokio::test]
async fn two_trees_of_one_machine_are_kept_apart() {
    let (one, mut other) = (Site::new(), Site::new());
    other.state = one.state.clone();
    std::fs::remove_file(other.root.join("a")).unwrap();
    one.agree(b"pair", b"one", vec![]).await;
    other.agree(b"pair", b"one", vec![]).await;
    for site in [&one, &other] {
        assert!(paths(&site.survey(b"pair").await.was).is_empty());
    }
}

#[tokio::test]
async fn nothing_is_remembered_inside_the_tree() {
    let mut site = Site::new();
    site.state = site.root.join("var");
    site.agree(b"pair", b"one", vec![]).await;
    assert!(!site.state.exists());
    assert_eq!(site.survey(b"pair").await, site.everything().await);
}

#[tokio::test]
async fn excluded_paths_are_told_each_time() {
    let site = Site::new();
    let options = Options { exclude: vec!["b".into(), "deep/".into()], ..Options::default() };
    let tree = site.open().await;
    tree.scan(&options, &Control::silent()).await.unwrap();
    let (pair, name) = (Digest::of(b"pair"), Digest::of(b"one"));
    tree.agree(&Agreement { pair, name, changes: vec![] }).await.unwrap();
    let delta = tree.survey(&Survey { pair, options }, &Control::silent()).await.unwrap();
    let excluded: Vec<RelPath> = delta.now.excluded.into_iter().collect();
    assert_eq!((excluded, delta.counts.files), (vec![path("d/b"), path("d/deep")], 3));
    assert!(delta.now.entries.is_empty());
}

/// Of a directory that cannot be read any more, what was known still counts: nothing in it was removed.
#[tokio::test]
async fn what_cannot_be_read_any_more_is_not_gone() {
    let site = Site::new();
    site.agree(b"pair", b"one", vec![]).await;
    let set = |mode| {
        std::fs::set_permissions(
            site.root.join("d/deep"),
            std::os::unix::fs::PermissionsExt::from_mode(mode),
        )
        .unwrap();
    };
    set(0o000);
    let delta = site.survey(b"pair").await;
    set(0o755);
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(delta.now.unreadable.contains_key(&path("d/deep")), !is_root);
    assert!(!paths(&delta.was).contains(&"d/deep/c".to_owned()), "{delta:?}");
    assert_eq!(delta.now.entries.get(&path("d")).map(|entry| entry.kind), Some(directory().kind));
}

#[tokio::test]
async fn a_clock_that_stands_still_hides_nothing() {
    let site = Site::new();
    site.agree(b"pair", b"one", vec![]).await;
    // Times before 1970 and far in the future are times like any other.
    for (at, time) in [
        ("a", SystemTime::UNIX_EPOCH - Duration::from_secs(9)),
        ("z", SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33)),
    ] {
        std::fs::File::options().write(true).open(site.root.join(at)).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(paths(&site.survey(b"pair").await.now), [".", "a", "z"]);
}
