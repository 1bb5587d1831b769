//! Frames as they come in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::mirror::wire::{FrameHead, HEAD_BYTES, MAGIC, Malformed};

/// So much is read at once where nothing is known of the next frame.
const READ_BYTES: usize = 128 * 1024;
/// So much may a login shell print before the agent speaks.
const NOISE_BYTES_MAX: usize = 64 * 1024;
/// So much is kept of what the far end says on standard error.
const LAST_WORDS_BYTES: usize = 2 * 1024;

/// Where bytes come from.
pub(in crate::world) enum Incoming {
    /// Any stream.
    Stream(Box<dyn AsyncRead + Send + Unpin>),
    /// A channel of an SSH connection.
    Channel(ChannelReadHalf),
}

/// What the far end said on standard error, or before it spoke as an agent: for errors.
#[derive(Clone, Default)]
pub(in crate::world) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    fn hear(&self, words: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(words);
        let over = kept.len().saturating_sub(LAST_WORDS_BYTES);
        kept.drain(..over);
    }

    /// Its last line that is not empty, fit for a terminal.
    pub(in crate::world) fn line(&self) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

/// How many bytes crossed the lines that share it, both ways: frames as they travel, and what comes before the first of them.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct Crossed(Arc<AtomicU64>);

impl Crossed {
    pub(in crate::world) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(in crate::world) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads frames.
pub(in crate::world) struct Frames {
    from: Incoming,
    buffer: BytesMut,
    pub(in crate::world) last_words: LastWords,
    pub(in crate::world) crossed: Crossed,
}

impl Frames {
    pub(in crate::world) fn new(from: Incoming) -> Self {
        Self::going_on(from, BytesMut::new())
    }

    /// Where some bytes have been read already.
    pub(in crate::world) fn going_on(from: Incoming, buffer: BytesMut) -> Self {
        Self { from, buffer, last_words: LastWords::default(), crossed: Crossed::default() }
    }

    /// What was read and not yet asked for.
    pub(in crate::world) fn into_rest(self) -> BytesMut {
        self.buffer
    }

    /// Waits for the first bytes of the other side and skips what comes before them; false if they never come.
    pub(in crate::world) async fn find_magic(&mut self) -> bool {
        let mut noise_bytes = 0;
        loop {
            let found = self.buffer.windows(MAGIC.len()).position(|window| window == MAGIC);
            let keep = self.buffer.len().min(MAGIC.len() - 1);
            let skipped = found.unwrap_or(self.buffer.len() - keep);
            self.last_words.hear(&self.buffer[..skipped]);
            noise_bytes += skipped;
            self.buffer.advance(skipped);
            if found.is_some() {
                self.buffer.advance(MAGIC.len());
                return true;
            }
            if noise_bytes > NOISE_BYTES_MAX || !self.more(READ_BYTES).await {
                self.last_words.hear(&self.buffer);
                return false;
            }
        }
    }

    /// The next frame; none at the end of the line, also when that comes within a frame.
    pub(in crate::world) async fn next(&mut self) -> Result<Option<(FrameHead, Bytes)>, Malformed> {
        while self.buffer.len() < HEAD_BYTES {
            if !self.more(READ_BYTES).await {
                return Ok(None);
            }
        }
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&self.buffer[..HEAD_BYTES]);
        let head = FrameHead::from_bytes(head)?;
        let whole = HEAD_BYTES + head.length as usize;
        while self.buffer.len() < whole {
            let missing = whole - self.buffer.len();
            if !self.more(missing.max(READ_BYTES)).await {
                return Ok(None);
            }
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some((head, self.buffer.split_to(head.length as usize).freeze())))
    }

    /// Reads more; false at the end.
    async fn more(&mut self, room: usize) -> bool {
        let before = self.buffer.len();
        let is_more = self.read(room).await;
        self.crossed.add(self.buffer.len() - before);
        is_more
    }

    async fn read(&mut self, room: usize) -> bool {
        self.buffer.reserve(room);
        match &mut self.from {
            Incoming::Stream(stream) => {
                matches!(stream.read_buf(&mut self.buffer).await, Ok(count) if count > 0)
            }
            Incoming::Channel(channel) => loop {
                match channel.wait().await {
                    Some(ChannelMsg::Data { data }) => {
                        self.buffer.extend_from_slice(&data);
                        break true;
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => self.last_words.hear(&data),
                    // What was said on standard error may still come after the end of standard output.
                    Some(ChannelMsg::Close | ChannelMsg::Failure) | None => break false,
                    Some(_) => {}
                }
            },
        }
    }
}
