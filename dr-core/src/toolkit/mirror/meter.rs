//! How far a mirror has come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::mirror::Transfer;
use crate::run::Event;
use crate::time::Tick;
use crate::world::{Control, World};

/// So often is it told at most.
const PACE: Duration = Duration::from_millis(100);

/// Tells how far a mirror has come: paths that are done, and bytes that left the source. Rates and remaining time are for whoever
/// shows it.
pub(super) struct Meter<'a> {
    world: &'a World,
    control: &'a Control,
    paths: AtomicU64,
    bytes: AtomicU64,
    all_paths: u64,
    all_bytes: u64,
    phase: Mutex<&'static str>,
    told: Mutex<Tick>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(world: &'a World, control: &'a Control, transfer: &Transfer) -> Self {
        Self {
            world,
            control,
            paths: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            all_paths: transfer.changes.len() as u64,
            all_bytes: transfer.summary.bytes,
            phase: Mutex::new("copy"),
            told: Mutex::new(world.clock.read().boot),
        }
    }

    /// From now on this is under way.
    pub(super) fn phase(&self, phase: &'static str) {
        let mut now = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != phase {
            *now = phase;
            drop(now);
            self.tell_all();
        }
    }

    /// So many more paths are done.
    pub(super) fn paths(&self, more: usize) {
        self.paths.fetch_add(more as u64, Ordering::Relaxed);
        self.tell();
    }

    /// So many more bytes are on their way.
    pub(super) fn bytes(&self, more: u64) {
        if more > 0 {
            self.bytes.fetch_add(more, Ordering::Relaxed);
            self.tell();
        }
    }

    fn tell(&self) {
        let now = self.world.clock.read().boot;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*told) >= PACE {
            *told = now;
            drop(told);
            self.tell_all();
        }
    }

    pub(super) fn tell_all(&self) {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = |done: &AtomicU64, total, unit: &str| {
            self.control.emit(&Event::Progress {
                phase: phase.into(),
                done: done.load(Ordering::Relaxed),
                total: Some(total),
                unit: unit.into(),
            });
        };
        tell(&self.paths, self.all_paths, "files");
        tell(&self.bytes, self.all_bytes, "bytes");
    }
}
