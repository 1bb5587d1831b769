//! Whether a pack is compressed, and how hard: what the line gains must be worth the processor's time.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;

use super::outgoing::Gauge;
use crate::mirror::Compress;
use crate::mirror::wire::FRAME_BYTES_MAX;

/// Packs shorter than this are not worth it.
const LEAST_BYTES: usize = 512;
/// After a pack that did not shrink so many are sent as they are.
const SKIPPED: u32 = 15;
/// Lines with a shorter round trip are taken for fast until their rate is known.
const NEAR_MICROS: u64 = 3_000;

/// One line's compression.
#[derive(Default)]
pub(in crate::world) struct Squeeze {
    mode: AtomicU8,
    skip: AtomicU32,
    round_trip_micros: AtomicU64,
}

impl Squeeze {
    pub(in crate::world) fn set(&self, mode: Compress) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// As on another line to the same host.
    pub(in crate::world) fn like(&self, other: &Self) {
        self.mode.store(other.mode.load(Ordering::Relaxed), Ordering::Relaxed);
        self.set_round_trip(other.round_trip_micros());
    }

    /// How long a question and its answer take.
    pub(in crate::world) fn set_round_trip(&self, micros: u64) {
        self.round_trip_micros.store(micros, Ordering::Relaxed);
    }

    pub(in crate::world) fn round_trip_micros(&self) -> u64 {
        self.round_trip_micros.load(Ordering::Relaxed)
    }

    /// The pack compressed; none if it goes as it is. `is_content`: files, of which nobody knows whether they shrink; else
    /// metadata, which always does.
    pub(super) fn pack(&self, content: &Bytes, is_content: bool, gauge: &Gauge) -> Option<Bytes> {
        if content.len() < LEAST_BYTES || content.len() > FRAME_BYTES_MAX {
            return None;
        }
        if !is_content {
            return zstd::bulk::compress(content, 1)
                .ok()
                .filter(|packed| packed.len() < content.len())
                .map(Into::into);
        }
        let level = self.level(gauge.bytes_per_second())?;
        if self.skip.load(Ordering::Relaxed) > 0 {
            self.skip.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let packed = zstd::bulk::compress(content, level).ok()?;
        // It must be read again at the far end: a few in a hundred are not worth it.
        if packed.len() > content.len() / 16 * 15 {
            self.skip.store(SKIPPED, Ordering::Relaxed);
            return None;
        }
        Some(packed.into())
    }

    fn level(&self, bytes_per_second: u64) -> Option<i32> {
        let is_near = self.round_trip_micros() < NEAR_MICROS;
        match self.mode.load(Ordering::Relaxed) {
            mode if mode == Compress::Never as u8 => None,
            mode if mode == Compress::Always as u8 => Some(3),
            _ => match bytes_per_second {
                0 if is_near => None,
                0 => Some(1),
                1..15_000_000 => Some(3),
                15_000_000..80_000_000 => Some(1),
                80_000_000..250_000_000 if !is_near => Some(-1),
                _ => None,
            },
        }
    }
}

/// The content of a packed frame; none if it is not what its head says.
pub(super) fn open(content: &Bytes, length: usize) -> Option<Bytes> {
    let unpacked = zstd::bulk::decompress(content, length).ok()?;
    (unpacked.len() == length).then(|| unpacked.into())
}
