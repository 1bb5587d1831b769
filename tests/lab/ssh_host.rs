//! A whole host as far as SSH is concerned: OpenSSH's sshd with an `/etc/ssh`, accounts, passwords and PAM of its own.

use std::fs::{self, Permissions};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::generation::understood;
use crate::port::Port;
use crate::server::{Program, Server, directory, text};
use crate::sshd::{greets, hash, host_key, sshd_in_place};

/// The number of the account `ann`, and of her group.
const ANN: u32 = 42_001;
/// The number of the account `ben`, and of his group.
const BEN: u32 = 42_002;

/// What stands over the real files inside.
const PLACES: &[(&str, &str)] = &[
    ("ssh", "/etc/ssh"),
    ("passwd", "/etc/passwd"),
    ("shadow", "/etc/shadow"),
    ("group", "/etc/group"),
    ("pam", "/etc/pam.d/sshd"),
    ("sudoers", "/etc/sudoers"),
    ("home", "/home"),
    ("root", "/root"),
    ("run", "/run"),
];

/// A host with the accounts `root`, `ann` (who may become root by `sudo -n`) and `ben`, who all have the password [`SshHost::PASSWORD`], in mount and process
/// namespaces of its own: whatever is done there as root stays there. Needs [`crate::Sshd::has_own_accounts`].
pub struct SshHost {
    server: Server,
    host_key: String,
}

impl SshHost {
    /// The password of every account.
    pub const PASSWORD: &'static str = "correct horse";

    /// Starts one with this `/etc/ssh/sshd_config`, as its generation can have it ([`understood`]), and these files in `/etc/ssh/sshd_config.d`.
    #[must_use]
    pub fn start(config: &str, drop_ins: &[(&str, &str)]) -> Self {
        assert!(crate::Sshd::has_own_accounts(), "needs root and the right to make a mount namespace");
        let (port, dir) = (Port::free(), directory("host"));
        let at = dir.path();
        for (name, mode) in [("ssh", 0o755), ("home", 0o755), ("root", 0o700), ("run", 0o755)] {
            make_dir(&at.join(name), mode, 0);
        }
        make_dir(&at.join("ssh/sshd_config.d"), 0o755, 0);
        make_dir(&at.join("run/sshd"), 0o755, 0);
        fs::write(at.join("ssh/sshd_config"), understood(config)).expect("sshd_config");
        for (name, content) in drop_ins {
            fs::write(at.join("ssh/sshd_config.d").join(name), content).expect("a drop-in");
        }
        let host_key = host_key(at, "ed25519");
        for (from, to) in
            [("host_ed25519", "ssh_host_ed25519_key"), ("host_ed25519.pub", "ssh_host_ed25519_key.pub")]
        {
            fs::rename(at.join(from), at.join("ssh").join(to)).expect("a host key");
        }
        accounts(at);
        let arguments = arguments(at, &port);
        let program =
            Program { path: "/usr/bin/unshare".into(), package: "util-linux", arguments, answers: greets };
        Self { server: Server::start("host", program, port, dir), host_key }
    }

    /// Its host key as a line: `ssh-ed25519 AAAA...`.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// Where a file of the host is for the tests: `/etc/ssh`, `/home`, `/root` and `/run` are its own.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        let place = PLACES.iter().find_map(|(name, place)| Some((name, path.strip_prefix(place)?)));
        let (name, below) = place.unwrap_or_else(|| panic!("{path} is not the host's own"));
        self.dir().join(name).join(below.trim_start_matches('/'))
    }

    /// Lets a key into an account: one more line in its authorized_keys.
    pub fn authorize(&self, account: &str, line: &str) {
        let home = if account == "root" { "/root".to_owned() } else { format!("/home/{account}") };
        let uid = match account {
            "root" => 0,
            "ann" => ANN,
            _ => BEN,
        };
        let ssh = self.file(&format!("{home}/.ssh"));
        if !ssh.exists() {
            make_dir(&ssh, 0o700, uid);
        }
        let path = ssh.join("authorized_keys");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{before}{}\n", line.trim_end())).expect("a key file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        std::os::unix::fs::chown(&path, Some(uid), Some(uid)).expect("an owner");
    }
}

impl Deref for SshHost {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn make_dir(path: &Path, mode: u32, uid: u32) {
    fs::create_dir(path).expect("a directory");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).expect("an owner");
}

fn accounts(at: &Path) {
    let real = fs::read_to_string("/etc/passwd").expect("accounts");
    let sshd = real
        .lines()
        .find(|line| line.starts_with("sshd:"))
        .unwrap_or("sshd:x:100:65534::/run/sshd:/usr/sbin/nologin");
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\nann:x:{ANN}:{ANN}::/home/ann:/bin/sh\nben:x:{BEN}:{BEN}::/home/ben:/bin/sh\n\
         nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n{sshd}\n"
    );
    let hash = hash(SshHost::PASSWORD);
    let shadow: String =
        ["root", "ann", "ben"].iter().map(|name| format!("{name}:{hash}:19000:0:99999:7:::\n")).collect();
    let pam = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_unix.so\n";
    let group = format!("root:x:0:\nann:x:{ANN}:\nben:x:{BEN}:\nnogroup:x:65534:\n");
    for (name, content, mode) in [
        ("passwd", passwd, 0o644),
        ("shadow", shadow, 0o600),
        ("group", group, 0o644),
        ("pam", pam.to_owned(), 0o644),
        ("sudoers", "root ALL=(ALL) ALL\nann ALL=(ALL) NOPASSWD: ALL\n".to_owned(), 0o440),
    ] {
        fs::write(at.join(name), content).expect("a file");
        fs::set_permissions(at.join(name), Permissions::from_mode(mode)).expect("a mode");
    }
    make_dir(&at.join("home/ann"), 0o755, ANN);
    make_dir(&at.join("home/ben"), 0o755, BEN);
}

fn arguments(at: &Path, port: &Port) -> Vec<String> {
    let mounts: String = PLACES
        .iter()
        .map(|(name, place)| format!("mount --bind '{}/{name}' {place} && ", text(at)))
        .collect();
    let script = format!(
        "{}{mounts}exec /usr/sbin/sshd -D -e -o ListenAddress=127.0.0.1:{} -o LogLevel=VERBOSE",
        sshd_in_place(),
        port.number()
    );
    let namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c"];
    namespaces.map(str::to_owned).into_iter().chain([script]).collect()
}
