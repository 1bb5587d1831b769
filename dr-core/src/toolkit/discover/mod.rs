//! Which sites and zones a host has: its own programs are asked, and the pure part makes a draft for the estate of what they say.

mod ask;

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::discover::{Difference, Found, Ground, LeftOut, Listing};
use crate::estate::{Estate, Host, HostId, Remote};
use crate::world::Control;

/// The request of `discover`.
///
/// ```
/// use dr_core::toolkit::Discover;
/// let request: Discover = serde_json::from_str(r#"{"host": "root@uk.example.net", "standby": "us"}"#).unwrap();
/// assert!(request.listings.is_empty(), "everything that the host has is asked");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// The host that is looked at: a host of the estate, or `user@host`; none for this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The host that its sites would go to: a host of the estate, or `user@host`.
    pub standby: String,
    /// What is asked; all there is if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listings: Vec<Listing>,
    /// Listings that were taken before; with any of these, nothing is asked and no host is reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<Listing, String>,
}

/// The answer of `discover`.
///
/// ```
/// # fn told(discovered: &dr_core::toolkit::Discovered) {
/// print!("{}", discovered.toml);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Discovered {
    /// What is new as TOML, to be appended to a dr.toml; empty if nothing is.
    pub toml: String,
    /// The estate with everything that is new. Nothing that was in it is changed.
    pub estate: Estate,
    /// What is new, what is gone, and what differs.
    pub differences: Vec<Difference>,
    /// What could not be taken over, and why.
    pub left_out: Vec<LeftOut>,
    /// Which listings there were.
    pub read: Vec<Listing>,
}

/// A host that was named.
struct Named {
    id: HostId,
    host: Host,
    /// It is to be asked for its addresses.
    is_new: bool,
    /// None for this machine.
    remote: Option<Remote>,
}

impl Toolkit {
    /// Asks a host which sites and zones it has, and drafts what is new for the estate. Nothing is changed anywhere.
    ///
    /// Errors: a host that is none, and whatever keeps the host from being reached. What its programs refuse to say stands in the
    /// answer.
    pub async fn discover(&self, request: &Discover, control: &Control) -> Result<Discovered> {
        let asks = request.texts.is_empty();
        let mut found = Found::default();
        let mut home = match &request.host {
            Some(word) => self.named(word)?,
            None if asks => self.this_machine(control).await?,
            None => return Err(usage("whose listings these are is not said").hint("name the host")),
        };
        let mut standby = self.named(&request.standby)?;
        if home.id == standby.id {
            let why = format!("both hosts would be called {}", home.id);
            return Err(usage(why).hint("name them as the estate does, or by names that differ"));
        }
        for (listing, text) in &request.texts {
            found.read(*listing, text);
        }
        if asks {
            let wanted = if request.listings.is_empty() { &Listing::ALL[..] } else { &request.listings };
            for listing in wanted {
                self.ask_listing(home.remote.as_ref(), *listing, &mut found, control).await?;
            }
            if found.read.is_empty() && found.left_out.is_empty() {
                let names: Vec<&str> = wanted.iter().map(|listing| listing.name()).collect();
                let why = format!("there is nothing of {}", names.join(", "));
                found.leave_out(format!("the host {}", home.id), why, "");
            }
            for named in [&mut home, &mut standby] {
                self.fill_addresses(named, &mut found, control).await?;
            }
        }
        let read = found.read.clone();
        let ground =
            Ground { estate: &self.estate, home: (home.id, home.host), standby: (standby.id, standby.host) };
        let draft = found.draft(&ground);
        let toml = draft.fragment()?;
        Ok(Discovered {
            toml,
            estate: draft.estate,
            differences: draft.differences,
            left_out: draft.left_out,
            read,
        })
    }

    /// A host of the estate, or one that is reached so.
    fn named(&self, word: &str) -> Result<Named> {
        if let Some((id, host)) = self.estate.hosts.iter().find(|(id, _)| id.as_str() == word) {
            return Ok(Named {
                id: id.clone(),
                host: host.clone(),
                is_new: false,
                remote: Some(host.ssh.clone()),
            });
        }
        let remote: Remote = word.parse().map_err(usage)?;
        if let Some((id, host)) = self.estate.hosts.iter().find(|(_, host)| host.ssh == remote) {
            return Ok(Named { id: id.clone(), host: host.clone(), is_new: false, remote: Some(remote) });
        }
        self.new_host(remote.clone(), Some(remote))
    }

    async fn this_machine(&self, control: &Control) -> Result<Named> {
        let name = self.ask_name(control).await?;
        let called = |(id, host): &(&HostId, &Host)| id.as_str() == name || host.ssh.host == name;
        if let Some((id, host)) = self.estate.hosts.iter().find(called) {
            return Ok(Named { id: id.clone(), host: host.clone(), is_new: false, remote: None });
        }
        let remote: Remote = name.parse().map_err(usage)?;
        self.new_host(remote, None)
    }

    /// A host that the estate does not have goes by the first label of its name, or by its whole name if another one is called so.
    fn new_host(&self, ssh: Remote, remote: Option<Remote>) -> Result<Named> {
        let whole = ssh.host.replace(':', "-");
        let is_address = ssh.host.parse::<IpAddr>().is_ok();
        let first = whole.split('.').next().filter(|_| !is_address).unwrap_or(&whole);
        let taken = |name: &str| self.estate.hosts.keys().any(|id| id.as_str() == name);
        let word = if taken(first) { whole.as_str() } else { first };
        let id = word.parse().map_err(|why| usage(format!("{why}")))?;
        Ok(Named { id, host: Host::new(ssh), is_new: true, remote })
    }

    async fn fill_addresses(&self, named: &mut Named, found: &mut Found, control: &Control) -> Result<()> {
        if !named.is_new {
            return Ok(());
        }
        let asked = self.ask_addresses(named.remote.as_ref(), control).await;
        let addresses = match asked {
            Ok(addresses) => addresses,
            Err(why) if why.kind() == ErrorKind::Cancelled => return Err(why),
            Err(why) => {
                found.leave_out(format!("the addresses of {}", named.id), why.to_string(), "");
                return Ok(());
            }
        };
        // Visitors come to public addresses; private ones beside them are for other things.
        let (public, private): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| !is_private(*address));
        if public.is_empty() && !private.is_empty() {
            let why = "they are private: write those instead to which visitors come";
            found.leave_out(format!("the public addresses of {}", named.id), why, "");
        }
        named.host.addresses = if public.is_empty() { private } else { public };
        Ok(())
    }
}

/// Not routed in the internet (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && second & 0xC0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn usage(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, "discover sites and zones", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::sim::SimWorld;

    #[tokio::test]
    async fn what_was_listed_before_needs_no_host() {
        let toolkit = Toolkit::new(SimWorld::new().world(), Estate::default());
        let nginx = "http { server { server_name shop.example; root /srv/shop; } }".to_owned();
        let texts = BTreeMap::from([(Listing::Nginx, nginx)]);
        let mut request = Discover { standby: "us.example.net".into(), texts, ..Discover::default() };
        let error = toolkit.discover(&request, &Control::silent()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        request.host = Some("admin@uk.example.net:2222".into());
        let found = toolkit.discover(&request, &Control::silent()).await.unwrap();
        let estate = Estate::from_toml(&found.toml).unwrap();
        assert_eq!(estate, found.estate);
        assert_eq!(estate.sites.keys().next().unwrap().as_str(), "shop.example");
        assert_eq!(estate.hosts.keys().map(HostId::as_str).collect::<Vec<_>>(), ["uk", "us"]);
        request.standby = "uk".into();
        assert_eq!(
            toolkit.discover(&request, &Control::silent()).await.unwrap_err().kind(),
            ErrorKind::Usage
        );
    }
}
