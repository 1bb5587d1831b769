//! What can be wrong with a private key, and what to do about it.

use crate::error::{Error, ErrorKind};
use crate::keys::RSA_BITS_MIN;

/// Why a text is not a private key that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// There is nothing.
    Empty,
    /// It is the public half.
    PublicHalf,
    /// It is something else.
    NoKey,
    /// Its lines begin with blanks, as when it was copied out of a document.
    Indented,
    /// Its end is missing.
    CutOff,
    /// It begins like a key, and does not go on like one.
    Damaged,
    /// The public half in it belongs to another key.
    TwoHalves,
    /// It is encrypted, and there was no passphrase.
    Locked,
    /// The passphrase does not open it.
    WrongPassphrase,
    /// To try a passphrase would take too long, or too much memory.
    TooDear(String),
    /// It is encrypted in a way that is not known, or no longer safe.
    Cipher(String),
    /// Keys of this kind cannot be used.
    Kind(String),
    /// An RSA key, and this build has no RSA.
    #[cfg(not(feature = "rsa"))]
    NoRsa,
    /// An RSA key with so many bits.
    Weak(u32),
}

const RESTORE: &str = "restore it from a backup, or make a new key";

impl Bad {
    /// The error for the operator, who tried `operation`.
    pub(super) fn error(&self, operation: String) -> Error {
        let (kind, why, hint) = self.words();
        Error::new(kind, operation, why).hint(hint)
    }

    fn words(&self) -> (ErrorKind, String, String) {
        let (kind, why, hint) = match self {
            Self::Empty => (ErrorKind::Corrupt, "it is empty", RESTORE),
            Self::PublicHalf => (
                ErrorKind::Usage,
                "it holds the public half of a key",
                "name the private key; its file usually has the same name without .pub",
            ),
            Self::NoKey => (ErrorKind::Usage, "it is no private key", "name the private key file itself"),
            Self::Indented => (
                ErrorKind::Corrupt,
                "its lines begin with blanks",
                "take the blanks away: sed -i 's/^[ \\t]*//' FILE",
            ),
            Self::CutOff => (ErrorKind::Corrupt, "it is cut off", RESTORE),
            Self::Damaged => (ErrorKind::Corrupt, "it is damaged", RESTORE),
            Self::TwoHalves => (ErrorKind::Corrupt, "its public half belongs to another key", RESTORE),
            Self::Locked => (
                ErrorKind::Usage,
                "it is encrypted, and no passphrase was given",
                "give its passphrase, or load it into an ssh-agent with ssh-add and name the agent",
            ),
            Self::WrongPassphrase => (
                ErrorKind::Usage,
                "the passphrase does not open it",
                "ssh-keygen -y -f FILE tells whether a passphrase is right",
            ),
            Self::TooDear(what) => {
                let why = format!("to try a passphrase would take {what}");
                return (
                    ErrorKind::Refused,
                    why,
                    "rewrite it where it was made, with fewer rounds".to_owned(),
                );
            }
            Self::Cipher(what) => {
                let why = format!("it is encrypted by {what}, which is not read");
                return (ErrorKind::Unsupported, why, "ssh-keygen -p -f FILE rewrites it".to_owned());
            }
            Self::Kind(kind) => {
                let why = format!("keys of the kind {kind} cannot be used from a file");
                let hint = "load it into an ssh-agent, or make an ed25519 key";
                return (ErrorKind::Unsupported, why, hint.to_owned());
            }
            #[cfg(not(feature = "rsa"))]
            Self::NoRsa => (
                ErrorKind::Unsupported,
                "it is an RSA key, which this build cannot use",
                "make an ed25519 key with dr keys generate and install it; until then, an ssh-agent can hold the RSA key",
            ),
            Self::Weak(bits) => {
                let why = format!("it is an RSA key of {bits} bits, and fewer than {RSA_BITS_MIN} are weak");
                let hint =
                    "make an ed25519 key with dr keys generate and put it into its place: dr keys rotate";
                return (ErrorKind::Refused, why, hint.to_owned());
            }
        };
        (kind, why.to_owned(), hint.to_owned())
    }
}
