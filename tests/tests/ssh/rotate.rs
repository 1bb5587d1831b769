//! Keys that make place for others, and keys that must open nothing any more.

use std::fs;

use super::audit::{access_to, account};
use super::install::toolkit;
use super::*;
use dr_core::Period;
use dr_core::report::Verdict;
use dr_core::run::Outcome;
use dr_core::toolkit::{RevokeOptions, RotateOptions, Toolkit};
use dr_tests::SshHost;

const CONFIG: &str = "UsePAM no\nSubsystem sftp internal-sftp\nPasswordAuthentication no\n";

/// Two hosts, and keys that may be at hand.
struct Scene {
    hosts: [SshHost; 2],
    desk: Desk,
    old: PathBuf,
    new: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let desk = Desk::new();
        let (old, new) = (desk.key("old", &[]), desk.key("new", &[]));
        Self { hosts: [SshHost::start(CONFIG, &[]), SshHost::start(CONFIG, &[])], desk, old, new }
    }

    fn access(&self, keys: &[&Path]) -> Access {
        let (mut access, other) =
            (access_to(&self.hosts[0], &self.old), access_to(&self.hosts[1], &self.old));
        access.pins.extend(other.pins);
        access.identities = keys.iter().map(|key| (*key).to_owned()).collect();
        access
    }

    fn toolkit(&self, keys: &[&Path]) -> Toolkit {
        toolkit(self.access(keys), &self.desk)
    }

    fn accounts(&self, user: &str) -> [Remote; 2] {
        [account(&self.hosts[0], user), account(&self.hosts[1], user)]
    }

    fn file(&self, host: usize, path: &str) -> String {
        fs::read_to_string(self.hosts[host].file(path)).unwrap()
    }

    async fn opens(&self, key: &Path, there: &Remote) -> bool {
        let report = self.toolkit(&[]).probe_key(there, &public(key)).await.unwrap();
        report.verdict() == Verdict::Ok
    }
}

async fn plan(
    scene: &Scene,
    toolkit: &Toolkit,
    there: &[Remote],
    grace: u64,
) -> Result<dr_core::Plan, Error> {
    let options = RotateOptions { grace: Period::from_secs(grace), ..RotateOptions::default() };
    let (old, new) = (public(&scene.old), public(&scene.new));
    toolkit.plan_key_rotation(there, &old, &new, &options, &Control::silent()).await
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one_on_every_host() {
    let scene = Scene::new();
    let (there, path) = (scene.accounts("ann"), "/home/ann/.ssh/authorized_keys");
    scene.hosts[0].authorize("ann", "# hers");
    scene.hosts[0].authorize("ann", &format!("restrict,pty {}", public(&scene.old)));
    scene.hosts[1].authorize("ann", &public(&scene.old));
    let toolkit = scene.toolkit(&[&scene.old, &scene.new]);
    let planned = plan(&scene, &toolkit, &there, 1).await.unwrap();
    let applied = toolkit.apply(&planned, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert_eq!(scene.file(0, path), format!("# hers\nrestrict,pty {}\n", public(&scene.new)));
    assert_eq!(scene.file(1, path), format!("{}\n", public(&scene.new)));
    for there in &there {
        assert!(scene.opens(&scene.new, there).await && !scene.opens(&scene.old, there).await);
    }
    fails(plan(&scene, &toolkit, &there, 0).await, ErrorKind::NotFound, &["audit"]);
    // Without its private half the new key could not be proved.
    let unproven = scene.toolkit(&[&scene.old]);
    fails(plan(&scene, &unproven, &there, 0).await, ErrorKind::Refused, &["not at hand"]);
}

#[tokio::test]
async fn a_rotation_is_for_all_or_none() {
    let scene = Scene::new();
    let (there, path) = (scene.accounts("ann"), "/home/ann/.ssh/authorized_keys");
    for host in &scene.hosts {
        host.authorize("ann", &public(&scene.old));
    }
    let before = [scene.file(0, path), scene.file(1, path)];
    let toolkit = scene.toolkit(&[&scene.old, &scene.new]);
    let planned = plan(&scene, &toolkit, &there, 0).await.unwrap();
    // Another place of the second host still lets the old key in: it would not be gone.
    scene.hosts[1].authorize("ann", &format!("no-pty {}", public(&scene.old)));
    let applied = toolkit.apply(&planned, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert_eq!(scene.file(0, path), before[0], "the first host is as it was");
    assert!(scene.file(1, path).starts_with(&before[1]));
    for there in &there {
        assert!(scene.opens(&scene.old, there).await);
    }
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_goes_on() {
    let scene = Scene::new();
    let there = scene.accounts("ann");
    for host in &scene.hosts {
        host.authorize("ann", &public(&scene.old));
    }
    let toolkit = scene.toolkit(&[&scene.old, &scene.new]);
    let planned = plan(&scene, &toolkit, &there, 3600).await.unwrap();
    let control = Control::silent();
    let stopped = {
        let cancel = control.cancel.clone();
        let (apply, wait) = (toolkit.apply(&planned, "test", &control), async {
            while !scene.opens(&scene.new, &there[1]).await {}
            tokio::time::sleep(Duration::from_millis(500)).await;
            cancel.cancel();
        });
        tokio::join!(apply, wait).0.unwrap()
    };
    assert_eq!(stopped.outcome, Outcome::Stopped, "{stopped:?}");
    for there in &there {
        assert!(
            scene.opens(&scene.new, there).await && scene.opens(&scene.old, there).await,
            "both open meanwhile"
        );
    }
    let undone = toolkit.undo(stopped.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    assert!(!scene.opens(&scene.new, &there[0]).await && scene.opens(&scene.old, &there[0]).await);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_anywhere() {
    let scene = Scene::new();
    let there = scene.accounts("root");
    for (host, keys) in scene.hosts.iter().zip([2, 1]) {
        host.authorize("root", &public(&scene.new));
        host.authorize("ben", "# kept");
        host.authorize("ben", &public(&scene.old));
        if keys == 2 {
            host.authorize("root", &public(&scene.old));
            host.authorize("ann", &format!("restrict {}", public(&scene.old)));
            host.authorize("ann", &public(&scene.new));
        }
    }
    let toolkit = scene.toolkit(&[&scene.new]);
    let revoke = async |toolkit: &Toolkit, key: &Path| {
        let options = RevokeOptions::default();
        toolkit.plan_key_revocation(&there, &public(key), &options, &Control::silent()).await
    };
    // With nothing but the stolen key itself, it would be the last working one.
    fails(revoke(&scene.toolkit(&[&scene.old]), &scene.old).await, ErrorKind::Refused, &["last working"]);
    fails(revoke(&scene.toolkit(&[&scene.new]), &scene.new).await, ErrorKind::Refused, &["last working"]);
    let planned = revoke(&toolkit, &scene.old).await.unwrap();
    let applied = toolkit.apply(&planned, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    for user in ["root", "ann", "ben"] {
        for there in scene.accounts(user) {
            assert!(!scene.opens(&scene.old, &there).await, "{there}");
        }
    }
    assert_eq!(scene.file(0, "/home/ann/.ssh/authorized_keys"), format!("{}\n", public(&scene.new)));
    assert_eq!(scene.file(1, "/home/ben/.ssh/authorized_keys"), "# kept\n");
    // The files still belong to those whom they let in.
    assert!(scene.opens(&scene.new, &account(&scene.hosts[0], "ann")).await);
    fails(revoke(&toolkit, &scene.old).await, ErrorKind::NotFound, &["audit"]);
}
