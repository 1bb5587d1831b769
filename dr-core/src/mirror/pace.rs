//! When the next round of a mirror that goes on is due: soon after a change, never in the middle of one, never without rest.

use std::time::Duration;

use crate::time::Tick;

/// Of the time between two rounds, at most one part in so many goes into a round, unless full looks are wanted more often: the first
/// copy of a large tree takes hours, and the next round must not wait for a day.
const REST: u32 = 4;
/// A tree that never comes to rest is mirrored all the same, after so many times the quiet that was waited for.
const PATIENCE: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// When the next round is due. Times are those of one machine's own clock.
///
/// ```
/// use std::time::Duration;
/// use dr_core::{Tick, mirror::Pace};
/// let at = |ms| Tick(Duration::from_millis(ms));
/// let mut pace = Pace::new(Duration::from_millis(500), Duration::from_secs(600), at(0));
/// pace.begun();
/// pace.done(at(0), at(100));
/// assert_eq!(pace.due(), at(600_100), "nothing has changed: the next full look is far off");
/// pace.changed(at(2000));
/// assert_eq!(pace.due(), at(2500), "soon after a change");
/// pace.changed(at(2400));
/// assert_eq!(pace.due(), at(2900), "but not while it goes on");
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    /// For so long nothing must have changed.
    quiet: Duration,
    /// Between two rounds for which there was no reason.
    idle: Duration,
    /// The first change that is not mirrored, and the last.
    changes: Option<(Tick, Tick)>,
    /// The first change that the round under way brings across.
    under_way: Option<Tick>,
    /// Not before this.
    rest_until: Tick,
    idle_until: Tick,
    failures: u32,
}

impl Pace {
    /// A first round is due at once. `quiet` is waited for after a change; without any, a round comes every `idle`.
    #[must_use]
    pub fn new(quiet: Duration, idle: Duration, now: Tick) -> Self {
        Self { quiet, idle, changes: None, under_way: None, rest_until: now, idle_until: now, failures: 0 }
    }

    /// Without any change, a round comes so often from the next one on.
    pub fn look_every(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Something changed in the source.
    pub fn changed(&mut self, at: Tick) {
        let first = self.changes.map_or(at, |(first, _)| first);
        self.changes = Some((first, at));
    }

    /// When the next round is due.
    #[must_use]
    pub fn due(&self) -> Tick {
        let wanted = match self.changes {
            Some((first, last)) => Tick((last.0 + self.quiet).min(first.0 + self.quiet * PATIENCE)),
            None => self.idle_until,
        };
        wanted.max(self.rest_until)
    }

    /// A round begins: it brings across what has changed until now.
    pub fn begun(&mut self) {
        self.under_way = self.changes.take().map(|(first, _)| first);
    }

    /// The round has succeeded. Gives how far the target was behind at its worst: since the first change that the round has
    /// brought across.
    pub fn done(&mut self, began: Tick, ended: Tick) -> Duration {
        self.failures = 0;
        self.rest_until = Tick(ended.0 + (ended.since(began) * REST).min(self.idle));
        self.idle_until = Tick(ended.0 + self.idle);
        self.under_way.take().map_or(Duration::ZERO, |first| ended.since(first))
    }

    /// The round has failed: what it should have brought across still waits. The pause doubles with every failure, up to a minute.
    pub fn failed(&mut self, ended: Tick) {
        let first = self.under_way.take().or_else(|| self.changes.map(|(first, _)| first)).unwrap_or(ended);
        let last = self.changes.map_or(first, |(_, last)| last);
        self.changes = Some((first, last));
        let backoff = FIRST_BACKOFF * 2_u32.saturating_pow(self.failures.min(10));
        self.failures += 1;
        self.rest_until = Tick(ended.0 + backoff.min(LONGEST_BACKOFF));
    }

    /// How far the target is behind now.
    #[must_use]
    pub fn lag(&self, now: Tick) -> Duration {
        let first = self.under_way.or_else(|| self.changes.map(|(first, _)| first));
        first.map_or(Duration::ZERO, |first| now.since(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Tick {
        Tick(Duration::from_millis(ms))
    }

    fn rested() -> Pace {
        let mut pace = Pace::new(Duration::from_millis(500), Duration::from_secs(600), at(0));
        assert_eq!(pace.due(), at(0), "the first round is due at once");
        pace.begun();
        pace.done(at(0), at(0));
        pace
    }

    #[test]
    fn a_tree_that_never_rests_is_mirrored_all_the_same() {
        let mut pace = rested();
        for ms in (10_000..20_000).step_by(100) {
            pace.changed(at(ms));
        }
        assert_eq!(pace.due(), at(15_000));
    }

    #[test]
    fn most_of_the_time_is_rest() {
        let mut pace = rested();
        pace.changed(at(1000));
        pace.begun();
        pace.changed(at(1600));
        assert_eq!(pace.done(at(1500), at(3500)), Duration::from_millis(2500));
        assert_eq!(pace.due(), at(3500 + 4 * 2000));
        // But for a first copy that took an hour.
        pace.begun();
        pace.changed(at(3_700_000));
        pace.done(at(100_000), at(3_700_000));
        assert_eq!(pace.due(), at(3_700_000 + 600_000));
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_is_not_forgotten() {
        let mut pace = rested();
        pace.changed(at(1000));
        let mut now = 2000;
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            pace.begun();
            pace.failed(at(now));
            assert_eq!(pace.due(), at(now + seconds * 1000));
            now += seconds * 1000;
        }
        assert_eq!(pace.lag(at(now)), Duration::from_millis(now - 1000));
        pace.begun();
        pace.done(at(now), at(now));
        assert_eq!(pace.lag(at(now)), Duration::ZERO);
    }

    #[test]
    fn a_change_while_a_round_runs_is_for_the_next() {
        let mut pace = rested();
        pace.changed(at(1000));
        pace.begun();
        pace.changed(at(1550));
        assert_eq!(pace.lag(at(1600)), Duration::from_millis(600));
        pace.done(at(1500), at(1600));
        assert_eq!(pace.lag(at(1600)), Duration::from_millis(50));
        assert_eq!(pace.due(), at(2050));
    }
}
