//! A command that starts or stops services.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::Charge;

/// So much of what a failed command said is told.
const SAID_BYTES_MAX: u64 = 2000;

/// A command under way, with everything that it has started and that has not left it. Dropped, all of it is killed.
pub(super) struct Hook {
    child: Child,
    name: String,
}

impl Hook {
    pub(super) fn begin(line: &[String], charge: &Charge) -> Result<Self, String> {
        let (program, arguments) = line.split_first().ok_or("no command is given")?;
        let child = Command::new(program)
            .args(arguments)
            .env("DR_SITE", charge.site.as_str())
            .env("DR_EPOCH", charge.epoch.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| format!("{program}: {why}"))?;
        Ok(Self { child, name: program.clone() })
    }

    /// Waits for its end: fine, or what it said.
    pub(super) async fn ended(&mut self) -> Result<(), String> {
        let status = self.child.wait().await.map_err(|why| format!("{}: {why}", self.name))?;
        if status.success() {
            return Ok(());
        }
        let mut said = vec![];
        if let Some(errors) = self.child.stderr.take() {
            // What it started may still hold the other end.
            let mut errors = errors.take(SAID_BYTES_MAX);
            let _ = tokio::time::timeout(Duration::from_millis(100), errors.read_to_end(&mut said)).await;
        }
        Err(format!("{} ended with {status}: {}", self.name, String::from_utf8_lossy(&said).trim()))
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command to its end, or until the time is over.
pub(super) async fn run(line: &[String], charge: &Charge, within: Duration) -> Result<(), String> {
    let mut hook = Hook::begin(line, charge)?;
    match tokio::time::timeout(within, hook.ended()).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("{} has not ended in {} ms", hook.name, within.as_millis())),
    }
}

/// Stops the services: as asked, and by force in the second half of the time.
pub(super) async fn stop(charge: &Charge) -> Result<(), String> {
    let half = charge.within.as_duration() / 2;
    let asked = run(&charge.services.stop, charge, half).await;
    match asked {
        Err(why) if !charge.services.kill.is_empty() => {
            let forced = run(&charge.services.kill, charge, half).await;
            forced.map_err(|also| format!("{why}; {also}"))
        }
        asked => asked,
    }
}
