//! One question over a TCP connection of its own, and what all sockets have in common.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::message::{Heard, Query};
use crate::dns::Answer;

/// Any address and port of the server's kind.
pub(super) fn any_port(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// A connection on which no message waits for the answer to the one before.
pub(super) async fn connected(server: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Puts the question over a TCP connection of its own.
pub(super) async fn over_tcp(server: SocketAddr, query: &Query, deadline: Instant) -> Answer {
    let mut garbage = None;
    let talk = async {
        let mut stream = connected(server).await?;
        write_message(&mut stream, &query.message).await?;
        let mut edns = true;
        loop {
            match query.hear(&read_message(&mut stream).await?) {
                Heard::Answer(answer) => return Ok(answer),
                Heard::Truncated => {
                    return Ok(Answer::Malformed { why: "it is truncated even over TCP".to_owned() });
                }
                Heard::NoEdns(_) if edns => {
                    edns = false;
                    write_message(&mut stream, &query.without_edns).await?;
                }
                Heard::NoEdns(answer) => return Ok(answer),
                Heard::NotOurs(why) => garbage = Some(why),
            }
        }
    };
    let heard: Result<std::io::Result<Answer>, _> = timeout_at(deadline, talk).await;
    match (heard, garbage) {
        (Ok(Ok(answer)), _) => answer,
        (_, Some(why)) => Answer::Malformed { why },
        (Ok(Err(error)), None) => unreachable_by(&error),
        (Err(_), None) => Answer::Silent,
    }
}

/// Puts the questions over one TCP connection, many before the first answer (RFC 7766 section 6.2.1.1). None where a question is to be put
/// alone: the server closed the connection before its answer, does not know EDNS, or says what answers nothing.
pub(super) async fn all_over_tcp(
    server: SocketAddr,
    queries: &[&Query],
    deadline: Instant,
) -> Vec<Option<Answer>> {
    let (mut answers, mut garbage) = (vec![Open; queries.len()], false);
    let talk = async {
        let mut stream = connected(server).await?;
        for (queries, answers) in queries.chunks(TOGETHER).zip(answers.chunks_mut(TOGETHER)) {
            for query in queries {
                write_message(&mut stream, &query.message).await?;
            }
            while answers.contains(&Open) {
                // A server that closes it has said what it wanted to say.
                let Ok(octets) = read_message(&mut stream).await else { return Ok(()) };
                garbage |= !take(queries, answers, &octets);
            }
        }
        Ok::<(), std::io::Error>(())
    };
    let nothing = match timeout_at(deadline, talk).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(unreachable_by(&error)),
        Err(_) if garbage => None,
        Err(_) => Some(Answer::Silent),
    };
    let each = answers.into_iter().map(|answer| match answer {
        Came(answer) => Some(answer),
        Alone => None,
        Open => nothing.clone(),
    });
    each.collect()
}

/// So many questions are sent before their answers are read: both fit what a connection holds.
const TOGETHER: usize = 32;

/// What became of one question of many.
#[derive(Clone, PartialEq, Eq)]
enum OfMany {
    Open,
    Came(Answer),
    Alone,
}
use OfMany::{Alone, Came, Open};

/// Gives a message to the question that it answers; false if there is none.
fn take(queries: &[&Query], answers: &mut [OfMany], octets: &[u8]) -> bool {
    for (query, answer) in queries.iter().zip(answers).filter(|(_, answer)| **answer == Open) {
        *answer = match query.hear(octets) {
            Heard::Answer(heard) => Came(heard),
            Heard::Truncated | Heard::NoEdns(_) => Alone,
            Heard::NotOurs(_) => continue,
        };
        return true;
    }
    false
}

/// Sends a message with its length before it (RFC 1035 section 4.2.2), in one write.
pub(in crate::world) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len())
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "longer than a message may be"))?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}

/// Receives one message.
pub(in crate::world) async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) fn unreachable_by(error: &std::io::Error) -> Answer {
    Answer::Unreachable { why: why(error) }
}

/// What the operating system said, in words without numbers.
pub(in crate::world) fn why(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "the connection was closed before an answer".to_owned();
    }
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or(&said).to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use hickory_proto::op::{Message, MessageType, ResponseCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record};
    use tokio::net::TcpListener;

    use super::super::WireResolver;
    use super::*;
    use crate::dns::{Probe, Question, Transport};
    use crate::estate::{RecordKey, RecordType};
    use crate::world::Resolver;

    fn questions(count: u8) -> Vec<Question> {
        let key = |number: u8| RecordKey::new(format!("n{number}.test").parse().unwrap(), RecordType::A);
        let question = |number| Question { key: key(number), transport: Transport::Tcp, recursive: false };
        (0..count).map(question).collect()
    }

    /// `n7.test` is at 192.0.2.7.
    fn response(query: &[u8]) -> Message {
        let mut message = Message::from_vec(query).unwrap();
        let name = message.queries[0].name().clone();
        let number: u8 = name.to_ascii()[1..].split('.').next().unwrap().parse().unwrap();
        message.metadata.message_type = MessageType::Response;
        message.metadata.authoritative = true;
        message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, number))));
        message
    }

    /// What a server makes of the queries that have come over one connection, and whether it closes it then.
    type Says = fn(&[Vec<u8>]) -> (Vec<Vec<u8>>, bool);

    /// Serves connections one after the other; counts them.
    async fn server(says: Says) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut queries = vec![];
                    while let Ok(query) = read_message(&mut stream).await {
                        queries.push(query);
                        let (said, closes) = says(&queries);
                        for message in said {
                            write_message(&mut stream, &message).await.unwrap();
                        }
                        if closes {
                            return;
                        }
                    }
                });
            }
        });
        (at, connections)
    }

    async fn asked(says: Says, count: u8) -> (Vec<Answer>, usize) {
        let (at, connections) = server(says).await;
        let within = Duration::from_secs(2);
        let answers = WireResolver::new().ask_over_tcp(at, &questions(count), within).await;
        (answers, connections.load(Ordering::Relaxed))
    }

    fn are_right(answers: &[Answer]) {
        for (number, answer) in answers.iter().enumerate() {
            let Answer::Records { set, authoritative: true } = answer else { panic!("{number}: {answer:?}") };
            assert_eq!(set.rdata.first().unwrap(), &format!("192.0.2.{number}"));
        }
    }

    #[tokio::test]
    async fn many_share_a_connection_in_whatever_order_the_answers_come() {
        let (answers, connections) = asked(
            |queries| match queries.len() % 32 {
                0 => (
                    queries[queries.len() - 32..]
                        .iter()
                        .rev()
                        .map(|query| response(query).to_vec().unwrap())
                        .collect(),
                    false,
                ),
                _ => (vec![], false),
            },
            96,
        )
        .await;
        assert_eq!((answers.len(), connections), (96, 1));
        are_right(&answers);
    }

    #[tokio::test]
    async fn who_answers_one_and_closes_is_asked_one_by_one() {
        let (answers, connections) =
            asked(|queries| (vec![response(&queries[0]).to_vec().unwrap()], true), 5).await;
        assert_eq!((answers.len(), connections), (5, 5));
        are_right(&answers);
    }

    #[tokio::test]
    async fn who_does_not_know_edns_is_asked_without() {
        let says: Says = |queries| {
            let mut message = response(queries.last().unwrap());
            if message.edns.take().is_some() {
                message.metadata.response_code = ResponseCode::FormErr;
                message.answers.clear();
            }
            (vec![message.to_vec().unwrap()], false)
        };
        let (answers, _) = asked(says, 3).await;
        are_right(&answers);
    }

    #[tokio::test]
    async fn garbage_before_an_answer_is_passed_over() {
        let says: Says = |queries| {
            let good = response(queries.last().unwrap());
            let mut other = good.clone();
            other.metadata.id = !good.metadata.id;
            (vec![vec![], vec![1, 2, 3], other.to_vec().unwrap(), good.to_vec().unwrap()], false)
        };
        let (answers, connections) = asked(says, 3).await;
        assert_eq!(connections, 1);
        are_right(&answers);
    }

    #[tokio::test]
    async fn who_asks_nothing_opens_no_connection() {
        assert_eq!(asked(|_| (vec![], false), 0).await, (vec![], 0));
    }

    #[tokio::test]
    async fn whoever_asks_however_few_connections_are_offered_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, open, most) =
            (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let highest = most.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (open, most) = (open.clone(), most.clone());
                tokio::spawn(async move {
                    most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let _ = read_message(&mut stream).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    // Closed without an answer: whoever asked goes on.
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        let (resolver, questions, within) = (WireResolver::new(), questions(1), Duration::from_secs(5));
        let zone = "n0.test".parse().unwrap();
        let all = (0..40).map(|number| {
            let (resolver, questions, zone) = (&resolver, &questions, &zone);
            async move {
                match number % 3 {
                    0 => drop(resolver.ask(at, &questions[0], within).await),
                    1 => drop(resolver.ask_over_tcp(at, questions, within).await),
                    _ => drop(resolver.probe(at, zone, Probe::Transfer, within).await),
                }
            }
        });
        futures_util::future::join_all(all).await;
        assert!((2..=8).contains(&highest.load(Ordering::Relaxed)), "{highest:?} at a time");
    }

    #[tokio::test]
    async fn silence_and_refusal_are_told_for_each() {
        let (answers, connections) = asked(|_| (vec![], false), 3).await;
        assert_eq!((answers, connections), (vec![Answer::Silent; 3], 1), "the time of one");
        let (answers, _) = asked(|_| (vec![vec![0; 12]], false), 2).await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Malformed { .. })), "{answers:?}");
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let answers = WireResolver::new().ask_over_tcp(nobody, &questions(2), Duration::from_secs(2)).await;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Unreachable { .. })), "{answers:?}");
    }
}
