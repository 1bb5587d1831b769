//! Installing a key: planned, applied through the machine, proved, taken back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use dr_core::keys::{KeyKind, KeyOptions};
use dr_core::report::{Verdict, code};
use dr_core::run::Outcome;
use dr_core::toolkit::{InstallOptions, Toolkit};
use dr_core::world::World;
use dr_core::world::clock::SystemClock;
use dr_core::world::journal::SqliteJournal;
use dr_core::world::sim::SimWorld;
use dr_core::{Plan, Secret};
use dr_tests::Login;

/// Real hosts, a real clock and a real journal; what keys have nothing to do with is in memory.
pub(super) fn toolkit(access: Access, desk: &Desk) -> Toolkit {
    toolkit_by(Arc::new(shell(access)), desk)
}

/// With the journal of this desk, and hosts reached in this way.
pub(super) fn toolkit_by(shell: Arc<dyn dr_core::world::Shell>, desk: &Desk) -> Toolkit {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        journal: Arc::new(SqliteJournal::open(&desk.path("journal")).unwrap()),
        shell,
        ..SimWorld::new().world()
    };
    Toolkit::new(world, dr_core::Estate::default())
}

async fn plan(toolkit: &Toolkit, there: &Remote, key: &str, options: &InstallOptions) -> Plan {
    toolkit.plan_key_install(there, key, options, &Control::silent()).await.unwrap()
}

fn titles(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|planned| planned.title.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_password_brings_a_new_key_that_then_opens() {
    let login = Login { password: Some("correct horse".into()), strict_modes: true, ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let path = desk.path("id_mirror");
    let mut access = access(&sshd, &path);
    access.passwords.insert(remote(&sshd), Secret::new("correct horse".into()));
    // The key does not exist yet; what else there is logs in all the same.
    log_in(access.clone(), &remote(&sshd)).await.unwrap();
    let toolkit = toolkit(access.clone(), &desk);
    let key = toolkit.generate_key(&path, KeyKind::Ed25519, "mirror@uk", None).await.unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    sshd.authorize("# somebody else's");
    mode(&sshd.home().join(".ssh"), 0o775);
    mode(&sshd.authorized_keys(), 0o664);
    let report = toolkit.verify_key(&remote(&sshd), &key.to_string()).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Failed);
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [code::KEY_NOT_ACCEPTED, code::KEY_FILE_TOO_OPEN], "{report:?}");

    let options = InstallOptions::default();
    let plan_now = plan(&toolkit, &remote(&sshd), &key.to_string(), &options).await;
    assert_eq!(titles(&plan_now), ["add", "log"]);
    let applied = toolkit.apply(&plan_now, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert_eq!(fs::read_to_string(sshd.authorized_keys()).unwrap(), format!("# somebody else's\n{key}\n"));
    assert!(
        plan(&toolkit, &remote(&sshd), &key.to_string(), &options).await.is_empty(),
        "installing twice is once"
    );
    assert_eq!(toolkit.verify_key(&remote(&sshd), &key.to_string()).await.unwrap().verdict(), Verdict::Ok);
    log_in(Access { passwords: Default::default(), ..access }, &remote(&sshd)).await.unwrap();

    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    assert_eq!(fs::read_to_string(sshd.authorized_keys()).unwrap(), "# somebody else's\n");
}

#[tokio::test]
async fn what_the_host_does_not_accept_is_taken_back_and_explained() {
    let login = Login { strict_modes: true, ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let (mine, new) = (desk.key("mine", &[]), desk.key("new", &[]));
    sshd.authorize(&public(&mine));
    let before = fs::read(sshd.authorized_keys()).unwrap();
    let mut access = access(&sshd, &mine);
    access.identities.push(new.clone());
    let toolkit = toolkit(access, &desk);
    let plan = plan(&toolkit, &remote(&sshd), &public(&new), &InstallOptions::default()).await;
    // While the pooled connection stands, somebody opens the home directory: sshd no longer trusts any file in it.
    fs::set_permissions(sshd.home(), fs::Permissions::from_mode(0o777)).unwrap();
    let applied = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    let said = format!("{applied:?}");
    assert!(said.contains("the host refused it") && said.contains("everyone else (mode 777)"), "{said}");
    assert_eq!(fs::read(sshd.authorized_keys()).unwrap(), before);
}

#[tokio::test]
async fn options_are_kept_or_replaced_as_asked() {
    let (sshd, desk, mut access) = at_home();
    let new = desk.key("new", &[]);
    access.identities.push(new.clone());
    sshd.authorize(&format!("no-pty {}", public(&new)));
    let (toolkit, there) = (toolkit(access, &desk), remote(&sshd));
    let allow = KeyOptions::forced("echo only this");
    let mut options = InstallOptions { allow, ..InstallOptions::default() };
    assert!(plan(&toolkit, &there, &public(&new), &options).await.is_empty(), "it is there, and opens");
    options.replace = true;
    let replacing = plan(&toolkit, &there, &public(&new), &options).await;
    assert_eq!(titles(&replacing), ["set", "log"]);
    let applied = toolkit.apply(&replacing, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    let text = fs::read_to_string(sshd.authorized_keys()).unwrap();
    assert!(text.ends_with(&format!("restrict,command=\"echo only this\" {}\n", public(&new))), "{text}");
    assert!(plan(&toolkit, &there, &public(&new), &options).await.is_empty());
    options.allow.command = Some("two\nlines".into());
    let bad = toolkit.plan_key_install(&there, &public(&new), &options, &Control::silent()).await;
    fails(bad, ErrorKind::Usage, &["one line"]);
    let bad = toolkit.plan_key_install(&there, "what", &InstallOptions::default(), &Control::silent()).await;
    fails(bad, ErrorKind::Usage, &["not a public key"]);
}

#[tokio::test]
async fn a_key_whose_private_half_is_elsewhere_is_installed_unproven() {
    let (sshd, desk, access) = at_home();
    let elsewhere = desk.key("elsewhere", &[]);
    let toolkit = toolkit(access, &desk);
    let plan_now = plan(&toolkit, &remote(&sshd), &public(&elsewhere), &InstallOptions::default()).await;
    assert!(plan_now.title.contains("unproven"), "{}", plan_now.title);
    assert_eq!(titles(&plan_now), ["add"]);
    let applied = toolkit.apply(&plan_now, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New);
    assert!(plan(&toolkit, &remote(&sshd), &public(&elsewhere), &InstallOptions::default()).await.is_empty());
}

/// Others change the file between the plan, the run and its undoing. Other lines of theirs stay; where they changed what this was to
/// change nothing is overwritten, the run is wholly old and waits for nobody, and a new plan starts from what is there.
#[tokio::test]
async fn whoever_was_faster_is_not_overwritten() {
    let (sshd, desk, access) = at_home();
    let (new, there) = (desk.key("new", &[]), remote(&sshd));
    let (toolkit, silent, options) = (toolkit(access, &desk), Control::silent(), InstallOptions::default());
    let read = || fs::read_to_string(sshd.authorized_keys()).unwrap();
    let first = plan(&toolkit, &there, &public(&new), &options).await;
    sshd.authorize("# before the run");
    let applied = toolkit.apply(&first, "test", &silent).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    sshd.authorize("# after the run");
    let (before, after) = ("# before the run\n", "# after the run\n");
    assert!(read().ends_with(&format!("{before}{}\n{after}", public(&new))), "{}", read());
    let undone = toolkit.undo(applied.run, "test", &silent).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    assert!(read().ends_with(&format!("{before}{after}")) && !read().contains(&public(&new)), "{}", read());

    let restricted = InstallOptions { allow: KeyOptions::forced("true"), replace: true, path: None };
    let second = plan(&toolkit, &there, &public(&new), &restricted).await;
    sshd.authorize(&format!("no-pty {}", public(&new)));
    let theirs = read();
    let refused = toolkit.apply(&second, "test", &silent).await.unwrap();
    assert_eq!(refused.outcome, Outcome::Old, "{refused:?}");
    assert!(format!("{refused:?}").contains("somebody else changed"), "{refused:?}");
    assert_eq!(read(), theirs);
    // The first plan is a stale one, and is made again; whoever asked for it need not.
    let stale = std::sync::Mutex::new(Some(second));
    let again = async || {
        let stale = stale.lock().unwrap().take();
        match stale {
            Some(stale) => Ok(stale),
            None => toolkit.plan_key_install(&there, &public(&new), &restricted, &silent).await,
        }
    };
    let (_, applied) = toolkit.plan_and_apply(again, "test", &silent, |_| {}).await.unwrap();
    assert_eq!(applied.unwrap().outcome, Outcome::New);
    assert!(read().ends_with(&format!("restrict,command=\"true\" {}\n", public(&new))), "{}", read());
    assert!(toolkit.audit().await.unwrap().findings.is_empty(), "no run waits for anybody");
}

#[tokio::test]
async fn a_host_that_is_away_is_a_finding_and_a_missing_key_an_error() {
    let (sshd, desk, access) = at_home();
    let key = public(&access.identities[0]);
    let toolkit = toolkit(access, &desk);
    let stranger = desk.key("stranger", &[]);
    fails(
        toolkit.verify_key(&remote(&sshd), &public(&stranger)).await,
        ErrorKind::NotFound,
        &["private half"],
    );
    sshd.kill9();
    let report = toolkit.verify_key(&remote(&sshd), &key).await.unwrap();
    assert_eq!((report.findings[0].code, report.unexamined.len()), (code::HOST_UNREACHABLE, 1));
}
