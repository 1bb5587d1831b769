//! Frames as they go out: in their order, not faster than allowed, small ones together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::Crossed;
use crate::mirror::wire::{FrameHead, HEAD_BYTES};

/// Frames shorter than this wait for others that are ready too.
const SMALL_BYTES: usize = 16 * 1024;
/// Small frames travel together up to this length.
const TOGETHER_BYTES: usize = 64 * 1024;
/// The rate of the line is told anew after so many bytes.
const MEASURE_BYTES: usize = 1 << 20;

/// Where bytes go.
pub(in crate::world) enum Outgoing {
    /// Any stream.
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
    /// A channel of an SSH connection.
    Channel(ChannelWriteHalf<Msg>),
}

impl Outgoing {
    /// False if the line is gone.
    pub(in crate::world) async fn write(&mut self, bytes: Bytes) -> bool {
        match self {
            Self::Stream(stream) => stream.write_all(&bytes).await.is_ok(),
            Self::Channel(channel) => channel.data_bytes(bytes).await.is_ok(),
        }
    }

    async fn flush(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.flush().await.is_ok(),
            Self::Channel(_) => true,
        }
    }

    async fn end(&mut self) {
        match self {
            Self::Stream(stream) => drop(stream.shutdown().await),
            Self::Channel(channel) => drop(channel.eof().await),
        }
    }
}

/// A frame on its way.
pub(in crate::world) struct Frame {
    pub(in crate::world) head: FrameHead,
    pub(in crate::world) content: Bytes,
}

/// How fast the line takes what is sent, in bytes a second; 0 while that is not known.
#[derive(Default)]
pub(in crate::world) struct Gauge(AtomicU64);

impl Gauge {
    pub(in crate::world) fn bytes_per_second(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn tell(&self, bytes: usize, within: Duration) {
        let now = (bytes as f64 / within.as_secs_f64().max(1e-6)) as u64;
        let before = self.bytes_per_second();
        self.0.store(if before == 0 { now } else { before / 2 + now / 2 }, Ordering::Relaxed);
    }
}

/// So many bytes a second, for all lines that share it.
#[derive(Default)]
pub(in crate::world) struct Limiter {
    bytes_per_second: AtomicU64,
    /// When the line will have carried what was let through.
    free_at: Mutex<Option<Instant>>,
}

impl Limiter {
    /// None: as fast as it goes.
    pub(in crate::world) fn set(&self, bytes_per_second: Option<u64>) {
        self.bytes_per_second.store(bytes_per_second.unwrap_or(0), Ordering::Relaxed);
    }

    pub(in crate::world) fn is_limited(&self) -> bool {
        self.bytes_per_second.load(Ordering::Relaxed) > 0
    }

    async fn pass(&self, bytes: usize) {
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let now = Instant::now();
        let wait = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
            start - now
        };
        tokio::time::sleep(wait).await;
    }
}

/// Sends frames until all senders are gone or the line is.
pub(super) async fn send(
    mut to: Outgoing,
    mut urgent: mpsc::UnboundedReceiver<Frame>,
    mut bulk: mpsc::Receiver<Frame>,
    (gauge, crossed): (Arc<Gauge>, Crossed),
    limiter: Arc<Limiter>,
) {
    let (mut together, mut sent_bytes, mut busy) = (BytesMut::new(), 0, Duration::ZERO);
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = urgent.recv() => frame,
            Some(frame) = bulk.recv() => frame,
            else => break,
        };
        let mut large = None;
        let mut next = Some(frame);
        while let Some(frame) = next {
            together.extend_from_slice(&frame.head.to_bytes());
            if frame.content.len() >= SMALL_BYTES {
                large = Some(frame.content);
                break;
            }
            together.extend_from_slice(&frame.content);
            if together.len() >= TOGETHER_BYTES {
                break;
            }
            next = urgent.try_recv().or_else(|_| bulk.try_recv()).ok();
        }
        let bytes = together.len() + large.as_ref().map_or(0, Bytes::len);
        limiter.pass(bytes).await;
        let begun = Instant::now();
        let mut is_sent = to.write(together.split().freeze()).await;
        if let Some(large) = large {
            is_sent = is_sent && to.write(large).await;
        }
        if !is_sent || !to.flush().await {
            return;
        }
        crossed.add(bytes);
        busy += begun.elapsed();
        sent_bytes += bytes;
        if sent_bytes >= MEASURE_BYTES {
            gauge.tell(sent_bytes, busy);
            (sent_bytes, busy) = (0, Duration::ZERO);
        }
        together.reserve(HEAD_BYTES);
    }
    to.end().await;
}
