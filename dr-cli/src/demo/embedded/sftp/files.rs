//! What the requests of one SFTP session do to the files below its root.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, Dir, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, Uid},
    io::Errno,
};

use super::wire::{self, Access, Attributes, Code, Packet, Reply, Request};
use crate::demo::embedded::confine::Root;

/// As many as OpenSSH's server has before it runs into the usual limit of open files.
const HANDLES_MAX: u32 = 1000;
/// Names in one answer to READDIR.
const NAMES_MAX: usize = 100;

/// An open handle of the session.
enum Open {
    File { file: File, append: bool },
    Directory(Dir),
}

/// Why a request is refused.
struct Refusal(Code, String);

impl From<Errno> for Refusal {
    /// As OpenSSH's `errno_to_portable`.
    fn from(errno: Errno) -> Self {
        let code = match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP => Code::NoSuchFile,
            Errno::PERM | Errno::ACCESS | Errno::FAULT => Code::PermissionDenied,
            Errno::NAMETOOLONG | Errno::INVAL => Code::BadMessage,
            Errno::NOSYS | Errno::NOTSUP => Code::OpUnsupported,
            _ => Code::Failure,
        };
        Self(code, std::io::Error::from(errno).to_string())
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Self(Code::Failure, error.to_string()),
        }
    }
}

/// The files of one session.
pub(super) struct Files {
    root: Arc<Root>,
    home: Vec<u8>,
    handles: BTreeMap<u32, Open>,
}

impl Files {
    pub(super) fn new(root: Arc<Root>, home: Vec<u8>) -> Self {
        Self { root, home, handles: BTreeMap::new() }
    }

    /// The answer to `packet`, or `None` where the session makes no sense any more.
    pub(super) fn answer(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let reply = match wire::decode(packet)? {
            Packet::Init => Reply::version(),
            Packet::Request(id, None) => {
                Reply::status(id, Code::BadMessage, "the request is malformed, or has a NUL in a name")
            }
            Packet::Request(id, Some(request)) => self
                .perform(id, request)
                .unwrap_or_else(|Refusal(code, message)| Reply::status(id, code, &message)),
        };
        Some(reply.bytes())
    }

    fn perform(&mut self, id: u32, request: Request) -> Result<Reply, Refusal> {
        match request {
            Request::Open { path, access, attributes } => self.open(id, &path, access, &attributes),
            Request::Opendir { path } => self.opendir(id, &path),
            Request::Read { handle, offset, length } => self.read(id, &handle, offset, length),
            Request::Readdir { handle } => self.readdir(id, &handle),
            Request::Stat { path } => Ok(Reply::attrs(id, &attributes(&self.stat(&path, OFlags::empty())?))),
            Request::Lstat { path } => {
                Ok(Reply::attrs(id, &attributes(&self.stat(&path, OFlags::NOFOLLOW)?)))
            }
            Request::Fstat { handle } => {
                Ok(Reply::attrs(id, &attributes(&fs::fstat(self.file(&handle)?.0)?)))
            }
            Request::Realpath { path } => {
                let name = self.realpath(&path)?;
                Ok(Reply::names(id, &[(name.clone(), name, Attributes::default())]))
            }
            Request::Readlink { path } => {
                let (directory, name) = self.parent(&path)?;
                let target = fs::readlinkat(directory, name, Vec::new())?.into_bytes();
                Ok(Reply::names(id, &[(target.clone(), target, Attributes::default())]))
            }
            Request::Statvfs { path } => self.statvfs(id, &path),
            Request::Limits => {
                let [packet, data] = [wire::PACKET_MAX_BYTES, wire::DATA_MAX_BYTES].map(u64::from);
                Ok(Reply::numbers(id, &[packet, data, data, HANDLES_MAX.into()]))
            }
            Request::Unsupported => {
                Err(Refusal(Code::OpUnsupported, "this server does not know that".into()))
            }
            change => self.change(change).map(|()| Reply::status(id, Code::Ok, "Success")),
        }
    }

    /// The requests whose only answer is a status.
    fn change(&mut self, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Close { handle } => {
                let open = number(&handle).and_then(|number| self.handles.remove(&number));
                return open.map(drop).ok_or_else(no_handle);
            }
            Request::Write { handle, offset, data } => self.write(&handle, offset, &data)?,
            Request::Fsync { handle } => self.file(&handle)?.0.sync_all()?,
            Request::Setstat { path, attributes } => {
                if let Some(size) = attributes.size {
                    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
                    File::from(self.open_at(&path, flags, Mode::empty())?).set_len(size)?;
                }
                set_attributes(&self.open_at(&path, OFlags::PATH, Mode::empty())?, &attributes)?;
            }
            Request::Fsetstat { handle, attributes } => {
                let (file, _) = self.file(&handle)?;
                if let Some(size) = attributes.size {
                    file.set_len(size)?;
                }
                set_attributes(file, &attributes)?;
            }
            Request::Lsetstat { path, attributes } => self.lsetstat(&path, &attributes)?,
            Request::Mkdir { path, attributes } => {
                let (directory, name) = self.parent(&path)?;
                fs::mkdirat(directory, name, mode_of(&attributes, 0o777))?;
            }
            Request::Rmdir { path } => {
                let (directory, name) = self.parent(&path)?;
                fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
            }
            Request::Remove { path } => {
                let (directory, name) = self.parent(&path)?;
                fs::unlinkat(directory, name, AtFlags::empty())?;
            }
            Request::Rename { from, to } => self.rename(&from, &to)?,
            Request::PosixRename { from, to } => {
                let ((old, from), (new, to)) = (self.parent(&from)?, self.parent(&to)?);
                fs::renameat(old, from, new, to)?;
            }
            Request::Hardlink { from, to } => {
                let ((old, from), (new, to)) = (self.parent(&from)?, self.parent(&to)?);
                fs::linkat(old, from, new, to, AtFlags::empty())?;
            }
            Request::Symlink { target, link } => {
                let (directory, name) = self.parent(&link)?;
                fs::symlinkat(&*target, directory, name)?;
            }
            // The others answer with more than a status.
            _ => return Err(Refusal(Code::OpUnsupported, "this server does not know that".into())),
        }
        Ok(())
    }

    fn open(
        &mut self,
        id: u32,
        path: &[u8],
        access: Access,
        attributes: &Attributes,
    ) -> Result<Reply, Refusal> {
        let mut flags = match (access.has(Access::READ), access.has(Access::WRITE)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        for (bit, flag) in [
            (Access::APPEND, OFlags::APPEND),
            (Access::CREATE, OFlags::CREATE),
            (Access::TRUNCATE, OFlags::TRUNC),
            (Access::EXCLUDE, OFlags::EXCL),
        ] {
            flags.set(flag, access.has(bit));
        }
        let mode = if access.has(Access::CREATE) { mode_of(attributes, 0o666) } else { Mode::empty() };
        // Not to be held up by a FIFO that nobody writes to.
        let file = File::from(self.open_at(path, flags | OFlags::NONBLOCK, mode)?);
        self.keep(id, Open::File { file, append: access.has(Access::APPEND) })
    }

    fn opendir(&mut self, id: u32, path: &[u8]) -> Result<Reply, Refusal> {
        let fd = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        self.keep(id, Open::Directory(Dir::new(fd)?))
    }

    fn keep(&mut self, id: u32, open: Open) -> Result<Reply, Refusal> {
        // The lowest that is free, as OpenSSH's server does it: clients that take a handle for text get along
        // with small numbers only.
        let free = (0..HANDLES_MAX).find(|handle| !self.handles.contains_key(handle));
        let handle = free.ok_or(Errno::MFILE)?;
        self.handles.insert(handle, open);
        Ok(Reply::handle(id, &handle.to_be_bytes()))
    }

    fn file(&self, handle: &[u8]) -> Result<(&File, bool), Refusal> {
        match number(handle).and_then(|number| self.handles.get(&number)) {
            Some(Open::File { file, append }) => Ok((file, *append)),
            _ => Err(no_handle()),
        }
    }

    fn read(&self, id: u32, handle: &[u8], offset: u64, length: u32) -> Result<Reply, Refusal> {
        let (file, _) = self.file(handle)?;
        let mut data = vec![0; length.min(wire::DATA_MAX_BYTES) as usize];
        let count = file.read_at(&mut data, offset)?;
        if count == 0 && length > 0 {
            return Err(Refusal(Code::Eof, "End of file".into()));
        }
        Ok(Reply::data(id, &data[..count]))
    }

    fn write(&self, handle: &[u8], offset: u64, data: &[u8]) -> Result<(), Refusal> {
        let (mut file, append) = self.file(handle)?;
        if append {
            file.write_all(data)?;
        } else {
            file.write_all_at(data, offset)?;
        }
        Ok(())
    }

    fn readdir(&mut self, id: u32, handle: &[u8]) -> Result<Reply, Refusal> {
        let open = number(handle).and_then(|number| self.handles.get_mut(&number));
        let Some(Open::Directory(directory)) = open else { return Err(no_handle()) };
        let mut names = Vec::new();
        while names.len() < NAMES_MAX {
            let Some(entry) = directory.read() else { break };
            let name = entry?.file_name().to_owned();
            // Gone since it was read: not there.
            let Ok(stat) = fs::statat(directory.fd()?, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            names.push((name.to_bytes().to_vec(), long_name(name.to_bytes(), &stat), attributes(&stat)));
        }
        if names.is_empty() {
            return Err(Refusal(Code::Eof, "End of file".into()));
        }
        Ok(Reply::names(id, &names))
    }

    /// SFTP's own rename, which never replaces what is there.
    fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Refusal> {
        let ((old, from), (new, to)) = (self.parent(from)?, self.parent(to)?);
        match fs::renameat_with(&old, &from, &new, &to, RenameFlags::NOREPLACE) {
            // The file system does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            outcome => return Ok(outcome?),
        }
        match fs::statat(&new, &to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(fs::renameat(old, from, new, to)?),
            Err(errno) => Err(errno.into()),
            Ok(_) => Err(Errno::EXIST.into()),
        }
    }

    fn lsetstat(&self, path: &[u8], attributes: &Attributes) -> Result<(), Refusal> {
        let (directory, name) = self.parent(path)?;
        if attributes.size.is_some() || attributes.mode.is_some() {
            return Err(Refusal(
                Code::OpUnsupported,
                "a link has neither a size nor a mode of its own".into(),
            ));
        }
        if let Some(times) = attributes.times {
            fs::utimensat(&directory, &name, &timestamps(times), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some((user, group)) = attributes.owner {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            fs::chownat(&directory, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn stat(&self, path: &[u8], follow: OFlags) -> Result<Stat, Errno> {
        fs::fstat(self.open_at(path, OFlags::PATH | follow, Mode::empty())?)
    }

    fn statvfs(&self, id: u32, path: &[u8]) -> Result<Reply, Refusal> {
        let s = fs::fstatvfs(self.open_at(path, OFlags::PATH, Mode::empty())?)?;
        let flags = s.f_flag.bits() & 3;
        let numbers = [
            s.f_bsize,
            s.f_frsize,
            s.f_blocks,
            s.f_bfree,
            s.f_bavail,
            s.f_files,
            s.f_ffree,
            s.f_favail,
            s.f_fsid,
            flags,
            s.f_namemax,
        ];
        Ok(Reply::numbers(id, &numbers))
    }

    /// The path from the root without symlinks, `.` and `..`. The last name need not exist, as with OpenSSH.
    fn realpath(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.open_at(path, OFlags::PATH, Mode::empty()) {
            Ok(fd) => Ok(self.path_below_root(&fd)?),
            Err(Errno::NOENT) => {
                let (directory, name) = self.parent(path)?;
                let mut real = self.path_below_root(&directory)?;
                if real != b"/" {
                    real.push(b'/');
                }
                real.extend(name);
                Ok(real)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn path_below_root(&self, fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
        let name = |fd: &OwnedFd| Ok(fs::readlink(descriptor_path(fd), Vec::new())?.into_bytes());
        let root = name(self.root.directory())?;
        let real: Vec<u8> = name(fd)?;
        match real.strip_prefix(root.as_slice()) {
            Some(b"") => Ok(b"/".to_vec()),
            Some(below) if below.starts_with(b"/") => Ok(below.to_vec()),
            // The root was moved between the two questions.
            _ => Err(Errno::NOENT),
        }
    }

    fn open_at(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.root.open_at(&self.absolute(path), flags, mode)
    }

    /// The open directory and the name in it that `path` means.
    fn parent(&self, path: &[u8]) -> Result<(OwnedFd, Vec<u8>), Errno> {
        let path = self.absolute(path);
        let (directory, name) = self.root.parent(&path)?;
        Ok((directory, name.to_vec()))
    }

    fn absolute(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") { path.to_vec() } else { [self.home.as_slice(), b"/", path].concat() }
    }
}

fn number(handle: &[u8]) -> Option<u32> {
    handle.try_into().ok().map(u32::from_be_bytes)
}

fn no_handle() -> Refusal {
    Refusal(Code::Failure, "no such handle".into())
}

fn mode_of(attributes: &Attributes, otherwise: u32) -> Mode {
    Mode::from_raw_mode(attributes.mode.unwrap_or(otherwise) & 0o7777)
}

fn descriptor_path(fd: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Sets what is said but the size. Through `/proc`, because `fd` may be one that only names the file.
fn set_attributes(fd: &impl AsRawFd, attributes: &Attributes) -> Result<(), Errno> {
    let path = descriptor_path(fd);
    // The owner first: changing it clears the set-user-id bits of the mode.
    if let Some((user, group)) = attributes.owner {
        fs::chown(&*path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    if let Some(mode) = attributes.mode {
        fs::chmod(&*path, Mode::from_raw_mode(mode & 0o7777))?;
    }
    if let Some(times) = attributes.times {
        fs::utimensat(fs::CWD, &*path, &timestamps(times), AtFlags::empty())?;
    }
    Ok(())
}

fn timestamps((accessed, modified): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    Timestamps { last_access: at(accessed), last_modification: at(modified) }
}

fn attributes(stat: &Stat) -> Attributes {
    // SFTP version 3 has 32 bits for a time: clamped, as a wrong century helps nobody.
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    Attributes {
        size: u64::try_from(stat.st_size).ok(),
        owner: Some((stat.st_uid, stat.st_gid)),
        mode: Some(stat.st_mode),
        times: Some((seconds(stat.st_atime), seconds(stat.st_mtime))),
    }
}

/// The line of `ls -l`, for people; without the time, which clients make themselves from the attributes.
fn long_name(name: &[u8], stat: &Stat) -> Vec<u8> {
    let kind = match stat.st_mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o100_000 => '-',
        _ => '?',
    };
    let bits: String = (0..9)
        .map(|bit| if stat.st_mode & (0o400 >> bit) != 0 { ['r', 'w', 'x'][bit % 3] } else { '-' })
        .collect();
    let line =
        format!("{kind}{bits} {:3} {:8} {:8} {:8} ", stat.st_nlink, stat.st_uid, stat.st_gid, stat.st_size);
    [line.as_bytes(), name].concat()
}
