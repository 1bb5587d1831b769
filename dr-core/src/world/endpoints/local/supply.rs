//! The files of a lot, read and sent.
//!
//! A small file is read whole before anything of it is sent, and read anew if it changed meanwhile; many of them share one buffer
//! and go in one batch. A large one is sent as it is read: if it changes on the way, the target is told to keep what it has.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{self, Advice, SeekFrom, Stat};
use rustix::io::Errno;

use super::incoming::hash_zeros;
use super::reach::Reach;
use super::{Stop, Tree, signing};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{
    Basis, Change, Entry, Kept, Kind, Lot, LotFile, Matcher, Owner, Part, Piece, RelPath, SignedRange, Span,
    WORTH_COMPARING_BYTES,
};
use crate::world::PieceSender;
use crate::world::endpoints::BATCH_BYTES;
use crate::world::endpoints::singly::is_as_planned;

/// So often is a file read anew that changes while it is read.
const TRIES: usize = 3;
/// Files up to this size are read whole before anything of them is sent.
const WHOLE_BYTES: u64 = 1 << 20;

/// Sends the files of one lot.
pub(super) struct Supplier<'a> {
    tree: &'a Tree,
    stop: &'a Stop,
    reach: Reach,
    batch: Batch,
}

impl<'a> Supplier<'a> {
    pub(super) fn new(tree: &'a Tree, stop: &'a Stop, out: PieceSender) -> Result<Self> {
        let root = tree.root().map_err(|error| tree.trouble("read", &RelPath::root(), error))?;
        Ok(Self { tree, stop, reach: Reach::new(root), batch: Batch::new(out) })
    }

    pub(super) fn supply(mut self, lot: &Lot) -> Result<()> {
        for (wanted, file) in lot.files.iter().zip(0_u32..) {
            self.stop.check()?;
            if let Some(why) = self.supply_one(wanted, file)? {
                self.batch.tell(Piece::Kept { file, why })?;
            }
        }
        self.batch.send()
    }

    /// Sends one file; says why not, if it cannot.
    fn supply_one(&mut self, wanted: &LotFile, file: u32) -> Result<Option<Kept>> {
        let path = &wanted.change.path;
        let mut kept = Kept::Restless;
        for _ in 0..TRIES {
            let (opened, found) = match self.open(path) {
                Ok(opened) => opened,
                Err(error) => return self.unreadable(path, error).map(Some),
            };
            let Some(entry) = file_entry(&found) else { return Ok(Some(Kept::NoFile)) };
            let is_planned = wanted.change.to.as_ref().is_some_and(|to| is_as_planned(to, &entry));
            match wanted.part {
                Part::Whole => {}
                _ if !is_planned => return Ok(Some(Kept::Restless)),
                Part::Range { offset, bytes } => {
                    let until = offset.saturating_add(bytes).min(entry.size_bytes());
                    return self.supply_large(wanted, &opened.into(), &found, entry, file, offset..until);
                }
                Part::Land => {
                    self.batch.tell(Piece::End { file, entry, digest: Digest::of(b"") })?;
                    return Ok(None);
                }
            }
            if let Basis::Same { digest, .. } | Basis::Twin { digest, .. } = wanted.basis
                && is_planned
            {
                self.batch.tell(Piece::End { file, entry, digest })?;
                return Ok(None);
            }
            if entry.size_bytes() > WHOLE_BYTES {
                let all = 0..entry.size_bytes();
                return self.supply_large(wanted, &opened.into(), &found, entry, file, all);
            }
            match self.supply_small(opened.as_fd(), &found, entry, file) {
                Ok(true) => return self.batch.send_if_full().map(|()| None),
                Ok(false) => {}
                Err(Failed::Here(error)) => kept = Kept::Unreadable(error.to_string()),
                Err(Failed::There(error)) => return Err(error),
            }
        }
        Ok(Some(kept))
    }

    fn open(&mut self, path: &RelPath) -> io::Result<(OwnedFd, Stat)> {
        let opened = self.reach.open_to_read(path, self.tree.is_superuser)?;
        let found = fs::fstat(&opened)?;
        Ok((opened, found))
    }

    /// Why a file could not be opened; an error if that is not about this file.
    fn unreadable(&self, path: &RelPath, error: io::Error) -> Result<Kept> {
        Ok(match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR) => Kept::Gone,
            Some(Errno::LOOP | Errno::NXIO) => Kept::NoFile,
            Some(Errno::NFILE | Errno::MFILE | Errno::NOMEM) => {
                return Err(self.tree.trouble("read", path, error));
            }
            _ => Kept::Unreadable(error.to_string()),
        })
    }

    /// Whether it held still. Only then is it in the batch.
    fn supply_small(
        &mut self,
        opened: BorrowedFd<'_>,
        before: &Stat,
        entry: Entry,
        file: u32,
    ) -> Result<bool, Failed> {
        let size = usize::try_from(entry.size_bytes()).unwrap_or(usize::MAX);
        let arena = self.batch.room_for(size).map_err(Failed::There)?;
        let start = arena.len();
        let read = read_all(opened, arena, size);
        let held_still = read.and_then(|is_all| Ok(is_all && is_same(before, &fs::fstat(opened)?)));
        if !matches!(held_still, Ok(true)) {
            arena.truncate(start);
        }
        let held_still = held_still.map_err(Failed::Here)?;
        if held_still {
            let digest = Digest::of(&arena[start..]);
            let content = start..arena.len();
            self.batch.small.push(Small { file, content, entry, digest });
        }
        Ok(held_still)
    }

    /// Sends these bytes of a file as they are read, without its holes.
    fn supply_large(
        &mut self,
        wanted: &LotFile,
        opened: &File,
        before: &Stat,
        entry: Entry,
        file: u32,
        range: Range<u64>,
    ) -> Result<Option<Kept>> {
        self.batch.send()?;
        let mut hasher = blake3::Hasher::new();
        let mut compared = Compared::begin(self.tree, wanted, &entry, &range);
        let mut at = range.start;
        let _ = fs::fadvise(opened, at, std::num::NonZero::new(range.end - at), Advice::Sequential);
        let is_sparse = u64::try_from(before.st_blocks).unwrap_or(0) * 512 < entry.size_bytes();
        while at < range.end {
            let data = if is_sparse { next_data(opened, at..range.end) } else { Ok(at..range.end) };
            let data = match data {
                Ok(data) => data,
                Err(error) => return Ok(Some(Kept::Unreadable(error.to_string()))),
            };
            hash_zeros(&mut hasher, data.start - at);
            if let Some(compared) = compared.as_mut().filter(|_| data.start > at) {
                self.batch.tell_spans(file, compared.skip(data.start - at))?;
            }
            at = data.start;
            while at < data.end {
                self.stop.check()?;
                let read = match &mut compared {
                    None => read_piece(opened, at..data.end).map(|bytes| {
                        hasher.update(&bytes);
                        let length = bytes.len();
                        (length, vec![Span::Data { offset: at, bytes }])
                    }),
                    Some(compared) => compared.read(opened, at..data.end, &mut hasher),
                };
                match read {
                    Ok((0, _)) => return Ok(Some(Kept::Restless)),
                    Ok((length, spans)) => {
                        at += length as u64;
                        self.batch.tell_spans(file, spans)?;
                    }
                    Err(error) => return Ok(Some(Kept::Unreadable(error.to_string()))),
                }
            }
        }
        let signed = compared.map(Compared::finish);
        let signed = match signed {
            Some((spans, signed)) => {
                self.batch.tell_spans(file, spans)?;
                Some(signed)
            }
            None => None,
        };
        match fs::fstat(opened) {
            Ok(after) if is_same(before, &after) => {
                let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
                if let Some((signatures, signed)) = self.tree.signatures().zip(signed) {
                    // Nothing depends on it: without, the next transfer of this file takes longer.
                    let key = signing::key(&self.tree.path, &wanted.change.path, &entry, false);
                    let _ = signatures.keep(&key, &signed);
                }
                self.batch.tell(Piece::End { file, entry, digest })?;
                Ok(None)
            }
            Ok(_) => Ok(Some(Kept::Restless)),
            Err(error) => Ok(Some(Kept::Unreadable(error.to_string()))),
        }
    }
}

/// A large file, or a range of one, compared with what the target has of it while it is read.
struct Compared {
    matcher: Matcher,
    range: Range<u64>,
}

impl Compared {
    /// None where nothing can be remembered: then nothing is worth comparing either.
    fn begin(tree: &Tree, wanted: &LotFile, entry: &Entry, range: &Range<u64>) -> Option<Self> {
        let signatures = tree.signatures().filter(|_| entry.size_bytes() > WORTH_COMPARING_BYTES)?;
        let Change { path, from, to } = &wanted.change;
        let index = match wanted.basis {
            Basis::Chunks { staged } => {
                let version = if staged { to.as_ref() } else { from.as_ref() };
                version.and_then(|version| {
                    let key = signing::key(&tree.path, path, version, staged);
                    // What is staged may be shorter than the version it is to become.
                    signatures.index(&key, (!staged).then(|| version.size_bytes()))
                })
            }
            _ => None,
        };
        Some(Self { matcher: Matcher::new(index, range.start), range: range.clone() })
    }

    /// Reads some of what is at `part`; gives how much, and what is certain by now.
    fn read(
        &mut self,
        opened: &File,
        part: Range<u64>,
        hasher: &mut blake3::Hasher,
    ) -> io::Result<(usize, Vec<Span>)> {
        let length = signing::fill(&mut self.matcher, opened, part.start, part.end)?;
        let space = self.matcher.space();
        hasher.update(&space[space.len() - length..]);
        let mut spans = vec![];
        self.matcher.look(&mut spans);
        Ok((length, spans))
    }

    fn skip(&mut self, bytes: u64) -> Vec<Span> {
        let mut spans = vec![];
        self.matcher.skip(bytes, &mut spans);
        spans
    }

    fn finish(self) -> (Vec<Span>, SignedRange) {
        let mut spans = vec![];
        let signature = self.matcher.finish(&mut spans);
        (spans, SignedRange { range: self.range, signature })
    }
}

/// Some of what is at `part`.
fn read_piece(opened: &File, part: Range<u64>) -> io::Result<Bytes> {
    let length = (part.end - part.start).min(BATCH_BYTES as u64);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(BATCH_BYTES));
    rustix::io::retry_on_intr(|| rustix::io::pread(opened, spare_capacity(&mut bytes), part.start))?;
    Ok(bytes.into())
}

/// What went wrong with a file: reading it here, or sending it.
enum Failed {
    Here(io::Error),
    There(Error),
}

/// Pieces that go together. Small files are read into one buffer one after the other.
struct Batch {
    out: PieceSender,
    arena: Vec<u8>,
    small: Vec<Small>,
    pieces: Vec<Piece>,
}

/// A small file in the buffer.
struct Small {
    file: u32,
    content: Range<usize>,
    entry: Entry,
    digest: Digest,
}

impl Batch {
    fn new(out: PieceSender) -> Self {
        Self { out, arena: vec![], small: vec![], pieces: vec![] }
    }

    /// The buffer, with room for so many bytes more.
    fn room_for(&mut self, size: usize) -> Result<&mut Vec<u8>> {
        // One byte more shows that a file has grown; and there is always some room, even for an empty file.
        if self.arena.capacity() - self.arena.len() <= size {
            self.send()?;
            self.arena = Vec::with_capacity(BATCH_BYTES.max(size) + 1);
        }
        Ok(&mut self.arena)
    }

    fn tell(&mut self, piece: Piece) -> Result<()> {
        self.pieces.push(piece);
        if self.pieces.len() >= 1024 { self.send() } else { Ok(()) }
    }

    /// Sends parts of a large file.
    fn tell_spans(&mut self, file: u32, spans: Vec<Span>) -> Result<()> {
        for span in spans {
            match span {
                Span::Copy { offset, from, bytes } => self.tell(Piece::Copy { file, offset, from, bytes })?,
                Span::Data { mut offset, mut bytes } => {
                    while bytes.len() > BATCH_BYTES {
                        let piece = Piece::Data { file, offset, bytes: bytes.split_to(BATCH_BYTES) };
                        offset += BATCH_BYTES as u64;
                        self.tell(piece)?;
                        self.send()?;
                    }
                    self.tell(Piece::Data { file, offset, bytes })?;
                }
            }
        }
        self.send()
    }

    fn send_if_full(&mut self) -> Result<()> {
        if self.arena.len() >= BATCH_BYTES || self.small.len() >= 512 { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        let content = Bytes::from(std::mem::take(&mut self.arena));
        for Small { file, content: range, entry, digest } in std::mem::take(&mut self.small) {
            let mut offset = 0;
            while offset < range.len() {
                if offset > 0 {
                    self.hand_over()?;
                }
                let start = range.start + offset;
                let bytes = content.slice(start..range.end.min(start + BATCH_BYTES));
                self.pieces.push(Piece::Data { file, offset: offset as u64, bytes });
                offset += BATCH_BYTES;
            }
            self.pieces.push(Piece::End { file, entry, digest });
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(std::mem::take(&mut self.pieces)).map_err(|_| {
            Error::new(ErrorKind::Cancelled, "supply files", "the target does not take any more of them")
        })
    }
}

/// Reads a file of this size to the end of `arena`, which has room for it; whether it had that size.
fn read_all(opened: BorrowedFd<'_>, arena: &mut Vec<u8>, size: usize) -> io::Result<bool> {
    let start = arena.len();
    while arena.len() - start < size {
        if rustix::io::retry_on_intr(|| rustix::io::read(opened, spare_capacity(arena)))? == 0 {
            break;
        }
    }
    Ok(arena.len() - start == size)
}

/// The next bytes within the range that are no hole.
fn next_data(opened: &File, range: Range<u64>) -> io::Result<Range<u64>> {
    let start = match fs::seek(opened, SeekFrom::Data(range.start)) {
        // Only a hole is left.
        Err(Errno::NXIO) => return Ok(range.end..range.end),
        // The file system knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(range),
        start => start?.min(range.end),
    };
    let end = fs::seek(opened, SeekFrom::Hole(start))?;
    Ok(start..end.clamp(start, range.end))
}

/// Nothing was written to the file between the two looks.
fn is_same(before: &Stat, after: &Stat) -> bool {
    let of = |stat: &Stat| {
        (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec, stat.st_mode)
    };
    of(before) == of(after)
}

/// A regular file as an entry; none if it is something else.
fn file_entry(stat: &Stat) -> Option<Entry> {
    if !fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        return None;
    }
    Some(Entry {
        kind: Kind::File { size_bytes: u64::try_from(stat.st_size).unwrap_or(0), digest: None },
        mode: stat.st_mode & 0o7777,
        mtime_s: stat.st_mtime,
        mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        owner: Some(Owner { uid: stat.st_uid, gid: stat.st_gid }),
        xattrs: None,
    })
}
