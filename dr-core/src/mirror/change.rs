//! What a mirror would do, path by path, and the step that does it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, RelPath};
use crate::estate::{Epoch, Location, MaxDelete, SiteId};

/// One path of the target: what is there and what will be there. `from` none means created, `to` none deleted.
///
/// ```
/// use dr_core::mirror::{Change, Entry, Kind, RelPath};
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None };
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
}

/// How many paths a mirror touches, and how many bytes it moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Paths that the target does not have.
    pub created: u64,
    /// Files with new content.
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
}

impl Default for Options {
    fn default() -> Self {
        Self { exclude: vec![], delete: true, max_delete: MaxDelete::default(), checksum: false }
    }
}

/// The step: make the target like the source. Compare-and-set path by path: a target path that is neither as `from` nor as
/// `to` is a conflict.
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
    /// What to leave out and what to allow.
    pub options: Options,
    /// The counts of `changes`.
    pub summary: Summary,
    /// Every path that changes.
    pub changes: Vec<Change>,
}
