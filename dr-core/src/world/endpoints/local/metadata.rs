//! What the operating system says about one name, and setting it: owner, mode, attributes, times.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, LazyLock};

use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::mirror::{Bytes, Entry, Kind, Owner, Xattrs};

/// Most files have no attributes: they share this.
static NO_XATTRS: LazyLock<Xattrs> = LazyLock::new(Xattrs::default);
/// Whether attributes that only root may set are carried.
static IS_SUPERUSER: LazyLock<bool> = LazyLock::new(|| rustix::process::geteuid().is_root());
/// The kernel's limit for the list of names and for a value (xattr(7)).
const XATTR_BYTES: usize = 64 * 1024;

/// What stands under `name` in an open directory; none if nothing does.
pub(super) fn entry_at(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Entry>> {
    let stat = match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat?,
    };
    let target = match fs::FileType::from_raw_mode(stat.st_mode) {
        fs::FileType::Symlink => match fs::readlinkat(directory, name, vec![]) {
            Err(Errno::NOENT) => return Ok(None),
            target => target?.into_bytes(),
        },
        _ => vec![],
    };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let xattrs = AttributeReader::new(directory).read(&name);
    Ok(Some(entry_of(&stat, target, xattrs)))
}

/// The entry that these facts make.
pub(super) fn entry_of(stat: &Stat, target: Vec<u8>, xattrs: Option<Xattrs>) -> Entry {
    let device =
        |is_block| Kind::Device { is_block, major: fs::major(stat.st_rdev), minor: fs::minor(stat.st_rdev) };
    let kind = match fs::FileType::from_raw_mode(stat.st_mode) {
        fs::FileType::RegularFile => {
            Kind::File { size_bytes: u64::try_from(stat.st_size).unwrap_or(0), digest: None }
        }
        fs::FileType::Directory => Kind::Directory,
        fs::FileType::Symlink => Kind::Symlink { target: Bytes(target) },
        fs::FileType::BlockDevice => device(true),
        fs::FileType::CharacterDevice => device(false),
        fs::FileType::Fifo => Kind::Fifo,
        fs::FileType::Socket => Kind::Socket,
        fs::FileType::Unknown => Kind::Other,
    };
    Entry {
        kind,
        mode: stat.st_mode & 0o7777,
        mtime_s: stat.st_mtime,
        mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        owner: Some(Owner { uid: stat.st_uid, gid: stat.st_gid }),
        xattrs,
    }
}

/// Reads the extended attributes of what is in one directory. No call takes a directory and a name, so the way is through /proc;
/// the last component is never followed.
pub(super) struct AttributeReader {
    /// The path of the directory, and room for a name.
    path: Vec<u8>,
    directory_bytes: usize,
    names: Vec<u8>,
    /// What the last file had that had any: the next one often has the same.
    last: Option<Xattrs>,
}

impl AttributeReader {
    pub(super) fn new(directory: BorrowedFd<'_>) -> Self {
        let mut reader = Self { path: vec![], directory_bytes: 0, names: vec![], last: None };
        reader.enter(directory);
        reader
    }

    /// What the file at a path has; a symbolic link at its end is not followed.
    pub(super) fn of_path(path: &std::path::Path) -> Option<Xattrs> {
        Self::new(fs::CWD).read(&CString::new(path.as_os_str().as_bytes()).ok()?)
    }

    /// Goes to another directory.
    pub(super) fn enter(&mut self, directory: BorrowedFd<'_>) {
        // The current directory is no descriptor.
        let number = directory.as_raw_fd();
        self.path = if number < 0 { vec![] } else { format!("/proc/self/fd/{number}/").into_bytes() };
        self.directory_bytes = self.path.len();
    }

    /// None where they cannot be known: the file system has none, or it vanished.
    pub(super) fn read(&mut self, name: &CStr) -> Option<Xattrs> {
        self.path.truncate(self.directory_bytes);
        self.path.extend_from_slice(name.to_bytes_with_nul());
        let path = CStr::from_bytes_with_nul(&self.path).ok()?;
        let mut few = [0_u8; 256];
        let names = match fs::llistxattr(path, &mut few) {
            Ok(0) => return Some(NO_XATTRS.clone()),
            Ok(length) => &few[..length],
            Err(Errno::RANGE) => {
                self.names.resize(XATTR_BYTES, 0);
                let length = fs::llistxattr(path, &mut self.names[..]).ok()?;
                &self.names[..length]
            }
            Err(_) => return None,
        };
        let found = values(names, |name, value| fs::lgetxattr(path, name, value))?;
        if let Some(last) = self.last.as_ref().filter(|last| ***last == found) {
            return Some(last.clone());
        }
        let found = if found.is_empty() { NO_XATTRS.clone() } else { Arc::new(found) };
        self.last = Some(found.clone());
        Some(found)
    }
}

/// The values of all attributes that are carried.
fn values(
    names: &[u8],
    read: impl Fn(&CStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> Option<BTreeMap<String, Bytes>> {
    let mut found = BTreeMap::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        // A name that is not UTF-8 has no place in a plan; nobody has one.
        let Some(text) = name.to_str().ok().filter(|text| is_carried(text)) else { continue };
        let mut few = [0_u8; 1024];
        let value = match read(name, &mut few) {
            Ok(length) => few[..length].to_vec(),
            Err(Errno::RANGE) => {
                let mut many = vec![0; XATTR_BYTES];
                let length = read(name, &mut many).ok()?;
                many.truncate(length);
                many
            }
            // Removed meanwhile.
            Err(Errno::NODATA) => continue,
            Err(_) => return None,
        };
        found.insert(text.to_owned(), Bytes(value));
    }
    Some(found)
}

/// The user's own attributes and ACLs always, what only root may set as root. Labels of SELinux belong to the machine.
fn is_carried(name: &str) -> bool {
    name.starts_with("user.")
        || matches!(name, "system.posix_acl_access" | "system.posix_acl_default")
        || (*IS_SUPERUSER
            && (name.starts_with("trusted.") || name.starts_with("security."))
            && name != "security.selinux")
}

/// Sets owner, mode, attributes and time, as far as `entry` has them, of whatever kind `name` is. A descriptor pins what is meant, so
/// that nothing can be slipped in between; only through /proc can the mode be set without the right to read (open(2), O_PATH).
pub(super) fn set_metadata(directory: BorrowedFd<'_>, name: &OsStr, entry: &Entry) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = fs::openat(directory, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let there = fs::fstat(&pinned)?;
    let calls = Calls {
        list: &|names| fs::listxattr(&path, names),
        read: &|name, value| fs::getxattr(&path, name, value),
        set: &|name, value| fs::setxattr(&path, name, value, XattrFlags::empty()),
        remove: &|name| fs::removexattr(&path, name),
        own: &|uid, gid| fs::chownat(&pinned, c"", uid, gid, AtFlags::EMPTY_PATH),
        chmod: &|mode| fs::chmod(&path, mode),
        touch: &|times| fs::utimensat(fs::CWD, &path, times, AtFlags::empty()),
    };
    dress(&there, entry, &calls)
}

/// As [`set_metadata`], for an open file: quicker.
pub(super) fn set_metadata_of(file: impl AsFd, entry: &Entry) -> io::Result<()> {
    let file = file.as_fd();
    let there = fs::fstat(file)?;
    let calls = Calls {
        list: &|names| fs::flistxattr(file, names),
        read: &|name, value| fs::fgetxattr(file, name, value),
        set: &|name, value| fs::fsetxattr(file, name, value, XattrFlags::empty()),
        remove: &|name| fs::fremovexattr(file, name),
        own: &|uid, gid| fs::fchown(file, uid, gid),
        chmod: &|mode| fs::fchmod(file, mode),
        touch: &|times| fs::futimens(file, times),
    };
    dress(&there, entry, &calls)
}

type Called<T> = rustix::io::Result<T>;

/// The ways to one inode.
struct Calls<'a> {
    list: &'a dyn Fn(&mut [u8]) -> Called<usize>,
    read: &'a dyn Fn(&CStr, &mut [u8]) -> Called<usize>,
    set: &'a dyn Fn(&str, &[u8]) -> Called<()>,
    remove: &'a dyn Fn(&str) -> Called<()>,
    own: &'a dyn Fn(Option<Uid>, Option<Gid>) -> Called<()>,
    chmod: &'a dyn Fn(Mode) -> Called<()>,
    touch: &'a dyn Fn(&Timestamps) -> Called<()>,
}

/// The owner comes first, because that takes setuid bits and capabilities away; attributes that are not wanted go before the mode is
/// set, because an ACL hides it; those that are wanted come after it.
fn dress(there: &Stat, entry: &Entry, calls: &Calls<'_>) -> io::Result<()> {
    let owner_there = Owner { uid: there.st_uid, gid: there.st_gid };
    let owner = entry.owner.filter(|owner| *owner != owner_there);
    if let Some(owner) = owner {
        (calls.own)(Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    let has = match &entry.xattrs {
        None => None,
        Some(wanted) => {
            let has = present(calls)?;
            for name in has.keys().filter(|name| !wanted.contains_key(*name)) {
                (calls.remove)(name)?;
            }
            Some((wanted, has))
        }
    };
    let is_link = fs::FileType::from_raw_mode(there.st_mode).is_symlink();
    // Taking an ACL away and changing the owner change the mode.
    let was_touched = owner.is_some() || has.as_ref().is_some_and(|(_, has)| !has.is_empty());
    if !is_link && (was_touched || there.st_mode & 0o7777 != entry.mode & 0o7777) {
        (calls.chmod)(Mode::from_raw_mode(entry.mode))?;
    }
    if let Some((wanted, has)) = has {
        // After a change of owner or mode nothing is sure to be as it was.
        let is_right = |(name, value): &(&String, &Bytes)| !was_touched && has.get(*name) == Some(*value);
        for (name, value) in wanted.iter().filter(|wanted| !is_right(wanted)) {
            (calls.set)(name, &value.0)?;
        }
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
        last_modification: Timespec { tv_sec: entry.mtime_s, tv_nsec: i64::from(entry.mtime_ns) },
    };
    Ok((calls.touch)(&times)?)
}

/// The attributes that are there now. A file system that knows none has none.
fn present(calls: &Calls<'_>) -> io::Result<BTreeMap<String, Bytes>> {
    let mut names = [0_u8; 256];
    let mut more = vec![];
    let names = match (calls.list)(&mut names) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
        Ok(length) => &names[..length],
        Err(Errno::RANGE) => {
            more.resize(XATTR_BYTES, 0);
            let length = (calls.list)(&mut more)?;
            &more[..length]
        }
        Err(error) => return Err(error.into()),
    };
    Ok(values(names, calls.read).unwrap_or_default())
}
