//! What can only be seen in a process of its own: a kill in the middle, and an account that may not read everything.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dr_core::mirror::Options;
use dr_core::report::code;
use dr_core::run::Outcome;
use dr_core::world::Control;
use dr_tests::wait_for;

use crate::{here, mirror, plan, rsync_would_change, toolkit};

const SOURCE: &str = "DR_TEST_MIRROR_SOURCE";
const TARGET: &str = "DR_TEST_MIRROR_TARGET";

/// Not a test of its own: what the others start as a child, with two paths in its environment.
#[test]
fn as_a_child() {
    let (Some(source), Some(target)) = (std::env::var_os(SOURCE), std::env::var_os(TARGET)) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (source, target) = (here(Path::new(&source)), here(Path::new(&target)));
        let planned = plan(&toolkit(), &source, &target, &Options::default()).await.unwrap();
        for finding in &planned.report.findings {
            println!("found {} {}", finding.code, finding.subject.name);
        }
        let applied = toolkit().apply(&planned.plan, "child", &Control::silent()).await.unwrap();
        println!("outcome {:?}", applied.outcome);
    });
}

fn child(source: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::as_a_child", "--nocapture"]).env(SOURCE, source).env(TARGET, target);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_leaves_whole_files_and_the_next_run_completes() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    for number in 0..3000 {
        std::fs::write(from.join(format!("{number:04}")), vec![b'x'; 20_000]).unwrap();
    }
    let mut killed = 0;
    for enough in [50, 1500] {
        let mut run = child(&from, &to).spawn().unwrap();
        let landed = || std::fs::read_dir(&to).map_or(0, Iterator::count);
        wait_for("some files to land", Duration::from_secs(60), || (landed() >= enough).then_some(()));
        run.kill().unwrap();
        run.wait().unwrap();
        killed += usize::from(landed() < 3000);
        for entry in std::fs::read_dir(&to).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().len(), 20_000, "every file is whole");
        }
    }
    assert!(killed > 0, "both runs were over before they could be killed");
    let _ = mirror(&toolkit(), &here(&from), &here(&to), &Options::default()).await;
    assert_eq!(rsync_would_change(&from, &to), "");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "what was staged is gone");
}

#[test]
fn what_the_account_may_not_read_is_reported_and_kept_on_the_target() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::getuid().is_root() {
        // Whoever is not root finds nothing here that root would see otherwise.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    for root in [&from, &to] {
        std::fs::create_dir_all(root.join("closed")).unwrap();
        for name in ["closed/inside", "secret", "page"] {
            std::fs::write(root.join(name), root.to_str().unwrap()).unwrap();
        }
    }
    std::fs::write(to.join("stale"), "x").unwrap();
    std::fs::create_dir(to.join("locked")).unwrap();
    std::fs::write(to.join("locked/stale"), "x").unwrap();
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(directory.path(), 0o777);
    set(&to.join("locked"), 0o555);
    set(&from.join("closed"), 0o700);
    set(&from.join("secret"), 0o600);
    let given = Command::new("chown").args(["-R", &NOBODY.to_string()]).arg(&to).status().unwrap();
    assert!(given.success());
    // The test program itself may stand where nobody may go.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut run = Command::new(&program);
    run.args(["--exact", "child::as_a_child", "--nocapture"]).env(SOURCE, &from).env(TARGET, &to);
    let output = run.current_dir("/").uid(NOBODY).gid(NOBODY).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for name in ["closed", "secret"] {
        let line = format!("found {} {name} in ", code::MIRROR_FILE_UNREADABLE);
        assert!(said.contains(&line), "{said}");
    }
    assert!(said.contains(&format!("found {}", code::MIRROR_OWNER_NOT_KEPT)), "{said}");
    assert!(said.contains(&format!("outcome {:?}", Outcome::New)), "{said}");
    assert_eq!(std::fs::read_to_string(to.join("page")).unwrap(), from.to_str().unwrap());
    for kept in ["closed/inside", "secret"] {
        assert_eq!(std::fs::read_to_string(to.join(kept)).unwrap(), to.to_str().unwrap(), "{kept}");
    }
    assert!(!to.join("stale").exists() && !to.join("locked").exists());
}
