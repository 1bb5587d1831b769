//! What two versions of a file have in common.
//!
//! Content is cut into chunks of about 64 KiB where it says so itself (FastCDC), so that what follows an insertion is cut as
//! before. A chunk that was edited is compared in grains of 4 KiB: from where it was last the same onwards, and from where it is
//! the same again backwards. So an edit costs little more than itself, and an insertion too.
//!
//! New content is first compared with the chunk that should come next. As long as nothing changed, that costs sums and no
//! cutting; only what is not as expected is cut and looked up. The signature of the new version comes out on the way.
//!
//! Sums only find candidates. Whether a file was put together right is said by the digest of the whole.

mod index;
mod matching;
mod packed;
mod signing;
#[cfg(test)]
mod tests;

pub use index::Index;
pub use matching::{Matcher, Span};
pub use packed::SignedRange;
pub use signing::sign;

/// Files up to this size are sent whole when they change: comparing them takes as long.
pub const WORTH_COMPARING_BYTES: u64 = 1 << 20;
