//! On what a plan was decided: kept with it, so that whoever asks afterwards sees what the one who decided saw.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::SiteId;
use crate::failover::{Guard, GuardName};

/// On what a move was decided.
///
/// ```
/// use dr_core::plan::Grounds;
/// assert!(Grounds::default().despite.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grounds {
    /// The sites that are moved.
    pub sites: Vec<SiteId>,
    /// What every guard saw, those that were overridden included.
    pub guards: Vec<Guard>,
    /// The guards that were overridden, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub despite: BTreeSet<GuardName>,
    /// Why, in the words of whoever decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
