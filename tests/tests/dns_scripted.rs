//! A server that is as it should be, and the same with one fault each on the wire: the fault is found, and nothing else.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dr_core::dns::{Server, Thresholds, ZoneSpec, judge};
use dr_core::toolkit::Toolkit;
use dr_core::world::clock::SystemClock;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, World};
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME, NS, NULL, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const ZONE: &str = "scripted.test.";

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn soa() -> Record {
    let data =
        SOA::new(name("ns1.example.net."), name("hostmaster.scripted.test."), 7, 3600, 900, 1_209_600, 300);
    record(ZONE, 300, RData::SOA(data))
}

/// What is asked, for faults to look at.
struct Asked {
    query: Query,
    edns: Option<Edns>,
    name: String,
}

impl Asked {
    fn is(&self, rtype: RecordType) -> bool {
        self.query.query_type() == rtype
    }

    fn version(&self) -> u8 {
        self.edns.as_ref().map_or(0, Edns::version)
    }

    fn is_stranger(&self) -> bool {
        self.name.to_lowercase().ends_with("invalid.")
    }
}

/// The answer of a good server.
fn good(question: &Message) -> (Asked, Message) {
    let query = question.queries[0].clone();
    let asked = Asked { name: query.name().to_ascii(), edns: question.edns.clone(), query };
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(asked.query.clone());
    answer.metadata.authoritative = true;
    if asked.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        answer.set_edns(edns);
    }
    let owner = asked.name.to_lowercase();
    if asked.version() > 0 {
        answer.metadata.response_code = ResponseCode::BADVERS;
    } else if !owner.ends_with(ZONE) || asked.is(RecordType::AXFR) {
        answer.metadata.response_code = ResponseCode::Refused;
        answer.metadata.authoritative = false;
    } else {
        let address = || RData::A(A(Ipv4Addr::new(192, 0, 2, 10)));
        answer.answers = match (owner.as_str(), asked.query.query_type()) {
            (ZONE, RecordType::SOA) => vec![soa()],
            (ZONE, RecordType::NS) => ["ns1.example.net.", "ns2.example.net."]
                .map(|target| record(ZONE, 300, RData::NS(NS(name(target)))))
                .to_vec(),
            (ZONE | "www.scripted.test.", RecordType::A) => vec![record(&owner, 300, address())],
            _ => vec![],
        };
        if answer.answers.is_empty() {
            answer.add_authority(soa());
        }
        if ![ZONE, "www.scripted.test."].contains(&owner.as_str()) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
    }
    (asked, answer)
}

type Fault = fn(&Asked, &mut Message);

/// Serves on one port, UDP and TCP; with `elsewhere` UDP answers leave by another socket.
async fn serve(fault: Fault, elsewhere: bool) -> SocketAddr {
    let (socket, listener) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let answer = move |question: &[u8]| {
        let (asked, mut answer) = good(&Message::from_vec(question).unwrap());
        fault(&asked, &mut answer);
        answer.to_vec().unwrap()
    };
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let by = if elsewhere { &other } else { &socket };
            let _ = by.send_to(&answer(&buffer[..length]), client).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    stream.read_exact(&mut question).await.unwrap();
                    let answer = answer(&question);
                    let _ = stream.write_u16(u16::try_from(answer.len()).unwrap()).await;
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
    address
}

async fn found(fault: Fault, elsewhere: bool) -> Vec<String> {
    let address = serve(fault, elsewhere).await;
    let server = Server { name: "ns1".to_owned(), address };
    let spec = ZoneSpec::new("scripted.test".parse().unwrap(), vec![server]);
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        ..SimWorld::new().world()
    };
    let toolkit = Toolkit::new(world, Default::default());
    let facts = toolkit.zone_facts(&spec, &Control::silent()).await.unwrap();
    let report = judge(&facts, &Thresholds::default());
    report.findings.iter().map(|finding| format!("{} {}", finding.code, finding.subject.name)).collect()
}

fn unknown(owner: &str, code: u16, data: &[u8]) -> Record {
    record(owner, 300, RData::Unknown { code: RecordType::Unknown(code), rdata: NULL::with(data.to_vec()) })
}

/// The TTL that a cache would give, once every question less.
static COUNTING: AtomicU32 = AtomicU32::new(300);

const FAULTS: &[(&str, Fault, &[&str])] = &[
    ("none", |_, _| {}, &[]),
    ("EDNS is left out", |_, answer| answer.edns = None, &["dns.edns_unsupported ns1"]),
    (
        "EDNS is FORMERR",
        |asked, answer| {
            if asked.edns.is_some() {
                answer.edns = None;
                answer.answers.clear();
                answer.authorities.clear();
                answer.metadata.response_code = ResponseCode::FormErr;
            }
        },
        &["dns.edns_unsupported ns1"],
    ),
    (
        "EDNS version 1 is answered as if it were 0",
        |asked, answer| {
            if asked.version() > 0 {
                answer.metadata.response_code = ResponseCode::NoError;
                answer.add_answer(soa());
            }
        },
        &["dns.edns_version_mishandled ns1"],
    ),
    (
        "an unknown option comes back",
        |asked, answer| {
            let sent = asked.edns.as_ref().map(|edns| edns.options().options.clone()).unwrap_or_default();
            if let Some((_, EdnsOption::Unknown(code, data))) = sent.first() {
                answer.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(*code, data.clone()));
            }
        },
        &["dns.edns_option_mishandled ns1"],
    ),
    (
        "an unknown flag comes back",
        |asked, answer| {
            if let (Some(asked), Some(edns)) = (&asked.edns, &mut answer.edns) {
                edns.flags_mut().z = asked.flags().z;
            }
        },
        &["dns.edns_flag_mishandled ns1"],
    ),
    (
        "letters are made small",
        |asked, answer| {
            answer.queries = vec![Query::query(name(&asked.name.to_lowercase()), asked.query.query_type())];
            let class = asked.query.query_class();
            answer.queries[0].set_query_class(class);
        },
        &["dns.case_not_kept ns1"],
    ),
    (
        "more than 512 octets",
        |asked, answer| {
            if asked.edns.as_ref().is_some_and(|edns| edns.max_payload() == 512) {
                answer.answers.push(record(ZONE, 300, RData::TXT(TXT::new(vec!["x".repeat(250); 3]))));
            }
        },
        &["dns.answer_too_large ns1"],
    ),
    (
        "an open resolver",
        |asked, answer| {
            if asked.is_stranger() {
                answer.metadata.response_code = ResponseCode::NXDomain;
                answer.metadata.recursion_available = true;
            }
        },
        &["dns.recursion_open ns1"],
    ),
    (
        "a referral to the root",
        |asked, answer| {
            if asked.is_stranger() {
                answer.metadata.response_code = ResponseCode::NoError;
                answer.add_authority(record(".", 518_400, RData::NS(NS(name("a.root-servers.net.")))));
            }
        },
        &["dns.upward_referral ns1"],
    ),
    (
        "its version",
        |asked, answer| {
            if asked.name == "version.bind." {
                answer.metadata.response_code = ResponseCode::NoError;
                answer.add_answer(record("version.bind.", 0, RData::TXT(TXT::new(vec!["9.9.9".to_owned()]))));
            }
        },
        &["dns.version_revealed ns1"],
    ),
    (
        "the whole zone in two parts",
        |asked, answer| {
            if asked.is(RecordType::AXFR) {
                answer.metadata.response_code = ResponseCode::NoError;
                let www = record("www.scripted.test.", 300, RData::A(A(Ipv4Addr::new(192, 0, 2, 10))));
                answer.answers = vec![soa(), www, soa()];
            }
        },
        &["dns.transfer_open ns1"],
    ),
    (
        "an alias at the apex",
        |asked, answer| {
            if asked.is(RecordType::CNAME) && asked.name == ZONE {
                answer.authorities.clear();
                answer.add_answer(record(ZONE, 300, RData::CNAME(CNAME(name("shop.example.net.")))));
            }
        },
        &["dns.apex_is_alias ns1"],
    ),
    (
        "a cache",
        |asked, answer| {
            if asked.is(RecordType::SOA) && !asked.name.contains('T') {
                let ttl = COUNTING.fetch_sub(1, Ordering::Relaxed);
                // The probe asks for signatures, the plain question does not.
                let later = asked.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
                answer.answers.iter_mut().for_each(|record| record.ttl = if later { 1 } else { ttl });
            }
        },
        &["dns.answers_from_cache ns1"],
    ),
    (
        "no authority",
        |_, answer| answer.metadata.authoritative = false,
        &["dns.server_lame ns1", "dns.no_server_answers scripted.test"],
    ),
    (
        "not loaded",
        |asked, answer| {
            if asked.name.to_lowercase().ends_with(ZONE) {
                answer.metadata.response_code = ResponseCode::ServFail;
                answer.answers.clear();
            }
        },
        &["dns.server_lame ns1", "dns.no_server_answers scripted.test"],
    ),
    (
        "keys and no signatures",
        |asked, answer| {
            if asked.is(RecordType::DNSKEY) {
                answer.authorities.clear();
                let key = [&[1, 1, 3, 13][..], &[7; 64]].concat();
                answer.add_answer(unknown(ZONE, 48, &key));
            }
        },
        &["dns.signature_missing ns1", "dns.denial_missing ns1"],
    ),
    (
        "denied where only the IPv6 address is not there",
        |asked, answer| {
            if asked.is(RecordType::AAAA) && asked.name == "www.scripted.test." {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        },
        &["dns.aaaa_mishandled scripted.test"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_wire_are_found() {
    let mut wrong = vec![];
    for (what, fault, expected) in FAULTS {
        let found = found(*fault, false).await;
        if found != *expected {
            wrong.push(format!("{what}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_elsewhere_is_told_from_silence() {
    let found = found(|_, _| {}, true).await;
    assert_eq!(found, ["dns.no_server_answers scripted.test", "dns.answer_from_elsewhere ns1"]);
}
