//! What a call that failed gives.

use std::fmt;

use dr_core::{Error, ErrorKind, Retry};

/// Something could not be done. Nothing was lost, and the hint says what to do.
///
/// One case with everything in it, so that whoever catches it need not ask which one it is.
#[derive(Debug, uniffi::Error)]
pub enum DrError {
    /// The one case.
    Failed {
        /// What sort of failure it was.
        kind: ErrorKind,
        /// The number of that kind: what the command exits with, and what C returns.
        code: u8,
        /// What could not be done, and to what: "connect to us.example.net:22".
        subject: String,
        /// Why.
        reason: String,
        /// What to do about it, if anything is known.
        hint: Option<String>,
        /// Whether the same call may succeed later, with nothing changed.
        retryable: bool,
    },
}

impl From<Error> for DrError {
    fn from(error: Error) -> Self {
        let (kind, record) = (error.kind(), error.to_record());
        Self::Failed {
            kind,
            code: record.code,
            subject: record.operation,
            reason: record.message,
            hint: record.hint,
            retryable: kind.retry() == Retry::Later,
        }
    }
}

impl fmt::Display for DrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { subject, reason, .. } = self;
        write!(f, "could not {subject}: {reason}")
    }
}

impl std::error::Error for DrError {}
