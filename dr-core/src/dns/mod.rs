//! DNS: whether every name server would send visitors to the right host, and changing records so that no one sees a gap.
//!
//! A [`ZoneSpec`] gives the [`questions`]; what the servers say becomes [`ZoneFacts`], which [`judge`] turns into a report: one
//! rule a topic, all of them in one list. A [`ZoneChange`] takes record sets from one state to another in one message, an
//! [`Agreement`] waits until every server shows it, and [`predict`] says beforehand how long that takes. The words are those of RFC 9499. Nothing here touches a socket.

mod change;
mod configuration;
mod facts;
mod follow;
mod judge;
mod keys;
mod message;
mod probe;
mod promotion;
mod proof;
mod rdata;
mod rules;
mod seen;
mod serial;
mod soa;
mod spec;
mod spread;
mod transfer;
mod tsig;

pub use change::{
    Agreement, Agreements, SetChange, Through, Wish, ZoneChange, ZoneChanges, owner_in, remembered,
};
pub use configuration::{Configuration, Software};
pub use facts::{Answer, Fact, Question, Transport};
pub use follow::follow_up;
pub use judge::{Thresholds, ZoneFacts, judge, summary};
pub use probe::{EdnsHeard, EdnsShape, Entry, Exchange, Heard, Probe, Reply, Shape};
pub use promotion::{Parts, followers, next_serial, promotable, reachable};
pub use proof::{Proof, proofs};
pub use rdata::canonical_rdata;
#[cfg(feature = "world")]
pub(crate) use rdata::{entry_from_wire, rdata_from_wire, rdata_to_wire};
pub use serial::Serial;
pub use soa::Soa;
#[cfg(feature = "world")]
pub(crate) use spec::canonical_set;
pub use spec::{Depth, KnownNetwork, Server, ZoneSpec, first_questions, questions};
pub use spread::{Prediction, predict};
pub use transfer::{Difference, Transfer, TransferFault, TransferLimits, Transferred, ZoneRecord};
pub use tsig::{FUDGE_S, Signed, TsigFault, TsigSigner, Verifier};
