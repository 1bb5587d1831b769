//! Very many questions at once: every one gets its answer, whatever is lost, and a dead server costs the time of one question.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_core::dns::{Answer, Question, Transport};
use dr_core::world::Resolver;
use dr_core::world::resolver::WireResolver;
use dr_core::{RecordKey, RecordType};
use futures_util::future::join_all;
use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use tokio::net::UdpSocket;

const QUESTIONS: u16 = 2000;

fn question(number: u16) -> Question {
    let key = RecordKey::new(format!("h{number}.example.org").parse().unwrap(), RecordType::A);
    Question { key, transport: Transport::Udp, recursive: false }
}

/// The address of `h258.example.org` is 10.0.1.2: a mixed-up answer shows.
fn address(name: &str) -> Ipv4Addr {
    let number: u16 = name.trim_start_matches('h').split('.').next().unwrap().parse().unwrap();
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 0, high, low)
}

fn answer(octets: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(octets).unwrap();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.add_queries(question.queries.iter().cloned());
    let owner = question.queries[0].name().clone();
    let data = RData::A(A(address(&owner.to_ascii())));
    answer.add_answer(Record::from_rdata(owner, 60, data));
    answer.to_vec().unwrap()
}

/// What one server saw.
#[derive(Default)]
struct Saw {
    ports: BTreeSet<u16>,
    questions: usize,
}

/// Answers in pairs, the later question first, and never those that `loses` says: by how many came before.
async fn serve(loses: fn(usize) -> bool) -> (SocketAddr, Arc<Mutex<Saw>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let saw = Arc::new(Mutex::new(Saw::default()));
    let told = saw.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let mut held: Option<(Vec<u8>, SocketAddr)> = None;
        loop {
            // What is held back is not held for ever.
            let received =
                tokio::time::timeout(Duration::from_millis(5), socket.recv_from(&mut buffer)).await;
            let Ok(Ok((length, client))) = received else {
                if let Some((octets, client)) = held.take() {
                    let _ = socket.send_to(&octets, client).await;
                }
                continue;
            };
            let lost = {
                let mut saw = told.lock().unwrap();
                saw.ports.insert(client.port());
                saw.questions += 1;
                loses(saw.questions)
            };
            if lost {
                continue;
            }
            let _ = socket.send_to(&answer(&buffer[..length]), client).await;
            if let Some((octets, client)) = held.take() {
                let _ = socket.send_to(&octets, client).await;
            } else {
                // Twice: a late copy of an answer is no answer to anything else.
                held = Some((answer(&buffer[..length]), client));
            }
        }
    });
    (at, saw)
}

async fn ask_all(server: SocketAddr, within: Duration) -> Vec<(u16, Answer)> {
    let resolver = WireResolver::new();
    let ask = async |number| (number, resolver.ask(server, &question(number), within).await);
    join_all((0..QUESTIONS).map(ask)).await
}

fn all_are_right(answers: &[(u16, Answer)]) {
    for (number, answer) in answers {
        let expected = address(&format!("h{number}.example.org")).to_string();
        match answer {
            Answer::Records { set, .. } => assert_eq!(set.rdata.first(), Some(&expected)),
            other => panic!("{number}: {other:?}"),
        }
    }
    assert_eq!(answers.len(), usize::from(QUESTIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_questions_share_a_socket_and_none_is_mixed_up() {
    let (server, saw) = serve(|_| false).await;
    all_are_right(&ask_all(server, Duration::from_secs(5)).await);
    let saw = saw.lock().unwrap();
    assert_eq!(saw.ports.len(), 1, "one socket");
    assert!(saw.questions < usize::from(QUESTIONS) + 100, "hardly any is sent twice: {}", saw.questions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_sent_again() {
    // One in ten of the first: lost three times in a row is lost.
    let (server, saw) = serve(|count| count < usize::from(QUESTIONS) && count % 10 == 0).await;
    all_are_right(&ask_all(server, Duration::from_millis(1400)).await);
    assert!(saw.lock().unwrap().questions > usize::from(QUESTIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_costs_the_time_of_one_question() {
    let (server, saw) = serve(|_| true).await;
    let begun = Instant::now();
    let answers = ask_all(server, Duration::from_millis(1400)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let silent = answers.iter().filter(|(_, answer)| *answer == Answer::Silent).count();
    let not_asked = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, Answer::Unreachable { why } if why.contains("silent")));
    assert!(silent > 0 && silent + not_asked.count() == usize::from(QUESTIONS), "{silent} silent");
    assert!(saw.lock().unwrap().questions <= silent * 3, "what was not asked was not sent");

    // Nobody listens there: that is told at once.
    let nobody = dr_tests::Port::free();
    let begun = Instant::now();
    let answers = ask_all(nobody.addr(), Duration::from_secs(5)).await;
    let other = answers.iter().find(|(_, answer)| !matches!(answer, Answer::Unreachable { .. }));
    assert_eq!(other, None);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_closed_is_opened_again() {
    let (server, saw) = serve(|_| false).await;
    let resolver = WireResolver::new();
    for number in 0..3 {
        let answer = resolver.ask(server, &question(number), Duration::from_secs(5)).await;
        all_right(number, &answer);
        let ports = saw.lock().unwrap().ports.len();
        assert_eq!(ports, usize::from(number) + 1, "a new port after a rest");
        // Longer than a line lives without questions.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // A line lives on the runtime of whoever asked first; the next one does without it.
    let elsewhere = resolver.clone();
    let (server_two, _) = serve(|_| false).await;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let question = question(1);
        let asked = elsewhere.ask(server_two, &question, Duration::from_secs(5));
        all_right(1, &runtime.block_on(asked));
    })
    .join()
    .unwrap();
    all_right(2, &resolver.ask(server_two, &question(2), Duration::from_secs(5)).await);
}

fn all_right(number: u16, answer: &Answer) {
    let expected = address(&format!("h{number}.example.org")).to_string();
    assert!(matches!(answer, Answer::Records { set, .. } if set.rdata.contains(&expected)), "{answer:?}");
}
