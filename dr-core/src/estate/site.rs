//! A website: its trees and names, where it lives and where it would go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failover::Mode;
use super::names::{DnsName, HostId};
use super::probe::ProbeSpec;
use crate::time::Period;

/// A website and everything that has to move with it.
///
/// ```
/// use dr_core::estate::Site;
/// let site = Site::new("uk".parse().unwrap(), "us".parse().unwrap());
/// assert_ne!(site.home, site.standby);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The host that serves it on a good day.
    pub home: HostId,
    /// The host that could serve it as it stands.
    pub standby: HostId,
    /// The directories that belong to it.
    #[serde(default)]
    pub trees: Vec<Tree>,
    /// The names under which it is reached; failover moves their address records.
    #[serde(default)]
    pub names: Vec<DnsName>,
    /// Databases that belong to it, by name.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Mail domains that belong to it.
    #[serde(default)]
    pub mailboxes: Vec<DnsName>,
    /// What the mirror leaves out: patterns as in a .gitignore file.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How its health is seen; with none, an HTTP GET of `/` under its first name.
    #[serde(default)]
    pub probes: Vec<ProbeSpec>,
    /// The recovery point objective of this site, when it differs from the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Period>,
    /// False for a site that is mirrored by other means or not at all.
    #[serde(default = "yes")]
    pub mirror: bool,
    /// How often it is mirrored, when that differs from the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_every: Option<Period>,
    /// How many former states of its trees the standby keeps, when that differs from the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<u32>,
    /// How its services are started and stopped, by whoever keeps the site on a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// Who decides when it is moved, when that differs from the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Mode>,
}

/// The commands that start and stop what serves a site, on the host itself: a program and its arguments, without a shell. They find
/// the site in `DR_SITE` and the epoch in `DR_EPOCH`. Each may come again when it was done already.
///
/// ```
/// use dr_core::estate::Services;
/// let line = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
/// let services = Services {
///     start: line(&["systemctl", "start", "nginx"]),
///     stop: line(&["systemctl", "stop", "nginx"]),
///     kill: line(&["systemctl", "kill", "--signal=KILL", "nginx"]),
///     check: line(&["nginx", "-t"]),
/// };
/// assert_eq!(services.stop[1], "stop");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Lets it serve; ends when it does.
    pub start: Vec<String>,
    /// Stops it; ends when it has stopped, and nobody writes any more.
    pub stop: Vec<String>,
    /// Stops it by force, where `stop` fails or takes more than half of its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kill: Vec<String>,
    /// Says whether it could serve, on a standby on which it has been stopped. Without it the standby is looked at by the site's
    /// probes, which needs something that answers there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<String>,
}

impl Site {
    /// A site with nothing but its two hosts.
    #[must_use]
    pub fn new(home: HostId, standby: HostId) -> Self {
        Self {
            home,
            standby,
            trees: vec![],
            names: vec![],
            databases: vec![],
            mailboxes: vec![],
            exclude: vec![],
            probes: vec![],
            rpo: None,
            mirror: true,
            mirror_every: None,
            generations: None,
            services: None,
            failover: None,
        }
    }
}

/// A directory of a site: the same path on both hosts, or one path each.
///
/// ```
/// use dr_core::estate::Tree;
/// let tree = Tree::same("/var/www/shop");
/// assert_eq!(tree.standby_path(), "/var/www/shop");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The path on the home host.
    pub path: String,
    /// The path on the standby, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_standby: Option<String>,
}

impl Tree {
    /// The same path on both hosts.
    #[must_use]
    pub fn same(path: &str) -> Self {
        Self { path: path.to_owned(), on_standby: None }
    }

    /// The path on the standby.
    #[must_use]
    pub fn standby_path(&self) -> &str {
        self.on_standby.as_deref().unwrap_or(&self.path)
    }
}

fn yes() -> bool {
    true
}
