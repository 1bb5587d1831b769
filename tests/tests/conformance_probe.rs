//! Every way in which a service can be up or down, against every implementation of the probe.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dr_core::estate::ProbeSpec;
use dr_core::failover::{DownKind, Sight};
use dr_core::world::Probe;
use dr_core::world::probes::NetProbe;
use dr_core::world::sim::SimWorld;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata::SOA};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const WITHIN: Duration = Duration::from_millis(600);

/// How a service behaves.
#[derive(Clone, Copy, Debug)]
enum Service {
    /// Nobody listens.
    Absent,
    /// It accepts and never says a word.
    Mute,
    /// It accepts and closes.
    HangsUp,
    /// It answers this.
    Says(&'static str),
    /// It sends half of what it promised and closes.
    BreaksOff,
    /// A name server that answers so.
    Dns { authoritative: bool, code: ResponseCode, soa: bool },
    /// A name server that never answers.
    DnsMute,
    /// Something that sends no DNS.
    DnsNoise,
}

const AUTHORITY: Service = Service::Dns { authoritative: true, code: ResponseCode::NoError, soa: true };

fn http(port: u16, contains: Option<&str>) -> ProbeSpec {
    ProbeSpec::Http {
        host: "www.example.org".parse().unwrap(),
        path: "/health?full".into(),
        port,
        status: 200,
        contains: contains.map(str::to_owned),
    }
}

fn tcp(port: u16) -> ProbeSpec {
    ProbeSpec::Tcp { port }
}

fn dns(port: u16) -> ProbeSpec {
    ProbeSpec::Dns { port, zone: "example.org".parse().unwrap() }
}

/// A service, what is asked of it, and how it is seen down; none if it is up.
type Case<'a> = (Service, &'a dyn Fn(u16) -> ProbeSpec, Option<DownKind>);

/// `make` sets a service up and gives a probe that can see it, and its port.
async fn conformance_probe<F, P>(make: impl Fn(Service) -> F)
where
    F: Future<Output = (P, u16)>,
    P: Probe,
{
    use DownKind::{Closed, Refused, TimedOut, WrongAnswer};
    let fine = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";
    let moved = "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let failing = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let cases: [Case<'_>; 19] = [
        (Service::Says(fine), &tcp, None),
        (Service::Mute, &tcp, None),
        (Service::Absent, &tcp, Some(Refused)),
        (Service::Says(fine), &|port| http(port, None), None),
        (Service::Says(fine), &|port| http(port, Some("is well")), None),
        (Service::Says(fine), &|port| http(port, Some("is bad")), Some(WrongAnswer)),
        (Service::Says(moved), &|port| http(port, None), Some(WrongAnswer)),
        (Service::Says(failing), &|port| http(port, None), Some(WrongAnswer)),
        (Service::Says("SSH-2.0-OpenSSH_9.2\r\n"), &|port| http(port, None), Some(WrongAnswer)),
        (Service::Absent, &|port| http(port, None), Some(Refused)),
        (Service::Mute, &|port| http(port, None), Some(TimedOut)),
        (Service::HangsUp, &|port| http(port, None), Some(Closed)),
        (Service::BreaksOff, &|port| http(port, Some("well")), Some(Closed)),
        (AUTHORITY, &dns, None),
        (
            Service::Dns { authoritative: false, code: ResponseCode::NoError, soa: true },
            &dns,
            Some(WrongAnswer),
        ),
        (
            Service::Dns { authoritative: false, code: ResponseCode::Refused, soa: false },
            &dns,
            Some(WrongAnswer),
        ),
        (
            Service::Dns { authoritative: true, code: ResponseCode::NoError, soa: false },
            &dns,
            Some(WrongAnswer),
        ),
        (Service::DnsMute, &dns, Some(TimedOut)),
        (Service::DnsNoise, &dns, Some(WrongAnswer)),
    ];
    for (service, spec, expected) in cases {
        let (probe, port) = make(service).await;
        let begun = Instant::now();
        let sight = probe.look(HERE, &spec(port), WITHIN).await;
        let seen = match &sight {
            Sight::Up { .. } => None,
            Sight::Down { kind, .. } => Some(*kind),
            other => panic!("{service:?}: {other:?}"),
        };
        assert_eq!(seen, expected, "{service:?}: {sight:?}");
        assert!(begun.elapsed() < WITHIN + Duration::from_secs(5), "{service:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn the_network_probe_conforms() {
    conformance_probe(|service| async move { (NetProbe::new(), serve(service).await) }).await;
    let port = serve(Service::Absent).await;
    let sight = NetProbe::new().look(HERE, &dns(port), WITHIN).await;
    assert!(matches!(sight, Sight::Down { kind: DownKind::Refused, .. }), "{sight:?}");
}

/// The simulated world shows what it was told to show, and a line that is cut as the network does: nothing comes.
#[tokio::test]
async fn the_simulated_probe_sees_no_more_than_there_is() {
    let sim = SimWorld::new();
    let probe = sim.world().probe;
    let is_silent = |sight: &Sight| matches!(sight, Sight::Down { kind: DownKind::TimedOut, .. });
    assert!(is_silent(&probe.look(HERE, &tcp(80), WITHIN).await));
    sim.put_sight(HERE, Sight::Up { took_us: 7 });
    assert_eq!(probe.look(HERE, &tcp(80), WITHIN).await, Sight::Up { took_us: 7 });
    sim.cut("127.0.0.1");
    assert!(is_silent(&probe.look(HERE, &tcp(80), WITHIN).await));
    sim.mend("127.0.0.1");
    assert!(probe.look(HERE, &tcp(80), WITHIN).await.is_up());
}

#[tokio::test]
async fn what_cannot_be_asked_is_unknown_not_down() {
    let port = serve(Service::Says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let ProbeSpec::Http { host, port, status, contains, .. } = http(port, None) else { unreachable!() };
    let spec = ProbeSpec::Http { host, path: "/a b\r\nX: y".into(), port, status, contains };
    let sight = NetProbe::new().look(HERE, &spec, WITHIN).await;
    assert!(matches!(sight, Sight::Unknown { .. }), "{sight:?}");
}

#[tokio::test]
async fn the_request_names_the_site_and_asks_once() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![];
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(request).unwrap()
    });
    assert!(NetProbe::new().look(HERE, &http(port, None), WITHIN).await.is_up());
    let request = heard.await.unwrap();
    assert!(request.starts_with("GET /health?full HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: www.example.org:{port}\r\n")), "{request}");
}

#[tokio::test]
async fn an_answer_without_a_length_is_read_to_its_end() {
    let port = serve(Service::Says("HTTP/1.0 200 OK\r\n\r\nold but well")).await;
    let sight = NetProbe::new().look(HERE, &http(port, Some("old but well")), WITHIN).await;
    assert!(sight.is_up(), "{sight:?}");
}

/// Starts a real service on a free port; it lives as long as the test's runtime.
async fn serve(service: Service) -> u16 {
    match service {
        Service::Absent => {
            let listener = TcpListener::bind((HERE, 0)).await.unwrap();
            listener.local_addr().unwrap().port()
        }
        Service::Dns { .. } | Service::DnsMute | Service::DnsNoise => serve_dns(service).await,
        _ => {
            let listener = TcpListener::bind((HERE, 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, service));
                }
            });
            port
        }
    }
}

async fn answer(mut stream: TcpStream, service: Service) {
    let mut buffer = [0; 4096];
    match service {
        Service::HangsUp => {}
        Service::Says(what) => {
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(what.as_bytes()).await;
        }
        Service::BreaksOff => {
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nall is w").await;
        }
        _ => {
            let _ = stream.read(&mut buffer).await;
            std::future::pending::<()>().await;
        }
    }
}

async fn serve_dns(service: Service) -> u16 {
    let socket = UdpSocket::bind((HERE, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = dns_answer(service, &buffer[..length], from) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    port
}

fn dns_answer(service: Service, question: &[u8], _from: SocketAddr) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    match service {
        Service::Dns { authoritative, code, soa } => {
            let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
            answer.metadata.authoritative = authoritative;
            answer.metadata.response_code = code;
            answer.add_queries(question.queries.clone());
            let name = question.queries.first()?.name.clone();
            if soa {
                let data = SOA::new(name.clone(), name.clone(), 1, 3600, 600, 86400, 60);
                answer.add_answer(Record::from_rdata(name, 60, RData::SOA(data)));
            }
            answer.to_vec().ok()
        }
        Service::DnsNoise => Some(b"no".to_vec()),
        _ => None,
    }
}
