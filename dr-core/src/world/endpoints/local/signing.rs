//! What is remembered of large files that were supplied: their chunks, in the state directory of this end.
//!
//! A file of 2 GiB takes 5 MB, in one part for each range that was supplied. Nothing depends on it: what is missing, damaged or
//! too old to be kept costs a longer transfer, no more.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::buffer::spare_capacity;
use rustix::fs;

use super::Stop;
use crate::error::Result;
use crate::mirror::{Entry, Index, Matcher, RelPath, Signature, SignedRange};

/// All that is remembered takes at most so much, and at most a sixteenth of what is free.
const KEPT_BYTES_MAX: u64 = 1 << 30;
/// The oldest is looked for whenever so much has been added.
const SWEEP_BYTES: u64 = 32 << 20;
/// Files of at least twice this size are signed by several threads.
const SHARE_BYTES: u64 = 64 << 20;

/// The signatures that this end remembers.
pub(super) struct Signatures {
    directory: PathBuf,
    /// Added since the last sweep; the first addition sweeps.
    added_bytes: AtomicU64,
    names: AtomicU64,
    /// The ranges of a huge file are compared side by side, with one index.
    recent: Mutex<Vec<(String, Arc<Index>)>>,
}

impl Signatures {
    pub(super) fn new(state: &Path) -> Self {
        Self {
            directory: state.join("signatures"),
            added_bytes: AtomicU64::new(SWEEP_BYTES),
            names: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    /// Whether there is one, as far as that shows without reading all of it.
    pub(super) fn has(&self, key: &str, size_bytes: u64) -> bool {
        let mut at = 0;
        while at < size_bytes {
            let mut head = [0; SignedRange::HEAD];
            let read = File::open(self.part(key, at)).and_then(|mut file| file.read_exact(&mut head));
            match SignedRange::range_of(&head).filter(|range| read.is_ok() && range.start == at) {
                Some(range) if range.end > at => at = range.end,
                _ => return false,
            }
        }
        at == size_bytes && size_bytes > 0
    }

    /// What is remembered, if it is all there; without a size, what there is from the beginning on.
    pub(super) fn index(&self, key: &str, size_bytes: Option<u64>) -> Option<Arc<Index>> {
        // Held while it is read: whoever else wants it would only read it too.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, index)) = recent.iter().find(|(known, _)| known == key) {
            return Some(Arc::clone(index));
        }
        let index = Arc::new(Index::new(self.load(key, size_bytes)?)?);
        recent.truncate(1);
        recent.insert(0, (key.to_owned(), Arc::clone(&index)));
        Some(index)
    }

    fn load(&self, key: &str, size_bytes: Option<u64>) -> Option<Signature> {
        let (mut all, mut at) = (Signature::default(), 0);
        while at < size_bytes.unwrap_or(1) {
            let part = SignedRange::unpack(&std::fs::read(self.part(key, at)).ok()?)?;
            if part.range.start != at || part.range.end <= at {
                return None;
            }
            at = part.range.end;
            all.chunks.extend(part.signature.chunks);
            all.grains.extend(part.signature.grains);
        }
        (size_bytes.is_none() || size_bytes == Some(at)).then_some(all)
    }

    /// Remembers the signature of a range, or of all of a file.
    pub(super) fn keep(&self, key: &str, part: &SignedRange) -> io::Result<()> {
        let mut directory = std::fs::DirBuilder::new();
        directory.recursive(true).mode(0o700).create(&self.directory)?;
        let packed = part.pack();
        if packed.len() as u64 > KEPT_BYTES_MAX / 4 {
            return Err(io::Error::other("it would take more than a quarter of all that may be remembered"));
        }
        let name = format!(".{}-{}", std::process::id(), self.names.fetch_add(1, Ordering::Relaxed));
        let staged = self.directory.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        let written = file.write_all_at(&packed, 0);
        let landed = written.and_then(|()| std::fs::rename(&staged, self.part(key, part.range.start)));
        if landed.is_err() {
            let _ = std::fs::remove_file(&staged);
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != key);
        let bytes = packed.len() as u64;
        if self.added_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= SWEEP_BYTES {
            self.added_bytes.store(0, Ordering::Relaxed);
            self.sweep(KEPT_BYTES_MAX)?;
        }
        landed
    }

    /// Removes the oldest until no more than this is left.
    fn sweep(&self, bytes_max: u64) -> io::Result<()> {
        let free = fs::statvfs(&self.directory)?;
        let limit = bytes_max.min(free.f_bavail.saturating_mul(free.f_frsize) / 16);
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = vec![];
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if let Ok(found) = entry.metadata() {
                kept.push((found.modified()?, found.len(), entry.path()));
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in kept {
            if total <= limit {
                break;
            }
            let _ = std::fs::remove_file(path);
            total -= bytes;
        }
        Ok(())
    }

    fn part(&self, key: &str, offset: u64) -> PathBuf {
        self.directory.join(format!("{key}-{offset:x}"))
    }
}

/// The name of a version of a file; `staged` if it is what a cut run left of that version. Size and time tell versions apart.
pub(super) fn key(tree: &Path, path: &RelPath, version: &Entry, staged: bool) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut hasher = blake3::Hasher::new();
    // Neither of the two paths has a NUL in it.
    for part in [tree.as_os_str().as_bytes(), path.as_bytes()] {
        hasher.update(part).update(&[0]);
    }
    hasher.update(&version.size_bytes().to_le_bytes());
    hasher.update(&version.mtime_s.to_le_bytes());
    hasher.update(&version.mtime_ns.to_le_bytes());
    hasher.update(&[u8::from(staged)]);
    data_encoding::HEXLOWER.encode(&hasher.finalize().as_bytes()[..16])
}

/// The signature of a file of this size; by several threads if it is worth it.
pub(super) fn sign_file(file: &File, size_bytes: u64, stop: &Stop) -> Result<io::Result<Signature>> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(4)) as u64;
    let share = (size_bytes.div_ceil(threads)).max(SHARE_BYTES);
    let starts = (0..size_bytes).step_by(usize::try_from(share).unwrap_or(usize::MAX));
    let parts = std::thread::scope(|scope| {
        let sign = |start: u64| {
            let end = size_bytes.min(start + share);
            scope.spawn(move || sign_range(file, start, end, stop))
        };
        let running: Vec<_> = starts.map(sign).collect();
        running.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let mut all = Signature::default();
    for part in parts {
        let part = part.unwrap_or_else(|_| Ok(Err(io::Error::other("a thread that read it ended early"))));
        match part? {
            Ok(part) => {
                all.chunks.extend(part.chunks);
                all.grains.extend(part.grains);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(all))
}

fn sign_range(file: &File, start: u64, end: u64, stop: &Stop) -> Result<io::Result<Signature>> {
    let (mut matcher, mut spans, mut at) = (Matcher::new(None, start), vec![], start);
    while at < end {
        stop.check()?;
        match fill(&mut matcher, file, at, end) {
            Ok(0) => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(bytes) => at += bytes as u64,
            Err(error) => return Ok(Err(error)),
        }
        matcher.look(&mut spans);
        spans.clear();
    }
    Ok(Ok(matcher.finish(&mut spans)))
}

/// Reads what comes at `at`, up to `end`, into a matcher; gives how much.
pub(super) fn fill(matcher: &mut Matcher, file: &File, at: u64, end: u64) -> io::Result<usize> {
    let space = matcher.space();
    let before = space.len();
    rustix::io::retry_on_intr(|| rustix::io::pread(file, spare_capacity(space), at))?;
    let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
    space.truncate(before.saturating_add(wanted));
    Ok(space.len() - before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{Kind, sign};

    fn version(size_bytes: u64, mtime_s: i64) -> Entry {
        let kind = Kind::File { size_bytes, digest: None };
        Entry { kind, mode: 0o644, mtime_s, mtime_ns: 5, owner: None, xattrs: None }
    }

    #[test]
    fn what_is_kept_in_parts_is_found_as_a_whole() {
        let state = tempfile::tempdir().unwrap();
        let signatures = Signatures::new(state.path());
        let content = vec![7; 300_000];
        let path = RelPath::new(b"big").unwrap();
        let key = key(Path::new("/www"), &path, &version(300_000, 1), false);
        assert!(!signatures.has(&key, 300_000));
        let part = |range: std::ops::Range<usize>| SignedRange {
            range: range.start as u64..range.end as u64,
            signature: sign(&content[range]),
        };
        signatures.keep(&key, &part(200_000..300_000)).unwrap();
        assert!(!signatures.has(&key, 300_000), "the first part is missing");
        assert!(signatures.index(&key, Some(300_000)).is_none());
        signatures.keep(&key, &part(0..200_000)).unwrap();
        assert!(signatures.has(&key, 300_000));
        assert!(signatures.index(&key, Some(300_000)).is_some());
        assert!(!signatures.has(&key, 300_001) && !signatures.has(&key, 200_001));

        let damaged = signatures.part(&key, 200_000);
        let mut bytes = std::fs::read(&damaged).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&damaged, bytes).unwrap();
        assert!(
            Signatures::new(state.path()).index(&key, Some(300_000)).is_none(),
            "damaged is as good as missing"
        );
    }

    #[test]
    fn other_versions_and_paths_have_other_keys() {
        let (tree, path) = (Path::new("/www"), RelPath::new(b"a/b").unwrap());
        let keys = [
            key(tree, &path, &version(1, 1), false),
            key(tree, &path, &version(1, 1), true),
            key(tree, &path, &version(2, 1), false),
            key(tree, &path, &version(1, 2), false),
            key(Path::new("/www/a"), &RelPath::new(b"b").unwrap(), &version(1, 1), false),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn the_oldest_go_first() {
        let state = tempfile::tempdir().unwrap();
        let signatures = Signatures::new(state.path());
        let part = SignedRange { range: 0..100, signature: sign(&[1; 100]) };
        for (number, key) in ["old", "new"].into_iter().enumerate() {
            signatures.keep(key, &part).unwrap();
            let file = File::options().write(true).open(signatures.part(key, 0)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64))
                .unwrap();
        }
        signatures.sweep(part.pack().len() as u64).unwrap();
        assert!(!signatures.has("old", 100) && signatures.has("new", 100));
    }

    #[test]
    fn several_threads_sign_what_one_would() {
        let mut file = tempfile::tempfile().unwrap();
        let size = 2 * SHARE_BYTES + 12_345;
        file.set_len(size).unwrap();
        io::Write::write_all(&mut file, b"a beginning").unwrap();
        let signature = sign_file(&file, size, &Stop::default()).unwrap().unwrap();
        assert!(signature.is_sound());
        assert_eq!(signature.size_bytes(), size);
        assert!(sign_file(&file, size + 1, &Stop::default()).unwrap().is_err(), "it is shorter than that");
    }
}
