//! Work for two endpoints at once: files that one supplies and the other lands.

use bytes::Bytes;

use super::change::Change;
use super::entry::{Entry, RelPath};
use crate::digest::Digest;
use crate::estate::{Epoch, SiteId};
use crate::time::Timestamp;

/// Files that travel together, in this order. Lots are independent of each other and go side by side.
///
/// ```
/// use dr_core::mirror::Lot;
/// assert!(Lot::default().files.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lot {
    /// What is to arrive. Each `change.to` is a regular file.
    pub files: Vec<LotFile>,
}

/// One file of a [`Lot`], or a range of a huge one.
///
/// ```
/// use dr_core::mirror::{Basis, Part};
/// assert_eq!((Basis::default(), Part::default()), (Basis::Nothing, Part::Whole));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotFile {
    /// What is there, and what will be.
    pub change: Change,
    /// What the target can make it from.
    pub basis: Basis,
    /// How much of it is meant.
    pub part: Part,
}

/// What the target has already that a file can be made from.
///
/// ```
/// use dr_core::mirror::Basis;
/// assert_eq!(Basis::default(), Basis::Nothing);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: all of it travels.
    #[default]
    Nothing,
    /// A file of the target that the source knows chunk by chunk, because it sent it once or was told
    /// ([`crate::world::Endpoint::remember`]). Pieces may copy from it. If the source knows nothing of it after all, or has
    /// forgotten, it sends all of the file.
    Chunks {
        /// It is what a cut run left of the new version in the target's staging area; else it is the old version at the same
        /// path, as `change.from` says.
        staged: bool,
    },
    /// A file of the target with exactly this content, at another path: nothing is supplied. The target reads it again before it
    /// believes it, and says [`Landed::Unlike`] if it is not so.
    Same {
        /// Where it is.
        path: RelPath,
        /// Its content.
        digest: Digest,
        /// It is removed later in the same run, and no other file is made from it: the target may give the new name to the file
        /// itself, if it has only one.
        leaves: bool,
    },
    /// A file with exactly this content that lands in the same run: nothing is supplied once that has landed. As with
    /// [`Self::Same`], the target reads it before it believes it.
    Twin {
        /// Where it lands.
        path: RelPath,
        /// Its content.
        digest: Digest,
    },
}

/// The chunks of a file, in order: what two versions have in common shows by equal sums.
///
/// Any cutting will do, but only chunks that begin and end where their content says so ([`crate::mirror::sign`]) are found again
/// after something was inserted before them.
///
/// ```
/// use dr_core::mirror::{ChunkSum, Signature};
/// let chunk = ChunkSum { bytes: 4096, sum: [7; 16] };
/// assert!(Signature { staged: false, chunks: vec![chunk], grains: vec![9] }.is_sound());
/// assert!(!Signature { staged: false, chunks: vec![chunk], grains: vec![] }.is_sound());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// It describes what a cut run left in the target's staging area, not the file at the path.
    pub staged: bool,
    /// Its chunks.
    pub chunks: Vec<ChunkSum>,
    /// For each chunk in turn, for each [`GRAIN_BYTES`] of it (the last may be shorter): its XXH3. So a small edit costs a grain
    /// and not a chunk. Equal sums only find candidates; what was put together right is said by the digest of the file.
    pub grains: Vec<u64>,
}

impl Signature {
    /// The size of the file that it describes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum()
    }

    /// Whether it can be what it says: no chunk is empty or longer than [`CHUNK_BYTES_MAX`], and each has its grains.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let lengths = self.chunks.iter().map(|chunk| chunk.bytes as usize);
        let grains: usize = lengths.clone().map(|bytes| bytes.div_ceil(GRAIN_BYTES)).sum();
        grains == self.grains.len() && lengths.clone().all(|bytes| (1..=CHUNK_BYTES_MAX).contains(&bytes))
    }
}

/// A chunk is compared in grains of so many bytes if it is not the same as a whole.
pub const GRAIN_BYTES: usize = 4096;
/// No chunk is longer.
pub const CHUNK_BYTES_MAX: usize = 1 << 18;

/// One chunk of a file.
///
/// ```
/// use dr_core::mirror::ChunkSum;
/// assert_eq!(ChunkSum { bytes: 1, sum: [0; 16] }.bytes, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkSum {
    /// Its length.
    pub bytes: u32,
    /// The first half of the BLAKE3 of the sums of its grains, each as eight bytes, little-endian.
    pub sum: [u8; 16],
}

/// How much of a file is meant.
///
/// ```
/// use dr_core::mirror::Part;
/// assert_ne!(Part::Whole, Part::Range { offset: 0, bytes: 1 << 26 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it, landed at the end.
    #[default]
    Whole,
    /// These bytes of a huge file; they wait in the staging area.
    Range {
        /// The first byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Nothing more: all ranges have arrived, and it lands. The source says with [`Piece::End`] that it held still.
    Land,
}

/// What a source says of the files of a lot. `file` is the number of the file in the lot.
///
/// For every file come its content in any order of offsets, each byte at most once, and then exactly one `End` or `Kept`. Bytes
/// that no piece names are zero.
///
/// ```
/// use dr_core::mirror::Piece;
/// let piece = Piece::Data { file: 0, offset: 0, bytes: "<p>".into() };
/// assert_eq!(piece.file(), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Content as it is.
    Data {
        /// Which file.
        file: u32,
        /// Where it goes.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Content that the basis has.
    Copy {
        /// Which file.
        file: u32,
        /// Where it goes.
        offset: u64,
        /// Where it is in the basis.
        from: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// The file is complete and held still while it was read.
    End {
        /// Which file.
        file: u32,
        /// As it was read: it may be newer than what was planned.
        entry: Entry,
        /// BLAKE3 of what was meant (the whole file, or the range); of nothing for [`Part::Land`].
        digest: Digest,
    },
    /// It cannot be supplied: the target keeps what it has.
    Kept {
        /// Which file.
        file: u32,
        /// Why, in words.
        why: Kept,
    },
}

impl Piece {
    /// The number of its file in the lot.
    #[must_use]
    pub fn file(&self) -> u32 {
        match self {
            Self::Data { file, .. }
            | Self::Copy { file, .. }
            | Self::End { file, .. }
            | Self::Kept { file, .. } => *file,
        }
    }
}

/// Why a source did not supply a file.
///
/// ```
/// use dr_core::mirror::Kept;
/// assert_eq!(Kept::Gone.to_string(), "it was removed from the source");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is not there any more.
    Gone,
    /// Something else is there by now.
    NoFile,
    /// It changed every time it was read.
    Restless,
    /// It could not be read.
    Unreadable(String),
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("it was removed from the source"),
            Self::NoFile => f.write_str("it is no file any more"),
            Self::Restless => f.write_str("it changed every time it was read"),
            Self::Unreadable(why) => write!(f, "it could not be read: {why}"),
        }
    }
}

/// What became of one change or file on the target.
///
/// ```
/// use dr_core::mirror::{Kept, Landed};
/// assert!(Landed::Staged.is_landed() && !Landed::Kept(Kept::Gone).is_landed());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    /// It is as it should be. How many bytes were written for it, copied ones included.
    Done {
        /// Bytes written.
        bytes: u64,
        /// As it is now on the target; none if it was removed.
        entry: Option<Entry>,
    },
    /// A range was staged.
    Staged,
    /// The source did not supply it.
    Kept(Kept),
    /// The path is neither as planned nor as before: somebody else changed it, and it was left alone.
    Strange,
    /// The basis is not what it was believed to be: send all of it.
    Unlike,
    /// The target could not: no right, immutable, no such kind on its file system. Nothing was changed at the path.
    Failed(String),
}

impl Landed {
    /// Whether nothing more is to be done for it.
    #[must_use]
    pub fn is_landed(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Staged)
    }
}

/// What the target is told before anything lands.
///
/// ```
/// use dr_core::mirror::Landing;
/// assert_eq!(Landing::default().generations, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landing {
    /// Which mirror: what lands is remembered as its work until both ends agree.
    pub pair: Option<Digest>,
    /// How many former states of the whole tree are kept for going back; 0: files land in the tree itself.
    pub generations: u32,
    /// Paths whose present content goes to quarantine before it is replaced or removed.
    pub quarantine: Vec<RelPath>,
    /// When what landed is made durable.
    pub fsync: Fsync,
    /// A file on the target's host that says what that host is for the site: it is read again before anything lands.
    pub fence: Option<Fencing>,
}

/// One state of a whole tree.
///
/// ```
/// use dr_core::mirror::Generation;
/// let generation = Generation { since: "2026-11-22T03:00:00Z".parse().unwrap(), is_live: true };
/// assert!(generation.is_live);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// When it first became the live one.
    pub since: Timestamp,
    /// It is what is served now.
    pub is_live: bool,
}

/// When what landed is made durable.
///
/// ```
/// use dr_core::mirror::Fsync;
/// assert_eq!(Fsync::default(), Fsync::Once);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// Everything at once at the end, before success is said (syncfs(2)).
    #[default]
    Once,
    /// Each file before it is renamed into place.
    Each,
    /// Never: for what can be made again.
    Never,
}

/// Whose standing is watched, and what the writer believes.
///
/// ```
/// use dr_core::estate::Epoch;
/// use dr_core::mirror::Fencing;
/// let fencing = Fencing { site: "shop".parse().unwrap(), epoch: Epoch(3), standing: "/var/lib/dr/sites/shop".into() };
/// assert_eq!(fencing.epoch.0, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fencing {
    /// The site.
    pub site: SiteId,
    /// The epoch of the writer.
    pub epoch: Epoch,
    /// The file, on the target's host.
    pub standing: String,
}

/// What is free where the tree is.
///
/// ```
/// use dr_core::mirror::Room;
/// assert!(Room { bytes: 10, inodes: None }.bytes > 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this account may still write there, quota included.
    pub bytes: u64,
    /// Files that may still be made; none where the file system has no such limit.
    pub inodes: Option<u64>,
}
