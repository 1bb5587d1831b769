//! Mirroring: a tree on the other server.
//!
//! Both trees are scanned into [`Snapshot`]s, the [`Change`]s between them are computed, guards look at them, and the result is
//! one [`Transfer`] step. Nothing here touches a disk or a socket.

mod baseline;
mod change;
mod delta;
mod diff;
#[cfg(any(test, feature = "world"))]
mod drift;
mod entries;
mod entry;
mod filter;
mod folded;
mod guard;
mod guards;
mod limits;
mod lot;
mod lots;
mod marks;
mod order;
mod owners;
mod pace;
mod passed;
mod reuse;
mod snapshot;
mod survey;
mod varint;
pub mod wire;

pub use baseline::{BaselineName, BaselineReader, BaselineWriter, Record};
#[cfg(feature = "world")]
pub(crate) use baseline::{LandingsReader, LandingsWriter};
pub use change::{Change, Compress, Options, Owners, Progress, Side, Summary, Transfer};
pub use delta::{Index, Matcher, SignedRange, Span, WORTH_COMPARING_BYTES, sign};
pub use diff::{Difference, Held, diff, stages};
#[cfg(feature = "world")]
pub(crate) use drift::{Drift, Known};
pub use entries::{Entries, Row, Rows};
#[cfg(feature = "world")]
pub(crate) use entries::{is_below, tree_order};
pub use entry::{Bytes, Carries, Entry, Kind, Owner, RelPath, Xattrs};
pub use filter::{Filter, KEPT_PREFIX, STAGING_PREFIX};
pub use folded::{alike_but_for_case, hold_folded};
pub use guard::{Refusal, check_places, check_standing};
pub use guards::{End, Facts, Guard, Root, Verdict, guards, room_needed};
pub use limits::leave_out;
pub use lot::{
    Basis, CHUNK_BYTES_MAX, ChunkSum, Fencing, Fsync, GRAIN_BYTES, Generation, Kept, Landed, Landing, Lot,
    LotFile, Part, Piece, Room, Signature,
};
pub use lots::{LotLimits, Lots, lots};
pub use order::{Order, Turn, Turns};
pub use owners::OwnerMap;
pub use pace::Pace;
pub use passed::Passed;
pub use reuse::{Reuse, possible_twins, reusable};
#[cfg(any(test, feature = "world"))]
pub(crate) use reuse::{is_worth_copying, possible_originals};
pub use snapshot::{Names, Snapshot, Stamp};
pub use survey::{Agreement, Counts, Delta, Joined, Survey, join};
