//! Real processes that die, are cancelled, or meet one another over one run: the journal and the coordinator are files.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_core::failover::{Raise, Tenure};
use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
use dr_core::run::{Direction, Event, Outcome, RunId};
use dr_core::toolkit::Toolkit;
use dr_core::world::clock::SystemClock;
use dr_core::world::coordinator::sqlite::SqliteCoordinator;
use dr_core::world::journal::SqliteJournal;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Cancel, Cas, Control, Coordinator, Journal};
use dr_core::{Epoch, ErrorKind, SiteId, Timestamp};

const SITES: usize = 12;

fn site(number: usize) -> SiteId {
    format!("site-{number}").parse().unwrap()
}

fn tenure(epoch: u64, home: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: format!("n{epoch}") }
}

/// Moves every site from uk to us, then lets some time pass.
fn plan(pause: Duration) -> Plan {
    let raise = |number| {
        let step = Raise { site: site(number), from: Some(tenure(1, "uk")), to: tenure(2, "us") };
        Planned::needed(format!("move {}", site(number)), Step::RaiseEpoch(step))
    };
    let mut steps: Vec<Planned> = (0..SITES).map(raise).collect();
    let pause = Step::Pause(Pause { span: pause.into(), why: "let the TTL pass".to_owned() });
    steps.push(Planned::needed("the TTL passes", pause));
    Plan::new("move everything", Timestamp::from_micros(0), OnFailure::Stop, steps)
}

/// The files of one test, and what stands in them.
struct Place(PathBuf);

impl Place {
    fn toolkit(&self) -> Toolkit {
        let mut world = SimWorld::new().world();
        world.clock = Arc::new(SystemClock::new());
        world.journal = Arc::new(self.journal());
        world.coordinator = Arc::new(self.coordinator());
        Toolkit::new(world, dr_core::Estate::default())
    }

    fn journal(&self) -> SqliteJournal {
        SqliteJournal::open(&self.0.join("journal.db")).unwrap()
    }

    fn coordinator(&self) -> SqliteCoordinator {
        SqliteCoordinator::open(&self.0.join("tenures.db")).unwrap()
    }

    async fn lay_out(&self) {
        for number in 0..SITES {
            assert_eq!(
                self.coordinator().cas(&site(number), None, &tenure(1, "uk")).await.unwrap(),
                Cas::Won
            );
        }
    }

    async fn homes(&self) -> Vec<String> {
        let mut homes = vec![];
        for number in 0..SITES {
            homes.push(self.coordinator().read(&site(number)).await.unwrap().unwrap().home.to_string());
        }
        homes
    }

    fn spawn(&self, pause: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "driver", "--nocapture", "--test-threads", "1"])
            .env("DR_TEST_PLACE", &self.0)
            .env("DR_TEST_PAUSE_MS", pause)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Waits until the journal has so many lines; gives the run.
    async fn lines(&self, count: usize) -> RunId {
        let (journal, deadline) = (self.journal(), Instant::now() + Duration::from_secs(60));
        loop {
            if let Some(run) = journal.runs().await.unwrap().first()
                && journal.load(run.run).await.unwrap().1.len() >= count
            {
                return run.run;
            }
            assert!(Instant::now() < deadline, "the driver does not get to line {count}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Not a test of its own: the process that others start and kill.
#[test]
fn driver() {
    let Some(place) = std::env::var_os("DR_TEST_PLACE") else { return };
    let pause = std::env::var("DR_TEST_PAUSE_MS").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let toolkit = Place(Path::new(&place).to_owned()).toolkit();
    let plan = plan(Duration::from_millis(pause));
    let applied = runtime.block_on(toolkit.apply(&plan, "driver", &Control::silent())).unwrap();
    assert_eq!(applied.outcome, Outcome::New);
}

#[tokio::test]
async fn a_killed_driver_leaves_a_run_that_can_be_finished_or_taken_back() {
    // The plan's line, and two lines a step.
    for (round, lines) in [1, 2, 3, 8, 13, 24, 25, 26].into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place(directory.path().to_owned());
        place.lay_out().await;
        let mut child = place.spawn("30");
        let run = place.lines(lines).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let toolkit = place.toolkit();
        let (applied, expected, home) = if round % 2 == 0 {
            (toolkit.resume(run, "ann", &Control::silent()).await.unwrap(), Outcome::New, "us")
        } else {
            (toolkit.undo(run, "ann", &Control::silent()).await.unwrap(), Outcome::Old, "uk")
        };
        assert_eq!(applied.outcome, expected, "killed after line {lines}");
        assert_eq!(place.homes().await, vec![home; SITES], "killed after line {lines}");
        assert!(toolkit.audit().await.unwrap().findings.is_empty());
    }
}

#[tokio::test]
async fn a_run_that_is_being_driven_is_locked_and_one_that_ended_well_can_be_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place(directory.path().to_owned());
    place.lay_out().await;
    let mut child = place.spawn("1500");
    let run = place.lines(26).await;
    let toolkit = place.toolkit();
    for refused in [
        toolkit.resume(run, "ann", &Control::silent()).await.unwrap_err(),
        toolkit.undo(run, "ann", &Control::silent()).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Locked);
        assert!(refused.message().contains(&child.id().to_string()), "{refused}");
    }
    assert!(child.wait().unwrap().success());
    let again = toolkit.resume(run, "ann", &Control::silent()).await.unwrap();
    assert_eq!((again.outcome, place.homes().await), (Outcome::New, vec!["us".to_owned(); SITES]));
    let back = toolkit.undo(run, "ann", &Control::silent()).await.unwrap();
    assert_eq!((back.outcome, place.homes().await), (Outcome::Old, vec!["uk".to_owned(); SITES]));
    // The epoch went on: nobody can mistake the old tenure for the new one.
    assert_eq!(place.coordinator().read(&site(0)).await.unwrap().unwrap().epoch, Epoch(3));
    // Taken back is taken back.
    let twice = toolkit.undo(run, "ann", &Control::silent()).await.unwrap();
    assert_eq!((twice.outcome, twice.lines.len()), (Outcome::Old, back.lines.len()));
}

#[tokio::test]
async fn cancelling_stops_between_steps_and_the_run_goes_on_later() {
    // In the middle of a pause of an hour, and in the middle of the changes.
    for step in [SITES, 3] {
        let directory = tempfile::tempdir().unwrap();
        let place = Place(directory.path().to_owned());
        place.lay_out().await;
        let toolkit = place.toolkit();
        let cancel = Cancel::new();
        let mut control = Control::new({
            let cancel = cancel.clone();
            move |event: &Event| {
                if *event == (Event::StepBegun { step, direction: Direction::Forward }) {
                    cancel.cancel();
                }
            }
        });
        control.cancel = cancel;
        let started = Instant::now();
        let applied = toolkit.apply(&plan(Duration::from_secs(3_600)), "ann", &control).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
        assert_eq!(applied.outcome, Outcome::Stopped);
        assert_eq!(applied.report.findings[0].code.name(), "run.unfinished");
        assert!(applied.report.findings[0].message.contains(&format!("step {step}")), "{:?}", applied.report);
        assert!(matches!(applied.lines.last().unwrap().event, Event::Finished { outcome: Outcome::Stopped }));
        let waits = toolkit.audit().await.unwrap();
        assert!(waits.findings.iter().any(|finding| finding.code.name() == "run.unfinished"));
        let back = toolkit.undo(applied.run, "ann", &Control::silent()).await.unwrap();
        assert_eq!((back.outcome, place.homes().await), (Outcome::Old, vec!["uk".to_owned(); SITES]));
    }
}

#[tokio::test]
async fn a_clock_that_jumps_is_reported_and_an_empty_plan_is_on_record() {
    let sim = SimWorld::new();
    let toolkit = Toolkit::new(sim.world(), dr_core::Estate::default());
    let empty = Plan::new("nothing to do", Timestamp::from_micros(0), OnFailure::Stop, vec![]);
    let applied = toolkit.apply(&empty, "ann", &Control::silent()).await.unwrap();
    assert_eq!((applied.outcome, applied.lines.len()), (Outcome::New, 2));
    assert!(applied.report.findings.is_empty());
    let pause = Step::Pause(Pause { span: "10m".parse().unwrap(), why: "let the TTL pass".to_owned() });
    let plan =
        Plan::new("wait", Timestamp::from_micros(0), OnFailure::Stop, vec![Planned::needed("wait", pause)]);
    // Set by an hour, back or forward, in the middle of the pause: it takes its ten minutes, and the report tells of the clock.
    for micros in [-3_600_000_000, 3_600_000_000] {
        sim.before_call(sim.calls() + 4, move |sim| sim.set_wall_by(micros));
        let before = toolkit.world.clock.read();
        let applied = toolkit.apply(&plan, "ann", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New);
        let codes: Vec<&str> = applied.report.findings.iter().map(|finding| finding.code.name()).collect();
        assert_eq!(codes, ["clock.jumped"]);
        let took = toolkit.world.clock.read().boot.since(before.boot);
        assert_eq!(took, Duration::from_secs(600), "set by {micros} µs");
    }
}
