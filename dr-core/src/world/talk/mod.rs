//! How agents are talked to: lines over a socket of this machine, and the same lines over SSH to the agent of another.
//!
//! One line is asked, one is answered. An agent listens on no port: its socket is for its own account, and whoever comes from another
//! host comes by SSH, with a key for which sshd starts `dr agent --votes` and nothing else. That passes lines on to the socket, marked
//! as coming from outside.

mod neighbour;
mod relay;

use std::fs;
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

pub use neighbour::Neighbour;
pub use relay::relay_votes;

use crate::error::{Error, ErrorKind, Result};
use crate::world::Cancel;

/// The longest line either side may say: the votes of a thousand sites.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// So many may be talked to at once; others wait.
const TALKS_MAX: usize = 64;
/// Who asks nothing for so long is not listened to any more.
const SILENT_MAX: Duration = Duration::from_secs(600);

/// Who asks.
///
/// ```
/// use dr_core::world::talk::From;
/// assert_ne!(From::Here, From::Outside);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Somebody of this account on this machine.
    Here,
    /// Somebody who came by SSH, for votes only.
    Outside,
}

/// What answers.
pub type Answer = Pin<Box<dyn Future<Output = String> + Send>>;
/// How questions are answered.
pub type Answering = Arc<dyn Fn(From, String) -> Answer + Send + Sync>;

/// What a line begins with that came from outside.
const OUTSIDE: &str = "outside ";

/// The socket of the agent in a directory.
fn socket(directory: &Path) -> PathBuf {
    directory.join("agent.sock")
}

/// A socket that is listened to: see [`listen`].
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let directory = tempfile::tempdir().unwrap();
/// let listening = dr_core::world::talk::listen(directory.path()).unwrap();
/// assert!(format!("{listening:?}").starts_with("Listening"));
/// # });
/// ```
#[derive(Debug)]
pub struct Listening {
    listener: UnixListener,
    _lock: fs::File,
}

/// Takes the socket of an agent: one agent a directory.
///
/// Errors: `Locked` if there is an agent already.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use dr_core::world::{Cancel, talk};
/// let directory = tempfile::tempdir().unwrap();
/// let listening = talk::listen(directory.path()).unwrap();
/// assert!(talk::listen(directory.path()).is_err());
/// let shout: talk::Answering = std::sync::Arc::new(|_, line| Box::pin(async move { line.to_uppercase() }));
/// let cancel = Cancel::new();
/// let stop = cancel.clone();
/// let answering = tokio::spawn(async move { listening.answer(shout, &stop).await });
/// assert_eq!(talk::ask(directory.path(), "hello").await.unwrap(), "HELLO");
/// cancel.cancel();
/// answering.await.unwrap();
/// # });
/// ```
pub fn listen(directory: &Path) -> Result<Listening> {
    let failed = |why| Error::io(format!("listen in {}", directory.display()), why);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let lock = super::warden::alone(&directory.join("agent.lock"))?;
    let at = socket(directory);
    if at.exists() {
        fs::remove_file(&at).map_err(failed)?;
    }
    let listener = UnixListener::bind(&at).map_err(failed)?;
    fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(Listening { listener, _lock: lock })
}

impl Listening {
    /// Answers until it is cancelled.
    pub async fn answer(&self, answering: Answering, cancel: &Cancel) {
        let places = Arc::new(Semaphore::new(TALKS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Too many files are open, say: that passes.
                    Err(_) => { tokio::time::sleep(Duration::from_millis(100)).await; continue }
                },
            };
            let answering = answering.clone();
            tokio::spawn(async move {
                let _ = talk(stream, answering).await;
                drop(place);
            });
        }
    }
}

async fn talk(stream: UnixStream, answering: Answering) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let mut limited = (&mut stream).take(LINE_BYTES_MAX);
        let Ok(read) = tokio::time::timeout(SILENT_MAX, limited.read_line(&mut line)).await else {
            return Ok(());
        };
        if read? == 0 || !line.ends_with('\n') {
            return Ok(());
        }
        let (from, asked) = match line.trim_end().strip_prefix(OUTSIDE) {
            Some(asked) => (From::Outside, asked),
            None => (From::Here, line.trim_end()),
        };
        let mut said = answering(from, asked.to_owned()).await;
        said.push('\n');
        stream.write_all(said.as_bytes()).await?;
    }
}

/// Asks the agent in this directory one thing.
///
/// Errors: `NotFound` if no agent runs there.
pub async fn ask(directory: &Path, line: &str) -> Result<String> {
    let operation = "ask the agent of this host";
    let gone = |why: std::io::Error| {
        let said = format!("none answers in {}: {why}", directory.display());
        Error::new(ErrorKind::NotFound, operation, said)
            .hint("start it: dr agent --run; --state-dir names another directory")
    };
    let mut stream = BufReader::new(UnixStream::connect(socket(directory)).await.map_err(gone)?);
    let failed = |why| Error::io(operation, why);
    stream.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
    let mut said = String::new();
    // What it answers may be long: the state of every site.
    (&mut stream).take(64 * LINE_BYTES_MAX).read_line(&mut said).await.map_err(failed)?;
    if said.is_empty() {
        return Err(Error::new(ErrorKind::Io, operation, "it hung up"));
    }
    Ok(said.trim_end().to_owned())
}
