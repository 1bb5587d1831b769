//! What a host in memory cannot be asked for over the wire: locks of others, in their own time, and files that read back otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::super::files::Facts;
use super::*;

/// A host with one directory of files; what becomes of a rename may be changed, and everything may take its time.
#[derive(Clone, Default)]
struct Host {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    renames: Renames,
    pace: Duration,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Renames {
    #[default]
    Done,
    /// Somebody who knows of no locks writes at once.
    Overwritten,
    /// There is no atomic one.
    Unknown,
    /// Done, and the line is cut.
    Lost,
}

const FILE: &str = "/home/ann/.ssh/authorized_keys";
const LOCK: &str = "/home/ann/.ssh/authorized_keys.dr-lock";

impl Host {
    fn with(content: &str) -> Self {
        let host = Self::default();
        host.put(FILE, content);
        host
    }

    fn put(&self, path: &str, content: &str) {
        self.files.lock().unwrap().insert(path.to_owned(), content.into());
    }

    fn drop_file(&self, path: &str) {
        self.files.lock().unwrap().remove(path);
    }

    /// Every file, as text.
    fn all(&self) -> Vec<(String, String)> {
        let files = self.files.lock().unwrap();
        files.iter().map(|(path, bytes)| (path.clone(), String::from_utf8(bytes.clone()).unwrap())).collect()
    }

    /// Brings the file from "old" to "new".
    async fn set(&self) -> Result<()> {
        replace(self, ".ssh/authorized_keys", Swap::new(Some(b"old"), Some(b"new"), 0o644)).await
    }
}

#[async_trait]
impl Files for Host {
    fn operation(&self) -> &str {
        "replace a file"
    }
    async fn home(&self) -> Result<String> {
        Ok("/home/ann".into())
    }
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        sleep(self.pace).await;
        Ok(self.files.lock().unwrap().get(path).cloned())
    }
    async fn create(&self, path: &str, content: &[u8], _: u32) -> Result<()> {
        sleep(self.pace).await;
        let mut files = self.files.lock().unwrap();
        if files.contains_key(path) {
            return Err(self.failure(ErrorKind::Io, "failure"));
        }
        files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }
    async fn rename_over(&self, from: &str, to: &str) -> Result<()> {
        if self.renames == Renames::Unknown {
            return Err(self.failure(ErrorKind::Unsupported, "it cannot replace a file atomically"));
        }
        let mut files = self.files.lock().unwrap();
        let content = files.remove(from).unwrap();
        let content = if self.renames == Renames::Overwritten { b"theirs".to_vec() } else { content };
        files.insert(to.to_owned(), content);
        match self.renames {
            Renames::Lost => Err(self.failure(ErrorKind::Unreachable, "the connection was lost")),
            _ => Ok(()),
        }
    }
    async fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        let mut files = self.files.lock().unwrap();
        let content = files.remove(from).ok_or_else(|| self.failure(ErrorKind::NotFound, "none"))?;
        files.insert(to.to_owned(), content);
        Ok(())
    }
    async fn remove(&self, path: &str) -> Result<()> {
        self.drop_file(path);
        Ok(())
    }
    async fn make_dir(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn kind_of(&self, path: &str) -> Result<Option<Kind>> {
        let file = self.files.lock().unwrap().contains_key(path).then_some(Kind::File);
        Ok(if path.ends_with(".ssh") { Some(Kind::Directory) } else { file })
    }
    async fn facts(&self, _: &str) -> Result<Option<Facts>> {
        Ok(None)
    }
    async fn set_mode(&self, _: &str, _: u32) -> Result<()> {
        Ok(())
    }
    async fn set_owner(&self, _: &str, _: u32, _: u32) -> Result<()> {
        Ok(())
    }
    async fn real_path(&self, path: &str) -> Result<String> {
        Ok(path.to_owned())
    }
}

impl Host {
    fn failure(&self, kind: ErrorKind, why: &str) -> Error {
        Error::new(kind, self.operation(), why)
    }
}

fn pair(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

/// The holder died: its lock, and what it left behind, go when no holder could still be at work.
#[tokio::test(start_paused = true)]
async fn a_lock_whose_holder_died_is_broken_and_swept() {
    let host = Host::with("old");
    let left = format!("{FILE}.dr-00112233aabbccdd");
    host.put(LOCK, "00112233aabbccdd");
    host.put(&left, "half of someth");
    let began = Instant::now();
    host.set().await.unwrap();
    assert!(began.elapsed() > STALE && began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(host.all(), [pair(FILE, "new")]);
    // What stands in a lock is never taken for a path.
    let host = Host::with("old");
    host.put(LOCK, "../../etc/passwd");
    host.put(&format!("{FILE}.dr-../../etc/passwd"), "theirs");
    host.set().await.unwrap();
    assert_eq!(host.all(), [pair(FILE, "new"), pair(&format!("{FILE}.dr-../../etc/passwd"), "theirs")]);
}

/// Others who take turns for longer than anybody waits: nothing is changed, their lock stays, and the error names it.
#[tokio::test(start_paused = true)]
async fn a_lock_of_others_that_lives_is_respected_and_named() {
    let host = Host::with("old");
    let others = host.clone();
    let busy = tokio::spawn(async move {
        for turn in 0_u64.. {
            others.put(LOCK, &format!("{turn:016x}"));
            sleep(Duration::from_secs(9)).await;
        }
    });
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let error = host.set().await.unwrap_err();
    assert!(began.elapsed() >= PATIENCE && began.elapsed() < PATIENCE + STALE, "{:?}", began.elapsed());
    busy.abort();
    assert_eq!((error.kind(), error.kind().retry()), (ErrorKind::Locked, crate::error::Retry::Later));
    assert!(error.message().contains(&format!("others kept {LOCK} for 60 s")), "{error:?}");
    assert!(error.advice().is_some_and(|hint| hint.contains("another dr is at work")), "{error:?}");
    assert_eq!(host.all()[0], pair(FILE, "old"));
    assert_eq!(host.all().len(), 2, "their lock is theirs");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_given_back_is_waited_for() {
    let host = Host::with("old");
    host.put(LOCK, "00112233aabbccdd");
    let other = host.clone();
    let holder = tokio::spawn(async move {
        sleep(Duration::from_secs(8)).await;
        other.drop_file(LOCK);
    });
    let began = Instant::now();
    host.set().await.unwrap();
    holder.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(host.all(), [pair(FILE, "new")]);
}

/// A line so slow that others may think us dead: we stop before anybody could be overwritten.
#[tokio::test(start_paused = true)]
async fn who_is_slower_than_a_lock_lasts_gives_up_and_leaves_nothing() {
    let host = Host { pace: Duration::from_secs(4), ..Host::with("old") };
    let error = host.set().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.advice().is_some_and(|hint| hint.contains("nothing was changed")), "{error:?}");
    assert_eq!(host.all(), [pair(FILE, "old")]);
}

#[tokio::test(start_paused = true)]
async fn what_reads_back_otherwise_is_said_and_not_believed() {
    let cases = [
        (Renames::Overwritten, ErrorKind::OutcomeUnknown, "something else than was written", "theirs"),
        (Renames::Unknown, ErrorKind::Unsupported, "atomically", "old"),
        (Renames::Lost, ErrorKind::OutcomeUnknown, "the connection was lost while", "new"),
    ];
    for (renames, kind, words, after) in cases {
        let host = Host { renames, ..Host::with("old") };
        let error = host.set().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains(words), "{error:?}");
        assert!(kind == ErrorKind::Unsupported || error.advice().is_some(), "{error:?}");
        assert_eq!(host.all()[0], pair(FILE, after));
        assert!(host.all().iter().all(|(path, _)| path != LOCK), "{:?}", host.all());
    }
}
