//! The fields of an SOA record.

use super::serial::Serial;
use crate::estate::{RecordSet, RecordType};

/// The fields of an SOA record (RFC 1035 section 3.3.13); times are in seconds.
///
/// ```
/// use dr_core::dns::Soa;
/// let soa = Soa::from_rdata("ns1.example.org hostmaster.example.org 7 3600 900 1209600 300").unwrap();
/// assert_eq!((soa.serial.0, soa.expire, soa.minimum), (7, 1_209_600, 300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// MNAME: the primary name server.
    pub primary: String,
    /// RNAME: the mailbox of whoever is responsible, its first dot standing for the @.
    pub mailbox: String,
    /// The version of the zone.
    pub serial: Serial,
    /// How often secondaries ask for a new version.
    pub refresh: u32,
    /// How soon they ask again after a failure.
    pub retry: u32,
    /// How long they go on answering without having reached the primary.
    pub expire: u32,
    /// How long resolvers may remember that a name does not exist (RFC 2308 section 4).
    pub minimum: u32,
}

impl Soa {
    /// From the presentation of the record's data; none if it is not that of an SOA record.
    #[must_use]
    pub fn from_rdata(rdata: &str) -> Option<Self> {
        let mut fields = rdata.split(' ');
        let (primary, mailbox) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let mut number = || fields.next()?.parse().ok();
        let soa = Self {
            primary,
            mailbox,
            serial: Serial(number()?),
            refresh: number()?,
            retry: number()?,
            expire: number()?,
            minimum: number()?,
        };
        fields.next().is_none().then_some(soa)
    }

    /// How long resolvers remember that something does not exist, in seconds: the lesser of the TTL of this SOA record set and its last field
    /// (RFC 2308 section 5); none if it is no SOA record set.
    ///
    /// ```
    /// use dr_core::{RecordSet, RecordType, dns::Soa};
    /// let soa = "ns1.example.org hostmaster.example.org 7 3600 900 1209600 300";
    /// let set = RecordSet::new("example.org".parse().unwrap(), RecordType::SOA, 60, [soa]);
    /// assert_eq!(Soa::negative_ttl(&set), Some(60));
    /// ```
    #[must_use]
    pub fn negative_ttl(set: &RecordSet) -> Option<u32> {
        let rdata = set.rdata.first().filter(|_| set.rtype == RecordType::SOA)?;
        Some(Self::from_rdata(rdata)?.minimum.min(set.ttl))
    }
}
