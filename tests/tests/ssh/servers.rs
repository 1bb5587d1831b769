//! Every SSH server that may stand on a host: OpenSSH, with and without SFTP, dropbear and tinyssh.

use std::fs;

use super::audit::{access_to, account};
use super::install::toolkit;
use super::*;
use dr_core::keys::KeyOptions;
use dr_core::report::Verdict;
use dr_core::run::Outcome;
use dr_core::toolkit::{InstallOptions, LockOptions};
use dr_core::world::Shell as _;
use dr_tests::{By, SshHost};

/// Servers and whether they have SFTP.
const ALL: &[(By, bool)] = &[
    (By::OpenSsh, true),
    (By::OpenSsh, false),
    (By::Dropbear, true),
    (By::TinySsh, true),
    (By::TinySsh, false),
];

fn server(by: By, sftp: bool) -> (Sshd, Desk, Access) {
    at_home_with(&Login { by, sftp, ..Login::default() })
}

#[tokio::test]
async fn a_key_is_installed_proved_and_asked_about_whatever_serves() {
    for &(by, sftp) in ALL {
        let (sshd, desk, mut access) = server(by, sftp);
        let (new, other) = (desk.key("new", &[]), desk.key("other", &[]));
        access.identities.push(new.clone());
        sshd.authorize("# somebody else's");
        let before = fs::read_to_string(sshd.authorized_keys()).unwrap();
        let (toolkit, there, silent) = (toolkit(access.clone(), &desk), remote(&sshd), Control::silent());
        let install = async |key: &Path, options: InstallOptions| {
            toolkit.plan_key_install(&there, &public(key), &options, &silent).await
        };
        let plan = install(&new, InstallOptions::default()).await.unwrap();
        let applied = toolkit.apply(&plan, "test", &silent).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{by:?} {sftp}: {applied:?}");
        let mut last = applied.run;
        let after = fs::read_to_string(sshd.authorized_keys()).unwrap();
        assert_eq!(after, format!("{before}{}\n", public(&new)), "{by:?} {sftp}");
        assert!(install(&new, InstallOptions::default()).await.unwrap().is_empty(), "{by:?}: twice is once");
        let is_in = toolkit.verify_key(&there, &public(&new)).await.unwrap().verdict();
        assert_eq!(is_in, Verdict::Ok, "{by:?} {sftp}");
        for (key, verdict) in [(&new, Verdict::Ok), (&other, Verdict::Failed)] {
            match (by, toolkit.probe_key(&there, &public(key)).await) {
                // It would say yes to every key: that is no answer.
                (By::TinySsh, said) => fails(said, ErrorKind::Unsupported, &["every key", "verify"]),
                (_, said) => assert_eq!(said.unwrap().verdict(), verdict, "{by:?} {sftp}"),
            }
        }
        let only =
            InstallOptions { allow: KeyOptions::forced("echo only this"), ..InstallOptions::default() };
        match (by, install(&other, only).await) {
            (By::TinySsh, said) => {
                fails(said, ErrorKind::Unsupported, &["tinyssh", "options in front", "nothing was changed"]);
            }
            (_, plan) => {
                let applied = toolkit.apply(&plan.unwrap(), "test", &silent).await.unwrap();
                assert_eq!(applied.outcome, Outcome::New, "{by:?}");
                last = applied.run;
                let shell = shell(Access { identities: vec![other], ..access.clone() });
                let said = shell.run(&there, "id", &silent).await.unwrap();
                assert_eq!(said.stdout, b"only this\n", "{by:?}");
            }
        }
        let undone = toolkit.undo(last, "test", &silent).await.unwrap();
        assert_eq!(undone.outcome, Outcome::Old, "{by:?}: {undone:?}");
    }
}

#[tokio::test]
async fn the_host_key_is_checked_whatever_serves() {
    for &(by, sftp) in ALL {
        let (sshd, desk, access) = server(by, sftp);
        log_in(access.clone(), &remote(&sshd)).await.unwrap();
        let name = remote(&sshd).known_hosts_name();
        let wrong = [(name, vec![public(&desk.key("wrong", &[]))])].into();
        let access_wrong = Access { pins: wrong, ..access.clone() };
        fails(log_in(access_wrong, &remote(&sshd)).await, ErrorKind::HostKey, &["none of the pinned ones"]);
        let shown = shell(access.clone()).host_keys(&remote(&sshd)).await.unwrap();
        assert_eq!(shown.len(), 1, "{by:?}");
        assert_eq!(shown[0].pinned, Some(true));
        let stranger = Access { identities: vec![desk.key("stranger", &[])], ..access };
        fails(log_in(stranger, &remote(&sshd)).await, ErrorKind::Authentication, &["refused"]);
    }
}

#[tokio::test]
async fn what_is_not_openssh_cannot_be_locked_down_and_says_why() {
    for (by, words) in [
        (By::Dropbear, ["dropbear_", "-s (no passwords)"]),
        (By::TinySsh, ["tinyssh_", "nothing to lock down"]),
    ] {
        let (sshd, desk, access) = server(by, true);
        let (toolkit, there) = (toolkit(access, &desk), remote(&sshd));
        let lock = toolkit.plan_lock_down(&there, &LockOptions::default(), &Control::silent()).await;
        fails(lock, ErrorKind::Unsupported, &[words[0], words[1], "no sshd_config", "nothing was changed"]);
        let unlock = toolkit.plan_unlock(&there, &Control::silent()).await;
        fails(unlock, ErrorKind::Unsupported, &[words[0]]);
    }
}

#[tokio::test]
async fn dropbear_takes_a_password_for_the_first_key() {
    let login = Login { by: By::Dropbear, password: Some("correct horse".into()), ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let key = desk.key("mine", &[]);
    let mut access = access(&sshd, &key);
    access.passwords.insert(remote(&sshd), dr_core::Secret::new("correct horse".into()));
    let (toolkit, there) = (toolkit(access, &desk), remote(&sshd));
    let options = InstallOptions::default();
    let plan = toolkit.plan_key_install(&there, &public(&key), &options, &Control::silent()).await.unwrap();
    let applied = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
}

/// One small thing after another on one connection, without a rest.
#[tokio::test]
async fn files_are_read_one_after_another_whatever_serves() {
    for &(by, sftp) in ALL {
        let (sshd, _desk, access) = server(by, sftp);
        let (shell, there) = (shell(access), remote(&sshd));
        for time in 0..20 {
            let read = shell.read_file(&there, ".ssh/authorized_keys").await;
            assert!(read.as_ref().is_ok_and(Option::is_some), "{by:?}, {time}: {read:?}");
        }
    }
}

/// OpenSSH 9.8 and later shut out who asks a few times and never logs in; every connection must end logged in.
#[tokio::test]
async fn whoever_only_asks_is_not_taken_for_an_attacker() {
    const TIMES: usize = 12;
    let host = SshHost::start("UsePAM no\nSubsystem sftp internal-sftp\n", &[]);
    let desk = Desk::new();
    let (mine, stranger) = (desk.key("mine", &[]), desk.key("stranger", &[]));
    host.authorize("root", &public(&mine));
    let (shell, root) = (shell(access_to(&host, &mine)), account(&host, "root"));
    let both =
        super::shell(Access { identities: vec![stranger.clone(), mine.clone()], ..access_to(&host, &mine) });
    for _ in 0..TIMES {
        let proved = both.prove_key(&root, &public(&stranger)).await.unwrap();
        assert!(matches!(proved, dr_core::world::Login::Refused { .. }), "{proved:?}");
        let said = shell.probe_key(&root, &public(&stranger)).await.unwrap();
        assert!(matches!(said, dr_core::world::Login::Refused { .. }), "{said:?}");
        assert_eq!(shell.probe_key(&root, &public(&mine)).await.unwrap(), dr_core::world::Login::Accepted);
        shell.offers(&root).await.unwrap();
    }
    log_in(access_to(&host, &mine), &root).await.unwrap();
    assert_eq!(host.log().matches("Accepted publickey for root").count(), 4 * TIMES + 1);
}

/// As many connections as keys, and none before sshd has forgotten the last: here more than three seconds of penalties shut an address out.
#[tokio::test]
async fn whoever_looks_at_host_keys_again_and_again_is_not_shut_out() {
    const TIMES: usize = 4;
    let counts = dr_tests::sshd_counts_strangers();
    let penalties = counts.then(|| "PerSourcePenalties min:3".to_owned());
    for kinds in [vec!["ed25519"], vec!["ed25519", "ecdsa"]] {
        if !kinds.iter().all(|kind| dr_tests::sshd_takes(kind)) {
            continue;
        }
        let keys = kinds.len();
        let lines = penalties.iter().cloned().collect();
        let (sshd, _desk, access) = at_home_with(&Login { host_keys: kinds, lines, ..Login::default() });
        let connections = || sshd.log().matches("Connection from 127.0.0.1").count();
        let (shell, before) = (shell(access.clone()), connections());
        for _ in 0..TIMES {
            assert_eq!(shell.host_keys(&remote(&sshd)).await.unwrap().len(), keys);
        }
        eventually("every look is in the log", || connections() >= before + TIMES * keys).await;
        assert_eq!(connections(), before + TIMES * keys);
        log_in(access, &remote(&sshd)).await.unwrap();
    }
}
