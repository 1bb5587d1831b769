//! Mirroring: a tree on the other server.
//!
//! Both trees are scanned into [`Snapshot`]s, the [`Change`]s between them are computed, guards look at them, and the result is
//! one [`Transfer`] step. Nothing here touches a disk or a socket.

mod change;
mod entry;

pub use change::{Change, Options, Summary, Transfer};
pub use entry::{Bytes, Entry, Kind, Owner, RelPath, Snapshot};
