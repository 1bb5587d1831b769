//! Record sets in presentation form: what a zone says about a name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::DnsName;

/// The types of records that dr reads and writes, by their mnemonics (RFC 1035 and the registry of resource record types).
///
/// ```
/// use dr_core::RecordType;
/// assert_eq!("aaaa".parse::<RecordType>().unwrap(), RecordType::AAAA);
/// assert_eq!(RecordType::MX.to_string(), "MX");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms, reason = "the mnemonics are the field's own spelling")]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    AAAA,
    /// Which authority may issue certificates (RFC 8659).
    CAA,
    /// Alias.
    CNAME,
    /// Delegation signer.
    DS,
    /// Zone key.
    DNSKEY,
    /// Mail exchange.
    MX,
    /// Name server.
    NS,
    /// Pointer, for reverse lookups.
    PTR,
    /// Start of authority.
    SOA,
    /// Service location.
    SRV,
    /// SSH key fingerprint (RFC 4255).
    SSHFP,
    /// Certificate association (RFC 6698).
    TLSA,
    /// Text.
    TXT,
}

const TYPES: &[(RecordType, &str)] = &[
    (RecordType::A, "A"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::CAA, "CAA"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::DS, "DS"),
    (RecordType::DNSKEY, "DNSKEY"),
    (RecordType::MX, "MX"),
    (RecordType::NS, "NS"),
    (RecordType::PTR, "PTR"),
    (RecordType::SOA, "SOA"),
    (RecordType::SRV, "SRV"),
    (RecordType::SSHFP, "SSHFP"),
    (RecordType::TLSA, "TLSA"),
    (RecordType::TXT, "TXT"),
];

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(TYPES.iter().find(|row| row.0 == *self).map_or("?", |row| row.1))
    }
}

impl FromStr for RecordType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        TYPES.iter().find(|row| row.1.eq_ignore_ascii_case(text)).map(|row| row.0).ok_or_else(|| {
            let known: Vec<&str> = TYPES.iter().map(|row| row.1).collect();
            format!("not a record type that dr handles; it knows {}", known.join(", "))
        })
    }
}

/// Which record set: an owner name and a type. Class is always IN.
///
/// ```
/// use dr_core::{RecordKey, RecordType};
/// let key = RecordKey::new("www.example.org".parse().unwrap(), RecordType::A);
/// assert_eq!(key.to_string(), "www.example.org A");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordKey {
    /// The owner name.
    pub owner: DnsName,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: RecordType,
}

impl RecordKey {
    /// The record set of this type at this owner.
    #[must_use]
    pub fn new(owner: DnsName, rtype: RecordType) -> Self {
        Self { owner, rtype }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.owner, self.rtype)
    }
}

/// All records of one type at one owner: a set, so order never matters (RFC 2181 section 5).
///
/// `rdata` is presentation format (RFC 1035 section 5.1) in canonical form: names absolute, lower case and without the final
/// dot, one space between fields, character strings quoted. [`crate::dns::canonical_rdata`] makes it so.
///
/// ```
/// use dr_core::{RecordSet, RecordType};
/// let set = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 300, ["192.0.2.10"]);
/// assert_eq!(set.to_string(), "www.example.org 300 A 192.0.2.10");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSet {
    /// The owner name.
    pub owner: DnsName,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: RecordType,
    /// Time to live, in seconds (RFC 2181 section 8: up to 2^31 - 1).
    pub ttl: u32,
    /// The data of each record.
    pub rdata: BTreeSet<String>,
}

impl RecordSet {
    /// A record set of these data.
    pub fn new<T: Into<String>>(
        owner: DnsName,
        rtype: RecordType,
        ttl: u32,
        rdata: impl IntoIterator<Item = T>,
    ) -> Self {
        Self { owner, rtype, ttl, rdata: rdata.into_iter().map(Into::into).collect() }
    }

    /// Which record set this is.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey::new(self.owner.clone(), self.rtype)
    }

    /// Whether both say the same, their TTLs aside.
    #[must_use]
    pub fn same_data(&self, other: &Self) -> bool {
        self.owner == other.owner && self.rtype == other.rtype && self.rdata == other.rdata
    }
}

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data: Vec<&str> = self.rdata.iter().map(String::as_str).collect();
        write!(f, "{} {} {} {}", self.owner, self.ttl, self.rtype, data.join(", "))
    }
}
