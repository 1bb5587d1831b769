//! Failover: decided on evidence, never twice, never by both sides at once.
//!
//! Probes give [`Sight`]s. Each observer's [`Health`] turns many of them into one [`Verdict`] and sends it as a [`Vote`];
//! [`decide`] counts the votes of the configured [`Panel`], asks the guards, and says stay, move or ask. All of it is pure
//! functions of facts and time. What follows from a decision is a plan of steps like any other, and who holds a site is a
//! [`Tenure`] that changes only by compare-and-set.

mod decide;
mod guards;
mod health;
mod holding;
mod mirrored;
mod ready;
mod seat;
mod sight;
mod statement;
mod tenure;
mod votes;

pub use crate::estate::{Mode, Terms, Times};
pub use decide::{Decision, Picture, decide};
pub use guards::{Guard, GuardName};
pub use health::{Condition, Health};
pub use holding::Holding;
pub use mirrored::{LastMirror, RecordMirror, last_mirror_path};
pub use ready::{Certificate, Free, HeldBack, held_path};
pub use seat::{
    Action, Approval, Asked, Charter, Drill, Frozen, Handover, Held, Input, Kept, Lease, Looked, Maintenance,
    Mandate, Mark, Order, Outlook, Phase, Raising, Seat, Seen, Serving, Stage, Swap, Until, Warrant, Watched,
    step,
};
pub use sight::{DownKind, Sight};
pub use statement::{Expected, Signed, Speaker, Statement};
pub use tenure::{
    Expect, Raise, Role, RoleChange, Standing, Tenure, lease_owner, standing_path, tenure_owner,
};
pub use votes::{Observer, Panel, Received, Tally, Verdict, Vote};

/// The guards: functions of facts, each giving a [`Guard`].
pub mod guard {
    pub use super::guards::{dns_changeable, hold_down, mirror_fresh, quorum, standby_healthy, tenure, ttl};
    pub use super::ready::{acknowledged, certificates, disk, maintenance, observers};
}
