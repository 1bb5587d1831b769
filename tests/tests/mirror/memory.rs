//! Ends that remember when they were last alike, and what guards make of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dr_core::estate::Estate;
use dr_core::mirror::{Guard, Options, Side};
use dr_core::report::code;
use dr_core::run::{Event, Outcome};
use dr_core::toolkit::{MirrorPlan, Toolkit};
use dr_core::world::clock::SystemClock;
use dr_core::world::endpoints::SystemEndpoints;
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Cancel, Control, World};
use dr_core::{ErrorKind, Location};
use tempfile::TempDir;

use crate::{here, plan, rsync, rsync_would_change};

/// Two trees and what their machine remembers of them.
struct Scene {
    directory: TempDir,
    toolkit: Toolkit,
}

impl Scene {
    /// Both have been mirrored once.
    async fn mirrored(files: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["from/sub", "to", "state"] {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let endpoints = SystemEndpoints::new(Connector::new(Access::default()));
        let endpoints = Arc::new(endpoints.with_state(directory.path().join("state")));
        let world = World { endpoints, clock: Arc::new(SystemClock::new()), ..SimWorld::new().world() };
        let scene = Self { directory, toolkit: Toolkit::new(world, Estate::default()) };
        for number in 0..files {
            std::fs::write(scene.at("from/sub").join(number.to_string()), number.to_string()).unwrap();
        }
        assert_eq!(scene.apply(&Options::default()).await, Outcome::New);
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn ends(&self) -> (Location, Location) {
        (here(&self.at("from")), here(&self.at("to")))
    }

    async fn plan(&self, options: &Options) -> dr_core::Result<MirrorPlan> {
        let (from, to) = self.ends();
        plan(&self.toolkit, &from, &to, options).await
    }

    async fn rehearse(&self, options: &Options) -> MirrorPlan {
        let (from, to) = self.ends();
        self.toolkit.rehearse_mirror(&from, &to, options, None, &Control::silent()).await.unwrap()
    }

    async fn apply(&self, options: &Options) -> Outcome {
        let planned = self.plan(options).await.unwrap();
        let applied = self.toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
        self.toolkit.agree_mirror(&planned, &Control::silent()).await;
        applied.outcome
    }

    /// Lands everything, and is cut short before both ends agree.
    async fn cut(&self) {
        let planned = self.plan(&Options::default()).await.unwrap();
        let slot: Arc<OnceLock<Cancel>> = Arc::default();
        let cancel = Arc::clone(&slot);
        let control = Control::new(move |event| {
            if matches!(event, Event::Progress { phase, .. } if phase == "settle") {
                cancel.get().unwrap().cancel();
            }
        });
        slot.set(control.cancel.clone()).unwrap();
        let applied = self.toolkit.apply(&planned.plan, "test", &control).await.unwrap();
        assert_eq!(applied.outcome, Outcome::Stopped);
    }

    /// What the guard of the same trees says: whether both ends remember.
    async fn remembers(&self) -> bool {
        let planned = self.rehearse(&Options::default()).await;
        let verdict = planned.guards.iter().find(|verdict| verdict.guard == Guard::SameTrees).unwrap();
        !verdict.says.contains("remember no mirror")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }
}

fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

#[tokio::test]
async fn after_a_mirror_only_what_changed_is_looked_for() {
    let scene = Scene::mirrored(20).await;
    assert!(scene.remembers().await);
    let nothing = scene.plan(&Options::default()).await.unwrap();
    assert!(nothing.plan.is_empty());
    assert_eq!(nothing.summary.unchanged, 22, "all are counted");
    write(&scene.at("from/sub/3"), "changed at home");
    write(&scene.at("from/new"), "new");
    std::fs::remove_file(scene.at("from/sub/4")).unwrap();
    let planned = scene.plan(&Options::default()).await.unwrap();
    let summary = planned.summary;
    assert_eq!((summary.created, summary.updated, summary.deleted), (1, 1, 1));
    for _ in 0..2 {
        scene.apply(&Options::default()).await;
        assert_eq!(rsync_would_change(&scene.at("from"), &scene.at("to")), "");
        assert!(scene.remembers().await && scene.plan(&Options::default()).await.unwrap().plan.is_empty());
    }
}

#[tokio::test]
async fn trees_that_are_alike_already_agree_without_a_run() {
    let scene = Scene::mirrored(3).await;
    std::fs::remove_dir_all(scene.at("state")).unwrap();
    std::fs::create_dir(scene.at("state")).unwrap();
    assert!(!scene.remembers().await);
    let planned = scene.plan(&Options::default()).await.unwrap();
    assert!(planned.plan.is_empty());
    assert!(!scene.remembers().await, "to plan is not to agree");
    scene.toolkit.agree_mirror(&planned, &Control::silent()).await;
    assert!(scene.remembers().await);
}

#[tokio::test]
async fn what_somebody_changed_on_the_target_is_not_overwritten_unasked() {
    let scene = Scene::mirrored(3).await;
    write(&scene.at("to/sub/1"), "an editor's work on the standby");
    let refused = scene.plan(&Options::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(
        refused.message().contains("sub/1") && refused.advice().unwrap().contains("--prefer"),
        "{refused:?}"
    );
    let shown = scene.rehearse(&Options::default()).await;
    assert!(shown.report.findings.iter().any(|finding| finding.code == code::MIRROR_DIVERGED));
    let applied = scene.toolkit.apply(&shown.plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped, "what guards refuse is shown, and never done");
    assert_eq!(scene.read("to/sub/1"), "an editor's work on the standby");

    // The target wins, and it shows every time.
    write(&scene.at("from/sub/2"), "changed at home");
    let target = Options { winner: Some(Side::Target), ..Options::default() };
    for _ in 0..2 {
        scene.apply(&target).await;
        assert_eq!(scene.read("to/sub/1"), "an editor's work on the standby");
        assert_eq!(scene.read("to/sub/2"), "changed at home");
    }
    assert_eq!(scene.plan(&Options::default()).await.unwrap_err().kind(), ErrorKind::Refused);

    // The source wins: the other version is kept aside.
    let source = Options { winner: Some(Side::Source), ..Options::default() };
    assert_eq!(scene.apply(&source).await, Outcome::New);
    assert_eq!(rsync_would_change(&scene.at("from"), &scene.at("to")), "");
    assert!(scene.plan(&Options::default()).await.unwrap().plan.is_empty());
    let output = std::process::Command::new("grep")
        .args(["-rl", "an editor's work on the standby"])
        .arg(scene.directory.path())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).lines().count(),
        1,
        "the losing version is in quarantine"
    );
}

#[tokio::test]
async fn what_a_cut_run_landed_is_nobody_elses_work() {
    let scene = Scene::mirrored(9).await;
    let at = |name: &str| scene.at("from/sub").join(name);
    for name in ["7 too", "7 three"] {
        std::fs::hard_link(at("7"), at(name)).unwrap();
    }
    assert_eq!(scene.apply(&Options::default()).await, Outcome::New);
    for round in 0..3 {
        write(&at("1"), &format!("content of round {round}"));
        write(&at(&format!("new {round}")), "new");
        std::fs::set_permissions(at("3"), std::fs::Permissions::from_mode(0o600 + round)).unwrap();
        // There, and then not there; a directory, and then a file.
        let _ = std::fs::remove_dir(at("4")).or_else(|_| std::fs::remove_file(at("4")));
        match round {
            1 => {
                write(&at("4"), "a file");
                write(&at("2"), "again");
            }
            _ => {
                std::fs::create_dir(at("4")).unwrap();
                std::fs::remove_file(at("2")).unwrap();
            }
        }
        // The first of three names goes; the others are changed after that.
        if round == 0 {
            std::fs::remove_file(at("7")).unwrap();
        } else {
            write(&at("7 too"), &format!("{round}"));
        }
        // A name more of one file, and then of another.
        let _ = std::fs::remove_file(at("name"));
        std::fs::hard_link(at(["5", "6", "8"][round as usize]), at("name")).unwrap();
        scene.cut().await;
        assert_eq!(rsync(&scene.at("from"), &scene.at("to"), &["--checksum", "-H"]), "", "round {round}");
    }
    write(&at("1"), "changed once more");
    let (was, now) = (scene.at("to/sub/8"), "an editor's work on the standby");
    write(&was, now);
    write(&at("8"), "changed at home");
    let refused = scene.plan(&Options::default()).await.unwrap_err();
    assert!(refused.message().contains("sub/8") && !refused.message().contains("sub/1"), "{refused:?}");
    let source = Options { winner: Some(Side::Source), ..Options::default() };
    assert_eq!(scene.apply(&source).await, Outcome::New);
    assert_eq!(rsync(&scene.at("from"), &scene.at("to"), &["--checksum", "-H"]), "");
    // Both agree: what landed before is as good as anybody's, and nothing of it is kept.
    let kept = std::fs::read_dir(scene.at("state/baselines")).unwrap().count();
    assert_eq!(kept, 2, "a baseline for each end");
}

#[tokio::test]
async fn the_same_change_at_both_ends_is_no_divergence() {
    let scene = Scene::mirrored(3).await;
    for end in ["from", "to"] {
        write(&scene.at(end).join("sub/1"), "the same words");
    }
    let status = std::process::Command::new("touch")
        .args(["-r".as_ref(), scene.at("from/sub/1").as_os_str(), scene.at("to/sub/1").as_os_str()])
        .status();
    assert!(status.unwrap().success());
    assert!(scene.plan(&Options::default()).await.is_ok());
}

#[tokio::test]
async fn a_tree_that_lost_most_of_what_it_had_is_refused() {
    let scene = Scene::mirrored(250).await;
    for number in 0..200 {
        std::fs::remove_file(scene.at("from/sub").join(number.to_string())).unwrap();
    }
    let shown = scene.rehearse(&Options::default()).await;
    let refusing: Vec<Guard> =
        shown.guards.iter().filter(|verdict| verdict.refused).map(|verdict| verdict.guard).collect();
    assert_eq!(refusing, [Guard::Deletions, Guard::SameTrees]);
    assert_eq!(shown.summary.deleted, 200, "the deletions can be looked at");
    let many = dr_core::estate::MaxDelete { percent: 100, files: 1000 };
    let meant = Options { max_delete: many, ..Options::default() };
    assert_eq!(scene.apply(&meant).await, Outcome::New);
    assert_eq!(rsync_would_change(&scene.at("from"), &scene.at("to")), "");
}

#[tokio::test]
async fn what_was_kept_from_deletion_is_deleted_when_it_may() {
    let scene = Scene::mirrored(3).await;
    std::fs::remove_file(scene.at("from/sub/1")).unwrap();
    let keep = Options { delete: false, ..Options::default() };
    for _ in 0..2 {
        scene.apply(&keep).await;
        assert!(scene.at("to/sub/1").exists());
    }
    scene.apply(&Options::default()).await;
    assert_eq!(rsync_would_change(&scene.at("from"), &scene.at("to")), "");
}

#[tokio::test]
async fn verifying_reads_what_only_looks_alike() {
    let scene = Scene::mirrored(3).await;
    let (from, to) = scene.ends();
    let verify = || async {
        let verified = scene.toolkit.verify_mirror(&from, &to, &Options::default(), &Control::silent()).await;
        verified.unwrap().findings
    };
    assert_eq!(verify().await, []);
    let before = std::fs::metadata(scene.at("to/sub/1")).unwrap().modified().unwrap();
    write(&scene.at("to/sub/1"), "X");
    std::fs::File::options().write(true).open(scene.at("to/sub/1")).unwrap().set_modified(before).unwrap();
    let found = verify().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].code == code::MIRROR_DIFFERS_AFTER && found[0].message.contains("sub/1 has other content")
    );
}

#[tokio::test]
async fn a_run_tells_what_it_amounted_to() {
    let scene = Scene::mirrored(3).await;
    write(&scene.at("from/sub/1"), "twelve bytes");
    let planned = scene.plan(&Options::default()).await.unwrap();
    let applied = scene.toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
    let figure = |name: &str| applied.report.figures.get(name).copied();
    assert_eq!(
        (figure("sent_bytes"), figure("written_bytes"), figure("left_paths")),
        (Some(12), Some(12), Some(0))
    );
    assert_eq!(figure("wire_bytes"), None, "no line was crossed");
}

#[tokio::test]
async fn a_copy_of_what_did_not_change_costs_no_data() {
    let scene = Scene::mirrored(3).await;
    let large: String = (0..30_000).map(|number| format!("{number} ")).collect();
    write(&scene.at("from/large"), &large);
    scene.apply(&Options::default()).await;
    // Once where both ends tell what changed, and once where they tell all.
    for (name, checksum) in [("copy", false), ("another", true)] {
        std::fs::copy(scene.at("from/large"), scene.at("from/sub").join(name)).unwrap();
        let planned = scene.plan(&Options { checksum, ..Options::default() }).await.unwrap();
        let applied = scene.toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
        let figures = applied.report.figures;
        assert_eq!((figures["sent_bytes"], figures["written_bytes"]), (0, large.len() as u64), "{name}");
        assert_eq!(rsync_would_change(&scene.at("from"), &scene.at("to")), "");
    }
}
