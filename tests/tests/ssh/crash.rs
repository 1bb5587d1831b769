//! Changes of a host's sshd whose client dies after each thing that it does there: nobody is locked out, and whoever takes the run up
//! ends wholly old or wholly new.

use std::fs;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::audit::{access_to, account};
use super::install::toolkit_by;
use super::{bring, lock_down, revoke, *};
use dr_core::Period;
use dr_core::keys::{RevocationList, Software};
use dr_core::run::Outcome;
use dr_core::toolkit::{Applied, LockOptions, RevokeOptions};
use dr_core::world::{HostKeyShown, Login as Let, Output, Shell, Swap};
use dr_tests::SshHost;

/// How long the dead-man's switches wait here.
const AFTER: Period = Period::from_secs(5);

/// A client that dies when it has done so many things on the host, before it hears what became of the last; or whose line is cut then.
struct Dying {
    inner: SshShell,
    left: AtomicUsize,
    dead: Arc<Notify>,
    /// The client lives, and hears nothing more.
    cut: bool,
}

impl Dying {
    async fn does<T>(&self, work: impl Future<Output = Said<T>>) -> Said<T> {
        self.line()?;
        let done = work.await;
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.line()?;
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        done
    }

    fn line(&self) -> Said<()> {
        if self.cut && self.left.load(Ordering::SeqCst) == 0 {
            return Err(Error::new(ErrorKind::Unreachable, "reach the host", "the line is gone"));
        }
        Ok(())
    }
}

type Said<T> = dr_core::Result<T>;

#[async_trait]
impl Shell for Dying {
    async fn run(&self, remote: &Remote, command: &str, control: &Control) -> Said<Output> {
        self.does(self.inner.run(remote, command, control)).await
    }
    async fn read_file(&self, remote: &Remote, path: &str) -> Said<Option<Vec<u8>>> {
        self.line()?;
        self.inner.read_file(remote, path).await
    }
    async fn replace_file(&self, remote: &Remote, path: &str, swap: Swap<'_>) -> Said<()> {
        self.does(self.inner.replace_file(remote, path, swap)).await
    }
    async fn prove_key(&self, remote: &Remote, key: &str) -> Said<Let> {
        self.line()?;
        self.inner.prove_key(remote, key).await
    }
    async fn probe_key(&self, remote: &Remote, key: &str) -> Said<Let> {
        self.line()?;
        self.inner.probe_key(remote, key).await
    }
    async fn software(&self, remote: &Remote) -> Said<Software> {
        self.line()?;
        self.inner.software(remote).await
    }
    async fn host_keys(&self, remote: &Remote) -> Said<Vec<HostKeyShown>> {
        self.inner.host_keys(remote).await
    }
    async fn announced_host_keys(&self, remote: &Remote) -> Said<Vec<HostKeyShown>> {
        self.inner.announced_host_keys(remote).await
    }
    async fn prove_host(&self, remote: &Remote, authority: &str) -> Said<()> {
        self.line()?;
        self.inner.prove_host(remote, authority).await
    }
    async fn offers(&self, remote: &Remote) -> Said<Vec<String>> {
        self.line()?;
        self.inner.offers(remote).await
    }
    async fn keys_at_hand(&self) -> Said<Vec<String>> {
        self.inner.keys_at_hand().await
    }
}

/// Applies a plan with a client that dies after so many calls; gives what came of it if it lived to the end.
async fn apply_and_die(plan: &dr_core::Plan, access: Access, desk: &Desk, calls: usize) -> Option<Applied> {
    let dead = Arc::new(Notify::new());
    let left = AtomicUsize::new(calls);
    let dying = Dying { inner: shell(access), left, dead: Arc::clone(&dead), cut: false };
    let toolkit = toolkit_by(Arc::new(dying), desk);
    tokio::select! {
        applied = async { toolkit.apply(plan, "test", &Control::silent()).await.unwrap() } => Some(applied),
        () = dead.notified() => None,
    }
}

/// No switch waits any more: it has fired, or never was armed.
async fn switch_is_quiet(host: &SshHost) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let run = fs::read_dir(host.file("/run")).unwrap().flatten();
        if !run.into_iter().any(|entry| entry.path().join("armed").exists()) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the switch never fired");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What fired may still be telling sshd.
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// Hosts at a time: most of it is waiting for switches.
const LANES: usize = 4;

/// Whether a run has come to its end undisturbed. On a machine that is busy enough even that one is overtaken by its switch: then it is run again.
fn is_through(whole: Option<&Applied>, ends: &[Outcome], calls: &mut usize) -> bool {
    if whole.is_none() {
        *calls += LANES;
        return false;
    }
    let overtaken = ends.iter().rev().take_while(|end| **end == Outcome::Old).count();
    assert!(overtaken < 20, "its switch is always faster: {ends:?}");
    ends.last() == Some(&Outcome::New)
}

/// Of all the ends, each is wholly one or the other, and the run that nobody disturbed ends new.
fn ends_are_whole(ends: &[Vec<Outcome>]) {
    let all = || ends.iter().flatten();
    assert!(all().all(|end| matches!(end, Outcome::Old | Outcome::New)), "{ends:?}");
    assert!(all().any(|end| *end == Outcome::Old), "{ends:?}");
    assert!(ends.iter().all(|lane| lane.last() == Some(&Outcome::New)), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_dies_anywhere_locks_nobody_out() {
    let (a, b, c, d) = tokio::join!(revoking(1), revoking(2), revoking(3), revoking(4));
    ends_are_whole(&[a, b, c, d]);
}

/// Dies after `calls` things done, then after [`LANES`] more of them, until it lives.
async fn revoking(mut calls: usize) -> Vec<Outcome> {
    let scene = revoke::Scene::new(revoke::PLAIN, &[]);
    let root = account(&scene.host, "root");
    let options = RevokeOptions { after: AFTER, ..RevokeOptions::default() };
    let (main, keys) =
        (scene.host.file("/etc/ssh/sshd_config"), scene.host.file("/root/.ssh/authorized_keys"));
    let files =
        || (fs::read(&main).unwrap(), fs::read(&keys).unwrap(), scene.host.file(revoke::LIST).exists());
    let before = files();
    let mut ends = vec![];
    loop {
        let line = public(&scene.stolen);
        let (hosts, silent) = (std::slice::from_ref(&root), Control::silent());
        let plan = scene.toolkit.plan_key_revocation(hosts, &line, &options, &silent).await.unwrap();
        let whole = apply_and_die(&plan, access_to(&scene.host, &scene.mine), &scene.desk, calls).await;
        // sshd refuses every key while it names a list that it cannot read.
        let named = fs::read_to_string(&main).unwrap().contains("RevokedKeys");
        if named || scene.host.file(revoke::LIST).exists() {
            RevocationList::parse(&fs::read(scene.host.file(revoke::LIST)).unwrap()).unwrap();
        }
        assert!(scene.opens(&scene.mine).await, "after {calls} calls");
        switch_is_quiet(&scene.host).await;
        assert!(scene.opens(&scene.mine).await, "after {calls} calls and the switch");
        let run = scene.toolkit.runs().await.unwrap()[0].run;
        let done = match &whole {
            Some(applied) => applied.outcome,
            None => scene.toolkit.resume(run, "test", &Control::silent()).await.unwrap().outcome,
        };
        ends.push(done);
        assert_eq!(scene.opens(&scene.stolen).await, done == Outcome::Old, "after {calls} calls: {done:?}");
        if done == Outcome::New {
            let undone = scene.toolkit.undo(run, "test", &Control::silent()).await.unwrap();
            assert_eq!(undone.outcome, Outcome::Old, "after {calls} calls: {undone:?}");
        }
        assert_eq!(files(), before, "after {calls} calls: {done:?}");
        if is_through(whole.as_ref(), &ends, &mut calls) {
            return ends;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_down_that_dies_anywhere_locks_nobody_out() {
    let (a, b, c, d) = tokio::join!(locking(1), locking(2), locking(3), locking(4));
    ends_are_whole(&[a, b, c, d]);
}

async fn locking(mut calls: usize) -> Vec<Outcome> {
    let scene = lock_down::Scene::new(lock_down::USUAL, &[]);
    let root = account(&scene.host, "root");
    let options = LockOptions { accounts: vec!["ann".parse().unwrap()], after: AFTER };
    let mut ends = vec![];
    loop {
        let plan = scene.toolkit.plan_lock_down(&root, &options, &Control::silent()).await.unwrap();
        let whole = apply_and_die(&plan, access_to(&scene.host, &scene.key), &scene.desk, calls).await;
        scene.keys_open().await;
        switch_is_quiet(&scene.host).await;
        scene.keys_open().await;
        let run = scene.toolkit.runs().await.unwrap()[0].run;
        let done = match &whole {
            Some(applied) => applied.outcome,
            None => scene.toolkit.resume(run, "test", &Control::silent()).await.unwrap().outcome,
        };
        ends.push(done);
        assert_eq!(scene.password_opens().await, [done == Outcome::Old; 3], "after {calls} calls: {done:?}");
        if done == Outcome::New {
            let undone = scene.toolkit.undo(run, "test", &Control::silent()).await.unwrap();
            assert_eq!(undone.outcome, Outcome::Old, "after {calls} calls: {undone:?}");
        }
        assert_eq!(scene.config(), (lock_down::usual(), None), "after {calls} calls: {done:?}");
        if is_through(whole.as_ref(), &ends, &mut calls) {
            return ends;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_brought_by_somebody_who_dies_locks_nobody_out() {
    let (a, b, c, d) = tokio::join!(certifying(1), certifying(2), certifying(3), certifying(4));
    ends_are_whole(&[a, b, c, d]);
}

async fn certifying(mut calls: usize) -> Vec<Outcome> {
    let scene = bring::Scene::new("UsePAM no\nSubsystem sftp internal-sftp\nPasswordAuthentication no\n");
    let certificate = scene.certificate(None, "127.0.0.1", 1).await.to_string();
    let (before, mine) = (scene.files(), access_to(&scene.host, &scene.mine));
    let mut ends = vec![];
    loop {
        let plan = scene.plan(&certificate, AFTER.as_secs()).await.unwrap();
        let whole = apply_and_die(&plan, mine.clone(), &scene.desk, calls).await;
        switch_is_quiet(&scene.host).await;
        log_in(mine.clone(), &account(&scene.host, "root")).await.unwrap();
        let run = scene.toolkit.runs().await.unwrap()[0].run;
        let done = match &whole {
            Some(applied) => applied.outcome,
            None => scene.toolkit.resume(run, "test", &Control::silent()).await.unwrap().outcome,
        };
        ends.push(done);
        assert_eq!(scene.is_believed().await, done == Outcome::New, "after {calls} calls: {done:?}");
        if done == Outcome::New {
            let undone = scene.toolkit.undo(run, "test", &Control::silent()).await.unwrap();
            assert_eq!(undone.outcome, Outcome::Old, "after {calls} calls: {undone:?}");
        }
        assert_eq!(scene.files(), before, "after {calls} calls: {done:?}");
        if is_through(whole.as_ref(), &ends, &mut calls) {
            return ends;
        }
    }
}

/// The line is cut when passwords are off already: nobody can tell from here whether they come back. The run says so, and by when the
/// host will have done it by itself; and then it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_nobody_sees_is_said_with_the_time_of_the_switch() {
    let scene = lock_down::Scene::new(lock_down::USUAL, &[]);
    let (root, silent) = (account(&scene.host, "root"), Control::silent());
    let options = LockOptions { accounts: vec!["ann".parse().unwrap()], after: AFTER };
    for calls in 3..12 {
        let plan = scene.toolkit.plan_lock_down(&root, &options, &silent).await.unwrap();
        let (inner, left) = (shell(access_to(&scene.host, &scene.key)), AtomicUsize::new(calls));
        let cut = Dying { inner, left, dead: Arc::default(), cut: true };
        let applied = toolkit_by(Arc::new(cut), &scene.desk).apply(&plan, "test", &silent).await.unwrap();
        assert_eq!(applied.outcome, Outcome::Stopped, "{applied:?}");
        let locked = scene.config() != (lock_down::usual(), None);
        let finding = serde_json::to_value(&applied.report.findings[0]).unwrap();
        let said = finding["evidence"]["switch"].as_str().unwrap_or_default().to_owned();
        switch_is_quiet(&scene.host).await;
        assert_eq!(scene.password_opens().await, [true; 3], "after {calls} calls");
        let undone = scene.toolkit.undo(applied.run, "test", &silent).await.unwrap();
        assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
        assert_eq!(scene.config(), (lock_down::usual(), None));
        if locked {
            let by = said.rsplit(' ').next().unwrap().parse::<dr_core::Timestamp>().unwrap();
            assert!(by > applied.report.at && said.contains("the host takes"), "{finding}");
            return;
        }
    }
    panic!("it never came so far");
}
