//! A secret that is not printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password or a key, in plain text. `Debug` hides it; it is serialised as it is, because it has to reach the
/// child process, over a pipe and never in an argument list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` as the secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same, compared in a time that depends on the lengths alone.
    pub(crate) fn matches(&self, other: &str) -> bool {
        self.0.len() == other.len()
            && self.0.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn is_compared_whole_and_never_printed() {
        let secret = Secret::new("tops3cret");
        assert!(secret.matches("tops3cret"));
        for wrong in ["", "tops3cre", "tops3cret!", "topS3cret"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
        assert!(!format!("{secret:?}").contains("tops"));
    }
}
