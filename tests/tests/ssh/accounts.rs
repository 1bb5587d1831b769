//! Accounts that PAM lets in only halfway, or not at all: told from a wrong key, from a wrong password and from a lost line.

use std::fs;

use super::audit::{access_to, account};
use super::*;
use dr_core::report::{Code, Verdict, code};
use dr_core::toolkit::{AuditOptions, InstallOptions, LockOptions};
use dr_core::world::Shell as _;
use dr_core::{Period, Secret};
use dr_tests::SshHost;

const BY_PASSWORD: &str =
    "UsePAM yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n";
const BY_QUESTIONS: &str =
    "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\nSubsystem sftp internal-sftp\n";

/// Sets a field of an account in `/etc/shadow` (shadow(5), counted from 0).
fn set_shadow(host: &SshHost, user: &str, field: usize, value: &str) {
    let path = host.dir().join("shadow");
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if fields[0] == user {
            fields[field] = value;
        }
        fields.join(":") + "\n"
    };
    let shadow: String = fs::read_to_string(&path).unwrap().lines().map(line).collect();
    fs::write(path, shadow).unwrap();
}

/// Whoever knows the password of ann, and nothing else.
fn with_password(host: &SshHost, desk: &Desk) -> Access {
    let mut access = access_to(host, &desk.path("none"));
    access.identities.clear();
    access.passwords.insert(account(host, "ann"), Secret::new(SshHost::PASSWORD.into()));
    access
}

#[tokio::test]
async fn an_expired_password_is_told_and_never_answered() {
    if !dr_tests::sshd_has_pam() {
        return;
    }
    for config in [BY_PASSWORD, BY_QUESTIONS] {
        let (host, desk) = (SshHost::start(config, &[]), Desk::new());
        let (key, new, ann) = (desk.key("key", &[]), desk.key("new", &[]), account(&host, "ann"));
        host.authorize("ann", &public(&key));
        log_in(with_password(&host, &desk), &ann).await.unwrap();
        set_shadow(&host, "ann", 2, "0");
        let shadow = fs::read(host.dir().join("shadow")).unwrap();
        let words = ["password has expired", "chage -d"];

        // By its key the account is let in, and may then do nothing but change the password: that proves no key.
        let by_key = shell(access_to(&host, &key));
        fails(by_key.prove_key(&ann, &public(&key)).await, ErrorKind::Authentication, &words);
        fails(by_key.run(&ann, "true", &Control::silent()).await, ErrorKind::Authentication, &words);
        fails(by_key.read_file(&ann, ".ssh/authorized_keys").await, ErrorKind::Authentication, &words);
        let toolkit = install::toolkit(access_to(&host, &key), &desk);
        let options = InstallOptions::default();
        let plan = toolkit.plan_key_install(&ann, &public(&new), &options, &Control::silent()).await;
        fails(plan, ErrorKind::Authentication, &words);
        // By its password: asked for a new one, or let in to do nothing.
        let by_password = shell(with_password(&host, &desk));
        let run = by_password.run(&ann, "true", &Control::silent()).await;
        fails(run, ErrorKind::Authentication, &words);
        assert_eq!(fs::read(host.dir().join("shadow")).unwrap(), shadow, "nobody chose a new password");
    }
}

#[tokio::test]
async fn an_expired_account_is_told_from_a_lost_line_and_from_a_wrong_key() {
    if !dr_tests::sshd_has_pam() {
        return;
    }
    let (host, desk) = (SshHost::start(BY_PASSWORD, &[]), Desk::new());
    let (key, stranger) = (desk.key("key", &[]), desk.key("stranger", &[]));
    let ann = account(&host, "ann");
    host.authorize("ann", &public(&key));
    log_in(access_to(&host, &key), &ann).await.unwrap();
    set_shadow(&host, "ann", 7, "1");
    let words = ["account has expired", "chage -E"];
    fails(log_in(access_to(&host, &key), &ann).await, ErrorKind::Authentication, &words);
    fails(
        shell(access_to(&host, &key)).prove_key(&ann, &public(&key)).await,
        ErrorKind::Authentication,
        &words,
    );
    fails(log_in(with_password(&host, &desk), &ann).await, ErrorKind::Authentication, &words);
    // A key that does not open it is refused as ever; nothing is told of the account to whoever has none.
    let refused = log_in(access_to(&host, &stranger), &ann).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Authentication);
    assert!(!format!("{refused:?}").contains("expired"), "{refused:?}");
}

/// `usermod -L` puts a mark before the password. Where PAM is asked, that closes the account for passwords alone, and keys open it as before; where it is not,
/// sshd refuses the account as one that it does not know, and a lock-down that counts on it is not begun.
#[tokio::test]
async fn a_locked_account_opens_by_key_where_pam_is_asked_and_not_at_all_elsewhere() {
    for pam in [true, false] {
        if pam && !dr_tests::sshd_has_pam() {
            continue;
        }
        let config =
            if pam { BY_PASSWORD.to_owned() } else { BY_PASSWORD.replace("UsePAM yes", "UsePAM no") };
        let (host, desk) = (SshHost::start(&config, &[]), Desk::new());
        let (key, ann) = (desk.key("key", &[]), account(&host, "ann"));
        for user in ["root", "ann"] {
            host.authorize(user, &public(&key));
        }
        log_in(with_password(&host, &desk), &ann).await.unwrap();
        let shadow = fs::read_to_string(host.dir().join("shadow")).unwrap();
        let hash = shadow.lines().find_map(|line| line.strip_prefix("ann:")?.split(':').next()).unwrap();
        set_shadow(&host, "ann", 1, &format!("!{hash}"));

        let words = ["it refused the password", "passwd -S ann"];
        fails(log_in(with_password(&host, &desk), &ann).await, ErrorKind::Authentication, &words);
        let toolkit = install::toolkit(access_to(&host, &key), &desk);
        let verdict = toolkit.verify_key(&ann, &public(&key)).await.unwrap().verdict();
        let lock = LockOptions { accounts: vec!["ann".parse().unwrap()], after: Period::from_secs(60) };
        let plan = toolkit.plan_lock_down(&account(&host, "root"), &lock, &Control::silent()).await;
        let (_, report) = toolkit
            .audit_keys(&[account(&host, "root")], &AuditOptions::default(), &Control::silent())
            .await
            .unwrap();
        let said_of_ann = |code: Code| {
            report.findings.iter().any(|found| found.code == code && found.subject.name.starts_with("ann "))
        };
        assert_eq!(said_of_ann(code::KEY_OF_LOCKED_ACCOUNT), pam, "{report:?}");
        assert!(!said_of_ann(code::PASSWORD_LOGIN), "no password opens it: {report:?}");
        if pam {
            assert_eq!(verdict, Verdict::Ok);
            log_in(access_to(&host, &key), &ann).await.unwrap();
            assert!(!plan.unwrap().is_empty());
        } else {
            assert_eq!(verdict, Verdict::Failed);
            let locked_out = log_in(access_to(&host, &key), &ann).await;
            fails(locked_out, ErrorKind::Authentication, &["refused", "passwd -S ann"]);
            fails(plan, ErrorKind::Refused, &["ann"]);
        }
    }
}

/// The text that a host shows to everybody is no word about the account, whatever it says.
#[tokio::test]
async fn a_banner_for_everybody_is_no_refusal() {
    let desk = Desk::new();
    let banner = desk.file("banner", "Your contract has expired. Authorised use only.\n", 0o644);
    let lines = vec![format!("Banner {}", banner.display())];
    let (sshd, _other, access) = at_home_with(&Login { lines, ..Login::default() });
    log_in(access.clone(), &remote(&sshd)).await.unwrap();
    // Cut while the key is under way, the line is lost, and nothing more is known.
    let whole = {
        let relay = Relay::start(sshd.addr(), Way::Down, usize::MAX);
        log_in(relay.access(&access), &relay.remote(&sshd)).await.unwrap();
        relay.carried()
    };
    for short in [40, 120, 200, 400] {
        let relay = Relay::start(sshd.addr(), Way::Down, whole.saturating_sub(short));
        if let Err(error) = log_in(relay.access(&access), &relay.remote(&sshd)).await {
            assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Protocol), "{error:?}");
        }
    }
}
