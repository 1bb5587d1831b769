//! What the operator owns: hosts, sites, zones, name servers and policies.
//!
//! An [`Estate`] is a plain value. It comes from `dr.toml`, from JSON or from code; every mistake in it is reported at once,
//! with its place and what was probably meant. Nothing else in the library needs one: whoever has two paths, a zone name or a
//! key in hand passes just that.

mod check;
mod decode;
pub mod discover;
mod failover;
mod group;
mod host;
mod mistake;
mod names;
mod network;
mod node;
mod panel;
mod parse;
mod policy;
mod probe;
mod read;
mod record;
mod remote;
mod site;
mod zone;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::time::Period;

pub use failover::{Anchor, Coordinator, CoordinatorKind, FailoverPolicy, Mode, ObserverPost, Terms, Times};
pub use group::Group;
pub use host::Host;
pub use mistake::{Mistake, Mistakes, Place};
pub use names::{
    Account, DnsName, Epoch, GroupId, HostId, NameError, NameServerId, ObserverId, ProviderId, SiteId,
    ZoneName,
};
pub use network::{Network, Whereabouts};
pub use panel::{Due, Panel, Told};
pub use policy::{Health, MaxDelete, Mirrors, Notify, Policy};
pub use probe::{Certified, ProbeSpec};
pub use record::{RecordKey, RecordSet, RecordType};
pub use remote::{Location, Remote};
pub use site::{Services, Site, Tree};
pub use zone::{ApiKind, ApiProvider, NameServer, TsigAlgorithm, TsigKey, Zone, server_address};

/// Everything the operator owns, by the names the operator gives.
///
/// ```
/// use dr_core::Estate;
/// let estate = Estate::default();
/// assert!(estate.sites.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Estate {
    /// The machines.
    pub hosts: BTreeMap<HostId, Host>,
    /// The websites.
    pub sites: BTreeMap<SiteId, Site>,
    /// Sites that are moved together, in an order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<GroupId, Group>,
    /// The DNS zones.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// The name servers.
    pub name_servers: BTreeMap<NameServerId, NameServer>,
    /// The TSIG keys, by the name that the name servers know.
    pub tsig_keys: BTreeMap<DnsName, TsigKey>,
    /// The providers whose APIs change zones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<ProviderId, ApiProvider>,
    /// What is known of networks: where they are, and whose.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<Network, Whereabouts>,
    /// From where sites are looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub observers: BTreeMap<ObserverId, ObserverPost>,
    /// Where it is written down who holds a site; without it on the primary of the zone of its first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<Coordinator>,
    /// Objectives, limits and thresholds.
    pub policy: Policy,
}

impl Estate {
    /// As the text of a `dr.toml`.
    ///
    /// ```
    /// use dr_core::Estate;
    /// let text = Estate::default().to_toml().unwrap();
    /// assert_eq!(Estate::from_toml(&text).unwrap(), Estate::default());
    /// ```
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self)
            .map_err(|why| Error::new(ErrorKind::Internal, "write the estate as TOML", why.to_string()))
    }

    /// The sites that are mirrored; with a period, those that are mirrored just so often.
    ///
    /// ```
    /// assert_eq!(dr_core::Estate::default().mirrored_sites(None), []);
    /// ```
    #[must_use]
    pub fn mirrored_sites(&self, every: Option<Period>) -> Vec<SiteId> {
        let is_meant =
            |site: &Site| site.mirror && every.is_none_or(|every| self.mirrored_every(site) == every);
        self.sites.iter().filter(|(_, site)| is_meant(site)).map(|(id, _)| id.clone()).collect()
    }

    /// How often this site is mirrored: as it says, or the policy; without either once a day, and twice in a recovery point
    /// objective of under 25 hours.
    ///
    /// ```
    /// use dr_core::{Estate, estate::Site};
    /// let mut site = Site::new("uk".parse().unwrap(), "us".parse().unwrap());
    /// assert_eq!(Estate::default().mirrored_every(&site).to_string(), "24h");
    /// site.rpo = "1h".parse().ok();
    /// assert_eq!(Estate::default().mirrored_every(&site).to_string(), "30m");
    /// ```
    #[must_use]
    pub fn mirrored_every(&self, site: &Site) -> Period {
        const DAY_S: u64 = 24 * 3600;
        let rpo_s = site.rpo.unwrap_or(self.policy.rpo).as_secs();
        let usual = if rpo_s > DAY_S { DAY_S } else { (rpo_s / 2).max(1) };
        site.mirror_every.or(self.policy.mirrors.every).unwrap_or_else(|| Period::from_secs(usual))
    }

    /// The zone that holds `name`: the one with the longest matching apex.
    #[must_use]
    pub fn zone_of(&self, name: &DnsName) -> Option<(&ZoneName, &Zone)> {
        self.zones.iter().filter(|(apex, _)| apex.contains(name)).max_by_key(|(apex, _)| apex.as_str().len())
    }
}
