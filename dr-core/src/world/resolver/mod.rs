//! Questions to name servers over real sockets.

mod exchange;
mod inquire;
mod lines;
mod message;
mod stub;
pub(crate) mod turns;
pub(in crate::world) mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use stub::StubResolver;

use super::Resolver;
use crate::dns::{Answer, Probe, Question, Reply, Transport};
use crate::estate::ZoneName;
use lines::{Lines, Udp};
use message::Query;
use turns::{Turn, Turns};

/// Asks name servers directly. Questions to one server share a socket while there are any, each with a random identifier; how many are
/// on their way at a time follows what the server takes, so that thousands may be put at once.
///
/// An answer counts only if it comes from the address that was asked and repeats identifier and question (RFC 5452 section 9);
/// anything else is ignored until the time is up. A truncated answer is asked for again over TCP, and a server that does not
/// know EDNS is asked without (RFC 6891 section 7).
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use dr_core::dns::{Question, Transport};
/// use dr_core::world::{Resolver, resolver::WireResolver};
/// use dr_core::{RecordKey, RecordType};
/// let key = RecordKey::new("www.example.org".parse().unwrap(), RecordType::A);
/// let question = Question { key, transport: Transport::Udp, recursive: false };
/// let answer = WireResolver::new().ask("192.0.2.53:53".parse().unwrap(), &question, Duration::from_secs(2)).await;
/// println!("{answer:?}");
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct WireResolver {
    lines: Lines,
    turns: Turns,
}

impl WireResolver {
    /// A resolver; it holds nothing open when nothing was asked for a moment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts several questions over one connection, all at once, and gives the answers in their order. What a server leaves unanswered that
    /// closes it early is asked one by one.
    pub(in crate::world) async fn ask_over_tcp(
        &self,
        server: SocketAddr,
        questions: &[Question],
        within: Duration,
    ) -> Vec<Answer> {
        if questions.is_empty() {
            return vec![];
        }
        let queries: Vec<_> = questions.iter().map(Query::new).collect();
        let put: Vec<&Query> = queries.iter().filter_map(|query| query.as_ref().ok()).collect();
        let turn = self.turn(server).await;
        let talk = exchange::all_over_tcp(server, &put, Instant::now() + within);
        let mut heard = turn.during(talk).await.into_iter();
        let mut answers = vec![];
        for (question, query) in questions.iter().zip(&queries) {
            answers.push(match query {
                Err(why) => Answer::Unreachable { why: why.clone() },
                Ok(_) => match heard.next().flatten() {
                    Some(answer) => answer,
                    None => self.ask(server, question, within).await,
                },
            });
        }
        answers
    }

    /// Waits until one more connection to a server may be opened.
    pub(in crate::world) async fn turn(&self, server: SocketAddr) -> Turn {
        self.turns.at(server).await
    }
}

#[async_trait]
impl Resolver for WireResolver {
    async fn ask(&self, server: SocketAddr, question: &Question, within: Duration) -> Answer {
        self.ask_whether_signed(server, question, within).await.0
    }

    async fn ask_whether_signed(
        &self,
        server: SocketAddr,
        question: &Question,
        within: Duration,
    ) -> (Answer, bool) {
        let query = match Query::new(question) {
            Ok(query) => Arc::new(query),
            Err(why) => return (Answer::Unreachable { why }, false),
        };
        let over_tcp = async || {
            let turn = self.turn(server).await;
            turn.during(exchange::over_tcp(server, &query, Instant::now() + within)).await
        };
        let answer = if question.transport == Transport::Tcp {
            over_tcp().await
        } else {
            match self.lines.ask(server, &query, within).await {
                Udp::Answer(answer) => answer,
                Udp::Truncated => match over_tcp().await {
                    Answer::Silent => truncated("no answer in time"),
                    Answer::Unreachable { why } => truncated(&why),
                    answer => answer,
                },
            }
        };
        (answer, query.is_called_signed())
    }

    async fn probe(&self, server: SocketAddr, zone: &ZoneName, probe: Probe, within: Duration) -> Reply {
        inquire::inquire(&self.turns, server, zone, probe, within).await
    }
}

/// The server is there, but its whole answer could not be had.
fn truncated(why: &str) -> Answer {
    Answer::Unreachable { why: format!("the answer over UDP is truncated, and over TCP: {why}") }
}
