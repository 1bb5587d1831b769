//! Plans: what will be done, step by step, before anything is done.
//!
//! A [`Plan`] is data. It can be printed, compared, stored and looked at by a person; one machine ([`crate::run`]) applies it,
//! takes it back, or goes on with it after a crash.

mod addresses;
mod failover;
mod grounds;
mod moves;
mod step;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use failover::{FailoverFacts, Occasion, Side, ZoneNow, failover_plan, first_roles, mirror_and_record};
pub use grounds::Grounds;
pub use moves::Moves;
pub use step::{Inverse, Step};

use crate::digest::Digest;
use crate::time::Timestamp;

/// What will be done, in order.
///
/// ```
/// use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
/// let pause = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// let plan = Plan::new("wait", Default::default(), OnFailure::Stop, vec![Planned::needed("wait two seconds", pause)]);
/// assert_eq!(plan.digest(), plan.clone().digest());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Plan {
    /// What it is for: "fail over shop from uk to us".
    pub title: String,
    /// When the facts behind it were gathered.
    pub at: Timestamp,
    /// What happens when a step cannot be done.
    pub on_failure: OnFailure,
    /// The steps, in order.
    pub steps: Vec<Planned>,
    /// On what it was decided, where guards were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Grounds>,
}

impl Plan {
    /// A plan of these steps.
    pub fn new(title: impl Into<String>, at: Timestamp, on_failure: OnFailure, steps: Vec<Planned>) -> Self {
        Self { title: title.into(), at, on_failure, steps, grounds: None }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The digest of the whole plan: what was shown is what is applied.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(self)
    }
}

/// What happens when a needed step cannot be done.
///
/// ```
/// use dr_core::plan::OnFailure;
/// assert_eq!(serde_json::to_string(&OnFailure::Undo).unwrap(), "\"undo\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Stop there; the operator resumes or undoes.
    Stop,
    /// Take back what was done.
    Undo,
}

/// A step with its place in the plan.
///
/// ```
/// use dr_core::plan::{Need, Pause, Planned, Step};
/// let pause = Step::Pause(Pause { span: "2s".parse().unwrap(), why: "let the TTL pass".into() });
/// assert_eq!(Planned::wanted("wait", pause).need, Need::Wanted);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// What it does, in the operator's words: "raise the epoch of shop to 2".
    pub title: String,
    /// Whether the plan can succeed without it.
    pub need: Need,
    /// What it does, as data.
    pub step: Step,
}

impl Planned {
    /// A step without which the plan has not succeeded.
    #[must_use]
    pub fn needed(title: impl Into<String>, step: Step) -> Self {
        Self { title: title.into(), need: Need::Needed, step }
    }

    /// A step that is tried once; the plan goes on without it.
    #[must_use]
    pub fn wanted(title: impl Into<String>, step: Step) -> Self {
        Self { title: title.into(), need: Need::Wanted, step }
    }
}

/// Whether a plan can succeed without a step.
///
/// ```
/// use dr_core::plan::Need;
/// assert_eq!(serde_json::to_string(&Need::Wanted).unwrap(), "\"wanted\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It cannot.
    Needed,
    /// It can, and the report names the step that is missing.
    Wanted,
}

/// The step: let time pass, counted from when the step began.
///
/// ```
/// use dr_core::plan::Pause;
/// let pause = Pause { span: "2m".parse().unwrap(), why: "let the TTL pass".into() };
/// assert_eq!(pause.span.as_secs(), 120);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// How long.
    pub span: crate::time::Period,
    /// What for.
    pub why: String,
}
