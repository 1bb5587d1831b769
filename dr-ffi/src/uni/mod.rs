//! The facade out of which Kotlin, Swift, Ruby and Python are generated: the operations of the one table, as coroutines.
//!
//! A call is the same [`Background`](dr_core::toolkit::Background) that Python's own package stands on: a thread of its own, which queues what happens and wakes
//! whoever waits. The waiting itself, and every callback, is on the foreign side's own thread, inside its poll: when it stops
//! polling, nothing of ours calls it any more.

mod call;
mod error;
mod operations;
mod records;
mod toolkit;
mod types;

pub use call::{CancelToken, Listener, Stop};
pub use error::DrError;
pub use toolkit::{Toolkit, version};
