//! The clocks of this machine, and whether they can be trusted.

use std::time::Duration;

use async_trait::async_trait;
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::{Clock, Reading};
use crate::time::{Tick, Timestamp};

/// How far two clocks may drift apart between two readings before it counts as a disturbance.
pub const DISTURBANCE: Duration = Duration::from_secs(2);

/// The longest piece of a sleep: the runtime's timers stand still in a suspend, so the clock is read again this often.
const SLICE: Duration = Duration::from_secs(2);

/// The clocks of this machine (clock_gettime(2)).
///
/// ```
/// use dr_core::world::{Clock, clock::SystemClock};
/// let clock = SystemClock::new();
/// let (before, after) = (clock.read(), clock.read());
/// assert!(after.boot >= before.boot && after.running >= before.running);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock(());

impl SystemClock {
    /// The clocks of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn read(&self) -> Reading {
        Reading {
            wall: wall(),
            boot: Tick(span(clock_gettime(ClockId::Boottime))),
            running: Tick(span(clock_gettime(ClockId::Monotonic))),
        }
    }

    async fn sleep(&self, wanted: Duration) {
        let started = self.read().boot;
        loop {
            let left = wanted.saturating_sub(self.read().boot.since(started));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }
}

/// The wall clock now.
pub(crate) fn wall() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    Timestamp::from_micros(now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000))
}

fn span(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What happened to the clocks between two readings: whatever was timed across it is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// How long the machine was suspended; zero if it was not.
    pub suspended: Duration,
    /// How far the wall clock was set, in microseconds: forward if positive, back if negative; 0 if it was not.
    pub jumped_us: i64,
}

impl Reading {
    /// Whether the machine was suspended or its wall clock set since `earlier`, by more than [`DISTURBANCE`].
    ///
    /// ```
    /// use dr_core::world::Reading;
    /// use dr_core::{Tick, Timestamp};
    /// use std::time::Duration;
    /// let tick = |seconds| Tick(Duration::from_secs(seconds));
    /// let before = Reading { wall: Timestamp::from_micros(0), boot: tick(100), running: tick(100) };
    /// let after = Reading { wall: Timestamp::from_micros(60_000_000), boot: tick(160), running: tick(101) };
    /// let disturbance = after.disturbance_since(&before).unwrap();
    /// assert_eq!((disturbance.suspended, disturbance.jumped_us), (Duration::from_secs(59), 0));
    /// assert!(before.disturbance_since(&before).is_none());
    /// ```
    #[must_use]
    pub fn disturbance_since(&self, earlier: &Self) -> Option<Disturbance> {
        let passed = self.boot.since(earlier.boot);
        let slept = passed.saturating_sub(self.running.since(earlier.running));
        let on_the_wall = self.wall.as_micros().saturating_sub(earlier.wall.as_micros());
        let jumped = on_the_wall.saturating_sub(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX));
        let found = Disturbance {
            suspended: if slept > DISTURBANCE { slept } else { Duration::ZERO },
            jumped_us: if u128::from(jumped.unsigned_abs()) > DISTURBANCE.as_micros() { jumped } else { 0 },
        };
        (found.suspended > Duration::ZERO || found.jumped_us != 0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall_s: i64, boot_s: u64, running_s: u64) -> Reading {
        Reading {
            wall: Timestamp::from_micros(wall_s * 1_000_000),
            boot: Tick(Duration::from_secs(boot_s)),
            running: Tick(Duration::from_secs(running_s)),
        }
    }

    fn check(later: Reading, expected: Option<(u64, i64)>) {
        let seen = later.disturbance_since(&reading(1_000, 100, 50));
        let seen = seen.map(|found| (found.suspended.as_secs(), found.jumped_us / 1_000_000));
        assert_eq!(seen, expected, "{later:?}");
    }

    #[test]
    fn suspends_and_jumps_are_told_apart() {
        check(reading(1_010, 110, 60), None);
        check(reading(1_012, 110, 60), None);
        check(reading(1_013, 110, 60), Some((0, 3)));
        check(reading(400, 110, 60), Some((0, -610)));
        check(reading(1_010, 110, 58), None);
        check(reading(1_010, 110, 55), Some((5, 0)));
        check(reading(5_010, 110, 55), Some((5, 4_000)));
        // Readings in the wrong order say nothing about the time between them, and nothing breaks.
        check(reading(1_000, 90, 40), None);
        check(reading(i64::MAX / 1_000_000, 100, 50), Some((0, 253_402_206_200)));
    }
}
