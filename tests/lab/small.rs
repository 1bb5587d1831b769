//! The small SSH servers: dropbear and tinysshd.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::port::Port;
use crate::server::text;
use crate::sshd::{Login, Recipe};

/// What inetd does: a program for each connection, which talks by its standard input and output.
const INETD: &str = "my $s = IO::Socket::INET->new(Listen => 64, LocalAddr => shift, LocalPort => shift, ReuseAddr => 1) or die $@;
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $c = $s->accept or next;
        if (!fork) { $SIG{CHLD} = 'DEFAULT'; open STDIN, '<&', $c; open STDOUT, '>&', $c; close $s; exec @ARGV; exit 1 }
        close $c;
    }";

pub(crate) fn dropbear(port: &Port, dir: &Path) -> Recipe {
    let key = dir.join("host_ed25519");
    let said = said_by("dropbearkey", "dropbear-bin", &["-t", "ed25519", "-f", text(&key)]);
    let line = said.lines().find(|line| line.starts_with("ssh-ed25519 ")).expect("a public key");
    let line: Vec<&str> = line.split(' ').take(2).collect();
    let (at, pid) = (format!("127.0.0.1:{}", port.number()), dir.join("pid"));
    // A small window would make large files slow.
    let command =
        ["/usr/sbin/dropbear", "-F", "-E", "-r", text(&key), "-p", &at, "-P", text(&pid), "-W", "1000000"];
    ("dropbear", "dropbear-bin", vec![line.join(" ")], command.map(str::to_owned).to_vec())
}

pub(crate) fn tinysshd(login: &Login, port: &Port, dir: &Path) -> Recipe {
    let keys = dir.join("keys");
    said_by("tinysshd-makekey", "tinysshd", &["-q", text(&keys)]);
    let line = said_by("tinysshd-printkey", "tinysshd", &[text(&keys)]).trim().to_owned();
    let number = port.number().to_string();
    let mut command = vec![
        "/usr/bin/perl",
        "-MIO::Socket::INET",
        "-e",
        INETD,
        "127.0.0.1",
        &number,
        "/usr/sbin/tinysshd",
        "-v",
    ];
    if login.sftp {
        command.extend(["-x", "sftp=/usr/lib/openssh/sftp-server"]);
    }
    command.push(text(&keys));
    ("tinysshd", "tinysshd", vec![line], command.into_iter().map(str::to_owned).collect())
}

fn said_by(program: &str, package: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|e| panic!("{program}: {e}: apt-get install {package} (./test does it)"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
