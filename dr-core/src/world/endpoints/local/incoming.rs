//! A large file, or a range of one, while it comes in.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{self, FallocateFlags};

use super::staging::{Staged, Staging};
use crate::digest::Digest;
use crate::mirror::{Entry, RelPath};

/// From this size on, what a cut run left of a file is worth going on with.
const WORTH_KEEPING_BYTES: u64 = 8 << 20;
/// Content is copied and read again in pieces of this size.
const COPY_BYTES: usize = 256 * 1024;
/// From this size on, a stretch is copied by the kernel, which takes half the time, or shares blocks where the file system can.
const WORTH_SHARING_BYTES: u64 = 64 * 1024;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Content on its way into a staged file. What no piece names is a hole.
pub(super) struct Incoming {
    pub(super) staged: Staged,
    pub(super) file: File,
    /// What is to come.
    range: Range<u64>,
    hasher: blake3::Hasher,
    /// Everything before it has been hashed, as long as pieces come in order.
    position: u64,
    in_order: bool,
    /// A cut run left something in the file: what is to be a hole may not be one yet.
    was_begun: bool,
    written_bytes: u64,
    basis: Option<BasisFile>,
}

/// What pieces copy from.
struct BasisFile {
    file: File,
    /// It is the staged file itself, begun by a cut run.
    is_itself: bool,
}

impl Incoming {
    /// For a file whose version `wanted` was planned; `range` is none if all of it is meant, whatever size it turns out to have.
    pub(super) fn create(
        staging: &Arc<Staging>,
        path: &RelPath,
        wanted: Option<&Entry>,
        range: Option<Range<u64>>,
    ) -> io::Result<Self> {
        let kept = wanted.filter(|wanted| range.is_some() || wanted.size_bytes() >= WORTH_KEEPING_BYTES);
        let (staged, file, was_begun) = match kept {
            Some(wanted) => Staged::partial(Arc::clone(staging), path, wanted)?,
            None => {
                let (staged, file) = Staged::file(Arc::clone(staging))?;
                (staged, file, false)
            }
        };
        if let (Some(wanted), Some(_)) = (wanted, &range) {
            fs::ftruncate(&file, wanted.size_bytes())?;
        }
        let range = range.unwrap_or(0..u64::MAX);
        Ok(Self {
            staged,
            file,
            position: range.start,
            range,
            hasher: blake3::Hasher::new(),
            in_order: true,
            was_begun,
            written_bytes: 0,
            basis: None,
        })
    }

    /// Whether these bytes are among those that are to come.
    pub(super) fn expects(&self, offset: u64, bytes: u64) -> bool {
        offset >= self.range.start && offset.checked_add(bytes).is_some_and(|end| end <= self.range.end)
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.skip_to(offset)?;
        self.file.write_all_at(bytes, offset)?;
        self.take(offset, bytes);
        Ok(())
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) {
        if self.in_order {
            self.hasher.update(bytes);
        }
        self.position = self.position.max(offset + bytes.len() as u64);
        self.written_bytes += bytes.len() as u64;
    }

    /// What is left out is zero.
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        if offset < self.position || !self.in_order {
            self.in_order = false;
            return Ok(());
        }
        if self.was_begun && offset > self.position {
            let length = offset - self.position;
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if fs::fallocate(&self.file, mode, self.position, length).is_err() {
                write_zeros(&self.file, self.position..offset)?;
            }
        }
        hash_zeros(&mut self.hasher, offset - self.position);
        Ok(())
    }

    /// Copies from what the target has already: what a cut run left of this file if `staged`, else the old version, which `old`
    /// opens. False if it has no such thing.
    pub(super) fn copy(
        &mut self,
        offset: u64,
        from: u64,
        bytes: u64,
        staged: bool,
        old: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<bool> {
        let basis = match self.basis.take() {
            Some(basis) => Some(basis),
            None if !staged => old().ok().map(|file| BasisFile { file, is_itself: false }),
            None if self.was_begun => Some(BasisFile { file: self.file.try_clone()?, is_itself: true }),
            None => None,
        };
        let Some(basis) = basis else { return Ok(false) };
        let copied = self.copy_from(&basis, offset, from, bytes);
        self.basis = Some(basis);
        copied
    }

    fn copy_from(&mut self, basis: &BasisFile, offset: u64, from: u64, bytes: u64) -> io::Result<bool> {
        self.skip_to(offset)?;
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(bytes).unwrap_or(COPY_BYTES))];
        let mut done = 0;
        if bytes >= WORTH_SHARING_BYTES && !basis.is_itself {
            done = self.share_from(&basis.file, offset, from, bytes, &mut buffer)?;
        }
        while done < bytes {
            let now = usize::try_from(bytes - done).unwrap_or(COPY_BYTES).min(buffer.len());
            match basis.file.read_exact_at(&mut buffer[..now], from + done) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                read => read?,
            }
            if !basis.is_itself || offset != from {
                self.file.write_all_at(&buffer[..now], offset + done)?;
            }
            self.take(offset + done, &buffer[..now]);
            done += now as u64;
        }
        Ok(true)
    }

    /// Copies without bringing the content here, as far as that goes; gives how much. What counts is what arrived, whatever happens
    /// to the old file meanwhile: that is read again.
    fn share_from(
        &mut self,
        old: &File,
        offset: u64,
        from: u64,
        bytes: u64,
        buffer: &mut [u8],
    ) -> io::Result<u64> {
        let (mut read, mut written, end) = (from, offset, offset.saturating_add(bytes));
        while written < end {
            let left = usize::try_from(end - written).unwrap_or(1 << 30).min(1 << 30);
            match fs::copy_file_range(old, Some(&mut read), &self.file, Some(&mut written), left) {
                // It cannot, or the old file is shorter: whoever copies the rest will see.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let mut at = offset;
        while at < written {
            let now = usize::try_from(written - at).unwrap_or(COPY_BYTES).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..now], at)?;
            self.take(at, &buffer[..now]);
            at += now as u64;
        }
        Ok(written - offset)
    }

    /// Whether what came is what was sent. `size_bytes` is the size of the whole file.
    pub(super) fn is_right(&mut self, size_bytes: u64, digest: Digest) -> io::Result<bool> {
        let is_part = self.range.end != u64::MAX;
        let end = if is_part { self.range.end.min(size_bytes) } else { size_bytes };
        if self.position > end {
            return Ok(false);
        }
        if self.in_order {
            self.skip_to(end)?;
        }
        if !is_part {
            fs::ftruncate(&self.file, size_bytes)?;
        }
        if !self.in_order {
            self.hasher = blake3::Hasher::new();
            hash_range(&mut self.hasher, &self.file, self.range.start..end)?;
        }
        Ok(Digest::from_bytes(*self.hasher.finalize().as_bytes()) == digest)
    }

    /// Whether anything was copied from what the target had: then that may be what was wrong.
    pub(super) fn has_basis(&self) -> bool {
        self.basis.is_some()
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Writes down that the range has come.
    pub(super) fn mark(&self, size_bytes: u64) -> io::Result<()> {
        self.staged.mark(&(self.range.start..self.range.end.min(size_bytes)))
    }
}

/// So many zeros.
pub(super) fn hash_zeros(hasher: &mut blake3::Hasher, mut count: u64) {
    while count > 0 {
        let now = usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len());
        hasher.update(&ZEROS[..now]);
        count -= now as u64;
    }
}

fn write_zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let now = usize::try_from(range.end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..now], at)?;
        at += now as u64;
    }
    Ok(())
}

/// The bytes of a file that is there already.
pub(super) fn hash_range(hasher: &mut blake3::Hasher, file: &File, range: Range<u64>) -> io::Result<()> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(COPY_BYTES);
    let mut buffer = vec![0; COPY_BYTES.min(length)];
    let mut at = range.start;
    while at < range.end {
        let now = usize::try_from(range.end - at).unwrap_or(COPY_BYTES).min(buffer.len());
        file.read_exact_at(&mut buffer[..now], at)?;
        hasher.update(&buffer[..now]);
        at += now as u64;
    }
    Ok(())
}
