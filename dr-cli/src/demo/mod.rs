//! `dr demo`: the whole promise shown once, on loopback, without root, network or anything installed.
//!
//! Two hosts, six name servers and three observers run as processes of their own and speak the real protocols; everything that
//! is done to them goes through the same library calls as on real servers. Whoever kills one of the processes in the middle
//! finds that explained.

mod decider;
pub mod embedded;
mod observer;
mod scene;
mod story;
mod timeline;
mod visitors;
mod website;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dr_core::{Error, ErrorKind, Result};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::args;
use crate::console::Console;
use embedded::process::{self, Exit};
use embedded::{host, nameserver};

/// A process of the demo: host, nameserver or observer.
pub(crate) async fn process(what: &str) -> u8 {
    let output = std::io::stdout();
    let served = match what {
        "host" => process::serve::<host::Options>(output).await,
        "nameserver" => process::serve::<nameserver::Options>(output).await,
        "observer" => process::serve::<observer::Options>(output).await,
        _ => Err(std::io::Error::other("dr demo starts its processes itself")),
    };
    match served {
        Ok(()) => 0,
        Err(why) => {
            crate::console::tell(&why.to_string());
            ErrorKind::Io.code()
        }
    }
}

/// How long the demo's directory may resist its removal.
const CLEARED_WITHIN: Duration = Duration::from_secs(2);

/// How long it must have been gone to be taken for gone.
const GONE_FOR: Duration = Duration::from_millis(50);

/// Shows it.
pub(crate) async fn run(console: &Console, words: args::Demo) -> Result<u8> {
    let control = console.control();
    if let Some(record) = &words.record {
        std::fs::create_dir_all(record).map_err(|why| {
            Error::io(format!("make the directory {}", record.display()), why)
                .hint("name another with --record")
        })?;
    }
    let directory = tempfile::Builder::new()
        .prefix("dr-demo-")
        .tempdir()
        .map_err(|why| Error::io("make a directory for the demo", why).hint("TMPDIR names another place"))?;
    let (ends_to, ends) = mpsc::unbounded_channel();
    let deaths = watch_for_deaths(console, ends);
    let told = story::tell(console, &control, &words, directory.path(), ends_to).await;
    // The watch is over when the last process has ended: only then can its directory go.
    let lost = deaths.await.unwrap_or_default();
    let recorded = words.record.as_deref().map_or(Ok(()), |record| keep(directory.path(), record));
    let cleared = clear(directory).await;
    let code = match told {
        Ok(code) => code,
        // What fails once it is being stopped fails because of that.
        Err(_) if control.cancel.is_cancelled() => {
            return Err(Error::new(ErrorKind::Cancelled, "show the demo", "it was stopped")
                .hint("nothing is left running; start it again when you like"));
        }
        Err(error) => return Err(explained(error, &lost)),
    };
    recorded.and(cleared)?;
    for exit in &lost {
        console.story(&format!("{exit}: what it did is missing from the story above"));
    }
    Ok(if lost.is_empty() { code } else { code.max(1) })
}

/// Removes the demo's directory. Work that was cut off by Ctrl-C may still put a file there for a moment.
async fn clear(directory: TempDir) -> Result<()> {
    let path = directory.path().to_path_buf();
    drop(directory);
    let begun = Instant::now();
    let mut gone_since = begun;
    while gone_since.elapsed() < GONE_FOR {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if path.exists() {
            gone_since = Instant::now();
            let removed = std::fs::remove_dir_all(&path);
            if let (Err(why), true) = (removed, begun.elapsed() > CLEARED_WITHIN) {
                return Err(Error::io(format!("remove {}", path.display()), why));
            }
        }
    }
    Ok(())
}

/// An error is told together with the deaths that may be behind it.
fn explained(error: Error, lost: &[Exit]) -> Error {
    if lost.is_empty() {
        return error;
    }
    let deaths: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let record = error.to_record();
    Error::new(record.kind, record.operation, format!("{} (and {})", record.message, deaths.join("; ")))
        .hint("run dr demo again and leave its processes alone")
}

/// Keeps what is worth keeping: the journal, the estate, the memo and the logs; never the keys.
fn keep(from: &Path, to: &Path) -> Result<()> {
    let copy = |source: PathBuf, target: PathBuf| {
        std::fs::copy(&source, &target)
            .map(drop)
            .map_err(|why| Error::io(format!("keep {} in {}", source.display(), to.display()), why))
    };
    for name in ["journal.db", "journal.db-wal", "dr.toml", "memo.md", "memo.html", "timeline.json"] {
        if from.join(name).exists() {
            copy(from.join(name), to.join(name))?;
        }
    }
    let logs = to.join("logs");
    std::fs::create_dir_all(&logs).map_err(|why| Error::io(format!("make {}", logs.display()), why))?;
    for log in std::fs::read_dir(from.join("logs")).into_iter().flatten().flatten() {
        copy(log.path(), logs.join(log.file_name()))?;
    }
    Ok(())
}

/// Says at once when a process ends without having been asked to. Done, with all of these, when no process is left.
fn watch_for_deaths(
    console: &Console,
    mut ends: mpsc::UnboundedReceiver<Exit>,
) -> tokio::task::JoinHandle<Vec<Exit>> {
    let console = console.clone();
    tokio::spawn(async move {
        let mut lost = vec![];
        while let Some(exit) = ends.recv().await {
            if !exit.asked {
                console.story(&timeline::folded("          !!", &exit.to_string()));
                lost.push(exit);
            }
        }
        lost
    })
}
