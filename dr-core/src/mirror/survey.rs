//! Finding what differs by what both ends agreed on last time.

use std::collections::BTreeSet;

use super::change::{Change, Options};
use super::entries::{Entries, Row, side_by_side, tree_order};
use super::entry::{Carries, RelPath};
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
/// assert!(Delta::default().agreed.is_none(), "it never agreed with anybody");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The name of the agreement; none if this end knows of none. Then `now` is the whole tree, and the rest is empty.
    pub agreed: Option<Digest>,
    /// As it was then: the paths that changed, and every directory that leads to one.
    pub was: Snapshot,
    /// As it is now: the same paths.
    pub now: Snapshot,
    /// What the whole tree has now.
    pub counts: Counts,
    /// Those of the paths that are as a run of this mirror left them that was cut short.
    pub landed: BTreeSet<RelPath>,
    /// Large files that did not change and have the size of one that did: it may be a copy.
    pub originals: Entries,
}

impl Delta {
    /// What an end says that knows of no agreement.
    ///
    /// ```
    /// use dr_core::mirror::{Delta, Snapshot};
    /// assert!(Delta::of_everything(Snapshot::default()).agreed.is_none());
    /// ```
    #[must_use]
    pub fn of_everything(now: Snapshot) -> Self {
        Self { now, ..Self::default() }
    }

    /// How many paths the end had when both agreed: what it has now, without what is new, and with what is gone.
    ///
    /// ```
    /// use dr_core::mirror::{Counts, Delta};
    /// let delta = Delta { counts: Counts { files: 7, directories: 2, bytes: 0 }, ..Delta::default() };
    /// assert_eq!(delta.agreed_paths(), 9, "nothing has changed since");
    /// ```
    #[must_use]
    pub fn agreed_paths(&self) -> i128 {
        let mut paths = i128::from(self.counts.files) + i128::from(self.counts.directories);
        for (was, now) in side_by_side(&self.was.entries, &self.now.entries) {
            paths += i128::from(was.is_some()) - i128::from(now.is_some());
        }
        paths
    }
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

/// What two deltas say together: the part of both trees that may differ.
///
/// ```
/// use dr_core::mirror::Joined;
/// assert!(Joined::default().source.entries.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// The source: every path that changed at either end, and the directories that lead there.
    pub source: Snapshot,
    /// The target: the same paths.
    pub target: Snapshot,
    /// Files that were written although size and time are as before: only their content tells whether they changed. Put the digest
    /// of either end into both snapshots before they are compared.
    pub doubtful: Vec<RelPath>,
    /// What the source has and had not when both agreed. The target may have something there all the same, because it could not
    /// be mirrored then: look there, and put what is found into `target`.
    pub look: Vec<RelPath>,
}

/// Joins what the two ends say, where both name the same agreement. [`diff`](super::diff) of the two snapshots gives what it would
/// give for both whole trees, unchanged paths aside: what one end does not list is there as both had agreed. `carries` is what
/// arrives at the target (see [`Carries::onto`]); owners go by number, and no map applies.
///
/// ```
/// use dr_core::mirror::{Carries, Delta, join};
/// let carries = Carries { nanoseconds: true, owners: true, any_name: true, hard_links: true, xattrs: true, special: true };
/// assert!(join(&Delta::default(), &Delta::default(), carries).look.is_empty());
/// ```
#[must_use]
pub fn join(source: &Delta, target: &Delta, carries: Carries) -> Joined {
    let marks = |now: &Snapshot| Snapshot { entries: Entries::default(), ..now.clone() };
    let mut joined = Joined { source: marks(&source.now), target: marks(&target.now), ..Joined::default() };
    let mut ours = side_by_side(&source.was.entries, &source.now.entries).peekable();
    let mut theirs = side_by_side(&target.was.entries, &target.now.entries).peekable();
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return joined,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(our), Some(their)) => tree_order(path_of(our), path_of(their)),
        };
        let our = if order.is_le() { ours.next() } else { None };
        let their = if order.is_ge() { theirs.next() } else { None };
        let listed = our.or(their);
        let Some(path) = listed.as_ref().map(path_of).map(RelPath::known) else { continue };
        let now = |pair: Option<Pair<'_>>| pair.and_then(|(_, now)| now).map(|row| row.entry());
        let was = |pair: Option<Pair<'_>>| pair.and_then(|(was, _)| was).map(|row| row.entry());
        let wanted = if our.is_some() { now(our) } else { was(their) };
        let there =
            if their.is_some() { now(their) } else { was(our).map(|entry| entry.as_carried(carries)) };
        if [our, their].into_iter().flatten().any(is_doubtful) {
            joined.doubtful.push(path.clone());
        }
        if their.is_none() && there.is_none() {
            joined.look.push(path.clone());
        }
        joined.source.entries.extend(wanted.map(|entry| (path.clone(), entry)));
        joined.target.entries.extend(there.map(|entry| (path, entry)));
    }
}

/// What was at a path, and what is there.
type Pair<'a> = (Option<Row<'a>>, Option<Row<'a>>);

fn path_of<'a>((was, now): &Pair<'a>) -> &'a [u8] {
    was.or(*now).map_or(&[], |row| row.path_bytes())
}

/// Listed although it looks the same: something else about it changed.
fn is_doubtful((was, now): Pair<'_>) -> bool {
    let (Some(was), Some(now)) = (was, now) else { return false };
    was.is_file() && now.is_file() && was.entry() == now.entry()
}

#[cfg(test)]
mod tests;
