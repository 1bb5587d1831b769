//! One error type: what could not be done, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was. The numbers are the exit codes of `dr`, the C status and Python's `.code`.
///
/// Numbers are never reused; 0 is "fine" and 1 "done, with findings", so neither is an error.
///
/// ```
/// use dr_core::ErrorKind;
/// assert_eq!(ErrorKind::Conflict.code(), 11);
/// assert_eq!(ErrorKind::from_code(11), Some(ErrorKind::Conflict));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's words are wrong: an argument, a configuration file, a name that is no name.
    Usage,
    /// A guard refused: doing it would risk what it protects.
    Refused,
    /// The world is no longer what the plan was made for; nothing was overwritten.
    Conflict,
    /// The other side could not be reached, or the connection was lost.
    Unreachable,
    /// The host's key is unknown, changed or revoked.
    HostKey,
    /// The other side refused who we say we are.
    Authentication,
    /// Somebody else holds the lock.
    Locked,
    /// The caller cancelled.
    Cancelled,
    /// It took longer than allowed.
    Timeout,
    /// What was named does not exist.
    NotFound,
    /// It exists already and must not be overwritten.
    AlreadyExists,
    /// The operating system or the server forbids it.
    PermissionDenied,
    /// No space or no inodes left.
    NoSpace,
    /// The file system or the journal is read-only.
    ReadOnly,
    /// The other side, or this build, cannot do that.
    Unsupported,
    /// The other side broke its protocol.
    Protocol,
    /// The journal could not be written or read.
    Journal,
    /// Stored data is damaged.
    Corrupt,
    /// It may or may not have happened, and reading back did not tell.
    OutcomeUnknown,
    /// The address or the resource is in use.
    Busy,
    /// The server understood, and said no.
    Rejected,
    /// Some other failure of input or output.
    Io,
    /// A defect in dr itself.
    Internal,
}

/// Every kind with its number, its name in JSON and whether trying again can help: the one table.
const KINDS: &[(ErrorKind, u8, &str, Retry)] = &[
    (ErrorKind::Usage, 2, "usage", Retry::Never),
    (ErrorKind::Refused, 10, "refused", Retry::Never),
    (ErrorKind::Conflict, 11, "conflict", Retry::Never),
    (ErrorKind::Unreachable, 12, "unreachable", Retry::Later),
    (ErrorKind::HostKey, 13, "host_key", Retry::Never),
    (ErrorKind::Authentication, 14, "authentication", Retry::Never),
    (ErrorKind::Locked, 15, "locked", Retry::Later),
    (ErrorKind::Cancelled, 16, "cancelled", Retry::Later),
    (ErrorKind::Timeout, 17, "timeout", Retry::Later),
    (ErrorKind::NotFound, 18, "not_found", Retry::Never),
    (ErrorKind::AlreadyExists, 19, "already_exists", Retry::Never),
    (ErrorKind::PermissionDenied, 20, "permission_denied", Retry::Never),
    (ErrorKind::NoSpace, 21, "no_space", Retry::Later),
    (ErrorKind::ReadOnly, 22, "read_only", Retry::Never),
    (ErrorKind::Unsupported, 23, "unsupported", Retry::Never),
    (ErrorKind::Protocol, 24, "protocol", Retry::Never),
    (ErrorKind::Journal, 25, "journal", Retry::Never),
    (ErrorKind::Corrupt, 26, "corrupt", Retry::Never),
    (ErrorKind::OutcomeUnknown, 27, "outcome_unknown", Retry::Later),
    (ErrorKind::Busy, 28, "busy", Retry::Later),
    (ErrorKind::Rejected, 29, "rejected", Retry::Never),
    (ErrorKind::Io, 30, "io", Retry::Never),
    (ErrorKind::Internal, 99, "internal", Retry::Never),
];

impl ErrorKind {
    /// Every kind, in the order of the numbers.
    ///
    /// ```
    /// assert!(dr_core::ErrorKind::all().all(|kind| kind.code() >= 2));
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|row| row.0)
    }

    /// The number of this kind: exit code, C status, Python `.code`.
    #[must_use]
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// The name of this kind as it stands in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Whether the same call can succeed when it is made again.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.row().3
    }

    /// The kind that has this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        KINDS.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    fn row(self) -> &'static (Self, u8, &'static str, Retry) {
        // The last row answers for a kind without one; a test asserts that there is none.
        KINDS.iter().find(|row| row.0 == self).unwrap_or(&KINDS[KINDS.len() - 1])
    }
}

/// Whether trying again can help.
///
/// ```
/// use dr_core::{ErrorKind, Retry};
/// assert_eq!(ErrorKind::Unreachable.retry(), Retry::Later);
/// assert_eq!(ErrorKind::HostKey.retry(), Retry::Never);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// The same call will fail again until something is changed.
    Never,
    /// The same call may succeed later.
    Later,
}

/// Something could not be done. Nothing was lost, and the hint says what to do.
///
/// Read it aloud: "could not OPERATION: MESSAGE". The source chain keeps what the operating system or the peer said.
///
/// ```
/// use dr_core::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::Unreachable, "connect to us.example.net:22", "connection refused")
///     .hint("start sshd there, or correct the address in dr.toml");
/// assert_eq!(error.to_string(), "could not connect to us.example.net:22: connection refused");
/// assert_eq!(error.kind().code(), 12);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: String,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`: `operation` is what was tried (an infinitive and its object), `message` why it failed.
    pub fn new(kind: ErrorKind, operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// An error of the operating system; its kind follows from the `io::ErrorKind`.
    pub fn io(operation: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied => ErrorKind::PermissionDenied,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::NoSpace,
            Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            Io::TimedOut => ErrorKind::Timeout,
            Io::AddrInUse => ErrorKind::Busy,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::UnexpectedEof
            | Io::BrokenPipe => ErrorKind::Unreachable,
            _ => ErrorKind::Io,
        };
        let message = source.to_string();
        Self::new(kind, operation, message).caused_by(source)
    }

    /// Says what the operator can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the underlying error in the chain.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried: an infinitive and its object.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// Why it failed.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the operator can do about it, if anything is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The error as a value that can be journalled, sent and compared.
    #[must_use]
    pub fn to_record(&self) -> ErrorRecord {
        ErrorRecord {
            kind: self.0.kind,
            code: self.0.kind.code(),
            operation: self.0.operation.clone(),
            message: self.0.message.clone(),
            hint: self.0.hint.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.0.operation, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.0.kind.name())?;
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "; because: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An [`Error`] as a value: what the journal keeps and what JSON shows.
///
/// ```
/// use dr_core::{Error, ErrorKind, ErrorRecord};
/// let record = Error::new(ErrorKind::Timeout, "ask ns1", "no answer in 2 s").to_record();
/// let again: Error = record.into();
/// assert_eq!(again.kind(), ErrorKind::Timeout);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRecord {
    /// What sort of failure it was.
    pub kind: ErrorKind,
    /// The number of that kind.
    pub code: u8,
    /// What was tried.
    pub operation: String,
    /// Why it failed.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<ErrorRecord> for Error {
    fn from(record: ErrorRecord) -> Self {
        let error = Self::new(record.kind, record.operation, record.message);
        match record.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_of_its_own() {
        for kind in ErrorKind::all() {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(kind.code() == 2 || (10..=99).contains(&kind.code()));
        }
        // Internal is the last variant: as many rows as variants, or `row` would lie.
        assert_eq!(ErrorKind::all().count(), ErrorKind::Internal as usize + 1);
    }
}
