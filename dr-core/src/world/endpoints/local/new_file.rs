//! A file that comes into being: invisible until it is whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Tree;
use super::staging::{Staged, Staging};
use crate::mirror::Entry;

/// A file that nobody sees yet.
pub(super) enum NewFile {
    /// It has no name at all: the cheapest where nothing is at its place.
    Unnamed(File),
    /// It has a name in the staging directory, to be renamed over what is there.
    Named(Staged, File),
}

impl NewFile {
    /// A file to land in `directory`; `replaces` if something is at its place.
    pub(super) fn create(
        tree: &Tree,
        staging: &Arc<Staging>,
        directory: BorrowedFd<'_>,
        entry: &Entry,
        replaces: bool,
    ) -> io::Result<Self> {
        if !replaces && tree.makes_unnamed.load(Ordering::Relaxed) {
            let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
            match fs::openat(directory, ".", flags, Mode::from_raw_mode(entry.mode & 0o777)) {
                // The file system has no such files, or the kernel does not know them.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                    tree.makes_unnamed.store(false, Ordering::Relaxed);
                }
                made => return Ok(Self::Unnamed(made?.into())),
            }
        }
        let (staged, file) = Staged::file(Arc::clone(staging))?;
        Ok(Self::Named(staged, file))
    }

    pub(super) fn file(&self) -> &File {
        match self {
            Self::Unnamed(file) | Self::Named(_, file) => file,
        }
    }

    /// Gives it its name. An error of kind `AlreadyExists` if it was to replace nothing and something is there.
    pub(super) fn land(&self, tree: &Tree, directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        match self {
            Self::Named(staged, _) => staged.land(directory, name),
            Self::Unnamed(file) => {
                if tree.is_superuser {
                    match fs::linkat(file, "", directory, name, AtFlags::EMPTY_PATH) {
                        Err(Errno::NOENT | Errno::PERM) => {}
                        done => return Ok(done?),
                    }
                }
                let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(fs::linkat(fs::CWD, itself, directory, name, AtFlags::SYMLINK_FOLLOW)?)
            }
        }
    }
}
/// Copies a file, without moving its content where the file system can share it.
pub(super) fn clone_content(from: &File, to: &File, size: u64) -> io::Result<()> {
    if fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let (mut read, mut written) = (0, 0);
    while written < size {
        let left = usize::try_from(size - written).unwrap_or(1 << 30).min(1 << 30);
        match fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), left) {
            // It became shorter: the digest will tell.
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return io::copy(&mut &*from, &mut &*to).map(drop),
        }
    }
    Ok(())
}
