//! Keys: from passwords to proven keys without ever locking anyone out.
//!
//! The words are OpenSSH's. Nothing here touches a socket or a disk.

mod authorized_keys;
mod known_hosts;
mod modes;
mod options;
mod public;
mod steps;

pub use authorized_keys::{AuthorizedKeys, Entry, Existing};
pub use known_hosts::{KnownHosts, Place, Verdict};
pub use modes::too_open;
pub use options::KeyOptions;
pub use public::PublicKey;
pub use steps::{AuthorizedKeysChange, Content, Proof};
