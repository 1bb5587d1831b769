//! Requests and answers that are not already something else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dns::Depth;
use crate::estate::{
    DnsName, MaxDelete, Network, RecordKey, RecordSet, Remote, SiteId, Whereabouts, ZoneName,
};
use crate::mirror::{Compress, Fsync, Generation, Options, Owners, Side, Summary, Verdict};
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{Outcome, RunId};
use crate::time::{Period, Timestamp};
use crate::world::endpoints::Agents;

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
    /// Files whose first line is an account's password, by account (`root@us`): for those that no key opens yet.
    pub password_files: BTreeMap<Remote, PathBuf>,
    /// The socket of an SSH agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
    /// Which `dr` serves trees on hosts, and which one is put on a host that has none.
    pub agents: Agents,
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
    /// The name server that is to take the primary's place, by its name or address: would the others follow it?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_primary: Option<String>,
    /// The names whose address records a failover moves; the apex and `www` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Vec<DnsName>>,
    /// Further record sets that must agree on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<RecordSet>,
    /// How much is looked at: everything if not said.
    #[serde(default)]
    pub depth: Depth,
    /// Servers of the parent zone, to be asked for the delegation; each `NAME=ADDRESS` or an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// A resolver, to be asked for names outside of the zone and for the names of addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// Addresses from which mail of the zone is sent, home and standby: SPF must allow each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<IpAddr>,
    /// Certification authorities that CAA records must let issue, as `letsencrypt.org`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
    /// The name of the TSIG key with which the whole zone is asked for too; the estate's for the zone if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_key: Option<DnsName>,
    /// Names under which visitors are told what happens: they must not be lost with the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<DnsName>,
    /// What is known of networks, beside what the estate says: where name servers, mail exchanges and sites are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<Network, Whereabouts>,
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
    /// Remove from the target what `exclude` matches there, too.
    #[serde(default)]
    pub delete_excluded: bool,
    /// Leave out files smaller than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size_bytes: Option<u64>,
    /// Leave out files larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size_bytes: Option<u64>,
    /// Leave out files that changed within so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age_s: Option<u64>,
    /// Leave out files that have not changed within so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// Who owns what arrives.
    #[serde(default)]
    pub owners: Owners,
    /// How many former states of the whole tree the target keeps; 0: files land in the tree itself, one by one.
    #[serde(default)]
    pub generations: u32,
    /// Which side wins where the target was changed since the last mirror; none: such a mirror is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<Side>,
    /// It is right that most of what an end had at the last mirror is gone.
    #[serde(default)]
    pub other_tree: bool,
    /// When what landed is made durable.
    #[serde(default)]
    pub fsync: Fsync,
    /// Bytes a second on the line at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Whether content is compressed on the line.
    #[serde(default)]
    pub compress: Compress,
    /// Work only with processor and disk time that nobody else wants.
    #[serde(default)]
    pub low_priority: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl MirrorTrees {
    /// The options among it; `max_delete` is what the policy says unless this says otherwise.
    pub(super) fn options(&self, max_delete: MaxDelete) -> Options {
        Options {
            exclude: self.exclude.clone(),
            delete: self.delete,
            max_delete: self.max_delete.unwrap_or(max_delete),
            checksum: self.checksum,
            delete_excluded: self.delete_excluded,
            min_size_bytes: self.min_size_bytes,
            max_size_bytes: self.max_size_bytes,
            min_age_s: self.min_age_s,
            max_age_s: self.max_age_s,
            owners: self.owners.clone(),
            generations: self.generations,
            winner: self.winner,
            other_tree: self.other_tree,
            fsync: self.fsync,
            bytes_per_second: self.bytes_per_second,
            compress: self.compress,
            low_priority: self.low_priority,
        }
    }
}

/// The request of `mirror_sites`.
///
/// ```
/// use dr_core::toolkit::MirrorSites;
/// let request: MirrorSites = serde_json::from_str(r#"{"every": "24h"}"#).unwrap();
/// assert!(request.sites.is_none(), "all of them");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorSites {
    /// Which sites of the estate; all that are mirrored if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<Vec<SiteId>>,
    /// Of all, only those that are mirrored just so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// Plan only: nothing is changed, and the answer has what the guards say.
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `roll_back_mirror` and `generations`.
///
/// ```
/// use dr_core::toolkit::RollBack;
/// let request: RollBack = serde_json::from_str(r#"{"target": "root@us:/var/www"}"#).unwrap();
/// assert!(request.to.is_none(), "to the state before the live one");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The tree.
    pub target: String,
    /// To the state that was live since then; to the one before the live one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The answer of `generations`.
///
/// ```
/// assert!(dr_core::toolkit::Generations::default().generations.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generations {
    /// Newest first; the live one is among them.
    pub generations: Vec<Generation>,
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
    /// What each guard said; with `dry_run` also if one refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Verdict>,
}

/// The answer of whatever changes hosts by a plan.
///
/// ```
/// # fn told(done: &dr_core::toolkit::Done) {
/// println!("{:?}", done.outcome);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Done {
    /// Whether there was, or with `dry_run` would be, anything to do.
    pub changed: bool,
    /// What was found while it was done.
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
