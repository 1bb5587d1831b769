//! **dr** is disaster recovery for people who run two or more web servers: every site mirrored to the other server, DNS kept
//! consistent and changed safely, failover decided on evidence, keys instead of passwords.
//!
//! Everything is one of two questions: *is it all right?* gathers facts, judges them and gives a [`Report`] of findings;
//! *make it so* gathers facts and gives a [`Plan`], which one machine ([`run`]) applies, resumes after a crash, or takes back.
//! What is pure knows nothing of disks and sockets; all input and output is behind the traits of `world`.
#![forbid(unsafe_code)]

pub mod digest;
pub mod dns;
pub mod error;
pub mod estate;
pub mod failover;
pub mod keys;
pub mod mirror;
pub mod plan;
pub mod render;
pub mod report;
pub mod run;
mod secret;
mod severity;
mod text;
mod time;
#[cfg(feature = "world")]
pub mod toolkit;
#[cfg(feature = "world")]
pub mod world;

pub use digest::Digest;
pub use error::{Error, ErrorKind, ErrorRecord, Result, Retry};
pub use estate::{
    Account, DnsName, Epoch, Estate, HostId, Location, NameServerId, RecordKey, RecordSet, RecordType,
    Remote, SiteId, ZoneName,
};
pub use plan::Plan;
pub use report::Report;
pub use secret::Secret;
pub use severity::Severity;
pub use time::{Period, Tick, Timestamp};
