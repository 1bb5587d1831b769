//! Finding what differs by what both ends agreed on last time.

use super::change::{Change, Options};
use super::snapshot::Snapshot;
use crate::digest::Digest;

/// What an end is asked: what changed in the tree since it and the other end last agreed.
///
/// ```
/// use dr_core::mirror::{Options, Survey};
/// let survey = Survey { pair: dr_core::Digest::of(b"uk:/www us:/www"), options: Options::default() };
/// assert!(survey.options.delete);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Which mirror: source, target and filter together. Each end keeps one baseline a pair.
    pub pair: Digest,
    /// What to leave out.
    pub options: Options,
}

/// What an end says: all that changed in its tree since the agreement it names.
///
/// ```
/// use dr_core::mirror::Delta;
/// assert!(Delta::default().agreed.is_none(), "it never agreed with anybody: ask for the whole tree");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The name of the agreement; none if this end knows of none. Then everything else is empty.
    pub agreed: Option<Digest>,
    /// As it was then: the paths that changed, and every directory that leads to one.
    pub was: Snapshot,
    /// As it is now: the same paths.
    pub now: Snapshot,
    /// What the whole tree has now.
    pub counts: Counts,
}

/// How much there is in a tree.
///
/// ```
/// use dr_core::mirror::Counts;
/// assert_eq!(Counts::default().files, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Everything that is no directory.
    pub files: u64,
    /// Directories, the root too.
    pub directories: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// What both ends write down once they are alike.
///
/// ```
/// use dr_core::mirror::Agreement;
/// let digest = dr_core::Digest::of(b"pair");
/// assert!(Agreement { pair: digest, name: digest, changes: vec![] }.changes.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Which mirror.
    pub pair: Digest,
    /// The name of what was agreed: never used before.
    pub name: Digest,
    /// What has become different in this end's tree since it was last surveyed or scanned through this endpoint.
    pub changes: Vec<Change>,
}
