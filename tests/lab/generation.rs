//! What the sshd that is tested against can do: `DR_TEST_SSHD` may name one that is older, newer, or built without OpenSSL. It is asked.

use std::process::Command;
use std::sync::OnceLock;

use crate::server::{directory, text};
use crate::sshd::{host_key, sshd_program};

/// What sshd says of a configuration (`sshd -T`); none if it does not understand it.
fn says(configuration: &str) -> Option<String> {
    let dir = directory("generation");
    let (file, key) = (dir.path().join("sshd_config"), dir.path().join("host_ed25519"));
    host_key(dir.path(), "ed25519");
    std::fs::write(&file, configuration).expect("a file");
    let mut sshd = Command::new(sshd_program());
    let said = sshd
        .args(["-T", "-f", text(&file), "-h", text(&key), "-C", "user=root,host=x,addr=127.0.0.1"])
        .output();
    let said = said.unwrap_or_else(|e| {
        panic!("{}: {e}: apt-get install openssh-server (./test does it)", sshd_program())
    });
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(
        said.status.success() || err.contains("Bad configuration option"),
        "sshd says nothing of itself: {err}"
    );
    said.status.success().then(|| out.to_lowercase())
}

/// Whether its configuration may be spread over several files (`Include`, since OpenSSH 8.2).
#[must_use]
pub fn sshd_includes() -> bool {
    static INCLUDES: OnceLock<bool> = OnceLock::new();
    *INCLUDES.get_or_init(|| says("Include /dev/null\n").is_some())
}

/// Whether it has host keys of a kind, and takes such keys, as `ssh-keygen -t` has them; a build without OpenSSL knows ed25519 only.
#[must_use]
pub fn sshd_takes(kind: &str) -> bool {
    static SAID: OnceLock<String> = OnceLock::new();
    let said = SAID.get_or_init(|| says("").expect("an empty configuration is one"));
    let name = match kind {
        "rsa" => "rsa-sha2-512",
        "ecdsa" => "ecdsa-sha2-nistp256",
        _ => "ssh-ed25519",
    };
    let mut lines = said.lines().filter(|line| line.starts_with("hostkeyalgorithms "));
    lines.any(|line| line.split([' ', ',']).any(|one| one == name))
}

/// Whether it shuts out addresses from where nobody logs in (`PerSourcePenalties`, since OpenSSH 9.8).
#[must_use]
pub fn sshd_counts_strangers() -> bool {
    static COUNTS: OnceLock<bool> = OnceLock::new();
    *COUNTS.get_or_init(|| says("PerSourcePenalties no\n").is_some())
}

/// Whether it was built with PAM; otherwise `UsePAM` is understood, and without effect.
#[must_use]
pub fn sshd_has_pam() -> bool {
    static PAM: OnceLock<bool> = OnceLock::new();
    *PAM.get_or_init(|| {
        says("UsePAM yes\n").is_some_and(|said| said.lines().any(|line| line == "usepam yes"))
    })
}

/// A configuration as this generation can have it: what it cannot include stands there as a remark, on the same line.
#[must_use]
pub fn understood(configuration: &str) -> String {
    let line = |line: &str| {
        if line.starts_with("Include ") && !sshd_includes() { format!("#{line}") } else { line.to_owned() }
    };
    configuration.split_inclusive('\n').map(line).collect()
}
