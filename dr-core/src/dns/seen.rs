//! The facts of a zone, laid out for the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::facts::{Answer, Question, Transport};
use super::judge::ZoneFacts;
use super::probe::{Heard, Probe, Reply};
use super::proof::Proof;
use super::soa::Soa;
use super::spec::{Server, ZoneSpec};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType};
use crate::report::{Finding, Subject};

pub(super) struct Seen<'a> {
    pub(super) spec: &'a ZoneSpec,
    /// When it was, in seconds since 1970, as signatures count.
    pub(super) now: u32,
    answers: BTreeMap<(SocketAddr, &'a Question), &'a Answer>,
    replies: BTreeMap<(SocketAddr, Probe), &'a Reply>,
    pub(super) proofs: &'a [Proof],
    /// Every key that servers of the zone were asked for.
    pub(super) keys: BTreeSet<&'a RecordKey>,
    /// The servers that have authority for the zone, each with its SOA record.
    pub(super) serving: Vec<Serving<'a>>,
}

/// A server that answers for the zone with authority.
pub(super) struct Serving<'a> {
    pub(super) server: &'a Server,
    pub(super) set: &'a RecordSet,
    pub(super) soa: Soa,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    To(BTreeSet<IpAddr>),
    /// It is an alias for this one.
    Alias(String),
    /// It has no address.
    Nowhere,
    /// Nobody was asked, or nobody knew.
    Unknown,
}

impl<'a> Seen<'a> {
    pub(super) fn new(facts: &'a ZoneFacts) -> Self {
        let spec = &facts.spec;
        let of_zone: BTreeSet<SocketAddr> = spec.servers.iter().map(|server| server.address).collect();
        let compared = facts.facts.iter().filter(|fact| of_zone.contains(&fact.server));
        let compared = compared.map(|fact| &fact.question).filter(|question| !question.recursive);
        let keys = compared.map(|question| &question.key).filter(|key| key.rtype != RecordType::SOA);
        let seconds = facts.at.as_micros().div_euclid(1_000_000);
        let mut seen = Self {
            spec,
            now: u32::try_from(seconds & 0xffff_ffff).unwrap_or(0),
            proofs: &facts.proofs,
            keys: keys.collect(),
            answers: facts.facts.iter().map(|fact| ((fact.server, &fact.question), &fact.answer)).collect(),
            replies: facts.probes.iter().map(|said| ((said.server, said.probe), &said.reply)).collect(),
            serving: vec![],
        };
        seen.serving = spec.servers.iter().filter_map(|server| seen.serving_of(server)).collect();
        seen
    }

    fn serving_of(&self, server: &'a Server) -> Option<Serving<'a>> {
        let Answer::Records { set, authoritative: true } = self.soa(server, Transport::Udp)? else {
            return None;
        };
        let is_apex = set.key() == self.spec.soa_key();
        let soa = set.rdata.iter().find_map(|rdata| Soa::from_rdata(rdata)).filter(|_| is_apex)?;
        Some(Serving { server, set, soa })
    }

    /// What a server said to the question for the SOA record; none if it was not asked.
    pub(super) fn soa(&self, server: &Server, transport: Transport) -> Option<&'a Answer> {
        self.answer(server.address, &Question { key: self.spec.soa_key(), transport, recursive: false })
    }

    /// What a server said about a record set; none if it was not asked.
    pub(super) fn said(&self, server: &Server, key: &RecordKey) -> Option<&'a Answer> {
        let question = Question { key: key.clone(), transport: Transport::Udp, recursive: false };
        self.answer(server.address, &question)
    }

    fn answer(&self, server: SocketAddr, question: &Question) -> Option<&'a Answer> {
        self.answers.get(&(server, question)).copied()
    }

    /// Everything one server was asked and said.
    pub(super) fn all_of(&self, server: &Server) -> impl Iterator<Item = (&'a Question, &'a Answer)> + '_ {
        let address = server.address;
        self.answers.iter().filter(move |((at, _), _)| *at == address).map(|((_, q), a)| (*q, *a))
    }

    /// What came back to a probe; none if it was not made.
    pub(super) fn reply(&self, server: &Server, probe: Probe) -> Option<&'a Reply> {
        self.replies.get(&(server.address, probe)).copied()
    }

    /// The message that came back to a probe.
    pub(super) fn heard(&self, server: &Server, probe: Probe) -> Option<&'a Heard> {
        match self.reply(server, probe)? {
            Reply::Message(heard) => Some(heard),
            _ => None,
        }
    }

    /// What servers with authority say about a name of the zone, and the resolver about any other.
    fn known<'s>(&'s self, key: &RecordKey) -> impl Iterator<Item = &'a Answer> + use<'a, 's> {
        let ours = Question { key: key.clone(), transport: Transport::Udp, recursive: false };
        let theirs = Question { recursive: true, ..ours.clone() };
        let serving = self.serving.iter().filter_map(move |at| self.answer(at.server.address, &ours));
        serving.chain(self.spec.resolver.and_then(|resolver| self.answer(resolver, &theirs)))
    }

    /// The first answer that says something about a record set.
    pub(super) fn asked(&self, key: &RecordKey) -> Option<&'a Answer> {
        self.known(key).find(|answer| {
            matches!(answer, Answer::Records { .. } | Answer::NoData { .. } | Answer::NxDomain { .. })
        })
    }

    /// The record set as the first server that has one gives it.
    pub(super) fn set(&self, key: &RecordKey) -> Option<&'a RecordSet> {
        self.known(key).find_map(|answer| match answer {
            Answer::Records { set, .. } if set.key() == *key => Some(set),
            _ => None,
        })
    }

    /// The record set of the apex.
    pub(super) fn at_apex(&self, rtype: RecordType) -> Option<&'a RecordSet> {
        self.set(&RecordKey::new(self.spec.zone.apex(), rtype))
    }

    /// Where a name leads, as far as was asked.
    pub(super) fn leads(&self, name: &DnsName) -> Leads {
        let mut addresses = BTreeSet::new();
        let mut denied = 0;
        for rtype in [RecordType::A, RecordType::AAAA] {
            let key = RecordKey::new(name.clone(), rtype);
            match self.asked(&key) {
                Some(Answer::Records { set, .. }) if set.owner != *name => {
                    return Leads::Alias(set.owner.to_string());
                }
                Some(Answer::Records { set, .. }) if set.rtype == RecordType::CNAME => {
                    return Leads::Alias(set.rdata.first().cloned().unwrap_or_default());
                }
                Some(Answer::Records { set, .. }) => {
                    addresses.extend(set.rdata.iter().filter_map(|rdata| rdata.parse::<IpAddr>().ok()));
                }
                Some(_) => denied += 1,
                None => {}
            }
        }
        match (addresses.is_empty(), denied) {
            (false, _) => Leads::To(addresses),
            (true, 2) => Leads::Nowhere,
            _ => Leads::Unknown,
        }
    }

    /// The names of the zone's name servers, as the zone itself says.
    pub(super) fn name_servers(&self) -> Vec<DnsName> {
        let names = self.at_apex(RecordType::NS).into_iter().flat_map(|set| &set.rdata);
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// The mail exchanges with their preference, those of "no mail" left out (RFC 7505).
    pub(super) fn exchanges(&self) -> Vec<DnsName> {
        let records = self.at_apex(RecordType::MX).into_iter().flat_map(|set| &set.rdata);
        let names = records.filter_map(|rdata| rdata.split(' ').nth(1)).filter(|name| *name != ".");
        names.filter_map(|name| name.parse().ok()).collect()
    }

    pub(super) fn zone_subject(&self) -> Subject {
        Subject::new("zone", &self.spec.zone)
    }

    /// A finding about the zone.
    pub(super) fn of_zone(&self, code: crate::report::Code, message: impl Into<String>) -> Finding {
        Finding::new(code, self.zone_subject(), message)
    }

    /// A finding about one server.
    pub(super) fn about(&self, server: &Server, finding: impl FnOnce(Subject) -> Finding) -> Finding {
        finding(Subject::new("server", &server.name))
            .with("address", server.address)
            .with("zone", &self.spec.zone)
    }

    /// A finding about one server, by its code.
    pub(super) fn of_server(
        &self,
        server: &Server,
        code: crate::report::Code,
        message: impl Into<String>,
    ) -> Finding {
        self.about(server, |subject| Finding::new(code, subject, message))
    }
}
