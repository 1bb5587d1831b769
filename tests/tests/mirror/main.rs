//! Mirrors through the public verbs, on real disks and over a real sshd, with rsync as the judge.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails here fails the test"
)]

mod child;
mod direct;
mod disturbed;
mod far;
mod faults;
mod filter;
mod garden;
mod guards;
mod lines;
mod memory;
mod oracle;
mod real;
mod systems;
mod trees;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dr_core::estate::Estate;
use dr_core::mirror::Options;
use dr_core::run::Outcome;
use dr_core::toolkit::{Applied, MirrorPlan, Toolkit};
use dr_core::world::clock::SystemClock;
use dr_core::world::endpoints::SystemEndpoints;
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Control, World};
use dr_core::{Location, Result};

/// A simulated world whose trees and clock are real.
pub(crate) fn world(simulated: &SimWorld, access: Access) -> World {
    let endpoints = Arc::new(SystemEndpoints::new(Connector::new(access)));
    World { endpoints, clock: Arc::new(SystemClock::new()), ..simulated.world() }
}

pub(crate) fn toolkit() -> Toolkit {
    Toolkit::new(world(&SimWorld::new(), Access::default()), Estate::default())
}

pub(crate) fn here(path: &Path) -> Location {
    Location::Local { path: path.to_owned() }
}

pub(crate) async fn plan(
    toolkit: &Toolkit,
    source: &Location,
    target: &Location,
    options: &Options,
) -> Result<MirrorPlan> {
    toolkit.plan_mirror(source, target, options, None, &Control::silent()).await
}

/// Plans and applies; it must succeed, and a second plan must find nothing to do.
pub(crate) async fn mirror(
    toolkit: &Toolkit,
    source: &Location,
    target: &Location,
    options: &Options,
) -> (MirrorPlan, Applied) {
    let planned = plan(toolkit, source, target, options).await.unwrap();
    let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report.findings);
    let again = plan(toolkit, source, target, options).await.unwrap();
    assert!(again.plan.is_empty(), "{:#?}", again.plan.steps);
    (planned, applied)
}

/// What rsync would still change, by content: nothing, if the mirror did its work. Times of links are not compared: not every
/// server can set them.
pub(crate) fn rsync_would_change(source: &Path, target: &Path) -> String {
    rsync(source, target, &["--checksum"])
}

/// The same with more options.
pub(crate) fn rsync(source: &Path, target: &Path, more: &[&str]) -> String {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let flags = ["-rlptn", "--omit-link-times", "--delete", "--itemize-changes"];
    let output = Command::new("rsync")
        .args(flags)
        .args(more)
        .args([with_slash(source), with_slash(target)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
