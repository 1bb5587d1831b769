//! Cutting content, and the sums of what was cut.

use fastcdc::v2020::{MASKS, cut};
use twox_hash::XxHash3_64;

use super::matching::Matcher;
use crate::mirror::{CHUNK_BYTES_MAX, ChunkSum, GRAIN_BYTES, Signature};

/// Of a chunk so much is never looked at for a place to cut: half of the time.
const CHUNK_BYTES_MIN: usize = 1 << 15;
const CHUNK_BYTES: usize = 1 << 16;
/// Cuts are rare up to the usual length and frequent beyond it, so that lengths are close to it: log2 of [`CHUNK_BYTES`], one up
/// and one down (FastCDC's normalization, level 1).
const MASKS_RARE_FREQUENT: (u64, u64) = (MASKS[17], MASKS[15]);

/// The signature of all of this content.
///
/// ```
/// let signature = dr_core::mirror::sign(&[7; 100_000]);
/// assert_eq!(signature.size_bytes(), 100_000);
/// assert!(signature.is_sound());
/// ```
#[must_use]
pub fn sign(content: &[u8]) -> Signature {
    let mut matcher = Matcher::new(None, 0);
    let mut spans = vec![];
    let mut rest = content;
    while !rest.is_empty() {
        let space = matcher.space();
        let (now, later) = rest.split_at(rest.len().min(space.capacity() - space.len()));
        space.extend_from_slice(now);
        matcher.look(&mut spans);
        spans.clear();
        rest = later;
    }
    matcher.finish(&mut spans)
}

/// The length of the first chunk; all of `content` if it ends before there is a cut.
pub(super) fn first_chunk(content: &[u8]) -> usize {
    let (rare, frequent) = MASKS_RARE_FREQUENT;
    cut(content, CHUNK_BYTES_MIN, CHUNK_BYTES, CHUNK_BYTES_MAX, rare, frequent, rare << 1, frequent << 1).1
}

/// The sums of the grains of a chunk.
pub(super) fn grains_of(chunk: &[u8]) -> impl Iterator<Item = u64> {
    chunk.chunks(GRAIN_BYTES).map(grain)
}

pub(super) fn grain(content: &[u8]) -> u64 {
    XxHash3_64::oneshot(content)
}

/// The sum of a chunk with these grains.
pub(super) fn sum_of(grains: &[u64]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for grain in grains {
        hasher.update(&grain.to_le_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

/// A signature in the making.
#[derive(Default)]
pub(super) struct Signing(Signature);

impl Signing {
    /// One more chunk.
    pub(super) fn chunk(&mut self, chunk: ChunkSum, grains: &[u64]) {
        self.0.chunks.push(chunk);
        self.0.grains.extend_from_slice(grains);
    }

    /// So many zeros, as chunks of the greatest length: all of those are alike.
    pub(super) fn zeros(&mut self, bytes: u64) {
        let longest = CHUNK_BYTES_MAX as u64;
        let zeros = vec![0; bytes.min(longest) as usize];
        let all: Vec<u64> = grains_of(&zeros).collect();
        let chunk = ChunkSum { bytes: zeros.len() as u32, sum: sum_of(&all) };
        for _ in 0..bytes / longest {
            self.chunk(chunk, &all);
        }
        let rest = &zeros[..(bytes % longest) as usize];
        if !rest.is_empty() {
            let grains: Vec<u64> = grains_of(rest).collect();
            self.chunk(ChunkSum { bytes: rest.len() as u32, sum: sum_of(&grains) }, &grains);
        }
    }

    pub(super) fn finish(self) -> Signature {
        self.0
    }
}
