//! A seat: one host's part in one site. It keeps the site while the host is its home, waits while it stands by, decides, takes
//! over, hands over, and comes back. Pure: [`step`] is told what happened at a moment of the host's own clock, and says what to
//! do. The same function runs in the daemon, in the simulator, in the model checker and in the tests.
//!
//! **What makes it safe.** The coordinator holds one [`Lease`], changed by compare-and-set. The home serves only for `hold` after
//! the *sending* of its last acknowledged sign of life. A standby that takes over may raise the epoch at once, and with that
//! stops every further sign of life of the old home; it serves only when the last one it *saw* is `take` ago, or when the old
//! home has said that it has stopped. [`Terms`] sees to it that the first always comes before the second. A mirror of an older
//! epoch does not land ([`Seat::admits`]), and a host that lost the site puts aside what it alone has before any mirror may.
//!
//! **What the driver owes it**, and nothing else:
//! - One clock that never goes back and counts in suspend (`CLOCK_BOOTTIME`); [`Input::ClockJumped`] when it and the wall clock
//!   have parted by more than two seconds, before anything else is told.
//! - Actions in their order. What follows an [`Action::Remember`] only when that is durable (file and directory synced); if it
//!   cannot be, the rest is dropped and [`Input::Remembered`]`(false)` told. [`Input::Remembered`]`(true)` otherwise.
//! - At the start `Seat::start` with what was kept and a mark drawn at random, then [`Input::Wake`]; later at
//!   [`Seat::wakes_at`], or whenever it likes.
//! - A question to the coordinator is sent once, to the coordinator itself. An answer carries the question's number. Only what is
//!   certainly not done and never will be is [`Swap::Lost`]; every doubt is [`Swap::Unknown`], or silence.
//! - [`Action::Serve`] arms something beside this process (a timer of the service manager) that stops the services at that
//!   time, whatever becomes of the process, within the `stop` of the terms. [`Action::StandDown`] is done when they have stopped
//!   and what they were doing has ended: only then does [`Seat::report`] reach the other host, or a quarantine begin.
//! - A vote is told with the moment at which it was **asked for**, its signature checked; the same for guards.
//! - A mirror asks [`Seat::admits`] of what is durable when it **commits**, and does not land where somebody else has changed
//!   the target since it was compared. [`Input::Mirrored`] is `whole` only if everything was compared after it landed.
//! - [`Action::Apply`] and [`Action::Quarantine`] may come again: they go on where they were.

mod charter;
mod decision;
mod event;
mod explain;
mod lease;
mod orders;
mod state;
mod step;
mod tenancy;
#[cfg(test)]
mod tests;

pub use charter::{Charter, Mandate, Warrant};
pub use event::{Action, Held, Input, Order, Swap};
pub use lease::{Lease, Mark};
pub use state::{
    Approval, Asked, Drill, Frozen, Handover, Kept, Looked, Maintenance, Outlook, Phase, Raising, Seat, Seen,
    Serving, Stage, Until, Watched,
};
pub use step::step;
