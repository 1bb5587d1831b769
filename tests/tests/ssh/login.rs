//! Logging in: with what, and what is said when it fails.

use super::*;
use dr_core::world::Shell as _;

#[tokio::test]
async fn a_key_logs_in_and_runs_a_command() {
    let (sshd, _desk, access) = at_home();
    let shell = shell(access);
    let said = shell.run(&remote(&sshd), "echo out; echo err >&2; exit 7", &Control::silent()).await.unwrap();
    assert_eq!(
        (said.status, said.stdout.as_slice(), said.stderr.as_slice()),
        (Some(7), &b"out\n"[..], &b"err\n"[..])
    );
}
