//! What the file system of a tree can do, as far as that differs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Tree;
use super::staging::keeping_time;
use crate::mirror::{RelPath, STAGING_PREFIX};

/// So many names are tried before one is made.
const NAMES: usize = 64;

/// Whether what is at `path`, or will be there, can have extended attributes or access lists at all.
pub(super) fn has_attributes(path: &Path) -> bool {
    let there = if path.exists() { Some(path) } else { path.parent() };
    let can = |name: &str| {
        let mut nothing: [u8; 0] = [];
        there.is_some_and(|there| fs::getxattr(there, name, &mut nothing) != Err(Errno::OPNOTSUPP))
    };
    can("user.dr") || can("system.posix_acl_access")
}

/// Whether a name is found in another case, too, in the root or where it will be.
pub(super) fn folds_case(tree: &Tree) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = tree.live() else {
        let Some(parent) = tree.path.parent() else { return Ok(false) };
        let directory = fs::open(parent, flags, Mode::empty())?;
        return told_by_names(&directory)?.map_or_else(|| told_by_a_new_name(directory.as_fd()), Ok);
    };
    let directory = root.open_at(&RelPath::root(), flags)?;
    if let Some(told) = told_by_names(&directory)? {
        return Ok(told);
    }
    let mut folds = false;
    keeping_time(&root, true, || {
        folds = told_by_a_new_name(directory.as_fd())?;
        Ok(())
    })?;
    Ok(folds)
}

/// What the names that are there tell; none if there is none that tells anything.
fn told_by_names(directory: &OwnedFd) -> io::Result<Option<bool>> {
    for found in Dir::read_from(directory)?.take(NAMES) {
        let found = found?;
        let name = found.file_name().to_bytes();
        let other = in_other_case(name);
        if other == name {
            continue;
        }
        let look = |name: &[u8]| fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        match (look(name), look(&other)) {
            (Ok(_), Err(Errno::NOENT)) => return Ok(Some(false)),
            (Ok(one), Ok(other)) if !is_one(&one, &other) => return Ok(Some(false)),
            // A second name of the same file would be no proof.
            (Ok(one), Ok(_)) if one.st_nlink == 1 => return Ok(Some(true)),
            _ => {}
        }
    }
    Ok(None)
}

fn told_by_a_new_name(directory: BorrowedFd<'_>) -> io::Result<bool> {
    // No mirror ever lists such a name.
    let name = format!("{STAGING_PREFIX}-case-{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR)?;
    let other = in_other_case(name.as_bytes());
    let folds = fs::statat(directory, other.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok();
    fs::unlinkat(directory, &name, AtFlags::empty())?;
    Ok(folds)
}

fn is_one(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn in_other_case(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_that_differ_in_case_are_two() {
        let here = tempfile::tempdir().unwrap();
        let directory = fs::open(here.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(told_by_names(&directory).unwrap(), None, "nothing is there");
        assert!(!told_by_a_new_name(directory.as_fd()).unwrap());
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
        std::fs::write(here.path().join("1"), "").unwrap();
        assert_eq!(told_by_names(&directory).unwrap(), None, "no letter in it");
        std::fs::write(here.path().join("page"), "").unwrap();
        assert_eq!(told_by_names(&directory).unwrap(), Some(false));
        std::fs::hard_link(here.path().join("page"), here.path().join("PAGE")).unwrap();
        assert_eq!(told_by_names(&directory).unwrap(), None, "one file with both names tells nothing");
    }
}
