//! Looks at many paths at once, and at what is free.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs;
use rustix::io::Errno;

use super::reach::Reach;
use super::root::entry_at;
use super::{Stop, Tree};
use crate::digest::Digest;
use crate::error::Result;
use crate::mirror::{Entry, RelPath, Room};

/// Below so many, one thread is quicker than two.
const WORTH_SHARING: usize = 512;
/// More threads than this do not make one disk faster.
const MOST_PARTS: usize = 4;
/// A file is read in pieces of this size.
const READ_BYTES: usize = 256 * 1024;

/// Work on many paths, cut into as many parts as there are processors for it.
pub(super) fn parts<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts = if all.len() < WORTH_SHARING { 1 } else { processors.min(MOST_PARTS) };
    all.chunks(all.len().div_ceil(parts).max(1))
}

pub(super) fn look(tree: &Tree, paths: &[RelPath], stop: &Stop) -> Result<Vec<Option<Entry>>> {
    tree.touch(paths.iter());
    let mut reach = match tree.root() {
        Err(error) if is_nothing(&error) => return Ok(vec![None; paths.len()]),
        root => Reach::new(root.map_err(|error| tree.trouble("look at", &RelPath::root(), error))?),
    };
    let look = |path: &RelPath| {
        stop.check()?;
        let found = reach.place(path).and_then(|(directory, name)| entry_at(directory, name));
        match found {
            Err(error) if is_nothing(&error) => Ok(None),
            found => found.map_err(|error| tree.trouble("look at", path, error)),
        }
    };
    paths.iter().map(look).collect()
}

/// Nothing, or something else than a directory, stands on the way: then nothing of the tree is at the path.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

pub(super) fn digests(tree: &Tree, paths: &[RelPath], stop: &Stop) -> Result<Vec<Option<Digest>>> {
    let Ok(root) = tree.root() else { return Ok(vec![None; paths.len()]) };
    let mut reach = Reach::new(root);
    let mut buffer = vec![0; READ_BYTES];
    let mut digest = |path: &RelPath| {
        let Ok(file) = reach.open_to_read(path, tree.is_superuser) else { return Ok(None) };
        let mut file = File::from(file);
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        loop {
            stop.check()?;
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(Digest::from_bytes(*hasher.finalize().as_bytes()))),
                Ok(bytes) => drop(hasher.update(&buffer[..bytes])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        }
    };
    paths.iter().map(&mut digest).collect()
}

/// What is free where the tree is, or will be; none where a file system does not say (ramfs).
pub(super) fn room(tree: &Tree) -> Result<Option<Room>> {
    let there = if tree.path.exists() { Some(tree.path.as_path()) } else { tree.path.parent() };
    let path = there.unwrap_or(&tree.path);
    let free = fs::statvfs(path).map_err(|error| tree.trouble("look at", &RelPath::root(), error.into()))?;
    Ok((free.f_blocks > 0).then(|| Room {
        bytes: free.f_bavail.saturating_mul(free.f_frsize),
        inodes: (free.f_files > 0).then_some(free.f_favail),
    }))
}
