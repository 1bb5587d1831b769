//! What name servers said, as values: a live capture replays as a test.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{RecordKey, RecordSet};

/// UDP or TCP.
///
/// ```
/// use dr_core::dns::Transport;
/// assert_eq!(serde_json::to_string(&Transport::Tcp).unwrap(), "\"tcp\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Over UDP; an answer that is truncated is asked for again over TCP and counts as one answer.
    Udp,
    /// Over TCP only.
    Tcp,
}

/// A question to one name server.
///
/// ```
/// use dr_core::dns::{Question, Transport};
/// use dr_core::{RecordKey, RecordType};
/// let key = RecordKey::new("example.org".parse().unwrap(), RecordType::SOA);
/// let question = Question { key, transport: Transport::Udp, recursive: false };
/// assert_eq!(question.key.to_string(), "example.org SOA");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked for.
    pub key: RecordKey,
    /// How.
    pub transport: Transport,
    /// Whether recursion is desired (RD): false towards authoritative servers, true towards resolvers.
    pub recursive: bool,
}

/// What came back.
///
/// ```
/// use dr_core::dns::Answer;
/// let refused = Answer::Failed { rcode: "REFUSED".into() };
/// assert_ne!(refused, Answer::Silent, "a refusal is an answer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Answer {
    /// The record set itself, or, behind aliases, the one at their end (its owner then differs from the question's).
    Records {
        /// The record set.
        set: RecordSet,
        /// Whether the server has authority (AA).
        authoritative: bool,
    },
    /// The name exists, but has no such records (RFC 2308 section 2.2).
    NoData {
        /// Whether the server has authority (AA).
        authoritative: bool,
    },
    /// The name does not exist (RFC 2308 section 2.1).
    NxDomain {
        /// Whether the server has authority (AA).
        authoritative: bool,
    },
    /// "Ask those": a referral to other servers, no answer.
    Referral,
    /// A response code other than NOERROR and NXDOMAIN, by its mnemonic: REFUSED, SERVFAIL, NOTIMP, …
    Failed {
        /// The mnemonic.
        rcode: String,
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
}

impl Answer {
    /// What it says, in words; equal words mean that visitors get the same.
    ///
    /// ```
    /// use dr_core::dns::Answer;
    /// assert_eq!(Answer::NxDomain { authoritative: true }.in_words(), "no such name");
    /// ```
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Records { set, .. } => {
                let data: Vec<&str> = set.rdata.iter().map(String::as_str).collect();
                data.join(", ")
            }
            Self::NoData { .. } => "no such records".to_owned(),
            Self::NxDomain { .. } => "no such name".to_owned(),
            Self::Referral => "a referral to other servers".to_owned(),
            Self::Failed { rcode } => rcode.clone(),
            Self::Silent => "no answer in time".to_owned(),
            Self::Unreachable { why } => why.clone(),
            Self::Malformed { why } => format!("no valid answer: {why}"),
        }
    }
}

/// One question, whom it was put to, and what came back.
///
/// ```
/// use dr_core::dns::{Answer, Fact, Question, Transport};
/// use dr_core::{RecordKey, RecordType};
/// let key = RecordKey::new("example.org".parse().unwrap(), RecordType::SOA);
/// let question = Question { key, transport: Transport::Udp, recursive: false };
/// let fact = Fact { server: "192.0.2.1:53".parse().unwrap(), question, answer: Answer::Silent, took_us: 2_000_000 };
/// let text = serde_json::to_string(&fact).unwrap();
/// assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact, "a capture replays");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Whom it was put to.
    pub server: SocketAddr,
    /// The question.
    pub question: Question,
    /// What came back.
    pub answer: Answer,
    /// How long that took, in microseconds.
    pub took_us: u64,
}
