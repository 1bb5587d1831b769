//! Questions over UDP to many servers: one socket a server, many questions on it, and no more at a time than the server takes.
//!
//! A line is a task that lives while there is something to ask its server. Its window grows while answers come and is halved when
//! one is lost, as TCP's is; questions beyond it wait. A server that has said nothing at all for as long as a question may take is
//! not asked what still waits: a thousand questions to a dead server cost the time of one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::exchange::{any_port, unreachable_by};
use super::message::{Heard, Query};
use crate::dns::Answer;

/// How the time is divided among the three times a question is sent: a late answer to an earlier one counts too.
const SHARES: [u32; 3] = [1, 2, 4];
/// After the network refused a question, it is sent again so much later: the server may be restarting.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);
/// Room for more than we tell servers that we take over UDP.
const LARGEST: usize = 4096;
/// A line without questions is closed after this: its port is not to be guessed at for ever.
const IDLE: Duration = Duration::from_millis(200);
/// So many questions are on their way to one server: at first, at least and at most. More are lost in the server's buffers than
/// are gained.
const WINDOW: (f64, f64, f64) = (16.0, 8.0, 96.0);
/// The window is not halved twice for what was lost at one time.
const ONE_LOSS: Duration = Duration::from_millis(100);

/// What came over UDP.
pub(super) enum Udp {
    Answer(Answer),
    Truncated,
}

/// A question, handed to a line.
struct Put {
    query: Arc<Query>,
    within: Duration,
    reply: oneshot::Sender<Udp>,
}

/// All lines.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<BTreeMap<SocketAddr, mpsc::UnboundedSender<Put>>>>);

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines(..)")
    }
}

impl Lines {
    /// Sends the question at most three times, and waits for a valid answer for `within` from the time it is first sent.
    pub(super) async fn ask(&self, server: SocketAddr, query: &Arc<Query>, within: Duration) -> Udp {
        loop {
            let (reply, answer) = oneshot::channel();
            let put = Put { query: query.clone(), within, reply };
            if self.line_to(server).send(put).is_ok()
                && let Ok(answer) = answer.await
            {
                return answer;
            }
            // The line was just being closed, or its runtime is gone; it is opened anew.
            let mut lines = self.lock();
            if lines.get(&server).is_some_and(mpsc::UnboundedSender::is_closed) {
                lines.remove(&server);
            }
        }
    }

    fn line_to(&self, server: SocketAddr) -> mpsc::UnboundedSender<Put> {
        let mut lines = self.lock();
        if let Some(line) = lines.get(&server).filter(|line| !line.is_closed()) {
            return line.clone();
        }
        let (line, questions) = mpsc::unbounded_channel();
        lines.insert(server, line.clone());
        // A line that is closed stays listed until the next question to its server, or until many are.
        if lines.len() > 1000 {
            lines.retain(|_, line| !line.is_closed());
        }
        tokio::spawn(run(server, questions));
        line
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, mpsc::UnboundedSender<Put>>> {
        // What a panicking task left behind is still a list of lines.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line from its first question to its last.
async fn run(server: SocketAddr, mut questions: mpsc::UnboundedReceiver<Put>) {
    let mut line = match connected(server).await {
        Ok(socket) => Line::new(socket),
        Err(error) => {
            questions.close();
            while let Some(put) = questions.recv().await {
                // Whoever has gone does not want to know.
                let _ = put.reply.send(Udp::Answer(unreachable_by(&error)));
            }
            return;
        }
    };
    let mut buffer = vec![0; LARGEST];
    loop {
        line.fill().await;
        let until = line.next_time().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            biased;
            received = line.socket.recv(&mut buffer) => {
                line.received(received.map(|length| &buffer[..length])).await;
                // What else has come is taken without going to sleep in between.
                while let Ok(length) = line.socket.try_recv(&mut buffer) {
                    line.received(Ok(&buffer[..length])).await;
                }
            }
            put = questions.recv() => match put {
                Some(put) => line.waiting.push_back(put),
                None => return,
            },
            () = sleep_until(until) => {
                if line.asked.is_empty() && line.waiting.is_empty() {
                    // Questions that were put until now are still asked; whoever comes later opens another line.
                    questions.close();
                }
                line.times_up(Instant::now()).await;
            }
        }
        while let Ok(put) = questions.try_recv() {
            line.waiting.push_back(put);
        }
    }
}

/// A socket that receives only from the server that is asked, on a port that the system chose at random.
async fn connected(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(any_port(server)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

struct Line {
    socket: UdpSocket,
    waiting: VecDeque<Put>,
    /// By identifier: no two at a time have the same.
    asked: BTreeMap<u16, Asked>,
    /// When what is to be looked at again; what was answered meanwhile stays in here until then.
    times: BinaryHeap<Reverse<(Instant, u16)>>,
    window: f64,
    halved: Instant,
    /// When anything was last heard from the server.
    heard: Option<Instant>,
    /// What came that is no answer to anything, and when.
    garbage: Option<(Instant, String)>,
}

/// A question that is on its way.
struct Asked {
    put: Put,
    edns: bool,
    /// How often it was sent.
    sent: usize,
    first: Instant,
    next: Instant,
    refused: Option<std::io::Error>,
}

impl Line {
    fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
            asked: BTreeMap::new(),
            times: BinaryHeap::new(),
            window: WINDOW.0,
            halved: Instant::now(),
            heard: None,
            garbage: None,
        }
    }

    /// Sends what waits, as far as the window goes.
    async fn fill(&mut self) {
        while (self.asked.len() as f64) < self.window {
            // Whoever has gone needs no answer.
            let Some(put) = self.waiting.pop_front() else { return };
            if put.reply.is_closed() {
                continue;
            }
            let id = put.query.id;
            if self.asked.contains_key(&id) {
                // Another question has this identifier; it is given back soon.
                self.waiting.push_back(put);
                return;
            }
            let now = Instant::now();
            let asked = Asked { put, edns: true, sent: 0, first: now, next: now, refused: None };
            self.asked.insert(id, asked);
            self.send(id, now).await;
        }
    }

    /// Sends a question once more and sets the time at which it is looked at again.
    async fn send(&mut self, id: u16, now: Instant) {
        let Some(asked) = self.asked.get_mut(&id) else { return };
        let query = &asked.put.query;
        let message = if asked.edns { &query.message } else { &query.without_edns };
        let unit = asked.put.within / SHARES.iter().sum::<u32>();
        asked.sent += 1;
        let shares: u32 = SHARES.iter().take(asked.sent).sum();
        asked.next = asked.first + unit * shares;
        let sent = self.socket.send(message).await;
        asked.refused = None;
        self.times.push(Reverse((asked.next, id)));
        // It may be about what another question sent before.
        if let Err(error) = sent {
            self.refused(&error, now);
        }
    }

    fn next_time(&mut self) -> Option<Instant> {
        if self.asked.is_empty() {
            // The times of what was answered are of no account.
            self.times.clear();
        }
        self.times.peek().map(|Reverse((at, _))| *at)
    }

    /// A datagram, or what the network says of one that was sent.
    async fn received(&mut self, received: std::io::Result<&[u8]>) {
        let now = Instant::now();
        match received {
            Ok(octets) => self.heard(octets, now).await,
            Err(error) => self.refused(&error, now),
        }
    }

    async fn heard(&mut self, octets: &[u8], now: Instant) {
        let id = octets.first_chunk().map(|id| u16::from_be_bytes(*id));
        let Some((id, asked)) = id.and_then(|id| Some((id, self.asked.get_mut(&id)?))) else {
            let is_response = octets.len() >= 12 && octets[2] & 0x80 != 0;
            // A late answer to what was answered before is none; to who never answered anything it is all there is.
            if !is_response || self.heard.is_none() {
                self.garbage = Some((now, "it answers another question (its identifier differs)".to_owned()));
            }
            return;
        };
        let answer = match asked.put.query.hear(octets) {
            Heard::Answer(answer) => Udp::Answer(answer),
            Heard::Truncated => Udp::Truncated,
            Heard::NoEdns(_) if asked.edns => {
                asked.edns = false;
                asked.sent = asked.sent.saturating_sub(1);
                self.heard = Some(now);
                return self.send(id, now).await;
            }
            Heard::NoEdns(answer) => Udp::Answer(answer),
            Heard::NotOurs(why) => {
                self.garbage = Some((now, why));
                return;
            }
        };
        self.heard = Some(now);
        self.window = (self.window + 1.0 / self.window).min(WINDOW.2);
        if let Some(asked) = self.asked.remove(&id) {
            // Whoever has gone does not want to know.
            let _ = asked.put.reply.send(answer);
        }
    }

    /// The network does not say which of them it refused: all are sent again a little later, as often as they may be.
    fn refused(&mut self, error: &std::io::Error, now: Instant) {
        for (id, asked) in &mut self.asked {
            let again = now + AFTER_REFUSAL;
            if asked.next > again {
                asked.next = again;
                self.times.push(Reverse((again, *id)));
            }
            asked.refused = Some(std::io::Error::new(error.kind(), error.to_string()));
        }
    }

    /// Looks at every question whose time has come: it is sent again, or given up.
    async fn times_up(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.times.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.times.pop();
            // It was answered, or is to be looked at later.
            if self.asked.get(&id).is_none_or(|asked| asked.next != at) {
                continue;
            }
            let is_last = self.asked.get(&id).is_some_and(|asked| asked.sent >= SHARES.len());
            if is_last {
                self.give_up(id);
            } else {
                self.lost(now);
                self.send(id, now).await;
            }
        }
    }

    fn lost(&mut self, now: Instant) {
        if now.duration_since(self.halved) > ONE_LOSS {
            self.window = (self.window / 2.0).max(WINDOW.1);
            self.halved = now;
        }
    }

    fn give_up(&mut self, id: u16) {
        let Some(asked) = self.asked.remove(&id) else { return };
        let said_nothing = self.heard.is_none_or(|heard| heard < asked.first);
        let garbage = self.garbage.as_ref().filter(|(at, _)| *at >= asked.first);
        let answer = match (asked.refused, garbage) {
            (Some(error), _) => unreachable_by(&error),
            (None, Some((_, why))) => Answer::Malformed { why: why.clone() },
            (None, None) => Answer::Silent,
        };
        let _ = asked.put.reply.send(Udp::Answer(answer));
        if said_nothing {
            for put in self.waiting.drain(..) {
                let why = "it was silent about other questions a moment ago, and was not asked".to_owned();
                let _ = put.reply.send(Udp::Answer(Answer::Unreachable { why }));
            }
        }
    }
}
