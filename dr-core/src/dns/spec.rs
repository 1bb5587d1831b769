//! A zone to be checked: from the estate, or from what a script has in hand.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{Question, Transport};
use super::rdata::canonical_rdata;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{
    DnsName, Estate, Network, RecordKey, RecordSet, RecordType, Whereabouts, Zone, ZoneName, server_address,
};

/// A name server, by the name the operator gives it and where it answers.
///
/// ```
/// use dr_core::dns::Server;
/// let server: Server = "ns1=192.0.2.53".parse().unwrap();
/// assert_eq!((server.name.as_str(), server.address.port()), ("ns1", 53));
/// assert_eq!("192.0.2.53:5353".parse::<Server>().unwrap().name, "192.0.2.53:5353");
/// assert!("ns1=nowhere".parse::<Server>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What findings call it.
    pub name: String,
    /// Where it answers.
    pub address: SocketAddr,
}

impl FromStr for Server {
    type Err = String;
    /// `NAME=ADDRESS`, or the address alone; the port is 53 if not said.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').unwrap_or((text, text));
        if name.is_empty() {
            return Err(format!("'{}' has no name before the '='", text.escape_debug()));
        }
        Ok(Self { name: name.to_owned(), address: server_address(address)? })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.to_string();
        if self.name == address { f.write_str(&address) } else { write!(f, "{} ({address})", self.name) }
    }
}

/// How much of a zone is looked at.
///
/// ```
/// use dr_core::dns::Depth;
/// assert_eq!(Depth::default(), Depth::Full);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Whether every server answers, and all of them alike: what a failover stands on.
    Records,
    /// Everything: also the delegation, the names that records lead to, what each server can, mail, and DNSSEC.
    #[default]
    Full,
}

/// A zone to be checked or changed: whom to ask, and what must be true.
///
/// ```
/// use dr_core::dns::ZoneSpec;
/// let servers = vec!["ns1=192.0.2.1".parse().unwrap(), "ns2=192.0.2.2".parse().unwrap()];
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), servers);
/// assert!(spec.keys().iter().any(|key| key.to_string() == "www.example.org A"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneSpec {
    /// The zone.
    pub zone: ZoneName,
    /// Its name servers.
    pub servers: Vec<Server>,
    /// Where its primary answers, if that is known: it takes changes, and serials are measured against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<SocketAddr>,
    /// The name server that takes the primary's place if that is lost: the others must follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_primary: Option<SocketAddr>,
    /// The name of the TSIG key that may change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_key: Option<DnsName>,
    /// The names whose address records a failover moves: their TTLs must fit the recovery time objective.
    #[serde(default)]
    pub moving: Vec<DnsName>,
    /// Further record sets that must agree on every server.
    #[serde(default)]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[serde(default)]
    pub expect: Vec<RecordSet>,
    /// How much is looked at.
    #[serde(default)]
    pub depth: Depth,
    /// Servers of the parent zone, to be asked for the delegation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Server>,
    /// A resolver, to be asked for names outside of the zone and for reverse names; without one they are not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
    /// Addresses from which mail of the zone is sent, home and standby: SPF must allow each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<IpAddr>,
    /// Certification authorities that must be allowed to issue (`letsencrypt.org`), the standby's among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
    /// The name of the TSIG key with which the whole zone is asked for, beside asking without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_key: Option<DnsName>,
    /// Names under which visitors are told what happens: they must not be lost with the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<DnsName>,
    /// What is known of networks: where name servers, mail exchanges and sites are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<KnownNetwork>,
}

/// A network, and what the operator knows of it.
///
/// ```
/// use dr_core::dns::KnownNetwork;
/// let known: KnownNetwork = "192.0.2.0/24 AS64500 Roubaix, hall 2".parse().unwrap();
/// assert_eq!((known.whereabouts.asn, known.whereabouts.place.as_deref()), (Some(64500), Some("Roubaix, hall 2")));
/// assert_eq!("192.0.2.1 Roubaix".parse::<KnownNetwork>().unwrap().whereabouts.asn, None);
/// assert!("192.0.2.0/24".parse::<KnownNetwork>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownNetwork {
    /// The network.
    pub network: Network,
    /// Where it is, and whose.
    pub whereabouts: Whereabouts,
}

impl FromStr for KnownNetwork {
    type Err = String;
    /// A network, then `AS` and a number, then the place; one of the two may be left out.
    fn from_str(line: &str) -> Result<Self, String> {
        let word = |text: &str| -> (String, String) {
            let text = text.trim();
            let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            (first.to_owned(), rest.trim().to_owned())
        };
        let (network, rest) = word(line);
        let network = network.parse()?;
        let (first, others) = word(&rest);
        let number = first.strip_prefix("AS").and_then(|number| number.parse().ok());
        let place = if number.is_some() { others } else { rest };
        if number.is_none() && place.is_empty() {
            return Err(format!("{network}: write what is known of it, as AS64500 or a place or both"));
        }
        let place = Some(place).filter(|place| !place.is_empty());
        Ok(Self { network, whereabouts: Whereabouts { place, asn: number } })
    }
}

impl ZoneSpec {
    /// A zone with these servers; the names that may move are the apex and `www`.
    #[must_use]
    pub fn new(zone: ZoneName, servers: Vec<Server>) -> Self {
        let moving = usual_names(&zone);
        Self {
            zone,
            servers,
            primary: None,
            standby_primary: None,
            update_key: None,
            moving,
            records: vec![],
            expect: vec![],
            depth: Depth::default(),
            parents: vec![],
            resolver: None,
            senders: vec![],
            issuers: vec![],
            transfer_key: None,
            status: vec![],
            networks: vec![],
        }
    }

    /// The zone as the estate has it; the names that move are those of the sites.
    ///
    /// ```
    /// use dr_core::dns::ZoneSpec;
    /// use dr_core::Estate;
    /// let error = ZoneSpec::from_estate(&Estate::default(), &"example.org".parse().unwrap()).unwrap_err();
    /// assert_eq!(error.kind(), dr_core::ErrorKind::NotFound);
    /// ```
    pub fn from_estate(estate: &Estate, zone: &ZoneName) -> Result<Self> {
        let operation = || format!("check zone {zone}");
        let Some(wanted) = estate.zones.get(zone) else {
            let known: Vec<&str> = estate.zones.keys().map(ZoneName::as_str).collect();
            return Err(Error::new(ErrorKind::NotFound, operation(), "the estate has no such zone").hint(
                if known.is_empty() {
                    "name its servers instead".to_owned()
                } else {
                    format!("it has {}", known.join(", "))
                },
            ));
        };
        let address = |id: &crate::estate::NameServerId| {
            estate.name_servers.get(id).map(|server| server.address).ok_or_else(|| {
                Error::new(ErrorKind::Usage, operation(), format!("the estate has no name server '{id}'"))
                    .hint("add it under [name_servers]")
            })
        };
        let mut servers = Vec::with_capacity(wanted.servers.len());
        for id in &wanted.servers {
            servers.push(Server { name: id.to_string(), address: address(id)? });
        }
        Ok(Self {
            primary: Some(address(&wanted.primary)?),
            standby_primary: wanted.standby_primary.as_ref().map(address).transpose()?,
            update_key: wanted.update_key.clone(),
            moving: names_of_sites(estate, zone),
            records: wanted.records.clone(),
            expect: canonical_sets(wanted, &operation())?,
            transfer_key: wanted.transfer_key.clone(),
            status: wanted.status.clone(),
            networks: networks(estate),
            ..Self::new(zone.clone(), servers)
        })
    }

    /// The record sets that must agree on every server, the SOA record aside.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<RecordKey> {
        use RecordType::{A, AAAA, CAA, MX, NS, TXT};
        let apex = [NS, A, AAAA, MX, TXT, CAA].map(|rtype| RecordKey::new(self.zone.apex(), rtype));
        let names = usual_names(&self.zone).into_iter().chain(self.moving.iter().cloned());
        let names = names.chain(format!("mail.{}", self.zone).parse().ok());
        let addresses = names.flat_map(|name| [A, AAAA].map(|rtype| RecordKey::new(name.clone(), rtype)));
        let prints = self.moving.iter().filter(|_| self.depth == Depth::Full);
        apex.into_iter()
            .chain(addresses)
            .chain(prints.map(|name| RecordKey::new(name.clone(), RecordType::SSHFP)))
            .chain(self.records.iter().cloned())
            .chain(self.expect.iter().map(RecordSet::key))
            .filter(|key| key.rtype != RecordType::SOA)
            .collect()
    }

    /// The record set that every server with authority has.
    #[must_use]
    pub fn soa_key(&self) -> RecordKey {
        RecordKey::new(self.zone.apex(), RecordType::SOA)
    }
}

/// The questions that every server is asked first: they tell whether it is worth asking more.
///
/// ```
/// use dr_core::dns::{Transport, ZoneSpec, first_questions};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec![]);
/// let [udp, tcp] = first_questions(&spec);
/// assert_eq!((udp.key.to_string().as_str(), tcp.transport), ("example.org SOA", Transport::Tcp));
/// ```
#[must_use]
pub fn first_questions(spec: &ZoneSpec) -> [Question; 2] {
    [Transport::Udp, Transport::Tcp].map(|transport| Question {
        key: spec.soa_key(),
        transport,
        recursive: false,
    })
}

/// The questions to a server that has answered: every record set that must agree.
///
/// ```
/// use dr_core::dns::{ZoneSpec, questions};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec![]);
/// assert_eq!(questions(&spec).len(), spec.keys().len());
/// assert!(questions(&spec).iter().all(|question| !question.recursive));
/// ```
#[must_use]
pub fn questions(spec: &ZoneSpec) -> Vec<Question> {
    let ask = |key| Question { key, transport: Transport::Udp, recursive: false };
    spec.keys().into_iter().map(ask).collect()
}

/// What the estate says of networks, and of the places of its hosts.
fn networks(estate: &Estate) -> Vec<KnownNetwork> {
    let known = estate
        .networks
        .iter()
        .map(|(network, whereabouts)| KnownNetwork { network: *network, whereabouts: whereabouts.clone() });
    let hosts = estate.hosts.values().filter(|host| host.failure_domain.is_some()).flat_map(|host| {
        let whereabouts = Whereabouts { place: host.failure_domain.clone(), asn: None };
        let all = u8::MAX;
        host.addresses.iter().map(move |address| KnownNetwork {
            network: Network::around(*address, all),
            whereabouts: whereabouts.clone(),
        })
    });
    known.chain(hosts).collect()
}

/// The apex and `www`.
fn usual_names(zone: &ZoneName) -> Vec<DnsName> {
    // A zone name near the limit of 253 characters has no room for www.
    let www = format!("www.{zone}").parse();
    [Some(zone.apex()), www.ok()].into_iter().flatten().collect()
}

/// The names of the sites that are in this zone; without any, the usual ones.
fn names_of_sites(estate: &Estate, zone: &ZoneName) -> Vec<DnsName> {
    let names = estate.sites.values().flat_map(|site| &site.names);
    let here: BTreeSet<&DnsName> =
        names.filter(|name| estate.zone_of(name).is_some_and(|(apex, _)| apex == zone)).collect();
    if here.is_empty() { usual_names(zone) } else { here.into_iter().cloned().collect() }
}

fn canonical_sets(zone: &Zone, operation: &str) -> Result<Vec<RecordSet>> {
    zone.expect.iter().map(|set| canonical_set(set, operation)).collect()
}

/// The record set with its data in canonical form.
pub(crate) fn canonical_set(set: &RecordSet, operation: &str) -> Result<RecordSet> {
    let data = set.rdata.iter().map(|typed| canonical_rdata(set.rtype, typed));
    let rdata = data.collect::<Result<BTreeSet<String>, String>>().map_err(|why| {
        Error::new(ErrorKind::Usage, operation, format!("{}: {why}", set.key()))
            .hint("write the data as it would stand in a zone file")
    })?;
    Ok(RecordSet { rdata, ..set.clone() })
}
