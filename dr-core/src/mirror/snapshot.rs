//! A tree as it was seen at one moment.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::Entries;
use super::entry::RelPath;

/// A tree as it was seen at one moment. Its entries are packed: see [`Entries`].
///
/// ```
/// use dr_core::mirror::Snapshot;
/// assert!(Snapshot::default().entries.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything below the root that the filter lets through, and the root itself as [`RelPath::root`] if it exists.
    pub entries: Entries,
    /// What is there and could not be read, with the reason: never to be taken for "not there".
    pub unreadable: BTreeMap<RelPath, String>,
    /// What the filter left out, without what is below: a directory that holds such a path is never removed.
    pub excluded: BTreeSet<RelPath>,
    /// What the machine calls its users and groups, where owners do not simply go by number ([`super::Options::owners`]).
    pub names: Names,
}

/// What shows that a file was written although its size and time are as before.
///
/// ```
/// use dr_core::mirror::Stamp;
/// assert_ne!(Stamp::default(), Stamp { inode: 7, ..Stamp::default() }, "all zero: nothing is known");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Its number on its file system (inode(7)).
    pub inode: u64,
    /// The last change of content or metadata, which nobody can set: seconds since the Unix epoch.
    pub ctime_s: i64,
    /// The same, nanoseconds within that second.
    pub ctime_ns: u32,
}

/// Users and groups by name.
///
/// ```
/// use dr_core::mirror::Names;
/// let names = Names { users: [(33, "www-data".to_owned())].into(), ..Names::default() };
/// assert_eq!(names.users[&33], "www-data");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Users by number.
    pub users: BTreeMap<u32, String>,
    /// Groups by number.
    pub groups: BTreeMap<u32, String>,
}
