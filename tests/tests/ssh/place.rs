//! Where a host's sshd looks for keys, and what else keeps it from them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::audit::{access_to, account};
use super::install::toolkit;
use super::*;
use dr_core::report::code;
use dr_core::run::Outcome;
use dr_core::toolkit::InstallOptions;
use dr_core::{Plan, Secret};
use dr_tests::SshHost;

const REST: &str = "UsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n";

async fn plan(access: Access, desk: &Desk, there: &Remote, key: &Path) -> Result<Plan, Error> {
    let toolkit = toolkit(access, desk);
    toolkit.plan_key_install(there, &public(key), &InstallOptions::default(), &Control::silent()).await
}

/// sshd's own setting, who logs in, where the first key stands, and where the new one has to go, with which mode.
const PLACES: &[(&str, &str, &str, &str, u32)] = &[
    ("/etc/ssh/keys/%u", "root", "/etc/ssh/keys/root", "/etc/ssh/keys/root", 0o644),
    (
        "/etc/ssh/keys/%u .ssh/authorized_keys",
        "root",
        "/etc/ssh/keys/root",
        "/root/.ssh/authorized_keys",
        0o600,
    ),
    ("%h/.keys/mine", "root", "/root/.keys/mine", "/root/.keys/mine", 0o600),
    (".ssh/other", "ann", "/home/ann/.ssh/other", "/home/ann/.ssh/other", 0o600),
    ("/etc/ssh/keys/%u %h/.ssh/%U", "ann", "/etc/ssh/keys/ann", "/home/ann/.ssh/42001", 0o600),
];

#[tokio::test]
async fn a_key_goes_where_sshd_looks() {
    for &(setting, user, first, expected, mode) in PLACES {
        let (host, desk) =
            (SshHost::start(&format!("AuthorizedKeysFile {setting}\n{REST}"), &[]), Desk::new());
        let (mine, new) = (desk.key("mine", &[]), desk.key("new", &[]));
        // As the account has it: its own .ssh, made by the lab, holds another key.
        host.authorize(user, &public(&desk.key("unrelated", &[])));
        let dir = host.file(Path::new(first).parent().unwrap().to_str().unwrap());
        fs::create_dir_all(&dir).unwrap();
        fs::write(host.file(first), format!("{}\n", public(&mine))).unwrap();
        if user == "ann" && first.starts_with("/home") {
            std::os::unix::fs::chown(host.file(first), Some(42_001), Some(42_001)).unwrap();
        }
        let there = account(&host, user);
        let mut access = access_to(&host, &mine);
        access.identities.push(new.clone());
        let before = fs::read_to_string(host.file(expected)).unwrap_or_default();
        let toolkit = toolkit(access.clone(), &desk);
        let install = plan(access.clone(), &desk, &there, &new).await.unwrap();
        let applied = toolkit.apply(&install, "test", &Control::silent()).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{setting}: {applied:?}");
        let file = host.file(expected);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{before}{}\n", public(&new)), "{setting}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode, "{setting}");
        assert!(
            plan(access.clone(), &desk, &there, &new).await.unwrap().is_empty(),
            "{setting}: twice is once"
        );
        log_in(Access { identities: vec![new.clone()], ..access }, &there).await.unwrap();
    }
}

#[tokio::test]
async fn where_sshd_reads_no_files_nothing_is_written() {
    let config = format!("AuthorizedKeysFile none\n{}", REST.replace("UsePAM no", "UsePAM yes"));
    let (host, desk) = (SshHost::start(&config, &[]), Desk::new());
    let (mine, root) = (desk.key("mine", &[]), account(&host, "root"));
    let mut access = access_to(&host, &mine);
    access.passwords.insert(root.clone(), Secret::new(SshHost::PASSWORD.into()));
    let refused = plan(access, &desk, &root, &mine).await;
    fails(refused, ErrorKind::Refused, &["AuthorizedKeysFile none", "certificates"]);
    assert!(!host.file("/root/.ssh").exists());
}

/// Programs of the host's own, found before the real ones.
fn program(host: &SshHost, name: &str, script: &str) {
    let path = host.file("/root/bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn labels_are_restored_and_what_keeps_sshd_away_is_told() {
    let config = format!("SetEnv PATH=/root/bin:/usr/bin:/bin\n{REST}");
    let (host, desk) = (SshHost::start(&config, &[]), Desk::new());
    let (mine, new) = (desk.key("mine", &[]), desk.key("new", &[]));
    host.authorize("root", &public(&mine));
    let mut access = access_to(&host, &mine);
    access.identities.push(new.clone());
    let (toolkit, root) = (toolkit(access.clone(), &desk), account(&host, "root"));
    let install = plan(access, &desk, &root, &new).await.unwrap();
    // Without SELinux nobody is asked for labels.
    program(&host, "restorecon", "echo \"$@\" >> /root/asked");
    program(&host, "selinuxenabled", "exit 1");
    let applied = toolkit.apply(&install, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert!(!host.file("/root/asked").exists());
    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    program(&host, "selinuxenabled", "exit 0");
    let applied = toolkit.apply(&install, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{applied:?}");
    assert_eq!(fs::read_to_string(host.file("/root/asked")).unwrap(), ".ssh .ssh/authorized_keys\n");

    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{undone:?}");
    program(&host, "restorecon", "echo Would relabel /root/.ssh/authorized_keys from a to b");
    program(&host, "stat", "echo nfs4");
    fs::set_permissions(host.file("/root/.ssh/authorized_keys"), fs::Permissions::from_mode(0o620)).unwrap();
    let report = toolkit.verify_key(&root, &public(&new)).await.unwrap();
    let told = |code| {
        report.findings.iter().find(|finding| finding.code == code).map(|finding| finding.message.clone())
    };
    assert!(told(code::KEY_FILE_MISLABELLED).unwrap().contains("Would relabel /root/.ssh"));
    assert!(told(code::KEY_FILE_ON_NETWORK).unwrap().contains("nfs4"));
    let modes = told(code::KEY_FILE_TOO_OPEN).unwrap();
    assert!(modes.contains("unless it is Debian's") && modes.contains("OpenSSH_"), "{modes}");
}
