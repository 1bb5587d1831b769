//! A directory that is the whole world of a host: no path leaves it, whatever `..`, symlinks or races are in it.
//!
//! The kernel resolves where it can (`openat2` with `RESOLVE_IN_ROOT`, Linux 5.6); elsewhere, and in sandboxes
//! that forbid the call, [`walk`] does the same one component at a time. Absolute symlinks mean the root of the
//! host, as they would on the machine it stands for.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

/// As many symlinks as Linux follows in one path (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// The root directory of a host, held open.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Opens the directory at `path` as a root.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.0
    }

    /// Opens `path`, which begins at the root whether or not it begins with a slash. Symlinks are followed
    /// inside the root, the last one unless `flags` say `NOFOLLOW`.
    pub(crate) fn open_at(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        match in_kernel(&self.0, path, flags, mode) {
            Err(Errno::NOSYS | Errno::PERM) => walk(&self.0, path, flags, mode),
            outcome => outcome,
        }
    }

    /// The directory that holds `path`, and the last name of it: for what acts on a name (rename, remove,
    /// symlink). `path` must have a last name: not the root, not `.`, not `..`.
    pub(crate) fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), Errno> {
        let path = trim_slashes(path);
        let cut = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, name) = path.split_at(cut);
        if matches!(name, b"" | b"." | b"..") {
            return Err(Errno::INVAL);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((self.open_at(directory, flags, Mode::empty())?, name))
    }
}

fn trim_slashes(mut path: &[u8]) -> &[u8] {
    while let Some((b'/', rest)) = path.split_last() {
        path = rest;
    }
    path
}

#[cfg(target_os = "linux")]
fn in_kernel(root: &OwnedFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        // EAGAIN: a rename raced with a `..`, and the kernel wants the question again.
        match openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn in_kernel(_: &OwnedFd, _: &[u8], _: OFlags, _: Mode) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Resolves `path` one component at a time. Every directory on the way is held open and `..` goes back along
/// them, so that nothing but a name below the root is ever opened.
fn walk(root: &OwnedFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut pending: Vec<Vec<u8>> = components(path);
    let mut trail: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == b".." {
            trail.pop();
            continue;
        }
        let here = trail.last().unwrap_or(root);
        let last = pending.is_empty();
        let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
        if !(last && (flags.contains(OFlags::NOFOLLOW) || exclusive)) {
            match rustix::fs::readlinkat(here, &*name, Vec::new()) {
                Ok(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP);
                    }
                    if target.to_bytes().starts_with(b"/") {
                        trail.clear();
                    }
                    pending.extend(components(target.to_bytes()));
                    continue;
                }
                Err(Errno::INVAL | Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        if last {
            return openat(here, &*name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode);
        }
        trail.push(openat(here, &*name, step, Mode::empty())?);
    }
    openat(trail.last().unwrap_or(root), ".", flags | OFlags::CLOEXEC, mode)
}

/// The components of `path`, last first, without the ones that mean nothing.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .rev()
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::symlink};

    use super::*;

    /// Both ways to resolve must give the same for every path.
    fn check(root: &Path, path: &str, expected: Result<&str, Errno>) {
        let root = Root::open(root).unwrap();
        let read = |opened: Result<OwnedFd, Errno>| {
            opened.map(|fd| {
                let mut text = String::new();
                fs::File::from(fd).read_to_string(&mut text).unwrap();
                text
            })
        };
        let expected = expected.map(str::to_owned);
        let flags = OFlags::RDONLY;
        assert_eq!(read(walk(&root.0, path.as_bytes(), flags, Mode::empty())), expected, "walk {path}");
        assert_eq!(read(root.open_at(path.as_bytes(), flags, Mode::empty())), expected, "open_at {path}");
    }

    #[test]
    fn nothing_leaves_the_root() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("root");
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        fs::write(inside.join("a/b/file"), "inside").unwrap();
        fs::write(inside.join("top"), "top").unwrap();
        symlink("../../..", inside.join("a/b/up")).unwrap();
        symlink("/", inside.join("a/slash")).unwrap();
        symlink(outside.path(), inside.join("a/host")).unwrap();
        symlink("b/file", inside.join("a/relative")).unwrap();
        symlink("/a/b/file", inside.join("absolute")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();

        check(&inside, "/a/b/file", Ok("inside"));
        check(&inside, "a//./b/file", Ok("inside"));
        check(&inside, "a/relative", Ok("inside"));
        check(&inside, "absolute", Ok("inside"));
        check(&inside, "a/slash/a/slash/absolute", Ok("inside"));
        check(&inside, "../../top", Ok("top"));
        check(&inside, "/../../../secret", Err(Errno::NOENT));
        check(&inside, "a/b/up/secret", Err(Errno::NOENT));
        check(&inside, "a/b/up/top", Ok("top"));
        check(&inside, "a/host/secret", Err(Errno::NOENT));
        check(&inside, "/etc/passwd", Err(Errno::NOENT));
        check(&inside, "loop", Err(Errno::LOOP));
        check(&inside, "top/file", Err(Errno::NOTDIR));
    }

    #[test]
    fn a_name_has_a_parent_and_the_root_has_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        assert_eq!(root.parent(b"/file").unwrap().1, b"file");
        assert_eq!(root.parent(b"directory//").unwrap().1, b"directory");
        for nameless in [&b"/"[..], b"", b".", b"..", b"/./.."] {
            assert_eq!(root.parent(nameless).unwrap_err(), Errno::INVAL, "{nameless:?}");
        }
    }
}
