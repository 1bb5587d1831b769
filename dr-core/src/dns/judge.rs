//! From what the servers said to what is wrong.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Fact;
use super::probe::Exchange;
use super::proof::Proof;
use super::rules::{FULL_RULES, RULES};
use super::seen::Seen;
use super::spec::{Depth, ZoneSpec};
use crate::estate::{Notify, Policy};
use crate::report::{Finding, Report, Subject};
use crate::time::{Period, Timestamp};

/// What was asked about a zone and everything that came back: a live capture replays as a test.
///
/// ```
/// use dr_core::dns::{Thresholds, ZoneFacts, ZoneSpec, judge};
/// use dr_core::estate::Policy;
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns1=192.0.2.1".parse().unwrap()]);
/// let nobody_was_asked = ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] };
/// let report = judge(&nobody_was_asked, &Thresholds::of(&Policy::default()));
/// assert!(!report.findings.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneFacts {
    /// The zone.
    pub spec: ZoneSpec,
    /// When the first question went out.
    pub at: Timestamp,
    /// What came back.
    pub facts: Vec<Fact>,
    /// What came back to the probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Exchange>,
    /// Which signatures among the replies hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
}

/// From where on a value is worth a finding.
///
/// ```
/// use dr_core::dns::Thresholds;
/// let policy = dr_core::estate::Policy::default();
/// assert_eq!(Thresholds::of(&policy).rto, policy.rto);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The recovery time objective: no resolver may keep an old answer longer.
    pub rto: Period,
    /// How long secondaries must go on without the primary: two weeks (RFC 1912 section 2.2).
    pub expire: Period,
    /// How long it takes until a site that is down is known to be down.
    pub detect: Period,
    /// How many zones a failover changes at once.
    pub zones: u64,
    /// How the primary tells its secondaries.
    pub notify: Notify,
    /// How long before their end signatures must have been renewed.
    pub signatures: Period,
}

impl Thresholds {
    /// Those that follow from the policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let health = &policy.health;
        let confirm = health.confirm_interval.as_duration().saturating_mul(health.fall);
        let look = health.interval.as_duration().saturating_add(health.timeout.as_duration());
        Self {
            rto: policy.rto,
            expire: Period::from_secs(14 * 24 * 3600),
            detect: look.saturating_add(confirm).into(),
            zones: 1,
            notify: policy.notify.clone(),
            signatures: Period::from_secs(3 * 24 * 3600),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::of(&Policy::default())
    }
}

/// Judges what the servers of a zone said: whether every one of them would send visitors to the right host.
///
/// ```
/// use dr_core::dns::{Thresholds, ZoneFacts, ZoneSpec, judge};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns1=192.0.2.1".parse().unwrap()]);
/// let report = judge(&ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] }, &Thresholds::default());
/// assert!(report.findings.iter().any(|finding| finding.code.name() == "dns.no_server_answers"));
/// ```
pub fn judge(facts: &ZoneFacts, thresholds: &Thresholds) -> Report {
    let seen = Seen::new(facts);
    let zone = &facts.spec.zone;
    let mut report = Report::new(format!("check zone {zone}"), facts.at);
    report.examined.push(Subject::new("zone", zone));
    report.examined.extend(facts.spec.servers.iter().map(|server| Subject::new("server", &server.name)));
    let rules = RULES.iter().chain(FULL_RULES.iter().filter(|_| facts.spec.depth == Depth::Full));
    report.findings = rules.flat_map(|rule| rule(&seen, thresholds)).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    report.figures.insert("servers".to_owned(), count(facts.spec.servers.len()));
    report.figures.insert("questions".to_owned(), count(facts.facts.len() + facts.probes.len()));
    report
}

/// Brings the reports about many zones into one. A finding about a server that many zones share stands in it once, with the
/// zones it is for.
///
/// ```
/// use dr_core::dns::summary;
/// assert_eq!(summary("check 0 zones", Default::default(), vec![]).title, "check 0 zones");
/// ```
pub fn summary(title: &str, at: Timestamp, reports: Vec<Report>) -> Report {
    let mut whole = Report::new(title, at);
    reports.into_iter().for_each(|report| whole.absorb(report));
    whole.examined =
        std::mem::take(&mut whole.examined).into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let servers = whole.examined.iter().filter(|subject| subject.kind == "server").count();
    whole.figures.insert("servers".to_owned(), u64::try_from(servers).unwrap_or(u64::MAX));
    let (mut shared, own): (Vec<Finding>, Vec<Finding>) = std::mem::take(&mut whole.findings)
        .into_iter()
        .partition(|finding| finding.subject.kind == "server" && finding.evidence.contains_key("zone"));
    whole.findings = own;
    let alike =
        |finding: &Finding| (finding.code, finding.subject.clone(), finding.evidence.get("kind").cloned());
    // A stable sort: the zones stay in the order they were checked in.
    shared.sort_by_key(alike);
    for findings in shared.chunk_by(|a, b| alike(a) == alike(b)) {
        let zones: Vec<&str> =
            findings.iter().filter_map(|finding| finding.evidence.get("zone").map(String::as_str)).collect();
        whole.findings.extend(findings.first().map(|first| for_zones(first.clone(), &zones)));
    }
    whole
}

fn for_zones(mut finding: Finding, zones: &[&str]) -> Finding {
    const NAMED: usize = 10;
    if zones.len() > 1 {
        let more = if zones.len() > NAMED { ", …" } else { "" };
        let named = zones.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        finding.evidence.remove("zone");
        finding.message = format!("{} ({} zones)", finding.message, zones.len());
        return finding.with("zones", format!("{named}{more}"));
    }
    finding
}

/// A rule: what is wrong, judged by one topic alone.
pub(super) type Rule = fn(&Seen<'_>, &Thresholds) -> Vec<Finding>;
