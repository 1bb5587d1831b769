//! One observer's opinion of one service: from many sights to one verdict, quick to doubt and slow to trust again.

use serde::{Deserialize, Serialize};

use super::sight::{DownKind, Sight};
use super::votes::Verdict;
use crate::estate::Health as Thresholds;
use crate::time::Tick;

/// What many sights in a row amount to.
///
/// A service that was up goes down only after `fall` failures in a row, one that was down comes up only after `rise` good
/// answers in a row. A look that could not be made ([`Sight::Unknown`]) moves it neither way; one that was answered, but
/// badly ([`Sight::Degraded`]), keeps it up and is remembered, but never brings it up.
///
/// ```
/// use dr_core::failover::{DownKind, Health, Sight, Verdict};
/// use dr_core::{Tick, estate};
/// let thresholds = estate::Health { fall: 2, ..Default::default() };
/// let refused = Sight::Down { kind: DownKind::Refused, detail: String::new() };
/// let mut health = Health::default();
/// health.step(&Sight::Up { took_us: 900 }, Tick::default(), &thresholds);
/// assert_eq!(health.verdict(), Verdict::Up);
/// health.step(&refused, Tick::default(), &thresholds);
/// assert_eq!(health.verdict(), Verdict::Unknown, "in doubt: no longer a vote for up, not yet one for down");
/// health.step(&refused, Tick::default(), &thresholds);
/// assert_eq!(health.verdict(), Verdict::Down { kind: DownKind::Refused });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    condition: Condition,
    /// Sights against the condition, in a row: failures while it is up, good answers while it is down.
    against: u32,
    /// Whether the last look could not be made.
    blinded: bool,
    degraded: Option<String>,
    since: Tick,
    last_good: Option<Tick>,
}

/// What a service is taken to be.
///
/// ```
/// use dr_core::failover::Condition;
/// assert_eq!(Condition::default(), Condition::Unproven);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing is known yet. The first good answer makes it up: nothing speaks against it.
    #[default]
    Unproven,
    /// It is up.
    Up,
    /// It is down, in this way last.
    Down(DownKind),
}

impl Health {
    /// Takes in what was seen `now`.
    pub fn step(&mut self, sight: &Sight, now: Tick, thresholds: &Thresholds) {
        self.blinded = matches!(sight, Sight::Unknown { .. });
        match sight {
            Sight::Unknown { .. } => {}
            Sight::Up { .. } => {
                self.degraded = None;
                self.last_good = Some(now);
                self.answered(now, thresholds);
            }
            Sight::Degraded { detail } => {
                self.degraded = Some(detail.clone());
                if self.condition == Condition::Up {
                    self.against = 0;
                }
            }
            Sight::Down { kind, .. } => self.failed(*kind, now, thresholds),
        }
    }

    fn answered(&mut self, now: Tick, thresholds: &Thresholds) {
        match self.condition {
            Condition::Up => self.against = 0,
            Condition::Unproven => self.become_now(Condition::Up, now),
            Condition::Down(_) => {
                self.against = self.against.saturating_add(1);
                if self.against >= thresholds.rise {
                    self.become_now(Condition::Up, now);
                }
            }
        }
    }

    fn failed(&mut self, kind: DownKind, now: Tick, thresholds: &Thresholds) {
        match self.condition {
            Condition::Down(_) => {
                self.condition = Condition::Down(kind);
                self.against = 0;
            }
            Condition::Up | Condition::Unproven => {
                self.against = self.against.saturating_add(1);
                if self.against >= thresholds.fall {
                    self.become_now(Condition::Down(kind), now);
                }
            }
        }
    }

    fn become_now(&mut self, condition: Condition, now: Tick) {
        self.condition = condition;
        self.against = 0;
        self.since = now;
    }

    /// What the service is taken to be.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// What this observer may say aloud. It speaks for up or down only while nothing that it saw since speaks against it: an
    /// observer in doubt supports nobody.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.condition {
            _ if self.blinded || self.against > 0 => Verdict::Unknown,
            Condition::Unproven => Verdict::Unknown,
            Condition::Up => Verdict::Up,
            Condition::Down(kind) => Verdict::Down { kind },
        }
    }

    /// What was not quite right at the last answer.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Since when the condition holds.
    #[must_use]
    pub fn since(&self) -> Tick {
        self.since
    }

    /// When it last answered as it should: from here on visitors may have been without it.
    #[must_use]
    pub fn last_good(&self) -> Option<Tick> {
        self.last_good
    }

    /// Whether failures were seen, but too few to call it down.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.against > 0 && !matches!(self.condition, Condition::Down(_))
    }

    /// When to look again, `begun` being when the last look began: soon while in doubt, at leisure otherwise.
    #[must_use]
    pub fn next_look(&self, begun: Tick, thresholds: &Thresholds) -> Tick {
        let span = if self.is_suspect() { thresholds.confirm_interval } else { thresholds.interval };
        Tick(begun.0.saturating_add(span.as_duration()))
    }

    /// How many looks may be under way at once. In doubt as many as could still be needed to call it down: looks at a dead
    /// machine last as long as their timeout, and waiting for one after the other would multiply it.
    #[must_use]
    pub fn looks_at_once(&self, thresholds: &Thresholds) -> usize {
        if self.is_suspect() { thresholds.fall.saturating_sub(self.against).max(1) as usize } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Period;
    use proptest::prelude::*;
    use std::time::Duration;

    fn thresholds() -> Thresholds {
        Thresholds { fall: 3, rise: 4, ..Thresholds::default() }
    }

    /// `u` up, `d` down, `g` degraded, `?` unknown; after each letter the condition: U, D or - (unproven).
    fn check(sights: &str, conditions: &str) {
        let mut health = Health::default();
        let mut seen = String::new();
        for (at, letter) in sights.chars().enumerate() {
            let sight = match letter {
                'u' => Sight::Up { took_us: 1 },
                'd' => Sight::Down { kind: DownKind::Refused, detail: String::new() },
                'g' => Sight::Degraded { detail: "slow".into() },
                _ => Sight::Unknown { detail: String::new() },
            };
            health.step(&sight, Tick(Duration::from_secs(at as u64)), &thresholds());
            seen.push(match health.condition() {
                Condition::Unproven => '-',
                Condition::Up => 'U',
                Condition::Down(_) => 'D',
            });
        }
        assert_eq!(seen, conditions, "{sights}");
    }

    #[test]
    fn falls_after_three_and_rises_after_four_in_a_row() {
        check("uddd", "UUUD");
        check("uddudd", "UUUUUU");
        check("dddd", "--DD");
        check("?u", "-U");
        check("gu", "-U");
        check("uddduuuu", "UUUDDDDU");
        check("uddduuuduuuu", "UUUDDDDDDDDU");
    }

    #[test]
    fn unknown_moves_it_neither_way_and_degraded_only_keeps_it_up() {
        check("ud?d?d", "UUUUUD");
        check("u????????", "UUUUUUUUU");
        check("uddgdd", "UUUUUU");
        check("ddd?u?u?u?u", "--DDDDDDDDU");
        check("dddgggguuuu", "--DDDDDDDDU");
    }

    #[test]
    fn an_observer_in_doubt_votes_for_nobody() {
        let mut health = Health::default();
        let down = Sight::Down { kind: DownKind::TimedOut, detail: String::new() };
        assert_eq!(health.verdict(), Verdict::Unknown);
        health.step(&Sight::Up { took_us: 1 }, Tick::default(), &thresholds());
        assert_eq!(health.verdict(), Verdict::Up);
        health.step(&Sight::Unknown { detail: "no sockets left".into() }, Tick::default(), &thresholds());
        assert_eq!(health.verdict(), Verdict::Unknown, "it could not look");
        for _ in 0..3 {
            health.step(&down, Tick::default(), &thresholds());
        }
        assert_eq!(health.verdict(), Verdict::Down { kind: DownKind::TimedOut });
        health.step(&Sight::Up { took_us: 1 }, Tick::default(), &thresholds());
        assert_eq!(health.verdict(), Verdict::Unknown, "it is coming back: no support for a move");
    }

    #[test]
    fn looks_again_soon_while_in_doubt_and_several_at_once() {
        let mut health = Health::default();
        let tick = |ms| Tick(Duration::from_millis(ms));
        let limits = Thresholds { interval: Period::from_secs(5), ..thresholds() };
        health.step(&Sight::Up { took_us: 1 }, tick(0), &limits);
        assert_eq!(health.next_look(tick(0), &limits), tick(5000));
        assert_eq!(health.looks_at_once(&limits), 1);
        health.step(&Sight::Down { kind: DownKind::TimedOut, detail: String::new() }, tick(6000), &limits);
        assert_eq!(health.next_look(tick(6000), &limits), tick(6100));
        assert_eq!(health.looks_at_once(&limits), 2);
    }

    proptest! {
        #[test]
        fn it_is_never_down_without_fall_failures_since_the_last_good_answer(sights in "[ud?g]{0,80}") {
            let mut health = Health::default();
            let mut failures = 0;
            for letter in sights.chars() {
                let sight = match letter {
                    'u' => Sight::Up { took_us: 1 },
                    'd' => Sight::Down { kind: DownKind::Closed, detail: String::new() },
                    'g' => Sight::Degraded { detail: String::new() },
                    _ => Sight::Unknown { detail: String::new() },
                };
                let was_down = matches!(health.condition(), Condition::Down(_));
                health.step(&sight, Tick::default(), &thresholds());
                failures = match letter { 'd' => failures + 1, 'u' => 0, _ => failures };
                let is_down = matches!(health.condition(), Condition::Down(_));
                prop_assert!(!is_down || was_down || failures >= 3);
                let stored = serde_json::to_string(&health).unwrap();
                prop_assert_eq!(serde_json::from_str::<Health>(&stored).unwrap(), health.clone());
            }
        }
    }
}
