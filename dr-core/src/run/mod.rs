//! The machine that applies plans. It is pure: it says what to do next, is told what happened, and remembers nothing but events.

mod event;
mod state;

pub use event::{Direction, Event, Line, Outcome, RunId};
pub use state::StepState;
