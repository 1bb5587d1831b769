//! Keys: from passwords to proven keys without ever locking anyone out.
//!
//! The words are OpenSSH's. Nothing here touches a socket or a disk.

mod authorized_keys;
mod certificate;
mod effective;
mod inventory;
mod issue;
mod issued;
mod judge;
mod kind;
mod known_hosts;
mod lock;
#[cfg(feature = "world")]
mod onto;
mod options;
mod public;
mod revocation;
mod rights;
mod software;
#[cfg(feature = "world")]
mod sshd_config;
mod sshfp;
mod steps;
mod strict;
mod trusted;
pub(crate) mod wire;

pub use authorized_keys::{AuthorizedKeys, Entry, Existing};
pub use certificate::{Bearer, Certificate};
pub use effective::Effective;
pub use inventory::{
    Access, AccountLogin, AccountSeen, BrokenLine, FileSeen, Holds, HostSeen, Inventory, KeyFile,
    PasswordSeen,
};
pub use issue::{Permit, Terms};
pub use issued::Issued;
#[cfg(feature = "world")]
pub(crate) use judge::RSA_BITS_MIN;
pub use kind::KeyKind;
pub use known_hosts::{KnownHosts, Place, Verdict};
pub use lock::{HostProof, PasswordsRefused, Revokes, SshdChange, Switch};
#[cfg(feature = "world")]
pub(crate) use onto::Change;
#[cfg(feature = "world")]
pub(crate) use options::shell_word;
pub use options::{KeyOptions, MirrorBy};
pub use public::PublicKey;
pub use revocation::{RevocationList, Revoked};
pub use rights::{Expiry, Rights};
pub use software::{Software, Stranger};
#[cfg(feature = "world")]
pub(crate) use sshd_config::{
    CERTIFICATES_DROP_IN, DROP_IN, KEYWORDS, MAIN, REVOKED_DROP_IN, REVOKED_LIST, block, rehearsal,
    revoked_block, stray_marks, takes_passwords, who_says_yes, with_block, without_block,
};
pub use sshfp::{Signed, Sshfp, SshfpSeen};
pub use steps::{AuthorizedKeysChange, Content, Proof};
pub use strict::{Group, PathSeen, StrictModes, User};
#[cfg(feature = "world")]
pub(crate) use trusted::authorities;
