//! Locking a host down, on whole hosts with PAM and passwords: whatever stands in its configuration, nobody is left out.

use std::fs;
use std::process::Child;

use super::audit::{access_to, account};
use super::install::toolkit;
use super::*;
use dr_core::run::Outcome;
use dr_core::toolkit::{Applied, LockOptions, Toolkit};
use dr_core::world::World;
use dr_core::world::clock::SystemClock;
use dr_core::world::journal::SqliteJournal;
use dr_core::world::sim::SimWorld;
use dr_core::{Period, Secret};
use dr_tests::{SshHost, sshd_includes, understood};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-dr-lock-down.conf";
const MAIN: &str = "/etc/ssh/sshd_config";
/// What Debian ships, with passwords for root and questions by PAM.
pub(super) const USUAL: &str = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n\
                     UsePAM yes\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n";

/// The same, as the generation that is tested can have it.
pub(super) fn usual() -> String {
    understood(USUAL)
}

/// A host with root's and ann's keys in place, and somebody who holds them.
pub(super) struct Scene {
    pub(super) host: SshHost,
    pub(super) desk: Desk,
    pub(super) key: PathBuf,
    pub(super) toolkit: Toolkit,
}

impl Scene {
    pub(super) fn new(config: &str, drop_ins: &[(&str, &str)]) -> Self {
        let (host, desk) = (SshHost::start(config, drop_ins), Desk::new());
        let key = desk.key("mine", &[]);
        host.authorize("root", &public(&key));
        host.authorize("ann", &public(&key));
        let toolkit = toolkit(access_to(&host, &key), &desk);
        Self { host, desk, key, toolkit }
    }

    fn options() -> LockOptions {
        LockOptions { accounts: vec!["ann".parse().unwrap()], after: Period::from_secs(60) }
    }

    async fn plan(&self) -> Result<dr_core::Plan, Error> {
        let root = account(&self.host, "root");
        self.toolkit.plan_lock_down(&root, &Self::options(), &Control::silent()).await
    }

    async fn lock(&self) -> Applied {
        let plan = self.plan().await.unwrap();
        self.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap()
    }

    /// Whether root, ann and ben get in by password.
    pub(super) async fn password_opens(&self) -> [bool; 3] {
        let mut opens = [false; 3];
        for (index, user) in ["root", "ann", "ben"].into_iter().enumerate() {
            let there = account(&self.host, user);
            let mut access = access_to(&self.host, &self.desk.path("none"));
            access.passwords.insert(there.clone(), Secret::new(SshHost::PASSWORD.into()));
            opens[index] = loop {
                match log_in(access.clone(), &there).await {
                    Ok(()) => break true,
                    // sshd is starting itself anew.
                    Err(error) if error.kind() == ErrorKind::Unreachable => {}
                    Err(error) => {
                        assert!(
                            matches!(error.kind(), ErrorKind::Authentication | ErrorKind::NotFound),
                            "{error:?}"
                        );
                        break false;
                    }
                }
            };
        }
        opens
    }

    /// Both keys open, whatever happened.
    pub(super) async fn keys_open(&self) {
        for user in ["root", "ann"] {
            log_in(access_to(&self.host, &self.key), &account(&self.host, user)).await.unwrap();
        }
    }

    pub(super) fn config(&self) -> (String, Option<String>) {
        let main = fs::read_to_string(self.host.file(MAIN)).unwrap();
        (main, fs::read_to_string(self.host.file(DROP_IN)).ok())
    }

    /// No switch waits on the host, and nothing of ours lies about.
    fn nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.host.file("/run"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("dr-"))
            .collect();
        assert_eq!(left, [""; 0]);
        let beside = fs::read_dir(self.host.file("/etc/ssh")).unwrap();
        assert!(
            beside
                .map(|entry| entry.unwrap().file_name())
                .all(|name| !name.to_str().unwrap().contains("dr-new"))
        );
    }

    /// It cannot be planned, and nothing has happened.
    async fn refused(&self, words: &[&str]) {
        let before = self.config();
        fails(self.plan().await, ErrorKind::Refused, words);
        assert_eq!(self.config(), before);
        self.nothing_left();
        self.keys_open().await;
    }
}

#[tokio::test]
async fn passwords_go_by_a_drop_in_and_come_back() {
    let scene = Scene::new(USUAL, &[("50-cloud-init.conf", "PasswordAuthentication yes\n")]);
    assert_eq!(scene.password_opens().await, [true; 3]);
    let title = scene.plan().await.unwrap().title;
    assert!(title.ends_with("no key is proved: ben"), "{title}");
    // Somebody else's switch could undo ours later: one at a time.
    let other = scene.host.file("/run/dr-switch-other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("armed"), "").unwrap();
    fs::write(other.join("pid"), "1").unwrap();
    let applied = scene.lock().await;
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(format!("{applied:?}").contains("somebody else is locking it down"), "{applied:?}");
    fs::remove_dir_all(&other).unwrap();
    let applied = scene.lock().await;
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert_eq!(scene.password_opens().await, [false; 3]);
    scene.keys_open().await;
    let (main, drop_in) = scene.config();
    if sshd_includes() {
        assert_eq!(main, USUAL);
        assert!(drop_in.unwrap().contains("KbdInteractiveAuthentication no\n"));
    } else {
        assert!(main.contains("KbdInteractiveAuthentication no\n") && main.ends_with(&usual()), "{main}");
    }
    scene.nothing_left();
    assert!(scene.plan().await.unwrap().is_empty(), "once is enough");

    let root = account(&scene.host, "root");
    let unlock = scene.toolkit.plan_unlock(&root, &Control::silent()).await.unwrap();
    let applied = scene.toolkit.apply(&unlock, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert_eq!(scene.password_opens().await, [true; 3]);
    assert_eq!(scene.config(), (usual(), None));
    assert!(scene.toolkit.plan_unlock(&root, &Control::silent()).await.unwrap().is_empty());

    // Taking the unlocking back would close without proof; taking a lock-down back opens.
    let again = scene.lock().await;
    assert_eq!(again.outcome, Outcome::New);
    let undone = scene.toolkit.undo(again.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    assert_eq!(scene.password_opens().await, [true; 3]);
    scene.nothing_left();
}

#[tokio::test]
async fn where_a_drop_in_has_no_effect_the_top_of_the_main_file_has() {
    let no_include = USUAL.replace("Include /etc/ssh/sshd_config.d/*.conf\n", "");
    let late = format!("{no_include}Include /etc/ssh/sshd_config.d/*.conf\n");
    let earlier = [("00-aaa.conf", "PasswordAuthentication yes\n")];
    for (config, drop_ins) in [(USUAL, &earlier[..]), (&late, &[])] {
        goes_by_the_main_file(config, drop_ins).await;
    }
}

/// As before OpenSSH 8.2, which knows no `Include`.
#[tokio::test]
async fn where_nothing_is_included_the_main_file_is_changed_at_its_top() {
    goes_by_the_main_file(&USUAL.replace("Include /etc/ssh/sshd_config.d/*.conf\n", ""), &[]).await;
}

async fn goes_by_the_main_file(config: &str, drop_ins: &[(&str, &str)]) {
    let config = &understood(config);
    let scene = Scene::new(config, drop_ins);
    let applied = scene.lock().await;
    assert_eq!(applied.outcome, Outcome::New, "{config}: {applied:?}");
    assert_eq!(scene.password_opens().await, [false; 3], "{config}");
    scene.keys_open().await;
    let (main, drop_in) = scene.config();
    assert!(main.ends_with(config.as_str()) && main.len() > config.len() && drop_in.is_none(), "{main}");
    assert!(scene.plan().await.unwrap().is_empty());
    let unlock = scene.toolkit.plan_unlock(&account(&scene.host, "root"), &Control::silent()).await.unwrap();
    let applied = scene.toolkit.apply(&unlock, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New);
    assert_eq!(&scene.config().0, config, "to the byte");
    assert_eq!(scene.password_opens().await, [true; 3]);
}

/// Somebody lost the end of our lines, and wrote something of their own there.
#[tokio::test]
async fn lines_of_ours_that_somebody_changed_stay_and_are_named() {
    let mark = "# dr lock-down: begin. dr keys unlock takes these lines out again.\n";
    let config = format!(
        "{mark}PasswordAuthentication no\n{}",
        USUAL.replace("yes\nUsePAM", "yes\nBanner none\nUsePAM")
    );
    for (config, drop_ins) in
        [(config.clone(), &[][..]), (config, &[("00-aaa.conf", "KbdInteractiveAuthentication yes\n")])]
    {
        let scene = Scene::new(&config, drop_ins);
        let applied = scene.lock().await;
        assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
        assert_eq!(scene.password_opens().await, [false; 3]);
        scene.keys_open().await;
        let root = account(&scene.host, "root");
        let unlock = scene.toolkit.plan_unlock(&root, &Control::silent()).await.unwrap();
        assert!(unlock.title.contains("somebody changed the lines of a lock-down at"), "{}", unlock.title);
        let applied = scene.toolkit.apply(&unlock, "test", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
        assert_eq!(scene.config(), (understood(&config), None), "to the byte");
        // What is left may be anybody's: it says where, and that a person has to look.
        let left = scene.toolkit.plan_unlock(&root, &Control::silent()).await;
        fails(left, ErrorKind::Refused, &["/etc/ssh/sshd_config:1", "by hand", "reload sshd"]);
        scene.keys_open().await;
    }
}

#[tokio::test]
async fn what_decides_otherwise_is_named_and_nothing_is_touched() {
    let by_match = format!("{USUAL}Match User ann\n  PasswordAuthentication yes\n");
    Scene::new(&by_match, &[]).refused(&["ann", "sshd_config:8", "PasswordAuthentication yes"]).await;
    let in_drop_in = [("90-ann.conf", "Match User ann\nKbdInteractiveAuthentication yes\n")];
    let scene = Scene::new(USUAL, &in_drop_in);
    if sshd_includes() {
        scene.refused(&["ann", "90-ann.conf:2"]).await;
    } else {
        assert_eq!(scene.lock().await.outcome, Outcome::New, "what is not read decides nothing");
    }
}

#[tokio::test]
async fn a_configuration_that_is_wrong_already_is_named_by_file_and_line() {
    let scene = Scene::new(USUAL, &[]);
    fs::write(scene.host.file(MAIN), format!("{}PortTwentyTwo yes\n", usual())).unwrap();
    scene.refused(&["/etc/ssh/sshd_config", "line 7", "PortTwentyTwo"]).await;
}

#[tokio::test]
async fn without_a_key_for_every_account_nothing_is_done() {
    let scene = Scene::new(USUAL, &[]);
    let before = scene.config();
    let options = LockOptions { accounts: vec!["ben".parse().unwrap()], ..LockOptions::default() };
    let root = account(&scene.host, "root");
    let plan = scene.toolkit.plan_lock_down(&root, &options, &Control::silent()).await;
    fails(plan, ErrorKind::Refused, &["ben", "install"]);
    // ann may become root by sudo; ben may not.
    scene.host.authorize("ben", &public(&scene.key));
    let by_ben = scene
        .toolkit
        .plan_lock_down(&account(&scene.host, "ben"), &Scene::options(), &Control::silent())
        .await;
    fails(by_ben, ErrorKind::PermissionDenied, &["root"]);
    assert_eq!(scene.config(), before);
}

/// Whoever takes the switch out of a plan changes nothing.
#[tokio::test]
async fn without_an_armed_switch_nothing_is_changed() {
    let scene = Scene::new(USUAL, &[]);
    let mut plan = scene.plan().await.unwrap();
    plan.steps.retain(|planned| !matches!(&planned.step, dr_core::plan::Step::SetSwitch(_)));
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(format!("{applied:?}").contains("switch is not armed"), "{applied:?}");
    assert_eq!(scene.config(), (usual(), None));
    assert_eq!(scene.password_opens().await, [true; 3]);
}

#[tokio::test]
async fn what_breaks_on_the_way_is_taken_back() {
    // A key that stops opening after the plan was made: nothing is begun.
    let scene = Scene::new(USUAL, &[]);
    let plan = scene.plan().await.unwrap();
    let keys = scene.host.file("/home/ann/.ssh/authorized_keys");
    let kept = fs::read(&keys).unwrap();
    fs::write(&keys, "").unwrap();
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert_eq!(scene.config(), (usual(), None));
    fs::write(&keys, kept).unwrap();

    // One that stops opening once passwords are off: they come back.
    let plan = scene.plan().await.unwrap();
    let (is_locked, at_once) = (is_locked(&scene), keys.clone());
    let breaker = std::thread::spawn(move || {
        while !is_locked() {
            std::thread::sleep(Duration::from_millis(2));
        }
        fs::write(&at_once, "").unwrap();
    });
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    breaker.join().unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(format!("{applied:?}").contains("refused"), "{applied:?}");
    assert_eq!(scene.password_opens().await, [true; 3]);
    assert_eq!(scene.config(), (usual(), None));
    scene.nothing_left();

    // Somebody else's change of the configuration between plan and deed.
    host_changes_meanwhile(&scene).await;
}

async fn host_changes_meanwhile(scene: &Scene) {
    scene.host.authorize("ann", &public(&scene.key));
    let plan = scene.plan().await.unwrap();
    if !sshd_includes() {
        let theirs = format!("{}# theirs\n", usual());
        fs::write(scene.host.file(MAIN), &theirs).unwrap();
        let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
        assert!(
            applied.outcome == Outcome::Old && format!("{applied:?}").contains("somebody else changed"),
            "{applied:?}"
        );
        assert_eq!(scene.config(), (theirs, None));
        return;
    }
    fs::write(scene.host.file("/etc/ssh/sshd_config.d/00-aaa.conf"), "PasswordAuthentication yes\n").unwrap();
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(format!("{applied:?}").contains("no effect"), "{applied:?}");
    fs::write(scene.host.file("/etc/ssh/sshd_config.d/00-aaa.conf"), "NoSuchKeyword yes\n").unwrap();
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert!(format!("{applied:?}").contains("00-aaa.conf"), "{applied:?}");
    fs::remove_file(scene.host.file("/etc/ssh/sshd_config.d/00-aaa.conf")).unwrap();
    assert_eq!(scene.config(), (usual(), None));
    assert_eq!(scene.password_opens().await, [true; 3]);
    scene.keys_open().await;
}

#[tokio::test]
async fn a_client_that_dies_after_the_reload_leaves_a_host_that_opens_itself() {
    let scene = Scene::new(USUAL, &[]);
    let order = scene.desk.file(
        "order",
        format!("{}\n{}\n{}\n", scene.host.addr(), scene.host.host_key(), scene.key.display()),
        0o600,
    );
    let mut client: Child = child("lock", &order, "077");
    let is_locked = is_locked(&scene);
    eventually_within("the lock", Duration::from_secs(60), &is_locked).await;
    let root = account(&scene.host, "root");
    let shell = shell(access_to(&scene.host, &scene.key));
    loop {
        // sshd has read it: the moment at which a client that dies would lock everybody out who has no key.
        use dr_core::world::Shell as _;
        if shell.offers(&root).await.is_ok_and(|offers| offers == ["publickey"]) {
            break;
        }
    }
    client.kill().unwrap();
    client.wait().unwrap();
    eventually_within("the switch", Duration::from_secs(60), || !is_locked()).await;
    let scene_opens = async || scene.password_opens().await == [true; 3];
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !scene_opens().await {
        assert!(std::time::Instant::now() < deadline, "sshd never read it again");
    }

    // Whoever takes the run up finds the switch gone, and takes the rest back instead of locking without one.
    let toolkit = toolkit(access_to(&scene.host, &scene.key), &scene.desk);
    let journal = &toolkit.runs().await.unwrap()[0];
    assert!(journal.outcome.is_none());
    let resumed = toolkit.resume(journal.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::Old, "{resumed:?}");
    assert_eq!(scene.password_opens().await, [true; 3]);
    scene.keys_open().await;
}

/// Whether the lines that lock are in place, wherever that is.
fn is_locked(scene: &Scene) -> impl Fn() -> bool + Send + use<> {
    let files = [scene.host.file(DROP_IN), scene.host.file(MAIN)];
    move || {
        let locks = |text: String| text.contains("KbdInteractiveAuthentication no");
        files.iter().any(|file| fs::read_to_string(file).is_ok_and(locks))
    }
}

async fn eventually_within(what: &str, limit: Duration, mut probe: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + limit;
    while !probe() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client of its own that locks down, with a switch that waits ten seconds. Its plan stays long in the proof after the reload:
/// it is killed there.
pub(crate) fn child_locks(order: &Path) {
    let text = fs::read_to_string(order).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (addr, host_key, key) = (lines[0], lines[1].to_owned(), PathBuf::from(lines[2]));
    let root: Remote = format!("ssh://root@{addr}").parse().unwrap();
    let access = Access {
        identities: vec![key],
        pins: [(root.known_hosts_name(), vec![host_key])].into(),
        ..Access::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = SqliteJournal::open(&order.with_file_name("journal")).unwrap();
        let world = World {
            clock: Arc::new(SystemClock::new()),
            journal: Arc::new(journal),
            shell: Arc::new(shell(access)),
            ..SimWorld::new().world()
        };
        let toolkit = Toolkit::new(world, dr_core::Estate::default());
        let options = LockOptions { after: Period::from_secs(10), ..LockOptions::default() };
        let plan = toolkit.plan_lock_down(&root, &options, &Control::silent()).await.unwrap();
        let _ = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    });
}
