//! How long it takes until all name servers show a change.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::Notify;
use crate::time::Period;

/// What a change will take, reckoned before it is made.
///
/// ```
/// use dr_core::dns::predict;
/// use dr_core::estate::Notify;
/// use std::time::Duration;
/// // A thousand zones on a primary with five secondaries, as BIND comes: over four minutes.
/// let told = predict(1000, 5, &Notify::default(), Duration::from_secs(4), 300);
/// assert_eq!((told.spread.as_secs(), told.settle.as_secs()), (255, 300));
/// assert_eq!(told.to_string(), "1000 zones: 4s for the changes, 4m 15s until all servers show them, then 5m until resolvers do");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// How many zones change.
    pub zones: u64,
    /// Until the primaries have taken everything.
    pub apply: Period,
    /// From then on until every server shows it: NOTIFY messages as the policy says the primary sends them, and transfers.
    pub spread: Period,
    /// From then on until no resolver remembers what was before.
    pub settle: Period,
}

/// Reckons with the zones that change, the most secondaries that one of them has, how the primaries send NOTIFY messages, how long the
/// changes themselves take, and how long resolvers remember what is there now, in seconds.
///
/// ```
/// use dr_core::dns::predict;
/// use dr_core::estate::Notify;
/// let tuned = Notify { per_second: 2000, delay: "0s".parse().unwrap() };
/// assert_eq!(predict(1000, 5, &tuned, Default::default(), 60).spread.as_secs(), 3);
/// ```
#[must_use]
pub fn predict(zones: usize, secondaries: usize, notify: &Notify, apply: Duration, ttl_s: u32) -> Prediction {
    let zones = u64::try_from(zones).unwrap_or(u64::MAX);
    Prediction {
        zones,
        apply: whole_seconds(apply),
        spread: spread(zones, u64::try_from(secondaries).unwrap_or(u64::MAX), notify),
        settle: Period::from_secs(u64::from(ttl_s)),
    }
}

/// From the last change on until all secondaries have it: one NOTIFY a zone and secondary, sent at a limited rate.
pub(super) fn spread(zones: u64, secondaries: u64, notify: &Notify) -> Period {
    if secondaries == 0 || zones == 0 {
        return Period::from_secs(0);
    }
    let messages = zones.saturating_mul(secondaries).div_ceil(u64::from(notify.per_second.max(1)));
    whole_seconds(notify.delay.as_duration().saturating_add(Duration::from_secs(messages)))
}

fn whole_seconds(span: Duration) -> Period {
    Period::from_secs(span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)))
}

impl std::fmt::Display for Prediction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let zones = if self.zones == 1 { "1 zone".to_owned() } else { format!("{} zones", self.zones) };
        let them = if self.zones == 1 { ("change", "it") } else { ("changes", "them") };
        write!(f, "{zones}: {} for the {}, ", self.apply, them.0)?;
        write!(
            f,
            "{} until all servers show {}, then {} until resolvers do",
            self.spread, them.1, self.settle
        )
    }
}
