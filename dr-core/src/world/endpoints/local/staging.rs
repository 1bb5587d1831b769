//! Where files wait until they are whole: a directory of our own on the file system of the tree.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::root::{Place, Root, set_metadata};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Entry, STAGING_PREFIX};

/// The staging directory of one tree, locked: one mirror at a time writes into a tree. The lock goes when the process does.
pub(super) struct Staging {
    directory: OwnedFd,
    path: PathBuf,
    next: AtomicU64,
}

impl Staging {
    /// Beside the tree, where no server serves it; inside only where the directory around the tree is another file system or
    /// cannot be written. What a killed run left there is removed.
    pub(super) fn open(tree: &Path, root: &Root) -> Result<Self> {
        let operation = || format!("make a staging directory for {}", tree.display());
        let mut refusal = None;
        for path in places(tree) {
            match Self::open_at(&path, root, tree) {
                Ok(Some(directory)) => {
                    let staging = Self { directory, path, next: AtomicU64::new(0) };
                    staging.clear().map_err(|error| Error::io(operation(), error))?;
                    return Ok(staging);
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::new(
                        ErrorKind::Locked,
                        operation(),
                        "another mirror is writing into this tree",
                    )
                    .hint("wait until it has ended, then run this one again"));
                }
                Err(error) => refusal = Some(error),
            }
        }
        let refusal =
            refusal.unwrap_or_else(|| io::Error::other("no place beside or in it is on its file system"));
        Err(Error::io(operation(), refusal)
            .hint("give the account that mirrors write access to the tree or to the directory around it"))
    }

    /// Removes what a killed run left, without waiting for a run that is under way.
    pub(super) fn sweep(tree: &Path, root: &Root) {
        let is_there = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        for path in places(tree).into_iter().filter(is_there) {
            if let Ok(Some(directory)) = Self::open_at(&path, root, tree) {
                Self { directory, path, next: AtomicU64::new(0) }.remove(tree, root);
            }
        }
    }

    /// A name that nothing has there yet.
    fn fresh_name(&self) -> OsString {
        self.next.fetch_add(1, Ordering::Relaxed).to_string().into()
    }

    /// Removes the directory with everything in it. What cannot be removed now, the next run removes.
    pub(super) fn remove(&self, tree: &Path, root: &Root) {
        if self.clear().is_ok() {
            let is_inside = self.path.parent() == Some(tree);
            let _ = keeping_time(root, is_inside, || std::fs::remove_dir(&self.path));
        }
    }

    fn clear(&self) -> io::Result<()> {
        for entry in fs::Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                fs::unlinkat(&self.directory, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// None where a rename into the tree would not be atomic.
    fn open_at(path: &Path, root: &Root, tree: &Path) -> io::Result<Option<OwnedFd>> {
        let is_inside = path.parent() == Some(tree);
        // Another run may remove the directory between these calls; three tries are two more than that takes.
        for _ in 0..3 {
            match keeping_time(root, is_inside, || Ok(fs::mkdir(path, Mode::RWXU)?)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = fs::open(path, flags, Mode::empty())?;
            let found = fs::fstat(&directory)?;
            if found.st_dev != fs::fstat(root.fd())?.st_dev {
                let _ = keeping_time(root, is_inside, || std::fs::remove_dir(path));
                return Ok(None);
            }
            if found.st_uid != rustix::process::geteuid().as_raw() {
                let why = format!("{} belongs to somebody else", path.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            fs::fchmod(&directory, Mode::RWXU)?;
            fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
            if fs::lstat(path).is_ok_and(|now| (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino)) {
                return Ok(Some(directory));
            }
        }
        Err(Errno::WOULDBLOCK.into())
    }
}

/// One name in the staging directory; removed when dropped, unless it landed.
pub(super) struct Staged {
    staging: Arc<Staging>,
    name: OsString,
}

impl Staged {
    /// An empty file that nobody else can open.
    pub(super) fn file(staging: Arc<Staging>) -> io::Result<(Self, File)> {
        let staged = Self { name: staging.fresh_name(), staging };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&staged.staging.directory, &staged.name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok((staged, file.into()))
    }

    pub(super) fn symlink(staging: Arc<Staging>, target: &[u8]) -> io::Result<Self> {
        let staged = Self { name: staging.fresh_name(), staging };
        fs::symlinkat(target, &staged.staging.directory, &staged.name)?;
        Ok(staged)
    }

    pub(super) fn set_metadata(&self, entry: &Entry) -> io::Result<()> {
        set_metadata(self.staging.directory.as_fd(), &self.name, entry)
    }

    /// Renames it over what is there. An empty directory makes place.
    pub(super) fn land(&self, place: &Place<'_>) -> io::Result<()> {
        let rename = || fs::renameat(&self.staging.directory, &self.name, &place.directory, place.name);
        match rename() {
            Err(Errno::ISDIR) => {
                place.remove(true)?;
                Ok(rename()?)
            }
            done => Ok(done?),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::unlinkat(&self.staging.directory, &self.name, AtFlags::empty());
    }
}

/// Where the staging directory of a tree may be, best first.
fn places(tree: &Path) -> Vec<PathBuf> {
    let inside = tree.join(STAGING_PREFIX);
    let (Some(parent), Some(name)) = (tree.parent(), tree.file_name()) else { return vec![inside] };
    let mut beside = STAGING_PREFIX.as_bytes().to_vec();
    beside.push(b'-');
    beside.extend_from_slice(name.as_bytes());
    if beside.len() > 255 {
        return vec![inside];
    }
    vec![parent.join(OsString::from_vec(beside)), inside]
}

/// Puts the time of the root back after `act` made or removed a name in it: that name is no part of the tree.
fn keeping_time(root: &Root, is_inside: bool, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if !is_inside {
        return act();
    }
    let before = fs::fstat(root.fd())?;
    act()?;
    let time = Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec as _ };
    let times =
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT }, last_modification: time };
    Ok(fs::utimensat(root.fd(), ".", &times, AtFlags::empty())?)
}
