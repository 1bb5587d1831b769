//! One path at a time: what runs on threads that may block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags, OFlags};
use rustix::io::Errno;

use super::root::entry_at;
use super::staging::Staged;
use super::{SMALL_BYTES, Tree, looks};
use crate::error::Result;
use crate::mirror::{Change, Entry, Kind, RelPath};
use crate::world::Content;

impl Tree {
    pub(super) fn stat(&self, path: &RelPath) -> io::Result<Option<Entry>> {
        if path.is_root() {
            return entry_at(fs::CWD, self.root_path().as_os_str());
        }
        match self.root().and_then(|root| root.place(path)) {
            // Nothing, or something else than a directory, stands on the way: then nothing of this tree is at this path.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
                ) =>
            {
                Ok(None)
            }
            place => place?.entry(),
        }
    }

    /// None if it is no regular file.
    pub(super) fn read(&self, path: &RelPath) -> io::Result<Option<Content>> {
        // A FIFO in place of the file must not make us wait for a writer.
        let mut file = File::from(self.root()?.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(None);
        }
        if found.len() > SMALL_BYTES as u64 {
            return Ok(Some(Box::new(tokio::fs::File::from_std(file))));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(Box::new(io::Cursor::new(bytes))))
    }

    pub(super) fn write(&self, path: &RelPath, entry: &Entry, content: &[u8]) -> Result<u64> {
        let (staged, mut file) = self.stage()?;
        let written = file.write_all(content);
        drop(file);
        written
            .and_then(|()| self.land_one(path, entry, &staged))
            .map_err(|error| self.trouble("write", path, error))?;
        Ok(content.len() as u64)
    }

    pub(super) fn stage(&self) -> Result<(Staged, File)> {
        let root = RelPath::root();
        Staged::file(self.staging()?).map_err(|error| self.trouble("stage a file for", &root, error))
    }

    pub(super) fn land_one(&self, path: &RelPath, entry: &Entry, staged: &Staged) -> io::Result<()> {
        self.touch(std::iter::once(path));
        staged.set_metadata(entry)?;
        let root = self.root()?;
        let place = root.place(path)?;
        staged.land(place.directory.as_fd(), place.name)
    }

    pub(super) fn change(&self, change: &Change) -> Result<()> {
        let path = &change.path;
        let was_directory = change.from.as_ref().is_some_and(Entry::is_directory);
        self.touch(std::iter::once(path));
        if let Err(error) = self.make_way(change) {
            return Err(self.trouble("change", path, error));
        }
        let done = match change.to.as_ref().map(|entry| (&entry.kind, entry)) {
            None if path.is_root() => Err(io::Error::other("a mirror never removes the root")),
            None => self.remove(path, was_directory),
            Some((Kind::Directory, entry)) => self.make_directory(path, entry),
            Some((Kind::Symlink { target }, entry)) => {
                return self.make_symlink(change, entry, &target.0);
            }
            Some((Kind::File { .. }, entry)) => {
                self.root().and_then(|root| root.place(path)?.set_metadata(entry))
            }
            Some((Kind::HardLink { first }, entry)) => return self.make_hard_link(path, entry, first),
            Some((Kind::Device { .. } | Kind::Fifo | Kind::Socket, entry)) => {
                return self.make_node(change, entry);
            }
            Some((Kind::Other, _)) => Err(io::Error::other("nobody knows what it is")),
        };
        done.map_err(|error| self.trouble("change", path, error))
    }

    /// What is there is put aside, or made the tree's own, if need be.
    fn make_way(&self, change: &Change) -> io::Result<()> {
        if change.path.is_root() || change.from.is_none() {
            return Ok(());
        }
        let is_same_kind = |to: &Entry| change.from.as_ref().is_some_and(|from| from.kind == to.kind);
        if change.to.as_ref().is_some_and(|to| to.is_file() || is_same_kind(to)) {
            return self.unshare(&change.path);
        }
        match self.root().and_then(|root| root.place(&change.path).map(|place| (place.directory, place.name)))
        {
            Err(error) if looks::is_nothing(&error) => Ok(()),
            place => {
                let (directory, name) = place?;
                self.put_aside(change, directory.as_fd(), name)
            }
        }
    }

    pub(super) fn remove(&self, path: &RelPath, is_directory: bool) -> io::Result<()> {
        match self.root()?.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            place => place?.remove(is_directory),
        }
    }

    pub(super) fn make_directory(&self, path: &RelPath, entry: &Entry) -> io::Result<()> {
        if path.is_root() && !self.root_path().exists() {
            fs::mkdir(&self.path, fs::Mode::RWXU)?;
        }
        let place = self.root()?.place(path)?;
        let there = place.entry()?;
        if !there.as_ref().is_some_and(Entry::is_directory) {
            if there.is_some() {
                place.remove(false)?;
            }
            fs::mkdirat(&place.directory, place.name, fs::Mode::RWXU)?;
        }
        place.set_metadata(entry)
    }

    fn make_symlink(&self, change: &Change, entry: &Entry, target: &[u8]) -> Result<()> {
        let path = &change.path;
        let trouble = |error| self.trouble("change", path, error);
        if self.stands(change, entry).map_err(trouble)? {
            return self.root().and_then(|root| root.place(path)?.set_metadata(entry)).map_err(trouble);
        }
        let staged = Staged::symlink(self.staging()?, target).map_err(trouble)?;
        self.land_one(path, entry, &staged).map_err(trouble)
    }

    /// A device, FIFO or socket.
    fn make_node(&self, change: &Change, entry: &Entry) -> Result<()> {
        let path = &change.path;
        let trouble = |error| self.trouble("change", path, error);
        if self.stands(change, entry).map_err(trouble)? {
            return self.root().and_then(|root| root.place(path)?.set_metadata(entry)).map_err(trouble);
        }
        let staged = Staged::node(self.staging()?, entry).map_err(trouble)?;
        self.land_one(path, entry, &staged).map_err(trouble)
    }

    /// Whether only metadata is to be set. What was another name of something becomes a thing of its own.
    fn stands(&self, change: &Change, entry: &Entry) -> io::Result<bool> {
        let was_name = change.from.as_ref().is_some_and(|from| matches!(from.kind, Kind::HardLink { .. }));
        Ok(!was_name && self.stat(&change.path)?.is_some_and(|there| there.kind == entry.kind))
    }

    /// One more name for what is at `first`.
    fn make_hard_link(&self, path: &RelPath, entry: &Entry, first: &RelPath) -> Result<()> {
        let trouble = |error| self.trouble("change", path, error);
        let root = self.root().map_err(trouble)?;
        let (from, place) = (root.place(first).map_err(trouble)?, root.place(path).map_err(trouble)?);
        let found = fs::statat(&from.directory, from.name, AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(|error| trouble(error.into()))?;
        let there = fs::statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW);
        let is_linked = there.is_ok_and(|there| (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino));
        if !is_linked {
            let staged = Staged::link(self.staging()?, &from).map_err(trouble)?;
            staged.land(place.directory.as_fd(), place.name).map_err(trouble)?;
        }
        place.set_metadata(entry).map_err(trouble)
    }
}
