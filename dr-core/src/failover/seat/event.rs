//! What a seat is told, and what it asks for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::lease::Lease;
use super::state::{Kept, Phase, Until};
use crate::estate::{Epoch, HostId};
use crate::failover::guards::{Guard, GuardName};
use crate::failover::votes::Vote;
use crate::time::{Period, Tick};

/// Something that a seat is told.
///
/// ```
/// use dr_core::failover::Input;
/// assert_eq!(serde_json::to_string(&Input::Wake).unwrap(), "\"wake\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Time has passed; see [`Seat::wakes_at`](super::Seat::wakes_at). It may come at any time.
    Wake,
    /// The coordinator was asked what it holds.
    Read {
        /// The number of the question.
        turn: u64,
        /// What it holds; none if it could not be read.
        found: Option<Held>,
    },
    /// The coordinator was asked to swap.
    Swapped {
        /// The number of the question.
        turn: u64,
        /// What came of it.
        outcome: Swap,
    },
    /// An observer's answer.
    Vote {
        /// The vote.
        vote: Vote,
        /// When it was asked for, by this host's clock: however slowly it came, it holds from then on.
        asked: Tick,
    },
    /// What the guards say.
    Guards {
        /// All of them, quorum and hold-down aside.
        guards: Vec<Guard>,
        /// When they were asked.
        asked: Tick,
    },
    /// Whether the last [`Action::Remember`] is durable. If it is not, what followed it must not have been done.
    Remembered(bool),
    /// The last mirror before a handover has ended.
    Mirrored {
        /// The number of the attempt.
        turn: u64,
        /// Whether everything has landed, was compared, and nothing is missing.
        whole: bool,
    },
    /// The plan of an epoch has ended.
    Applied {
        /// The epoch.
        epoch: Epoch,
        /// Whether visitors are served here now.
        done: bool,
    },
    /// What this host alone had is put aside.
    Quarantined {
        /// The epoch since which it is not home.
        epoch: Epoch,
    },
    /// What is rehearsed has been rehearsed.
    Rehearsed,
    /// The other host asks this one to stop: it has raised the epoch to this.
    StepDown {
        /// The epoch.
        epoch: Epoch,
    },
    /// The other host says where it stands. That it stands by in an epoch means that it has stopped serving.
    Peer {
        /// The epoch in which it stands by.
        standby_in: Epoch,
        /// Whether it has put aside what it alone had.
        reconciled: bool,
    },
    /// The clock was set, or stood still: what was measured by it means nothing.
    ClockJumped,
    /// A person's word.
    Order(Order),
}

/// What the coordinator holds: a lease, or none.
///
/// ```
/// assert_eq!(serde_json::to_string(&dr_core::failover::Held(None)).unwrap(), r#"{"lease":null}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "HeldText", into = "HeldText")]
pub struct Held(pub Option<Lease>);

/// In JSON nothing held and nothing known must look different.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldText {
    lease: Option<Lease>,
}

impl From<HeldText> for Held {
    fn from(text: HeldText) -> Self {
        Self(text.lease)
    }
}

impl From<Held> for HeldText {
    fn from(held: Held) -> Self {
        Self { lease: held.0 }
    }
}

/// What came of a compare-and-swap.
///
/// ```
/// assert_eq!(serde_json::to_string(&dr_core::failover::Swap::Won).unwrap(), r#""won""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// It is done.
    Won,
    /// It is not and will not be: the coordinator holds this instead.
    Lost(Held),
    /// Nobody knows, or it may still be done.
    Unknown,
}

/// What a person says.
///
/// ```
/// use dr_core::failover::Order;
/// let order: Order = serde_json::from_str(r#"{"acknowledge":{"by":"ann"}}"#).unwrap();
/// assert_eq!(order, Order::Acknowledge { by: "ann".into() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Move the site here, to the standby.
    Take {
        /// Who says so and why.
        by: String,
        /// The epoch that the person was shown: the word counts for that situation only.
        epoch: Epoch,
        /// Guards that are overridden, by name.
        despite: BTreeSet<GuardName>,
        /// The person has made sure that the old home has stopped.
        stopped: bool,
    },
    /// Hand the site over, from the home: with a last mirror, and nothing lost.
    HandOver {
        /// Who says so and why.
        by: String,
    },
    /// Give up what is being prepared, while it can be given up.
    GiveUp {
        /// Who says so and why.
        by: String,
    },
    /// The last move without a person was looked at: the next one may be made.
    Acknowledge {
        /// Who says so.
        by: String,
    },
    /// Move nothing without a person from now on.
    Hold {
        /// Who says so and why.
        by: String,
        /// For how long.
        span: Option<Period>,
    },
    /// That is over.
    Release {
        /// Who says so.
        by: String,
    },
    /// Do nothing at all from now on.
    Freeze {
        /// Who says so and why.
        by: String,
    },
    /// That is over. What the seat has seen it does not forget.
    Thaw {
        /// Who says so and why.
        by: String,
    },
    /// Rehearse a move to here.
    Drill {
        /// Who says so.
        by: String,
    },
}

/// Something that a seat asks for. To be done in the order given.
///
/// ```
/// use dr_core::failover::Action;
/// assert!(!Action::Read { turn: 1 }.moves_something());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make this durable before anything that follows, and say whether it is. It is also what mirrors that want to land are
    /// judged by.
    Remember(Box<Kept>),
    /// Ask the coordinator itself what it holds: no copy, no cache.
    Read {
        /// The number of the question.
        turn: u64,
    },
    /// Ask the coordinator to swap.
    Swap {
        /// The number of the question.
        turn: u64,
        /// What it must hold.
        from: Option<Lease>,
        /// What it will.
        to: Lease,
    },
    /// Let the services serve, and stop them at that time by something that neither a crash nor a pause of this process stops.
    Serve {
        /// The epoch.
        epoch: Epoch,
        /// Up to when.
        until: Until,
    },
    /// Stop the services now.
    StandDown,
    /// Look at the guards.
    LookAtGuards,
    /// Tell the other host to stop, by every way there is.
    StepDown {
        /// The epoch that this host has raised.
        epoch: Epoch,
    },
    /// Stop all writers, and mirror a last time.
    MirrorLast {
        /// The number of the attempt.
        turn: u64,
    },
    /// Carry out the plan that moves visitors here; begun before, it goes on.
    Apply {
        /// The epoch.
        epoch: Epoch,
        /// Where the site was.
        from: HostId,
    },
    /// Put aside what this host alone has.
    Quarantine {
        /// The epoch since which it is not home.
        epoch: Epoch,
    },
    /// Carry out the plan with every effect withheld.
    Rehearse {
        /// The epoch that it would have.
        epoch: Epoch,
    },
    /// Tell people.
    Tell(Phase),
    /// Tell the person who gave the order why it is not followed.
    Refuse(String),
}

impl Action {
    /// Whether it moves the site, or any part of moving it. What keeps it where it is does not.
    #[must_use]
    pub fn moves_something(&self) -> bool {
        match self {
            Self::Swap { from, to, .. } => from.as_ref().is_some_and(|from| from.home != to.home),
            Self::StepDown { .. }
            | Self::MirrorLast { .. }
            | Self::Apply { .. }
            | Self::Quarantine { .. } => true,
            _ => false,
        }
    }
}
