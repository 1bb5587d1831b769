//! Cutting content, and the sums of what was cut.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use fastcdc::v2020::{MASKS, cut};

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

pub(super) fn sum_of(chunk: &[u8]) -> [u8; 16] {
    half(&blake3::hash(chunk))
}

fn half(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

/// A grain as a node of the tree of its chunk's BLAKE3: its hash is then no extra work.
pub(super) fn grain(content: &[u8], offset_in_chunk: usize) -> ChainingValue {
    blake3::Hasher::new().set_input_offset(offset_in_chunk as u64).update(content).finalize_non_root()
}

pub(super) fn short(grain: &ChainingValue) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&grain[..8]);
    u64::from_le_bytes(first)
}

/// A signature in the making.
#[derive(Default)]
pub(super) struct Signing {
    signature: Signature,
    grains: Vec<ChainingValue>,
}

impl Signing {
    /// One more chunk, of which nothing is known.
    pub(super) fn chunk(&mut self, content: &[u8]) {
        self.grains.clear();
        let offsets = (0..).step_by(GRAIN_BYTES);
        self.grains
            .extend(content.chunks(GRAIN_BYTES).zip(offsets).map(|(part, offset)| grain(part, offset)));
        let sum = match self.grains.as_slice() {
            [] => return,
            [_] => sum_of(content),
            grains => half(&root(grains, content.len() as u64)),
        };
        self.signature.chunks.push(ChunkSum { bytes: content.len() as u32, sum });
        self.signature.grains.extend(self.grains.iter().map(short));
    }

    /// One more chunk, of which everything is known.
    pub(super) fn known(&mut self, chunk: ChunkSum, grains: &[u64]) {
        self.signature.chunks.push(chunk);
        self.signature.grains.extend_from_slice(grains);
    }

    /// So many zeros, as chunks of the greatest length: all of those are alike.
    pub(super) fn zeros(&mut self, bytes: u64) {
        let (full, rest) = (bytes / CHUNK_BYTES_MAX as u64, bytes % CHUNK_BYTES_MAX as u64);
        let zeros = vec![0; if full > 0 { CHUNK_BYTES_MAX } else { rest as usize }];
        if full > 0 {
            self.chunk(&zeros);
            let Self { signature, grains } = self;
            let chunk = signature.chunks.last().copied();
            for _ in 1..full {
                signature.chunks.extend(chunk);
                signature.grains.extend(grains.iter().map(short));
            }
        }
        self.chunk(&zeros[..rest as usize]);
    }

    pub(super) fn finish(self) -> Signature {
        self.signature
    }
}

/// The BLAKE3 of a chunk from its grains, which are at least two.
fn root(grains: &[ChainingValue], bytes: u64) -> blake3::Hash {
    let left = left_subtree_len(bytes);
    let (before, after) = grains.split_at(left as usize / GRAIN_BYTES);
    merge_subtrees_root(&node(before, left), &node(after, bytes - left), Mode::Hash)
}

fn node(grains: &[ChainingValue], bytes: u64) -> ChainingValue {
    if let [grain] = grains {
        return *grain;
    }
    let left = left_subtree_len(bytes);
    let (before, after) = grains.split_at(left as usize / GRAIN_BYTES);
    merge_subtrees_non_root(&node(before, left), &node(after, bytes - left), Mode::Hash)
}
