//! One alphabet for progress, journal and audit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::ErrorRecord;
use crate::report::Finding;
use crate::text::as_text;
use crate::time::Timestamp;

/// Which way a plan is being walked.
///
/// ```
/// use dr_core::run::Direction;
/// assert_eq!(serde_json::to_string(&Direction::Back).unwrap(), "\"back\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the new state.
    Forward,
    /// Back to the old one.
    Back,
}

/// How a run ended.
///
/// ```
/// use dr_core::run::Outcome;
/// assert_eq!(serde_json::to_string(&Outcome::NewDegraded).unwrap(), "\"new_degraded\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The world is wholly as planned.
    New,
    /// The world is as planned, but steps that were wanted are missing; the events name them.
    NewDegraded,
    /// The world is wholly as it was before.
    Old,
    /// The run stopped between the two and waits for `resume` or `undo`; the events say where and why.
    Stopped,
}

/// Everything that happens, as one alphabet: the terminal shows it, callbacks receive it, the journal keeps what it must.
///
/// ```
/// use dr_core::run::Event;
/// let event = Event::Note { message: "observer nl agrees".into() };
/// assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"event":"note","message":"observer nl agrees"}"#);
/// assert!(!event.is_journalled());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// The plan is durable; nothing has been done yet. The plan itself is kept beside.
    PlanRecorded {
        /// What it is for.
        title: String,
        /// Its digest.
        digest: Digest,
        /// Who asked for it.
        by: String,
    },
    /// A process took up the run again.
    Resumed {
        /// Who asked for it.
        by: String,
        /// Which way it goes on.
        direction: Direction,
    },
    /// The step is about to be done (or taken back).
    StepBegun {
        /// Its number, from 0.
        step: usize,
        /// Doing it, or taking it back.
        direction: Direction,
    },
    /// The step is done (or taken back), and reading back showed it.
    StepDone {
        /// Its number, from 0.
        step: usize,
        /// Doing it, or taking it back.
        direction: Direction,
        /// True if it was found done and nothing had to be done.
        found: bool,
    },
    /// The step could not be done (or taken back).
    StepFailed {
        /// Its number, from 0.
        step: usize,
        /// Doing it, or taking it back.
        direction: Direction,
        /// Why.
        error: ErrorRecord,
        /// True if it was refused before anything was done: there is nothing to take back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
    },
    /// From here on the run goes back.
    UndoBegun {
        /// Why.
        why: String,
    },
    /// The run is over, or has stopped.
    Finished {
        /// How.
        outcome: Outcome,
    },
    /// Progress of what is under way; not journalled.
    Progress {
        /// What is under way: "scan", "copy", "ask".
        phase: String,
        /// So much is done.
        done: u64,
        /// Of so much, where that is known.
        total: Option<u64>,
        /// Of what: "files", "bytes", "zones".
        unit: String,
    },
    /// Something worth telling; not journalled.
    Note {
        /// What.
        message: String,
    },
    /// Something that is not as it should be; journalled.
    Found(Finding),
    /// What a step amounted to; journalled. Several are added up.
    Counted {
        /// By name, the unit last: `sent_bytes`, `milliseconds`.
        figures: BTreeMap<String, u64>,
    },
}

impl Event {
    /// Whether the journal keeps it.
    #[must_use]
    pub fn is_journalled(&self) -> bool {
        !matches!(self, Self::Progress { .. } | Self::Note { .. })
    }
}

/// Which run: sixteen hexadecimal digits.
///
/// ```
/// use dr_core::run::RunId;
/// let run = RunId::from_bytes([7; 8]);
/// assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId([u8; 8]);

impl RunId {
    /// From eight random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl FromStr for RunId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        bytes
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| "not a run: sixteen hexadecimal digits".to_owned())
    }
}

as_text!(RunId, { "type": "string", "pattern": "^[0-9a-f]{16}$" });

/// One line of the journal. Each holds the digest of the one before, so that a changed or missing line shows.
///
/// ```
/// use dr_core::Digest;
/// use dr_core::run::{Event, Line, RunId};
/// let line = Line {
///     number: 1,
///     run: RunId::from_bytes([7; 8]),
///     at: Default::default(),
///     event: Event::UndoBegun { why: "a step failed".into() },
///     previous: Digest::of(b""),
///     digest: Digest::of(b"line"),
/// };
/// assert_eq!(line.event, Event::UndoBegun { why: "a step failed".into() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number over all runs, from 1.
    pub number: u64,
    /// Which run.
    pub run: RunId,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The digest of the line before; of nothing for the first.
    pub previous: Digest,
    /// The digest of this line, this field aside.
    pub digest: Digest,
}
