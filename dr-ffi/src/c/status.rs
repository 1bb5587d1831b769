//! Numbers that say how a call ended.

use dr_core::ErrorKind;

/// How a call ended. The numbers are those of the command's exit status, of Python's `.code` and of `code` in JSON; they are never
/// renumbered, and retired ones stay reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum dr_status {
    /// It was done. What was found stands in the report.
    DR_OK = 0,
    /// The caller's words are wrong: an argument, an estate, a name that is no name, a NULL or a text that is not UTF-8.
    DR_USAGE = 2,
    /// A guard refused: doing it would risk what it protects.
    DR_REFUSED = 10,
    /// The world is no longer what the plan was made for; nothing was overwritten.
    DR_CONFLICT = 11,
    /// The other side could not be reached, or the connection was lost.
    DR_UNREACHABLE = 12,
    /// The host's key is unknown, changed or revoked.
    DR_HOST_KEY = 13,
    /// The other side refused who we say we are.
    DR_AUTHENTICATION = 14,
    /// Somebody else holds the lock.
    DR_LOCKED = 15,
    /// The caller cancelled.
    DR_CANCELLED = 16,
    /// It took longer than allowed.
    DR_TIMEOUT = 17,
    /// What was named does not exist.
    DR_NOT_FOUND = 18,
    /// It exists already and must not be overwritten.
    DR_ALREADY_EXISTS = 19,
    /// The operating system or the server forbids it.
    DR_PERMISSION_DENIED = 20,
    /// No space or no inodes left.
    DR_NO_SPACE = 21,
    /// The file system or the journal is read-only.
    DR_READ_ONLY = 22,
    /// The other side, or this build, cannot do that.
    DR_UNSUPPORTED = 23,
    /// The other side broke its protocol.
    DR_PROTOCOL = 24,
    /// The journal could not be written or read.
    DR_JOURNAL = 25,
    /// Stored data is damaged.
    DR_CORRUPT = 26,
    /// It may or may not have happened, and reading back did not tell.
    DR_OUTCOME_UNKNOWN = 27,
    /// The address or the resource is in use.
    DR_BUSY = 28,
    /// The server understood, and said no.
    DR_REJECTED = 29,
    /// Some other failure of input or output.
    DR_IO = 30,
    /// A defect in dr itself.
    DR_INTERNAL = 99,
}

impl From<ErrorKind> for dr_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::DR_USAGE,
            ErrorKind::Refused => Self::DR_REFUSED,
            ErrorKind::Conflict => Self::DR_CONFLICT,
            ErrorKind::Unreachable => Self::DR_UNREACHABLE,
            ErrorKind::HostKey => Self::DR_HOST_KEY,
            ErrorKind::Authentication => Self::DR_AUTHENTICATION,
            ErrorKind::Locked => Self::DR_LOCKED,
            ErrorKind::Cancelled => Self::DR_CANCELLED,
            ErrorKind::Timeout => Self::DR_TIMEOUT,
            ErrorKind::NotFound => Self::DR_NOT_FOUND,
            ErrorKind::AlreadyExists => Self::DR_ALREADY_EXISTS,
            ErrorKind::PermissionDenied => Self::DR_PERMISSION_DENIED,
            ErrorKind::NoSpace => Self::DR_NO_SPACE,
            ErrorKind::ReadOnly => Self::DR_READ_ONLY,
            ErrorKind::Unsupported => Self::DR_UNSUPPORTED,
            ErrorKind::Protocol => Self::DR_PROTOCOL,
            ErrorKind::Journal => Self::DR_JOURNAL,
            ErrorKind::Corrupt => Self::DR_CORRUPT,
            ErrorKind::OutcomeUnknown => Self::DR_OUTCOME_UNKNOWN,
            ErrorKind::Busy => Self::DR_BUSY,
            ErrorKind::Rejected => Self::DR_REJECTED,
            ErrorKind::Io => Self::DR_IO,
            // Internal; the test below shows that no other kind comes here.
            _ => Self::DR_INTERNAL,
        }
    }
}

/// The shortest summary of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum dr_verdict {
    /// Nothing at or over warning, and everything was examined.
    DR_VERDICT_OK = 0,
    /// Warnings, or something could not be examined.
    DR_VERDICT_DEGRADED = 1,
    /// Errors or worse.
    DR_VERDICT_FAILED = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_number() {
        for kind in ErrorKind::all() {
            assert_eq!(dr_status::from(kind) as i32, i32::from(kind.code()), "{kind:?}");
        }
    }
}
