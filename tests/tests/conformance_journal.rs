//! What every journal must do, run against the one on disk and the simulated one; then what only a disk can do to one.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails here fails the test"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
use dr_core::run::{Direction, Event, Outcome, RunId, chain};
use dr_core::toolkit::Toolkit;
use dr_core::world::journal::SqliteJournal;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, Journal};
use dr_core::{ErrorKind, Timestamp};

fn plan(title: &str) -> Plan {
    let pause = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
    Plan::new(title, Timestamp::from_micros(1), OnFailure::Stop, vec![Planned::needed("wait", pause)])
}

fn id(number: u8) -> RunId {
    RunId::from_bytes([number; 8])
}

fn begun(step: usize) -> Event {
    Event::StepBegun { step, direction: Direction::Forward }
}

async fn conformance_journal(journal: Arc<dyn Journal>) {
    assert!(journal.runs().await.unwrap().is_empty());
    assert_eq!(journal.load(id(1)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(journal.append(id(1), &begun(0)).await.unwrap_err().kind(), ErrorKind::NotFound);

    // Two runs, their lines mixed: one chain, each run in its own order.
    let first = journal.begin(id(1), &plan("first"), "ann").await.unwrap();
    assert_eq!(first.number, 1);
    assert!(
        matches!(&first.event, Event::PlanRecorded { by, digest, .. } if by == "ann" && *digest == plan("first").digest())
    );
    assert_eq!(
        journal.begin(id(1), &plan("first"), "ann").await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    journal.begin(id(2), &plan("second"), "bob").await.unwrap();
    let mut written = vec![];
    for step in 0..5 {
        written.push(journal.append(id(1 + u8::from(step % 2 == 1)), &begun(step)).await.unwrap());
    }
    let (loaded, lines) = journal.load(id(1)).await.unwrap();
    assert_eq!(loaded, plan("first"));
    let steps: Vec<u64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(steps, [1, 3, 5, 7]);
    assert!(lines.iter().all(|line| line.run == id(1)));
    let mut all = [lines, journal.load(id(2)).await.unwrap().1].concat();
    all.sort_by_key(|line| line.number);
    chain::verify(&all).unwrap();

    // What is over and what is not.
    let outcome = |event: Event| {
        let journal = Arc::clone(&journal);
        async move {
            journal.append(id(1), &event).await.unwrap();
            let runs = journal.runs().await.unwrap();
            assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), [id(2), id(1)], "newest first");
            assert_eq!((runs[1].title.as_str(), runs[0].outcome), ("first", None));
            runs[1].outcome
        }
    };
    assert_eq!(outcome(begun(9)).await, None);
    assert_eq!(outcome(Event::Finished { outcome: Outcome::Stopped }).await, Some(Outcome::Stopped));
    assert_eq!(outcome(Event::Resumed { by: "ann".into(), direction: Direction::Forward }).await, None);
    assert_eq!(outcome(Event::Finished { outcome: Outcome::New }).await, Some(Outcome::New));
    assert_eq!(outcome(Event::UndoBegun { why: "\"quotes\" and ü\n".into() }).await, None);
    assert_eq!(outcome(Event::Finished { outcome: Outcome::Old }).await, Some(Outcome::Old));

    // One driver at a time.
    let held = journal.claim(id(1)).await.unwrap();
    let refused = journal.claim(id(1)).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    let other = journal.claim(id(2)).await.unwrap();
    drop(held);
    let again = journal.claim(id(1)).await.unwrap();
    drop((again, other));
}

#[tokio::test]
async fn the_journal_on_disk_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    conformance_journal(Arc::new(SqliteJournal::open(&path).unwrap())).await;
    // A second opening sees the same, and nothing is left behind but the file.
    assert_eq!(SqliteJournal::open(&path).unwrap().runs().await.unwrap().len(), 2);
    let left: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["journal.db"]);
}

#[tokio::test]
async fn the_simulated_journal_conforms() {
    conformance_journal(SimWorld::new().world().journal).await;
}

#[tokio::test]
async fn a_locked_run_names_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let _held = journal.claim(id(1)).await.unwrap();
    let error = SqliteJournal::open(&path).unwrap().claim(id(1)).await.map(|_| ()).unwrap_err();
    assert!(error.message().contains(&std::process::id().to_string()), "{error}");
}

#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let mode = |name: &str| directory.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin(id(1), &plan("first"), "ann").await.unwrap();
    assert_eq!((mode("journal.db"), mode("journal.db-wal")), (0o600, 0o600));
    drop(journal);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    SqliteJournal::open(&path).unwrap();
    assert_eq!(mode("journal.db"), 0o600);
}

/// Not a test of its own: what [`a_killed_writer_leaves_a_sound_journal`] and others start as another process.
#[test]
fn writer() {
    let Ok(path) = std::env::var("DR_TEST_JOURNAL") else { return };
    let run = id(std::env::var("DR_TEST_RUN").unwrap().parse().unwrap());
    let count: usize = std::env::var("DR_TEST_LINES").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = SqliteJournal::open(Path::new(&path)).unwrap();
        let _claim = journal.claim(run).await.unwrap();
        journal.begin(run, &plan("by another process"), "child").await.unwrap();
        for step in 1..count {
            journal.append(run, &begun(step)).await.unwrap();
            println!("durable {step}");
        }
    });
}

fn spawn_writer(path: &Path, run: u8, lines: usize) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture", "--test-threads", "1"])
        .env("DR_TEST_JOURNAL", path)
        .env("DR_TEST_RUN", run.to_string())
        .env("DR_TEST_LINES", lines.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn verified(journal: &SqliteJournal) -> usize {
    let mut lines = vec![];
    for run in journal.runs().await.unwrap() {
        lines.extend(journal.load(run.run).await.unwrap().1);
    }
    lines.sort_by_key(|line| line.number);
    chain::verify(&lines).unwrap();
    lines.len()
}

#[tokio::test]
async fn a_killed_writer_leaves_a_sound_journal() {
    use std::io::{BufRead, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    for round in 1..=5_u8 {
        let mut child = spawn_writer(&path, round, usize::MAX);
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The harness prints its own words in front of the first line.
        let wanted = format!("durable {}", 10 * usize::from(round));
        assert!(said.any(|line| line.ends_with(&wanted)));
        child.kill().unwrap();
        child.wait().unwrap();
        let durable = said.filter(|line| line.starts_with("durable ")).count() + 10 * usize::from(round);
        let journal = SqliteJournal::open(&path).unwrap();
        let (_, lines) = journal.load(id(round)).await.unwrap();
        assert!(lines.len() > durable, "what was said to be durable is there: {} of {durable}", lines.len());
        verified(&journal).await;
        // The kernel gave back what the dead process held.
        drop(journal.claim(id(round)).await.unwrap());
    }
}

#[tokio::test]
async fn several_processes_write_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    // They also race to create it.
    let children: Vec<_> = (1..=3).map(|run| spawn_writer(&path, run, 60)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(verified(&SqliteJournal::open(&path).unwrap()).await, 180);
}

#[tokio::test]
async fn stock_sqlite3_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin(id(1), &plan("first"), "ann").await.unwrap();
    journal.append(id(1), &Event::Finished { outcome: Outcome::Stopped }).await.unwrap();
    let query = "SELECT number, what, outcome FROM story; SELECT title, plan ->> '$.on_failure' FROM runs";
    let said =
        Command::new("sqlite3").args(["-readonly".as_ref(), path.as_os_str(), query.as_ref()]).output();
    let said = said.expect("this test needs sqlite3: apt-get install sqlite3");
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(text, "1|plan_recorded|\n2|finished|stopped\nfirst|stop\n", "{:?}", said.stderr);
}

/// A long plan is kept compressed, also in a journal that an older dr began.
#[tokio::test]
async fn a_long_plan_comes_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    SqliteJournal::open(&path).unwrap().begin(id(1), &plan("first"), "ann").await.unwrap();
    let older = rusqlite::Connection::open(&path).unwrap();
    older.execute_batch("DROP TABLE plans; PRAGMA user_version = 1").unwrap();
    drop(older);
    let journal = SqliteJournal::open(&path).unwrap();
    let long = plan(&"a title of some length ".repeat(100_000));
    journal.begin(id(2), &long, "ann").await.unwrap();
    assert_eq!(journal.load(id(2)).await.unwrap().0, long);
    assert_eq!(journal.load(id(1)).await.unwrap().0, plan("first"));
    let stranger = rusqlite::Connection::open(&path).unwrap();
    let size: i64 = stranger.query_row("SELECT length(zstd) FROM plans", [], |row| row.get(0)).unwrap();
    assert!(size < 10_000, "{size}");
    stranger.execute_batch("UPDATE plans SET zstd = substr(zstd, 1, 100)").unwrap();
    assert_eq!(journal.load(id(2)).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn tampering_shows() {
    let tamper: &[&str] = &[
        "UPDATE lines SET at = '2020-01-01T00:00:00Z' WHERE number = 3",
        "UPDATE lines SET event = json_set(event, '$.step', 7) WHERE number = 3",
        "UPDATE lines SET run = '0202020202020202' WHERE number = 3",
        "DELETE FROM lines WHERE number = 3",
        "DELETE FROM lines WHERE number = 1",
        "UPDATE lines SET number = 30 WHERE number = 3",
        "UPDATE runs SET plan = json_set(plan, '$.title', 'another') WHERE run = '0101010101010101'",
        "UPDATE lines SET event = '{\"event\":\"nonsense\"}' WHERE number = 3",
        "UPDATE lines SET digest = previous WHERE number = 3",
    ];
    for change in tamper {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let journal = SqliteJournal::open(&path).unwrap();
        let mut world = SimWorld::new().world();
        world.journal = Arc::new(journal.clone());
        let toolkit = Toolkit::new(world, dr_core::Estate::default());
        journal.begin(id(2), &plan("second"), "ann").await.unwrap();
        journal.append(id(2), &Event::Finished { outcome: Outcome::Stopped }).await.unwrap();
        journal.begin(id(1), &plan("first"), "ann").await.unwrap();
        journal.append(id(1), &begun(0)).await.unwrap();
        journal.append(id(1), &Event::Finished { outcome: Outcome::Stopped }).await.unwrap();
        let broken = |report: dr_core::Report| {
            report.findings.iter().filter(|finding| finding.code.name() == "run.journal_broken").count()
        };
        assert_eq!(broken(toolkit.audit().await.unwrap()), 0);
        let stranger = rusqlite::Connection::open(&path).unwrap();
        stranger.execute_batch(change).unwrap();
        assert!(broken(toolkit.audit().await.unwrap()) > 0, "{change}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_journal_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let check = |path: &Path, kind: ErrorKind| {
        let error = SqliteJournal::open(path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.advice().is_some(), "{error:?}");
    };
    check(&place("missing/journal.db"), ErrorKind::NotFound);
    check(directory.path(), ErrorKind::Usage);
    std::fs::write(place("text"), "This is no database at all. ".repeat(100)).unwrap();
    check(&place("text"), ErrorKind::Corrupt);
    let other = rusqlite::Connection::open(place("other.db")).unwrap();
    other.execute_batch("CREATE TABLE mine (x)").unwrap();
    check(&place("other.db"), ErrorKind::Usage);
    drop(SqliteJournal::open(&place("newer.db")).unwrap());
    rusqlite::Connection::open(place("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    check(&place("newer.db"), ErrorKind::Unsupported);
    // A file system that takes no writes, whoever asks.
    check(Path::new("/proc/journal.db"), ErrorKind::NotFound);
}

#[tokio::test]
async fn damage_is_noticed_on_opening() {
    use std::os::unix::fs::FileExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    for run in 1..50 {
        journal.begin(id(run), &plan("some"), "ann").await.unwrap();
    }
    drop(journal);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&[0xff; 3000], length / 2).unwrap();
    assert_eq!(SqliteJournal::open(&path).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A journal that takes no more writes stops the run at once, says so, and the run goes on once it can be written again.
#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let sim = SimWorld::new();
    let mut world = sim.world();
    world.journal = Arc::new(SqliteJournal::open(&path).unwrap());
    let toolkit = Toolkit::new(world, dr_core::Estate::default());
    // Somebody's trigger stands for a disk that fails at the second line.
    let stranger = rusqlite::Connection::open(&path).unwrap();
    let trigger =
        "CREATE TRIGGER full BEFORE INSERT ON lines WHEN new.number > 1 BEGIN SELECT raise(ABORT, 'no'); END";
    stranger.execute_batch(trigger).unwrap();
    let error = toolkit.apply(&plan("first"), "ann", &Control::silent()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal, "{error:?}");
    assert!(error.message().contains("nothing more was done"), "{error:?}");
    assert_eq!(sim.calls(), 0, "not even time passed");
    stranger.execute_batch("DROP TRIGGER full").unwrap();
    let run = toolkit.runs().await.unwrap()[0].run;
    let applied = toolkit.resume(run, "ann", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New);
}

/// Waiting for another writer is not an error; waiting for ever is not an option.
#[tokio::test]
async fn another_writer_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let stranger = rusqlite::Connection::open(&path).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let writing = tokio::spawn(async move { journal.begin(id(1), &plan("first"), "ann").await });
    let release = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(200));
        stranger.execute_batch("COMMIT").unwrap();
    });
    writing.await.unwrap().unwrap();
    release.await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
}

/// Starts one of this file's tests again, with a file system of its own on `directory`.
fn with_a_small_disk(directory: &Path, test: &str) {
    let script = "mount -t tmpfs -o size=512k,mode=700 none \"$0\" && exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(directory)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env("DR_TEST_SMALL_DISK", directory)
        .status()
        .expect("this test needs unshare, of util-linux");
    assert!(status.success(), "{test} in a mount namespace of its own");
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    with_a_small_disk(directory.path(), "on_a_disk_that_fills_up");
}

/// Not a test of its own: see [`with_a_small_disk`].
#[tokio::test]
async fn on_a_disk_that_fills_up() {
    let Some(disk) = std::env::var_os("DR_TEST_SMALL_DISK") else { return };
    let disk = Path::new(&disk);
    std::fs::write(disk.join("ballast"), vec![0; 128 << 10]).unwrap();
    let journal = SqliteJournal::open(&disk.join("journal.db")).unwrap();
    journal.begin(id(1), &plan("first"), "ann").await.unwrap();
    let mut durable = 1;
    let error = loop {
        match journal.append(id(1), &begun(durable)).await {
            Ok(_) => durable += 1,
            Err(error) => break error,
        }
        assert!(durable < 10_000, "the disk does not fill up");
    };
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
    assert!(error.advice().unwrap().contains("free some space"), "{error:?}");
    assert_eq!(verified(&journal).await, durable);
    assert_eq!(SqliteJournal::open(&disk.join("other.db")).unwrap_err().kind(), ErrorKind::NoSpace);
    // With some room again, the same run goes on, in this process and in the next.
    std::fs::remove_file(disk.join("ballast")).unwrap();
    journal.append(id(1), &begun(durable)).await.unwrap();
    drop(journal);
    let journal = SqliteJournal::open(&disk.join("journal.db")).unwrap();
    assert_eq!(verified(&journal).await, durable + 1);
}

#[test]
fn a_read_only_disk_is_said() {
    let directory = tempfile::tempdir().unwrap();
    with_a_small_disk(directory.path(), "on_a_disk_that_becomes_read_only");
}

/// Not a test of its own: see [`with_a_small_disk`].
#[tokio::test]
async fn on_a_disk_that_becomes_read_only() {
    let Some(disk) = std::env::var_os("DR_TEST_SMALL_DISK") else { return };
    let disk = Path::new(&disk);
    drop(SqliteJournal::open(&disk.join("journal.db")).unwrap());
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk).status().unwrap();
    assert!(remounted.success());
    for name in ["journal.db", "new.db"] {
        let error = SqliteJournal::open(&disk.join(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
        assert!(error.advice().unwrap().contains("mounted for writing"), "{error:?}");
    }
}

/// A disk that does not confirm a write is the end of the run: no later success of the same process is believed.
#[test]
fn a_failed_flush_is_fatal() {
    let directory = tempfile::tempdir().unwrap();
    let (source, library) = (directory.path().join("flush.c"), directory.path().join("flush.so"));
    let c = "#include <errno.h>\n#include <stdlib.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
             static int failing(void) { const char *p = getenv(\"DR_TEST_FAILING\"); return p && !access(p, F_OK); }\n\
             int fsync(int fd) { if (failing()) { errno = EIO; return -1; } return syscall(SYS_fsync, fd); }\n\
             int fdatasync(int fd) { if (failing()) { errno = EIO; return -1; } return syscall(SYS_fdatasync, fd); }\n";
    std::fs::write(&source, c).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.expect("this test needs a C compiler, as building SQLite does").success());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "on_a_disk_that_does_not_confirm", "--nocapture", "--test-threads", "1"])
        .env("LD_PRELOAD", &library)
        .env("DR_TEST_FAILING", directory.path().join("failing"))
        .status();
    assert!(status.unwrap().success());
}

/// Not a test of its own: see [`a_failed_flush_is_fatal`].
#[tokio::test]
async fn on_a_disk_that_does_not_confirm() {
    let Some(failing) = std::env::var_os("DR_TEST_FAILING") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin(id(1), &plan("first"), "ann").await.unwrap();
    std::fs::write(&failing, "").unwrap();
    let error = journal.append(id(1), &begun(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal, "{error:?}");
    assert!(error.message().contains("did not confirm"), "{error:?}");
    std::fs::remove_file(&failing).unwrap();
    let error = journal.append(id(1), &begun(0)).await.unwrap_err();
    assert!(error.message().contains("the disk failed before"), "{error:?}");
    // A new process reads what is there, and goes on from that.
    let journal = SqliteJournal::open(&path).unwrap();
    let lines = verified(&journal).await;
    assert!(lines == 1 || lines == 2, "{lines}");
    journal.append(id(1), &begun(0)).await.unwrap();
}
