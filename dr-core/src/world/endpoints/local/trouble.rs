//! What went wrong on this machine's disk, in words that say what to do.

use std::io;

use rustix::io::Errno;

use super::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Landed, RelPath};

impl Tree {
    /// What went wrong with one path is told of that path; what would go wrong with every other one is an error.
    pub(super) fn of_one(&self, verb: &str, path: &RelPath, error: io::Error) -> Result<Landed> {
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        let is_for_all = matches!(
            errno,
            Some(
                Errno::NOSPC
                    | Errno::DQUOT
                    | Errno::IO
                    | Errno::ROFS
                    | Errno::NFILE
                    | Errno::MFILE
                    | Errno::NOMEM
            )
        );
        let trouble = self.trouble(verb, path, error);
        if is_for_all { Err(trouble) } else { Ok(Landed::Failed(trouble.to_string())) }
    }

    /// Names the path and says what to do.
    pub(super) fn trouble(&self, verb: &str, path: &RelPath, error: io::Error) -> Error {
        let operation = if path.is_root() {
            format!("{verb} {}", self.path.display())
        } else {
            format!("{verb} {path} in {}", self.path.display())
        };
        let known = |kind, message: &str, hint: &str| Error::new(kind, operation.clone(), message).hint(hint);
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => known(
                ErrorKind::Refused,
                "a symbolic link stands in the way, and dr never follows one inside a tree",
                "replace the link in the target by a directory, or remove it",
            ),
            Some(Errno::NOTEMPTY) => known(
                ErrorKind::Conflict,
                "the directory is not empty: something else writes into the tree",
                "find what writes there, then mirror again",
            ),
            Some(Errno::XDEV) => known(
                ErrorKind::Unsupported,
                "it is on another file system than the tree's root",
                "mirror what is mounted there as a tree of its own, and exclude it here",
            ),
            Some(Errno::NOSPC | Errno::DQUOT) => {
                Error::io(operation, error).hint("make room on that file system, then mirror again")
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                Error::io(operation, error).hint("give the account that mirrors the right to it")
            }
            _ => Error::io(operation, error),
        }
    }
}
