//! What no mirror may do: refusals, each with the way out.

use std::path::{Component, Path, PathBuf};

use super::change::Options;
use super::entry::RelPath;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind};
use crate::estate::{Epoch, Location, MaxDelete, SiteId};

/// Why a mirror is refused before anything is changed.
///
/// ```
/// use dr_core::mirror::Refusal;
/// use dr_core::{Error, ErrorKind};
/// let error = Error::from(Refusal::SamePlace { place: "/var/www".parse().unwrap() });
/// assert_eq!(error.kind(), ErrorKind::Refused);
/// assert!(error.advice().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is nothing at the source.
    SourceMissing {
        /// The source.
        source: Location,
    },
    /// The source is something else than a directory.
    SourceNotDirectory {
        /// The source.
        source: Location,
    },
    /// One of the two cannot be listed.
    Unreadable {
        /// Which one.
        place: Location,
        /// What the operating system said.
        why: String,
    },
    /// The source is empty and the target is not: it was emptied, or what should be mounted there is not.
    SourceEmptied {
        /// The source.
        source: Location,
        /// How many paths the target has.
        paths: u64,
    },
    /// The target is something else than a directory.
    TargetNotDirectory {
        /// The target.
        target: Location,
    },
    /// More would be removed than [`Options::max_delete`] allows.
    TooManyDeletions {
        /// How many files would be removed.
        files: u64,
        /// How many files the target has.
        of: u64,
        /// What is allowed.
        allowed: MaxDelete,
    },
    /// Source and target are one directory.
    SamePlace {
        /// Where it is.
        place: Location,
    },
    /// One is inside the other.
    Nested {
        /// The one inside.
        inner: Box<Location>,
        /// The one around it.
        outer: Box<Location>,
    },
    /// The target's host serves the site.
    TargetIsHome {
        /// The site.
        site: SiteId,
        /// Since when.
        epoch: Epoch,
    },
    /// The site has moved since the writer was told.
    NewerEpoch {
        /// The site.
        site: SiteId,
        /// What the writer believes in.
        ours: Epoch,
        /// What the target knows.
        known: Epoch,
    },
}

impl Refusal {
    fn message(&self) -> String {
        match self {
            Self::SourceMissing { source } => format!("the source {source} does not exist"),
            Self::SourceNotDirectory { source } => format!("the source {source} is not a directory"),
            Self::Unreadable { place, why } => format!("{place} cannot be listed: {why}"),
            Self::SourceEmptied { source, paths } => {
                format!(
                    "the source {source} is empty, and the target has {paths} paths that would all be removed"
                )
            }
            Self::TargetNotDirectory { target } => format!("the target {target} is not a directory"),
            Self::TooManyDeletions { files, of, allowed } => format!(
                "{files} of the target's {of} files would be removed, and both {} files and {} % are exceeded",
                allowed.files, allowed.percent
            ),
            Self::SamePlace { place } => format!("source and target are both {place}"),
            Self::Nested { inner, outer } => format!("{inner} is inside {outer}"),
            Self::TargetIsHome { site, epoch } => {
                format!("the target's host is home for site {site} since epoch {epoch}")
            }
            Self::NewerEpoch { site, ours, known } => {
                format!("site {site} is in epoch {known} and this mirror was planned in epoch {ours}")
            }
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::SourceMissing { .. } | Self::SourceNotDirectory { .. } => {
                "correct the path, or mount what should be there"
            }
            Self::Unreadable { .. } => "give the account that mirrors read access to it",
            Self::SourceEmptied { .. } => {
                "mount or restore the source; if it is meant to be empty, empty the target by hand"
            }
            Self::TargetNotDirectory { .. } => "correct the path, or move away what stands there",
            Self::TooManyDeletions { .. } => {
                "look at the deletions with --dry-run; if they are meant, raise max_delete (--max-delete), or delete nothing (--no-delete)"
            }
            Self::SamePlace { .. } | Self::Nested { .. } => "name two directories that are apart",
            Self::TargetIsHome { .. } => {
                "mirror the other way round; if that host is no longer home, tell it so by a failover"
            }
            Self::NewerEpoch { .. } => {
                "plan the mirror anew: the site has moved, and its home may be another"
            }
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::SourceMissing { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Refused,
        };
        Self::new(kind, "mirror the tree", refusal.message()).hint(refusal.advice())
    }
}

/// Refuses a source and a target that are one or inside each other on the same host.
///
/// ```
/// use dr_core::mirror::check_places;
/// let place = |text: &str| text.parse().unwrap();
/// assert!(check_places(&place("/var/www"), &place("/srv/www")).is_ok());
/// assert!(check_places(&place("/var/www"), &place("/var/www/old/../copy")).is_err());
/// assert!(check_places(&place("uk:/var/www"), &place("us:/var/www")).is_ok());
/// ```
pub fn check_places(source: &Location, target: &Location) -> Result<(), Refusal> {
    let (source_path, target_path) = match (source, target) {
        (Location::Local { path: source }, Location::Local { path: target }) => {
            (plain(source), plain(target))
        }
        (
            Location::Remote { remote, path },
            Location::Remote { remote: target_remote, path: target_path },
        ) if remote.authority() == target_remote.authority() => {
            let are_absolute = path.starts_with('/') && target_path.starts_with('/');
            if remote.user != target_remote.user && !are_absolute {
                return Ok(());
            }
            (plain(Path::new(path)), plain(Path::new(target_path)))
        }
        _ => return Ok(()),
    };
    let nested = |inner: &Location, outer: &Location| {
        Err(Refusal::Nested { inner: Box::new(inner.clone()), outer: Box::new(outer.clone()) })
    };
    if source_path == target_path {
        Err(Refusal::SamePlace { place: source.clone() })
    } else if target_path.starts_with(&source_path) {
        nested(target, source)
    } else if source_path.starts_with(&target_path) {
        nested(source, target)
    } else {
        Ok(())
    }
}

/// A path without `.` and, as far as the words alone tell, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Refuses what the two trees and the counts of their difference show: a source that is not there or was emptied, and more
/// deletions than allowed. `deleted_files` counts what is removed and is no directory.
///
/// ```
/// use dr_core::mirror::{Options, Refusal, Snapshot, check_trees};
/// let (source, target) = ("/a".parse().unwrap(), "/b".parse().unwrap());
/// let (nothing, options) = (Snapshot::default(), Options::default());
/// let refusal = check_trees((&source, &nothing), (&target, &nothing), &options, 0).unwrap_err();
/// assert!(matches!(refusal, Refusal::SourceMissing { .. }));
/// ```
pub fn check_trees(
    (source, source_tree): (&Location, &Snapshot),
    (target, target_tree): (&Location, &Snapshot),
    options: &Options,
    deleted_files: u64,
) -> Result<(), Refusal> {
    let root = RelPath::root();
    for (place, tree) in [(source, source_tree), (target, target_tree)] {
        if let Some(why) = tree.unreadable.get(&root) {
            return Err(Refusal::Unreadable { place: place.clone(), why: why.clone() });
        }
    }
    match source_tree.entries.row(&root) {
        None => return Err(Refusal::SourceMissing { source: source.clone() }),
        Some(entry) if !entry.is_directory() => {
            return Err(Refusal::SourceNotDirectory { source: source.clone() });
        }
        Some(_) => {}
    }
    if target_tree.entries.row(&root).is_some_and(|entry| !entry.is_directory()) {
        return Err(Refusal::TargetNotDirectory { target: target.clone() });
    }
    let below =
        |tree: &Snapshot| tree.entries.rows().filter(|row| !row.path_bytes().is_empty()).count() as u64;
    let is_empty = below(source_tree) == 0 && source_tree.unreadable.is_empty();
    if options.delete && is_empty && below(target_tree) > 0 {
        return Err(Refusal::SourceEmptied { source: source.clone(), paths: below(target_tree) });
    }
    let of = target_tree.entries.rows().filter(|row| !row.is_directory()).count() as u64;
    let allowed = options.max_delete;
    let is_too_large_a_share = u128::from(deleted_files) * 100 > u128::from(of) * u128::from(allowed.percent);
    if deleted_files > allowed.files && is_too_large_a_share {
        return Err(Refusal::TooManyDeletions { files: deleted_files, of, allowed });
    }
    Ok(())
}

/// Refuses a target whose host is home for the site, or knows a newer epoch than `ours`. `known` is what that host was told last.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::mirror::check_standing;
/// let site = "shop".parse().unwrap();
/// assert!(check_standing(&site, Epoch(2), false, Epoch(2)).is_ok());
/// assert!(check_standing(&site, Epoch(2), true, Epoch(2)).is_err(), "it serves the site");
/// assert!(check_standing(&site, Epoch(2), false, Epoch(3)).is_err(), "the site has moved meanwhile");
/// ```
pub fn check_standing(site: &SiteId, ours: Epoch, is_home: bool, known: Epoch) -> Result<(), Refusal> {
    if is_home {
        Err(Refusal::TargetIsHome { site: site.clone(), epoch: known })
    } else if known > ours {
        Err(Refusal::NewerEpoch { site: site.clone(), ours, known })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{Entry, Kind};

    fn tree(files: usize) -> Snapshot {
        let entry = |kind| Entry { kind, mode: 0o755, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
        let mut tree = Snapshot::default();
        tree.entries.insert(RelPath::root(), entry(Kind::Directory));
        for number in 0..files {
            let path = RelPath::new(number.to_string().as_bytes()).unwrap();
            tree.entries.insert(path, entry(Kind::File { size_bytes: 1, digest: None }));
        }
        tree
    }

    fn check(source: &Snapshot, target: &Snapshot, deleted: u64) -> Result<(), Refusal> {
        let place = |text: &str| text.parse::<Location>().unwrap();
        let options = Options { max_delete: MaxDelete { percent: 10, files: 100 }, ..Options::default() };
        check_trees((&place("/a"), source), (&place("/b"), target), &options, deleted)
    }

    #[test]
    fn a_source_that_is_missing_or_emptied_is_refused() {
        assert!(matches!(check(&Snapshot::default(), &tree(0), 0), Err(Refusal::SourceMissing { .. })));
        assert!(matches!(check(&tree(0), &tree(1), 1), Err(Refusal::SourceEmptied { paths: 1, .. })));
        assert_eq!(check(&tree(0), &tree(0), 0), Ok(()));
        let mut file = tree(0);
        let root = tree(1).entries.remove(&RelPath::new(b"0").unwrap()).unwrap();
        file.entries.insert(RelPath::root(), root);
        assert!(matches!(check(&file, &tree(0), 0), Err(Refusal::SourceNotDirectory { .. })));
        assert!(matches!(check(&tree(0), &file, 0), Err(Refusal::TargetNotDirectory { .. })));
        let mut dark = tree(3);
        dark.unreadable.insert(RelPath::root(), "permission denied".into());
        assert!(matches!(check(&dark, &tree(3), 0), Err(Refusal::Unreadable { .. })));
        assert!(matches!(check(&tree(3), &dark, 0), Err(Refusal::Unreadable { .. })));
    }

    #[test]
    fn deletions_are_refused_when_both_limits_are_exceeded() {
        assert!(check(&tree(900), &tree(1000), 100).is_ok(), "neither is exceeded");
        assert!(matches!(check(&tree(899), &tree(1000), 101), Err(Refusal::TooManyDeletions { .. })));
        assert!(check(&tree(1), &tree(101), 100).is_ok(), "a large share, but few files");
        assert!(check(&tree(9000), &tree(10_000), 1000).is_ok(), "many files, but a small share");
    }

    #[test]
    fn places_inside_each_other_are_refused() {
        let check =
            |source: &str, target: &str| check_places(&source.parse().unwrap(), &target.parse().unwrap());
        assert!(matches!(check("/a", "/a/b"), Err(Refusal::Nested { .. })));
        assert!(matches!(check("/a/b", "/a"), Err(Refusal::Nested { .. })));
        assert!(matches!(check("/a/./b/", "/a/c/../b"), Err(Refusal::SamePlace { .. })));
        assert!(matches!(check("h:www", "root@h:./www"), Err(Refusal::SamePlace { .. })));
        assert!(matches!(check("web@h:/www", "root@h:/www/x"), Err(Refusal::Nested { .. })));
        assert_eq!(check("web@h:www", "root@h:www"), Ok(()), "two home directories");
        assert_eq!(check("h:/www", "/www"), Ok(()));
        assert_eq!(check("/ab", "/a"), Ok(()));
        assert_eq!(check("../a", "../../a"), Ok(()));
    }
}
