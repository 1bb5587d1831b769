//! The machine that applies plans. It is pure: it says what to do next, is told what happened, and remembers nothing but events.
//!
//! [`Machine`] turns a plan and the events recorded so far into the next thing to do; [`chain`] links the recorded events so that
//! a changed one shows. Whoever drives it (the toolkit) makes the events durable and touches the world.

mod account;
pub mod chain;
pub(crate) mod defect;
mod event;
mod fold;
mod machine;
mod proof;
mod state;
#[cfg(test)]
mod tests;

pub use account::account;
pub use event::{Direction, Event, Line, Outcome, RunId};
pub use machine::{Deed, Machine, Next, Perform, Reply, TRIES};
pub use proof::{Settled, Verified};
pub use state::StepState;
