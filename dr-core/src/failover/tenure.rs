//! Who holds a site, and the steps that move it.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::holding::only_string;
use super::mirrored::line_of_json;
use crate::estate::{DnsName, Epoch, HostId, ProbeSpec, RecordSet, RecordType, Remote, SiteId, ZoneName};
use crate::time::Period;

/// Who holds a site: kept by the coordinator, changed only by compare-and-set, its epoch only growing.
///
/// ```
/// use dr_core::failover::Tenure;
/// use dr_core::Epoch;
/// let tenure = Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "a1".into() };
/// assert_eq!(Tenure::from_text(&tenure.to_text()).unwrap(), tenure);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenure {
    /// The generation of ownership.
    pub epoch: Epoch,
    /// The host that is home.
    pub home: HostId,
    /// A random mark of whoever wrote it: after a lost reply it tells whether it was us.
    pub nonce: String,
}

impl Tenure {
    /// As the text of a TXT record: `epoch=1 home=uk nonce=a1`.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("epoch={} home={} nonce={}", self.epoch, self.home, self.nonce)
    }

    /// From the text of a TXT record; the error says what is missing.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let field = |name: &str| {
            text.split(' ')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| format!("no {name}= in '{}'", text.escape_debug()))
        };
        Ok(Self {
            epoch: Epoch(field("epoch")?.parse().map_err(|_| "epoch is no number".to_owned())?),
            home: field("home")?.parse().map_err(|why| format!("home: {why}"))?,
            nonce: field("nonce")?.to_owned(),
        })
    }
}

/// The owner name of the TXT record set that holds the tenure of a site where the coordinator is a zone: `_dr.<site>.<zone>`.
/// The error says why no name can be made of them.
///
/// ```
/// use dr_core::failover::tenure_owner;
/// let owner = tenure_owner(&"shop".parse().unwrap(), &"example.org".parse().unwrap()).unwrap();
/// assert_eq!(owner.as_str(), "_dr.shop.example.org");
/// ```
pub fn tenure_owner(site: &SiteId, zone: &ZoneName) -> Result<DnsName, String> {
    let below = zone.as_str().trim_end_matches('.');
    format!("_dr.{site}.{below}").parse().map_err(|why| format!("{why}"))
}

/// The owner name of the TXT record set that holds the lease of a site in a zone: `_dr-lease.<site>.<zone>`. It changes with every
/// sign of life, so it is another one than that of the tenure, and best in a zone that no other server transfers.
///
/// ```
/// use dr_core::failover::lease_owner;
/// let owner = lease_owner(&"shop".parse().unwrap(), &"lock.example.org".parse().unwrap()).unwrap();
/// assert_eq!(owner.as_str(), "_dr-lease.shop.lock.example.org");
/// ```
pub fn lease_owner(site: &SiteId, zone: &ZoneName) -> Result<DnsName, String> {
    let below = zone.as_str().trim_end_matches('.');
    format!("_dr-lease.{site}.{below}").parse().map_err(|why| format!("{why}"))
}

/// Resolvers have no business with it, and no server hands out more than one of its states.
const TENURE_TTL_S: u32 = 0;

impl Tenure {
    /// As the one TXT record set of `owner`.
    ///
    /// ```
    /// # use dr_core::failover::Tenure;
    /// let tenure = Tenure { epoch: dr_core::Epoch(1), home: "uk".parse().unwrap(), nonce: "a1".into() };
    /// let set = tenure.to_record_set("_dr.shop.example.org".parse().unwrap());
    /// assert_eq!(set.to_string(), r#"_dr.shop.example.org 0 TXT "epoch=1 home=uk nonce=a1""#);
    /// assert_eq!(Tenure::from_record_set(&set).unwrap(), tenure);
    /// ```
    #[must_use]
    pub fn to_record_set(&self, owner: DnsName) -> RecordSet {
        RecordSet::new(owner, RecordType::TXT, TENURE_TTL_S, [format!("\"{}\"", self.to_text())])
    }

    /// From the TXT record set; the error says what is wrong with it. Exactly one record with one string is a tenure.
    pub fn from_record_set(set: &RecordSet) -> Result<Self, String> {
        Self::from_text(&only_string(set)?).map_err(|why| format!("{} is no tenure: {why}", set.owner))
    }
}

/// The step: change who holds a site, by compare-and-set at the coordinator.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::{Raise, Tenure};
/// let to = Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "a1".into() };
/// let first = Raise { site: "shop".parse().unwrap(), from: None, to };
/// assert_eq!(first.to.epoch, Epoch(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// The site.
    pub site: SiteId,
    /// What the coordinator must hold for it; none if nothing yet.
    pub from: Option<Tenure>,
    /// What it will hold.
    pub to: Tenure,
}

/// What a host is for a site.
///
/// ```
/// use dr_core::failover::Role;
/// assert_eq!(serde_json::to_string(&Role::Standby).unwrap(), "\"standby\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It serves the site, and no mirror may write into it.
    Home,
    /// It receives mirrors and waits.
    Standby,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Home => "home",
            Self::Standby => "standby",
        })
    }
}

/// What a host knows about a site: kept in a file on the host itself, checked when a mirror commits.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::{Role, Standing};
/// let standing = Standing { role: Role::Standby, epoch: Epoch(2) };
/// assert_eq!(serde_json::to_string(&standing).unwrap(), r#"{"role":"standby","epoch":2}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What it is for the site.
    pub role: Role,
    /// In which epoch it became so.
    pub epoch: Epoch,
}

impl Standing {
    /// As the content of the file on the host: one line of JSON.
    ///
    /// ```
    /// use dr_core::failover::{Role, Standing};
    /// let standing = Standing { role: Role::Standby, epoch: dr_core::Epoch(2) };
    /// assert_eq!(Standing::from_bytes(&standing.to_bytes()).unwrap(), standing);
    /// ```
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        line_of_json(&self)
    }

    /// From the content of the file; the error says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|why| format!("no standing of a host: {why}"))
    }
}

/// The step: tell a host what it is for a site. On the standby this is the fence that refuses mirrors of an older epoch.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::{Role, RoleChange, Standing};
/// let change = RoleChange {
///     site: "shop".parse().unwrap(),
///     host: "us".parse().unwrap(),
///     remote: "root@us.example.net".parse().unwrap(),
///     state_dir: "/var/lib/dr".into(),
///     from: None,
///     to: Some(Standing { role: Role::Standby, epoch: Epoch(1) }),
/// };
/// assert_eq!(change.path(), "/var/lib/dr/sites/shop.json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// The site.
    pub site: SiteId,
    /// The host, by the operator's name.
    pub host: HostId,
    /// How it is reached.
    pub remote: Remote,
    /// Where its state directory is.
    pub state_dir: String,
    /// What it must know; none if it was never told.
    pub from: Option<Standing>,
    /// What it will know; none to forget.
    pub to: Option<Standing>,
}

impl RoleChange {
    /// The file on the host that holds its standing.
    #[must_use]
    pub fn path(&self) -> String {
        standing_path(&self.state_dir, &self.site)
    }
}

/// The file on a host that holds its standing for a site.
///
/// ```
/// use dr_core::failover::standing_path;
/// assert_eq!(standing_path("/var/lib/dr/", &"shop".parse().unwrap()), "/var/lib/dr/sites/shop.json");
/// ```
#[must_use]
pub fn standing_path(state_dir: &str, site: &SiteId) -> String {
    format!("{}/sites/{site}.json", state_dir.trim_end_matches('/'))
}

/// The step: wait until a host answers a probe as it should.
///
/// ```
/// use dr_core::Period;
/// use dr_core::estate::ProbeSpec;
/// use dr_core::failover::Expect;
/// let expect = Expect {
///     address: "198.51.100.20".parse().unwrap(),
///     probe: ProbeSpec::Tcp { port: 80 },
///     within: Period::from_secs(10),
/// };
/// assert_eq!(expect.within.as_secs(), 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The address that is asked, whatever DNS says.
    pub address: IpAddr,
    /// What is asked.
    pub probe: ProbeSpec,
    /// How long to wait for it.
    pub within: Period,
}
