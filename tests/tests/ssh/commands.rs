//! Commands on a host: output, status, limits, cancellation.

use super::*;
use dr_core::world::Shell as _;

#[tokio::test]
async fn output_status_and_signals_come_back() {
    let (sshd, _desk, access) = at_home();
    let (shell, there, control) = (shell(access), remote(&sshd), Control::silent());
    let cases: [(&str, Option<u32>, &str, &str); 5] = [
        ("echo out; echo err >&2; exit 7", Some(7), "out\n", "err\n"),
        ("true", Some(0), "", ""),
        ("kill -KILL $$", None, "", ""),
        ("cat", Some(0), "", ""),
        ("no-such-command 2>/dev/null", Some(127), "", ""),
    ];
    for (command, status, stdout, stderr) in cases {
        let said = shell.run(&there, command, &control).await.unwrap();
        assert_eq!(said.status, status, "{command}");
        assert_eq!(String::from_utf8_lossy(&said.stdout), stdout, "{command}");
        assert_eq!(String::from_utf8_lossy(&said.stderr), stderr, "{command}");
    }
}

#[tokio::test]
async fn more_output_than_is_kept_is_read_to_its_end() {
    let (sshd, _desk, access) = at_home();
    let command = "head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
    let said = shell(access).run(&remote(&sshd), command, &Control::silent()).await.unwrap();
    assert_eq!((said.status, said.stdout.len(), said.stderr.len()), (Some(3), 1 << 20, 64 << 10));
}

#[tokio::test]
async fn many_commands_share_one_connection() {
    let (sshd, _desk, access) = at_home();
    let shell = Arc::new(shell(access));
    let there = remote(&sshd);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (shell, there) = (Arc::clone(&shell), there.clone());
            tokio::spawn(
                async move { shell.run(&there, &format!("echo {number}"), &Control::silent()).await },
            )
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().stdout, format!("{number}\n").into_bytes());
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn cancelling_ends_the_command() {
    let (sshd, _desk, access) = at_home();
    let shell = Arc::new(shell(access));
    let (control, there, mark) = (Control::silent(), remote(&sshd), sshd.home().join("begun"));
    // sshd signals nothing for root; a command that says something finds that nobody listens any more.
    let talk = "while echo talk; do sleep 0.02; done";
    let command = format!("echo $$ > {0}.new && mv {0}.new {0} && {talk}", mark.display());
    let task = {
        let (shell, there, control) = (Arc::clone(&shell), there.clone(), control.clone());
        tokio::spawn(async move { shell.run(&there, &command, &control).await })
    };
    eventually("the command to begin", || mark.exists()).await;
    let process: u32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
    control.cancel.cancel();
    fails(task.await.unwrap(), ErrorKind::Cancelled, &[]);
    eventually("the command to end", || !dr_tests::is_running(process)).await;
    let said = shell.run(&there, "echo still here", &Control::silent()).await.unwrap();
    assert_eq!(said.stdout, b"still here\n");
}

#[tokio::test]
async fn a_connection_lost_while_a_command_runs_is_of_unknown_outcome() {
    let (sshd, _desk, access) = at_home();
    let (shell, there, mark) = (Arc::new(shell(access)), remote(&sshd), sshd.home().join("begun"));
    let command = format!("touch {}; exec sleep 600", mark.display());
    let task = tokio::spawn(async move { shell.run(&there, &command, &Control::silent()).await });
    eventually("the command to begin", || mark.exists()).await;
    sshd.kill9();
    fails(task.await.unwrap(), ErrorKind::OutcomeUnknown, &["look at the host"]);
}

#[tokio::test]
async fn a_key_that_may_run_nothing_is_told_so() {
    let (sshd, desk, mut access) = at_home();
    let key = desk.key("forced", &[]);
    sshd.authorize(&format!("restrict,command=\"echo forced\" {}", public(&key)));
    access.identities = vec![key];
    let said = shell(access).run(&remote(&sshd), "echo mine", &Control::silent()).await.unwrap();
    assert_eq!(said.stdout, b"forced\n");
}
