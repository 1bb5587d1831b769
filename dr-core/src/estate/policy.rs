//! What the operator promised, and how careful dr must be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failover::FailoverPolicy;
use crate::severity::Severity;
use crate::time::Period;

/// Objectives, limits and thresholds. Every field has a default that suits two web servers.
///
/// ```
/// use dr_core::estate::Policy;
/// let policy = Policy::default();
/// assert_eq!(policy.rpo.to_string(), "25h");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Recovery point objective: how old the standby's copy may be, by the start of the last mirror that succeeded.
    pub rpo: Period,
    /// Recovery time objective: from the last good answer until visitors are served again.
    pub rto: Period,
    /// From which severity on a check counts as failed.
    pub fail_on: Severity,
    /// Severities that differ from the table's, by finding code.
    pub severity: BTreeMap<String, Severity>,
    /// When a site counts as down.
    pub health: Health,
    /// How much a mirror may delete.
    pub max_delete: MaxDelete,
    /// How the sites are mirrored, all of them.
    pub mirrors: Mirrors,
    /// How primary name servers tell their secondaries of changes.
    pub notify: Notify,
    /// Who decides when a site is moved, and by which times.
    pub failover: FailoverPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rpo: Period::from_secs(25 * 3600),
            rto: Period::from_secs(15 * 60),
            fail_on: Severity::Error,
            severity: BTreeMap::new(),
            health: Health::default(),
            max_delete: MaxDelete::default(),
            mirrors: Mirrors::default(),
            notify: Notify::default(),
            failover: FailoverPolicy::default(),
        }
    }
}

/// When a site counts as down or up again.
///
/// ```
/// use dr_core::estate::Health;
/// assert!(Health::default().rise > Health::default().fall, "slow to trust again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Between two probes of a healthy site.
    pub interval: Period,
    /// Between the probes that confirm a first failure.
    pub confirm_interval: Period,
    /// After which a probe counts as failed.
    pub timeout: Period,
    /// So many failures in a row make it down.
    pub fall: u32,
    /// So many successes in a row make it up again.
    pub rise: u32,
    /// No second automatic switch before this has passed.
    pub hold_down: Period,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            interval: Period::from_secs(1),
            confirm_interval: Period::from_millis(100),
            timeout: Period::from_secs(1),
            fall: 3,
            rise: 10,
            hold_down: Period::from_secs(3600),
        }
    }
}

/// How the sites are mirrored: `dr mirror --all` and its schedule.
///
/// ```
/// use dr_core::estate::Mirrors;
/// let mirrors = Mirrors::default();
/// assert_eq!((mirrors.at_once, mirrors.per_host), (4, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mirrors {
    /// How often each site is mirrored; without it once a day, or twice in the recovery point objective where that is under 25 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// So many sites at the same time.
    pub at_once: u32,
    /// So many sites at the same time on each host.
    pub per_host: u32,
    /// How many former states of each tree the standby keeps for going back; 0: none.
    pub generations: u32,
    /// The file with the secret that seals the record of each mirror on the host that received it: its first line, mode 0600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal_file: Option<PathBuf>,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self { every: None, at_once: 4, per_host: 2, generations: 0, seal_file: None }
    }
}

/// How primary name servers tell their secondaries of changes (RFC 1996): what it takes until all of them show a change is reckoned with it.
/// The defaults are BIND's; it moves a thousand zones with five secondaries in over four minutes so.
///
/// ```
/// use dr_core::estate::Notify;
/// assert_eq!((Notify::default().per_second, Notify::default().delay.as_secs()), (20, 5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// So many NOTIFY messages a second (BIND: `notify-rate`).
    pub per_second: u32,
    /// How long the first is held back (BIND: `notify-delay`).
    pub delay: Period,
}

impl Default for Notify {
    fn default() -> Self {
        Self { per_second: 20, delay: Period::from_secs(5) }
    }
}

/// A mirror that would delete more than both of these is refused: a source that was emptied is not a wish.
///
/// ```
/// use dr_core::estate::MaxDelete;
/// let guard = MaxDelete::default();
/// assert_eq!((guard.percent, guard.files), (10, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaxDelete {
    /// This share of what the target has, in percent.
    pub percent: u8,
    /// This many files.
    pub files: u64,
}

impl Default for MaxDelete {
    fn default() -> Self {
        Self { percent: 10, files: 100 }
    }
}
