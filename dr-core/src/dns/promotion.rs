//! A secondary in the primary's place: is it fit for that, and what has to change where?

use super::configuration::{Configuration, Role, Software};
use super::facts::Answer;
use super::judge::{Thresholds, ZoneFacts};
use super::rules::{PROMOTION_RULES, standby};
use super::seen::Seen;
use super::serial::Serial;
use super::soa::Soa;
use super::spec::{Server, ZoneSpec};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType, ZoneName};
use crate::report::{Report, Subject};

/// By so many the serial is raised: whatever the lost primary adds when it comes back is older.
const EPOCH: u32 = 1_000;

/// Who plays which part when a secondary takes the primary's place, and in which zones.
///
/// ```
/// use dr_core::dns::{Parts, Software};
/// let parts = Parts {
///     zones: vec!["example.org".parse().unwrap()],
///     primary: "ns2=192.0.2.2".parse().unwrap(),
///     followers: vec!["ns3=192.0.2.3".parse().unwrap()],
///     key: Some("transfer-key".parse().unwrap()),
///     beside: None,
/// };
/// let written = parts.configurations(|server| (server.name == "ns2").then_some(Software::Bind).or(Some(Software::Nsd)));
/// assert!(written[0].text.contains("type primary;"));
/// assert!(written[1].text.contains("request-xfr: 192.0.2.2@53 transfer-key"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The zones.
    pub zones: Vec<ZoneName>,
    /// The server that becomes the primary.
    pub primary: Server,
    /// The servers that are to follow it.
    pub followers: Vec<Server>,
    /// The TSIG key that signs changes and transfers, which all of them know.
    pub key: Option<DnsName>,
    /// The primary that is still there: `primary` stays its secondary, and the others learn to follow both.
    pub beside: Option<Server>,
}

impl Parts {
    /// What has to stand in the configuration of each server, the new primary's first. Servers whose software is not known are left out.
    pub fn configurations(&self, software: impl Fn(&Server) -> Option<Software>) -> Vec<Configuration> {
        let first = Role {
            masters: self.beside.iter().collect(),
            feeds: self.followers.iter().collect(),
            updates: self.beside.is_none(),
            key: self.key.as_ref(),
        };
        let masters: Vec<&Server> = self.beside.iter().chain([&self.primary]).collect();
        let rest = Role { masters, feeds: vec![], updates: false, key: self.key.as_ref() };
        let all = [(&self.primary, &first)].into_iter().chain(self.followers.iter().map(|of| (of, &rest)));
        all.filter_map(|(server, role)| Some(Configuration::of(server, software(server)?, &self.zones, role)))
            .collect()
    }
}

/// Whether the server at `standby_primary` of the facts could take the primary's place: what would be lost, and who would not follow.
///
/// ```
/// use dr_core::dns::{ZoneFacts, ZoneSpec, promotable};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns2=192.0.2.2".parse().unwrap()]);
/// let report = promotable(&ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] });
/// assert_eq!(report.findings[0].code.name(), "dns.no_server_answers");
/// ```
pub fn promotable(facts: &ZoneFacts) -> Report {
    let (seen, thresholds) = (Seen::new(facts), Thresholds::default());
    let mut report = Report::new(format!("promote a secondary of {}", facts.spec.zone), facts.at);
    report.examined.push(Subject::new("zone", &facts.spec.zone));
    report.examined.extend(facts.spec.servers.iter().map(|server| Subject::new("server", &server.name)));
    report.findings = PROMOTION_RULES.iter().flat_map(|rule| rule(&seen, &thresholds)).collect();
    report
}

/// The SOA record with which the new primary begins: newer than every version that any server has, by 1,000, so that all follow and
/// the lost primary is behind whatever it adds when it comes back; and with the new primary's name, where `mname` gives one. None if
/// the server at `standby_primary` does not serve the zone.
///
/// ```
/// use dr_core::dns::{ZoneFacts, ZoneSpec, next_serial};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec![]);
/// let facts = ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] };
/// assert_eq!(next_serial(&facts, None), None);
/// ```
#[must_use]
pub fn next_serial(facts: &ZoneFacts, mname: Option<&DnsName>) -> Option<RecordSet> {
    let seen = Seen::new(facts);
    let standby = facts.spec.standby_primary?;
    let own = seen.serving.iter().find(|serving| serving.server.address == standby)?;
    let newer = |newest: Serial, other: Serial| if other > newest { other } else { newest };
    let newest = seen.serving.iter().map(|serving| serving.soa.serial).fold(own.soa.serial, newer);
    let named = mname.map(ToString::to_string).or_else(|| own_name(&seen, own.server));
    let Soa { primary, mailbox, refresh, retry, expire, minimum, .. } = own.soa.clone();
    let serial = newest.0.wrapping_add(EPOCH);
    let primary = named.unwrap_or(primary);
    let rdata = format!("{primary} {mailbox} {serial} {refresh} {retry} {expire} {minimum}");
    Some(RecordSet::new(facts.spec.zone.apex(), RecordType::SOA, own.set.ttl, [rdata]))
}

/// The operator calls it by its name in the NS record set.
fn own_name(seen: &Seen<'_>, server: &Server) -> Option<String> {
    let names = seen.name_servers();
    names.iter().map(ToString::to_string).find(|name| *name == server.name)
}

/// The servers that gave an answer with authority: those that can follow.
///
/// ```
/// use dr_core::dns::{ZoneFacts, ZoneSpec, reachable};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns2=192.0.2.2".parse().unwrap()]);
/// assert!(reachable(&ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] }).is_empty());
/// ```
#[must_use]
pub fn reachable(facts: &ZoneFacts) -> Vec<Server> {
    let key = RecordKey::new(facts.spec.zone.apex(), RecordType::SOA);
    let has = |server: &&Server| {
        let mut of =
            facts.facts.iter().filter(|fact| fact.server == server.address && fact.question.key == key);
        of.any(|fact| matches!(fact.answer, Answer::Records { authoritative: true, .. }))
    };
    facts.spec.servers.iter().filter(has).cloned().collect()
}

/// Those that would have to follow the standby primary: all but itself and the primary that is lost then.
///
/// ```
/// use dr_core::dns::{ZoneSpec, followers};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns2=192.0.2.2".parse().unwrap()]);
/// assert_eq!(followers(&spec).len(), 1);
/// ```
#[must_use]
pub fn followers(spec: &ZoneSpec) -> Vec<Server> {
    standby::followers(spec).cloned().collect()
}

#[cfg(test)]
mod tests;
