//! What is there before something else takes its place: it goes to quarantine if the plan says so, and a file that a former state of
//! the tree has too is not changed in place.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, PoisonError};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Tree;
use super::kept::{Kept, QUARANTINE, open_directory};
use super::new_file::clone_content;
use super::root::{entry_at, set_metadata};
use super::staging::Staged;
use crate::mirror::{Change, Entry, Kind, RelPath};
use crate::time::Timestamp;

/// Where the quarantine of one run is.
pub(super) struct Quarantine {
    directory: OwnedFd,
    pub(super) path: std::path::PathBuf,
}

impl Quarantine {
    fn make(tree: &Tree, since: Timestamp) -> io::Result<Self> {
        let root = tree.live()?;
        let Some(kept) = Kept::anywhere(&tree.path, &root)? else { return Err(Errno::XDEV.into()) };
        let of_run = since.to_string();
        make_directory(kept.fd(), OsStr::new(QUARANTINE))?;
        let all = open_directory(kept.fd(), OsStr::new(QUARANTINE))?;
        make_directory(all.as_fd(), OsStr::new(&of_run))?;
        let directory = open_directory(all.as_fd(), OsStr::new(&of_run))?;
        Ok(Self { directory, path: kept.path.join(QUARANTINE).join(of_run) })
    }

    /// The directory for what stood at a path, made if need be.
    fn directory_of(&self, path: &RelPath) -> io::Result<OwnedFd> {
        let mut at = self.directory.try_clone()?;
        let parent = path.parent().unwrap_or_else(RelPath::root);
        for name in parent.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let name = OsStr::from_bytes(name);
            make_directory(at.as_fd(), name)?;
            at = open_directory(at.as_fd(), name)?;
        }
        Ok(at)
    }
}

fn make_directory(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match fs::mkdirat(at, name, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => Ok(made?),
    }
}

impl Tree {
    /// Before `change` replaces or removes what is at its path: a second name for it in quarantine, if it is to go there.
    pub(super) fn put_aside(&self, change: &Change, at: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let preparation = self.preparation();
        if !preparation.quarantine.contains(&change.path) {
            return Ok(());
        }
        let Some(there) = entry_at(at, name)? else { return Ok(()) };
        if there.is_directory() {
            return Ok(());
        }
        let mut slot = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        let quarantine = match &mut *slot {
            Some(quarantine) => quarantine,
            slot => slot.insert(Quarantine::make(self, preparation.since)?),
        };
        let to = quarantine.directory_of(&change.path)?;
        match fs::linkat(at, name, &to, name, AtFlags::empty()) {
            // It went there before this change was cut short.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(Errno::XDEV | Errno::PERM | Errno::MLINK) => copy(at, name, &there, to.as_fd()),
            Err(error) => Err(error.into()),
        }
    }

    /// Before metadata is set in place: a file that has other names out of this tree becomes one of its own.
    pub(super) fn unshare(&self, path: &RelPath) -> io::Result<()> {
        if !self.preparation().is_shared {
            return Ok(());
        }
        let root = self.root()?;
        let place = root.place(path)?;
        let (at, name) = (place.directory.as_fd(), place.name);
        let found = match fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            found => found?,
        };
        let Some(there) = entry_at(at, name)?.filter(|there| found.st_nlink > 1 && !there.is_directory())
        else {
            return Ok(());
        };
        let staging = self.staging().map_err(io::Error::other)?;
        let staged = match &there.kind {
            Kind::File { .. } => {
                let source = File::from(root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
                let (staged, file) = Staged::file(staging)?;
                clone_content(&source, &file, source.metadata()?.len())?;
                staged
            }
            Kind::Symlink { target } => Staged::symlink(staging, &target.0)?,
            // The owner and mode of a device or FIFO: no content is at stake.
            _ => return Ok(()),
        };
        staged.set_metadata(&there)?;
        staged.land(at, name)
    }
}

/// What may have no second name is copied.
fn copy(at: BorrowedFd<'_>, name: &OsStr, there: &Entry, to: BorrowedFd<'_>) -> io::Result<()> {
    match &there.kind {
        Kind::Symlink { target } => fs::symlinkat(target.0.as_slice(), to, name)?,
        Kind::File { .. } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let source = File::from(fs::openat(at, name, flags, Mode::empty())?);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let copied = File::from(fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
            clone_content(&source, &copied, source.metadata()?.len())?;
        }
        _ => return Ok(()),
    }
    set_metadata(to, name, there)
}

/// What was said before anything lands, made ready.
#[derive(Default)]
pub(super) struct Preparation {
    pub(super) landing: crate::mirror::Landing,
    quarantine: std::collections::HashSet<RelPath>,
    since: Timestamp,
    /// Files of this tree may have names in former states of it.
    is_shared: bool,
}

impl Preparation {
    pub(super) fn new(landing: crate::mirror::Landing, since: Timestamp, is_shared: bool) -> Arc<Self> {
        let quarantine = landing.quarantine.iter().cloned().collect();
        Arc::new(Self { landing, quarantine, since, is_shared })
    }
}
