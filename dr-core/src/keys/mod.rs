//! Keys: from passwords to proven keys without ever locking anyone out.
//!
//! The words are OpenSSH's. Nothing here touches a socket or a disk.

mod steps;

pub use steps::{AuthorizedKeysChange, Content, Proof};
