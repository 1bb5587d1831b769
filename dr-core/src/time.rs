//! Points in time and spans of time, as values that a test can write down.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// A point in wall time: microseconds since the Unix epoch, written as RFC 3339 in UTC.
///
/// ```
/// use dr_core::Timestamp;
/// let at: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
/// assert_eq!(at.to_string(), "2026-11-22T03:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point this many microseconds after the Unix epoch.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(-377_705_023_201_000_000, 253_402_207_200_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "@{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|why| format!("not a time such as 2026-11-22T03:00:00Z: {why}"))
    }
}

as_text!(Timestamp, { "type": "string", "format": "date-time" });

/// A point on a host's own clock: time since it booted, suspend included. Never compared between hosts.
///
/// ```
/// use std::time::Duration;
/// use dr_core::Tick;
/// let start = Tick(Duration::from_secs(100));
/// assert_eq!(Tick(Duration::from_secs(103)).since(start), Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tick(pub Duration);

impl Tick {
    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span of time as people write it: `90s`, `15m`, `24h`, `1h 30m`, `7d`.
///
/// ```
/// use dr_core::Period;
/// let rpo: Period = "1h 30m".parse().unwrap();
/// assert_eq!(rpo.as_secs(), 5400);
/// assert_eq!(rpo.to_string(), "1h 30m");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

impl Period {
    /// This many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// This many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Period {
    fn from(span: Duration) -> Self {
        Self(span)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        let printer = SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::BetweenUnits);
        f.write_str(&printer.duration_to_string(&span))
    }
}

impl FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let said = format!("'{}' is not a span of time such as 90s, 15m, 24h or 7d", text.escape_debug());
        // jiff's absolute durations end at hours; an operator's day is 24 hours here.
        let spelled = SpanParser::new().parse_span(text).map_err(|_| said.clone())?;
        let span = spelled
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| format!("{said}: months and years have no fixed length"))?;
        Duration::try_from(span).map(Self).map_err(|_| format!("{said}: it is negative"))
    }
}

as_text!(Period, { "type": "string", "description": "a span of time such as 90s, 15m, 24h or 7d" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_what_they_print() {
        for text in ["0s", "250ms", "90s", "15m", "24h", "7d", "1h 30m", "2d 4h"] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period, "{text}");
        }
        for text in ["", "5", "-3s", "1 month", "soon", "99999999999999999999s"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn timestamps_read_what_they_print() {
        for micros in [0, 1, -1, 1_795_316_400_123_456, i64::MAX, i64::MIN] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at, "{micros}");
        }
    }
}
