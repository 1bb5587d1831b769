//! What a probe saw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a probe saw, at one moment, from one place.
///
/// ```
/// use dr_core::failover::{DownKind, Sight};
/// assert!(Sight::Down { kind: DownKind::Refused, detail: String::new() }.is_down());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Sight {
    /// It answered as it should.
    Up {
        /// How long that took, in microseconds.
        took_us: u64,
    },
    /// It did not.
    Down {
        /// How.
        kind: DownKind,
        /// What was seen.
        detail: String,
    },
    /// It answered, but not quite as it should.
    Degraded {
        /// What was seen.
        detail: String,
    },
    /// The observer could not look: this says nothing about what it looked at.
    Unknown {
        /// Why.
        detail: String,
    },
}

impl Sight {
    /// Whether it was seen down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    /// Whether it was seen up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// In which way something is down.
///
/// ```
/// use dr_core::failover::DownKind;
/// assert_eq!(serde_json::to_string(&DownKind::TimedOut).unwrap(), "\"timed_out\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DownKind {
    /// The connection was refused: the machine is there, the service is not.
    Refused,
    /// Nothing came in time: a hung service, a dead machine or a cut line.
    TimedOut,
    /// The connection was closed before an answer.
    Closed,
    /// The network says that there is no way there.
    NoRoute,
    /// It answered something else: a wrong status, a missing text, no authority.
    WrongAnswer,
}

impl DownKind {
    /// In words.
    ///
    /// ```
    /// assert_eq!(dr_core::failover::DownKind::TimedOut.words(), "no answer in time");
    /// ```
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "no answer in time",
            Self::Closed => "closed before an answer",
            Self::NoRoute => "no way there",
            Self::WrongAnswer => "wrong answer",
        }
    }
}
