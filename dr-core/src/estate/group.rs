//! Sites that are moved together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistake::Path;
use super::names::SiteId;
use super::node::Node;
use super::read::{Notes, Read, Reader};

/// Sites that are moved together: those of a wave at the same time, one wave after the other.
///
/// ```
/// use dr_core::Estate;
/// let mistakes = Estate::from_toml(r#"groups.shops = { waves = [["db"], ["shop"]] }"#).unwrap_err();
/// assert!(mistakes.to_string().contains("there is no site 'db'"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The sites, wave after wave. A wave begins when every site of the one before was moved, or could not be.
    pub waves: Vec<Vec<SiteId>>,
    /// So many are moved at a time.
    #[serde(default = "eight")]
    pub at_once: u32,
}

/// An sshd as it comes serves ten sessions of a connection.
fn eight() -> u32 {
    8
}

impl Read for Group {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let waves = table.required("waves", "").unwrap_or_default();
        let group = Self { waves, at_once: table.or("at_once", eight()) };
        table.close();
        Some(group)
    }
}
