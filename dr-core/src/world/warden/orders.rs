//! Orders: taken over a socket, kept in files, handed to the posts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::post::{Ordered, Stands, keep};
use super::{Ask, Charge, LINE_BYTES_MAX, Said, State, send, socket};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::SiteId;
use crate::world::Cancel;

/// An order as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Since which start of the machine its clock counts.
    boot: String,
    serve: bool,
    charge: Charge,
}

struct Post {
    orders: watch::Sender<Ordered>,
    stands: watch::Receiver<Stands>,
}

struct Posts {
    directory: PathBuf,
    boot: String,
    posts: Mutex<BTreeMap<SiteId, Post>>,
}

/// Is the warden of this directory until it is cancelled; then it stops every service whose time would end, because nobody else
/// would.
///
/// Errors: `Locked` if there is one already, and what the file system says.
pub async fn watch_over(directory: &Path, cancel: &Cancel) -> Result<()> {
    let failed = |why| Error::io(format!("watch over services in {}", directory.display()), why);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory.join("warden")).map_err(failed)?;
    let _lock = alone(&directory.join("warden.lock"))?;
    let at = socket(directory);
    if at.exists() {
        fs::remove_file(&at).map_err(failed)?;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(failed)?.trim().to_owned();
    let posts = Arc::new(Posts { directory: directory.join("warden"), boot, posts: Mutex::default() });
    posts.take_up().map_err(failed)?;
    let listener = UnixListener::bind(&at).map_err(failed)?;
    fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    loop {
        let stream = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted.map_err(failed)?.0,
        };
        let posts = posts.clone();
        tokio::spawn(async move {
            // Whoever asked may be gone.
            let _ = posts.answer(stream).await;
        });
    }
    posts.stop_all().await;
    Ok(())
}

/// The lock of a directory: one process only.
pub(crate) fn alone(path: &Path) -> Result<fs::File> {
    let operation = || format!("be alone in {}", path.display());
    let file = fs::File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|why| Error::io(operation(), why))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Error::new(ErrorKind::Locked, operation(), "another process is at it"))?;
    Ok(file)
}

impl Posts {
    /// Goes on with what was ordered before. What began with another start of the machine has ended, and so has what cannot be read.
    fn take_up(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let Ok(kept) = serde_json::from_slice::<Kept>(&fs::read(entry?.path())?) else { continue };
            let holds = kept.boot == self.boot || kept.charge.until.is_none();
            self.order(kept.charge, kept.serve && holds);
        }
        Ok(())
    }

    fn order(&self, charge: Charge, serve: bool) -> (u64, watch::Receiver<Stands>) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let site = charge.site.clone();
        if let Some(post) = posts.get(&site) {
            let number = post.orders.borrow().number + 1;
            post.orders.send_replace(Ordered { number, serve, charge });
            return (number, post.stands.clone());
        }
        let (orders, ordered) = watch::channel(Ordered { number: 1, serve, charge });
        let (stand, stands) = watch::channel((0, State::Unknown));
        tokio::spawn(keep(ordered, stand));
        posts.insert(site, Post { orders, stands: stands.clone() });
        (1, stands)
    }

    /// As well as it can be: an order that is not kept has ended when the warden starts anew, and that is safe.
    fn write_down(&self, charge: &Charge, serve: bool) {
        let path = self.directory.join(format!("{}.json", charge.site));
        let (kept, new) =
            (Kept { boot: self.boot.clone(), serve, charge: charge.clone() }, path.with_extension("new"));
        let written = serde_json::to_vec(&kept).map_err(std::io::Error::other).and_then(|bytes| {
            fs::write(&new, bytes)?;
            fs::rename(&new, &path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
    }

    async fn answer(&self, stream: UnixStream) -> std::io::Result<()> {
        let (mut stream, mut line) = (BufReader::new(stream), String::new());
        (&mut stream).take(LINE_BYTES_MAX).read_line(&mut line).await?;
        let said = match serde_json::from_str::<Ask>(&line) {
            Ok(Ask::Serve(charge)) => {
                self.write_down(&charge, true);
                self.order(charge, true);
                Said::Heard
            }
            Ok(Ask::Stop(charge)) => {
                self.write_down(&charge, false);
                let (number, stands) = self.order(charge, false);
                stopped(number, stands).await
            }
            Ok(Ask::States) => {
                let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
                let state = |(site, post): (&SiteId, &Post)| (site.clone(), post.stands.borrow().1.clone());
                Said::States(posts.iter().map(state).collect())
            }
            Err(why) => Said::Failed(format!("no order: {why}")),
        };
        send(&mut stream, &said).await
    }

    async fn stop_all(&self) {
        let ending: Vec<Charge> = {
            let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
            let charges = posts.values().map(|post| post.orders.borrow().charge.clone());
            charges.filter(|charge| charge.until.is_some()).collect()
        };
        let stopping: Vec<_> = ending.into_iter().map(|charge| self.order(charge, false)).collect();
        for (number, stands) in stopping {
            stopped(number, stands).await;
        }
    }
}

/// Waits until an order to stop has been followed, or another has come after it.
async fn stopped(number: u64, mut stands: watch::Receiver<Stands>) -> Said {
    let stood =
        stands.wait_for(|(by, state)| *by > number || *by == number && *state == State::Stopped).await;
    match stood.as_deref() {
        Ok((by, State::Stopped)) if *by == number => Said::Stopped,
        _ => Said::Failed("another order came meanwhile".to_owned()),
    }
}
