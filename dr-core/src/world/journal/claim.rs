//! The right to drive a run: a lock on a small file that the kernel lets go of when its holder dies, however it dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, ErrorKind, Result};
use crate::run::RunId;
use crate::world::Claim;

/// A held lock; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    // Closing it lets the lock go, so it stays open as long as this value lives.
    _file: File,
}

impl Claim for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is still locked: whoever opened this file meanwhile sees that it has no name any more, and tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes the lock for a run, or says who has it.
pub(super) fn take(journal: &Path, run: RunId) -> Result<Held> {
    let path = beside(journal, run);
    let operation = format!("take up run {run}");
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::io(operation.clone(), error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(locked(&mut file, &operation)),
            Err(error) => return Err(Error::io(operation, error.into())),
        }
        if still_has_its_name(&file, &path) {
            let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            named.map_err(|error| Error::io(operation, error))?;
            return Ok(Held { path, _file: file });
        }
    }
}

fn beside(journal: &Path, run: RunId) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(format!(".{run}.lock"));
    PathBuf::from(name)
}

fn still_has_its_name(file: &File, path: &Path) -> bool {
    let same = || -> std::io::Result<bool> {
        let (held, named) = (file.metadata()?, path.metadata()?);
        Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
    };
    same().unwrap_or(false)
}

fn locked(file: &mut File, operation: &str) -> Error {
    let mut holder = String::new();
    let read = file.take(20).read_to_string(&mut holder);
    let who = match (read, holder.trim()) {
        (Ok(_), pid) if !pid.is_empty() => format!("process {pid} is at it"),
        _ => "another process is at it".to_owned(),
    };
    Error::new(ErrorKind::Locked, operation, who).hint("wait for it, or end it; then try again")
}
