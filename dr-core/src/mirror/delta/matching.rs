//! New content against what the target has.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::index::Index;
use super::signing::{Signing, first_chunk, grains_of, sum_of};
use crate::mirror::{CHUNK_BYTES_MAX, ChunkSum, Signature};

/// So much content is looked at at once: it stays in the processor's cache.
const WINDOW_BYTES: usize = 1 << 20;
/// What was not found waits for what comes after it: from there, it may be found backwards.
const WAITING_BYTES_MAX: usize = 2 * CHUNK_BYTES_MAX;
/// Content that is shorter is copied, so that it does not hold a whole window in memory.
const SLICE_BYTES_MIN: usize = 1 << 16;
/// If none of its last grains is the same, a chunk was not only edited.
const LAST_GRAINS: usize = 4;

/// Some of the new content: what the basis has, or what must travel.
///
/// ```
/// use dr_core::mirror::Span;
/// assert_ne!(Span::Copy { offset: 0, from: 0, bytes: 1 }, Span::Data { offset: 0, bytes: "x".into() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// The basis has it.
    Copy {
        /// Where it is in the new content.
        offset: u64,
        /// Where it is in the basis.
        from: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// The basis does not.
    Data {
        /// Where it is in the new content.
        offset: u64,
        /// What it is.
        bytes: Bytes,
    },
}

/// Says what of new content a basis has, and makes the signature of the new content.
///
/// ```
/// use std::sync::Arc;
/// use dr_core::mirror::{Index, Matcher, Span, sign};
/// let old = vec![7; 100_000];
/// let mut matcher = Matcher::new(Index::new(sign(&old)).map(Arc::new), 0);
/// matcher.space().extend_from_slice(&old);
/// let mut spans = vec![];
/// let signature = matcher.finish(&mut spans);
/// assert_eq!(spans, [Span::Copy { offset: 0, from: 0, bytes: 100_000 }]);
/// assert_eq!(signature, sign(&old));
/// ```
pub struct Matcher {
    index: Option<Arc<Index>>,
    window: Vec<u8>,
    /// Where the window begins in the file.
    offset: u64,
    /// The window up to here has been told.
    head: usize,
    /// The window up to here has been looked at.
    at: usize,
    /// The chunk of the basis that comes next if nothing has changed.
    expected: Option<usize>,
    /// Where `head` would be in the basis if nothing was inserted or removed since the last match.
    old: u64,
    signing: Signing,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Whether a look was possible, or more content must come first.
#[derive(PartialEq, Eq)]
enum Look {
    Done,
    More,
    /// It is not what was expected.
    Lost,
}

impl Matcher {
    /// For content that begins at `offset` of its file. Without a basis, all of it must travel.
    #[must_use]
    pub fn new(index: Option<Arc<Index>>, offset: u64) -> Self {
        // No file is longer than that, whatever is asked for.
        let offset = offset.min(i64::MAX as u64);
        let expected = index.as_ref().and_then(|index| index.starting_at(offset));
        let signing = Signing::default();
        Self { index, window: vec![], offset, head: 0, at: 0, expected, old: offset, signing }
    }

    /// Where content is to be appended, up to its capacity. Then comes [`Self::look`].
    #[must_use]
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.window.capacity() - self.window.len() < WINDOW_BYTES / 4 {
            let mut larger = Vec::with_capacity(self.window.len() + WINDOW_BYTES);
            larger.extend_from_slice(&self.window);
            self.window = larger;
        }
        &mut self.window
    }

    /// Looks at what has been appended. What is certain goes to `spans`, in order.
    pub fn look(&mut self, spans: &mut Vec<Span>) {
        self.go(false, spans);
    }

    /// Goes on behind a hole of so many bytes, which are zero and of which nothing is said.
    pub fn skip(&mut self, bytes: u64, spans: &mut Vec<Span>) {
        self.go(true, spans);
        self.signing.zeros(bytes);
        self.offset = self.offset.saturating_add(bytes);
        self.expected = self.index.as_ref().and_then(|index| index.starting_at(self.offset));
        self.old = self.offset;
    }

    /// Says the rest, and gives the signature of all of the content.
    #[must_use]
    pub fn finish(mut self, spans: &mut Vec<Span>) -> Signature {
        self.go(true, spans);
        self.signing.finish()
    }

    fn go(&mut self, is_last: bool, spans: &mut Vec<Span>) {
        let window = Bytes::from(std::mem::take(&mut self.window));
        while self.at < window.len() {
            let looked = match self.expected {
                Some(number) => self.follow(number, &window, is_last, spans),
                None => self.search(&window, is_last, spans),
            };
            match looked {
                Look::Done => {}
                Look::Lost => self.expected = None,
                Look::More => break,
            }
        }
        if is_last {
            self.tell(&window, self.at, None, spans);
        }
        // What is not told yet is looked at again together with what comes.
        let mut rest = Vec::with_capacity(window.len() - self.head + WINDOW_BYTES);
        rest.extend_from_slice(&window[self.head..]);
        self.window = rest;
        self.offset += self.head as u64;
        self.at -= self.head;
        self.head = 0;
    }

    /// Compares what comes with the chunk that should.
    fn follow(&mut self, number: usize, window: &Bytes, is_last: bool, spans: &mut Vec<Span>) -> Look {
        let Some(index) = self.index.clone() else { return Look::Lost };
        let Some(expected) = index.chunk(number) else { return Look::Lost };
        let Some((content, after)) = window[self.at..].split_at_checked(expected.bytes as usize) else {
            return if is_last { Look::Lost } else { Look::More };
        };
        let grains: Vec<u64> = grains_of(content).collect();
        if grains == index.grains(number) {
            self.matched(&index, number, window, spans);
            return Look::Done;
        }
        let next = index.chunk(number + 1);
        let next_content = next.map(|next| after.get(..next.bytes as usize));
        if next_content == Some(None) && !is_last {
            return Look::More;
        }
        let mut last = grains.iter().zip(index.grains(number)).rev().take(LAST_GRAINS);
        let is_edited = last.any(|(new, old)| new == old)
            || next_content
                .flatten()
                .is_some_and(|content| grains_of(content).eq(index.grains(number + 1).iter().copied()));
        if !is_edited {
            return Look::Lost;
        }
        self.signing.chunk(ChunkSum { sum: sum_of(&grains), ..expected }, &grains);
        self.at += content.len();
        self.tell(window, self.at, None, spans);
        self.expected = Some(number + 1).filter(|_| next.is_some());
        Look::Done
    }

    /// Cuts what comes, and looks whether the basis has it anywhere.
    fn search(&mut self, window: &Bytes, is_last: bool, spans: &mut Vec<Span>) -> Look {
        let fresh = &window[self.at..];
        let bytes = first_chunk(fresh);
        if bytes == fresh.len() && bytes < CHUNK_BYTES_MAX && !is_last {
            return Look::More;
        }
        let grains: Vec<u64> = grains_of(&fresh[..bytes]).collect();
        let chunk = ChunkSum { bytes: bytes as u32, sum: sum_of(&grains) };
        let Some(index) = self.index.clone() else {
            self.signing.chunk(chunk, &grains);
            self.at += bytes;
            self.tell(window, self.at, None, spans);
            return Look::Done;
        };
        let near = self.old + (self.at - self.head) as u64;
        if let Some(number) = index.find(chunk, Some(near)) {
            self.matched(&index, number, window, spans);
            return Look::Done;
        }
        self.signing.chunk(chunk, &grains);
        self.at += bytes;
        if self.at - self.head > WAITING_BYTES_MAX {
            let waits = self.old + (self.at - self.head - CHUNK_BYTES_MAX) as u64;
            // A grain is told as a whole or waits as a whole.
            let waits = index.grain_start(waits).max(self.old + 1);
            self.tell(window, self.head + (waits - self.old) as usize, None, spans);
        }
        Look::Done
    }

    /// What comes is this chunk of the basis.
    fn matched(&mut self, index: &Index, number: usize, window: &Bytes, spans: &mut Vec<Span>) {
        let (Some(chunk), from) = (index.chunk(number), index.start(number)) else { return };
        self.tell(window, self.at, Some(from), spans);
        let bytes = u64::from(chunk.bytes);
        copy(spans, self.offset + self.head as u64, from, bytes);
        self.signing.chunk(chunk, index.grains(number));
        self.at += bytes as usize;
        self.head = self.at;
        self.old = from + bytes;
        self.expected = index.chunk(number + 1).map(|_| number + 1);
    }

    /// Says what is up to `upto`, by grains. `now` is where the basis has what comes there.
    fn tell(&mut self, window: &Bytes, upto: usize, now: Option<u64>, spans: &mut Vec<Span>) {
        let content = &window[self.head..upto];
        let bytes = content.len() as u64;
        let mut same = vec![];
        if let Some(index) = self.index.as_ref().filter(|_| bytes > 0) {
            let before = i128::from(self.old);
            same = index.same_grains(content, before);
            let after = now.map(|now| i128::from(now) - i128::from(bytes));
            if let Some(after) = after.filter(|after| *after != before) {
                fill(&mut same, index.same_grains(content, after));
            }
        }
        let start = self.offset + self.head as u64;
        let mut told = 0;
        for (part, from) in same {
            self.data(window, told..part.start, spans);
            copy(spans, start + part.start as u64, from, part.len() as u64);
            told = part.end;
        }
        self.data(window, told..content.len(), spans);
        self.head = upto;
        self.old += bytes;
    }

    /// Says that this part of the window, counted from `head`, must travel.
    fn data(&self, window: &Bytes, part: Range<usize>, spans: &mut Vec<Span>) {
        if part.is_empty() {
            return;
        }
        let offset = self.offset + (self.head + part.start) as u64;
        let bytes = window.slice(self.head + part.start..self.head + part.end);
        let bytes = if bytes.len() < SLICE_BYTES_MIN { Bytes::copy_from_slice(&bytes) } else { bytes };
        spans.push(Span::Data { offset, bytes });
    }
}

/// One more copy, which continues the last if it does in both files.
fn copy(spans: &mut Vec<Span>, offset: u64, from: u64, bytes: u64) {
    if let Some(Span::Copy { offset: before, from: source, bytes: so_far }) = spans.last_mut()
        && (*before + *so_far, *source + *so_far) == (offset, from)
    {
        *so_far += bytes;
        return;
    }
    spans.push(Span::Copy { offset, from, bytes });
}

/// Adds what overlaps nothing. Both are in order and so is the result.
fn fill(same: &mut Vec<(Range<usize>, u64)>, more: Vec<(Range<usize>, u64)>) {
    let taken = same.len();
    for (part, from) in more {
        let next = same[..taken].partition_point(|(other, _)| other.end <= part.start);
        if same[..taken].get(next).is_none_or(|(other, _)| other.start >= part.end) {
            same.push((part, from));
        }
    }
    same.sort_by_key(|(part, _)| part.start);
}
