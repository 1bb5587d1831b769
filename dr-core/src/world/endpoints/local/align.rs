//! A second tree is made like the first by names of the same files: no content moves.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::Stop;
use super::kept::remove_all;
use super::looks::is_nothing;
use super::new_file::clone_content;
use super::root::{Root, entry_at, set_metadata};
use crate::mirror::{Entry, RelPath};

/// Two trees on one file system. Where `next` differs from `live` it is made like it, but for the paths in `touched`.
pub(super) struct Align<'a> {
    pub(super) live: &'a Root,
    pub(super) next: &'a Root,
    pub(super) touched: &'a HashSet<RelPath>,
    /// May set owners, and is kept out of nothing.
    pub(super) is_superuser: bool,
}

/// A directory of both trees.
struct Pair {
    path: RelPath,
    from: OwnedFd,
    to: OwnedFd,
    /// It was made just now: nothing is in it.
    is_new: bool,
}

impl Align<'_> {
    pub(super) fn run(&self, stop: &Stop) -> crate::error::Result<io::Result<()>> {
        let mut waiting = vec![(RelPath::root(), false)];
        let mut closed = vec![];
        while let Some((path, is_new)) = waiting.pop() {
            stop.check()?;
            match self.one(path, is_new, &mut waiting, &mut closed) {
                Ok(()) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        // What keeps its own owner out is closed when everything in it is right.
        let close = |(path, entry): (RelPath, Entry)| {
            let place = self.next.place(&path)?;
            set_metadata(place.directory.as_fd(), place.name, &entry)
        };
        Ok(closed.into_iter().rev().try_for_each(close))
    }

    /// Removes from `next` what `live` has not, or otherwise, but for `touched`.
    pub(super) fn take_back(&self, stop: &Stop) -> crate::error::Result<io::Result<()>> {
        let mut waiting = vec![RelPath::root()];
        while let Some(path) = waiting.pop() {
            stop.check()?;
            if let Err(error) = self.take_back_in(&path, &mut waiting) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn take_back_in(&self, path: &RelPath, waiting: &mut Vec<RelPath>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let to = self.next.open_at(path, flags)?;
        let live = match self.live.open_at(path, flags) {
            Ok(from) => listing(&from)?,
            Err(error) if is_nothing(&error) => HashMap::new(),
            Err(error) => return Err(error),
        };
        for (name, (inode, kind)) in listing(&to)? {
            let Ok(path) = path.join(&name) else { return Err(Errno::NAMETOOLONG.into()) };
            let is_directory = kind == FileType::Directory;
            let is_like_live = live.get(&name).is_some_and(|(there, kind_there)| {
                inode == *there || is_directory && *kind_there == FileType::Directory
            });
            if !is_like_live && !self.touched.contains(&path) {
                remove_all(to.as_fd(), OsStr::from_bytes(&name))?;
            } else if is_directory {
                waiting.push(path);
            }
        }
        Ok(())
    }

    fn one(
        &self,
        path: RelPath,
        is_new: bool,
        waiting: &mut Vec<(RelPath, bool)>,
        closed: &mut Vec<(RelPath, Entry)>,
    ) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let from = match self.live.open_at(&path, flags) {
            // It was removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_root() => return Ok(()),
            from => from?,
        };
        let to = self.next.open_at(&path, flags)?;
        let before = fs::fstat(&to)?;
        let pair = Pair { path, from, to, is_new };
        let is_changed = self.fill(&pair, waiting)?;
        if self.touched.contains(&pair.path) {
            if is_changed {
                let time = Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec as _ };
                let last_access = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT };
                fs::futimens(&pair.to, &Timestamps { last_access, last_modification: time })?;
            }
            return Ok(());
        }
        let Some(mut entry) = entry_at(pair.from.as_fd(), OsStr::new("."))? else { return Ok(()) };
        if !self.is_superuser {
            entry.owner = None;
            if entry.mode & 0o700 != 0o700 {
                closed.push((pair.path.clone(), entry.clone()));
                entry.mode |= 0o700;
            }
        }
        set_metadata(pair.to.as_fd(), OsStr::new("."), &entry)
    }

    /// Whether anything had to be done in this directory itself.
    fn fill(&self, pair: &Pair, waiting: &mut Vec<(RelPath, bool)>) -> io::Result<bool> {
        let mut there = if pair.is_new { HashMap::new() } else { listing(&pair.to)? };
        let mut is_changed = false;
        for found in fs::Dir::read_from(&pair.from)? {
            let found = found?;
            let name = found.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let Ok(path) = pair.path.join(name) else { return Err(Errno::NAMETOOLONG.into()) };
            let name = OsStr::from_bytes(name);
            let kind = kind_of(pair.from.as_fd(), name, found.file_type())?;
            let other = there.remove(name.as_bytes());
            match (kind, other) {
                (FileType::Directory, Some((_, FileType::Directory))) => waiting.push((path, false)),
                (_, Some((inode, _))) if inode == found.ino() => {}
                _ if self.touched.contains(&path) => {}
                (kind, other) => {
                    is_changed = true;
                    if other.is_some() {
                        remove_all(pair.to.as_fd(), name)?;
                    }
                    if kind == FileType::Directory {
                        fs::mkdirat(&pair.to, name, Mode::RWXU)?;
                        waiting.push((path, true));
                    } else {
                        give_name(pair.from.as_fd(), name, pair.to.as_fd())?;
                    }
                }
            }
        }
        for name in there.into_keys() {
            let Ok(path) = pair.path.join(&name) else { return Err(Errno::NAMETOOLONG.into()) };
            if !self.touched.contains(&path) {
                is_changed = true;
                remove_all(pair.to.as_fd(), OsStr::from_bytes(&name))?;
            }
        }
        Ok(is_changed)
    }
}

type Listing = HashMap<Vec<u8>, (u64, FileType)>;

fn listing(directory: &OwnedFd) -> io::Result<Listing> {
    let mut all = Listing::new();
    for found in fs::Dir::read_from(directory)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            let kind = kind_of(directory.as_fd(), OsStr::from_bytes(name), found.file_type())?;
            all.insert(name.to_owned(), (found.ino(), kind));
        }
    }
    Ok(all)
}

/// Some file systems do not say it in the list.
fn kind_of(directory: BorrowedFd<'_>, name: &OsStr, listed: FileType) -> io::Result<FileType> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    Ok(FileType::from_raw_mode(fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// One more name of the same thing; a copy where it may have no more.
fn give_name(from: BorrowedFd<'_>, name: &OsStr, to: BorrowedFd<'_>) -> io::Result<()> {
    match fs::linkat(from, name, to, name, AtFlags::empty()) {
        // It vanished since it was listed.
        Err(Errno::NOENT) => Ok(()),
        // Immutable, somebody else's (protected_hardlinks in proc(5)), or with too many names already.
        Err(Errno::PERM | Errno::MLINK) => copy(from, name, to),
        done => Ok(done?),
    }
}

fn copy(from: BorrowedFd<'_>, name: &OsStr, to: BorrowedFd<'_>) -> io::Result<()> {
    let Some(entry) = entry_at(from, name)? else { return Ok(()) };
    if !entry.is_file() {
        return Err(Errno::PERM.into());
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = File::from(fs::openat(from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copied = File::from(fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    clone_content(&source, &copied, source.metadata()?.len())?;
    drop(copied);
    set_metadata(to, name, &entry)
}
