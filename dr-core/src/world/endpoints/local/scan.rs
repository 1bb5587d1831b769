//! Everything below the root of a tree on this machine, by all cores, told in the order of the tree.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::listing::{Lister, Listing, Task, What};
use super::root::Root;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Entry, Filter, Kind, RelPath, Stamp};
use crate::run::Event;
use crate::world::Control;

/// More threads than this make no scan faster.
const MAX_THREADS: usize = 16;
/// So many directories are held open for what is in them; beyond, directories are found from the root.
const OPEN_DIRECTORIES: usize = 200;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// How often whoever tells what was found looks for more of it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// One walk through a tree.
pub(super) struct Scan<'a> {
    pub(super) root: &'a Root,
    pub(super) filter: &'a Filter,
    /// May read whatever it wants (root).
    pub(super) reads_all: bool,
    /// Whether attributes are read. It takes twice as long: whoever knows most of them already reads the rest himself.
    pub(super) reads_attributes: bool,
    pub(super) control: &'a Control,
}

/// What a scan says of one path.
pub(super) enum Seen {
    /// What is there. A name after the first of a file that has several is told as a hard link.
    Entry(Entry, Stamp, Links),
    /// The filter leaves it out.
    Excluded,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// Whether a file has more names than one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    One,
    Several,
}

/// Takes what a scan says, path by path in the order of the tree. Of an unreadable path the entry may come first.
pub(super) type Sink<'a> = dyn FnMut(&[u8], Seen) -> Result<()> + 'a;

impl Scan<'_> {
    /// Walks from the root, which exists and is told before by the caller.
    pub(super) fn walk(&self, sink: &mut Sink<'_>) -> Result<()> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(MAX_THREADS);
        let pool = Pool::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let reads = (self.reads_all, self.reads_attributes);
                    pool.work(&mut Lister::new(self.root, self.filter, reads, threads));
                });
            }
            let told = self.tell_all(&pool, sink);
            pool.stop();
            told
        })?;
        self.control.check("scan a tree")
    }

    /// Goes through the listings in the order of the tree, waiting for each.
    fn tell_all(&self, pool: &Pool, sink: &mut Sink<'_>) -> Result<()> {
        let mut teller = Teller { sink, firsts: HashMap::new(), told: 0, at: Instant::now() };
        let mut path: Vec<u8> = vec![];
        let root = pool.wait(0, self.control)?;
        teller.trouble(&path, &root)?;
        let mut open = vec![(0, Level::new(root))];
        while let Some((bytes, level)) = open.last_mut() {
            path.truncate(*bytes);
            let Some((name, what)) = level.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let child = teller.tell(&path, what)?;
            teller.progress(self.control);
            if let Some(number) = child {
                let listing = pool.wait(number, self.control)?;
                teller.trouble(&path, &listing)?;
                open.push((path.len(), Level::new(listing)));
            }
        }
        Ok(())
    }
}

/// A listing that is being told.
struct Level {
    listing: Listing,
    next: usize,
}

impl Level {
    fn new(listing: Listing) -> Self {
        Self { listing, next: 0 }
    }

    fn next(&mut self) -> Option<(&[u8], What)> {
        let what = std::mem::replace(&mut self.listing.found.get_mut(self.next)?.what, What::Excluded);
        self.next += 1;
        Some((self.listing.name(&self.listing.found[self.next - 1]), what))
    }
}

/// Tells the sink, and knows which names are of one file.
struct Teller<'a, 'b> {
    sink: &'a mut Sink<'b>,
    /// The first names of files that have several, by device and inode.
    firsts: HashMap<(u64, u64), RelPath>,
    told: u64,
    at: Instant,
}

impl Teller<'_, '_> {
    /// Gives the number of its listing if it is a directory.
    fn tell(&mut self, path: &[u8], what: What) -> Result<Option<u64>> {
        self.told += 1;
        let (mut entry, stamp, linked, child, unreadable) = match what {
            What::Excluded => return (self.sink)(path, Seen::Excluded).map(|()| None),
            What::Unreadable(why) => return (self.sink)(path, Seen::Unreadable(why)).map(|()| None),
            What::Entry { entry, stamp, linked, child, unreadable } => {
                (entry, stamp, linked, child, unreadable)
            }
        };
        let mut links = Links::One;
        if let Some(inode) = linked {
            links = Links::Several;
            match self.firsts.get(&inode) {
                Some(first) => entry.kind = Kind::HardLink { first: first.clone() },
                None => drop(self.firsts.insert(inode, RelPath::known(path))),
            }
        }
        (self.sink)(path, Seen::Entry(entry, stamp, links))?;
        if let Some(why) = unreadable {
            (self.sink)(path, Seen::Unreadable(why))?;
        }
        Ok(child)
    }

    fn trouble(&mut self, path: &[u8], listing: &Listing) -> Result<()> {
        match &listing.trouble {
            Some(why) => (self.sink)(path, Seen::Unreadable(why.clone())),
            None => Ok(()),
        }
    }

    fn progress(&mut self, control: &Control) {
        // Looking at the clock for every file would be seen in a profile.
        if self.told.is_multiple_of(256) && self.at.elapsed() > TELL_EVERY {
            self.at = Instant::now();
            let (phase, unit) = ("scan".into(), "files".into());
            control.emit(&Event::Progress { phase, done: self.told, total: None, unit });
        }
    }
}

/// Directories to be listed, and what was found in them.
struct Pool {
    state: Mutex<State>,
    /// There is work, or nothing more to do.
    work: Condvar,
    /// Everything is listed.
    ready: Condvar,
    open_directories: AtomicUsize,
    is_stopped: AtomicBool,
}

struct State {
    /// The last one is the first in the order of the tree, so that the listings come about in the order in which they are told.
    waiting: Vec<Task>,
    done: HashMap<u64, Listing>,
    next_number: u64,
    /// Threads that list a directory now.
    busy: usize,
    /// Threads that wait for a directory.
    idle: usize,
    /// Threads that have not ended.
    alive: usize,
}

impl Pool {
    fn new(threads: usize) -> Self {
        let root = Task { number: 0, path: vec![], parent: None };
        Self {
            state: Mutex::new(State {
                waiting: vec![root],
                done: HashMap::new(),
                next_number: 1,
                busy: 0,
                idle: 0,
                alive: threads,
            }),
            work: Condvar::new(),
            ready: Condvar::new(),
            open_directories: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // Under the lock, so that nobody goes to sleep in between.
        let _state = self.state();
        self.work.notify_all();
    }

    /// Lists directories until none is left.
    fn work(&self, lister: &mut Lister<'_>) {
        let leaving = Leaving(self);
        while let Some(task) = self.take() {
            let (listing, directory) = lister.list(&task, &|| self.is_stopped());
            self.finish(task, listing, directory);
        }
        drop(leaving);
    }

    fn take(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if self.is_stopped() {
                return None;
            }
            if let Some(task) = state.waiting.pop() {
                state.busy += 1;
                return Some(task);
            }
            if state.busy == 0 {
                self.work.notify_all();
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn finish(&self, task: Task, mut listing: Listing, directory: Option<Arc<OwnedFd>>) {
        self.close(task.parent);
        let found = listing.found.iter().enumerate().rev();
        let inner: Vec<usize> = found
            .filter(|(_, found)| matches!(&found.what, What::Entry { entry, .. } if entry.is_directory()))
            .map(|(at, _)| at)
            .collect();
        let mut tasks = Vec::with_capacity(inner.len());
        let may_hold = self.open_directories.load(Ordering::Relaxed) < OPEN_DIRECTORIES;
        let parent = directory.filter(|_| may_hold && !inner.is_empty());
        if parent.is_some() {
            self.open_directories.fetch_add(1, Ordering::Relaxed);
        }
        for at in inner.iter().copied() {
            let mut path = Vec::with_capacity(task.path.len() + 32);
            path.extend_from_slice(&task.path);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(listing.name(&listing.found[at]));
            tasks.push(Task { number: 0, path, parent: parent.clone() });
        }
        drop(parent);
        let mut state = self.state();
        for (at, task) in inner.into_iter().zip(&mut tasks) {
            task.number = state.next_number;
            state.next_number += 1;
            if let What::Entry { child, .. } = &mut listing.found[at].what {
                *child = Some(task.number);
            }
        }
        let more = tasks.len();
        state.waiting.extend(tasks);
        state.done.insert(task.number, listing);
        state.busy -= 1;
        let is_over = state.busy == 0 && state.waiting.is_empty();
        if (more > 0 && state.idle > 0) || is_over {
            self.work.notify_all();
        }
        if is_over {
            self.ready.notify_all();
        }
    }

    /// The last one that needs it closes a directory.
    fn close(&self, parent: Option<Arc<OwnedFd>>) {
        if parent.and_then(Arc::into_inner).is_some() {
            self.open_directories.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The listing of this number.
    fn wait(&self, number: u64, control: &Control) -> Result<Listing> {
        let mut state = self.state();
        loop {
            if let Some(listing) = state.done.remove(&number) {
                return Ok(listing);
            }
            if state.alive == 0 {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "scan a tree",
                    "the threads that did it ended early",
                ));
            }
            // To be woken for every directory would cost more than to look now and then.
            let woken = self.ready.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
            control.check("scan a tree")?;
        }
    }
}

/// Says that a thread has ended, however it did.
struct Leaving<'a>(&'a Pool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.state().alive -= 1;
        self.0.ready.notify_all();
    }
}
