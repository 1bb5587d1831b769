//! A signature to look things up in.

use std::collections::HashMap;
use std::ops::Range;

use super::signing::grain;
use crate::mirror::{ChunkSum, GRAIN_BYTES, Signature};

/// A [`Signature`] to look things up in: made once for each version of a file.
///
/// ```
/// use dr_core::mirror::{Index, Signature, sign};
/// assert!(Index::new(sign(b"page")).is_some());
/// let without_grains = Signature { grains: vec![], ..sign(b"page") };
/// assert!(Index::new(without_grains).is_none());
/// ```
#[derive(Debug)]
pub struct Index {
    signature: Signature,
    /// Where each chunk begins in the file; one more than there are chunks.
    starts: Vec<u64>,
    /// Where the grains of each chunk begin.
    first_grains: Vec<usize>,
    by_sum: HashMap<[u8; 16], u32>,
}

impl Index {
    /// None if the signature cannot be one.
    #[must_use]
    pub fn new(signature: Signature) -> Option<Self> {
        if !signature.is_sound() || u32::try_from(signature.chunks.len()).is_err() {
            return None;
        }
        let (mut starts, mut first_grains) = (vec![0], vec![]);
        let mut by_sum = HashMap::with_capacity(signature.chunks.len());
        let (mut start, mut first_grain) = (0, 0);
        for (chunk, number) in signature.chunks.iter().zip(0_u32..) {
            first_grains.push(first_grain);
            first_grain += (chunk.bytes as usize).div_ceil(GRAIN_BYTES);
            start += u64::from(chunk.bytes);
            starts.push(start);
            by_sum.entry(chunk.sum).or_insert(number);
        }
        Some(Self { signature, starts, first_grains, by_sum })
    }

    pub(super) fn chunk(&self, number: usize) -> Option<ChunkSum> {
        self.signature.chunks.get(number).copied()
    }

    pub(super) fn grains(&self, number: usize) -> &[u64] {
        let first = self.first_grains.get(number).copied().unwrap_or(self.signature.grains.len());
        let after = self.first_grains.get(number + 1).copied().unwrap_or(self.signature.grains.len());
        &self.signature.grains[first..after]
    }

    /// Where a chunk begins; the size of the file for the one after the last.
    pub(super) fn start(&self, number: usize) -> u64 {
        self.starts.get(number).or_else(|| self.starts.last()).copied().unwrap_or(0)
    }

    /// The chunk that begins just there.
    pub(super) fn starting_at(&self, offset: u64) -> Option<usize> {
        self.starts.binary_search(&offset).ok().filter(|number| *number < self.signature.chunks.len())
    }

    /// A chunk with this sum: the one at `near` if it is one of several.
    pub(super) fn find(&self, wanted: ChunkSum, near: Option<u64>) -> Option<usize> {
        let is_it = |number: &usize| self.chunk(*number) == Some(wanted);
        let there = near.and_then(|near| self.starting_at(near)).filter(is_it);
        there.or_else(|| self.by_sum.get(&wanted.sum).map(|number| *number as usize).filter(is_it))
    }

    /// The last beginning of a grain up to `offset`.
    pub(super) fn grain_start(&self, offset: u64) -> u64 {
        let start = self.start(self.chunk_with(offset));
        offset - offset.saturating_sub(start) % GRAIN_BYTES as u64
    }

    fn chunk_with(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Which parts of `content` are the grains that the file has there, if `content` begins where the file has `at` (which may be
    /// before its beginning). In order; with each where it is in the file.
    pub(super) fn same_grains(&self, content: &[u8], at: i128) -> Vec<(Range<usize>, u64)> {
        let mut same = vec![];
        let end = at + content.len() as i128;
        let Ok(first) = u64::try_from(at.max(0)) else { return same };
        let mut number = self.chunk_with(first);
        while let Some(chunk) = self.chunk(number) {
            let start = self.start(number);
            if i128::from(start) >= end {
                break;
            }
            let skipped = (first.saturating_sub(start) as usize).div_ceil(GRAIN_BYTES);
            for (wanted, place) in self.grains(number).iter().zip(0..).skip(skipped) {
                let from = i128::from(start) + (place * GRAIN_BYTES) as i128;
                let upto = (from + GRAIN_BYTES as i128).min(i128::from(start) + i128::from(chunk.bytes));
                if upto > end {
                    break;
                }
                let part = (from - at) as usize..(upto - at) as usize;
                if grain(&content[part.clone()]) == *wanted {
                    same.push((part, from as u64));
                }
            }
            number += 1;
        }
        same
    }
}
