//! How bad a finding is for the operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a finding means to the operator, from "nothing to do" to "service or data is lost now".
///
/// It comes from the code table and the policy, never from the code that detects.
///
/// ```
/// use dr_core::Severity;
/// assert!(Severity::Critical > Severity::Error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// Unusual, and fine.
    Notice,
    /// Will become an error when something else goes wrong.
    Warning,
    /// A failover would fail.
    Error,
    /// Service or data is lost now.
    Critical,
}

impl Severity {
    /// The word for it, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}
