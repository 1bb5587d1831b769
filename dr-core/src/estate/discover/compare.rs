//! What is new on a host, what is gone, and what differs from the estate.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Listing;
use super::draft::{Draft, Ground};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Site, SiteId, ZoneName};

/// How the host and the estate differ.
///
/// ```
/// use dr_core::estate::discover::Differs;
/// assert_eq!(serde_json::to_string(&Differs::New).unwrap(), r#""new""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Differs {
    /// The host has it; the draft adds it to the estate.
    New,
    /// The estate has it, and the host no longer does.
    Gone,
    /// Both have it, and not alike; the estate is left as it is.
    Changed,
}

/// One difference between a host and the estate.
///
/// ```
/// use dr_core::estate::discover::{Difference, Differs};
/// let gone = Difference { what: Differs::Gone, subject: "site shop".into(), detail: "no listing has it".into() };
/// assert_eq!(gone.to_string(), "gone: site shop: no listing has it");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// How.
    pub what: Differs,
    /// Of what: `site shop`, `zone example.org`, `host uk`.
    pub subject: String,
    /// What there is to say of it.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.what {
            Differs::New => "new",
            Differs::Gone => "gone",
            Differs::Changed => "changed",
        };
        write!(f, "{word}: {}: {}", self.subject, self.detail)
    }
}

/// How a site of the estate differs from what the listings say of it.
pub(super) fn compare_site(id: &SiteId, site: &Site, names: &[DnsName], trees: &[String]) -> Vec<Difference> {
    let mut differences = vec![];
    let mut differs = |detail: String| {
        differences.push(Difference { what: Differs::Changed, subject: format!("site {id}"), detail });
    };
    for name in names.iter().filter(|name| !site.names.contains(name)) {
        differs(format!("the web server has the name {name} too"));
    }
    for name in site.names.iter().filter(|name| !names.is_empty() && !names.contains(name)) {
        differs(format!("the web server does not have the name {name}"));
    }
    let covered = |path: &str| {
        let inside =
            |outer: &str| path == outer || path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        site.trees.iter().any(|tree| inside(tree.path.trim_end_matches('/')))
    };
    for path in trees.iter().filter(|path| !covered(path)) {
        differs(format!("the web server serves {path} too"));
    }
    differences
}

/// What the estate has of this host and the listings have not.
pub(super) fn gone(
    ground: &Ground<'_>,
    read: &[Listing],
    sites: &BTreeSet<SiteId>,
    zones: &BTreeSet<ZoneName>,
    differences: &mut Vec<Difference>,
) {
    let (home, host) = &ground.home;
    let mut gone = |subject: String| {
        let detail = format!("nothing on {home} lists it any more");
        differences.push(Difference { what: Differs::Gone, subject, detail });
    };
    if read.iter().any(|listing| listing.has_sites()) {
        let here = ground.estate.sites.iter().filter(|(id, site)| site.home == *home && !sites.contains(id));
        here.for_each(|(id, _)| gone(format!("site {id}")));
    }
    if read.contains(&Listing::Bind) {
        let addresses = ground.estate.hosts.get(home).map_or(&host.addresses, |host| &host.addresses);
        let is_here =
            |id| ground.estate.name_servers.get(id).is_some_and(|s| addresses.contains(&s.address.ip()));
        for (apex, zone) in ground.estate.zones.iter().filter(|(apex, _)| !zones.contains(*apex)) {
            if is_here(&zone.primary) || zone.servers.iter().any(is_here) {
                gone(format!("zone {apex}"));
            }
        }
    }
}

impl Draft {
    /// What is new, as tables that can be appended to a `dr.toml`; empty if nothing is.
    ///
    /// What is as it would be anyway is not written.
    pub fn fragment(&self) -> Result<String> {
        let failed = |why: String| Error::new(ErrorKind::Internal, "write the draft as TOML", why);
        let mut whole = toml::Table::try_from(&self.new).map_err(|why| failed(why.to_string()))?;
        let usual = toml::Table::try_from(usual()).map_err(|why| failed(why.to_string()))?;
        whole.remove("policy");
        for (_, entries) in &mut whole {
            let entries = entries.as_table_mut().into_iter().flat_map(toml::Table::iter_mut);
            for entry in entries.filter_map(|(_, entry)| entry.as_table_mut()) {
                entry.retain(|key, value| {
                    !value.as_array().is_some_and(Vec::is_empty) && usual.get(key) != Some(value)
                });
            }
        }
        whole.retain(|_, entries| !entries.as_table().is_some_and(toml::Table::is_empty));
        toml::to_string_pretty(&whole).map_err(|why| failed(why.to_string()))
    }
}

/// What need not be said.
#[derive(Serialize)]
struct Usual {
    mirror: bool,
    state_dir: &'static str,
}

fn usual() -> Usual {
    Usual { mirror: true, state_dir: ".local/state/dr" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Host;

    #[test]
    fn what_is_usual_is_what_an_estate_has_without_it() {
        assert_eq!(Host::new("uk".parse().unwrap()).state_dir, usual().state_dir);
    }
}
