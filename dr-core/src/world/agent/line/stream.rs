//! One request's share of a line: what it sends, and what comes for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::outgoing::Frame;
use super::{Shared, squeeze};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::wire::{
    Coded, FRAME_BYTES_MAX, FrameHead, FrameKind, Item, Malformed, Pack, Reader, Reply, WINDOW_BYTES, Writer,
    unpack,
};

/// Lists are kept in memory; no tree that fits there has a longer one.
const LIST_BYTES_MAX: u64 = 2 << 30;

/// Whether these items are the content of files: it flows, and nobody knows whether it shrinks.
fn is_content<T: Item>() -> bool {
    T::KIND == crate::mirror::Piece::KIND || T::KIND == crate::mirror::wire::Content::KIND
}

/// What came for a request.
pub(in crate::world) enum Said {
    /// Items.
    Pack { content: Bytes, unpacked: usize },
    /// No more items.
    Last,
    /// The end.
    Reply(Bytes),
    /// An event.
    Event(Bytes),
}

/// How much may still be sent.
pub(super) struct Window(pub(super) Semaphore);

impl Window {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(WINDOW_BYTES))
    }

    /// False if more is given back than was sent.
    pub(super) fn give(&self, bytes: usize) -> bool {
        let is_honest = bytes <= WINDOW_BYTES && self.0.available_permits() + bytes <= WINDOW_BYTES;
        if is_honest {
            self.0.add_permits(bytes);
        }
        is_honest
    }
}

/// The sending half of a request.
#[derive(Clone)]
pub(in crate::world) struct Sending {
    pub(super) id: u32,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Arc<Window>,
}

impl Sending {
    /// Sends items, waiting while the other side is slow.
    pub(in crate::world) async fn items<T: Item>(&self, items: impl IntoIterator<Item = T>) -> Result<()> {
        let mut pack = Pack::new();
        for item in items {
            if pack.push(&item) {
                self.pack(&mut pack).await?;
            }
        }
        self.pack(&mut pack).await
    }

    /// Sends what is in a pack, if anything is.
    pub(in crate::world) async fn pack<T: Item>(&self, pack: &mut Pack<T>) -> Result<()> {
        let Some(content) = pack.take() else { return Ok(()) };
        if content.len() > FRAME_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Unsupported,
                self.shared.operation("send"),
                "one path has more than a MiB of metadata",
            )
            .hint("remove some of its extended attributes, or exclude it"));
        }
        let permits = u32::try_from(content.len()).unwrap_or(u32::MAX);
        match self.window.0.acquire_many(permits).await {
            Ok(taken) => taken.forget(),
            Err(_) => return Err(self.shared.lost()),
        }
        let shared = &self.shared;
        match shared.squeeze.pack(&content, is_content::<T>(), &shared.gauge) {
            Some(packed) => self.frame(FrameKind::Pack, packed, content.len()).await,
            None => self.frame(FrameKind::Pack, content, 0).await,
        }
    }

    pub(in crate::world) async fn last(&self) -> Result<()> {
        self.frame(FrameKind::Last, Bytes::new(), 0).await
    }

    pub(in crate::world) async fn reply(&self, reply: &Reply) -> Result<()> {
        self.value(FrameKind::Reply, reply).await
    }

    /// Sends a value that fits into one frame.
    pub(super) async fn value(&self, kind: FrameKind, value: &impl Coded) -> Result<()> {
        let mut to = Writer::new();
        value.put(&mut to);
        let content = to.into_bytes();
        if content.len() > FRAME_BYTES_MAX {
            let why = "what is to be said is longer than a MiB";
            return Err(Error::new(ErrorKind::Unsupported, self.shared.operation("ask"), why));
        }
        self.frame(kind, content, 0).await
    }

    /// Tells of progress, unless the line is busy: nobody waits for that.
    pub(in crate::world) fn event(&self, event: Vec<u8>) {
        if event.len() <= FRAME_BYTES_MAX {
            let _ = self.shared.bulk.try_send(self.as_frame(FrameKind::Event, event.into(), 0));
        }
    }

    /// Whether content is compressed from now on.
    pub(in crate::world) fn set_compress(&self, mode: crate::mirror::Compress) {
        self.shared.squeeze.set(mode);
    }

    async fn frame(&self, kind: FrameKind, content: Bytes, unpacked: usize) -> Result<()> {
        let frame = self.as_frame(kind, content, unpacked);
        self.shared.bulk.send(frame).await.map_err(|_| self.shared.lost())
    }

    fn as_frame(&self, kind: FrameKind, content: Bytes, unpacked: usize) -> Frame {
        // Both lengths were compared with FRAME_BYTES_MAX.
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let head = FrameHead { length: length(content.len()), kind, id: self.id, unpacked: length(unpacked) };
        Frame { head, content }
    }
}

/// The receiving half of a request. Dropping it before the end cancels the request.
pub(in crate::world) struct Receiving {
    pub(super) sending: Sending,
    pub(super) inbox: mpsc::UnboundedReceiver<Said>,
    pub(super) unread: Arc<AtomicUsize>,
    /// Taken, and not yet given back.
    pub(super) owed: usize,
    /// All that came in packs.
    pub(super) taken_bytes: u64,
    pub(super) is_over: bool,
    /// The client's place among the requests that may be under way.
    pub(super) _turn: Option<OwnedSemaphorePermit>,
}

impl Receiving {
    /// What comes next; none if the line ended.
    pub(in crate::world) async fn next(&mut self) -> Option<Said> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    pub(in crate::world) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        let Poll::Ready(said) = self.inbox.poll_recv(context) else { return Poll::Pending };
        match &said {
            Some(Said::Pack { content, unpacked }) => self.give_back(content.len().max(*unpacked)),
            Some(Said::Reply(_)) | None => self.is_over = true,
            Some(_) => {}
        }
        Poll::Ready(said)
    }

    /// The error of whoever waits for what cannot come any more.
    pub(in crate::world) fn lost(&self) -> Error {
        self.sending.shared.lost()
    }

    fn give_back(&mut self, bytes: usize) {
        self.unread.fetch_sub(bytes, Ordering::Relaxed);
        self.owed += bytes;
        self.taken_bytes += bytes as u64;
        if self.owed >= WINDOW_BYTES / 4 {
            let bytes = u32::try_from(std::mem::take(&mut self.owed)).unwrap_or(u32::MAX);
            let mut to = Writer::new();
            bytes.put(&mut to);
            let frame = self.sending.as_frame(FrameKind::Credit, to.into_bytes(), 0);
            // If nobody sends any more, nobody needs it.
            let _ = self.sending.shared.urgent.send(frame);
        }
    }

    /// The items of a pack.
    pub(in crate::world) fn unpack<T: Item>(&self, content: Bytes, unpacked: usize) -> Result<Vec<T>> {
        if !is_content::<T>() && self.taken_bytes > LIST_BYTES_MAX {
            return Err(self.sending.shared.garbled(&Malformed::new("a list does not end")));
        }
        unpack(self.open(content, unpacked)?).map_err(|why| self.sending.shared.garbled(&why))
    }

    /// A pack as it was before it was compressed.
    pub(in crate::world) fn open(&self, content: Bytes, unpacked: usize) -> Result<Bytes> {
        if unpacked == 0 {
            return Ok(content);
        }
        squeeze::open(&content, unpacked)
            .ok_or_else(|| self.sending.shared.garbled(&Malformed::new("a frame cannot be unpacked")))
    }

    /// A value that came in one frame.
    pub(in crate::world) fn value<T: Coded>(&self, content: Bytes) -> Result<T> {
        T::take(&mut Reader::new(content)).map_err(|why| self.sending.shared.garbled(&why))
    }

    /// All items up to the end of them or of the request; that end, if it came.
    pub(in crate::world) async fn all<T: Item>(&mut self, mut each: impl FnMut(T)) -> Result<Option<Bytes>> {
        loop {
            match self.next().await {
                Some(Said::Pack { content, unpacked }) => {
                    self.unpack(content, unpacked)?.into_iter().for_each(&mut each);
                }
                Some(Said::Last) => return Ok(None),
                Some(Said::Reply(reply)) => return Ok(Some(reply)),
                Some(Said::Event(_)) => {}
                None => return Err(self.sending.shared.lost()),
            }
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let shared = &self.sending.shared;
        let was_open = shared.forget(self.sending.id);
        if !was_open || self.is_over || !shared.is_client {
            return;
        }
        let frame = self.sending.as_frame(FrameKind::Cancel, Bytes::new(), 0);
        // It must not overtake the request itself.
        if let Err(mpsc::error::TrySendError::Full(frame)) = shared.bulk.try_send(frame)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let bulk = shared.bulk.clone();
            runtime.spawn(async move { bulk.send(frame).await });
        }
    }
}
