//! Certificates brought to hosts: shown by the host, believed of users, taken back when anything is wrong.

use std::fs;

use super::audit::{access_to, account};
use super::certificates::{certify, terms};
use super::install::toolkit;
use super::*;
use dr_core::keys::{Bearer, Certificate, PublicKey};
use dr_core::plan::Step;
use dr_core::run::Outcome;
use dr_core::toolkit::{Applied, Toolkit};
use dr_core::world::ssh::Authority;
use dr_core::{Period, Plan};
use dr_tests::SshHost;

const REST: &str = "UsePAM no\nSubsystem sftp internal-sftp\nPasswordAuthentication no\n";
const INCLUDES: &str = "Include /etc/ssh/sshd_config.d/*.conf\n";
const CERTIFICATE: &str = "/etc/ssh/ssh_host_ed25519_key-cert.pub";

/// A host, an authority, and somebody whose key opens the host.
pub(super) struct Scene {
    pub(super) host: SshHost,
    pub(super) desk: Desk,
    pub(super) mine: PathBuf,
    pub(super) toolkit: Toolkit,
    ca: PathBuf,
}

impl Scene {
    pub(super) fn new(config: &str) -> Self {
        let (host, desk) = (SshHost::start(config, &[]), Desk::new());
        let (mine, ca) = (desk.key("mine", &[]), desk.key("ca", &[]));
        host.authorize("root", &public(&mine));
        let toolkit = toolkit(access_to(&host, &mine), &desk);
        Self { host, desk, mine, toolkit, ca }
    }

    /// A certificate for the host's key, or another one.
    pub(super) async fn certificate(&self, key: Option<&str>, name: &str, serial: u64) -> Certificate {
        let key: PublicKey = key.unwrap_or_else(|| self.host.host_key()).parse().unwrap();
        let ca = Authority::load(&self.ca, None).await.unwrap();
        let terms = dr_core::keys::Terms { serial, ..terms(Bearer::Host, &key, &[name]) };
        certify(&self.desk, &ca, &terms).1
    }

    pub(super) async fn plan(&self, line: &str, after: u64) -> Result<Plan, Error> {
        let root = account(&self.host, "root");
        let silent = Control::silent();
        self.toolkit.plan_certificate_install(&root, line, Period::from_secs(after), &silent).await
    }

    async fn bring(&self, line: &str) -> Applied {
        let plan = self.plan(line, 60).await.unwrap();
        self.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap()
    }

    /// Whoever trusts the authority and knows nothing else of the host gets in.
    pub(super) async fn is_believed(&self) -> bool {
        let line = format!("@cert-authority * {}\n", public(&self.ca));
        let known = self.desk.file("known", line, 0o600);
        let access = Access {
            pins: Default::default(),
            known_hosts: vec![known],
            ..access_to(&self.host, &self.mine)
        };
        log_in(access, &account(&self.host, "root")).await.is_ok()
    }

    /// Everything of the host's sshd that may be changed.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![];
        for dir in ["/etc/ssh", "/etc/ssh/sshd_config.d"] {
            for entry in fs::read_dir(self.host.file(dir)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    files.push((entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    }
}

#[tokio::test]
async fn a_host_shows_its_certificate_and_is_believed_by_it_alone() {
    for config in [format!("{INCLUDES}{REST}"), REST.to_owned()] {
        let scene = Scene::new(&config);
        let before = scene.files();
        assert!(!scene.is_believed().await);
        let first = scene.certificate(None, "127.0.0.1", 1).await.to_string();
        let applied = scene.bring(&first).await;
        assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
        assert!(scene.is_believed().await);
        assert!(scene.plan(&first, 60).await.unwrap().is_empty(), "once is enough");
        // A renewal is a file: sshd names it already.
        let renewed = scene.certificate(None, "127.0.0.1", 2).await.to_string();
        let plan = scene.plan(&renewed, 60).await.unwrap();
        let changes = plan.steps.iter().filter(|step| matches!(step.step, Step::ChangeSshd(_))).count();
        assert_eq!(changes, 1, "{plan:?}");
        let again = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
        assert_eq!(again.outcome, Outcome::New, "{again:?}");
        assert_eq!(fs::read_to_string(scene.host.file(CERTIFICATE)).unwrap(), format!("{renewed}\n"));
        for run in [again.run, applied.run] {
            let undone = scene.toolkit.undo(run, "test", &Control::silent()).await.unwrap();
            assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
        }
        assert_eq!(scene.files(), before);
    }
}

#[tokio::test]
async fn a_certificate_that_would_not_count_is_refused_and_one_that_fails_is_taken_back() {
    let scene = Scene::new(&format!("{INCLUDES}{REST}"));
    let before = scene.files();
    let other = public(&scene.desk.key("other", &[]));
    let foreign = scene.certificate(Some(&other), "127.0.0.1", 1).await.to_string();
    fails(scene.plan(&foreign, 60).await, ErrorKind::Refused, &["none of the keys", "nothing was changed"]);
    let elsewhere = scene.certificate(None, "uk.example.net", 1).await.to_string();
    fails(scene.plan(&elsewhere, 60).await, ErrorKind::Refused, &["uk.example.net"]);
    fails(scene.plan("rubbish", 60).await, ErrorKind::Usage, &[]);
    let good = scene.certificate(None, "127.0.0.1", 1).await.to_string();
    let ann = toolkit(access_to(&scene.host, &scene.mine), &scene.desk);
    scene.host.authorize("ben", &public(&scene.mine));
    let by_ben = account(&scene.host, "ben");
    let after = Period::from_secs(60);
    fails(
        ann.plan_certificate_install(&by_ben, &good, after, &Control::silent()).await,
        ErrorKind::PermissionDenied,
        &["root"],
    );
    // The proof at the very end is by another authority: everything is taken back.
    let mut plan = scene.plan(&good, 60).await.unwrap();
    let Some(Step::ProveHost(proof)) = plan.steps.last_mut().map(|step| &mut step.step) else {
        panic!("{plan:?}")
    };
    proof.authority = other;
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert_eq!(scene.files(), before);
}

#[tokio::test]
async fn an_authority_lets_its_users_in_beside_those_that_were_trusted() {
    let scene = Scene::new(&format!("{INCLUDES}{REST}"));
    let users = scene.desk.key("users", &[]);
    let user = scene.desk.key("user", &[]);
    let ca = Authority::load(&users, None).await.unwrap();
    certify(&scene.desk, &ca, &terms(Bearer::User, &public(&user).parse().unwrap(), &["root"]));
    let root = account(&scene.host, "root");
    assert!(log_in(access_to(&scene.host, &user), &root).await.is_err());
    let applied = scene.bring(&public(&users)).await;
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    log_in(access_to(&scene.host, &user), &root).await.unwrap();
    assert!(scene.plan(&public(&users), 60).await.unwrap().is_empty());
    // Another one joins the file that sshd names.
    let more = public(&scene.desk.key("more", &[]));
    assert_eq!(scene.bring(&more).await.outcome, Outcome::New);
    let file = fs::read_to_string(scene.host.file("/etc/ssh/dr_user_ca.pub")).unwrap();
    assert_eq!(file, format!("{}\n{more}\n", public(&users)));
    log_in(access_to(&scene.host, &user), &root).await.unwrap();
}
