//! Everything below the root of a tree on this machine.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::{self, Access, AtFlags, OFlags};

use super::root::{Root, entry_at};
use crate::digest::Digest;
use crate::error::Result;
use crate::mirror::{Entry, Filter, Kind, RelPath, Snapshot};
use crate::run::Event;
use crate::world::Control;

/// One walk through a tree.
pub(super) struct Scan<'a> {
    pub(super) root: &'a Root,
    pub(super) filter: &'a Filter,
    /// Read every file.
    pub(super) checksum: bool,
    /// May read whatever it wants (root): nobody needs to be asked.
    pub(super) reads_all: bool,
    pub(super) control: &'a Control,
    pub(super) seen: Snapshot,
    /// What was seen, in the order in which directories were entered.
    pub(super) entries: Vec<(RelPath, Entry)>,
    pub(super) told: Instant,
}

impl Scan<'_> {
    /// Walks from the root, which exists.
    pub(super) fn walk(mut self) -> Result<Snapshot> {
        let mut waiting = vec![RelPath::root()];
        while let Some(directory) = waiting.pop() {
            self.control.check("scan a tree")?;
            if let Err(error) = self.list(&directory, &mut waiting)
                && error.kind() != io::ErrorKind::NotFound
            {
                // What vanished meanwhile was deleted; everything else is there and cannot be seen.
                self.seen.unreadable.insert(directory, error.to_string());
            }
        }
        self.control.check("scan a tree")?;
        self.seen.entries.extend(self.entries);
        Ok(self.seen)
    }

    fn list(&mut self, directory: &RelPath, waiting: &mut Vec<RelPath>) -> io::Result<()> {
        let fd = self.root.open_at(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for found in fs::Dir::read_from(&fd)? {
            let found = found?;
            let name = found.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if self.control.cancel.is_cancelled() {
                return Ok(());
            }
            match directory.join(name) {
                Ok(path) => self.take(fd.as_fd(), path, waiting),
                Err(why) => drop(self.seen.unreadable.insert(directory.clone(), why)),
            }
        }
        Ok(())
    }

    fn take(&mut self, directory: BorrowedFd<'_>, path: RelPath, waiting: &mut Vec<RelPath>) {
        let mut entry = match entry_at(directory, OsStr::from_bytes(path.file_name())) {
            Ok(Some(entry)) => entry,
            Ok(None) => return,
            Err(error) => {
                if !self.filter.excludes_itself(&path, false) {
                    self.seen.unreadable.insert(path, error.to_string());
                }
                return;
            }
        };
        if self.filter.excludes_itself(&path, entry.is_directory()) {
            self.seen.excluded.insert(path);
            return;
        }
        if entry.is_directory() {
            waiting.push(path.clone());
        } else if entry.is_file()
            && let Err(error) = self.look_into(directory, &path, &mut entry)
        {
            if error.kind() == io::ErrorKind::NotFound {
                return;
            }
            self.seen.unreadable.insert(path.clone(), error.to_string());
        }
        self.entries.push((path, entry));
        self.tell();
    }

    /// Whether a file can be read, and its digest if that was asked for.
    fn look_into(&self, directory: BorrowedFd<'_>, path: &RelPath, entry: &mut Entry) -> io::Result<()> {
        if self.checksum {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK;
            let mut file = File::from(self.root.open_at(path, flags)?);
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file, &mut hasher)?;
            if let Kind::File { digest, .. } = &mut entry.kind {
                *digest = Some(Digest::from_bytes(*hasher.finalize().as_bytes()));
            }
        } else if !self.reads_all {
            fs::accessat(directory, path.file_name(), Access::READ_OK, AtFlags::EACCESS)?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        if self.told.elapsed() > Duration::from_millis(100) {
            self.told = Instant::now();
            self.control.emit(&Event::Progress {
                phase: "scan".into(),
                done: self.entries.len() as u64,
                total: None,
                unit: "files".into(),
            });
        }
    }
}
