//! What failover needs to know: who decides, by which times, who watches from where, and where it is written down who holds a site.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistake::Path;
use super::names::ZoneName;
use super::node::Node;
use super::probe::ProbeSpec;
use super::read::{Notes, Read, Reader, word_of};
use super::remote::Remote;
use crate::time::Period;

/// Who decides once the evidence is there.
///
/// ```
/// use dr_core::estate::Mode;
/// assert_eq!(serde_json::to_string(&Mode::Ask).unwrap(), "\"ask\"");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// dr does.
    Auto,
    /// A person does; dr detects, prepares and says what to type.
    #[default]
    Ask,
}

/// How sites are moved: who decides, and the times of their leases.
///
/// ```
/// use dr_core::estate::{FailoverPolicy, Mode};
/// assert_eq!(FailoverPolicy::default().mode, Mode::Ask, "nothing moves by itself unless told so");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailoverPolicy {
    /// Who decides, where a site does not say otherwise.
    pub mode: Mode,
    /// The times of the leases.
    pub times: Times,
    /// So many bytes must be free on a standby, where its trees are and where dr keeps its files.
    pub free_bytes: u64,
}

impl Default for FailoverPolicy {
    fn default() -> Self {
        Self { mode: Mode::default(), times: Times::default(), free_bytes: 1 << 30 }
    }
}

/// Where it is written down who holds a site. Best in a place that shares its fate with neither host.
///
/// ```
/// use dr_core::estate::{Coordinator, CoordinatorKind};
/// let coordinator: Coordinator = serde_json::from_str(r#"{"kind": "dns", "failure_domain": "nl"}"#).unwrap();
/// assert_eq!(coordinator.kind, CoordinatorKind::Dns);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Coordinator {
    /// Which sort.
    pub kind: CoordinatorKind,
    /// What it shares its fate with: a data centre, a provider, a country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_domain: Option<String>,
    /// DNS: the zone for the leases with their signs of life. Best one that no other server transfers; without it they are in the
    /// zone of each site's first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// etcd: the client URLs of its members, with https except on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// etcd: what the keys begin with; `dr/sites/` without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// etcd: the user, where it asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// etcd: the file with the user's password on its first line, mode 0600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// etcd: the file of authorities that its certificates must come from; those of the system without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// SQLite: the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// Which sort of coordinator.
///
/// ```
/// use dr_core::estate::CoordinatorKind;
/// assert_eq!(serde_json::to_string(&CoordinatorKind::Etcd).unwrap(), "\"etcd\"");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CoordinatorKind {
    /// The primary name server, by dynamic updates (RFC 2136).
    #[default]
    Dns,
    /// etcd.
    Etcd,
    /// A file on one machine, which alone decides.
    Sqlite,
}

/// A place from which sites are looked at: an agent on a machine of its own, or on one of the hosts.
///
/// ```
/// use dr_core::estate::ObserverPost;
/// let post: ObserverPost = serde_json::from_str(r#"{"failure_domain": "nl", "ssh": "dr@nl.example.net"}"#).unwrap();
/// assert!(post.keys.is_empty() && post.anchors.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObserverPost {
    /// What it shares its fate with: a data centre, a provider, a country.
    pub failure_domain: String,
    /// How its agent is reached by SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Remote>,
    /// The public keys that sign its votes, as they stand in a .pub file. No two observers share one.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Services elsewhere that are up unless its own line is cut. When none answers, it is blind, and says nothing about sites.
    #[serde(default)]
    pub anchors: Vec<Anchor>,
}

/// A service that tells an observer whether its own line works.
///
/// ```
/// use dr_core::estate::Anchor;
/// let anchor: Anchor = serde_json::from_str(r#"{"address": "192.0.2.53", "probe": {"tcp": {"port": 53}}}"#).unwrap();
/// assert!(anchor.address.is_ipv4());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Where.
    pub address: IpAddr,
    /// What is asked there; without, whether it takes a connection on port 53.
    #[serde(default = "name_server")]
    pub probe: ProbeSpec,
}

fn name_server() -> ProbeSpec {
    ProbeSpec::Tcp { port: 53 }
}

/// The times of a lease, as they are written down; [`Terms`] are those that can work.
///
/// ```
/// use dr_core::estate::{Terms, Times};
/// let why = Terms::try_from(Times { take: "60s".parse().unwrap(), ..Times::default() }).unwrap_err();
/// assert_eq!(why, "take is 1m: the old home could still be serving; make it at least 1m 25s 556ms, or hold shorter");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// Between two signs of life of the home.
    pub renew: Period,
    /// So long after the sending of the last acknowledged sign of life the home stops serving, by its own clock.
    pub hold: Period,
    /// So long a standby sees no sign of life, by its own clock, before it believes that the home has stopped.
    pub take: Period,
    /// So long a home may take to stop.
    pub stop: Period,
    /// So long an answer of the coordinator is waited for.
    pub answer: Period,
    /// By how many thousandths a clock may run too fast or too slow.
    pub drift_permille: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            renew: Period::from_secs(15),
            hold: Period::from_secs(60),
            take: Period::from_secs(90),
            stop: Period::from_secs(10),
            answer: Period::from_secs(5),
            drift_permille: 100,
        }
    }
}

/// Times with which two hosts never serve at once, whoever is paused, cut off or slow, as long as no clock is further off than
/// they say.
///
/// With clocks at rates between 1-d and 1+d, what lasts `hold` by a slow clock lasts at most `hold / (1-d)`, and `take` by a fast
/// one at least `take / (1+d)`: so `take` must be `(hold + stop) * (1+d) / (1-d)` or more.
///
/// ```
/// use dr_core::estate::{Terms, Times};
/// assert_eq!(Terms::default().take().to_string(), "1m 30s");
/// assert!(Terms::try_from(Times { renew: "40s".parse().unwrap(), ..Times::default() }).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Times", into = "Times")]
pub struct Terms(Times);

impl TryFrom<Times> for Terms {
    type Error = String;
    fn try_from(times: Times) -> Result<Self, String> {
        let Times { renew, hold, take, stop, answer, drift_permille } = times;
        for (name, span) in [("renew", renew), ("hold", hold), ("take", take), ("answer", answer)] {
            if span.as_duration().is_zero() {
                return Err(format!("{name} is 0s; give it a time"));
            }
        }
        if drift_permille >= 500 {
            let said = "clocks that may be off by half cannot time anything; a sane host is within 1";
            return Err(format!("drift_permille is {drift_permille}: {said}"));
        }
        let one_may_be_lost = renew.as_duration().saturating_mul(2).saturating_add(answer.as_duration());
        if hold.as_duration() < one_may_be_lost {
            let least = Period::from(one_may_be_lost);
            return Err(format!(
                "hold is {hold}: one lost sign of life would stop the home; make it at least {least}, or renew more often"
            ));
        }
        let least = longest(hold.as_duration().saturating_add(stop.as_duration()), drift_permille);
        if take.as_duration() < least {
            let least = Period::from(least);
            return Err(format!(
                "take is {take}: the old home could still be serving; make it at least {least}, or hold shorter"
            ));
        }
        Ok(Self(times))
    }
}

/// How long another clock may show for what one clock shows as `span`, in whole milliseconds, rounded up.
fn longest(span: Duration, drift_permille: u32) -> Duration {
    let (slow, fast) = (u128::from(1000 - drift_permille), u128::from(1000 + drift_permille));
    let millis = (span.as_micros() * fast).div_ceil(slow * 1000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

impl From<Terms> for Times {
    fn from(terms: Terms) -> Self {
        terms.0
    }
}

impl Terms {
    /// Between two signs of life.
    #[must_use]
    pub fn renew(&self) -> Period {
        self.0.renew
    }

    /// How long one that was acknowledged lets the home serve, from its sending.
    #[must_use]
    pub fn hold(&self) -> Period {
        self.0.hold
    }

    /// How long a standby waits for one.
    #[must_use]
    pub fn take(&self) -> Period {
        self.0.take
    }

    /// How long an answer is waited for.
    #[must_use]
    pub fn answer(&self) -> Period {
        self.0.answer
    }
}

impl Read for Mode {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        word_of(node, path, notes, &[("ask", Self::Ask), ("auto", Self::Auto)])
    }
}

impl Read for FailoverPolicy {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let policy = Self {
            mode: table.or("mode", usual.mode),
            times: table.or("times", usual.times),
            free_bytes: table.or("free_bytes", usual.free_bytes),
        };
        table.close();
        Some(policy)
    }
}

impl Read for Times {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let usual = Self::default();
        let times = Self {
            renew: table.or("renew", usual.renew),
            hold: table.or("hold", usual.hold),
            take: table.or("take", usual.take),
            stop: table.or("stop", usual.stop),
            answer: table.or("answer", usual.answer),
            drift_permille: table.or("drift_permille", usual.drift_permille),
        };
        table.close();
        Some(times)
    }
}

impl Read for Coordinator {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let coordinator = Self {
            kind: table.or("kind", CoordinatorKind::default()),
            failure_domain: table.optional("failure_domain"),
            zone: table.optional("zone"),
            urls: table.or("urls", vec![]),
            prefix: table.optional("prefix"),
            user: table.optional("user"),
            password_file: table.optional("password_file"),
            authorities: table.optional("authorities"),
            path: table.optional("path"),
        };
        table.close();
        Some(coordinator)
    }
}

impl Read for CoordinatorKind {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        word_of(node, path, notes, &[("dns", Self::Dns), ("etcd", Self::Etcd), ("sqlite", Self::Sqlite)])
    }
}

impl Read for ObserverPost {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let post = Self {
            failure_domain: table.required("failure_domain", "unknown")?,
            ssh: table.optional("ssh"),
            keys: table.or("keys", vec![]),
            anchors: table.or("anchors", vec![]),
        };
        table.close();
        Some(post)
    }
}

impl Read for Anchor {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let mut table = Reader::open(node, path, notes)?;
        let anchor =
            Self { address: table.required("address", "0.0.0.0")?, probe: table.or("probe", name_server()) };
        table.close();
        Some(anchor)
    }
}
