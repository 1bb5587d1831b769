//! What a host shows of itself before anybody believes it.

use crate::keys::{PublicKey, Verdict};

/// A key that a host proved to hold, and what is known of it.
///
/// ```
/// use dr_core::{keys::Verdict, world::HostKeyShown};
/// let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let shown = HostKeyShown { key: line.parse().unwrap(), verdict: Verdict::Unknown, pinned: None };
/// assert!(shown.is_new());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyShown {
    /// The key.
    pub key: PublicKey,
    /// What the known_hosts files say of it.
    pub verdict: Verdict,
    /// Whether it is one of those pinned for the host; none if no key is pinned for it.
    pub pinned: Option<bool>,
}

impl HostKeyShown {
    /// Nothing is known of it, and nothing speaks against it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.verdict == Verdict::Unknown && self.pinned.is_none()
    }

    /// It is not known, nor pinned where keys are pinned, and it is not revoked: to be taken up if the host is known by another key and
    /// vouches for this one.
    #[must_use]
    pub fn may_follow(&self) -> bool {
        match self.pinned {
            Some(pinned) => !pinned && !matches!(self.verdict, Verdict::Revoked(_)),
            None => matches!(self.verdict, Verdict::Unknown | Verdict::Changed(_)),
        }
    }
}
