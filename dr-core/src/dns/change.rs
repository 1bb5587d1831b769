//! Changing a zone: record sets from one state to another in one message, and waiting until every server shows it.

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
    /// It does not exist.
    Remove(RecordKey),
}

/// The step: change record sets of one zone on its primary, all in one message or not at all (RFC 2136 section 3.2).
///
/// ```
/// use dr_core::dns::{SetChange, ZoneChange};
/// use dr_core::{RecordKey, RecordSet, RecordType};
/// let set = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]);
/// let change = ZoneChange {
///     zone: "example.org".parse().unwrap(),
///     primary: "192.0.2.53:53".parse().unwrap(),
///     key: Some("dr-update".parse().unwrap()),
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
}
