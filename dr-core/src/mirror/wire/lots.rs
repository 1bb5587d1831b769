//! Files on their way.

use super::coding::{Coded, Malformed, Reader, Writer, malformed, put_json, take_json};
use super::pack::Item;
use crate::estate::Epoch;
use crate::mirror::{
    Basis, ChunkSum, Fencing, Fsync, Generation, Kept, Landed, Landing, LotFile, Order, Part, Piece,
};
use crate::time::Timestamp;

impl Coded for LotFile {
    fn put(&self, to: &mut Writer) {
        self.change.put(to);
        match &self.basis {
            Basis::Nothing => to.byte(0),
            Basis::Chunks { staged } => {
                to.byte(1);
                staged.put(to);
            }
            Basis::Same { path, digest, leaves } => {
                to.byte(2);
                path.put(to);
                digest.put(to);
                leaves.put(to);
            }
            Basis::Twin { path, digest } => {
                to.byte(3);
                path.put(to);
                digest.put(to);
            }
        }
        match self.part {
            Part::Whole => to.byte(0),
            Part::Range { offset, bytes } => {
                to.byte(1);
                offset.put(to);
                bytes.put(to);
            }
            Part::Land => to.byte(2),
        }
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let change = Coded::take(from)?;
        let basis = match from.byte()? {
            0 => Basis::Nothing,
            1 => Basis::Chunks { staged: Coded::take(from)? },
            2 => Basis::Same {
                path: Coded::take(from)?,
                digest: Coded::take(from)?,
                leaves: Coded::take(from)?,
            },
            3 => Basis::Twin { path: Coded::take(from)?, digest: Coded::take(from)? },
            _ => return malformed("no such basis"),
        };
        let part = match from.byte()? {
            0 => Part::Whole,
            1 => {
                let (offset, bytes) = (from.number()?, from.number()?);
                if offset.checked_add(bytes).is_none() {
                    return malformed("a range has no end");
                }
                Part::Range { offset, bytes }
            }
            2 => Part::Land,
            _ => return malformed("no such part of a file"),
        };
        Ok(Self { change, basis, part })
    }
}

/// One grain of a signature (see [`crate::mirror::Signature::grains`]).
///
/// ```
/// assert_eq!(dr_core::mirror::wire::Grain(7).0, 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grain(pub u64);

impl Coded for Grain {
    fn put(&self, to: &mut Writer) {
        to.bytes.extend_from_slice(&self.0.to_le_bytes());
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        // Exactly 8 were taken.
        Ok(Self(u64::from_le_bytes(from.raw(8)?.try_into().unwrap_or_default())))
    }
}

impl Coded for ChunkSum {
    fn put(&self, to: &mut Writer) {
        self.bytes.put(to);
        to.bytes.extend_from_slice(&self.sum);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let bytes = from.small()?;
        // Exactly 16 were taken.
        Ok(Self { bytes, sum: from.raw(16)?.try_into().unwrap_or_default() })
    }
}

impl Coded for Piece {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Data { file, offset, bytes } => {
                to.byte(0);
                file.put(to);
                offset.put(to);
                to.string(bytes);
            }
            Self::Copy { file, offset, from, bytes } => {
                to.byte(1);
                file.put(to);
                [offset, from, bytes].iter().for_each(|number| number.put(to));
            }
            Self::End { file, entry, digest } => {
                to.byte(2);
                file.put(to);
                entry.put(to);
                digest.put(to);
            }
            Self::Kept { file, why } => {
                to.byte(3);
                file.put(to);
                why.put(to);
            }
        }
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let number = from.byte()?;
        let file = from.small()?;
        let within = |offset: u64, bytes: u64| match offset.checked_add(bytes) {
            Some(_) => Ok(()),
            None => malformed("a piece has no end"),
        };
        Ok(match number {
            0 => {
                let (offset, bytes) = (from.number()?, from.string()?);
                within(offset, bytes.len() as u64)?;
                Self::Data { file, offset, bytes }
            }
            1 => {
                let [offset, source, bytes] = [from.number()?, from.number()?, from.number()?];
                within(offset, bytes)?;
                within(source, bytes)?;
                Self::Copy { file, offset, from: source, bytes }
            }
            2 => Self::End { file, entry: Coded::take(from)?, digest: Coded::take(from)? },
            3 => Self::Kept { file, why: Coded::take(from)? },
            _ => return malformed("no such piece"),
        })
    }
}

impl Coded for Kept {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Gone => to.byte(0),
            Self::NoFile => to.byte(1),
            Self::Restless => to.byte(2),
            Self::Unreadable(why) => {
                to.byte(3);
                why.put(to);
            }
        }
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => Self::Gone,
            1 => Self::NoFile,
            2 => Self::Restless,
            3 => Self::Unreadable(from.text()?),
            _ => return malformed("no such reason"),
        })
    }
}

impl Coded for Landed {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Done { bytes, entry } => {
                to.byte(0);
                bytes.put(to);
                entry.put(to);
            }
            Self::Staged => to.byte(1),
            Self::Kept(why) => {
                to.byte(2);
                why.put(to);
            }
            Self::Strange => to.byte(3),
            Self::Unlike => to.byte(4),
            Self::Failed(why) => {
                to.byte(5);
                why.put(to);
            }
        }
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => Self::Done { bytes: Coded::take(from)?, entry: Coded::take(from)? },
            1 => Self::Staged,
            2 => Self::Kept(Coded::take(from)?),
            3 => Self::Strange,
            4 => Self::Unlike,
            5 => Self::Failed(from.text()?),
            _ => return malformed("no such end of a file"),
        })
    }
}

impl Coded for Landing {
    /// Without the paths for the quarantine: they follow.
    fn put(&self, to: &mut Writer) {
        self.pair.put(to);
        self.generations.put(to);
        to.byte(match self.fsync {
            Fsync::Once => 0,
            Fsync::Each => 1,
            Fsync::Never => 2,
        });
        self.fence.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let pair = Coded::take(from)?;
        let generations = from.small()?;
        let fsync = match from.byte()? {
            0 => Fsync::Once,
            1 => Fsync::Each,
            2 => Fsync::Never,
            _ => return malformed("no such time to make files durable"),
        };
        Ok(Self { pair, generations, quarantine: vec![], fsync, fence: Coded::take(from)? })
    }
}

impl Coded for Timestamp {
    fn put(&self, to: &mut Writer) {
        put_json(self, to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        take_json(from)
    }
}

impl Coded for Generation {
    fn put(&self, to: &mut Writer) {
        self.since.put(to);
        self.is_live.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { since: Coded::take(from)?, is_live: Coded::take(from)? })
    }
}

impl Coded for Order {
    fn put(&self, to: &mut Writer) {
        self.landing.put(to);
        self.after.put(to);
        self.needs.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { landing: from.number()?, after: from.number()?, needs: from.number()? })
    }
}

impl Coded for Fencing {
    fn put(&self, to: &mut Writer) {
        to.string(self.site.as_str().as_bytes());
        self.epoch.0.put(to);
        self.standing.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let site = from.text()?.parse().or_else(|_| malformed("no name of a site"))?;
        Ok(Self { site, epoch: Epoch(from.number()?), standing: from.text()? })
    }
}

/// A stretch of one file's content.
///
/// ```
/// assert_eq!(dr_core::mirror::wire::Content("<p>".into()).0.len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(pub bytes::Bytes);

impl Coded for Content {
    fn put(&self, to: &mut Writer) {
        to.string(&self.0);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        from.string().map(Self)
    }
}

impl Item for LotFile {
    const KIND: u8 = 4;
}
impl Item for ChunkSum {
    const KIND: u8 = 5;
}
impl Item for Generation {
    const KIND: u8 = 14;
}
impl Item for Grain {
    const KIND: u8 = 11;
}
impl Item for Piece {
    const KIND: u8 = 6;
}
impl Item for Landed {
    const KIND: u8 = 7;
}
impl Item for Content {
    const KIND: u8 = 10;
}
