//! What no mirror may do: refusals, each with the way out.

use std::path::{Component, Path, PathBuf};

use super::lot::Room;
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
    /// More would be removed than [`crate::mirror::Options::max_delete`] allows.
    TooManyDeletions {
        /// How many files would be removed.
        files: u64,
        /// How many files the target has.
        of: u64,
        /// What is allowed.
        allowed: MaxDelete,
    },
    /// Most of what an end had at the last mirror is gone: another tree stands there, or what should be mounted is not.
    OtherTree {
        /// Which end.
        place: Location,
        /// So many of its files are gone.
        gone: u64,
        /// It had so many.
        of: u64,
    },
    /// The target was changed since the last mirror, and not as the source.
    Diverged {
        /// The target.
        target: Location,
        /// The paths, the first of them by name.
        named: String,
    },
    /// What would arrive does not fit.
    NoRoom {
        /// The target.
        target: Box<Location>,
        /// What it takes.
        needed: Room,
        /// What is free.
        free: Room,
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
    pub(super) fn message(&self) -> String {
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
            Self::OtherTree { place, gone, of } => {
                format!("{gone} of the {of} files that {place} had at the last mirror are gone")
            }
            Self::Diverged { target, named } => {
                format!("{target} was changed since the last mirror, and not as the source: {named}")
            }
            Self::NoRoom { target, needed, free } => format!(
                "{target} has not enough room: {} bytes and {} files are needed, {} bytes and {} files are free",
                needed.bytes,
                needed.inodes.unwrap_or_default(),
                free.bytes,
                free.inodes.map_or_else(|| "any number of".to_owned(), |inodes| inodes.to_string()),
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

    pub(super) fn advice(&self) -> &'static str {
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
            Self::OtherTree { .. } => {
                "mount or restore what belongs there; if it is another tree by intent, say so (--other-tree)"
            }
            Self::Diverged { .. } => {
                "look at what writes there; then let one side win: --prefer source keeps what the target has in quarantine, --prefer target leaves it alone"
            }
            Self::NoRoom { .. } => "make room on the target's file system, or exclude something",
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
