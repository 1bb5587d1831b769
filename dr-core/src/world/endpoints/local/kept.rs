//! What is kept of a tree: its former states, and what had to make way for something else.
//!
//! All of it is in one directory of our own beside the tree, where no server serves it. Quarantine may be inside the tree where the
//! directory around it is another file system or cannot be written; former states cannot.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::root::Root;
use super::staging::keeping_time;
use crate::mirror::KEPT_PREFIX;
use crate::time::Timestamp;

/// Names in it that are no former state.
pub(super) const NEXT: &str = "next";
pub(super) const QUARANTINE: &str = "quarantine";
/// Says of which live tree `next` is the successor, once it is complete: the number of its inode.
const BUILT: &str = "next-of";
/// What is being removed begins so.
const TRASH_PREFIX: &str = "trash-";
const STATES: &str = "states.json";

/// That directory, open.
pub(super) struct Kept {
    directory: OwnedFd,
    pub(super) path: PathBuf,
}

/// Since when each state of the tree has been or was live; by the inode of its root, because names change when states do.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct States {
    states: Vec<State>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    inode: u64,
    since: Timestamp,
}

/// A former state of the tree.
pub(super) struct Former {
    pub(super) name: OsString,
    pub(super) since: Timestamp,
}

impl Kept {
    /// Beside the tree, made if need be; none where a rename between there and the tree would not be atomic.
    pub(super) fn beside(tree: &Path, root: &Root) -> io::Result<Option<Self>> {
        let Some(path) = beside(tree) else { return Ok(None) };
        Self::make(path, root, false)
    }

    /// Beside the tree, or in it.
    pub(super) fn anywhere(tree: &Path, root: &Root) -> io::Result<Option<Self>> {
        match Self::beside(tree, root) {
            Ok(Some(kept)) => Ok(Some(kept)),
            _ => Self::make(tree.join(KEPT_PREFIX), root, true),
        }
    }

    /// Beside the tree, if it is there.
    pub(super) fn find(tree: &Path) -> io::Result<Option<Self>> {
        let Some(path) = beside(tree) else { return Ok(None) };
        match open_directory(fs::CWD, path.as_os_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(Self { directory: opened?, path })),
        }
    }

    fn make(path: PathBuf, root: &Root, is_inside: bool) -> io::Result<Option<Self>> {
        match keeping_time(root, is_inside, || Ok(fs::mkdir(&path, Mode::RWXU)?)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let directory = open_directory(fs::CWD, path.as_os_str())?;
        let found = fs::fstat(&directory)?;
        if found.st_dev != fs::fstat(root.fd())?.st_dev {
            let _ = keeping_time(root, is_inside, || std::fs::remove_dir(&path));
            return Ok(None);
        }
        if found.st_uid != rustix::process::geteuid().as_raw() {
            let why = format!("{} belongs to somebody else", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        fs::fchmod(&directory, Mode::RWXU)?;
        Ok(Some(Self { directory, path }))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The inode of the live tree that `next` is complete for.
    pub(super) fn built_for(&self) -> Option<u64> {
        std::fs::read_to_string(self.path.join(BUILT)).ok()?.parse().ok()
    }

    pub(super) fn set_built_for(&self, inode: Option<u64>) -> io::Result<()> {
        match inode {
            Some(inode) => self.write(BUILT, inode.to_string().as_bytes()),
            None => match std::fs::remove_file(self.path.join(BUILT)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        }
    }

    /// All of it or nothing, and it lasts.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(new, self.path.join(name))
    }

    fn states(&self) -> States {
        let content = std::fs::read(self.path.join(STATES)).unwrap_or_default();
        serde_json::from_slice(&content).unwrap_or_default()
    }

    /// Since when the tree with this root has been live, or was.
    pub(super) fn since(&self, root: BorrowedFd<'_>) -> io::Result<Timestamp> {
        let found = fs::fstat(root)?;
        let known = self.states().states.into_iter().find(|state| state.inode == found.st_ino);
        // Before the first switch nobody wrote it down.
        let changed =
            found.st_ctime.saturating_mul(1_000_000).saturating_add(found.st_ctime_nsec as i64 / 1000);
        Ok(known.map_or_else(|| Timestamp::from_micros(changed), |state| state.since))
    }

    /// Writes down since when these trees have been live; what is gone is forgotten.
    pub(super) fn remember(&self, known: &[(u64, Timestamp)]) -> io::Result<()> {
        let mut states = self.states();
        let still: Vec<u64> = self.inodes()?;
        states.states.retain(|state| {
            still.contains(&state.inode) && known.iter().all(|(inode, _)| *inode != state.inode)
        });
        states.states.extend(known.iter().map(|(inode, since)| State { inode: *inode, since: *since }));
        self.write(STATES, &serde_json::to_vec(&states).unwrap_or_default())
    }

    fn inodes(&self) -> io::Result<Vec<u64>> {
        let found = std::fs::read_dir(&self.path)?;
        found.map(|found| Ok(std::os::unix::fs::DirEntryExt::ino(&found?))).collect()
    }

    /// The former states, newest first.
    pub(super) fn former(&self) -> io::Result<Vec<Former>> {
        let mut all = vec![];
        for found in std::fs::read_dir(&self.path)? {
            let found = found?;
            let name = found.file_name();
            let is_other =
                name == NEXT || name == QUARANTINE || name.as_bytes().starts_with(TRASH_PREFIX.as_bytes());
            if !is_other && found.file_type()?.is_dir() {
                let directory = open_directory(self.fd(), &name)?;
                all.push(Former { since: self.since(directory.as_fd())?, name });
            }
        }
        all.sort_by_key(|former| std::cmp::Reverse(former.since));
        Ok(all)
    }

    /// Names the state that stands under `name` by the time since which it was live.
    pub(super) fn file(&self, name: &OsStr) -> io::Result<()> {
        let directory = open_directory(self.fd(), name)?;
        let mut label = self.since(directory.as_fd())?.to_string();
        while label.as_str() != name
            && fs::accessat(self.fd(), label.as_str(), fs::Access::EXISTS, AtFlags::empty()).is_ok()
        {
            label.push('+');
        }
        Ok(fs::renameat(self.fd(), name, self.fd(), label.as_str())?)
    }

    /// Removes what stands under `name`, in two steps: what was begun, the next run ends.
    pub(super) fn discard(&self, name: &OsStr) -> io::Result<()> {
        let directory = open_directory(self.fd(), name)?;
        let trash = format!("{TRASH_PREFIX}{}", fs::fstat(&directory)?.st_ino);
        fs::renameat(self.fd(), name, self.fd(), trash.as_str())?;
        remove_all(self.fd(), OsStr::new(&trash))
    }

    /// Gives up what was being built.
    pub(super) fn forget_next(&self) -> io::Result<()> {
        self.set_built_for(None)?;
        match self.discard(OsStr::new(NEXT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Removes what a run left that was removing.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for found in std::fs::read_dir(&self.path)? {
            let name = found?.file_name();
            if name.as_bytes().starts_with(TRASH_PREFIX.as_bytes()) {
                remove_all(self.fd(), &name)?;
            }
        }
        Ok(())
    }
}

fn beside(tree: &Path) -> Option<PathBuf> {
    let (parent, name) = (tree.parent()?, tree.file_name()?);
    let beside = [KEPT_PREFIX.as_bytes(), b"-", name.as_bytes()].concat();
    (beside.len() <= 255).then(|| parent.join(OsString::from_vec(beside)))
}

pub(super) fn open_directory(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::openat(at, name, flags, Mode::empty())?)
}

/// Removes a name and everything below it; directories that keep their owner out are opened.
pub(super) fn remove_all(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
    let path = PathBuf::from(format!("/proc/self/fd/{number}")).join(name);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_all(&path)?;
            std::fs::remove_dir_all(&path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn open_all(path: &Path) -> io::Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        for found in std::fs::read_dir(&directory)? {
            let found = found?;
            if found.file_type()?.is_dir() {
                waiting.push(found.path());
            }
        }
    }
    Ok(())
}
