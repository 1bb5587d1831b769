//! Servers that mean harm, or are broken: a typed answer, in bounded time, whatever they send.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dr_core::dns::{Answer, Question, Transport};
use dr_core::world::Resolver;
use dr_core::world::resolver::{StubResolver, WireResolver};
use dr_core::{RecordKey, RecordType};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const WITHIN: Duration = Duration::from_millis(1500);
/// The answer must come by then, on a machine busy with other tests.
const BOUND: Duration = Duration::from_secs(6);

fn www() -> Name {
    Name::from_ascii("www.example.org.").unwrap()
}

fn record(owner: &Name, ttl: u32, last: u8) -> Record {
    Record::from_rdata(owner.clone(), ttl, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

/// The honest answer to a question.
fn honest(question: &[u8]) -> Message {
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.add_queries(question.queries.iter().cloned());
    answer.add_answer(record(&www(), 60, 1));
    answer
}

fn octets(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// Serves UDP on loopback: what `say` gives to a question is sent, one datagram each.
async fn over_udp(say: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    answer(UdpSocket::bind("127.0.0.1:0").await.unwrap(), say)
}

fn answer(socket: UdpSocket, say: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            for datagram in say(&buffer[..length]) {
                let _ = socket.send_to(&datagram, client).await;
            }
        }
    });
    address
}

/// Serves TCP on loopback: `serve` does with each connection what it likes, after it has read the question.
async fn over_tcp<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream, Vec<u8>) -> F + Send + Sync + Clone + 'static,
) -> SocketAddr {
    accept(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
}

/// Serves both on one port. One that is free for TCP may be taken for UDP.
async fn over_both<F: Future<Output = ()> + Send>(
    say: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    serve: impl Fn(TcpStream, Vec<u8>) -> F + Send + Sync + Clone + 'static,
) -> SocketAddr {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            answer(socket, say);
            return accept(listener, serve);
        }
    }
}

fn accept<F: Future<Output = ()> + Send>(
    listener: TcpListener,
    serve: impl Fn(TcpStream, Vec<u8>) -> F + Send + Sync + Clone + 'static,
) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move {
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.unwrap();
                serve(stream, question).await;
            });
        }
    });
    address
}

async fn ask(server: SocketAddr, transport: Transport) -> Answer {
    let key = RecordKey::new("www.example.org".parse().unwrap(), RecordType::A);
    let question = Question { key, transport, recursive: false };
    let begun = Instant::now();
    let answer = WireResolver::new().ask(server, &question, WITHIN).await;
    assert!(begun.elapsed() < BOUND, "{:?} for {answer:?}", begun.elapsed());
    answer
}

fn is_honest(answer: &Answer) -> bool {
    matches!(answer, Answer::Records { set, authoritative: true } if set.to_string() == "www.example.org 60 A 192.0.2.1")
}

fn changed(change: impl Fn(&mut Message)) -> impl Fn(&[u8]) -> Vec<u8> {
    move |question| {
        let mut message = honest(question);
        change(&mut message);
        octets(&message)
    }
}

#[tokio::test]
async fn lies_are_ignored_and_the_truth_behind_them_is_heard() {
    let lie = |message: &mut Message| message.answers = vec![record(&www(), 60, 66)];
    type Lie = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;
    let lies: Vec<(&str, Lie)> = vec![
        (
            "identifier",
            Box::new(changed(move |message| {
                lie(message);
                message.metadata.id = message.metadata.id.wrapping_add(1);
            })),
        ),
        (
            "question",
            Box::new(changed(move |message| {
                lie(message);
                message.queries = vec![Query::query(
                    Name::from_ascii("www.evil.example.").unwrap(),
                    hickory_proto::rr::RecordType::A,
                )];
            })),
        ),
        (
            "no question",
            Box::new(changed(move |message| {
                lie(message);
                message.queries.clear();
            })),
        ),
        (
            "a question back",
            Box::new(changed(move |message| {
                lie(message);
                message.metadata.message_type = hickory_proto::op::MessageType::Query;
            })),
        ),
        (
            "opcode",
            Box::new(changed(move |message| {
                lie(message);
                message.metadata.op_code = OpCode::Notify;
            })),
        ),
        ("garbage", Box::new(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        ("nothing", Box::new(|_| vec![])),
        ("a header", Box::new(|question| question[..11].to_vec())),
    ];
    for (what, lie) in lies {
        let server = over_udp(move |question| vec![lie(question), octets(&honest(question))]).await;
        let answer = ask(server, Transport::Udp).await;
        assert!(is_honest(&answer), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn only_garbage_is_no_silence() {
    let server = over_udp(|_| vec![b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()]).await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }));
    // The right header and question, then a name that points to itself, for ever.
    let server = over_udp(|question| {
        let mut endless = octets(&honest(question));
        let answers = endless.len() - 16;
        let here = u16::try_from(answers).unwrap() | 0xc000;
        endless[answers..answers + 2].copy_from_slice(&here.to_be_bytes());
        vec![endless]
    })
    .await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }));
    let server = over_udp(|question| vec![octets(&honest(question))[..30].to_vec()]).await;
    assert!(
        matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }),
        "an answer that is cut off"
    );
    // More records promised than there are.
    let server = over_udp(|question| {
        let mut promised = octets(&honest(question));
        promised[6..8].copy_from_slice(&[0xff, 0xff]);
        vec![promised]
    })
    .await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }));
}

#[tokio::test]
async fn an_answer_from_another_address_is_not_heard() {
    // The true server is silent; somebody else on the same host knows the question and answers it.
    let truth = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = truth.local_addr().unwrap();
    tokio::spawn(async move {
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = [0; 512];
        while let Ok((length, client)) = truth.recv_from(&mut buffer).await {
            let _ = stranger.send_to(&octets(&honest(&buffer[..length])), client).await;
        }
    });
    assert_eq!(ask(server, Transport::Udp).await, Answer::Silent);
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_and_a_late_answer_counts() {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
    let keep = heard.clone();
    // The third one is answered, with the identifier of the first.
    let server = over_udp(move |question| {
        let mut heard = keep.lock().unwrap();
        heard.push(question.to_vec());
        if heard.len() < 3 { vec![] } else { vec![octets(&honest(&heard[0]))] }
    })
    .await;
    assert!(is_honest(&ask(server, Transport::Udp).await));
    assert_eq!(heard.lock().unwrap().len(), 3);

    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(ask(silent.local_addr().unwrap(), Transport::Udp).await, Answer::Silent);
    let mut questions = 0;
    let mut buffer = [0; 512];
    while silent.try_recv(&mut buffer).is_ok() {
        questions += 1;
    }
    assert_eq!(questions, 3, "never more than three");
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without() {
    for rcode in [ResponseCode::FormErr, ResponseCode::NotImp, ResponseCode::BADVERS] {
        let server = over_udp(move |question| {
            let edns = Message::from_vec(question).unwrap().edns.is_some();
            let mut answer = honest(question);
            if edns {
                answer.answers.clear();
                answer.metadata.response_code = rcode;
                answer.set_edns(hickory_proto::op::Edns::new());
            }
            vec![octets(&answer)]
        })
        .await;
        let answer = ask(server, Transport::Udp).await;
        assert!(is_honest(&answer), "{rcode:?}: {answer:?}");
    }
    let server = over_udp(|question| {
        let mut answer = honest(question);
        answer.metadata.response_code = ResponseCode::FormErr;
        vec![octets(&answer)]
    })
    .await;
    assert_eq!(ask(server, Transport::Udp).await, Answer::Failed { rcode: "FORMERR".to_owned() });
}

fn truncated(question: &[u8]) -> Vec<Vec<u8>> {
    let mut answer = honest(question);
    answer.answers.clear();
    answer.metadata.truncation = true;
    vec![octets(&answer)]
}

async fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    let _ = stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await;
}

#[tokio::test]
async fn what_is_truncated_is_had_over_tcp() {
    // About as many records as a message holds.
    let server = over_both(truncated, async |mut stream: TcpStream, question: Vec<u8>| {
        let mut answer = honest(&question);
        answer.answers = (0..2000_u16)
            .map(|number| {
                let [high, low] = number.to_be_bytes();
                Record::from_rdata(www(), 60, RData::A(A(Ipv4Addr::new(10, 0, high, low))))
            })
            .collect();
        send(&mut stream, &octets(&answer)).await;
    })
    .await;
    let answer = ask(server, Transport::Udp).await;
    let Answer::Records { set, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(set.rdata.len(), 2000);

    let nobody = over_udp(truncated).await;
    let answer = ask(nobody, Transport::Udp).await;
    assert!(matches!(&answer, Answer::Unreachable { why } if why.contains("truncated")), "{answer:?}");

    let server = over_both(truncated, async |mut stream: TcpStream, question: Vec<u8>| {
        send(&mut stream, &truncated(&question)[0]).await;
    })
    .await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }), "truncated there too");
}

#[tokio::test]
async fn a_connection_that_never_ends_does() {
    let drip = over_tcp(async |mut stream: TcpStream, question: Vec<u8>| {
        let answer = octets(&honest(&question));
        let _ = stream.write_u16(u16::try_from(answer.len()).unwrap()).await;
        for octet in answer {
            let _ = stream.write_u8(octet).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    })
    .await;
    assert_eq!(ask(drip, Transport::Tcp).await, Answer::Silent);
    let mute = over_tcp(async |stream: TcpStream, _| {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert_eq!(ask(mute, Transport::Tcp).await, Answer::Silent);
    let flood =
        over_tcp(async |mut stream: TcpStream, _| while stream.write_all(&[0; 4096]).await.is_ok() {}).await;
    assert!(matches!(ask(flood, Transport::Tcp).await, Answer::Malformed { .. }));
    let closing = over_tcp(async |mut stream: TcpStream, _| {
        let _ = stream.write_u16(500).await;
    })
    .await;
    assert!(matches!(ask(closing, Transport::Tcp).await, Answer::Unreachable { .. }));
    let strangers_first = over_tcp(async |mut stream: TcpStream, question: Vec<u8>| {
        let mut other = honest(&question);
        other.metadata.id = other.metadata.id.wrapping_add(1);
        send(&mut stream, &octets(&other)).await;
        send(&mut stream, &octets(&honest(&question))).await;
        let _ = stream.read_u8().await;
    })
    .await;
    assert!(is_honest(&ask(strangers_first, Transport::Tcp).await));
}

#[tokio::test]
async fn aliases_in_a_circle_are_no_answer() {
    let alias = |from: &str, to: &str| {
        let name = |text| Name::from_ascii(text).unwrap();
        Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))))
    };
    let server = over_udp(move |question| {
        let mut answer = honest(question);
        answer.answers =
            vec![alias("www.example.org.", "a.example.org."), alias("a.example.org.", "www.example.org.")];
        vec![octets(&answer)]
    })
    .await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { why } if why.contains("circle")));
    let server = over_udp(move |question| {
        let mut answer = honest(question);
        answer.answers = vec![alias("www.example.org.", "h0.example.org.")];
        answer.add_answers(
            (0..40).map(|n| alias(&format!("h{n}.example.org."), &format!("h{}.example.org.", n + 1))),
        );
        vec![octets(&answer)]
    })
    .await;
    assert!(matches!(ask(server, Transport::Udp).await, Answer::Malformed { .. }), "without end");
}

#[tokio::test]
async fn a_visitors_resolver_keeps_an_answer_for_its_ttl_and_no_longer() {
    let last = std::sync::Arc::new(std::sync::atomic::AtomicU8::new(1));
    let now = last.clone();
    let server = over_udp(move |question| {
        let mut answer = honest(question);
        answer.metadata.recursion_available = true;
        let is_a = answer.queries[0].query_type() == hickory_proto::rr::RecordType::A;
        let here = *answer.queries[0].name() == www();
        answer.answers.clear();
        if here && is_a {
            answer.add_answer(record(&www(), 1, now.load(std::sync::atomic::Ordering::Relaxed)));
        } else {
            let zone = Name::from_ascii("example.org.").unwrap();
            answer.add_authority(Record::from_rdata(
                zone.clone(),
                1,
                RData::SOA(SOA::new(zone.clone(), zone, 1, 2, 3, 4, 1)),
            ));
            if !here {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        vec![octets(&answer)]
    })
    .await;
    let visitor = StubResolver::new(&[server]).unwrap();
    let sees = async || visitor.lookup_addresses(&"www.example.org".parse().unwrap()).await.unwrap();
    let address = |last: u8| vec![std::net::IpAddr::from([192, 0, 2, last])];
    assert_eq!(sees().await, address(1));
    last.store(2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sees().await, address(1), "for a second it remembers");
    let deadline = Instant::now() + Duration::from_secs(10);
    while sees().await != address(2) {
        assert!(Instant::now() < deadline, "it never asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let nothing = visitor.lookup_addresses(&"nope.example.org".parse().unwrap()).await.unwrap();
    assert_eq!(nothing, Vec::<std::net::IpAddr>::new());
    let nobody = StubResolver::new(&[dr_tests::Port::free().addr()]).unwrap();
    assert!(nobody.lookup_addresses(&"www.example.org".parse().unwrap()).await.is_err());
}
