//! How many round trips a mirror takes: counted by a clock that only goes on while everybody waits for the line.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::time::Instant;

use crate::error::Result;
use crate::estate::{Estate, Location};
use crate::mirror::Options;
use crate::run::Outcome;
use crate::toolkit::Toolkit;
use crate::world::agent::{Restrictions, serve};
use crate::world::endpoints::{AgentEndpoint, LocalEndpoint};
use crate::world::sim::SimWorld;
use crate::world::{Control, Endpoint, Endpoints};

/// From one end to the other.
const ONE_WAY: Duration = Duration::from_millis(40);

/// Trees of this machine; those that are said to be on a host are behind a long line.
struct LongLine {
    state: PathBuf,
}

#[async_trait]
impl Endpoints for LongLine {
    async fn open(&self, location: &Location, _: &Control) -> Result<Box<dyn Endpoint>> {
        match location {
            Location::Local { path } => {
                let tree = LocalEndpoint::open(path).await?;
                Ok(Box::new(tree.with_state(&self.state.join("near"))))
            }
            Location::Remote { path, .. } => {
                let ((ours, near), (far, theirs)) = (tokio::io::duplex(1 << 20), tokio::io::duplex(1 << 20));
                let (from_near, to_near) = tokio::io::split(near);
                let (from_far, to_far) = tokio::io::split(far);
                tokio::spawn(carry(from_near, to_far));
                tokio::spawn(carry(from_far, to_near));
                let (input, output) = tokio::io::split(theirs);
                let restrictions =
                    Restrictions { state_dir: Some(self.state.join("far")), ..Restrictions::default() };
                tokio::spawn(serve(restrictions, input, output));
                Ok(Box::new(AgentEndpoint::over(ours, path).await?))
            }
        }
    }
}

/// Everything arrives, and some time later.
async fn carry(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let (sent, mut under_way) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count) = from.read(&mut bytes).await
            && count > 0
        {
            let _ = sent.send((Instant::now() + ONE_WAY, bytes[..count].to_vec()));
        }
    };
    let write = async {
        while let Some((at, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

struct Scene {
    directory: tempfile::TempDir,
    toolkit: Toolkit,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut toolkit = Toolkit::new(SimWorld::new().world(), Estate::default());
        toolkit.world.endpoints = Arc::new(LongLine { state: directory.path().join("state") });
        let scene = Self { directory, toolkit };
        for place in ["near", "far"] {
            std::fs::create_dir(scene.at(place)).unwrap();
        }
        for directory in 0..5 {
            let deep = scene.at("near").join(format!("a{directory}/b/c"));
            std::fs::create_dir_all(&deep).unwrap();
            for file in 0..20 {
                write(&deep.join(format!("file{file}")), &format!("{directory} {file}"));
                write(&deep.parent().unwrap().join(format!("old{file}")), "old");
            }
        }
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Changes of every kind.
    fn change_something(&self) {
        let near = self.at("near");
        write(&near.join("a0/b/c/file1"), "another content");
        write(&near.join("a1/b/c/new"), "new");
        std::fs::create_dir_all(near.join("new/deep/er")).unwrap();
        write(&near.join("new/deep/er/file"), "new");
        write(&near.join("a2/b/c/more"), "two names");
        std::fs::hard_link(near.join("a2/b/c/more"), near.join("a2/b/c/name")).unwrap();
        symlink("c/file0", near.join("a2/b/link")).unwrap();
        std::fs::remove_dir_all(near.join("a3/b/c")).unwrap();
        std::fs::remove_file(near.join("a4/b/old1")).unwrap();
        let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        std::fs::File::open(near.join("a4/b/old2")).unwrap().set_times(times).unwrap();
    }

    /// Mirrors from one place to the other, and gives the round trips from when both ends are open until it is done.
    async fn round_trips(&self, from: &str, to: &str) -> u128 {
        let place = |name: &str| match name {
            "far" => format!("root@far:{}", self.at(name).display()).parse().unwrap(),
            _ => Location::Local { path: self.at(name) },
        };
        let begun = Instant::now();
        let control = Control::silent();
        let planned = self
            .toolkit
            .plan_mirror(&place(from), &place(to), &Options::default(), None, &control)
            .await
            .unwrap();
        if planned.plan.steps.is_empty() {
            self.toolkit.agree_mirror(&planned, &control).await;
        } else {
            let applied = self.toolkit.apply(&planned.plan, "test", &control).await.unwrap();
            assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
        }
        let trips = begun.elapsed().as_millis() / (2 * ONE_WAY).as_millis();
        self.are_alike();
        // The first is the greeting.
        trips - 1
    }

    fn are_alike(&self) {
        let rsync = std::process::Command::new("rsync")
            .args(["-aHAXn", "--delete", "--checksum", "--itemize-changes"])
            .arg(format!("{}/", self.at("near").display()))
            .arg(self.at("far"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&rsync.stdout), "");
    }
}

fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

#[tokio::test(start_paused = true)]
async fn round_trips_to_a_far_target_do_not_grow_with_the_work() {
    let scene = Scene::new();
    let first = scene.round_trips("near", "far").await;
    let nothing = scene.round_trips("near", "far").await;
    scene.change_something();
    let some = scene.round_trips("near", "far").await;
    // To survey, to do all there is to do, and to agree.
    assert_eq!((first, nothing, some), (3, 1, 3));
}
