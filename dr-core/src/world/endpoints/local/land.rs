//! The files of a lot, landed.
//!
//! Small files wait in memory until they are whole; larger ones are staged as they come. Each is compared with what was planned
//! right before it is given its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs;

use super::aside::Preparation;
use super::incoming::{Incoming, hash_range, hash_zeros};
use super::metadata::set_metadata_of;
use super::new_file::{NewFile, clone_content};
use super::reach::Reach;
use super::root::entry_at;
use super::staging::{Staged, Staging};
use super::{Stop, Tree};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{
    Basis, Change, Entry, Fsync, Kept, Landed, Lot, LotFile, Part, Piece, Progress, RelPath,
};
use crate::world::PieceReceiver;
use crate::world::endpoints::singly::{arriving, is_as_planned};

/// Content of one file up to this size may wait in memory until it is whole.
const HELD_BYTES: u64 = 1 << 20;
/// So much may wait for all files of a lot together.
const HELD_TOGETHER_BYTES: u64 = 16 << 20;

/// A file may become so much larger than planned, and twice its size, while it waits for its turn.
const GROWTH_BYTES: u64 = 64 << 20;

/// Lands the files of one lot.
pub(super) struct Lander<'a> {
    tree: &'a Tree,
    staging: Arc<Staging>,
    preparation: Arc<Preparation>,
    reach: Reach,
    lot: &'a Lot,
    slots: Vec<Slot>,
    held_bytes: u64,
}

/// How far a file has come.
enum Slot {
    /// Its pieces wait in memory.
    Held(Vec<(u64, Bytes)>, u64),
    /// Its pieces are written as they come.
    Staged(Box<Incoming>),
    /// It will not land, and what still comes of it is of no use.
    Lost(Landed),
    /// All has been said.
    Told(Landed),
}

impl<'a> Lander<'a> {
    pub(super) fn new(tree: &'a Tree, lot: &'a Lot) -> Result<Self> {
        tree.fence.hold()?;
        tree.touch(lot.files.iter().map(|file| &file.change.path));
        tree.landings.tell_lot(lot);
        let root = tree.root().map_err(|error| tree.trouble("write into", &RelPath::root(), error))?;
        Ok(Self {
            tree,
            staging: tree.staging()?,
            preparation: tree.preparation(),
            reach: Reach::new(root),
            lot,
            slots: lot.files.iter().map(|_| Slot::Held(vec![], 0)).collect(),
            held_bytes: 0,
        })
    }

    pub(super) fn land(mut self, mut pieces: PieceReceiver, stop: &Stop) -> Result<Vec<Landed>> {
        while let Some(batch) = pieces.blocking_recv() {
            stop.check()?;
            self.tree.fence.hold()?;
            for piece in batch {
                self.take(piece)?;
            }
        }
        let told = self.slots.into_iter().map(|slot| match slot {
            Slot::Told(landed) => Some(landed),
            _ => None,
        });
        told.collect::<Option<Vec<Landed>>>().ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, "land files", "the source ended before all files had come")
        })
    }

    fn take(&mut self, piece: Piece) -> Result<()> {
        let lot = self.lot;
        let index = piece.file() as usize;
        let Some(wanted) = lot.files.get(index) else {
            return Err(garbled("it speaks of a file that is not in the lot"));
        };
        let slot = std::mem::replace(&mut self.slots[index], Slot::Lost(Landed::Staged));
        if let Slot::Held(_, bytes) = &slot {
            self.held_bytes -= bytes;
        }
        let ends = matches!(piece, Piece::End { .. } | Piece::Kept { .. });
        let after = match slot {
            Slot::Told(_) => return Err(garbled("it goes on after the end of a file")),
            Slot::Lost(landed) if ends => Slot::Told(landed),
            Slot::Lost(landed) => Slot::Lost(landed),
            slot => self.advance(slot, wanted, piece).or_else(|failed| match failed {
                Failed::All(error) => Err(error),
                Failed::One(error) => {
                    let landed = self.tree.of_one("write", &wanted.change.path, error)?;
                    Ok(if ends { Slot::Told(landed) } else { Slot::Lost(landed) })
                }
            })?,
        };
        if let Slot::Held(_, bytes) = &after {
            self.held_bytes += bytes;
        }
        self.slots[index] = after;
        Ok(())
    }

    fn advance(&mut self, slot: Slot, wanted: &LotFile, piece: Piece) -> Result<Slot, Failed> {
        match piece {
            Piece::Data { offset, bytes, .. } => self.data(slot, wanted, offset, bytes),
            Piece::Copy { offset, from, bytes, .. } => self.copy(slot, wanted, offset, from, bytes),
            Piece::Kept { why, .. } => {
                match (slot, wanted.part) {
                    (Slot::Staged(incoming), _) => incoming.staged.discard(),
                    (_, Part::Land) => {
                        if let Some((staged, _)) = self.begun(wanted)? {
                            staged.discard();
                        }
                    }
                    _ => {}
                }
                Ok(Slot::Told(Landed::Kept(why)))
            }
            Piece::End { entry, digest, .. } => self.end(slot, wanted, &entry, digest).map(Slot::Told),
        }
    }

    fn data(&self, slot: Slot, wanted: &LotFile, offset: u64, bytes: Bytes) -> Result<Slot, Failed> {
        let length = bytes.len() as u64;
        let Some(end) = offset.checked_add(length).filter(|_| wanted.part != Part::Land) else {
            return Err(garbled("it sends content where none can be").into());
        };
        if wanted.part == Part::Whole && end > limit(wanted) {
            return Ok(Slot::Lost(Landed::Kept(Kept::Restless)));
        }
        let incoming = match slot {
            Slot::Held(mut pieces, held)
                if wanted.part == Part::Whole
                    && held + length <= HELD_BYTES
                    && self.held_bytes + held + length <= HELD_TOGETHER_BYTES =>
            {
                pieces.push((offset, bytes));
                return Ok(Slot::Held(pieces, held + length));
            }
            slot => self.staged(slot, wanted)?,
        };
        let mut incoming = incoming;
        if !incoming.expects(offset, length) {
            return Err(garbled("it sends more than it was asked for").into());
        }
        incoming.write(offset, &bytes)?;
        Ok(Slot::Staged(incoming))
    }

    /// What waits in memory goes to the disk.
    fn staged(&self, slot: Slot, wanted: &LotFile) -> Result<Box<Incoming>, Failed> {
        let held = match slot {
            Slot::Staged(incoming) => return Ok(incoming),
            Slot::Held(held, _) => held,
            Slot::Lost(_) | Slot::Told(_) => vec![],
        };
        let Change { path, to, .. } = &wanted.change;
        let range = match wanted.part {
            Part::Range { offset, bytes } => Some(offset..offset.saturating_add(bytes)),
            Part::Whole | Part::Land => None,
        };
        let mut incoming = Box::new(Incoming::create(&self.staging, path, to.as_ref(), range)?);
        for (offset, bytes) in held {
            incoming.write(offset, &bytes)?;
        }
        Ok(incoming)
    }

    fn copy(
        &mut self,
        slot: Slot,
        wanted: &LotFile,
        offset: u64,
        from: u64,
        bytes: u64,
    ) -> Result<Slot, Failed> {
        let Basis::Chunks { staged } = wanted.basis else {
            return Err(garbled("it copies from what this target never offered").into());
        };
        let size = wanted.change.to.as_ref().map_or(0, Entry::size_bytes);
        if from.checked_add(bytes).is_none() || offset.checked_add(bytes).is_none_or(|end| end > size) {
            return Err(garbled("it copies more than there is").into());
        }
        let mut incoming = self.staged(slot, wanted)?;
        if !incoming.expects(offset, bytes) {
            return Err(garbled("it sends more than it was asked for").into());
        }
        let (reach, quietly) = (&mut self.reach, self.tree.is_superuser);
        let old = || reach.open_to_read(&wanted.change.path, quietly).map(File::from);
        if incoming.copy(offset, from, bytes, staged, old)? {
            return Ok(Slot::Staged(incoming));
        }
        incoming.staged.discard();
        Ok(Slot::Lost(Landed::Unlike))
    }

    /// A file is complete.
    fn end(&mut self, slot: Slot, wanted: &LotFile, read: &Entry, digest: Digest) -> Result<Landed, Failed> {
        let Some(planned) = &wanted.change.to else {
            return Err(garbled("it has content for what is removed").into());
        };
        let entry = arriving(planned, read);
        if entry.size_bytes() > limit(wanted) {
            return Ok(Landed::Kept(Kept::Restless));
        }
        match (wanted.part, slot) {
            (Part::Land, _) => self.end_parts(wanted, read),
            (Part::Range { .. }, slot) => {
                let mut incoming = self.staged(slot, wanted)?;
                if !is_as_planned(planned, read) {
                    incoming.staged.discard();
                    return Ok(Landed::Kept(Kept::Restless));
                }
                if !incoming.is_right(read.size_bytes(), digest)? {
                    return wrong(*incoming, wanted);
                }
                incoming.mark(read.size_bytes())?;
                Ok(Landed::Staged)
            }
            (Part::Whole, Slot::Staged(mut incoming)) => {
                if !incoming.is_right(read.size_bytes(), digest)? {
                    return wrong(*incoming, wanted);
                }
                let bytes = incoming.written_bytes();
                let Incoming { staged, file, .. } = *incoming;
                self.give_name(wanted, &entry, bytes, &NewFile::Named(staged, file))
            }
            (Part::Whole, Slot::Held(pieces, 0)) if pieces.is_empty() && entry.size_bytes() > 0 => {
                match &wanted.basis {
                    Basis::Same { path, digest: same, leaves } if *same == digest => {
                        self.end_same(wanted, &entry, (path, *leaves), digest)
                    }
                    Basis::Twin { path, digest: same } if *same == digest => {
                        self.end_same(wanted, &entry, (path, false), digest)
                    }
                    _ => self.end_small(wanted, &entry, &pieces, digest),
                }
            }
            (Part::Whole, Slot::Held(mut pieces, _)) => {
                pieces.sort_by_key(|(offset, _)| *offset);
                self.end_small(wanted, &entry, &pieces, digest)
            }
            (Part::Whole, Slot::Lost(landed) | Slot::Told(landed)) => Ok(landed),
        }
    }

    /// The pieces of a small file have all come.
    fn end_small(
        &mut self,
        wanted: &LotFile,
        entry: &Entry,
        pieces: &[(u64, Bytes)],
        digest: Digest,
    ) -> Result<Landed, Failed> {
        let size = entry.size_bytes();
        if held_digest(pieces, size)? != digest {
            return Err(corrupt(&wanted.change.path).into());
        }
        let (replaces, directory) = match self.stand(wanted, entry)? {
            Stand::Over(landed) => return Ok(landed),
            Stand::Open { replaces } => (replaces, self.reach.place(&wanted.change.path)?.0),
        };
        let file = NewFile::create(self.tree, &self.staging, directory, entry, replaces)?;
        for (offset, bytes) in pieces {
            file.file().write_all_at(bytes, *offset)?;
        }
        if pieces.last().map_or(0, |(offset, bytes)| offset + bytes.len() as u64) < size {
            fs::ftruncate(file.file(), size)?;
        }
        self.finish(wanted, entry, size, &file)
    }

    /// All ranges of a file have come, by this lot or by others.
    fn end_parts(&mut self, wanted: &LotFile, read: &Entry) -> Result<Landed, Failed> {
        let Some((staged, file)) = self.begun(wanted)? else {
            return match self.stand(wanted, read)? {
                Stand::Over(landed) => Ok(landed),
                Stand::Open { .. } => Ok(Landed::Unlike),
            };
        };
        let planned = wanted.change.to.as_ref().filter(|planned| is_as_planned(planned, read));
        let Some(planned) = planned else {
            staged.discard();
            return Ok(Landed::Kept(Kept::Restless));
        };
        if file.metadata()?.len() != planned.size_bytes() || !staged.is_whole(planned.size_bytes())? {
            return Ok(Landed::Unlike);
        }
        staged.forget_marks();
        self.give_name(wanted, planned, planned.size_bytes(), &NewFile::Named(staged, file))
    }

    /// Makes the file from another one of this tree, if that has the content it is said to have. If that `leaves`, it is the file:
    /// it only gets its new name, and keeps the old one until it is removed there.
    fn end_same(
        &mut self,
        wanted: &LotFile,
        entry: &Entry,
        (other, leaves): (&RelPath, bool),
        digest: Digest,
    ) -> Result<Landed, Failed> {
        let Ok(other) = self.reach.open_to_read(other, self.tree.is_superuser).map(File::from) else {
            return Ok(Landed::Unlike);
        };
        let found = other.metadata()?;
        if !found.is_file() || found.len() != entry.size_bytes() {
            return Ok(Landed::Unlike);
        }
        if leaves && found.nlink() == 1 && wanted.change.from.is_none() {
            if !has_digest(&other, found.len(), digest)? {
                return Ok(Landed::Unlike);
            }
            return self.give_name(wanted, entry, 0, &NewFile::Unnamed(other));
        }
        let (staged, file) = Staged::file(Arc::clone(&self.staging))?;
        let file = NewFile::Named(staged, file);
        clone_content(&other, file.file(), found.len())?;
        // What was copied is what counts, whatever becomes of the other file meanwhile.
        if !has_digest(file.file(), found.len(), digest)? {
            return Ok(Landed::Unlike);
        }
        self.give_name(wanted, entry, found.len(), &file)
    }

    fn begun(&self, wanted: &LotFile) -> io::Result<Option<(Staged, File)>> {
        let Change { path, to, .. } = &wanted.change;
        let Some(to) = to else { return Ok(None) };
        Staged::begun(Arc::clone(&self.staging), path, to)
    }

    /// Lands what is written, if the path is still as planned.
    fn give_name(
        &mut self,
        wanted: &LotFile,
        entry: &Entry,
        bytes: u64,
        file: &NewFile,
    ) -> Result<Landed, Failed> {
        match self.stand(wanted, entry)? {
            Stand::Over(landed) => Ok(landed),
            Stand::Open { .. } => self.finish(wanted, entry, bytes, file),
        }
    }

    fn finish(
        &mut self,
        wanted: &LotFile,
        entry: &Entry,
        bytes: u64,
        file: &NewFile,
    ) -> Result<Landed, Failed> {
        set_metadata_of(file.file(), entry)?;
        if self.preparation.landing.fsync == Fsync::Each {
            fs::fdatasync(file.file())?;
        }
        if wanted.change.to.as_ref() != Some(entry) {
            self.tree.landings.tell_newer(&wanted.change.path, entry);
        }
        let (directory, name) = self.reach.place(&wanted.change.path)?;
        if wanted.change.from.is_some() {
            self.tree.put_aside(&wanted.change, directory, name)?;
        }
        match file.land(self.tree, directory, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Landed::Strange),
            landed => Ok(landed.map(|()| Landed::Done { bytes, entry: Some(entry.clone()) })?),
        }
    }

    /// What stands at the path, compared with what was planned.
    fn stand(&mut self, wanted: &LotFile, entry: &Entry) -> io::Result<Stand> {
        let planned = &wanted.change;
        let (directory, name) = self.reach.place(&planned.path)?;
        let there = entry_at(directory, name)?;
        let is_newer = planned.to.as_ref() != Some(entry);
        let newer = is_newer.then(|| Change { to: Some(entry.clone()), ..planned.clone() });
        let change = newer.as_ref().unwrap_or(planned);
        Ok(match change.progress_alone(there.as_ref()) {
            Progress::Done if !change.shows_in_content_only() => {
                Stand::Over(Landed::Done { bytes: 0, entry: there })
            }
            // What was planned may have arrived before what is newer.
            Progress::Strange if !is_newer || planned.progress_alone(there.as_ref()) == Progress::Strange => {
                Stand::Over(Landed::Strange)
            }
            _ => Stand::Open { replaces: there.is_some() },
        })
    }
}

/// What is to be done at a path.
enum Stand {
    /// Nothing more.
    Over(Landed),
    /// What was planned; whether something is there.
    Open { replaces: bool },
}

/// What a failure is about.
enum Failed {
    One(io::Error),
    All(Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::One(error)
    }
}

impl From<rustix::io::Errno> for Failed {
    fn from(error: rustix::io::Errno) -> Self {
        Self::One(error.into())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::All(error)
    }
}

fn garbled(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "land files", format!("what the source says makes no sense: {why}"))
}

fn corrupt(path: &RelPath) -> Error {
    Error::new(ErrorKind::Corrupt, format!("land {path}"), "what arrived is not what was sent")
        .hint("mirror again; if it happens again, look for faulty memory or a faulty disk")
}

fn has_digest(file: &File, size: u64, digest: Digest) -> io::Result<bool> {
    let mut hasher = blake3::Hasher::new();
    match hash_range(&mut hasher, file, 0..size) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| Digest::from_bytes(*hasher.finalize().as_bytes()) == digest),
    }
}

/// What came is not what was sent: an error, unless something was copied that may be not what it was believed to be.
fn wrong(incoming: Incoming, wanted: &LotFile) -> Result<Landed, Failed> {
    let has_basis = incoming.has_basis();
    incoming.staged.discard();
    if has_basis { Ok(Landed::Unlike) } else { Err(corrupt(&wanted.change.path).into()) }
}

/// A file that outgrew its plan by more than this is not at rest; and nobody makes us hash an endless hole.
fn limit(wanted: &LotFile) -> u64 {
    let planned = wanted.change.to.as_ref().map_or(0, Entry::size_bytes);
    planned.saturating_mul(2).saturating_add(GROWTH_BYTES)
}

/// The digest of a file of this size that has nothing but these pieces, which are in order.
fn held_digest(pieces: &[(u64, Bytes)], size: u64) -> Result<Digest> {
    if let [(0, bytes)] = pieces
        && bytes.len() as u64 == size
    {
        return Ok(Digest::of(bytes));
    }
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
    for (offset, bytes) in pieces {
        if *offset > size {
            return Err(garbled("it sends more than the file has"));
        }
        let gap = offset.checked_sub(at).ok_or_else(|| garbled("it sends bytes twice"))?;
        hash_zeros(&mut hasher, gap);
        hasher.update(bytes);
        at = offset + bytes.len() as u64;
    }
    hash_zeros(&mut hasher, size.checked_sub(at).ok_or_else(|| garbled("it sends more than the file has"))?);
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}
