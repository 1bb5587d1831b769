//! The root of a tree on this machine, and the only way to what is below it: no symbolic link, `..` or race leads out.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub(super) use super::metadata::{entry_at, set_metadata};
use crate::mirror::{Entry, RelPath};

/// An open directory. What is renamed or linked around it meanwhile changes nothing: everything is found from this descriptor.
pub(super) struct Root(OwnedFd);

impl Root {
    /// Opens the directory at `path`, which was resolved before: a symbolic link at its end is refused.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(fs::open(path, flags, Mode::empty())?))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens what is at `path`; symbolic links are refused wherever they stand.
    pub(super) fn open_at(&self, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
        let bytes = if path.is_root() { b"." } else { path.as_bytes() };
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.0, bytes, flags, Mode::empty(), resolve) {
            // Kernels before 5.6 do not know the call, and some container runtimes forbid it.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path, flags),
            opened => Ok(opened?),
        }
    }

    /// The same one component at a time: the directory before it is held open, so that nothing can be slipped in between.
    fn walk(&self, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (parents, name): (Vec<&[u8]>, &[u8]) = match path.parent() {
            None => (vec![], b"."),
            Some(parent) if parent.is_root() => (vec![], path.as_bytes()),
            Some(parent) => {
                let parts = path.as_bytes()[..parent.as_bytes().len()].split(|byte| *byte == b'/');
                (parts.collect(), path.file_name())
            }
        };
        let mut at: Option<OwnedFd> = None;
        for part in parents {
            let from = at.as_ref().unwrap_or(&self.0).as_fd();
            at = Some(open_itself(from, part, on_the_way)?);
        }
        let from = at.as_ref().unwrap_or(&self.0).as_fd();
        open_itself(from, name, flags)
    }

    /// The directory that `path` is in, held open, and its name there.
    pub(super) fn place<'a>(&self, path: &'a RelPath) -> io::Result<Place<'a>> {
        let parent = path.parent().unwrap_or_else(RelPath::root);
        let directory = self.open_at(&parent, OFlags::PATH | OFlags::DIRECTORY)?;
        let name = if path.is_root() { OsStr::new(".") } else { OsStr::from_bytes(path.file_name()) };
        Ok(Place { directory, name })
    }
}

/// Opens a name in a directory and says, as openat2 does, whether a symbolic link was the obstacle.
fn open_itself(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    match fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOTDIR) => {
            let found = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_link = fs::FileType::from_raw_mode(found.st_mode).is_symlink();
            Err(if is_link { Errno::LOOP.into() } else { Errno::NOTDIR.into() })
        }
        opened => Ok(opened?),
    }
}

/// A name in an open directory. Nothing here follows a symbolic link.
pub(super) struct Place<'a> {
    pub(super) directory: OwnedFd,
    pub(super) name: &'a OsStr,
}

impl Place<'_> {
    pub(super) fn entry(&self) -> io::Result<Option<Entry>> {
        entry_at(self.directory.as_fd(), self.name)
    }

    pub(super) fn set_metadata(&self, entry: &Entry) -> io::Result<()> {
        set_metadata(self.directory.as_fd(), self.name, entry)
    }

    pub(super) fn remove(&self, is_directory: bool) -> io::Result<()> {
        let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match fs::unlinkat(&self.directory, self.name, flags) {
            Err(Errno::NOENT) => Ok(()),
            done => Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways to what is below the root refuse the same.
    #[test]
    fn no_link_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("root");
        std::fs::create_dir_all(inside.join("d/e")).unwrap();
        std::fs::write(inside.join("d/e/f"), "x").unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
        std::os::unix::fs::symlink("d", inside.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", inside.join("d/abs")).unwrap();
        let root = Root::open(&inside).unwrap();
        for by_one_call in [true, false] {
            let way = |path: &RelPath| match by_one_call {
                true => root.open_at(path, OFlags::RDONLY),
                false => root.walk(path, OFlags::RDONLY | OFlags::CLOEXEC),
            };
            for fine in ["d/e/f", "d/e", "d"] {
                way(&RelPath::new(fine.as_bytes()).unwrap()).unwrap();
            }
            way(&RelPath::root()).unwrap();
            for wrong in ["up/secret", "link/e", "link", "d/abs", "up"] {
                let refused = way(&RelPath::new(wrong.as_bytes()).unwrap()).unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(Errno::LOOP.raw_os_error()), "{wrong}");
            }
        }
    }
}
