//! What we may offer to hosts, and by what we trust them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::estate::Remote;
use crate::secret::Secret;

/// How hosts are reached: who we are, and which host keys are right. The default trusts nothing and offers nothing.
///
/// ```
/// use dr_core::world::ssh::Access;
/// let access = Access {
///     identities: vec!["/home/me/.ssh/id_ed25519".into()],
///     known_hosts: vec!["/home/me/.ssh/known_hosts".into()],
///     ..Access::default()
/// };
/// assert!(access.pins.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Access {
    /// Private key files, tried in this order.
    pub identities: Vec<PathBuf>,
    /// Opens those of them that are encrypted.
    pub passphrase: Option<Secret>,
    /// Passwords, for accounts that no key opens yet. Tried last, by `password` or `keyboard-interactive`.
    pub passwords: BTreeMap<Remote, Secret>,
    /// The socket of an ssh-agent whose keys are tried after the identities.
    pub use_agent: Option<PathBuf>,
    /// known_hosts files. One that does not exist counts as empty.
    pub known_hosts: Vec<PathBuf>,
    /// Host keys by [`Remote::known_hosts_name`], each as it stands in a `.pub` file. Where a host has any, they alone decide,
    /// save that a known_hosts file can still revoke one.
    pub pins: BTreeMap<String, Vec<String>>,
    /// How long one address may take to accept a TCP connection.
    pub connect_timeout: Duration,
    /// How long key exchange and login may take together.
    pub login_timeout: Duration,
    /// After so long without a sign of life the host is asked for one; three unanswered ones end the connection. Zero: never.
    pub keepalive: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            identities: vec![],
            passphrase: None,
            passwords: BTreeMap::new(),
            use_agent: None,
            known_hosts: vec![],
            pins: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
        }
    }
}
