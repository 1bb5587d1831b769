//! What hosts refuse in ways of their own: each is told from all others, and says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::audit::{access_to, account};
use super::*;
use dr_core::Secret;
use dr_core::world::{Shell as _, Swap};
use dr_tests::{Login, SshHost};

/// OpenSSH 9.8 and later hang up on addresses that earned it before they say who they are, or say that, and hang up.
#[tokio::test]
async fn whoever_is_hung_up_on_at_once_is_told_of_penalties() {
    for greeting in [&b""[..], b"Not allowed at this time\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there: Remote = format!("ssh://root@{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(greeting).unwrap();
        });
        let refused = log_in(Access::default(), &there).await;
        server.join().unwrap();
        fails(refused, ErrorKind::Unreachable, &["PerSourcePenalties"]);
    }
}

#[tokio::test]
async fn a_host_with_nothing_but_old_ciphers_is_explained() {
    if !dr_tests::sshd_takes("rsa") {
        // A build without OpenSSL has no old ciphers at all.
        return log_in_at_home().await;
    }
    let lines = vec!["Ciphers aes128-cbc".to_owned()];
    let (sshd, _desk, access) = at_home_with(&Login { lines, ..Login::default() });
    let words = ["no Cipher algorithm in common", "aes128-cbc", "update sshd there"];
    fails(log_in(access, &remote(&sshd)).await, ErrorKind::Unsupported, &words);
}

async fn log_in_at_home() {
    let (sshd, _desk, access) = at_home();
    log_in(access, &remote(&sshd)).await.unwrap();
}

#[tokio::test]
async fn a_host_that_wants_a_key_and_a_password_says_so() {
    let lines = vec!["AuthenticationMethods publickey,password".to_owned()];
    let login = Login { lines, password: Some("correct horse".into()), ..Login::default() };
    let (sshd, _desk, mut access) = at_home_with(&login);
    let words = ["accepted, and the host wants more", "it takes password"];
    fails(log_in(access.clone(), &remote(&sshd)).await, ErrorKind::Authentication, &words);
    access.passwords.insert(remote(&sshd), Secret::new("correct horse".into()));
    log_in(access, &remote(&sshd)).await.unwrap();
}

/// A password that travels over a line that is cut was not refused.
#[tokio::test]
async fn a_cut_line_is_never_a_refused_password() {
    let login = Login { password: Some("correct horse".into()), ..Login::default() };
    let (sshd, desk) = (Sshd::with(&login), Desk::new());
    let with = |relay: &Relay| {
        let mut access = relay.access(&access(&sshd, &desk.path("none")));
        access.passwords.insert(relay.remote(&sshd), Secret::new("correct horse".into()));
        access
    };
    let whole = {
        let relay = Relay::start(sshd.addr(), Way::Down, usize::MAX);
        log_in(with(&relay), &relay.remote(&sshd)).await.unwrap();
        relay.carried()
    };
    let mut after = whole.saturating_sub(700);
    while after < whole {
        let relay = Relay::start(sshd.addr(), Way::Down, after);
        if let Err(error) = log_in(with(&relay), &relay.remote(&sshd)).await {
            let cut = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Protocol);
            assert!(cut, "after {after} of {whole} bytes: {error:?}");
        }
        after += 29;
    }
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_key_file_is_named() {
    let host =
        SshHost::start("UsePAM no\nSubsystem sftp internal-sftp\nAuthorizedKeysFile /root/keys/%u\n", &[]);
    let desk = Desk::new();
    let mine = desk.key("mine", &[]);
    fs::create_dir(host.file("/root/keys")).unwrap();
    fs::set_permissions(host.file("/root"), fs::Permissions::from_mode(0o755)).unwrap();
    for user in ["root", "ann"] {
        fs::write(host.file("/root/keys").join(user), format!("{}\n", public(&mine))).unwrap();
    }
    let (shell, ann) = (shell(access_to(&host, &mine)), account(&host, "ann"));
    let write =
        async || shell.replace_file(&ann, ".ssh/authorized_keys", Swap::new(None, Some(b"x"), 0o600)).await;
    // A file where the directory should be; then a directory of root's, as `sudo mkdir` makes it.
    fs::write(host.file("/home/ann/.ssh"), "").unwrap();
    fails(write().await, ErrorKind::Refused, &["/home/ann/.ssh is no directory"]);
    fs::remove_file(host.file("/home/ann/.ssh")).unwrap();
    fs::create_dir(host.file("/home/ann/.ssh")).unwrap();
    for mode in [0o755, 0o700] {
        fs::set_permissions(host.file("/home/ann/.ssh"), fs::Permissions::from_mode(mode)).unwrap();
        fails(write().await, ErrorKind::PermissionDenied, &["denied"]);
    }
    assert_eq!(fs::read_dir(host.file("/home/ann/.ssh")).unwrap().count(), 0);
}

/// A file system of 16 KiB, gone when dropped.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_or_read_only_keeps_the_old_file() {
    if !Sshd::has_own_accounts() {
        return log_in_at_home().await;
    }
    for sftp in [true, false] {
        let desk = Desk::new();
        let disk = SmallDisk(desk.path("disk"));
        fs::create_dir(&disk.0).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "dr-test"]).arg(&disk.0));
        let old = vec![b'o'; 6000];
        fs::write(disk.0.join("file"), &old).unwrap();
        // What sshd sees of mounts is from when it was started.
        let (sshd, _other, access) = at_home_with(&Login { sftp, ..Login::default() });
        let (shell, there) = (shell(access), remote(&sshd));
        let path = disk.0.join("file").display().to_string();
        let large = vec![b'n'; 60_000];
        let full =
            shell.replace_file(&there, &path, Swap::new(Some(&old), Some(&large), 0o600)).await.unwrap_err();
        assert!(matches!(full.kind(), ErrorKind::Io | ErrorKind::NoSpace), "{full:?}");
        let said = format!("{full:?}").to_lowercase();
        assert!(said.contains("its disk may be full") || said.contains("no space"), "{full:?}");
        assert_eq!(fs::read(disk.0.join("file")).unwrap(), old);
        assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1, "nothing lies about");
        shell.replace_file(&there, &path, Swap::new(Some(&old), Some(b"small"), 0o600)).await.unwrap();
    }
    // Remounted read-only before the server starts: it sees it so.
    let desk = Desk::new();
    let disk = SmallDisk(desk.path("disk"));
    fs::create_dir(&disk.0).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "dr-test"]).arg(&disk.0));
    fs::write(disk.0.join("file"), "old").unwrap();
    run(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0));
    let path = disk.0.join("file").display().to_string();
    for sftp in [true, false] {
        let (sshd, _other, access) = at_home_with(&Login { sftp, ..Login::default() });
        let set = Swap::new(Some(b"old"), Some(b"new"), 0o600);
        let refused = shell(access).replace_file(&remote(&sshd), &path, set).await.unwrap_err();
        let said = format!("{refused:?}").to_lowercase();
        assert!(said.contains("read-only"), "{refused:?}");
        assert_eq!(fs::read(disk.0.join("file")).unwrap(), b"old");
    }
}
