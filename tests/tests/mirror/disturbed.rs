//! Trees that change, and writes that fail, while a mirror is under way.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dr_core::failover::{Role, Standing, standing_path};
use dr_core::mirror::{Carries, Change, Entry, Options, RelPath, Snapshot};
use dr_core::report::code;
use dr_core::run::{Event, Outcome};
use dr_core::toolkit::Toolkit;
use dr_core::world::endpoints::LocalEndpoint;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Content, Control, Endpoint, Endpoints, World};
use dr_core::{Epoch, Error, ErrorKind, Location, Remote, Result};
use tempfile::TempDir;

use crate::{here, plan, rsync_would_change, toolkit};

type Act = Box<dyn FnOnce() + Send>;

/// Local trees in which something happens when a file is opened or landed.
#[derive(Default)]
struct Stage {
    on_read: Mutex<VecDeque<Act>>,
    fail_writes_after: Mutex<Option<usize>>,
}

struct Actors(Arc<Stage>);

struct Actor(LocalEndpoint, Arc<Stage>);

#[async_trait]
impl Endpoints for Actors {
    async fn open(&self, location: &Location, _: &Control) -> Result<Box<dyn Endpoint>> {
        // What is said to be on a host is here too, so that the host's standing can be played with.
        let path = match location {
            Location::Local { path } => path.clone(),
            Location::Remote { path, .. } => path.into(),
            other => panic!("{other} is nowhere"),
        };
        Ok(Box::new(Actor(LocalEndpoint::open(&path).await?, Arc::clone(&self.0))))
    }
}

#[async_trait]
impl Endpoint for Actor {
    fn carries(&self) -> Carries {
        self.0.carries()
    }
    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        self.0.scan(options, control).await
    }
    async fn read(&self, path: &RelPath) -> Result<Content> {
        let content = self.0.read(path).await;
        if let Some(act) = self.1.on_read.lock().unwrap().pop_front() {
            act();
        }
        content
    }
    async fn write(&self, path: &RelPath, entry: &Entry, content: Content) -> Result<u64> {
        if let Some(left) = &mut *self.1.fail_writes_after.lock().unwrap() {
            if *left == 0 {
                return Err(Error::new(ErrorKind::Unreachable, "write", "the line was cut"));
            }
            *left -= 1;
        }
        self.0.write(path, entry, content).await
    }
    async fn change(&self, change: &Change) -> Result<()> {
        self.0.change(change).await
    }
    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>> {
        self.0.stat(path).await
    }
    async fn settle(&self) -> Result<()> {
        self.0.settle().await
    }
}

struct Scene {
    directory: TempDir,
    stage: Arc<Stage>,
    toolkit: Toolkit,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("from")).unwrap();
        std::fs::create_dir(directory.path().join("to")).unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join("from").join(name), content).unwrap();
        }
        let stage = Arc::new(Stage::default());
        let mut toolkit = toolkit();
        toolkit.world.endpoints = Arc::new(Actors(Arc::clone(&stage)));
        Self { directory, stage, toolkit }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    async fn plan(&self) -> dr_core::Plan {
        let (from, to) = (here(&self.path("from")), here(&self.path("to")));
        plan(&self.toolkit, &from, &to, &Options::default()).await.unwrap().plan
    }

    /// The next file that is opened is rewritten at once.
    fn rewrite_on_read(&self, path: &Path, content: &'static str) {
        let path = path.to_owned();
        self.stage
            .on_read
            .lock()
            .unwrap()
            .push_back(Box::new(move || std::fs::write(path, content).unwrap()));
    }
}

/// Applies the plan; the codes that were found on the way come back too.
async fn apply(scene: &Scene, plan: &dr_core::Plan) -> (Outcome, Vec<&'static str>) {
    let found = Arc::new(Mutex::new(vec![]));
    let sink = Arc::clone(&found);
    let control = Control::new(move |event: &Event| {
        if let Event::Found(finding) = event {
            sink.lock().unwrap().push(finding.code.name());
        }
    });
    let applied = scene.toolkit.apply(plan, "test", &control).await.unwrap();
    let found = found.lock().unwrap().clone();
    let recorded = applied.lines.iter().filter_map(|line| match &line.event {
        Event::Found(finding) => Some(finding.code.name()),
        _ => None,
    });
    assert_eq!(recorded.collect::<Vec<_>>(), found, "what was told was written down first");
    (applied.outcome, found)
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_read_again() {
    let scene = Scene::new(&[("page", "old content"), ("other", "x")]);
    let plan = scene.plan().await;
    scene.rewrite_on_read(&scene.path("from/page"), "new, and longer content");
    // Whichever is opened first is the one under way; both must be whole in the end.
    let (outcome, found) = apply(&scene, &plan).await;
    assert_eq!((outcome, found), (Outcome::New, vec![]));
    assert_eq!(rsync_would_change(&scene.path("from"), &scene.path("to")), "");
}

#[tokio::test]
async fn a_file_that_never_holds_still_is_reported_and_left_as_it_was() {
    let scene = Scene::new(&[("page", "a"), ("other", "x")]);
    std::fs::write(scene.path("to/page"), "what visitors saw before").unwrap();
    let plan = scene.plan().await;
    for content in ["ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "abcdefghi"] {
        scene.rewrite_on_read(&scene.path("from/page"), content);
    }
    let (outcome, found) = apply(&scene, &plan).await;
    assert_eq!(outcome, Outcome::New, "the rest of the mirror is done");
    assert_eq!(found, [code::MIRROR_FILE_CHANGED.name()]);
    assert_eq!(std::fs::read_to_string(scene.path("to/page")).unwrap(), "what visitors saw before");
    assert_eq!(std::fs::read_to_string(scene.path("to/other")).unwrap(), "x");
}

/// What is set at one name shows at all of them: the old content must not get the time of the new one.
#[tokio::test]
async fn other_names_of_a_file_that_never_holds_still_are_left_too() {
    let scene = Scene::new(&[("page", "a"), ("other", "x")]);
    std::fs::write(scene.path("to/page"), "what visitors saw before").unwrap();
    for side in ["from", "to"] {
        std::fs::hard_link(scene.path(side).join("page"), scene.path(side).join("same page")).unwrap();
    }
    let modified = || std::fs::metadata(scene.path("to/page")).unwrap().modified().unwrap();
    let (plan, before) = (scene.plan().await, modified());
    for content in ["ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "abcdefghi"] {
        scene.rewrite_on_read(&scene.path("from/page"), content);
    }
    let (outcome, found) = apply(&scene, &plan).await;
    assert_eq!(outcome, Outcome::New);
    assert_eq!(found, [code::MIRROR_FILE_CHANGED.name(), code::MIRROR_FILE_NOT_WRITTEN.name()]);
    assert_eq!(std::fs::read_to_string(scene.path("to/same page")).unwrap(), "what visitors saw before");
    assert_eq!(modified(), before);
}

#[tokio::test]
async fn a_file_that_vanishes_is_reported() {
    let scene = Scene::new(&[("page", "a"), ("other", "x")]);
    let plan = scene.plan().await;
    std::fs::remove_file(scene.path("from/page")).unwrap();
    let (outcome, found) = apply(&scene, &plan).await;
    assert_eq!((outcome, found), (Outcome::New, vec![code::MIRROR_FILE_CHANGED.name()]));
    assert!(!scene.path("to/page").exists() && scene.path("to/other").exists());
}

#[tokio::test]
async fn what_somebody_else_wrote_into_the_target_is_not_overwritten() {
    let scene = Scene::new(&[("page", "ours"), ("other", "x")]);
    std::fs::write(scene.path("to/page"), "before").unwrap();
    let plan = scene.plan().await;
    std::fs::write(scene.path("to/page"), "somebody else's work").unwrap();
    let (outcome, _) = apply(&scene, &plan).await;
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!(std::fs::read_to_string(scene.path("to/page")).unwrap(), "somebody else's work");
    assert!(!scene.path("to/other").exists(), "nothing else was begun");
}

#[tokio::test]
async fn a_run_that_was_cut_is_resumed() {
    let names: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "content")).collect();
    let scene = Scene::new(&files);
    let plan = scene.plan().await;
    *scene.stage.fail_writes_after.lock().unwrap() = Some(17);
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped);
    let landed = std::fs::read_dir(scene.path("to")).unwrap().count();
    assert!(landed <= 17, "{landed} of 40 landed");
    // One of those that landed has changed at home since: it is brought up to date, not taken for a conflict.
    std::fs::write(scene.path("from/00"), "changed meanwhile").unwrap();
    *scene.stage.fail_writes_after.lock().unwrap() = None;
    let resumed = scene.toolkit.resume(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::New, "{:#?}", resumed.report);
    let (from, to) = (here(&scene.path("from")), here(&scene.path("to")));
    let _ = crate::mirror(&scene.toolkit, &from, &to, &Options::default()).await;
    assert_eq!(rsync_would_change(&scene.path("from"), &scene.path("to")), "");
}

#[tokio::test]
async fn a_file_that_is_under_way_when_its_target_becomes_home_does_not_land() {
    let mut scene = Scene::new(&[("page", "from a home that is none any more")]);
    let (sim, site, remote) =
        (SimWorld::new(), "shop".parse().unwrap(), "root@us".parse::<Remote>().unwrap());
    scene.toolkit.world = World { endpoints: scene.toolkit.world.endpoints, ..sim.world() };
    let target = Location::Remote { remote: remote.clone(), path: scene.path("to").to_str().unwrap().into() };
    let (source, control) = (here(&scene.path("from")), Control::silent());
    let (options, epoch) = (Options::default(), Epoch(1));
    let planned =
        scene.toolkit.plan_mirror(&source, &target, &options, Some((&site, epoch)), &control).await.unwrap();
    let home = Standing { role: Role::Home, epoch: Epoch(2) };
    scene.stage.on_read.lock().unwrap().push_back(Box::new(move || {
        sim.put_file(&remote, &standing_path(".local/state/dr", &site), &home.to_bytes());
        sim.advance(std::time::Duration::from_secs(2));
    }));
    let applied = scene.toolkit.apply(&planned.plan, "test", &control).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped);
    assert!(applied.report.findings.iter().any(|finding| finding.message.contains("home for site shop")));
    assert_eq!(std::fs::read_dir(scene.path("to")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_becomes_a_link_is_reported_and_not_followed() {
    let scene = Scene::new(&[("page", "a"), ("other", "x")]);
    let plan = scene.plan().await;
    std::fs::remove_file(scene.path("from/page")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", scene.path("from/page")).unwrap();
    let (outcome, found) = apply(&scene, &plan).await;
    assert_eq!((outcome, found), (Outcome::New, vec![code::MIRROR_FILE_CHANGED.name()]));
    assert!(!scene.path("to/page").exists() && scene.path("to/other").exists());
}

#[tokio::test]
async fn cancelling_stops_between_whole_files() {
    let names: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "content")).collect();
    let scene = Scene::new(&files);
    let plan = scene.plan().await;
    let control = Control::silent();
    let cancel = control.cancel.clone();
    scene.stage.on_read.lock().unwrap().extend((0..30).map(|_| Box::new(|| {}) as Act));
    scene.stage.on_read.lock().unwrap().push_back(Box::new(move || cancel.cancel()));
    let applied = scene.toolkit.apply(&plan, "test", &control).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped);
    for entry in std::fs::read_dir(scene.path("to")).unwrap() {
        assert_eq!(std::fs::read_to_string(entry.unwrap().path()).unwrap(), "content");
    }
    let resumed = scene.toolkit.resume(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::New, "{:#?}", resumed.report);
    assert_eq!(std::fs::read_dir(scene.directory.path()).unwrap().count(), 2, "nothing staged is left");
}
