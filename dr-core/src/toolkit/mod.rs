//! The library's verbs: gather facts, judge or plan, apply.
//!
//! A [`Toolkit`] is a [`World`] and, where there is one, an [`Estate`]. Each capability is one short file here: it gathers facts
//! through the world, hands them to the pure part, and performs the steps that came of it.

mod apply;
#[cfg(test)]
mod crash;
mod dns;
mod estate_file;
mod failover;
mod keys;
mod mirror;
mod perform;

pub use apply::Applied;
pub use failover::{FailoverOptions, Watch};

use crate::estate::Estate;
use crate::world::World;

/// The entry to everything.
#[derive(Clone, Debug)]
pub struct Toolkit {
    /// Everything outside.
    pub world: World,
    /// What the operator owns; empty for a script that passes what it has in hand.
    pub estate: Estate,
}

impl Toolkit {
    /// The verbs over this world and this estate.
    #[must_use]
    pub fn new(world: World, estate: Estate) -> Self {
        Self { world, estate }
    }
}
