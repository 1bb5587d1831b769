//! The lab's sshd, spoken to by the real ssh, sftp and rsync.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dr_tests::{Login, Sshd, is_running, wait_for};
use tempfile::TempDir;

/// A client with a key of its own, and nothing of the user's: no agent, no configuration, no known hosts.
struct Client {
    dir: TempDir,
}

impl Client {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab client", "-f"])
            .arg(dir.path().join("key"))
            .status()
            .unwrap();
        assert!(made.success());
        Self { dir }
    }

    fn public_key(&self) -> String {
        fs::read_to_string(self.dir.path().join("key.pub")).unwrap()
    }

    fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }

    fn options(&self, sshd: &Sshd) -> Vec<String> {
        let options = [
            format!("Port={}", sshd.addr().port()),
            format!("User={}", sshd.user()),
            format!("IdentityFile={}", self.dir.path().join("key").display()),
            format!("UserKnownHostsFile={}", self.known_hosts().display()),
            "GlobalKnownHostsFile=none".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            "BatchMode=yes".to_owned(),
        ];
        let files = ["-F".to_owned(), "none".to_owned()];
        files.into_iter().chain(options.into_iter().flat_map(|o| ["-o".to_owned(), o])).collect()
    }

    fn run(&self, sshd: &Sshd, command: &str) -> Output {
        fs::write(self.known_hosts(), sshd.known_hosts()).unwrap();
        Command::new("ssh").args(self.options(sshd)).args(["127.0.0.1", command]).output().unwrap()
    }
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

#[test]
fn a_key_opens_it_and_nothing_else_does() {
    let (sshd, client) = (Sshd::start(), Client::new());
    let refused = client.run(&sshd, "true");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
    sshd.logged("Connection closed by authenticating user");

    sshd.authorize(&client.public_key());
    assert_eq!(fs::metadata(sshd.authorized_keys()).unwrap().permissions().mode() & 0o777, 0o600);
    let home = sshd.home().to_str().unwrap();
    assert_eq!(stdout(&client.run(&sshd, "echo $HOME; echo ~")), format!("{home}\n{home}"));
    assert_eq!(stdout(&client.run(&sshd, "id -un")), sshd.user());
    sshd.logged("Accepted publickey for");

    let (ours, other) = (sshd.known_hosts(), Sshd::start());
    assert_ne!(sshd.host_key(), other.host_key());
    let forged = ours.replace(sshd.host_key(), other.host_key());
    fs::write(client.known_hosts(), forged).unwrap();
    let ssh = Command::new("ssh").args(client.options(&sshd)).args(["127.0.0.1", "true"]).output().unwrap();
    assert!(String::from_utf8_lossy(&ssh.stderr).contains("Host key verification failed"), "{ssh:?}");
}

#[test]
fn with_accounts_of_its_own_even_the_working_directory_is_the_labs() {
    if !Sshd::has_own_accounts() {
        return;
    }
    let (sshd, client) = (Sshd::start(), Client::new());
    sshd.authorize(&client.public_key());
    assert_eq!(stdout(&client.run(&sshd, "pwd")), sshd.home().to_str().unwrap());
}

#[test]
fn with_accounts_of_its_own_a_password_opens_it_and_the_machines_own_passwords_stay() {
    if !Sshd::has_own_accounts() {
        return;
    }
    let before = fs::read("/etc/shadow").unwrap();
    let sshd = Sshd::with(&Login { password: Some("correct horse".to_owned()), ..Login::default() });
    let client = Client::new();
    fs::write(client.known_hosts(), sshd.known_hosts()).unwrap();
    let login = |password: &str| {
        let ask = client.dir.path().join("ask");
        fs::write(&ask, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
        fs::set_permissions(&ask, Permissions::from_mode(0o700)).unwrap();
        let passwords =
            ["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no"];
        Command::new("ssh")
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .args(passwords)
            .args(client.options(&sshd))
            .args(["127.0.0.1", "echo $HOME"])
            .output()
            .unwrap()
    };
    assert_eq!(stdout(&login("correct horse")), sshd.home().to_str().unwrap());
    assert!(!login("wrong horse").status.success());
    sshd.logged("Failed password for root");
    assert_eq!(fs::read("/etc/shadow").unwrap(), before);
}

#[test]
fn files_go_over_by_sftp_and_rsync() {
    for sftp_program in [false, true] {
        let (sshd, client) = (Sshd::with(&Login { sftp_program, ..Login::default() }), Client::new());
        sshd.authorize(&client.public_key());
        fs::write(client.known_hosts(), sshd.known_hosts()).unwrap();
        let file = client.dir.path().join("file");
        fs::write(&file, "a page").unwrap();
        let batch = client.dir.path().join("batch");
        fs::write(&batch, format!("put {} page.html\n", file.display())).unwrap();
        let sftp =
            Command::new("sftp").args(client.options(&sshd)).arg("-b").arg(&batch).arg("127.0.0.1").output();
        stdout(&sftp.unwrap());
        assert_eq!(fs::read_to_string(sshd.home().join("page.html")).unwrap(), "a page");

        let remote = format!("127.0.0.1:{}/copy/", sshd.home().display());
        let ssh = format!("ssh {}", client.options(&sshd).join(" "));
        let rsync = Command::new("rsync").args(["-a", "-e", &ssh]).arg(&file).arg(remote).output();
        stdout(&rsync.expect("rsync: apt-get install rsync (./test does it)"));
        assert_eq!(fs::read_to_string(sshd.home().join("copy/file")).unwrap(), "a page");
    }
}

#[test]
fn strict_modes_look_at_the_home_directory() {
    let login = Login { strict_modes: true, host_keys: vec!["ed25519", "ecdsa", "rsa"], ..Login::default() };
    let (sshd, client) = (Sshd::with(&login), Client::new());
    assert_eq!(sshd.host_keys().len(), 3);
    assert!(sshd.host_keys()[1].starts_with("ecdsa-sha2-nistp256 "));
    sshd.authorize(&client.public_key());
    stdout(&client.run(&sshd, "true"));
    let loose = Permissions::from_mode(0o777);
    fs::set_permissions(sshd.authorized_keys().parent().unwrap(), loose).unwrap();
    assert!(!client.run(&sshd, "true").status.success());
    sshd.logged("bad ownership or modes");
}

#[test]
fn a_kill_ends_the_sessions_and_what_they_run() {
    let (sshd, client) = (Sshd::start(), Client::new());
    sshd.authorize(&client.public_key());
    fs::write(client.known_hosts(), sshd.known_hosts()).unwrap();
    let mut ssh = Command::new("ssh")
        .args(client.options(&sshd))
        .args(["127.0.0.1", "echo ready; sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut word = [0; 5];
    ssh.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    let sleeping = |pids: &[u32]| {
        pids.iter()
            .any(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n"))
    };
    let running = wait_for("the command", Duration::from_secs(20), || {
        Some(sshd.processes()).filter(|pids| sleeping(pids))
    });
    sshd.kill9();
    assert!(running.iter().all(|&pid| !is_running(pid)), "{running:?}");
    assert!(!ssh.wait().unwrap().success());
    sshd.restart();
    assert_eq!(stdout(&client.run(&sshd, "echo back")), "back");

    let dirs = [sshd.dir().to_owned(), sshd.home().to_owned()];
    drop(sshd);
    assert!(dirs.iter().all(|dir| !Path::exists(dir)));
}
