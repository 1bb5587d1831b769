//! Requests in, answers out.

mod deliver;
mod perform;
mod priority;
mod turns;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::net::UnixListener;
use tokio::sync::OnceCell;

use self::deliver::Reached;
use super::line::{Asked, Frames, Limiter, Line, Outgoing};
use super::{Restrictions, join, stdio};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::wire::{Call, FrameHead, FrameKind, Hello, MAGIC, PROTOCOL, Reply};
use crate::world::endpoints::LocalEndpoint;
use crate::world::ssh::Access;

/// A client that was started says hello at once.
const HELLO_WITHIN: Duration = Duration::from_secs(60);

/// One agent: one tree, for all lanes.
pub(super) struct Agent {
    restrictions: Restrictions,
    token: join::Token,
    tree: OnceCell<LocalEndpoint>,
    limiter: Arc<Limiter>,
    /// How it may reach other hosts; none: it may not.
    access: Option<Access>,
    /// The agent of another host that it has joined.
    reached: tokio::sync::Mutex<Option<Reached>>,
    queue: Arc<turns::Queue>,
}

/// Serves over what the process was given.
pub(super) async fn stdio(restrictions: Restrictions, access: Option<Access>) -> Result<()> {
    let broken = |why| Error::io("serve over standard input and output", why);
    let (input, output) = stdio::own().map_err(broken)?;
    let handles = (input.try_clone().map_err(broken)?, output.try_clone().map_err(broken)?);
    let frames = Frames::new(stdio::incoming(input).map_err(broken)?);
    first_lane((restrictions, access), frames, stdio::outgoing(output).map_err(broken)?, Some(handles)).await
}

type Handles = (std::os::fd::OwnedFd, std::os::fd::OwnedFd);

/// Serves a lane that is not part of an agent yet. With `handles` it can become part of another agent.
pub(super) async fn first_lane(
    (restrictions, access): (Restrictions, Option<Access>),
    mut frames: Frames,
    mut to: Outgoing,
    handles: Option<Handles>,
) -> Result<()> {
    let Some(hello) = hear_hello(&mut frames).await? else {
        say_hello(&mut to, &[]).await;
        let why = "it speaks another version of the protocol";
        return Err(Error::new(ErrorKind::Protocol, "serve a client", why));
    };
    if let Some((input, output)) = handles.filter(|_| !hello.token.is_empty()) {
        drop(to);
        let rest = frames.into_rest();
        let handed = tokio::task::spawn_blocking(move || {
            join::hand_over(&hello.token, &restrictions, input, output, &rest)
        });
        let failed = |why| Error::io("join another agent", why);
        return handed.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())).map_err(failed);
    }
    let mut token = join::Token::default();
    getrandom::fill(&mut token)
        .map_err(|why| Error::new(ErrorKind::Io, "name this agent", why.to_string()))?;
    let (tree, limiter, reached, queue) = Default::default();
    let agent = Arc::new(Agent { restrictions, token, tree, limiter, access, reached, queue });
    // Where nobody can join, one lane has to do.
    let listener = join::listen(&token).and_then(UnixListener::from_std).ok();
    let serving = agent.lane(frames, to);
    match listener {
        None => serving.await,
        Some(listener) => tokio::select! {
            () = serving => {}
            () = Arc::clone(&agent).take_lanes(listener) => {}
        },
    }
    Ok(())
}

/// The client's hello; none if it speaks another version.
async fn hear_hello(frames: &mut Frames) -> Result<Option<Hello>> {
    let silent = |why: &str| Error::new(ErrorKind::Protocol, "serve a client", why);
    let heard = async {
        if !frames.find_magic().await {
            return Err(silent("who speaks there is no dr").hint("dr starts its agents itself: dr mirror"));
        }
        match frames.next().await {
            Ok(Some((head, content))) if head.kind == FrameKind::Hello => {
                let (_, hello) = Hello::read(content).map_err(|why| silent(&why.to_string()))?;
                Ok(hello)
            }
            _ => Err(silent("it does not greet")),
        }
    };
    tokio::time::timeout(HELLO_WITHIN, heard).await.unwrap_or_else(|_| Err(silent("nobody spoke in time")))
}

async fn say_hello(to: &mut Outgoing, token: &[u8]) -> bool {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        token: token.to_vec(),
    };
    debug_assert_eq!(hello.content()[..4], PROTOCOL.to_be_bytes());
    to.write(greeting(&hello)).await
}

/// The first bytes of a side.
pub(in crate::world) fn greeting(hello: &Hello) -> Bytes {
    let content = hello.content();
    // A greeting has some hundred bytes.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let head = FrameHead { length, kind: FrameKind::Hello, id: 0, unpacked: 0 };
    let mut greeting = BytesMut::from(MAGIC.as_slice());
    greeting.extend_from_slice(&head.to_bytes());
    greeting.extend_from_slice(&content);
    greeting.freeze()
}

impl Agent {
    /// Serves one lane until it ends.
    async fn lane(self: &Arc<Self>, frames: Frames, mut to: Outgoing) {
        if !say_hello(&mut to, &self.token).await {
            return;
        }
        let (line, mut requests) = Line::server(frames, to, Arc::clone(&self.limiter));
        let mut running = tokio::task::JoinSet::new();
        while let Some(asked) = requests.recv().await {
            let (agent, place) = (Arc::clone(self), self.queue.arrive(&asked.call));
            if matches!(asked.call, Call::Behave(_)) {
                // Whatever comes behind it is done in that manner.
                agent.answer(asked, place).await;
                continue;
            }
            running.spawn(async move { agent.answer(asked, place).await });
            while running.try_join_next().is_some() {}
        }
        // Whoever is still at work was told by its `cancel` to stop; what it holds is given back when it does.
        drop(line);
        running.shutdown().await;
    }

    /// Serves the channels that other processes hand over.
    async fn take_lanes(self: Arc<Self>, listener: UnixListener) {
        loop {
            let Ok((peer, _)) = listener.accept().await else { return std::future::pending().await };
            let agent = Arc::clone(&self);
            tokio::spawn(async move {
                let taking = Arc::clone(&agent);
                let taken = tokio::task::spawn_blocking(move || {
                    join::take(peer.into_std()?, &taking.token, &taking.restrictions)
                });
                let Ok(Ok(Some(lane))) = taken.await else { return };
                let (Ok(input), Ok(output)) = (stdio::incoming(lane.input), stdio::outgoing(lane.output))
                else {
                    return;
                };
                agent.lane(Frames::going_on(input, lane.rest), output).await;
                drop(lane.guard);
            });
        }
    }

    /// Answers one request, whatever happens.
    async fn answer(self: Arc<Self>, asked: Asked, place: Option<turns::Place>) {
        let Asked { call, sending, receiving, cancel } = asked;
        let work = AssertUnwindSafe(self.perform(call, place, &sending, receiving, &cancel)).catch_unwind();
        let reply = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            done = work => match done {
                Ok(done) => done.unwrap_or_else(Reply::from),
                Err(_) => {
                    let defect = Error::new(ErrorKind::Internal, "do what was asked", "the agent has a defect there");
                    Reply::from(defect.hint("report it; what it wrote on standard error says where"))
                }
            },
        };
        // If the line is gone, nobody waits.
        let _ = sending.reply(&reply).await;
    }
}
