//! The step: carry out many plans side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Plan;

/// Plans that are carried out side by side, each as a run of its own: what goes wrong with one holds up no other, and is taken back
/// by itself.
///
/// ```
/// use dr_core::plan::{Moves, OnFailure, Plan};
/// let plan = Plan::new("move shop", Default::default(), OnFailure::Undo, vec![]);
/// let moves = Moves { of: "move everything off uk".into(), plans: vec![plan], at_once: 8, per_second: None, back: false };
/// assert!(moves.inverse().back);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moves {
    /// What all of them are part of, for whoever finds one of the runs in the journal.
    pub of: String,
    /// The plans. No two are the same.
    pub plans: Vec<Plan>,
    /// So many at a time.
    pub at_once: u32,
    /// No more than so many are begun in a second: what the primaries and providers of the zones bear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// They are taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Moves {
    /// The step that takes this one back: every plan by itself, the last one first.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let plans = self.plans.iter().rev().cloned().collect();
        Self { plans, back: !self.back, ..self.clone() }
    }
}
