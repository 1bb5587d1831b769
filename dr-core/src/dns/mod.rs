//! DNS: whether every name server would send visitors to the right host, and changing records so that no one sees a gap.
//!
//! The words are those of RFC 9499. Nothing here touches a socket: questions go out and answers come in as values.

mod change;
mod facts;
mod rdata;

pub use change::{Agreement, SetChange, ZoneChange};
pub use facts::{Answer, Fact, Question, Transport};
pub use rdata::canonical_rdata;
