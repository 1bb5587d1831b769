//! Many requests on one line, whoever asks. The client's side and the agent's are the same but for who begins.
//!
//! One task reads and never waits for anything but the line: what comes is put before whoever it is for, and the window of
//! [`crate::mirror::wire::WINDOW_BYTES`] a request bounds how much that can be. One task writes.

mod incoming;
mod outgoing;
mod squeeze;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

pub(in crate::world) use incoming::{Crossed, Frames, Incoming, LastWords};
use outgoing::{Frame, Gauge};
pub(in crate::world) use outgoing::{Limiter, Outgoing};
use squeeze::Squeeze;
use stream::Window;
pub(in crate::world) use stream::{Receiving, Said, Sending};

use crate::error::{Error, ErrorKind, Result};
use crate::mirror::wire::{
    CALLS_MAX, Call, Coded, FRAME_BYTES_MAX, FrameHead, FrameKind, Malformed, Reader, Reply, WINDOW_BYTES,
};
use crate::world::Cancel;

/// Frames that wait for the line; whoever has more waits.
const QUEUED_FRAMES: usize = 8;

/// What all requests of a line share.
pub(in crate::world) struct Shared {
    bulk: mpsc::Sender<Frame>,
    urgent: mpsc::UnboundedSender<Frame>,
    streams: Mutex<Streams>,
    pub(in crate::world) gauge: Arc<Gauge>,
    pub(in crate::world) squeeze: Squeeze,
    is_client: bool,
    /// Who is at the far end, for errors.
    peer: String,
    last_words: LastWords,
    pub(in crate::world) crossed: Crossed,
}

#[derive(Default)]
struct Streams {
    next: u32,
    open: HashMap<u32, Slot>,
    /// Why no more can come.
    ended: Option<String>,
}

struct Slot {
    inbox: mpsc::UnboundedSender<Said>,
    window: Arc<Window>,
    unread: Arc<AtomicUsize>,
    cancel: Cancel,
}

impl Slot {
    /// Nobody waits for the answer any more, or it cannot come.
    fn stop(&self) {
        self.window.0.close();
        self.cancel.cancel();
    }
}

impl Shared {
    /// What was to be done, for an error.
    pub(in crate::world) fn operation(&self, verb: &str) -> String {
        format!("{verb} {}", self.peer)
    }

    /// The error of whoever waits for a line that ended.
    pub(in crate::world) fn lost(&self) -> Error {
        let ended = self.streams().ended.clone();
        let mut why = ended.unwrap_or_else(|| "the line ended".to_owned());
        if let Some(said) = self.last_words.line() {
            why = format!("{why}; it last said: {said}");
        }
        Error::new(ErrorKind::Unreachable, self.operation("work with"), why)
            .hint("nothing half-written is visible there; run it again to go on")
    }

    fn garbled(&self, why: &Malformed) -> Error {
        let why = format!("what it says makes no sense: {why}");
        Error::new(ErrorKind::Protocol, self.operation("work with"), why)
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, id: u32) -> bool {
        let slot = self.streams().open.remove(&id);
        slot.is_some()
    }

    fn end(&self, why: String) {
        let mut streams = self.streams();
        streams.ended.get_or_insert(why);
        let open = std::mem::take(&mut streams.open);
        drop(streams);
        open.values().for_each(Slot::stop);
    }
}

/// A request that came in.
pub(in crate::world) struct Asked {
    pub(in crate::world) call: Call,
    pub(in crate::world) sending: Sending,
    pub(in crate::world) receiving: Receiving,
    /// Stopped when nobody waits for the answer any more.
    pub(in crate::world) cancel: Cancel,
}

/// One line, after both sides have said hello.
pub(in crate::world) struct Line {
    pub(in crate::world) shared: Arc<Shared>,
    turns: Arc<Semaphore>,
    reader: JoinHandle<()>,
}

impl Line {
    /// The side that asks.
    pub(in crate::world) fn client(
        frames: Frames,
        to: Outgoing,
        peer: String,
        limiter: Arc<Limiter>,
    ) -> Self {
        Self::start(frames, to, peer, limiter, None)
    }

    /// The side that is asked: requests come out of the receiver, until the line ends.
    pub(in crate::world) fn server(
        frames: Frames,
        to: Outgoing,
        limiter: Arc<Limiter>,
    ) -> (Self, mpsc::UnboundedReceiver<Asked>) {
        let (asked, requests) = mpsc::unbounded_channel();
        (Self::start(frames, to, "the client".to_owned(), limiter, Some(asked)), requests)
    }

    fn start(
        frames: Frames,
        to: Outgoing,
        peer: String,
        limiter: Arc<Limiter>,
        asked: Option<mpsc::UnboundedSender<Asked>>,
    ) -> Self {
        let (bulk, queue) = mpsc::channel(QUEUED_FRAMES);
        let (urgent, urgent_queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            bulk,
            urgent,
            streams: Mutex::default(),
            gauge: Arc::default(),
            squeeze: Squeeze::default(),
            is_client: asked.is_none(),
            peer,
            last_words: frames.last_words.clone(),
            crossed: frames.crossed.clone(),
        });
        let measured = (Arc::clone(&shared.gauge), shared.crossed.clone());
        tokio::spawn(outgoing::send(to, urgent_queue, queue, measured, limiter));
        let reader = tokio::spawn(receive(frames, Arc::clone(&shared), asked));
        Self { shared, turns: Arc::new(Semaphore::new(CALLS_MAX)), reader }
    }

    /// How many requests are under way.
    pub(in crate::world) fn load(&self) -> usize {
        CALLS_MAX - self.turns.available_permits()
    }

    /// Whether the line still stands, as far as is known.
    pub(in crate::world) fn is_alive(&self) -> bool {
        self.shared.streams().ended.is_none()
    }

    /// Begins a request.
    pub(in crate::world) async fn call(&self, call: &Call) -> Result<(Sending, Receiving)> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| self.shared.lost())?;
        let (sending, mut receiving, _) = {
            let mut streams = self.shared.streams();
            if streams.ended.is_some() {
                drop(streams);
                return Err(self.shared.lost());
            }
            // Number 0 is that of the greeting's.
            streams.next = streams.next.wrapping_add(1).max(1);
            let id = streams.next;
            open(&self.shared, &mut streams, id)
        };
        receiving._turn = Some(turn);
        sending.value(FrameKind::Call, call).await?;
        Ok((sending, receiving))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The reader holds the senders: without it the writer says goodbye and stops.
        self.reader.abort();
        self.shared.end("the line was closed".to_owned());
    }
}

fn open(shared: &Arc<Shared>, streams: &mut Streams, id: u32) -> (Sending, Receiving, Cancel) {
    let (inbox, mail) = mpsc::unbounded_channel();
    let (window, unread, cancel) = (Arc::new(Window::new()), Arc::new(AtomicUsize::new(0)), Cancel::new());
    let slot =
        Slot { inbox, window: Arc::clone(&window), unread: Arc::clone(&unread), cancel: cancel.clone() };
    streams.open.insert(id, slot);
    let sending = Sending { id, shared: Arc::clone(shared), window };
    let receiving = Receiving {
        sending: sending.clone(),
        inbox: mail,
        unread,
        owed: 0,
        taken_bytes: 0,
        is_over: false,
        _turn: None,
    };
    (sending, receiving, cancel)
}

/// Reads until the line ends, or what comes is not dr; then everybody who waits is told.
async fn receive(mut frames: Frames, shared: Arc<Shared>, asked: Option<mpsc::UnboundedSender<Asked>>) {
    let why = loop {
        match frames.next().await {
            Ok(Some((head, content))) => {
                if let Err(why) = route(head, content, &shared, asked.as_ref()) {
                    break format!("what it says makes no sense: {why}");
                }
            }
            Ok(None) => break "its line ended".to_owned(),
            Err(why) => break format!("what it says makes no sense: {why}"),
        }
    };
    shared.end(why);
}

fn route(
    head: FrameHead,
    content: Bytes,
    shared: &Arc<Shared>,
    asked: Option<&mpsc::UnboundedSender<Asked>>,
) -> Result<(), Malformed> {
    let mut streams = shared.streams();
    if head.kind == FrameKind::Call
        && let Some(asked) = asked
    {
        if streams.open.contains_key(&head.id) {
            return Err(Malformed::new("a request has the number of another"));
        }
        // A client whose requests were just cancelled may be ahead of us.
        if streams.open.len() >= 2 * CALLS_MAX {
            return Err(Malformed::new("too many requests at once"));
        }
        let call = Call::take(&mut Reader::new(content))?;
        let (sending, receiving, cancel) = open(shared, &mut streams, head.id);
        drop(streams);
        // If nobody serves any more, the line ends soon.
        let _ = asked.send(Asked { call, sending, receiving, cancel });
        return Ok(());
    }
    // What comes late for a request that is over concerns nobody.
    let Some(slot) = streams.open.get(&head.id) else { return Ok(()) };
    let said = match (head.kind, asked.is_some()) {
        (FrameKind::Pack, _) => {
            let unread = slot.unread.fetch_add(head.weight(), Ordering::Relaxed) + head.weight();
            if unread > WINDOW_BYTES + FRAME_BYTES_MAX {
                return Err(Malformed::new("more comes than was asked for"));
            }
            Said::Pack { content, unpacked: head.unpacked as usize }
        }
        (FrameKind::Credit, _) => {
            let bytes = u32::take(&mut Reader::new(content))?;
            if !slot.window.give(bytes as usize) {
                return Err(Malformed::new("more is taken than was sent"));
            }
            return Ok(());
        }
        (FrameKind::Last, true) => Said::Last,
        (FrameKind::Cancel, true) => {
            // It goes away with the request.
            slot.stop();
            return Ok(());
        }
        (FrameKind::Reply, false) => Said::Reply(content),
        (FrameKind::Event, false) => Said::Event(content),
        _ => return Err(Malformed::new("a frame that has no place here")),
    };
    // Whoever asked may have gone.
    let _ = slot.inbox.send(said);
    Ok(())
}

/// The answer that was to come, or the error that came instead.
pub(in crate::world) fn as_result(reply: Reply) -> Result<Reply> {
    match reply {
        Reply::Failed(error) => Err(error.into()),
        reply => Ok(reply),
    }
}
