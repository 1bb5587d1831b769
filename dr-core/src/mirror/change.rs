//! What a mirror would do, path by path, and the step that does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diff::{same_content, same_metadata, same_owner, same_time, same_xattrs};
use super::entry::{Entry, Kind, RelPath};
use super::lot::Fsync;
use crate::estate::{Epoch, Location, MaxDelete, SiteId};

/// One path of the target: what is there and what will be there. `from` none means created, `to` none deleted.
///
/// ```
/// use dr_core::mirror::{Change, Entry, Kind, RelPath};
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let change = Change { path: RelPath::new(b"index.html").unwrap(), from: None, to: Some(page) };
/// assert_eq!(change.inverse().from, change.to);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The path below both roots.
    pub path: RelPath,
    /// What the target has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Entry>,
    /// What the target will have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Entry>,
}

impl Change {
    /// The change that takes this one back, as far as metadata tells.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { path: self.path.clone(), from: self.to.clone(), to: self.from.clone() }
    }

    /// Whether a file has to be moved for it, not only metadata set.
    #[must_use]
    pub fn moves_content(&self) -> bool {
        let Some(to) = self.to.as_ref().filter(|to| to.is_file()) else { return false };
        self.from.as_ref().is_none_or(|from| !same_content(to, from))
    }

    /// Whether size and time are the same before and after, so that only reading the content tells which of the two is there.
    #[must_use]
    pub fn shows_in_content_only(&self) -> bool {
        let unread = |entry: &Entry| Entry {
            kind: Kind::File { size_bytes: entry.size_bytes(), digest: None },
            ..entry.clone()
        };
        let from = self.from.as_ref().filter(|from| from.is_file());
        self.moves_content() && from.is_some_and(|from| self.progress(Some(&unread(from))) == Progress::Done)
    }

    /// What the entry that is at the path now says about the change.
    ///
    /// ```
    /// use dr_core::mirror::{Change, Entry, Kind, Progress, RelPath};
    /// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
    /// let change = Change { path: RelPath::new(b"index.html").unwrap(), from: None, to: Some(page.clone()) };
    /// assert_eq!(change.progress(None), Progress::Ahead);
    /// assert_eq!(change.progress(Some(&page)), Progress::Done);
    /// assert_eq!(change.progress(Some(&Entry { mtime_s: 9, ..page })), Progress::Strange);
    /// ```
    #[must_use]
    pub fn progress(&self, now: Option<&Entry>) -> Progress {
        let is = |wanted: &Option<Entry>| match (wanted, now) {
            (None, None) => true,
            (Some(wanted), Some(now)) => same_content(wanted, now) && same_metadata(wanted, now),
            _ => false,
        };
        let was_directory = self.from.as_ref().is_some_and(Entry::is_directory);
        let will_be_directory = self.to.as_ref().is_some_and(Entry::is_directory);
        let is_directory = now.is_some_and(Entry::is_directory);
        if is(&self.to) {
            Progress::Done
        } else if is(&self.from) || (is_directory && (was_directory || will_be_directory)) {
            // The mode and the time of a directory change while dr works in it: only what it is counts.
            Progress::Ahead
        } else if now.is_none() && self.from.is_some() && was_directory != will_be_directory {
            // A directory and something else cannot trade places at once.
            Progress::Between
        } else if now.is_some_and(|now| self.has_metadata_half_set(now)) {
            Progress::Between
        } else {
            Progress::Strange
        }
    }

    /// As [`Self::progress`], where the entry is that of one name seen alone: it does not tell whether another name has the same
    /// file, so that a change of hard links is never known to be done. Doing it again does no harm.
    ///
    /// ```
    /// use dr_core::mirror::{Change, Entry, Kind, Progress, RelPath};
    /// let entry = |kind| Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
    /// let first = RelPath::new(b"a").unwrap();
    /// let link = Change { path: RelPath::new(b"b").unwrap(), from: None, to: Some(entry(Kind::HardLink { first })) };
    /// let seen = entry(Kind::File { size_bytes: 5, digest: None });
    /// assert_eq!(link.progress_alone(Some(&seen)), Progress::Between);
    /// ```
    #[must_use]
    pub fn progress_alone(&self, now: Option<&Entry>) -> Progress {
        let is_link = |entry: &Option<Entry>| {
            entry.as_ref().is_some_and(|entry| matches!(entry.kind, Kind::HardLink { .. }))
        };
        let looks_like = |entry: &Option<Entry>| match (entry, now) {
            (Some(entry), Some(now)) => !now.is_directory() && same_metadata(entry, now),
            _ => false,
        };
        match self.progress(now) {
            Progress::Done if now.is_some() && (is_link(&self.from) || is_link(&self.to)) => {
                Progress::Between
            }
            Progress::Strange if is_link(&self.to) && looks_like(&self.to) => Progress::Between,
            Progress::Strange if is_link(&self.from) && looks_like(&self.from) => Progress::Ahead,
            progress => progress,
        }
    }

    /// Mode, time and owner are set one after the other: each is old or new.
    fn has_metadata_half_set(&self, now: &Entry) -> bool {
        let (Some(from), Some(to)) = (&self.from, &self.to) else { return false };
        let is_either = |same: fn(&Entry, &Entry) -> bool| same(from, now) || same(to, now);
        let same_bytes = |one: &Entry, other: &Entry| {
            same_content(&Entry { mtime_s: other.mtime_s, mtime_ns: other.mtime_ns, ..one.clone() }, other)
        };
        same_bytes(from, to)
            && same_bytes(to, now)
            && is_either(|one, now| one.mode == now.mode)
            && is_either(same_time)
            && is_either(same_owner)
            && is_either(same_xattrs)
    }
}

/// How far a [`Change`] has come.
///
/// ```
/// use dr_core::mirror::Progress;
/// assert_ne!(Progress::Between, Progress::Strange, "what was begun by us can be done again");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The path is as it was before.
    Ahead,
    /// The path is as it will be.
    Done,
    /// The change was begun and not finished; it can be done again.
    Between,
    /// The path is neither: somebody else changed it.
    Strange,
}

/// How many paths a mirror touches, and how many bytes it moves.
///
/// ```
/// use dr_core::mirror::Summary;
/// let summary = Summary { created: 2, deleted: 1, ..Summary::default() };
/// assert_eq!(summary.updated, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Paths that the target does not have.
    pub created: u64,
    /// Paths with new content, or with something of another kind.
    pub updated: u64,
    /// Paths of which only mode, owner or time change.
    pub metadata_only: u64,
    /// Paths that the source does not have.
    pub deleted: u64,
    /// Paths that stay as they are.
    pub unchanged: u64,
    /// Bytes of the files to be moved.
    pub bytes: u64,
}

impl Summary {
    /// The counts of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            metadata_only: self.metadata_only + other.metadata_only,
            deleted: self.deleted + other.deleted,
            unchanged: self.unchanged + other.unchanged,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What to leave out and what to allow.
///
/// ```
/// use dr_core::mirror::Options;
/// assert!(Options::default().delete);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Patterns as in a .gitignore file. What they match is neither sent nor deleted on the target.
    pub exclude: Vec<String>,
    /// Remove from the target what the source does not have.
    pub delete: bool,
    /// How much may be removed.
    pub max_delete: MaxDelete,
    /// Compare content, not only size and time.
    pub checksum: bool,
    /// Remove from the target what `exclude` matches there, too.
    pub delete_excluded: bool,
    /// Leave out files smaller than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size_bytes: Option<u64>,
    /// Leave out files larger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size_bytes: Option<u64>,
    /// Leave out files that changed within so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age_s: Option<u64>,
    /// Leave out files that have not changed within so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// Who owns what arrives.
    pub owners: Owners,
    /// How many former states of the whole tree the target keeps; 0: files land in the tree itself, one by one.
    pub generations: u32,
    /// Which side wins where the target was changed since the last mirror; none: such a mirror is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<Side>,
    /// It is right that most of what an end had at the last mirror is gone: it is another tree by intent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other_tree: bool,
    /// When what landed is made durable.
    pub fsync: Fsync,
    /// Bytes a second on the line at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Whether content is compressed on the line.
    pub compress: Compress,
    /// Work only with processor and disk time that nobody else wants.
    pub low_priority: bool,
}

/// Who owns what arrives.
///
/// ```
/// use dr_core::mirror::Owners;
/// assert!(!Owners::default().by_name);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Owners {
    /// By the names of users and groups, where the target knows them; else by their numbers.
    pub by_name: bool,
    /// Users of the source that are others on the target: names or numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, String>,
    /// Groups of the source that are others on the target: names or numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

/// One of the two ends.
///
/// ```
/// use dr_core::mirror::Side;
/// assert_eq!(serde_json::to_string(&Side::Source).unwrap(), "\"source\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where files come from: what the target has instead goes to quarantine.
    Source,
    /// Where they go: it keeps what it has.
    Target,
}

/// Whether content is compressed on the line.
///
/// ```
/// use dr_core::mirror::Compress;
/// assert_eq!(Compress::default(), Compress::Auto);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compress {
    /// Where it pays: the line is the limit, and the content shrinks.
    #[default]
    Auto,
    /// Never.
    Never,
    /// All of it.
    Always,
}

impl Options {
    /// What the target is asked: with `delete_excluded` it tells what `exclude` matches there too, so that it can be removed.
    ///
    /// ```
    /// use dr_core::mirror::Options;
    /// let options = Options { exclude: vec!["cache/".into()], delete_excluded: true, ..Options::default() };
    /// assert!(options.for_target().exclude.is_empty());
    /// ```
    #[must_use]
    pub fn for_target(&self) -> Self {
        let exclude = if self.delete_excluded { vec![] } else { self.exclude.clone() };
        Self { exclude, ..self.clone() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            exclude: vec![],
            delete: true,
            max_delete: MaxDelete::default(),
            checksum: false,
            delete_excluded: false,
            min_size_bytes: None,
            max_size_bytes: None,
            min_age_s: None,
            max_age_s: None,
            owners: Owners::default(),
            generations: 0,
            winner: None,
            other_tree: false,
            fsync: Fsync::default(),
            bytes_per_second: None,
            compress: Compress::default(),
            low_priority: false,
        }
    }
}

/// The step: make the target like the source. Compare-and-set path by path: a target path that is neither as `from` nor as
/// `to` is a conflict.
///
/// ```
/// use dr_core::mirror::{Options, Summary, Transfer};
/// let transfer = Transfer {
///     site: None,
///     epoch: None,
///     source: "/var/www".parse().unwrap(),
///     target: "root@us.example.net:/var/www".parse().unwrap(),
///     options: Options::default(),
///     standing: None,
///     summary: Summary::default(),
///     changes: Default::default(),
///     quarantine: vec![],
///     refused: vec![],
/// };
/// assert_eq!(transfer.target.to_string(), "ssh://root@us.example.net:22/var/www");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The site it belongs to, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// The epoch the writer believes in; a target that knows a newer one refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Where the files come from.
    pub source: Location,
    /// Where they go.
    pub target: Location,
    /// The file on the target's host that says what that host is for the site; read again while files land.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// What to leave out and what to allow.
    pub options: Options,
    /// The counts of `changes`.
    pub summary: Summary,
    /// Every path that changes. There may be a million: copies of a plan share them.
    pub changes: Arc<Vec<Change>>,
    /// Those of them whose present content somebody else made on the target: it goes to quarantine first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<RelPath>,
    /// What guards say against it: such a step is shown, and never done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}
