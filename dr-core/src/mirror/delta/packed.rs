//! Signatures as bytes, for the disk and the line.

use std::ops::Range;

use crate::mirror::{ChunkSum, Signature};

/// What such bytes begin with.
const MAGIC: &[u8; 8] = b"dr-sig1\n";
const HEAD_BYTES: usize = 8 + 8 + 8 + 4 + 4;
const SUM_BYTES: usize = 16;

/// The signature of a range of a file, or of all of it.
///
/// ```
/// use dr_core::mirror::{SignedRange, sign};
/// let part = SignedRange { range: 0..4, signature: sign(b"page") };
/// assert_eq!(SignedRange::unpack(&part.pack()), Some(part.clone()));
/// assert_eq!(SignedRange::unpack(&part.pack()[1..]), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRange {
    /// Which bytes of the file.
    pub range: Range<u64>,
    /// Their chunks.
    pub signature: Signature,
}

impl SignedRange {
    /// As bytes: 20 for each chunk, 8 for each grain, and a sum over all of it.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let Signature { staged, chunks, grains } = &self.signature;
        let length = HEAD_BYTES + 20 * chunks.len() + 8 * grains.len() + SUM_BYTES;
        let mut packed = Vec::with_capacity(length);
        packed.extend_from_slice(MAGIC);
        packed.extend_from_slice(&self.range.start.to_le_bytes());
        packed.extend_from_slice(&self.range.end.to_le_bytes());
        packed.extend_from_slice(&u32::from(*staged).to_le_bytes());
        packed.extend_from_slice(&u32::try_from(chunks.len()).unwrap_or(u32::MAX).to_le_bytes());
        for chunk in chunks {
            packed.extend_from_slice(&chunk.bytes.to_le_bytes());
            packed.extend_from_slice(&chunk.sum);
        }
        for grain in grains {
            packed.extend_from_slice(&grain.to_le_bytes());
        }
        let sum = blake3::hash(&packed);
        packed.extend_from_slice(&sum.as_bytes()[..SUM_BYTES]);
        packed
    }

    /// From bytes; none if they are not all there, or damaged, or speak of another range than they cover.
    #[must_use]
    pub fn unpack(packed: &[u8]) -> Option<Self> {
        let (content, sum) = packed.split_at_checked(packed.len().checked_sub(SUM_BYTES)?)?;
        if blake3::hash(content).as_bytes()[..SUM_BYTES] != *sum {
            return None;
        }
        let range = Self::range_of(content)?;
        let (head, rest) = content.split_at_checked(HEAD_BYTES)?;
        let staged = number(&head[24..28])? != 0;
        let count = usize::try_from(number(&head[28..32])?).ok()?;
        let (chunks, grains) = rest.split_at_checked(count.checked_mul(20)?)?;
        let chunks = chunks.as_chunks::<20>().0.iter().map(|chunk| {
            let (mut bytes, mut sum) = ([0; 4], [0; 16]);
            bytes.copy_from_slice(&chunk[..4]);
            sum.copy_from_slice(&chunk[4..]);
            ChunkSum { bytes: u32::from_le_bytes(bytes), sum }
        });
        let (grains, odd) = grains.as_chunks::<8>();
        let grains = grains.iter().map(|grain| u64::from_le_bytes(*grain)).collect();
        let signature = Signature { staged, chunks: chunks.collect(), grains };
        let covers = range.end.checked_sub(range.start) == Some(signature.size_bytes());
        (odd.is_empty() && covers && signature.is_sound()).then_some(Self { range, signature })
    }

    /// Which bytes of the file packed ones are about, by the first [`Self::HEAD`] of them.
    #[must_use]
    pub fn range_of(packed: &[u8]) -> Option<Range<u64>> {
        let head = packed.get(..HEAD_BYTES).filter(|head| head.starts_with(MAGIC))?;
        let range = number(&head[8..16])?..number(&head[16..24])?;
        (range.start <= range.end).then_some(range)
    }

    /// So many bytes say what range the rest is about.
    pub const HEAD: usize = HEAD_BYTES;
}

/// Little-endian, of up to eight bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    let mut all = [0; 8];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(all))
}
