//! What the operator owns: hosts, sites, zones, name servers and policies.
//!
//! An [`Estate`] is a plain value. It comes from `dr.toml`, from JSON or from code; every mistake in it is reported at once,
//! with its place and what was probably meant. Nothing else in the library needs one: whoever has two paths, a zone name or a
//! key in hand passes just that.

mod check;
mod decode;
mod host;
mod mistake;
mod names;
mod node;
mod parse;
mod policy;
mod read;
mod record;
mod remote;
mod site;
mod zone;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

pub use host::Host;
pub use mistake::{Mistake, Mistakes, Place};
pub use names::{Account, DnsName, Epoch, HostId, NameError, NameServerId, ObserverId, SiteId, ZoneName};
pub use policy::{Health, MaxDelete, Policy};
pub use record::{RecordKey, RecordSet, RecordType};
pub use remote::{Location, Remote};
pub use site::{ProbeSpec, Site, Tree};
pub use zone::{NameServer, TsigAlgorithm, TsigKey, Zone, server_address};

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
    /// The DNS zones.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// The name servers.
    pub name_servers: BTreeMap<NameServerId, NameServer>,
    /// The TSIG keys, by the name that the name servers know.
    pub tsig_keys: BTreeMap<DnsName, TsigKey>,
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

    /// The zone that holds `name`: the one with the longest matching apex.
    #[must_use]
    pub fn zone_of(&self, name: &DnsName) -> Option<(&ZoneName, &Zone)> {
        self.zones.iter().filter(|(apex, _)| apex.contains(name)).max_by_key(|(apex, _)| apex.as_str().len())
    }
}
