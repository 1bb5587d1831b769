//! A journal that is opened when it is first needed: who only looks leaves no file behind.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use async_trait::async_trait;

use super::SqliteJournal;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::run::{Event, Line, RunId};
use crate::world::{Claim, Journal, RunSummary};

/// A [`SqliteJournal`] that is opened at its first use, and made (with its directory, mode 0700) at its first writing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dr_core::world::{Journal, journal::LateJournal};
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("state/journal.db");
/// let journal = LateJournal::new(path.clone());
/// assert!(journal.runs().await.unwrap().is_empty());
/// assert!(!path.exists(), "looking leaves nothing behind");
/// # });
/// ```
#[derive(Debug)]
pub struct LateJournal {
    path: PathBuf,
    opened: OnceLock<SqliteJournal>,
}

impl LateJournal {
    /// The journal that is, or will be, in this file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, opened: OnceLock::new() }
    }

    /// The journal for writing: made if it is missing.
    async fn open(&self) -> Result<&SqliteJournal> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        if self.path.as_os_str().is_empty() {
            // SQLite takes an empty name for a database that vanishes when it is closed.
            return Err(Error::new(ErrorKind::Usage, "open the journal", "no file is named for it")
                .hint("name one: what changes something is written down first"));
        }
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || {
            make_directory(&path)?;
            SqliteJournal::open(&path)
        });
        let opened = opened
            .await
            .map_err(|why| Error::new(ErrorKind::Internal, "open the journal", why.to_string()))??;
        // Two that opened at once have opened the same file; one of the handles is enough.
        Ok(self.opened.get_or_init(|| opened))
    }

    /// The journal for reading; none if there is none yet.
    async fn existing(&self) -> Result<Option<&SqliteJournal>> {
        if self.opened.get().is_none() && !self.path.exists() {
            return Ok(None);
        }
        self.open().await.map(Some)
    }
}

fn make_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|why| {
        Error::io(format!("make the journal's directory {}", directory.display()), why)
            .hint("name a journal in another place, with --journal on the command line")
    })
}

#[async_trait]
impl Journal for LateJournal {
    async fn begin(&self, run: RunId, plan: &Plan, by: &str) -> Result<Line> {
        self.open().await?.begin(run, plan, by).await
    }

    async fn append(&self, run: RunId, event: &Event) -> Result<Line> {
        self.open().await?.append(run, event).await
    }

    async fn load(&self, run: RunId) -> Result<(Plan, Vec<Line>)> {
        match self.existing().await? {
            Some(journal) => journal.load(run).await,
            None => {
                Err(Error::new(ErrorKind::NotFound, format!("load run {run}"), "there is no journal yet")
                    .hint(format!("it would be {}", self.path.display())))
            }
        }
    }

    async fn runs(&self) -> Result<Vec<RunSummary>> {
        match self.existing().await? {
            Some(journal) => journal.runs().await,
            None => Ok(vec![]),
        }
    }

    async fn claim(&self, run: RunId) -> Result<Box<dyn Claim>> {
        self.open().await?.claim(run).await
    }
}
