//! The content of many files read by all cores.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::OFlags;

use super::root::Root;
use crate::digest::Digest;
use crate::error::Result;
use crate::mirror::{Kind, RelPath, Snapshot};
use crate::world::Control;

/// Files are read in pieces of this size.
const READ_BYTES: usize = 256 * 1024;
/// More threads than this only make the disk seek.
const MAX_THREADS: usize = 8;

/// Reads every file of a snapshot for its digest. What vanished meanwhile is not there; what cannot be read is listed so.
pub(super) fn digest_all(root: &Root, seen: &mut Snapshot, control: &Control) -> Result<()> {
    let files: Vec<RelPath> = seen.entries.rows().filter(|row| row.is_file()).map(|row| row.path()).collect();
    for (path, read) in files.iter().zip(digests_of(root, &files, control)?) {
        let Some(mut entry) = seen.entries.get(path) else { continue };
        match read {
            Ok(read) => {
                if let Kind::File { digest, .. } = &mut entry.kind {
                    *digest = Some(read);
                }
                seen.entries.insert(path.clone(), entry);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(seen.entries.remove(path)),
            Err(error) => drop(seen.unreadable.insert(path.clone(), error.to_string())),
        }
    }
    Ok(())
}

/// The digest of each of these files, in their order.
pub(super) fn digests_of(
    root: &Root,
    files: &[RelPath],
    control: &Control,
) -> Result<Vec<io::Result<Digest>>> {
    let next = AtomicUsize::new(0);
    let read_some = || {
        let (mut some, mut buffer) = (vec![], vec![0; READ_BYTES]);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = files.get(at).filter(|_| !control.cancel.is_cancelled()) else { return some };
            some.push((at, digest_of(root, path, &mut buffer)));
        }
    };
    let threads =
        std::thread::available_parallelism().map_or(2, usize::from).min(MAX_THREADS).min(files.len());
    let mut all: Vec<(usize, io::Result<Digest>)> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read_some)).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    });
    control.check("read files")?;
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, read)| read).collect())
}

fn digest_of(root: &Root, path: &RelPath, buffer: &mut [u8]) -> io::Result<Digest> {
    // A FIFO in place of the file must not make us wait for a writer.
    let mut file = File::from(root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(Digest::from_bytes(*hasher.finalize().as_bytes())),
            Ok(read) => drop(hasher.update(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
