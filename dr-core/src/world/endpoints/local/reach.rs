//! The way to many paths of a tree, one after the other.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use super::root::Root;
use crate::mirror::RelPath;

/// Keeps the directory open that was last worked in: paths come in the order of the tree.
pub(super) struct Reach {
    root: Arc<Root>,
    at: Option<(Vec<u8>, OwnedFd)>,
}

impl Reach {
    pub(super) fn new(root: Arc<Root>) -> Self {
        Self { root, at: None }
    }

    /// The directory that a path is in, and its name there; for the root, the root itself and ".".
    pub(super) fn place<'a>(&'a mut self, path: &'a RelPath) -> io::Result<(BorrowedFd<'a>, &'a OsStr)> {
        if path.is_root() {
            return Ok((self.root.fd(), OsStr::new(".")));
        }
        let (bytes, name) = (path.as_bytes(), path.file_name());
        let parent = &bytes[..bytes.len().saturating_sub(name.len() + 1)];
        let name = OsStr::from_bytes(name);
        if parent.is_empty() {
            return Ok((self.root.fd(), name));
        }
        let is_near = self.at.as_ref().is_some_and(|(at, _)| at == parent);
        if !is_near {
            // None while it is opened: after an error nothing stale is kept.
            self.at = None;
            let directory = path.parent().unwrap_or_else(RelPath::root);
            let opened = self.root.open_at(&directory, OFlags::PATH | OFlags::DIRECTORY)?;
            self.at = Some((parent.to_vec(), opened));
        }
        let (_, directory) = self.at.as_ref().ok_or(Errno::NOENT)?;
        Ok((directory.as_fd(), name))
    }

    /// Opens what is at a path; a symbolic link there is refused.
    pub(super) fn open(&mut self, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
        let (directory, name) = self.place(path)?;
        Ok(fs::openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens a file to be read; `quietly` without a trace in its time of access. Nothing is waited for that has another end.
    pub(super) fn open_to_read(&mut self, path: &RelPath, quietly: bool) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        if quietly {
            match self.open(path, flags | OFlags::NOATIME) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {}
                opened => return opened,
            }
        }
        self.open(path, flags)
    }
}
