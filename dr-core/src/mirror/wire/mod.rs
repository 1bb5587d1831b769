//! What travels between dr and its agent at the far end of a line. Bytes only: who reads and writes them is in `world`.
//!
//! Both sides send [`MAGIC`], then frames: a [`FrameHead`] and its content. Every request has a number; many are under way at
//! once. A `Call` says what is wanted, `Pack`s carry many items (files, pieces, paths), `Last` says that no more follow, and a
//! `Reply` ends it. Each side may have [`WINDOW_BYTES`] of packs of one request under way; `Credit` gives back what was taken,
//! so that a slow request never holds up another. Everything has a limit, and no path that leaves a root can be said.

mod calls;
mod coding;
mod door;
mod frame;
mod lots;
mod pack;
#[cfg(test)]
mod tests;
mod tree;

pub use calls::{Call, Manners, Reply};
pub use coding::{Coded, Malformed, Reader, Writer};
pub use door::Door;
pub use frame::{
    CALLS_MAX, FRAME_BYTES_MAX, FrameHead, FrameKind, HEAD_BYTES, Hello, MAGIC, PROTOCOL, WINDOW_BYTES,
};
pub use lots::{Content, Grain};
pub use pack::{Item, PACK_BYTES, Pack, kind_of_pack, unpack};
pub use tree::{Seen, Sight, Version};
