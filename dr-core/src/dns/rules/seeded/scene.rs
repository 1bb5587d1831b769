//! A healthy signed zone on three servers, with its parent and the names around it, as a capture; and ways to break it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::dns::keys::ZoneKey;
use crate::dns::{
    Answer, EdnsHeard, Entry, Exchange, Fact, Heard, Probe, Question, Reply, Thresholds, ZoneFacts, ZoneSpec,
    first_questions, follow_up, questions,
};
use crate::estate::{RecordKey, RecordSet, RecordType};
use crate::time::Timestamp;

pub(super) const ZONE: &str = "example.org";
pub(super) const NOW: u32 = 1_790_000_000;
const DAY: u32 = 86_400;
/// Two keys of algorithm 13, and one of RSA with 1,024 bits.
pub(super) const SIGNING: &str =
    "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
pub(super) const ZONE_KEY: &str =
    "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA==";
pub(super) const WEAK_KEY: &str = "256 3 8 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";

type Records = BTreeMap<RecordKey, RecordSet>;

/// What all the servers have; a fault changes it before anything is asked.
pub(super) struct Scene {
    pub(super) spec: ZoneSpec,
    /// By server, from 1; 0 is the resolver.
    pub(super) records: [Records; 4],
    pub(super) thresholds: Thresholds,
}

fn key(owner: &str, rtype: RecordType) -> RecordKey {
    RecordKey::new(owner.parse().unwrap(), rtype)
}

impl Scene {
    pub(super) fn healthy() -> Self {
        use RecordType::{A, AAAA, CAA, MX, NS, PTR, SOA, TXT};
        let servers =
            ["ns1=192.0.2.1", "ns2=198.51.100.2", "ns3=203.0.113.3"].map(|text| text.parse().unwrap());
        let mut spec = ZoneSpec::new(ZONE.parse().unwrap(), servers.to_vec());
        spec.primary = Some(spec.servers[0].address);
        spec.standby_primary = Some(spec.servers[1].address);
        spec.parents = ["p1=192.0.2.101", "p2=192.0.2.102"].map(|text| text.parse().unwrap()).to_vec();
        spec.resolver = Some("192.0.2.200:53".parse().unwrap());
        spec.senders = ["192.0.2.25", "198.51.100.25"].map(|text| text.parse().unwrap()).to_vec();
        spec.issuers = vec!["letsencrypt.org".to_owned()];
        let mut scene = Self { spec, records: Default::default(), thresholds: Thresholds::default() };
        for (owner, rtype, data) in [
            (ZONE, SOA, &["ns1.example.org hostmaster.example.org 7 3600 900 1209600 300"][..]),
            (ZONE, NS, &["ns1.example.org", "ns2.example.org", "ns3.example.net"]),
            (ZONE, A, &["192.0.2.80"]),
            (ZONE, MX, &["10 mx1.example.org", "20 mx2.example.net"]),
            (ZONE, TXT, &["\"v=spf1 mx -all\"", "\"some other text\""]),
            (ZONE, CAA, &["0 issue \"letsencrypt.org\""]),
            ("www.example.org", A, &["192.0.2.80"]),
            ("ns1.example.org", A, &["192.0.2.1"]),
            ("ns2.example.org", A, &["198.51.100.2"]),
            ("mx1.example.org", A, &["192.0.2.25"]),
        ] {
            scene.put(owner, rtype, data);
        }
        for (owner, rtype, data) in [
            ("ns3.example.net", A, "203.0.113.3"),
            ("mx2.example.net", A, "198.51.100.25"),
            ("mx2.example.net", AAAA, "2001:db8::25"),
            ("1.2.0.192.in-addr.arpa", PTR, "ns1.example.org"),
            ("2.100.51.198.in-addr.arpa", PTR, "ns2.example.org"),
            ("3.113.0.203.in-addr.arpa", PTR, "ns3.example.net"),
            ("25.2.0.192.in-addr.arpa", PTR, "mx1.example.org"),
            ("25.100.51.198.in-addr.arpa", PTR, "mx2.example.net"),
            (
                "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                PTR,
                "mx2.example.net",
            ),
        ] {
            scene.put_at(0, owner, rtype, &[data]);
        }
        scene
    }

    /// On every server of the zone.
    pub(super) fn put(&mut self, owner: &str, rtype: RecordType, data: &[&str]) {
        (1..=3).for_each(|server| self.put_at(server, owner, rtype, data));
    }

    pub(super) fn put_at(&mut self, server: usize, owner: &str, rtype: RecordType, data: &[&str]) {
        let set = RecordSet::new(owner.parse().unwrap(), rtype, 300, data.iter().copied());
        self.records[server].insert(set.key(), set);
    }

    pub(super) fn remove(&mut self, owner: &str, rtype: RecordType) {
        self.records.iter_mut().for_each(|records| {
            records.remove(&key(owner, rtype));
        });
    }

    pub(super) fn ttl(&mut self, server: usize, owner: &str, rtype: RecordType, ttl: u32) {
        self.records[server].get_mut(&key(owner, rtype)).unwrap().ttl = ttl;
    }

    pub(super) fn soa(&mut self, from: &str, to: &str) {
        (1..=3).for_each(|server| self.soa_at(server, from, to));
    }

    pub(super) fn soa_at(&mut self, server: usize, from: &str, to: &str) {
        let set = self.records[server].get_mut(&key(ZONE, RecordType::SOA)).unwrap();
        let changed: Vec<String> = set.rdata.iter().map(|rdata| rdata.replace(from, to)).collect();
        assert!(!changed.iter().all(|rdata| set.rdata.contains(rdata)), "{from} is in the SOA record");
        set.rdata = changed.into_iter().collect();
    }

    fn at(&self, address: SocketAddr) -> usize {
        self.spec.servers.iter().position(|server| server.address == address).map_or(0, |at| at + 1)
    }

    /// Asks everybody, as a check does.
    pub(super) fn capture(&self) -> ZoneFacts {
        let at = Timestamp::from_micros(i64::from(NOW) * 1_000_000);
        let mut facts =
            ZoneFacts { spec: self.spec.clone(), at, facts: vec![], probes: vec![], proofs: vec![] };
        let asked: Vec<Question> =
            first_questions(&self.spec).into_iter().chain(questions(&self.spec)).collect();
        for server in &self.spec.servers {
            facts.facts.extend(asked.iter().map(|question| self.fact(server.address, question)));
            let probes = [Probe::Apex].into_iter().chain(Probe::OF_ZONE).chain(Probe::OF_SIGNED_ZONE);
            let probes = probes.chain(Probe::OF_SERVER).map(|probe| self.exchange(server.address, probe));
            facts.probes.extend(probes);
            let signed = self.spec.transfer_key.iter().map(|_| Exchange {
                server: server.address,
                probe: Probe::SignedTransfer,
                reply: Reply::Transferred { records: 12, keys: Default::default() },
                took_us: 100,
            });
            facts.probes.extend(signed);
        }
        let told = Probe::Notify { from: "198.51.100.2".parse().unwrap() };
        let follower = self.spec.servers.iter().filter(|server| server.name == "ns3");
        facts.probes.extend(follower.map(|server| self.exchange(server.address, told)));
        for parent in &self.spec.parents {
            facts.probes.extend(Probe::OF_PARENT.map(|probe| self.exchange(parent.address, probe)));
        }
        for _ in 0..12 {
            let more = follow_up(&facts);
            facts.facts.extend(more.iter().map(|(server, question)| self.fact(*server, question)));
        }
        assert!(follow_up(&facts).is_empty(), "it comes to an end");
        facts
    }

    fn fact(&self, server: SocketAddr, question: &Question) -> Fact {
        let records = &self.records[self.at(server)];
        let alias = records.get(&RecordKey::new(question.key.owner.clone(), RecordType::CNAME));
        let exists = |owner: &str| records.keys().any(|key| key.owner.as_str().ends_with(owner));
        let answer = match (records.get(&question.key).or(alias), exists(question.key.owner.as_str())) {
            (Some(set), _) => Answer::Records { set: set.clone(), authoritative: true },
            (None, true) => Answer::NoData { authoritative: true },
            (None, false) => Answer::NxDomain { authoritative: true },
        };
        Fact { server, question: question.clone(), answer, took_us: 100 }
    }

    fn exchange(&self, server: SocketAddr, probe: Probe) -> Exchange {
        Exchange { server, probe, reply: Reply::Message(Box::new(self.heard(server, probe))), took_us: 100 }
    }

    fn heard(&self, server: SocketAddr, probe: Probe) -> Heard {
        let records = &self.records[self.at(server)];
        let shape = probe.shape(&self.spec.zone);
        let mut heard = Heard {
            rcode: "NOERROR".to_owned(),
            authoritative: true,
            name: shape.owner,
            octets: 300,
            edns: shape.edns.map(|_| EdnsHeard { payload: 1232, dnssec_ok: true, ..EdnsHeard::default() }),
            ..Heard::default()
        };
        match probe {
            Probe::Apex | Probe::Case | Probe::EdnsOption | Probe::EdnsFlag => {
                let soa = records.get(&key(ZONE, RecordType::SOA)).into_iter();
                heard.answers = soa.flat_map(entries).collect();
                heard.answers.push(signature(6, ZONE_KEY, NOW - DAY, NOW + 10 * DAY));
            }
            Probe::Keys => {
                heard.answers = [SIGNING, ZONE_KEY].map(|rdata| entry(ZONE, "DNSKEY", 300, rdata)).to_vec();
                heard.answers.push(signature(48, SIGNING, NOW - DAY, NOW + 10 * DAY));
            }
            Probe::Missing => {
                heard.rcode = "NXDOMAIN".to_owned();
                heard.authorities = vec![entry(ZONE, "NSEC", 300, "\\# 13 076578616d706c65036f726700")];
            }
            Probe::EdnsVersion => heard.rcode = "BADVERS".to_owned(),
            Probe::Stranger | Probe::Version | Probe::Transfer | Probe::SignedTransfer => {
                heard.rcode = "REFUSED".to_owned();
            }
            Probe::Delegation => {
                let names = ["ns1.example.org", "ns2.example.org", "ns3.example.net"];
                heard.authoritative = false;
                heard.authorities = names.map(|name| entry(ZONE, "NS", 600, name)).to_vec();
                heard.additionals = vec![
                    entry("ns1.example.org", "A", 600, "192.0.2.1"),
                    entry("ns2.example.org", "A", 600, "198.51.100.2"),
                ];
            }
            Probe::Signer => heard.answers = vec![entry(ZONE, "DS", 600, &signer(SIGNING))],
            _ => {}
        }
        heard
    }
}

fn entries(set: &RecordSet) -> Vec<Entry> {
    let one = |rdata: &String| entry(set.owner.as_str(), &set.rtype.to_string(), set.ttl, rdata);
    set.rdata.iter().map(one).collect()
}

pub(super) fn entry(owner: &str, rtype: &str, ttl: u32, rdata: &str) -> Entry {
    Entry { owner: owner.to_owned(), rtype: rtype.to_owned(), ttl, rdata: rdata.to_owned() }
}

/// A signature over this type by this key.
pub(super) fn signature(over: u16, by: &str, from: u32, until: u32) -> Entry {
    let by = ZoneKey::from_rdata(by).unwrap();
    let rdata = format!("{over} {} 2 300 {until} {from} {} {ZONE} AA==", by.algorithm, by.tag());
    entry(ZONE, "RRSIG", 300, &rdata)
}

/// The DS record of a key, with SHA-256.
pub(super) fn signer(of: &str) -> String {
    let key = ZoneKey::from_rdata(of).unwrap();
    let mut fields = of.split(' ');
    let [flags, _, algorithm, public] = [(); 4].map(|()| fields.next().unwrap());
    let mut signed = b"\x07example\x03org\x00".to_vec();
    signed.extend(flags.parse::<u16>().unwrap().to_be_bytes());
    signed.extend([3, algorithm.parse().unwrap()]);
    signed.extend(data_encoding::BASE64.decode(public.as_bytes()).unwrap());
    format!("{} {algorithm} 2 {}", key.tag(), HEXLOWER.encode(&Sha256::digest(signed)))
}

impl ZoneFacts {
    fn address(&self, who: &str) -> SocketAddr {
        let mut all = self.spec.servers.iter().chain(&self.spec.parents);
        all.find(|server| server.name == who).unwrap().address
    }

    /// Changes what a server said to a probe.
    pub(super) fn alter(&mut self, who: &str, probe: Probe, change: impl FnOnce(&mut Heard)) {
        let server = self.address(who);
        let said = self.probes.iter_mut().find(|said| said.server == server && said.probe == probe).unwrap();
        let Reply::Message(heard) = &mut said.reply else { panic!("{said:?}") };
        change(heard);
    }

    /// Puts another reply into a server's mouth.
    pub(super) fn reply(&mut self, who: &str, probe: Probe, reply: Reply) {
        let server = self.address(who);
        let said = self.probes.iter_mut().find(|said| said.server == server && said.probe == probe).unwrap();
        said.reply = reply;
    }

    /// Puts another answer into a server's mouth, for every question that fits.
    pub(super) fn answer(&mut self, who: &str, fits: impl Fn(&Question) -> bool, answer: &Answer) {
        let server = self.address(who);
        let said = self.facts.iter_mut().filter(|fact| fact.server == server && fits(&fact.question));
        said.for_each(|fact| fact.answer = answer.clone());
    }

    /// A server that is not there: it was asked first questions only.
    pub(super) fn lose(&mut self, who: &str, answer: &Answer) {
        let server = self.address(who);
        let apex = self.spec.soa_key();
        self.facts.retain(|fact| fact.server != server || fact.question.key == apex);
        self.probes.retain(|said| said.server != server || said.probe == Probe::Apex);
        self.answer(who, |_| true, answer);
    }
}
