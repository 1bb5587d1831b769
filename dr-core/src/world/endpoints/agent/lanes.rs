//! The lines to one agent: one at first, more when there is something to move and it pays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::opener::{Opener, Way};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::mirror::wire::{
    Call, Coded, FrameHead, FrameKind, Hello, Manners, PROTOCOL, Reader, Reply, Writer,
};
use crate::world::agent::greeting;
use crate::world::agent::line::{Frames, LastWords, Limiter, Line, as_result};

/// How long an agent may take to say hello, and to open its tree.
const HELLO_WITHIN: Duration = Duration::from_secs(60);
/// With a shorter round trip the line's window is no limit.
const NEAR: Duration = Duration::from_millis(3);

/// Less than this is there sooner than more lines are.
const WORTH_MORE_LANES: u64 = 8 << 20;
/// Less than this is there sooner than another login is worth it.
const WORTH_MORE_CONNECTIONS: u64 = 128 << 20;
/// Stock sshd allows ten sessions a connection (MaxSessions): some are left for others.
const LANES: usize = 8;
/// More connections, and the lines of each.
const CONNECTIONS: usize = 3;
const LANES_OF_MORE: usize = 4;

/// A line with so many requests has enough to do until there are others.
const BUSY: usize = 4;

/// Who answered on a new line.
pub(super) enum Answer {
    /// An agent, which opened the tree.
    Agent(Box<Opened>),
    /// An agent that speaks another version of the protocol.
    Stranger(u32),
    /// No agent. What was said instead.
    Nobody(LastWords),
}

/// An agent with its tree open.
pub(super) struct Opened {
    pub(super) lanes: Lanes,
    pub(super) hello: Hello,
    pub(super) reply: Reply,
    /// From the greeting to its answer.
    pub(super) greeted_within: Duration,
}

/// The lines to one agent.
pub(super) struct Lanes {
    lines: Arc<Mutex<Vec<Arc<Line>>>>,
    first: Arc<Line>,
    token: Vec<u8>,
    peer: String,
    opener: Option<Arc<Opener>>,
    /// So many lines at most.
    most: usize,
    began_more: AtomicBool,
    /// False while more are being opened.
    settled: watch::Sender<bool>,
    limiter: Arc<Limiter>,
}

/// Greets and asks for the tree in one go, so that it costs one round trip. With a token, the agent that it names is joined.
pub(super) async fn greet(
    way: Way,
    (root, token): (&[u8], &[u8]),
    peer: String,
    opener: Option<Arc<Opener>>,
    most: usize,
) -> Result<Answer> {
    let (input, mut to) = way;
    let mut frames = Frames::new(input);
    let begun = Instant::now();
    let mut first = BytesMut::from(greeting(&our_hello(token.to_vec())).as_ref());
    first.extend_from_slice(&open_call(root));
    let operation = || format!("open {peer}");
    let heard = async {
        // Who does not read what we say does not answer either.
        frames.crossed.add(first.len());
        to.write(first.freeze()).await;
        if !frames.find_magic().await {
            return Ok(None);
        }
        let Some(hello) = hear(&mut frames, FrameKind::Hello, &operation).await? else { return Ok(None) };
        let (protocol, hello) = Hello::read(hello).map_err(|why| garbled(&operation(), &why.to_string()))?;
        let Some(hello) = hello else { return Ok(Some((protocol, None))) };
        let greeted_within = begun.elapsed();
        let Some(reply) = hear(&mut frames, FrameKind::Reply, &operation).await? else { return Ok(None) };
        let reply =
            Reply::take(&mut Reader::new(reply)).map_err(|why| garbled(&operation(), &why.to_string()))?;
        Ok(Some((protocol, Some((hello, reply, greeted_within)))))
    };
    let limited = tokio::time::timeout(HELLO_WITHIN, heard).await;
    let heard = limited.unwrap_or_else(|_| {
        let why = format!("the agent did not answer within {} s", HELLO_WITHIN.as_secs());
        Err(Error::new(ErrorKind::Timeout, operation(), why))
    })?;
    let (hello, reply, greeted_within) = match heard {
        None => return Ok(Answer::Nobody(frames.last_words)),
        Some((protocol, None)) => return Ok(Answer::Stranger(protocol)),
        Some((_, Some(known))) => known,
    };
    if !token.is_empty() && hello.token != token {
        return Err(garbled(&operation(), "another agent answered than was asked for"));
    }
    let reply = as_result(reply)?;
    let limiter = Arc::new(Limiter::default());
    let line = Arc::new(Line::client(frames, to, peer.clone(), Arc::clone(&limiter)));
    let lanes = Lanes {
        lines: Arc::new(Mutex::new(vec![Arc::clone(&line)])),
        first: line,
        token: hello.token.clone(),
        peer,
        opener,
        most,
        began_more: AtomicBool::new(false),
        settled: watch::Sender::new(true),
        limiter,
    };
    Ok(Answer::Agent(Box::new(Opened { lanes, hello, reply, greeted_within })))
}

/// What is worth telling of a clock that is an hour off or more. No mirror depends on it.
pub(super) fn clock_note(wall_ms: i64, remote: &Remote) -> Option<String> {
    const HOUR_MS: i64 = 3_600_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ahead_ms = wall_ms.saturating_sub(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    let (hours, way) =
        (ahead_ms.unsigned_abs() / HOUR_MS as u64, if ahead_ms > 0 { "ahead" } else { "behind" });
    (hours > 0).then(|| {
        format!("the clock of {remote} is {hours} h {way} of ours; nothing depends on it here, but set it (timedatectl)")
    })
}

fn our_hello(token: Vec<u8>) -> Hello {
    Hello { version: env!("CARGO_PKG_VERSION").to_owned(), token, ..Hello::default() }
}

fn open_call(root: &[u8]) -> Bytes {
    let mut to = Writer::new();
    Call::Open { root: root.to_vec() }.put(&mut to);
    let content = to.into_bytes();
    // A path has some thousand bytes at most.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let head = FrameHead { length, kind: FrameKind::Call, id: 0, unpacked: 0 };
    [head.to_bytes().as_slice(), &content].concat().into()
}

async fn hear(
    frames: &mut Frames,
    kind: FrameKind,
    operation: &impl Fn() -> String,
) -> Result<Option<Bytes>> {
    match frames.next().await {
        Ok(None) => Ok(None),
        Ok(Some((head, content))) if head.kind == kind && head.unpacked == 0 => Ok(Some(content)),
        Ok(Some(_)) => Err(garbled(&operation(), "it does not greet")),
        Err(why) => Err(garbled(&operation(), &why.to_string())),
    }
}

fn garbled(operation: &str, why: &str) -> Error {
    Error::new(ErrorKind::Protocol, operation, format!("what the agent says makes no sense: {why}"))
}

impl Lanes {
    /// Who knows it can join the agent.
    pub(super) fn token(&self) -> &[u8] {
        &self.token
    }

    /// The first line: for everything but files.
    pub(super) fn first(&self) -> &Arc<Line> {
        &self.first
    }

    /// The line with the least to do, for files.
    pub(super) async fn least(&self) -> Arc<Line> {
        let (least, load) = self.find_least();
        if load < BUSY {
            return least;
        }
        // If more are being opened, they are there in a round trip or two.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
        self.find_least().0
    }

    fn find_least(&self) -> (Arc<Line>, usize) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Of the first it must be heard that it is gone; the others are only help.
        lines.retain(|line| line.is_alive() || Arc::ptr_eq(line, &self.first));
        let loads = lines.iter().map(|line| (line, line.load()));
        loads.min_by_key(|(_, load)| *load).map_or_else(
            || (Arc::clone(&self.first), self.first.load()),
            |(line, load)| (Arc::clone(line), load),
        )
    }

    /// Opens more lines, once, if that pays for so many bytes. It waits for nothing.
    pub(super) fn begin_more(&self, bytes: u64) {
        let Some(opener) = &self.opener else { return };
        let round_trip = Duration::from_micros(self.first.shared.squeeze.round_trip_micros());
        let growth = growth(bytes, round_trip, self.most, self.limiter.is_limited());
        if growth.is_empty() || self.began_more.swap(true, Ordering::Relaxed) {
            return;
        }
        for (connection, lines) in growth.into_iter().enumerate() {
            let new = Newcomers {
                lines: Arc::clone(&self.lines),
                token: self.token.clone(),
                peer: self.peer.clone(),
                limiter: Arc::clone(&self.limiter),
                first: Arc::clone(&self.first),
                opener: Arc::clone(opener),
            };
            if connection > 0 {
                tokio::spawn(async move { tokio::time::timeout(HELLO_WITHIN, new.on_another(lines)).await });
                continue;
            }
            self.settled.send_replace(false);
            let settled = self.settled.clone();
            tokio::spawn(async move {
                let _ = tokio::time::timeout(HELLO_WITHIN, new.on_the_first(lines)).await;
                settled.send_replace(true);
            });
        }
    }

    /// How this side uses the lines.
    pub(super) fn behave(&self, manners: &Manners) {
        self.limiter.set(manners.bytes_per_second);
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().for_each(|line| line.shared.squeeze.set(manners.compress));
    }
}

/// How many more lines pay for so many bytes: those on the connection that is there, then those on each new one. A channel
/// moves its window (2 MiB) in a round trip; what comes in a connection waits for a processor, and for the windows of its host.
fn growth(bytes: u64, round_trip: Duration, most: usize, is_limited: bool) -> Vec<usize> {
    if bytes < WORTH_MORE_LANES || round_trip < NEAR || most < 2 {
        return vec![];
    }
    let mut growth = vec![LANES.min(most) - 1];
    if bytes >= WORTH_MORE_CONNECTIONS && !is_limited {
        let mut left = most - LANES.min(most);
        while growth.len() <= CONNECTIONS && left > 0 {
            let lines = LANES_OF_MORE.min(left);
            growth.push(lines);
            left -= lines;
        }
    }
    growth
}

/// Lines that join the agent of the first.
struct Newcomers {
    lines: Arc<Mutex<Vec<Arc<Line>>>>,
    token: Vec<u8>,
    peer: String,
    limiter: Arc<Limiter>,
    first: Arc<Line>,
    opener: Arc<Opener>,
}

impl Newcomers {
    async fn on_the_first(&self, lines: usize) {
        let new = (0..lines).map(|_| async { self.join(self.opener.line().await).await });
        futures_util::future::join_all(new).await;
    }

    async fn on_another(&self, lines: usize) {
        // A host that grants no more is served by those there are.
        let Ok(session) = self.opener.connection().await else { return };
        let new = (0..lines).map(|_| async { self.join(self.opener.line_on(&session).await).await });
        futures_util::future::join_all(new).await;
    }

    /// Adds one more line to those of the agent with this token; none if it cannot be.
    async fn join(&self, way: Result<Way>) -> Option<()> {
        let (input, mut to) = way.ok()?;
        let mut frames = Frames::new(input);
        frames.crossed = self.first.shared.crossed.clone();
        let hello = greeting(&our_hello(self.token.clone()));
        frames.crossed.add(hello.len());
        to.write(hello).await;
        if !frames.find_magic().await {
            return None;
        }
        let hello = hear(&mut frames, FrameKind::Hello, &String::new).await.ok()??;
        let (PROTOCOL, Some(hello)) = Hello::read(hello).ok()? else { return None };
        if hello.token != self.token {
            return None;
        }
        let line = Line::client(frames, to, self.peer.clone(), Arc::clone(&self.limiter));
        line.shared.squeeze.like(&self.first.shared.squeeze);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(line));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_opened_only_where_it_pays() {
        let (far, mib) = (Duration::from_millis(80), 1 << 20);
        assert!(growth(4096 * mib, Duration::from_millis(1), 99, false).is_empty(), "near");
        assert!(growth(mib, far, 99, false).is_empty(), "little");
        assert_eq!(growth(20 * mib, far, 99, false), [7]);
        assert_eq!(growth(1024 * mib, far, 99, false), [7, 4, 4, 4]);
        assert_eq!(growth(1024 * mib, far, 99, true), [7], "a limit is reached by fewer");
        assert_eq!(growth(1024 * mib, far, 10, false), [7, 2], "ten at most");
        assert_eq!(growth(1024 * mib, far, 2, false), [1]);
        assert!(growth(1024 * mib, far, 1, false).is_empty());
    }

    #[test]
    fn only_a_clock_that_is_hours_off_is_worth_a_note() {
        let remote = "root@us.example.net".parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        for (off_h, noted) in [(0, false), (3, true), (-30, true)] {
            let note = clock_note(now + off_h * 3_600_000 + 60_000 * off_h.signum(), &remote);
            assert_eq!(note.is_some(), noted, "{off_h}: {note:?}");
        }
        assert!(clock_note(i64::MIN, &remote).unwrap().contains("behind"));
    }
}
