//! A command that is run for everything that people are told: it finds it as a line of JSON on its standard input.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::Told;
use crate::estate::SiteId;
use crate::toolkit::seats::News;

/// So much may wait to be told. What comes while it is full is in the history only: a seat never waits for a command.
const QUEUE: usize = 256;
/// How long one telling may take.
const WITHIN: Duration = Duration::from_secs(30);

/// Where news is put.
pub(super) struct Bell {
    queue: Option<mpsc::Sender<Told>>,
    /// What was told last of each site: the same trouble is told once.
    last: Mutex<BTreeMap<SiteId, News>>,
}

impl Bell {
    /// Rings by this command; by none, nobody hears it.
    pub(super) fn new(command: Vec<String>) -> Self {
        if command.is_empty() {
            return Self { queue: None, last: Mutex::default() };
        }
        let (queue, told) = mpsc::channel(QUEUE);
        tokio::spawn(ring(command, told));
        Self { queue: Some(queue), last: Mutex::default() }
    }

    pub(super) fn tell(&self, told: Told) {
        let Some(queue) = &self.queue else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.insert(told.site.clone(), told.news.clone()).as_ref() != Some(&told.news) {
            let _ = queue.try_send(told);
        }
    }
}

async fn ring(command: Vec<String>, mut queue: mpsc::Receiver<Told>) {
    while let Some(told) = queue.recv().await {
        // A command that fails has nobody else to tell.
        let _ = tokio::time::timeout(WITHIN, once(&command, &told)).await;
    }
}

async fn once(command: &[String], told: &Told) -> std::io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut line = serde_json::to_vec(told).map_err(std::io::Error::other)?;
    line.push(b'\n');
    let mut child = Command::new(program)
        .args(arguments)
        .env("DR_SITE", told.site.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&line).await?;
    }
    child.wait().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn people_hear_each_thing_once_and_a_command_that_hangs_holds_up_nobody() {
        let here = tempfile::tempdir().unwrap();
        let heard = here.path().join("heard");
        let script = format!("cat >> {0}; echo $DR_SITE >> {0}", heard.display());
        let bell = Bell::new(vec!["/bin/sh".into(), "-c".into(), script]);
        let told = |why: &str| Told {
            at: Default::default(),
            site: "shop".parse().unwrap(),
            news: News::Trouble { doing: "ask".into(), why: why.into() },
        };
        for why in ["one", "one", "two"] {
            bell.tell(told(why));
        }
        for _ in 0..1000 {
            if std::fs::read_to_string(&heard).is_ok_and(|text| text.lines().count() >= 4) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let text = std::fs::read_to_string(&heard).unwrap();
        assert_eq!(text.matches("\"one\"").count(), 1, "{text}");
        assert_eq!(text.lines().last(), Some("shop"));
        let hangs = Bell::new(vec!["/bin/sleep".into(), "600".into()]);
        for number in 0..QUEUE * 2 {
            hangs.tell(told(&number.to_string()));
        }
    }
}
