//! What guards say of two trees and their difference, before anything is changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{Change, Options, Side};
use super::entry::Entry;
use super::guard::Refusal;
use super::lot::Room;
use super::survey::Counts;
use crate::estate::Location;

/// Something that a guard looks at.
///
/// ```
/// use dr_core::mirror::Guard;
/// assert_eq!(serde_json::to_string(&Guard::Deletions).unwrap(), "\"deletions\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guard {
    /// The source is there, a directory, and not emptied.
    Source,
    /// The target is a directory, or nothing yet.
    Target,
    /// Each end is still the tree that it was at the last mirror.
    SameTrees,
    /// Not too much is removed.
    Deletions,
    /// Nobody else changed the target since the last mirror.
    Divergence,
    /// It fits.
    Room,
}

/// What a guard says of a mirror.
///
/// ```
/// use dr_core::mirror::{Guard, Verdict};
/// let fine = Verdict { guard: Guard::Room, says: "4096 bytes are needed".into(), refused: false, advice: None };
/// assert!(!fine.refused);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Which guard.
    pub guard: Guard,
    /// What it saw.
    pub says: String,
    /// Whether it lets the mirror be done.
    pub refused: bool,
    /// What to do if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Verdict {
    /// The verdict of a guard that looked.
    #[must_use]
    pub fn new(guard: Guard, looked: Result<String, Refusal>) -> Self {
        match looked {
            Ok(says) => Self { guard, says, refused: false, advice: None },
            Err(refusal) => Self {
                guard,
                says: refusal.message(),
                refused: true,
                advice: Some(refusal.advice().to_owned()),
            },
        }
    }
}

/// What stands where a tree should have its root.
///
/// ```
/// use dr_core::mirror::Root;
/// assert_ne!(Root::Directory, Root::Missing);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A directory.
    Directory,
    /// Nothing.
    Missing,
    /// Something else.
    NoDirectory,
    /// A directory that cannot be listed, and why.
    Unreadable(String),
}

/// One end of a mirror, as far as guards look at it.
///
/// ```
/// use dr_core::mirror::{Counts, End, Root};
/// let place = "/var/www".parse().unwrap();
/// let end = End { place: &place, root: Root::Directory, counts: Counts::default(), gone: None };
/// assert_eq!(end.counts.files, 0);
/// ```
#[derive(Clone, Debug)]
pub struct End<'a> {
    /// Where it is.
    pub place: &'a Location,
    /// What stands there.
    pub root: Root,
    /// What is in it now.
    pub counts: Counts,
    /// How many of the files that it had at the last mirror are gone, where that is known.
    pub gone: Option<u64>,
}

/// What guards look at.
///
/// ```
/// # fn looked(facts: &dr_core::mirror::Facts<'_>) {
/// use dr_core::mirror::guards;
/// for (guard, looked) in guards(facts) {
///     println!("{guard:?}: {}", if looked.is_ok() { "fine" } else { "no" });
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Where files come from.
    pub source: End<'a>,
    /// Where they go.
    pub target: End<'a>,
    /// What is allowed.
    pub options: &'a Options,
    /// How many files would be removed.
    pub deleted_files: u64,
    /// What it takes on the target, and what is free there, where that is known.
    pub room: Option<(Room, Room)>,
    /// What the target has that neither the last mirror nor the source has: how many paths, and the first by name.
    pub diverged: Option<(usize, String)>,
}

/// What every guard says of two trees and their difference.
///
/// ```
/// use dr_core::mirror::{Counts, End, Facts, Guard, Options, Refusal, Root, guards};
/// let (source, target) = ("/a".parse().unwrap(), "/b".parse().unwrap());
/// let end = |place, root| End { place, root, counts: Counts::default(), gone: None };
/// let options = Options::default();
/// let facts = Facts {
///     source: end(&source, Root::Missing),
///     target: end(&target, Root::Directory),
///     options: &options,
///     deleted_files: 0,
///     room: None,
///     diverged: None,
/// };
/// assert!(matches!(guards(&facts)[0], (Guard::Source, Err(Refusal::SourceMissing { .. }))));
/// ```
#[must_use]
pub fn guards(facts: &Facts<'_>) -> Vec<(Guard, Result<String, Refusal>)> {
    vec![
        (Guard::Source, check_source(facts)),
        (Guard::Target, check_target(&facts.target)),
        (Guard::Deletions, check_deletions(facts)),
        (Guard::SameTrees, check_same_trees(facts)),
        (Guard::Divergence, check_divergence(facts)),
        (Guard::Room, check_room(facts)),
    ]
}

fn below(end: &End<'_>) -> u64 {
    end.counts.files + end.counts.directories.saturating_sub(1)
}

fn check_source(Facts { source, target, options, .. }: &Facts<'_>) -> Result<String, Refusal> {
    let place = source.place.clone();
    match &source.root {
        Root::Unreadable(why) => return Err(Refusal::Unreadable { place, why: why.clone() }),
        Root::Missing => return Err(Refusal::SourceMissing { source: place }),
        Root::NoDirectory => return Err(Refusal::SourceNotDirectory { source: place }),
        Root::Directory => {}
    }
    if options.delete && below(source) == 0 && below(target) > 0 {
        return Err(Refusal::SourceEmptied { source: place, paths: below(target) });
    }
    Ok(format!("it has {} files", source.counts.files))
}

fn check_target(target: &End<'_>) -> Result<String, Refusal> {
    let place = target.place.clone();
    match &target.root {
        Root::Unreadable(why) => Err(Refusal::Unreadable { place, why: why.clone() }),
        Root::NoDirectory => Err(Refusal::TargetNotDirectory { target: place }),
        Root::Missing => Ok("there is nothing yet".to_owned()),
        Root::Directory => Ok(format!("it has {} files", target.counts.files)),
    }
}

/// Beyond so many files, and more than half of them, it is another tree that stands there.
const OTHER_TREE_FILES_MIN: u64 = 100;

fn check_same_trees(facts: &Facts<'_>) -> Result<String, Refusal> {
    let Facts { source, target, options, .. } = facts;
    let mut is_known = false;
    // What is gone from the source is removed from the target: who allows that many removals has said that it is meant.
    let is_allowed = check_deletions(facts).is_ok();
    for (end, is_meant) in [(source, is_allowed), (target, false)] {
        let Some(gone) = end.gone else { continue };
        is_known = true;
        // What came since the last mirror counts as having been there: then more must be gone to be refused.
        let of = end.counts.files + gone;
        if !options.other_tree && !is_meant && gone > OTHER_TREE_FILES_MIN && gone * 2 > of {
            return Err(Refusal::OtherTree { place: end.place.clone(), gone, of });
        }
    }
    Ok(match is_known {
        true => "both are the trees of the last mirror".to_owned(),
        false => "the two ends remember no mirror".to_owned(),
    })
}

fn check_deletions(Facts { target, options, deleted_files, .. }: &Facts<'_>) -> Result<String, Refusal> {
    let (files, of, allowed) = (*deleted_files, target.counts.files, options.max_delete);
    let is_too_large_a_share = u128::from(files) * 100 > u128::from(of) * u128::from(allowed.percent);
    if files > allowed.files && is_too_large_a_share {
        return Err(Refusal::TooManyDeletions { files, of, allowed });
    }
    Ok(format!("{files} of the target's {of} files would be removed"))
}

fn check_divergence(Facts { target, options, diverged, .. }: &Facts<'_>) -> Result<String, Refusal> {
    match (diverged, options.winner) {
        (None | Some((0, _)), _) => Ok("nobody else changed the target".to_owned()),
        (Some((_, named)), None) => {
            Err(Refusal::Diverged { target: target.place.clone(), named: named.clone() })
        }
        (Some((paths, _)), Some(Side::Source)) => {
            Ok(format!("{paths} paths were changed on the target; what it has goes to quarantine"))
        }
        (Some((paths, _)), Some(Side::Target)) => {
            Ok(format!("{paths} paths were changed on the target and are left as they are"))
        }
    }
}

fn check_room(Facts { target, room, .. }: &Facts<'_>) -> Result<String, Refusal> {
    let Some((needed, free)) = *room else { return Ok("what is free there cannot be known".to_owned()) };
    let lacks_inodes = needed
        .inodes
        .zip(free.inodes)
        .is_some_and(|(needed_inodes, free_inodes)| needed_inodes > free_inodes);
    if needed.bytes > free.bytes || lacks_inodes {
        return Err(Refusal::NoRoom { target: Box::new(target.place.clone()), needed, free });
    }
    Ok(format!("{} bytes are needed, and {} are free", needed.bytes, free.bytes))
}

/// What it takes on the target to make these changes: a file that replaces another lies beside it until it is whole.
///
/// ```
/// use dr_core::mirror::room_needed;
/// assert_eq!(room_needed(&[]).bytes, 0);
/// ```
#[must_use]
pub fn room_needed(changes: &[Change]) -> Room {
    let moved = changes.iter().filter(|change| change.moves_content());
    let sizes = moved.map(|change| {
        let size = |entry: &Option<Entry>| entry.as_ref().map_or(0, Entry::size_bytes);
        (size(&change.from), size(&change.to))
    });
    let (mut bytes, mut largest) = (0_u64, 0_u64);
    for (from, to) in sizes {
        bytes = bytes.saturating_add(to.saturating_sub(from));
        largest = largest.max(to.min(from));
    }
    let made = changes.iter().filter(|change| change.from.is_none()).count() as u64;
    Room { bytes: bytes.saturating_add(largest), inodes: Some(made) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::MaxDelete;
    use crate::mirror::{Kind, RelPath};

    type Looked = Vec<(Guard, Result<String, Refusal>)>;

    /// What the guards say of a source and a target with so many files.
    fn check(source: (Root, u64), target: (Root, u64), change: impl FnOnce(&mut Facts<'_>)) -> Looked {
        let place = |text: &str| text.parse::<Location>().unwrap();
        let (source_place, target_place) = (place("/a"), place("/b"));
        let max_delete = MaxDelete { percent: 10, files: 100 };
        let options = Options { max_delete, ..Options::default() };
        let end = |place, (root, files)| {
            let counts = Counts { files, directories: 1, bytes: files };
            End { place, root, counts, gone: None }
        };
        let mut facts = Facts {
            source: end(&source_place, source),
            target: end(&target_place, target),
            options: &options,
            deleted_files: 0,
            room: None,
            diverged: None,
        };
        change(&mut facts);
        guards(&facts)
    }

    fn refusal(looked: Looked) -> Option<Refusal> {
        let mut refusals = looked.into_iter().filter_map(|(_, looked)| looked.err());
        let first = refusals.next();
        assert_eq!(refusals.next(), None, "one guard refuses");
        first
    }

    #[test]
    fn a_source_that_is_missing_or_emptied_is_refused() {
        use Root::{Directory, Missing, NoDirectory};
        let check = |source, target| refusal(check(source, target, |_| {}));
        assert!(matches!(check((Missing, 0), (Directory, 0)), Some(Refusal::SourceMissing { .. })));
        assert!(matches!(
            check((Directory, 0), (Directory, 1)),
            Some(Refusal::SourceEmptied { paths: 1, .. })
        ));
        assert_eq!(check((Directory, 0), (Directory, 0)), None);
        assert_eq!(check((Directory, 0), (Missing, 0)), None);
        assert!(matches!(check((NoDirectory, 0), (Directory, 0)), Some(Refusal::SourceNotDirectory { .. })));
        assert!(matches!(check((Directory, 0), (NoDirectory, 0)), Some(Refusal::TargetNotDirectory { .. })));
        let dark = || (Root::Unreadable("permission denied".into()), 0);
        assert!(matches!(check(dark(), (Directory, 3)), Some(Refusal::Unreadable { .. })));
        assert!(matches!(check((Directory, 3), dark()), Some(Refusal::Unreadable { .. })));
    }

    #[test]
    fn deletions_are_refused_when_both_limits_are_exceeded() {
        let check = |of, deleted| {
            refusal(check((Root::Directory, 9), (Root::Directory, of), |facts| facts.deleted_files = deleted))
        };
        assert_eq!(check(1000, 100), None, "neither is exceeded");
        assert!(matches!(check(1000, 101), Some(Refusal::TooManyDeletions { .. })));
        assert_eq!(check(101, 100), None, "a large share, but few files");
        assert_eq!(check(10_000, 1000), None, "many files, but a small share");
    }

    #[test]
    fn a_tree_that_lost_most_of_its_files_is_another_one() {
        let whole = || (Root::Directory, 200);
        let gone = |gone| refusal(check(whole(), whole(), |facts| facts.target.gone = Some(gone)));
        assert_eq!(gone(200), None, "half of them");
        assert!(matches!(gone(201), Some(Refusal::OtherTree { gone: 201, of: 401, .. })));
        let few = check((Root::Directory, 9), (Root::Directory, 9), |facts| facts.source.gone = Some(100));
        assert_eq!(refusal(few), None, "too few to tell");
    }

    #[test]
    fn what_somebody_else_changed_needs_a_winner() {
        let whole = || (Root::Directory, 9);
        let diverged = || Some((2, "a, b".to_owned()));
        let refused = refusal(check(whole(), whole(), |facts| facts.diverged = diverged()));
        assert!(matches!(refused, Some(Refusal::Diverged { named, .. }) if named == "a, b"));
        for winner in [Side::Source, Side::Target] {
            let options = Options { winner: Some(winner), ..Options::default() };
            let (source, target) = ("/a".parse().unwrap(), "/b".parse().unwrap());
            let end = |place| End { place, root: Root::Directory, counts: Counts::default(), gone: None };
            let facts = Facts {
                source: end(&source),
                target: end(&target),
                options: &options,
                deleted_files: 0,
                room: None,
                diverged: diverged(),
            };
            assert_eq!(refusal(guards(&facts)), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let file = |size_bytes| {
            let kind = Kind::File { size_bytes, digest: None };
            Some(Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None })
        };
        let change = |name: &[u8], from, to| Change { path: RelPath::new(name).unwrap(), from, to };
        let changes = [
            change(b"new", None, file(50)),
            change(b"grows", file(100), file(130)),
            change(b"shrinks", file(500), file(400)),
            change(b"gone", file(1000), None),
        ];
        let needed = room_needed(&changes);
        assert_eq!(needed, Room { bytes: 50 + 30 + 400, inodes: Some(1) }, "the largest lies there twice");
        let whole = || (Root::Directory, 9);
        let check = |bytes, inodes| {
            let free = Room { bytes, inodes };
            refusal(check(whole(), whole(), |facts| facts.room = Some((needed, free))))
        };
        assert_eq!(check(480, None), None);
        assert_eq!(check(480, Some(1)), None);
        assert!(matches!(check(479, None), Some(Refusal::NoRoom { .. })));
        assert!(matches!(check(480, Some(0)), Some(Refusal::NoRoom { .. })));
    }
}
