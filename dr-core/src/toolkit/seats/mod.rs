//! What drives seats in the world: one [`Driver`] for each site of a host, all in one process.
//!
//! The driver adds one rule of its own: what is said of a home counts only when its services have had the time to come up since the
//! epoch began. Otherwise it tells the pure seat what happened, by the clock that counts in suspend; does what the
//! seat asks for, in its order; and waits for the next thing. Everything outside is behind [`Deeds`], so that the very same driver
//! runs in the daemon and, in virtual time, in the tests.
//!
//! What a seat asks for falls into three kinds. What is to be **remembered** is awaited, and what follows it is dropped if it is not
//! durable. The **services** are told what they may do by a task of their own, in order, again and again until they do it: that they
//! have stopped is known only when they say so. Everything else is **work** beside the seat: one of a kind at a time, given up when
//! the seat no longer wants it, and asked for again by the seat if it was lost.

mod driver;
mod services;
#[cfg(test)]
mod tests;
mod work;

pub use driver::{Driver, SeatHandle, Shown};

use async_trait::async_trait;

use crate::error::Result;
use crate::estate::{Epoch, HostId};
use crate::failover::{Guard, Kept, Lease, Phase, Swap, Until};

/// What a driver does things with: one site of one host. A call may be dropped in the middle, as by a crash, and may come again.
#[async_trait]
pub trait Deeds: Send + Sync {
    /// Makes it durable, file and directory. An error: perhaps it is not.
    async fn remember(&self, kept: &Kept) -> Result<()>;
    /// What the coordinator itself holds for the site.
    async fn lease(&self) -> Result<Option<Lease>>;
    /// Has the coordinator swap it. An error: nobody knows whether it did, or still will.
    async fn swap_lease(&self, from: Option<&Lease>, to: &Lease) -> Result<Swap>;
    /// Sees to it that the services are stopped at that time whatever becomes of this process, then lets them serve. Returns when
    /// the first is so.
    async fn serve(&self, epoch: Epoch, until: Until) -> Result<()>;
    /// Returns when the services have stopped, and what they were doing has ended.
    async fn stand_down(&self) -> Result<()>;
    /// Asks every guard but quorum and hold-down.
    async fn guards(&self) -> Result<Vec<Guard>>;
    /// Tells the other host that the epoch was raised to this.
    async fn ask_to_step_down(&self, epoch: Epoch) -> Result<()>;
    /// Mirrors a last time. True only if everything was compared after it had landed, and nothing is missing.
    async fn mirror_last(&self, epoch: Epoch) -> Result<bool>;
    /// Carries out the plan of an epoch, or goes on with it. True if visitors are served here now.
    async fn apply(&self, epoch: Epoch, from: &HostId) -> Result<bool>;
    /// Puts aside what this host alone has, or goes on with that.
    async fn put_aside(&self, epoch: Epoch) -> Result<()>;
    /// Carries out the plan with every effect withheld.
    async fn rehearse(&self, epoch: Epoch) -> Result<()>;
    /// Tells people. It never waits, and never fails.
    fn tell(&self, news: News);
}

/// What people are told.
///
/// ```
/// use dr_core::toolkit::News;
/// let news = News::Refused { why: "it is frozen".into() };
/// assert_eq!(serde_json::to_string(&news).unwrap(), r#"{"refused":{"why":"it is frozen"}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum News {
    /// The seat stands somewhere else than before.
    Phase {
        /// Where.
        phase: Phase,
        /// What is so, why, and what comes next.
        said: String,
    },
    /// An order is not followed.
    Refused {
        /// Why.
        why: String,
    },
    /// Something that was asked for could not be done; the seat asks for it again.
    Trouble {
        /// What was to be done.
        doing: String,
        /// Why it was not.
        why: String,
    },
}
