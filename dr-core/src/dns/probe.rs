//! Questions that no record set answers: what a server can, what the parent says, how the zone is signed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{RecordKey, ZoneName};

/// A name that exists nowhere and never will (RFC 6761 section 6.4): who answers for it answers for anything.
const NOWHERE: &str = "dr-check.invalid";
/// No registry entry has this EDNS option code, and none will (RFC 6891 section 9 leaves it for local use).
const UNKNOWN_OPTION: u16 = 65_001;
/// A flag of EDNS that means nothing yet.
const UNKNOWN_FLAG: u16 = 0x1000;

/// What is asked of a server beside the record sets. Each is one message of a fixed form, see [`Probe::shape`].
///
/// ```
/// use dr_core::dns::Probe;
/// assert_eq!(serde_json::to_string(&Probe::EdnsVersion).unwrap(), "\"edns_version\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Probe {
    /// The SOA record with EDNS, DO and NSID: who answers, and whether it signs.
    Apex,
    /// The zone's keys with their signatures.
    Keys,
    /// The keys that the zone wants its parent to point to (CDS, RFC 7344).
    Cds,
    /// The same as keys (CDNSKEY).
    Cdnskey,
    /// How names are hashed where the zone denies (NSEC3PARAM).
    DenialParameters,
    /// The addresses of `www`, with their signatures.
    Signed,
    /// A name that should not exist: is it denied, and with proof?
    Missing,
    /// An alias at the apex.
    ApexAlias,
    /// The name in mixed case: is it repeated letter for letter?
    Case,
    /// EDNS version 1, which does not exist.
    EdnsVersion,
    /// An EDNS option that nobody knows.
    EdnsOption,
    /// An EDNS flag that nobody knows.
    EdnsFlag,
    /// The zone's keys with room for 512 octets only.
    SmallBuffer,
    /// A name that is nobody's, with recursion desired.
    Stranger,
    /// What software it is.
    Version,
    /// The whole zone, over TCP (AXFR).
    Transfer,
    /// The same, signed with the zone's transfer key.
    SignedTransfer,
    /// To the parent's servers: the delegation with its glue.
    Delegation,
    /// To the parent's servers: the delegation in 512 octets, as a client without EDNS gets it.
    SmallDelegation,
    /// To the parent's servers: the DS records.
    Signer,
    /// "The zone has changed" (NOTIFY, RFC 1996), sent from the address of a server that might become the primary: who takes
    /// it would follow that one. All it brings about is that the server looks whether it has the newest version.
    Notify {
        /// From where; this machine must have the address.
        from: IpAddr,
    },
}

/// The message of a probe.
///
/// ```
/// use dr_core::dns::Probe;
/// let shape = Probe::Case.shape(&"example.org".parse().unwrap());
/// assert_eq!((shape.owner.as_str(), shape.rtype), ("eXaMpLe.oRg", 6));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The name asked for, letter for letter.
    pub owner: String,
    /// The number of the type.
    pub rtype: u16,
    /// Class CH instead of IN.
    pub chaos: bool,
    /// Recursion desired (RD).
    pub recursive: bool,
    /// A NOTIFY instead of a query.
    pub notify: bool,
    /// EDNS, or none.
    pub edns: Option<EdnsShape>,
}

/// The EDNS part of a probe's message (RFC 6891).
///
/// ```
/// use dr_core::dns::Probe;
/// assert_eq!(Probe::EdnsVersion.shape(&"example.org".parse().unwrap()).edns.unwrap().version, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdnsShape {
    /// The version, 0 but for one probe.
    pub version: u8,
    /// How many octets are taken over UDP.
    pub payload: u16,
    /// DO: signatures are wanted.
    pub dnssec_ok: bool,
    /// The server is asked for its identity (NSID, RFC 5001).
    pub nsid: bool,
    /// An option without content.
    pub option: Option<u16>,
    /// Flags beside DO.
    pub flags: u16,
}

impl Probe {
    /// Those put to every server of the zone.
    pub const OF_ZONE: [Self; 4] = [Self::Keys, Self::Missing, Self::ApexAlias, Self::Transfer];
    /// Those put to every server of a zone that is signed.
    pub const OF_SIGNED_ZONE: [Self; 4] = [Self::Cds, Self::Cdnskey, Self::DenialParameters, Self::Signed];
    /// Those that tell of the server itself: once for all zones.
    pub const OF_SERVER: [Self; 7] = [
        Self::Case,
        Self::EdnsVersion,
        Self::EdnsOption,
        Self::EdnsFlag,
        Self::SmallBuffer,
        Self::Stranger,
        Self::Version,
    ];
    /// Those put to the parent's servers.
    pub const OF_PARENT: [Self; 3] = [Self::Delegation, Self::SmallDelegation, Self::Signer];

    /// The message it is.
    #[must_use]
    pub fn shape(self, zone: &ZoneName) -> Shape {
        const TXT: u16 = 16;
        let (prefix, rtype) = match self {
            Self::Apex
            | Self::Case
            | Self::EdnsVersion
            | Self::EdnsOption
            | Self::EdnsFlag
            | Self::Notify { .. } => ("", 6),
            Self::Keys | Self::SmallBuffer => ("", 48),
            Self::Cds => ("", 59),
            Self::Cdnskey => ("", 60),
            Self::DenialParameters => ("", 51),
            Self::Signed => ("www.", 1),
            Self::Missing => ("dr-check-no-such-name.", 1),
            Self::ApexAlias => ("", 5),
            Self::Stranger => ("", 1),
            Self::Version => ("", TXT),
            Self::Transfer | Self::SignedTransfer => ("", 252),
            Self::Delegation | Self::SmallDelegation => ("", 2),
            Self::Signer => ("", 43),
        };
        let owner = match self {
            Self::Case => mixed_case(zone.as_str()),
            Self::Stranger => NOWHERE.to_owned(),
            Self::Version => "version.bind".to_owned(),
            // A name near the limit of 253 characters has no room for another label; what it has instead does not exist either.
            _ if prefix.len() + zone.as_str().len() > 250 => zone.to_string(),
            _ if zone.as_str() == "." => prefix.to_owned() + if prefix.is_empty() { "." } else { "" },
            _ => format!("{prefix}{zone}"),
        };
        Shape {
            owner,
            rtype,
            chaos: self == Self::Version,
            recursive: self == Self::Stranger,
            notify: matches!(self, Self::Notify { .. }),
            edns: self.edns(),
        }
    }

    fn edns(self) -> Option<EdnsShape> {
        // What fits every path without fragments (RFC 9715).
        let usual = EdnsShape { payload: 1232, ..EdnsShape::default() };
        match self {
            Self::SmallDelegation
            | Self::Transfer
            | Self::SignedTransfer
            | Self::Version
            | Self::Stranger
            | Self::Case
            | Self::Notify { .. } => None,
            Self::Apex => Some(EdnsShape { dnssec_ok: true, nsid: true, ..usual }),
            Self::EdnsVersion => Some(EdnsShape { version: 1, ..usual }),
            Self::EdnsOption => Some(EdnsShape { option: Some(UNKNOWN_OPTION), ..usual }),
            Self::EdnsFlag => Some(EdnsShape { flags: UNKNOWN_FLAG, ..usual }),
            Self::SmallBuffer => Some(EdnsShape { payload: 512, dnssec_ok: true, ..usual }),
            _ => Some(EdnsShape { dnssec_ok: true, ..usual }),
        }
    }

    /// Whether a truncated answer is asked for again over TCP: not where truncation is what one wants to see.
    #[must_use]
    pub fn wants_all(self) -> bool {
        !matches!(self, Self::SmallBuffer | Self::SmallDelegation)
    }
}

/// Every second letter large.
fn mixed_case(name: &str) -> String {
    let turn = |(at, c): (usize, char)| if at % 2 == 1 { c.to_ascii_uppercase() } else { c };
    name.chars().enumerate().map(turn).collect()
}

/// What came back to a probe.
///
/// ```
/// use dr_core::dns::Reply;
/// assert_eq!(serde_json::to_string(&Reply::Silent).unwrap(), "\"silent\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Reply {
    /// A message, whatever it says.
    Message(Box<Heard>),
    /// The whole zone came.
    Transferred {
        /// So many records, the SOA record at its end not counted.
        records: u64,
        /// The record sets that it has, as many as are compared.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        keys: BTreeSet<RecordKey>,
    },
    /// What was asked for with a key was not given, or the answer was not signed as it must be.
    Refused {
        /// What the server said, or what is wrong with its signature.
        why: String,
    },
    /// Nothing came in time.
    Silent,
    /// The question could not be sent or was refused by the network.
    Unreachable {
        /// What the operating system said.
        why: String,
    },
    /// Something came that is no answer to the question.
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// An answer came, but from another address than the one that was asked: resolvers ignore it.
    Elsewhere {
        /// From where.
        from: IpAddr,
    },
}

/// A message as it came, as far as rules look at it.
///
/// ```
/// let message = dr_core::dns::Heard { rcode: "REFUSED".into(), ..Default::default() };
/// assert!(message.answers.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heard {
    /// The mnemonic of the response code, with what EDNS adds to it.
    pub rcode: String,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
    /// The name of the question as the server repeated it, letter for letter.
    pub name: String,
    /// Octets of the message over UDP.
    pub octets: u32,
    /// The EDNS part, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edns: Option<EdnsHeard>,
    /// The answer section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Entry>,
    /// The authority section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Entry>,
    /// The additional section, less EDNS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additionals: Vec<Entry>,
}

/// The EDNS part of an answer.
///
/// ```
/// assert_eq!(dr_core::dns::EdnsHeard::default().version, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EdnsHeard {
    /// The version.
    pub version: u8,
    /// How many octets the server takes over UDP.
    pub payload: u16,
    /// DO, repeated.
    pub dnssec_ok: bool,
    /// Flags beside DO: none is defined.
    pub flags: u16,
    /// What the server calls itself (NSID), in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsid: Option<String>,
    /// The codes of all options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<u16>,
}

/// One record of a message.
///
/// ```
/// let entry = dr_core::dns::Entry { owner: "example.org".into(), rtype: "NS".into(), ttl: 3600, rdata: "ns1.example.org".into() };
/// assert_eq!(entry.rtype, "NS");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The owner, absolute, in lower case, without the final dot.
    pub owner: String,
    /// The mnemonic of the type, or `TYPE65` where dr has none.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// The data in the canonical form; times of signatures are seconds since 1970, types by number. `\# 2 00ff` where dr does
    /// not know the form (RFC 3597 section 5).
    pub rdata: String,
}

impl Heard {
    /// The answers of this type, whoever owns them.
    pub(crate) fn answers_of<'a>(&'a self, rtype: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.answers.iter().filter(move |entry| entry.rtype == rtype)
    }
}

/// One probe, whom it was put to, and what came back.
///
/// ```
/// use dr_core::dns::{Exchange, Probe, Reply};
/// let exchange = Exchange { server: "192.0.2.1:53".parse().unwrap(), probe: Probe::Case, reply: Reply::Silent, took_us: 2_000_000 };
/// let text = serde_json::to_string(&exchange).unwrap();
/// assert_eq!(serde_json::from_str::<Exchange>(&text).unwrap(), exchange, "a capture replays");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Whom it was put to.
    pub server: std::net::SocketAddr,
    /// The question.
    pub probe: Probe,
    /// What came back.
    pub reply: Reply,
    /// How long that took, in microseconds.
    pub took_us: u64,
}
