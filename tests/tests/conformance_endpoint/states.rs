//! Former states of a tree, and quarantine.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink as link};
use std::path::{Path, PathBuf};

use dr_core::ErrorKind;
use dr_core::mirror::{Change, Entry, Generation, Landed, Landing, Lot};
use dr_core::world::Endpoint;
use dr_core::world::endpoints::LocalEndpoint;

use crate::contract::path;
use crate::lots::{send, wanted};

struct Site {
    directory: tempfile::TempDir,
    source: PathBuf,
    target: PathBuf,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (source, target) = (directory.path().join("source"), directory.path().join("site"));
        for root in [&source, &target] {
            std::fs::create_dir_all(root.join("d/cache")).unwrap();
            std::fs::write(root.join("d/same"), "the same").unwrap();
            std::fs::write(root.join("page"), "first").unwrap();
            std::fs::write(root.join("old"), "goes").unwrap();
            std::fs::hard_link(root.join("d/same"), root.join("d/other name")).unwrap();
            link("page", root.join("link")).unwrap();
        }
        std::fs::remove_file(source.join("old")).unwrap();
        std::fs::write(source.join("page"), "second!").unwrap();
        std::fs::write(source.join("new"), "new").unwrap();
        std::fs::write(target.join("d/cache/x"), "nobody mirrors it").unwrap();
        Self { directory, source, target }
    }

    async fn ends(&self) -> (LocalEndpoint, LocalEndpoint) {
        (LocalEndpoint::open(&self.source).await.unwrap(), LocalEndpoint::open(&self.target).await.unwrap())
    }

    fn page(&self) -> String {
        std::fs::read_to_string(self.target.join("page")).unwrap()
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join(".dr-kept-site")
    }
}

fn keep(generations: u32) -> Landing {
    Landing { generations, ..Landing::default() }
}

/// Everything that differs but for directories, and `d/cache`.
async fn land_all(source: &LocalEndpoint, target: &LocalEndpoint, names: &[&str]) -> Vec<Landed> {
    let mut lot = Lot::default();
    for name in names {
        let (from, to) = (target.stat(&path(name)).await.unwrap(), source.stat(&path(name)).await.unwrap());
        lot.files.push(wanted(name, from, to.unwrap()));
    }
    send(source, target, &lot).await.unwrap()
}

async fn set(target: &LocalEndpoint, at: &str, alter: impl FnOnce(Entry) -> Option<Entry>) {
    let from = target.stat(&path(at)).await.unwrap();
    let change = Change { path: path(at), to: alter(from.clone().unwrap()), from };
    let landed = target.change_all(&[change]).await.unwrap();
    assert!(matches!(landed[0], Landed::Done { .. }), "{landed:?}");
}

/// Every name below a directory with its content, mode and number.
fn picture(root: &Path) -> BTreeMap<PathBuf, (u64, u32, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(at) = waiting.pop() {
        let found = std::fs::symlink_metadata(&at).unwrap();
        let content = if found.is_file() { std::fs::read(&at).unwrap() } else { vec![] };
        let name = at.strip_prefix(root).unwrap().to_owned();
        let number = if found.is_dir() { 0 } else { found.ino() };
        all.insert(name, (number, found.mode(), found.mtime_nsec(), content));
        if found.is_dir() {
            waiting.extend(std::fs::read_dir(&at).unwrap().map(|found| found.unwrap().path()));
        }
    }
    all
}

#[tokio::test]
async fn the_whole_tree_goes_to_the_next_state_at_once_and_back() {
    let site = Site::new();
    let (source, target) = site.ends().await;
    let before = picture(&site.target);
    target.begin(&keep(2)).await.unwrap();
    let landed = land_all(&source, &target, &["page", "new"]).await;
    assert!(landed.iter().all(|landed| matches!(landed, Landed::Done { .. })), "{landed:?}");
    set(&target, "old", |_| None).await;
    set(&target, "d/same", |entry| Some(Entry { mode: 0o600, ..entry })).await;
    assert_eq!(picture(&site.target), before, "nothing is seen of it before the switch");
    assert!(target.stat(&path("new")).await.unwrap().is_some(), "who mirrors sees the new state");
    // Meanwhile somebody writes into what is left alone.
    std::fs::write(site.target.join("d/cache/y"), "late").unwrap();
    std::fs::remove_file(site.target.join("d/cache/x")).unwrap();
    target.switch().await.unwrap();
    target.settle().await.unwrap();

    assert_eq!(site.page(), "second!");
    assert!(!site.target.join("old").exists() && site.target.join("new").exists());
    assert!(site.target.join("d/cache/y").exists() && !site.target.join("d/cache/x").exists());
    let mode = |at: PathBuf| std::fs::metadata(at).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(site.target.join("d/same")), 0o600);
    let states = target.generations().await.unwrap();
    assert!(matches!(states[..], [Generation { is_live: true, .. }, Generation { is_live: false, .. }]));
    assert_eq!(
        target.stat(&path("page")).await.unwrap().unwrap().size_bytes(),
        7,
        "the live one is looked at"
    );

    let back = target.roll_back(None).await.unwrap();
    target.settle().await.unwrap();
    assert_eq!(back.since, states[1].since);
    let mut was = before.clone();
    was.remove(Path::new("d/cache/x"));
    let now = picture(&site.target);
    for (name, what) in &was {
        let is_directory = what.0 == 0;
        assert!(is_directory && now.contains_key(name) || now[name] == *what, "{name:?} is as it was");
    }
    assert_eq!(target.roll_back(None).await.unwrap_err().kind(), ErrorKind::NotFound);
    target.roll_back(Some(states[0].since)).await.unwrap();
    target.settle().await.unwrap();
    assert_eq!(site.page(), "second!", "and forward again");
    assert_eq!(target.generations().await.unwrap(), states);
    assert_eq!(std::fs::read_dir(site.directory.path()).unwrap().count(), 3, "nothing is left of staging");
}

#[tokio::test]
async fn so_many_states_are_kept_and_no_more() {
    let site = Site::new();
    for round in 0..5 {
        std::fs::write(site.source.join("page"), format!("round {round}{}", "!".repeat(round))).unwrap();
        let (source, target) = site.ends().await;
        target.begin(&keep(2)).await.unwrap();
        land_all(&source, &target, &["page"]).await;
        target.switch().await.unwrap();
        target.settle().await.unwrap();
    }
    let (_, target) = site.ends().await;
    assert_eq!(target.generations().await.unwrap().len(), 3);
    for round in ["round 3!!!", "round 2!!"] {
        target.roll_back(None).await.unwrap();
        assert_eq!(site.page(), round);
    }
    assert_eq!(target.roll_back(None).await.unwrap_err().kind(), ErrorKind::NotFound);
    target.settle().await.unwrap();
}

#[tokio::test]
async fn what_a_cut_run_brought_is_gone_on_with() {
    let site = Site::new();
    let before = picture(&site.target);
    {
        let (source, target) = site.ends().await;
        target.begin(&keep(1)).await.unwrap();
        land_all(&source, &target, &["page", "new"]).await;
        set(&target, "old", |_| None).await;
        target.settle().await.unwrap();
    }
    assert_eq!(picture(&site.target), before);
    let (source, target) = site.ends().await;
    assert!(target.generations().await.unwrap().is_empty());
    target.begin(&keep(1)).await.unwrap();
    let there = target.look(&[path("page")]).await.unwrap();
    assert_eq!(there[0].as_ref().unwrap().size_bytes(), 7, "it has arrived before");
    // The source took "new" back: this run has nothing to do with it.
    std::fs::remove_file(site.source.join("new")).unwrap();
    land_all(&source, &target, &["page"]).await;
    target.switch().await.unwrap();
    target.settle().await.unwrap();
    assert_eq!(site.page(), "second!");
    assert!(!site.target.join("new").exists(), "what this run did not ask for is as it was");
    assert!(site.target.join("old").exists());
    // Without generations, nothing of this stays in the way; what is shared is not changed in the former state.
    let kept: PathBuf = std::fs::read_dir(site.kept())
        .unwrap()
        .map(|found| found.unwrap().path())
        .find(|found| found.is_dir())
        .unwrap();
    target.begin(&Landing::default()).await.unwrap();
    set(&target, "d/same", |entry| Some(Entry { mode: 0o640, ..entry })).await;
    set(&target, "link", |entry| Some(Entry { mtime_s: 77, ..entry })).await;
    target.settle().await.unwrap();
    assert_ne!(std::fs::metadata(kept.join("d/same")).unwrap().mode() & 0o777, 0o640);
    assert_ne!(std::fs::symlink_metadata(kept.join("link")).unwrap().mtime(), 77);
}

#[tokio::test]
async fn the_first_mirror_of_all_appears_at_once() {
    let site = Site::new();
    std::fs::remove_dir_all(&site.target).unwrap();
    let (source, target) = site.ends().await;
    target.begin(&keep(3)).await.unwrap();
    land_all(&source, &target, &["page", "new"]).await;
    assert_eq!(std::fs::read_dir(&site.target).unwrap().count(), 0);
    target.switch().await.unwrap();
    target.settle().await.unwrap();
    assert_eq!(site.page(), "second!");
    assert!(target.generations().await.unwrap().is_empty(), "there was nothing before");
}

#[tokio::test]
async fn what_must_make_way_goes_to_quarantine() {
    for generations in [0, 1] {
        let site = Site::new();
        let (source, target) = site.ends().await;
        std::fs::write(site.target.join("page"), "changed on the target").unwrap();
        let quarantine = ["page", "old", "d/same"].map(path).to_vec();
        target.begin(&Landing { quarantine, generations, ..Landing::default() }).await.unwrap();
        assert_eq!(target.quarantined().await.unwrap(), None);
        land_all(&source, &target, &["page", "new"]).await;
        set(&target, "old", |_| None).await;
        target.switch().await.unwrap();
        target.settle().await.unwrap();
        let place = PathBuf::from(target.quarantined().await.unwrap().unwrap());
        assert_eq!(std::fs::read_to_string(place.join("page")).unwrap(), "changed on the target");
        assert_eq!(std::fs::read_to_string(place.join("old")).unwrap(), "goes");
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2);
        assert_eq!(std::fs::metadata(site.kept()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(site.page(), "second!");
    }
}

#[tokio::test]
async fn one_mirror_at_a_time() {
    let site = Site::new();
    let (_, one) = site.ends().await;
    let (_, other) = site.ends().await;
    one.begin(&Landing::default()).await.unwrap();
    assert_eq!(other.begin(&Landing::default()).await.unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(other.roll_back(None).await.unwrap_err().kind(), ErrorKind::Locked);
    one.settle().await.unwrap();
    other.begin(&keep(1)).await.unwrap();
    other.settle().await.unwrap();
}

/// Where the child of the test below works.
const CHILD: &str = "DR_TEST_STATES";
const PAGES: usize = 400;

async fn one_mirror(directory: &Path) {
    let open = async |name: &str| LocalEndpoint::open(&directory.join(name)).await.unwrap();
    let (source, target) = (open("source").await, open("site").await);
    target.begin(&keep(1)).await.unwrap();
    let names: Vec<String> = (0..PAGES).map(|n| n.to_string()).collect();
    for names in names.chunks(20) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        land_all(&source, &target, &names).await;
    }
    target.switch().await.unwrap();
    target.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_child() {
    if let Some(directory) = std::env::var_os(CHILD) {
        one_mirror(Path::new(&directory)).await;
    }
}

/// However it dies, what is served is the old state or the new one, and the next run makes it the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_one_state_or_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("source"), directory.path().join("site"));
    let fill = |root: &Path, text: &str| {
        std::fs::create_dir_all(root).unwrap();
        for n in 0..PAGES {
            std::fs::write(root.join(n.to_string()), text).unwrap();
        }
    };
    fill(&target, "round 0");
    let shown = || -> std::collections::BTreeSet<String> {
        (0..PAGES).map(|n| std::fs::read_to_string(target.join(n.to_string())).unwrap()).collect()
    };
    let mut killed = 0;
    for round in 1..=12_u64 {
        let (old, new) = (shown(), format!("round {round} {}", "x".repeat(round as usize)));
        assert_eq!(old.len(), 1, "one state as a whole: {old:?}");
        fill(&source, &new);
        let mut run = std::process::Command::new(std::env::current_exe().unwrap());
        run.args(["--exact", "states::as_a_child"]).env(CHILD, directory.path());
        let mut child = run.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10 * round * round % 130));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let now = shown();
        assert!(now == old || now.iter().eq([&new]), "round {round}: {now:?}");
        if round % 3 == 0 {
            one_mirror(directory.path()).await;
            assert!(shown().iter().eq([&new]));
            let names = std::fs::read_dir(directory.path().join(".dr-kept-site")).unwrap();
            let names: Vec<_> = names.map(|found| found.unwrap().file_name()).collect();
            assert_eq!(names.len(), 2, "one former state and what is known of it: {names:?}");
        }
    }
    assert!(killed > 0, "all of them were over before they could be killed");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3, "nothing else is left");
}
