//! Requests and answers that are not already something else.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{DnsName, MaxDelete, RecordKey, RecordSet, ZoneName};
use crate::mirror::Summary;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{Outcome, RunId};

/// What a toolkit is made of, for a caller in another language. Nothing else is looked at: no environment, no home directory.
///
/// ```
/// use dr_core::toolkit::ToolkitSettings;
/// let settings: ToolkitSettings = serde_json::from_str(r#"{"journal": "/var/lib/dr/journal.db"}"#).unwrap();
/// assert!(settings.known_hosts.is_empty(), "no host is trusted that was not named");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolkitSettings {
    /// The estate, as in docs/schema/estate.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estate: Option<serde_json::Value>,
    /// The journal's file; needed by what changes something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
    /// Private keys to log in with.
    pub identities: Vec<PathBuf>,
    /// The known_hosts files to trust.
    pub known_hosts: Vec<PathBuf>,
    /// The socket of an SSH agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
}

/// The request of `check_zone`.
///
/// ```
/// use dr_core::toolkit::CheckZone;
/// let request: CheckZone = serde_json::from_str(r#"{"zone": "example.org", "servers": ["ns1=192.0.2.1"]}"#).unwrap();
/// assert_eq!(request.servers, ["ns1=192.0.2.1"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckZone {
    /// The zone.
    pub zone: ZoneName,
    /// Its name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The address of its primary, against which serials are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The names whose address records a failover moves; the apex and `www` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Vec<DnsName>>,
    /// Further record sets that must agree on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<RecordSet>,
}

/// The request of `mirror`.
///
/// ```
/// use dr_core::toolkit::MirrorTrees;
/// let request: MirrorTrees = serde_json::from_str(r#"{"source": "/var/www", "target": "root@us:/var/www"}"#).unwrap();
/// assert!(request.delete && !request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorTrees {
    /// Where the files come from: a path, `user@host:path` or `ssh://user@host:port/path`.
    pub source: String,
    /// Where they go.
    pub target: String,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Patterns as in a .gitignore file. What they match is neither sent nor deleted on the target.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Remove from the target what the source does not have.
    #[serde(default = "yes")]
    pub delete: bool,
    /// How much may be removed; the policy's if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delete: Option<MaxDelete>,
    /// Compare content, not only size and time.
    #[serde(default)]
    pub checksum: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The answer of `mirror`.
///
/// ```
/// # fn told(mirrored: &dr_core::toolkit::Mirrored) {
/// println!("{} created, {} deleted", mirrored.summary.created, mirrored.summary.deleted);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Mirrored {
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// How much of what.
    pub summary: Summary,
    /// What could not be read or carried, and what was found while it was done.
    pub report: Report,
    /// Which run of the journal it was; none if nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The plan, with `dry_run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

fn yes() -> bool {
    true
}
