//! One directory of a tree on this machine, as it is at one moment.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{self, Access, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::metadata::{AttributeReader, entry_of};
use super::root::Root;
use crate::mirror::{Entry, Filter, RelPath, Stamp};

/// So much is read of a directory by one call.
const READ_BYTES: usize = 64 * 1024;
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
        self.found.sort_unstable_by(|one, other| name(one).cmp(name(other)));
    }
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
    buffer: Box<[MaybeUninit<u8>]>,
    attributes: AttributeReader,
}

impl<'a> Lister<'a> {
    pub(super) fn new(root: &'a Root, filter: &'a Filter, reads_all: bool, reads_attributes: bool) -> Self {
        Self {
            root,
            filter,
            reads_all,
            reads_attributes,
            account: rustix::process::geteuid().as_raw(),
            buffer: vec![MaybeUninit::uninit(); READ_BYTES].into(),
            attributes: AttributeReader::new(fs::CWD),
        }
    }

    /// Lists a directory, and names the directories in it. None if it is gone by now.
    pub(super) fn list(
        &mut self,
        task: &Task,
        is_cancelled: &dyn Fn() -> bool,
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
        self.attributes.enter(directory.as_fd());
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut names = RawDir::new(&directory, &mut buffer);
        while let Some(found) = names.next() {
            match found {
                Err(Errno::NOENT) => break,
                Err(error) => {
                    listing.trouble = Some(io::Error::from(error).to_string());
                    break;
                }
                Ok(found) if matches!(found.file_name().to_bytes(), b"." | b"..") => {}
                Ok(found) => {
                    self.take(directory.as_fd(), task, found.file_name(), found.file_type(), &mut listing);
                }
            }
            if is_cancelled() {
                break;
            }
        }
        self.buffer = buffer;
        listing.sort();
        (listing, Some(Arc::new(directory)))
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
