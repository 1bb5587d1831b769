//! SFTP version 3 with OpenSSH's extensions: the one client, for trees ([`super::endpoints`]) and for small files ([`super::ssh`]).

mod client;
mod wire;

pub(super) use client::{Client, Fault, Pending, Space};
pub(super) use wire::{Attrs, Reply, Request, access, op, status};

use crate::error::{Error, ErrorKind};

/// Makes a write durable.
pub(super) const FSYNC: &str = "fsync@openssh.com";
/// Puts one file in the place of another in one step (rename(2)); the plain request of version 3 does not.
pub(super) const POSIX_RENAME: &str = "posix-rename@openssh.com";

impl Fault {
    /// In the operator's words; what to do about it is for the caller to say.
    pub(super) fn error(self, operation: impl Into<String>) -> Error {
        let (kind, why) = match self {
            Self::Status { code, message } => {
                let kind = match code {
                    status::NO_SUCH_FILE => ErrorKind::NotFound,
                    status::PERMISSION_DENIED => ErrorKind::PermissionDenied,
                    status::OP_UNSUPPORTED => ErrorKind::Unsupported,
                    _ => ErrorKind::Io,
                };
                let said = if message.is_empty() { format!("status {code}") } else { message };
                (kind, format!("the server said: {}", said.escape_debug()))
            }
            Self::Lost => (ErrorKind::Unreachable, "the connection was lost".to_owned()),
            Self::Silent => (ErrorKind::Timeout, "the server did not answer in 60 s".to_owned()),
            Self::Protocol => {
                (ErrorKind::Protocol, "the server's answer is no answer to the request".to_owned())
            }
        };
        Error::new(kind, operation, why)
    }
}
