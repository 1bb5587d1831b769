//! Changing a zone: record sets from one state to another in one message, and waiting until every server shows it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{DnsName, RecordKey, RecordSet, ZoneName};
use crate::time::Period;

/// One record set: what it is and what it will be. None means that it does not exist.
///
/// ```
/// use dr_core::dns::SetChange;
/// use dr_core::{RecordKey, RecordSet, RecordType};
/// let owner: dr_core::DnsName = "www.example.org".parse().unwrap();
/// let old = RecordSet::new(owner.clone(), RecordType::A, 300, ["192.0.2.1"]);
/// let new = RecordSet::new(owner.clone(), RecordType::A, 300, ["198.51.100.1"]);
/// let change = SetChange { key: RecordKey::new(owner, RecordType::A), from: Some(old.clone()), to: Some(new) };
/// assert_eq!(change.inverse().to, Some(old));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetChange {
    /// Which record set.
    pub key: RecordKey,
    /// What the primary must have for the change to be made.
    pub from: Option<RecordSet>,
    /// What the primary will have.
    pub to: Option<RecordSet>,
}

impl SetChange {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { key: self.key.clone(), from: self.to.clone(), to: self.from.clone() }
    }
}

/// What the operator wants of a record set.
///
/// ```
/// use dr_core::dns::Wish;
/// use dr_core::{RecordKey, RecordType};
/// let wish = Wish::Remove(RecordKey::new("old.example.org".parse().unwrap(), RecordType::A));
/// assert_eq!(serde_json::to_string(&wish).unwrap(), r#"{"remove":{"owner":"old.example.org","type":"A"}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// It is just so; data may be written as in a zone file.
    Have(RecordSet),
    /// It has these data, written as in a zone file. Its TTL stays as it is; a new record set gets 300 seconds.
    Say {
        /// Which record set.
        key: RecordKey,
        /// The data of each record.
        rdata: BTreeSet<String>,
    },
    /// It does not exist.
    Remove(RecordKey),
}

/// The API that a zone is changed by, where that is not done by dynamic updates.
///
/// ```
/// let through = dr_core::dns::Through { api: "Gandi".into(), at_once: false };
/// assert_eq!(through.to_string(), "by the API of Gandi, one record set after another");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Through {
    /// Whose.
    pub api: String,
    /// Whether all of a change is made at once; if not, one record set after another.
    pub at_once: bool,
}

impl std::fmt::Display for Through {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.at_once { "all at once" } else { "one record set after another" };
        write!(f, "by the API of {}, {how}", self.api)
    }
}

/// The step: change record sets of one zone on its primary, all in one message or not at all (RFC 2136 section 3.2); or by the API of a
/// provider, which may do less.
///
/// ```
/// use dr_core::dns::{SetChange, ZoneChange};
/// use dr_core::{RecordKey, RecordSet, RecordType};
/// let set = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]);
/// let change = ZoneChange {
///     zone: "example.org".parse().unwrap(),
///     primary: "192.0.2.53:53".parse().unwrap(),
///     key: Some("dr-update".parse().unwrap()),
///     through: None,
///     require: vec![],
///     sets: vec![SetChange { key: set.key(), from: None, to: Some(set.clone()) }],
/// };
/// assert_eq!(change.inverse().sets[0].from, Some(set));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// The zone.
    pub zone: ZoneName,
    /// The primary name server.
    pub primary: SocketAddr,
    /// The TSIG key that signs the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DnsName>,
    /// The API that makes the change instead of the primary, if the zone has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// Record sets that must be just so for the change to be made, and stay as they are (the epoch, for one).
    #[serde(default)]
    pub require: Vec<RecordSet>,
    /// The record sets.
    pub sets: Vec<SetChange>,
}

impl ZoneChange {
    /// The change that takes this one back: its prerequisite is exactly what this one wrote.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { sets: self.sets.iter().map(SetChange::inverse).collect(), ..self.clone() }
    }
}

/// The step: wait until every server answers with these record sets.
///
/// ```
/// use dr_core::dns::Agreement;
/// use dr_core::{Period, RecordKey, RecordSet, RecordType};
/// let set = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]);
/// let agreement = Agreement {
///     zone: "example.org".parse().unwrap(),
///     servers: vec!["192.0.2.53:53".parse().unwrap(), "198.51.100.53:53".parse().unwrap()],
///     expect: vec![(set.key(), Some(set))],
///     within: Period::from_secs(30),
///     resolvers: false,
/// };
/// assert_eq!(agreement.servers.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The zone.
    pub zone: ZoneName,
    /// Its name servers.
    pub servers: Vec<SocketAddr>,
    /// What they all must answer; none means that the record set must not exist.
    pub expect: Vec<(RecordKey, Option<RecordSet>)>,
    /// How long to wait for it.
    pub within: Period,
    /// They are resolvers: asked to recurse, they need no authority, and their TTLs count down.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resolvers: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The step: change many zones, each by one message of its own and by itself. A zone that somebody else has changed meanwhile is left
/// alone and named; the others are changed all the same.
///
/// ```
/// use dr_core::dns::ZoneChanges;
/// assert!(ZoneChanges { zones: vec![], per_second: Some(20) }.inverse().zones.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneChanges {
    /// What changes in each zone.
    pub zones: Vec<ZoneChange>,
    /// So many zones a second at most; as fast as the primaries answer if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
}

impl ZoneChanges {
    /// The changes that take these back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { zones: self.zones.iter().map(ZoneChange::inverse).collect(), ..self.clone() }
    }
}

/// The step: wait until all of these are so at the same time.
///
/// ```
/// use dr_core::dns::Agreements;
/// let all = Agreements { zones: vec![], within: "5m".parse().unwrap() };
/// assert_eq!(all.within.as_secs(), 300);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreements {
    /// What each zone's servers must show; how long for each does not count.
    pub zones: Vec<Agreement>,
    /// How long to wait for all of it.
    pub within: Period,
}

/// The longest time that a resolver may go on with what was before these changes, in seconds: the TTL of what there was, and where there
/// was nothing the zone's negative TTL, min(SOA TTL, MINIMUM) (RFC 2308 section 5). It counts from when the last server shows the change.
///
/// ```
/// use dr_core::dns::{SetChange, remembered};
/// use dr_core::{RecordKey, RecordSet, RecordType};
/// let set = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]);
/// let new = SetChange { key: set.key(), from: None, to: Some(set.clone()) };
/// assert_eq!(remembered([&new], Some(900)), 900);
/// assert_eq!(remembered([&new.inverse()], Some(900)), 60);
/// ```
pub fn remembered<'a>(sets: impl IntoIterator<Item = &'a SetChange>, negative_ttl: Option<u32>) -> u32 {
    let of = |set: &SetChange| set.from.as_ref().map_or_else(|| negative_ttl.unwrap_or(0), |from| from.ttl);
    sets.into_iter().map(of).max().unwrap_or(0)
}

/// The owner that these words mean in a zone: `@` stands for the zone, alone or as the last label (`www.@`), so that the same words do for
/// many zones; anything else is an absolute name.
///
/// ```
/// use dr_core::dns::owner_in;
/// let zone = "example.org".parse().unwrap();
/// assert_eq!(owner_in(&zone, "@").unwrap().as_str(), "example.org");
/// assert_eq!(owner_in(&zone, "www.@").unwrap().as_str(), "www.example.org");
/// assert_eq!(owner_in(&zone, "www.example.org").unwrap().as_str(), "www.example.org");
/// assert!(owner_in(&zone, "www.example.com").is_err());
/// ```
pub fn owner_in(zone: &ZoneName, words: &str) -> Result<DnsName, String> {
    let absolute = match words.strip_suffix('@') {
        Some("") => zone.to_string(),
        Some(before) if before.ends_with('.') => format!("{before}{zone}"),
        _ => words.to_owned(),
    };
    let owner: DnsName = absolute.parse().map_err(|why| format!("'{}': {why}", words.escape_debug()))?;
    if zone.contains(&owner) {
        return Ok(owner);
    }
    Err(format!("{owner} is not in the zone {zone}; write www.@ for www in whatever zone"))
}
