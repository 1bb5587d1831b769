//! A host with SSH, for measurements: `ssh_lab KEY.pub` starts one whose accounts `root` and `ann` open by that key, prints in one line each
//! where it listens, its host key, and where ann's authorized_keys is for who measures. It ends with its input.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program")]

use std::io::{Read, Write};

use dr_tests::SshHost;

fn main() {
    let path = std::env::args().nth(1).expect("the file of a public key");
    let key = std::fs::read_to_string(path).expect("a public key");
    let config = "UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100:30:200\n\
                  Subsystem sftp internal-sftp\n";
    let host = SshHost::start(config, &[]);
    host.authorize("root", key.trim());
    host.authorize("ann", key.trim());
    println!(
        "{}\n{}\n{}",
        host.addr(),
        host.host_key(),
        host.file("/home/ann/.ssh/authorized_keys").display()
    );
    // Whoever has gone does not read it.
    let _ = std::io::stdout().flush();
    let _ = std::io::stdin().read_to_end(&mut vec![]);
}
