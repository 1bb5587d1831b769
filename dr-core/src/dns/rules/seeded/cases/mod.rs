//! The faults, and what must be found of each: the code, and whom it names.

mod content;
mod delegation;
mod dnssec;
mod fate;
mod messages;
mod records;
mod standby;

use super::scene::Scene;
use crate::dns::{Probe, ZoneFacts};

/// How a fault comes into a capture.
pub(super) enum Seed {
    /// Into the zones, before anybody asks.
    Before(fn(&mut Scene)),
    /// Into the answers.
    After(fn(&mut ZoneFacts)),
}

/// What it is, how it comes about, and what is found.
pub(super) type Case = (&'static str, Seed, &'static [&'static str]);

/// All faults.
pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    let topics = [
        records::CASES,
        delegation::CASES,
        fate::CASES,
        messages::CASES,
        content::CASES,
        dnssec::CASES,
        standby::CASES,
    ];
    topics.into_iter().flatten()
}

const DAY: u32 = 86_400;
const ALL: [&str; 3] = ["ns1", "ns2", "ns3"];

fn every(facts: &mut ZoneFacts, probe: Probe, change: impl Fn(&mut crate::dns::Heard)) {
    ALL.iter().for_each(|server| facts.alter(server, probe, &change));
}
