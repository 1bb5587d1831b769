//! What the libraries below say when something fails, in our words.

use crate::error::{Error, ErrorKind};
use crate::world::sftp::Fault;

/// A failure of the SSH connection. What a cut line can cause is `Unreachable`, and nothing else is.
pub(super) fn ssh(operation: impl Into<String>, error: russh::Error) -> Error {
    use russh::Error as E;
    let (kind, message, hint) = match &error {
        E::IO(io) => {
            let kind = Error::io("", std::io::Error::from(io.kind())).kind();
            let kind = if kind == ErrorKind::PermissionDenied { kind } else { ErrorKind::Unreachable };
            (kind, format!("the connection was lost: {io}"), LOST)
        }
        E::Disconnect | E::HUP | E::SendError | E::RecvError | E::Join(_) => {
            (ErrorKind::Unreachable, "the connection was lost".to_owned(), LOST)
        }
        E::ConnectionTimeout | E::KeepaliveTimeout | E::InactivityTimeout | E::Elapsed(_) => {
            (ErrorKind::Unreachable, "the host gave no sign of life".to_owned(), LOST)
        }
        E::Version => (
            ErrorKind::Protocol,
            "what listens there does not speak SSH".to_owned(),
            "check the address and the port",
        ),
        E::NoCommonAlgo { kind, theirs, .. } => (
            ErrorKind::Unsupported,
            format!("no {kind:?} algorithm in common; the host offers {}", theirs.join(", ")),
            "update sshd there, or allow a modern algorithm in its sshd_config",
        ),
        E::ChannelOpenFailure(_) => (
            ErrorKind::Busy,
            format!("the host opens no further session: {error}"),
            "MaxSessions in its sshd_config limits how many there may be on one connection",
        ),
        _ => (ErrorKind::Protocol, error.to_string(), "check what listens there, and what stands in between"),
    };
    Error::new(kind, operation, message).hint(hint).caused_by(error)
}

/// SFTP has no words for it (draft-ietf-secsh-filexfer-02 section 7).
const UNSAID: &str =
    "the host does not say why: its disk may be full, over quota, or mounted read-only; look there";

const LOST: &str = "look at the host and the line; sshd also cuts off addresses with many failed logins (PerSourcePenalties) \
                    for a while";

/// A failure of an SFTP request. Whoever does not answer any more may as well be gone.
pub(super) fn sftp(operation: impl Into<String>, fault: Fault) -> Error {
    match fault {
        Fault::Lost => lost(operation, None),
        Fault::Silent => {
            Error::new(ErrorKind::Unreachable, operation, "the host did not answer in time").hint(LOST)
        }
        fault => {
            let error = fault.error(operation);
            if error.kind() == ErrorKind::Io { error.hint(UNSAID) } else { error }
        }
    }
}

/// The connection is gone.
pub(super) fn lost(operation: impl Into<String>, said: Option<String>) -> Error {
    let message = match said {
        Some(said) => format!("the host closed the connection: {said}"),
        None => "the connection was lost".to_owned(),
    };
    Error::new(ErrorKind::Unreachable, operation, message).hint(LOST)
}

/// As pam_unix says it, by the banner that sshd sends before it hangs up (userauth_finish in auth2.c).
pub(super) fn is_of_an_expired_account(said: &str) -> bool {
    said.to_ascii_lowercase().contains("account has expired")
}

/// The host knows the account and its key or password, and lets nobody in.
pub(super) fn expired_account(operation: impl Into<String>, said: &str) -> Error {
    let message = format!("the account has expired; the host says: {}", said.trim());
    Error::new(ErrorKind::Authentication, operation, message)
        .hint("on the host, as root: chage -l ACCOUNT shows its end, chage -E DATE ACCOUNT sets another one")
}

/// By the questions of PAM, or what sshd prints in the place of a command that it does not run (do_pwchange in session.c).
pub(super) fn is_of_an_expired_password(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    let words = [
        "password has expired",
        "password change required",
        "required to change your password",
        "new password:",
    ];
    words.iter().any(|words| said.contains(words))
}

/// The host lets the account in, and then does nothing but ask for a new password.
pub(super) fn expired_password(operation: impl Into<String>) -> Error {
    let why = "the account's password has expired, and the host runs nothing before it is changed";
    Error::new(ErrorKind::Authentication, operation, why).hint(
        "log in with ssh on a terminal and change it; or on the host, as root: chage -d $(date +%F) ACCOUNT; keys stay as they are",
    )
}
