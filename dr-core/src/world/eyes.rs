//! Changes below a directory of this machine, as the kernel tells them (inotify(7)).
//!
//! It says only that something has changed: what, a scan finds out. So nothing is lost when the kernel's queue overflows, and a new
//! directory may be noticed a moment after things were made in it: they are there when it is scanned.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::mirror::{Filter, RelPath};

const BUFFER_BYTES: usize = 64 << 10;

/// Word of changes in a tree: that there were some, not which. Dropped, nobody looks any more.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use dr_core::world::{Endpoint, endpoints::LocalEndpoint};
/// let here = tempfile::tempdir().unwrap();
/// let tree = LocalEndpoint::open(here.path()).await.unwrap();
/// let mut changes = tree.watch(&[]).await.unwrap().unwrap();
/// std::fs::write(here.path().join("index.html"), "<p>").unwrap();
/// assert!(changes.next().await);
/// # });
/// ```
pub struct Changes {
    /// The kernel watches no more directories for this account: not all changes show.
    pub is_dim: bool,
    told: mpsc::Receiver<()>,
}

/// Who tells of them.
pub(in crate::world) struct Teller(mpsc::Sender<()>);

impl Teller {
    pub(in crate::world) fn tell(&self) {
        // If it was told and not heard yet, that will do.
        let _ = self.0.try_send(());
    }

    /// Waits until nobody listens any more.
    pub(in crate::world) async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Changes {
    pub(in crate::world) fn new(is_dim: bool) -> (Self, Teller) {
        let (tell, told) = mpsc::channel(1);
        (Self { is_dim, told }, Teller(tell))
    }

    /// Changes below a directory of this machine.
    pub(in crate::world) async fn below(root: &Path, exclude: &[String]) -> Result<Self> {
        let mut eyes = Eyes::open(root, exclude).await?;
        let (changes, teller) = Self::new(eyes.is_dim);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    seen = eyes.changed() => match seen {
                        Ok(_) => teller.tell(),
                        Err(_) => return,
                    },
                    () = teller.closed() => return,
                }
            }
        });
        Ok(changes)
    }

    /// Waits until something has changed; false when nothing will tell any more.
    pub async fn next(&mut self) -> bool {
        self.told.recv().await.is_some()
    }
}

/// Watches every directory below a root, but for those that a filter leaves out.
struct Eyes {
    root: PathBuf,
    filter: Filter,
    /// inotify's; what can be read as a pipe can be waited for as one.
    queue: pipe::Receiver,
    /// The directory that each watch is for.
    directories: HashMap<i32, RelPath>,
    /// Directories that are still to be watched, with all below them. They wait here, so that nothing is lost when whoever waits for a
    /// change loses patience.
    new: Vec<RelPath>,
    /// The kernel watches no more directories for this user: not all changes show.
    is_dim: bool,
}

impl Eyes {
    /// Looks at everything from here on. `exclude` has the patterns of a mirror's options.
    async fn open(root: &Path, exclude: &[String]) -> Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let queue = queue.map_err(Into::into).and_then(pipe::Receiver::from_owned_fd_unchecked);
        let queue = queue.map_err(|why| Error::io(format!("watch {}", root.display()), why))?;
        let filter = Filter::new(exclude)?;
        let (root, new) = (root.to_owned(), vec![RelPath::root()]);
        let mut eyes = Self { root, filter, queue, directories: HashMap::new(), new, is_dim: false };
        eyes.look().await;
        Ok(eyes)
    }

    /// Waits until something has changed, and gives how many changes were told at once.
    async fn changed(&mut self) -> Result<usize> {
        loop {
            self.look().await;
            let told = self.read().await?;
            let mut changes = 0;
            for (watch, what, name) in told {
                changes += usize::from(self.counts(watch, what, name.as_deref()));
            }
            self.look().await;
            if changes > 0 {
                return Ok(changes);
            }
        }
    }

    async fn read(&mut self) -> Result<Vec<(i32, ReadFlags, Option<Vec<u8>>)>> {
        let wrong = |why| Error::io("read what has changed", why);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            self.queue.readable().await.map_err(wrong)?;
            match self.queue.try_read(&mut buffer) {
                Ok(length) => return Ok(events(&buffer[..length])),
                Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(wrong(why)),
            }
        }
    }

    /// Whether the mirror is concerned.
    fn counts(&mut self, watch: i32, what: ReadFlags, name: Option<&[u8]>) -> bool {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.new.push(RelPath::root());
            return true;
        }
        if what.contains(ReadFlags::IGNORED) {
            self.directories.remove(&watch);
            return false;
        }
        let Some(directory) = self.directories.get(&watch) else { return false };
        let Some(name) = name else { return true };
        let Ok(path) = directory.join(name) else { return true };
        let is_directory = what.contains(ReadFlags::ISDIR);
        if self.filter.excludes(&path, is_directory) {
            return false;
        }
        if is_directory && what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            self.new.push(path);
        }
        true
    }

    /// Watches what is new.
    async fn look(&mut self) {
        if self.new.is_empty() {
            return;
        }
        let (root, filter, below) = (self.root.clone(), self.filter.clone(), self.new.clone());
        let below = tokio::task::spawn_blocking(move || directories(&root, &filter, below)).await;
        self.new.clear();
        for directory in below.unwrap_or_default() {
            let path = full(&self.root, &directory);
            let what = WatchFlags::ATTRIB
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DONT_FOLLOW
                | WatchFlags::EXCL_UNLINK
                | WatchFlags::ONLYDIR;
            match inotify::add_watch(&self.queue, &path, what) {
                Ok(watch) => drop(self.directories.insert(watch, directory)),
                // fs.inotify.max_user_watches.
                Err(Errno::NOSPC) => self.is_dim = true,
                // It is gone again, or may not be read: a scan will say so.
                Err(_) => {}
            }
        }
    }
}

fn full(root: &Path, path: &RelPath) -> PathBuf {
    if path.is_root() { root.to_owned() } else { root.join(std::ffi::OsStr::from_bytes(path.as_bytes())) }
}

/// These directories and all below them.
fn directories(root: &Path, filter: &Filter, mut left: Vec<RelPath>) -> Vec<RelPath> {
    let mut found = vec![];
    while let Some(directory) = left.pop() {
        let entries = std::fs::read_dir(full(root, &directory)).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let Ok(path) = directory.join(entry.file_name().as_bytes()) else { continue };
            if !filter.excludes(&path, true) {
                left.push(path);
            }
        }
        found.push(directory);
    }
    found
}

/// `struct inotify_event`: the watch, what happened, a cookie, the length of the name, and the name, filled up with NULs.
fn events(mut bytes: &[u8]) -> Vec<(i32, ReadFlags, Option<Vec<u8>>)> {
    let mut events = vec![];
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let Some((name, rest)) = rest.split_at_checked(word(12) as usize) else { break };
        let name: Vec<u8> = name.iter().copied().take_while(|byte| *byte != 0).collect();
        let flags = ReadFlags::from_bits_retain(word(4));
        events.push((word(0).cast_signed(), flags, Some(name).filter(|name| !name.is_empty())));
        bytes = rest;
    }
    events
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_millis(300), work).await.ok()
    }

    #[tokio::test]
    async fn changes_show_and_what_is_left_out_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::create_dir(at("cache")).unwrap();
        let mut eyes =
            Eyes::open(directory.path(), &["cache/".to_owned(), "*.tmp".to_owned()]).await.unwrap();
        assert!(within(eyes.changed()).await.is_none(), "nothing has changed");
        std::fs::write(at("a/b/page"), "x").unwrap();
        assert!(within(eyes.changed()).await.is_some(), "deep down");
        while within(eyes.changed()).await.is_some() {}
        std::fs::write(at("cache/page"), "x").unwrap();
        std::fs::write(at("a/page.tmp"), "x").unwrap();
        assert!(within(eyes.changed()).await.is_none(), "what is left out");
        std::fs::create_dir_all(at("new/deep")).unwrap();
        while within(eyes.changed()).await.is_some() {}
        std::fs::write(at("new/deep/page"), "x").unwrap();
        assert!(within(eyes.changed()).await.is_some(), "in a directory that came later");
        while within(eyes.changed()).await.is_some() {}
        std::fs::rename(at("new"), at("renamed")).unwrap();
        while within(eyes.changed()).await.is_some() {}
        std::fs::remove_file(at("renamed/deep/page")).unwrap();
        assert!(within(eyes.changed()).await.is_some(), "in a directory that was renamed");
    }
}
