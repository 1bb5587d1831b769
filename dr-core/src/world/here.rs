//! Commands on this machine, as [`super::Shell`] runs them on a host.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::{Control, Output};
use crate::error::{Error, Result};

/// As from a host: so much of what a command prints is kept.
const STDOUT_MAX_BYTES: u64 = 1 << 20;
const STDERR_MAX_BYTES: u64 = 64 << 10;

/// Runs a command line in a POSIX shell, without input. Whoever cancels ends it.
pub(crate) async fn run(command: &str, control: &Control) -> Result<Output> {
    let operation = "run a command on this machine";
    let failed = |why| Error::io(operation, why);
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    control
        .run(operation, async {
            let (stdout, stderr) =
                tokio::join!(kept(stdout, STDOUT_MAX_BYTES), kept(stderr, STDERR_MAX_BYTES));
            let status = child.wait().await.map_err(failed)?;
            let status = status.code().and_then(|code| u32::try_from(code).ok());
            Ok(Output { status, stdout: stdout.map_err(failed)?, stderr: stderr.map_err(failed)? })
        })
        .await
}

/// The beginning of what comes; the rest is read too, so that nobody waits for a reader.
async fn kept(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut begun = vec![];
    let Some(mut pipe) = pipe else { return Ok(begun) };
    (&mut pipe).take(limit).read_to_end(&mut begun).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_says_what_it_says_and_ends_when_it_is_cancelled() {
        let said = run("echo out; echo err >&2; exit 3", &Control::silent()).await.unwrap();
        assert_eq!(
            (said.status, said.stdout.as_slice(), said.stderr.as_slice()),
            (Some(3), &b"out\n"[..], &b"err\n"[..])
        );
        let said = run("head -c 3000000 /dev/zero", &Control::silent()).await.unwrap();
        assert_eq!((said.status, said.stdout.len()), (Some(0), 1 << 20));
        let control = Control::silent();
        let cancel = control.cancel.clone();
        let begun = std::time::Instant::now();
        let (ended, ()) = tokio::join!(run("sleep 60", &control), async { cancel.cancel() });
        assert_eq!(ended.unwrap_err().kind(), crate::ErrorKind::Cancelled);
        assert!(begun.elapsed().as_secs() < 30);
    }
}
