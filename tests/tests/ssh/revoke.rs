//! Keys and certificates on sshd's list of revoked ones: proven before sshd is told, and never in the way of the last key.

use std::fs;

use super::audit::{access_to, account};
use super::certificates::{certify, terms};
use super::install::toolkit;
use super::*;
use dr_core::Plan;
use dr_core::keys::{Bearer, PublicKey, RevocationList};
use dr_core::report::Verdict;
use dr_core::run::Outcome;
use dr_core::toolkit::{InstallOptions, RevokeOptions, Toolkit};
use dr_core::world::ssh::Authority;
use dr_tests::SshHost;

pub(super) const LIST: &str = "/etc/ssh/revoked_keys";
const MAIN: &str = "/etc/ssh/sshd_config";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-dr-revoked.conf";
pub(super) const PLAIN: &str = "UsePAM no\nSubsystem sftp internal-sftp\nPasswordAuthentication no\n";

/// Where a drop-in counts, and where that is which counts in its place.
fn drop_in() -> &'static str {
    if dr_tests::sshd_includes() { DROP_IN } else { MAIN }
}

/// A host that two keys open, one of which is to go.
pub(super) struct Scene {
    pub(super) host: SshHost,
    pub(super) desk: Desk,
    pub(super) mine: PathBuf,
    pub(super) stolen: PathBuf,
    pub(super) toolkit: Toolkit,
}

impl Scene {
    pub(super) fn new(config: &str, drop_ins: &[(&str, &str)]) -> Self {
        let (host, desk) = (SshHost::start(config, drop_ins), Desk::new());
        let (mine, stolen) = (desk.key("mine", &[]), desk.key("stolen", &[]));
        for key in [&mine, &stolen] {
            host.authorize("root", &public(key));
        }
        let toolkit = toolkit(access_to(&host, &mine), &desk);
        Self { host, desk, mine, stolen, toolkit }
    }

    async fn plan(&self, line: &str) -> Result<Plan, Error> {
        let root = account(&self.host, "root");
        self.toolkit.plan_key_revocation(&[root], line, &RevokeOptions::default(), &Control::silent()).await
    }

    async fn revoke(&self, line: &str) -> dr_core::toolkit::Applied {
        let plan = self.plan(line).await.unwrap();
        self.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap()
    }

    pub(super) async fn opens(&self, key: &Path) -> bool {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let report = self.toolkit.probe_key(&account(&self.host, "root"), &public(key)).await.unwrap();
            // While sshd starts itself anew nobody is there to say no.
            if report.unexamined.is_empty() || std::time::Instant::now() > deadline {
                return report.verdict() == Verdict::Ok;
            }
        }
    }

    pub(super) fn list(&self) -> RevocationList {
        RevocationList::parse(&fs::read(self.host.file(LIST)).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_revoked_key_stays_out_whoever_writes_it_back() {
    for (config, names_it) in
        [(PLAIN.to_owned(), MAIN), (format!("Include /etc/ssh/sshd_config.d/*.conf\n{PLAIN}"), drop_in())]
    {
        let scene = Scene::new(&config, &[]);
        let applied = scene.revoke(&public(&scene.stolen)).await;
        assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
        assert!(scene.list().revokes(&public(&scene.stolen).parse().unwrap()));
        assert!(
            fs::read_to_string(scene.host.file(names_it))
                .unwrap()
                .contains("\nRevokedKeys /etc/ssh/revoked_keys\n")
        );
        // Who installs it again is told.
        let (root, stolen) = (account(&scene.host, "root"), public(&scene.stolen));
        let options = InstallOptions::default();
        let again = scene.toolkit.plan_key_install(&root, &stolen, &options, &Control::silent()).await;
        fails(again, ErrorKind::Refused, &[LIST, "dr keys generate"]);
        // Somebody's script puts the line back.
        scene.host.authorize("root", &public(&scene.stolen));
        assert!(!scene.opens(&scene.stolen).await && scene.opens(&scene.mine).await);
        // The next one only joins the list: sshd knows it already, and no switch is needed.
        let another = scene.desk.key("another", &[]);
        scene.host.authorize("root", &public(&another));
        assert!(scene.opens(&another).await);
        let plan = scene.plan(&public(&another)).await.unwrap();
        assert!(!plan.steps.iter().any(|step| step.title.contains("switch")), "{plan:?}");
        let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
        assert_eq!(scene.list().version(), 2);
        assert!(
            !scene.opens(&another).await
                && !scene.opens(&scene.stolen).await
                && scene.opens(&scene.mine).await
        );
        // The last working key is refused before anything is done.
        let before = fs::read(scene.host.file(LIST)).unwrap();
        fails(scene.plan(&public(&scene.mine)).await, ErrorKind::Refused, &["last working"]);
        assert_eq!(fs::read(scene.host.file(LIST)).unwrap(), before);
    }
}

#[tokio::test]
async fn an_account_that_is_root_by_sudo_only_revokes_for_all() {
    let scene = Scene::new(PLAIN, &[]);
    for key in [&scene.mine, &scene.stolen] {
        scene.host.authorize("ann", &public(key));
    }
    let ann = account(&scene.host, "ann");
    let line = public(&scene.stolen);
    let plan = scene
        .toolkit
        .plan_key_revocation(&[ann], &line, &RevokeOptions::default(), &Control::silent())
        .await
        .unwrap();
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert!(scene.list().revokes(&line.parse().unwrap()));
    // Its line still stands in root's file, and opens nothing.
    assert!(fs::read_to_string(scene.host.file("/root/.ssh/authorized_keys")).unwrap().contains(&line));
    assert!(!scene.opens(&scene.stolen).await && scene.opens(&scene.mine).await);
}

#[tokio::test]
async fn a_certificate_goes_and_its_key_stays() {
    let desk = Desk::new();
    let ca = desk.key("ca", &[]);
    let config = format!("TrustedUserCAKeys /etc/ssh/ca.pub\nRevokedKeys {LIST}\n{PLAIN}");
    let scene = Scene::new(&config, &[]);
    fs::copy(ca.with_extension("pub"), scene.host.file("/etc/ssh/ca.pub")).unwrap();
    // sshd takes an empty list for what it is.
    fs::write(scene.host.file(LIST), "").unwrap();
    let ca = Authority::load(&ca, None).await.unwrap();
    let ann = desk.key("ann", &[]);
    let key: PublicKey = public(&ann).parse().unwrap();
    let (_, certificate) = certify(&desk, &ca, &terms(Bearer::User, &key, &["root"]));
    let root = account(&scene.host, "root");
    let by_certificate = access_to(&scene.host, &ann);
    log_in(by_certificate.clone(), &root).await.unwrap();
    let applied = scene.revoke(&certificate.to_string()).await;
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    fails(log_in(by_certificate.clone(), &root).await, ErrorKind::Authentication, &["certificate"]);
    scene.host.authorize("root", &public(&ann));
    log_in(by_certificate, &root).await.unwrap();
    fails(scene.plan(&certificate.to_string()).await, ErrorKind::NotFound, &["audit"]);
}

#[tokio::test]
async fn what_goes_wrong_is_taken_back_and_a_broken_list_is_never_touched() {
    let scene = Scene::new(PLAIN, &[]);
    let (list, main) = (scene.host.file(LIST), scene.host.file(MAIN));
    for (content, kind) in
        [(&b"SSHKRL\n\0 rubbish"[..], ErrorKind::Refused), (b"# keys\n", ErrorKind::Unsupported)]
    {
        fs::write(&list, content).unwrap();
        fails(scene.plan(&public(&scene.stolen)).await, kind, &["revoked_keys"]);
        assert_eq!(fs::read(&list).unwrap(), content);
    }
    fs::remove_file(&list).unwrap();
    let keys = scene.host.file("/root/.ssh/authorized_keys");
    let before = (fs::read(&main).unwrap(), fs::read(&keys).unwrap());
    // A list that would revoke our own key, too, never gets its name.
    let mut plan = scene.plan(&public(&scene.stolen)).await.unwrap();
    let mut both = RevocationList::default();
    for key in [&scene.mine, &scene.stolen] {
        both.revoke(&public(key).parse().unwrap());
    }
    let mut swapped = 0;
    for step in &mut plan.steps {
        if let dr_core::plan::Step::ChangeSshd(change) = &mut step.step
            && change.path == LIST
        {
            change.to = Some(dr_core::keys::Content::new(&both.to_bytes(1, Default::default())));
            swapped += 1;
        }
    }
    assert_eq!(swapped, 1);
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(!list.exists() && scene.opens(&scene.mine).await);
    // Whatever fails at the very end takes all of it back, in an order in which sshd never names a list that is not there.
    let mut plan = scene.plan(&public(&scene.stolen)).await.unwrap();
    let at = plan.steps.iter().position(|step| step.title.ends_with("now that the switch is off")).unwrap();
    let dr_core::plan::Step::ProveKey(proof) = &mut plan.steps[at].step else {
        panic!("{:?}", plan.steps[at])
    };
    proof.public_key = public(&scene.stolen);
    let applied = scene.toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Old, "{applied:?}");
    assert!(!list.exists());
    assert_eq!((fs::read(&main).unwrap(), fs::read(&keys).unwrap()), before);
    assert!(scene.opens(&scene.mine).await && scene.opens(&scene.stolen).await);
}

/// Each begins from the list as it found it; whoever is slower joins what the other one wrote, and takes nothing out of it.
#[tokio::test]
async fn two_who_revoke_at_once_lose_neither() {
    let scene = Scene::new(PLAIN, &[]);
    let other = scene.desk.key("other", &[]);
    scene.host.authorize("root", &public(&other));
    let (stolen, other) = (public(&scene.stolen), public(&other));
    let seats = [Desk::new(), Desk::new()];
    let toolkits = seats.each_ref().map(|desk| toolkit(access_to(&scene.host, &scene.mine), desk));
    let revoke = async |toolkit: &Toolkit, line: &str| {
        let plan = async || {
            let root = account(&scene.host, "root");
            toolkit.plan_key_revocation(&[root], line, &RevokeOptions::default(), &Control::silent()).await
        };
        let (plan, applied) = toolkit.plan_and_apply(plan, "test", &Control::silent(), |_| {}).await.unwrap();
        let applied = applied.unwrap_or_else(|| panic!("nothing to do? {plan:?}"));
        assert_eq!(applied.outcome, Outcome::New, "{line}: {applied:?}");
    };
    tokio::join!(revoke(&toolkits[0], &stolen), revoke(&toolkits[1], &other));
    let list = scene.list();
    for line in [&stolen, &other] {
        assert!(list.revokes(&line.parse().unwrap()), "{line} is not on the list");
        scene.host.authorize("root", line);
    }
    assert!(scene.opens(&scene.mine).await && !scene.opens(&scene.stolen).await);
    assert!(!scene.opens(&scene.desk.path("other")).await);
}
