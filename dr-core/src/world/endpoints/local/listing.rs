//! One directory of a tree on this machine, as it is at one moment.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{self, Access, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::metadata::{AttributeReader, entry_of};
use super::root::Root;
use crate::mirror::{Entry, Filter, RelPath, Stamp};

/// So much is read of a directory by one call.
const READ_BYTES: usize = 64 * 1024;
/// From so many names on, several threads look at what stands there; so many of them at a time.
const SHARED_NAMES: usize = 4096;
const SHARE: usize = 512;
/// The longest path that a snapshot holds.
const PATH_BYTES: usize = 4095;

/// A directory to be listed.
pub(super) struct Task {
    /// Its number: the root is 0.
    pub(super) number: u64,
    /// Its path below the root; empty for the root.
    pub(super) path: Vec<u8>,
    /// The directory it is in, held open; none if it is to be found from the root.
    pub(super) parent: Option<Arc<OwnedFd>>,
}

/// What was found in a directory, in order.
#[derive(Default)]
pub(super) struct Listing {
    /// The bytes of all names.
    names: Vec<u8>,
    pub(super) found: Vec<Found>,
    /// Why the directory, or a part of it, could not be listed.
    pub(super) trouble: Option<String>,
}

/// One name in a directory.
pub(super) struct Found {
    name: (u32, u16),
    pub(super) what: What,
}

/// What stands there.
pub(super) enum What {
    Entry {
        entry: Entry,
        stamp: Stamp,
        /// If it has several names: its device and inode.
        linked: Option<(u64, u64)>,
        /// The number of its own listing, if it is a directory.
        child: Option<u64>,
        /// Why it cannot be read.
        unreadable: Option<String>,
    },
    Excluded,
    /// Seen, and nothing is known of it.
    Unreadable(String),
}

impl Listing {
    pub(super) fn name(&self, found: &Found) -> &[u8] {
        let (start, length) = found.name;
        &self.names[start as usize..][..usize::from(length)]
    }

    fn push(&mut self, name: &CStr, what: What) {
        let name = name.to_bytes();
        // A name has at most 255 bytes; 4 GiB of them in one directory do not happen.
        let place = (self.names.len() as u32, name.len() as u16);
        self.names.extend_from_slice(name);
        self.found.push(Found { name: place, what });
    }

    /// In the order of the tree: within a directory that is the order of the bytes.
    fn sort(&mut self) {
        let names = &self.names;
        let name = |found: &Found| &names[found.name.0 as usize..][..usize::from(found.name.1)];
        // Of parts that are in order, this sort makes one with few comparisons.
        self.found.sort_by(|one, other| name(one).cmp(name(other)));
    }

    /// Adds what was found in another part of the same directory.
    fn absorb(&mut self, part: Self) {
        let base = self.names.len() as u32;
        self.names.extend_from_slice(&part.names);
        let moved = part
            .found
            .into_iter()
            .map(|Found { name: (start, length), what }| Found { name: (base + start, length), what });
        self.found.extend(moved);
        self.trouble = self.trouble.take().or(part.trouble);
    }
}

/// Names as they were read, each with the NUL behind it, and what they are said to be.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    all: Vec<(usize, FileType)>,
}

/// Lists directories; one for each thread.
pub(super) struct Lister<'a> {
    root: &'a Root,
    filter: &'a Filter,
    /// May read whatever it wants (root): nobody needs to be asked.
    reads_all: bool,
    account: u32,
    /// Whether attributes are read at once.
    reads_attributes: bool,
    /// So many may look at one directory.
    threads: usize,
    buffer: Box<[MaybeUninit<u8>]>,
    attributes: AttributeReader,
}

impl<'a> Lister<'a> {
    pub(super) fn new(
        root: &'a Root,
        filter: &'a Filter,
        (reads_all, reads_attributes): (bool, bool),
        threads: usize,
    ) -> Self {
        Self {
            root,
            filter,
            reads_all,
            reads_attributes,
            threads,
            account: rustix::process::geteuid().as_raw(),
            buffer: vec![MaybeUninit::uninit(); READ_BYTES].into(),
            attributes: AttributeReader::new(fs::CWD),
        }
    }

    /// Lists a directory, and names the directories in it. None if it is gone by now.
    pub(super) fn list(
        &mut self,
        task: &Task,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> (Listing, Option<Arc<OwnedFd>>) {
        let mut listing = Listing::default();
        let directory = match self.open(task) {
            Ok(directory) => directory,
            Err(error) => {
                // What vanished meanwhile was deleted; everything else is there and cannot be seen.
                listing.trouble = (error.kind() != io::ErrorKind::NotFound).then(|| error.to_string());
                return (listing, None);
            }
        };
        let names = self.names(&directory, &mut listing, is_cancelled);
        if names.all.len() < SHARED_NAMES || self.threads < 2 {
            self.look_at(directory.as_fd(), task, &names, 0..names.all.len(), &mut listing);
        } else {
            self.share(directory.as_fd(), task, &names, is_cancelled, &mut listing);
        }
        listing.sort();
        (listing, Some(Arc::new(directory)))
    }

    /// All names, by one thread: there is one position in a directory that is read.
    fn names(
        &mut self,
        directory: &OwnedFd,
        listing: &mut Listing,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Names {
        let mut names = Names::default();
        let mut told = RawDir::new(directory, &mut self.buffer);
        while let Some(found) = told.next() {
            match found {
                Err(Errno::NOENT) => break,
                Err(error) => {
                    listing.trouble = Some(io::Error::from(error).to_string());
                    break;
                }
                Ok(found) if matches!(found.file_name().to_bytes(), b"." | b"..") => {}
                Ok(found) => {
                    names.all.push((names.bytes.len(), found.file_type()));
                    names.bytes.extend_from_slice(found.file_name().to_bytes_with_nul());
                }
            }
            if is_cancelled() {
                break;
            }
        }
        names
    }

    /// What stands at some of the names.
    fn look_at(
        &mut self,
        directory: BorrowedFd<'_>,
        task: &Task,
        names: &Names,
        part: Range<usize>,
        listing: &mut Listing,
    ) {
        self.attributes.enter(directory);
        for (start, kind) in &names.all[part] {
            if let Ok(name) = CStr::from_bytes_until_nul(&names.bytes[*start..]) {
                self.take(directory, task, name, *kind, listing);
            }
        }
    }

    /// The same for all names of a large directory, by as many threads as there are cores.
    fn share(
        &mut self,
        directory: BorrowedFd<'_>,
        task: &Task,
        names: &Names,
        is_cancelled: &(dyn Fn() -> bool + Sync),
        listing: &mut Listing,
    ) {
        let (root, filter, reads) = (self.root, self.filter, (self.reads_all, self.reads_attributes));
        let (next, count, threads) = (AtomicUsize::new(0), names.all.len(), self.threads);
        let work = |lister: &mut Lister<'_>| {
            let mut part = Listing::default();
            loop {
                let start = next.fetch_add(SHARE, Ordering::Relaxed);
                if start >= count || is_cancelled() {
                    break;
                }
                lister.look_at(directory, task, names, start..count.min(start + SHARE), &mut part);
            }
            part.sort();
            part
        };
        std::thread::scope(|scope| {
            let helper = || scope.spawn(|| work(&mut Lister::new(root, filter, reads, 1)));
            let helpers: Vec<_> = (1..threads).map(|_| helper()).collect();
            listing.absorb(work(self));
            for helper in helpers {
                match helper.join() {
                    Ok(part) => listing.absorb(part),
                    Err(defect) => std::panic::resume_unwind(defect),
                }
            }
        });
    }

    fn open(&self, task: &Task) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match &task.parent {
            // A directory that was opened so is beneath the root, and so is one that is opened in it.
            Some(parent) => {
                let cut = task.path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
                Ok(fs::openat(parent, &task.path[cut..], flags, Mode::empty())?)
            }
            None if task.path.is_empty() => self.root.open_at(&RelPath::root(), flags),
            None => {
                let path = RelPath::new(&task.path).map_err(io::Error::other)?;
                self.root.open_at(&path, flags)
            }
        }
    }

    fn take(
        &mut self,
        directory: BorrowedFd<'_>,
        task: &Task,
        name: &CStr,
        kind: FileType,
        listing: &mut Listing,
    ) {
        if task.path.len() + 1 + name.to_bytes().len() > PATH_BYTES {
            listing.trouble = Some(format!("a path in it is longer than {PATH_BYTES} bytes"));
            return;
        }
        let excludes = |is_directory| self.filter.excludes_name(&task.path, name.to_bytes(), is_directory);
        let is_known = kind != FileType::Unknown;
        if is_known && excludes(kind.is_dir()) {
            return listing.push(name, What::Excluded);
        }
        let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return,
            Err(error) => {
                let what = if excludes(false) { What::Excluded } else { What::Unreadable(said(error)) };
                return listing.push(name, what);
            }
        };
        let now = FileType::from_raw_mode(stat.st_mode);
        if now != kind && excludes(now.is_dir()) {
            return listing.push(name, What::Excluded);
        }
        let mut target = vec![];
        if now.is_symlink() {
            match fs::readlinkat(directory, name, vec![]) {
                Ok(read) => target = read.into_bytes(),
                Err(Errno::NOENT) => return,
                Err(error) => return listing.push(name, What::Unreadable(said(error))),
            }
        }
        let unreadable = match self.may_read(directory, name, &stat) {
            Err(Errno::NOENT) => return,
            told => told.err().map(said),
        };
        let xattrs = if self.reads_attributes { self.attributes.read(name) } else { None };
        let entry = entry_of(&stat, target, xattrs);
        let linked = (stat.st_nlink > 1 && !now.is_dir()).then_some((stat.st_dev, stat.st_ino));
        listing.push(name, What::Entry { entry, stamp: stamp_of(&stat), linked, child: None, unreadable });
    }

    /// Whether a file can be read: its owner by its mode, everybody else by asking.
    fn may_read(&self, directory: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        let is_own = stat.st_uid == self.account && stat.st_mode & 0o400 != 0;
        if self.reads_all || !is_file || is_own {
            return Ok(());
        }
        fs::accessat(directory, name, Access::READ_OK, AtFlags::EACCESS)
    }
}

fn said(error: Errno) -> String {
    io::Error::from(error).to_string()
}

/// What shows that a file was written although size and time are as before.
pub(super) fn stamp_of(stat: &Stat) -> Stamp {
    Stamp {
        inode: stat.st_ino,
        ctime_s: stat.st_ctime,
        ctime_ns: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_found_in_their_order_by_however_many_threads() {
        let here = tempfile::tempdir().unwrap();
        for number in 0..SHARED_NAMES + 3 * SHARE + 7 {
            // Scattered, so that no thread finds them in order.
            let name = (number * 7919) % 100_003;
            std::fs::write(here.path().join(name.to_string()), "").unwrap();
        }
        std::fs::create_dir(here.path().join("directory")).unwrap();
        std::os::unix::fs::symlink("elsewhere", here.path().join("link")).unwrap();
        let (root, filter) = (Root::open(here.path()).unwrap(), Filter::new(&["7*".to_owned()]).unwrap());
        let list = |threads| {
            let task = Task { number: 0, path: vec![], parent: None };
            let mut lister = Lister::new(&root, &filter, (true, true), threads);
            let (listing, _) = lister.list(&task, &|| false);
            let told = listing.found.iter().map(|found| {
                let kind = match &found.what {
                    What::Entry { entry, .. } => format!("{:?}", entry.kind),
                    What::Excluded => "excluded".to_owned(),
                    What::Unreadable(why) => why.clone(),
                };
                (listing.name(found).to_vec(), kind)
            });
            told.collect::<Vec<_>>()
        };
        let (alone, together) = (list(1), list(5));
        assert_eq!(alone.len(), SHARED_NAMES + 3 * SHARE + 9);
        assert!(alone.is_sorted_by_key(|(name, _)| name.clone()));
        assert!(alone.iter().any(|(_, kind)| kind == "excluded") && alone == together);
    }
}
