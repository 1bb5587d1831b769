//! What can be relied on where records are changed, and what became of a change.

use crate::estate::RecordSet;

/// What became of a change to a zone.
///
/// ```
/// use dr_core::world::Commit;
/// assert_ne!(Commit::Applied, Commit::Unknown { why: "no answer in 5 s".into() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The primary took it.
    Applied,
    /// A prerequisite did not hold; nothing was changed. What the primary has instead, as far as it could be read.
    Conflict {
        /// In the order of the change's record sets.
        observed: Vec<Option<RecordSet>>,
    },
    /// The message was sent and no answer came: it may have been applied. Read back to know.
    Unknown {
        /// What happened.
        why: String,
    },
}

/// What can be relied on where a zone's records are changed.
///
/// ```
/// use dr_core::world::{Abilities, Atomicity};
/// assert_eq!((Abilities::RFC2136.atomicity, Abilities::RFC2136.prerequisites), (Atomicity::WholeChange, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// What it is called.
    pub name: &'static str,
    /// How much is changed at once.
    pub atomicity: Atomicity,
    /// Whether it compares and changes in one go. Where it does not, somebody else's change of the same moment is overwritten.
    pub prerequisites: bool,
    /// The lowest TTL that it takes, in seconds.
    pub min_ttl_s: u32,
    /// So many record sets at once at most; none: as many as a message holds.
    pub sets_per_change: Option<usize>,
}

impl Abilities {
    /// Dynamic updates.
    pub const RFC2136: Self = Self {
        name: "RFC 2136",
        atomicity: Atomicity::WholeChange,
        prerequisites: true,
        min_ttl_s: 0,
        sets_per_change: None,
    };
}

/// How much of a change is made at once.
///
/// ```
/// use dr_core::world::Atomicity;
/// assert_ne!(Atomicity::WholeChange, Atomicity::RecordSet);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomicity {
    /// All of it, or nothing.
    WholeChange,
    /// One record set after another, each from what it was to what it will be.
    RecordSet,
}
