//! Where files wait until they are whole: a directory of our own on the file system of the tree.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::root::{Place, Root, set_metadata};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Entry, Kind, RelPath, STAGING_PREFIX};

/// What was cut short begins with this; a range of it that has arrived has a dot and its offsets after it.
const PARTIAL_PREFIX: &[u8] = b"partial-";
/// What was cut short is kept for so long.
const PARTIAL_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", std::process::id()).into()
    }

    /// The name under which the version `wanted` of a large file waits until all of it has come, by whatever run.
    fn partial_name(path: &RelPath, wanted: &Entry) -> OsString {
        let mut of = path.as_bytes().to_vec();
        of.extend_from_slice(b"\0");
        of.extend_from_slice(&wanted.size_bytes().to_le_bytes());
        of.extend_from_slice(&wanted.mtime_s.to_le_bytes());
        of.extend_from_slice(&wanted.mtime_ns.to_le_bytes());
        let digest = Digest::of(&of).to_string();
        OsString::from_vec([PARTIAL_PREFIX, &digest.as_bytes()[..32]].concat())
    }

    /// Removes the directory with everything in it. What cannot be removed now, the next run removes.
    pub(super) fn remove(&self, tree: &Path, root: &Root) {
        if self.clear().is_ok() {
            let is_inside = self.path.parent() == Some(tree);
            let _ = keeping_time(root, is_inside, || std::fs::remove_dir(&self.path));
        }
    }

    /// Removes everything but what was cut short and can be gone on with.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") && !self.is_of_use(name)? {
                fs::unlinkat(&self.directory, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    fn is_of_use(&self, name: &CStr) -> io::Result<bool> {
        if !name.to_bytes().starts_with(PARTIAL_PREFIX) || name.to_bytes().contains(&b'.') {
            return Ok(false);
        }
        let written = fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mtime;
        let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(written.unsigned_abs()));
        Ok(age.is_ok_and(|age| age < PARTIAL_FOR))
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

/// One name in the staging directory; removed when dropped, unless it landed or is to be gone on with.
pub(super) struct Staged {
    staging: Arc<Staging>,
    name: OsString,
    stays: bool,
    is_landed: Cell<bool>,
}

impl Staged {
    /// An empty file that nobody else can open.
    pub(super) fn file(staging: Arc<Staging>) -> io::Result<(Self, File)> {
        let staged = Self { name: staging.fresh_name(), staging, stays: false, is_landed: Cell::new(false) };
        let file = staged.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        Ok((staged, file))
    }

    /// The file in which the version `wanted` comes together; other runs and other ranges of it go on with the same one. It stays
    /// when dropped. The flag says whether it was there before.
    pub(super) fn partial(
        staging: Arc<Staging>,
        path: &RelPath,
        wanted: &Entry,
    ) -> io::Result<(Self, File, bool)> {
        let staged = Self {
            name: Staging::partial_name(path, wanted),
            staging,
            stays: true,
            is_landed: Cell::new(false),
        };
        match staged.open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = staged.open(OFlags::RDWR)?;
                Ok((staged, file, true))
            }
            made => Ok((staged, made?, false)),
        }
    }

    /// What has come of the version `wanted` so far.
    pub(super) fn begun(
        staging: Arc<Staging>,
        path: &RelPath,
        wanted: &Entry,
    ) -> io::Result<Option<(Self, File)>> {
        let staged = Self {
            name: Staging::partial_name(path, wanted),
            staging,
            stays: true,
            is_landed: Cell::new(false),
        };
        match staged.open(OFlags::RDWR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some((staged, opened?))),
        }
    }

    fn open(&self, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.staging.directory, &self.name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Writes down that these bytes have come and are right.
    pub(super) fn mark(&self, range: &Range<u64>) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = [self.name.as_bytes(), format!(".{}-{}", range.start, range.end).as_bytes()].concat();
        fs::openat(&self.staging.directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(())
    }

    /// The ranges that have come, with the names they are written down under.
    fn marks(&self) -> io::Result<Vec<(Range<u64>, CString)>> {
        let mut marks = vec![];
        for found in fs::Dir::read_from(&self.staging.directory)? {
            let found = found?;
            let name = found.file_name().to_bytes();
            let range = name.strip_prefix(self.name.as_bytes()).and_then(|rest| {
                let (start, end) = std::str::from_utf8(rest.strip_prefix(b".")?).ok()?.split_once('-')?;
                Some(start.parse().ok()?..end.parse().ok()?)
            });
            marks.extend(range.map(|range| (range, found.file_name().to_owned())));
        }
        marks.sort_by_key(|(range, _)| range.start);
        Ok(marks)
    }

    /// Whether all ranges of a file of this size have come.
    pub(super) fn is_whole(&self, size_bytes: u64) -> io::Result<bool> {
        let mut whole = 0;
        for (range, _) in self.marks()? {
            if range.start > whole {
                return Ok(false);
            }
            whole = whole.max(range.end);
        }
        Ok(whole == size_bytes)
    }

    /// Forgets what has come: nobody will go on with it.
    pub(super) fn discard(mut self) {
        self.stays = false;
        self.forget_marks();
    }

    /// Forgets which ranges have come.
    pub(super) fn forget_marks(&self) {
        for (_, name) in self.marks().unwrap_or_default() {
            let _ = fs::unlinkat(&self.staging.directory, name, AtFlags::empty());
        }
    }

    pub(super) fn symlink(staging: Arc<Staging>, target: &[u8]) -> io::Result<Self> {
        let staged = Self { name: staging.fresh_name(), staging, stays: false, is_landed: Cell::new(false) };
        fs::symlinkat(target, &staged.staging.directory, &staged.name)?;
        Ok(staged)
    }

    /// A device, FIFO or socket.
    pub(super) fn node(staging: Arc<Staging>, entry: &Entry) -> io::Result<Self> {
        let (kind, device) = match entry.kind {
            Kind::Device { is_block: true, major, minor } => {
                (fs::FileType::BlockDevice, fs::makedev(major, minor))
            }
            Kind::Device { is_block: false, major, minor } => {
                (fs::FileType::CharacterDevice, fs::makedev(major, minor))
            }
            Kind::Fifo => (fs::FileType::Fifo, 0),
            Kind::Socket => (fs::FileType::Socket, 0),
            _ => return Err(Errno::INVAL.into()),
        };
        let staged = Self { name: staging.fresh_name(), staging, stays: false, is_landed: Cell::new(false) };
        fs::mknodat(&staged.staging.directory, &staged.name, kind, Mode::RUSR | Mode::WUSR, device)?;
        Ok(staged)
    }

    /// One more name of what is at `place`.
    pub(super) fn link(staging: Arc<Staging>, place: &Place<'_>) -> io::Result<Self> {
        let staged = Self { name: staging.fresh_name(), staging, stays: false, is_landed: Cell::new(false) };
        let directory = &staged.staging.directory;
        fs::linkat(&place.directory, place.name, directory, &staged.name, AtFlags::empty())?;
        Ok(staged)
    }

    pub(super) fn set_metadata(&self, entry: &Entry) -> io::Result<()> {
        set_metadata(self.staging.directory.as_fd(), &self.name, entry)
    }

    /// Renames it over what is there. An empty directory makes place.
    pub(super) fn land(&self, directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        let rename = || fs::renameat(&self.staging.directory, &self.name, directory, name);
        match rename() {
            Err(Errno::ISDIR) => {
                fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
                rename()?;
            }
            done => done?,
        }
        self.is_landed.set(true);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.stays && !self.is_landed.get() {
            let _ = fs::unlinkat(&self.staging.directory, &self.name, AtFlags::empty());
        }
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
pub(super) fn keeping_time(
    root: &Root,
    is_inside: bool,
    act: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
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
