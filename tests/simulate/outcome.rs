//! What a run showed.

use std::collections::BTreeMap;

/// What one seed, or many, showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Steps of the core.
    pub steps: u64,
    /// What was violated, each with how often.
    pub violations: BTreeMap<&'static str, u64>,
    /// What was reached, each with how often: a run in which nothing happens proves nothing.
    pub reached: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub(crate) fn violated(&mut self, what: &'static str) {
        *self.violations.entry(what).or_default() += 1;
    }

    pub(crate) fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        for (what, times) in &other.violations {
            *self.violations.entry(what).or_default() += times;
        }
        for (what, times) in &other.reached {
            *self.reached.entry(what).or_default() += times;
        }
    }
}
