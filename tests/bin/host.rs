//! A whole host of the lab, for programs in other languages: `cargo run -p dr-tests --bin host`. Prints where root logs in, its host key, and
//! the directory that is its `/root`; it ends with its input. Prints nothing where a host needs more rights than there are.
//! The passwords are [`SshHost::PASSWORD`].
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::io::Read as _;

use dr_tests::{SshHost, Sshd};

fn main() {
    if !Sshd::has_own_accounts() {
        return;
    }
    let config = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\nUsePAM yes\n\
                  PermitRootLogin yes\nSubsystem sftp internal-sftp\n";
    let host = SshHost::start(config, &[]);
    println!("root@{}\n{}\n{}", host.addr(), host.host_key(), host.file("/root").display());
    // Whoever started it holds the other end.
    let _ = std::io::stdin().read_to_end(&mut vec![]);
}
