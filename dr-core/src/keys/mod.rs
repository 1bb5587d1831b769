//! Keys: from passwords to proven keys without ever locking anyone out.
//!
//! The words are OpenSSH's. Nothing here touches a socket or a disk.

mod known_hosts;
mod public;
mod steps;

pub use known_hosts::{KnownHosts, Place, Verdict};
pub use public::PublicKey;
pub use steps::{AuthorizedKeysChange, Content, Proof};
