//! Private keys in files.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{Bearer, Certificate, PublicKey};
use crate::secret::Secret;
use crate::world::Clock as _;
use crate::world::clock::SystemClock;

/// A private key that can log in. Debug shows its fingerprint only.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) public: PublicKey,
    pub(super) key: Arc<PrivateKey>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} {})", self.path.display(), self.public.fingerprint())
    }
}

impl Identity {
    /// Reads a private key file, and opens it if it is encrypted. On a thread of its own: opening takes half a second of work.
    pub(super) async fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Self> {
        let (path, passphrase) = (path.to_owned(), passphrase.cloned());
        tokio::task::spawn_blocking(move || load(&path, passphrase.as_ref())).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "read a private key", "the thread that read it died")
                .caused_by(error)
        })?
    }

    /// The certificate in `PATH-cert.pub`, if it is for this key and may open this account now. A host would refuse any other one, and
    /// counts refusals.
    pub(super) fn certificate(&self, remote: &Remote) -> Option<russh::keys::Certificate> {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push("-cert.pub");
        let text = std::fs::read_to_string(PathBuf::from(beside)).ok()?;
        let certificate: Certificate = text.parse().ok()?;
        let named = certificate.names().iter().any(|name| name == remote.user.as_str());
        let in_time = certificate.is_in_time(SystemClock::new().read().wall).is_ok();
        let ours = certificate.bearer() == Bearer::User && *certificate.key() == self.public;
        (named && in_time && ours).then(|| russh::keys::Certificate::from_bytes(certificate.blob()).ok())?
    }
}

fn load(path: &Path, passphrase: Option<&Secret>) -> Result<Identity> {
    let failed = |kind, why: &str| Error::new(kind, format!("use the key file {}", path.display()), why);
    let key = read(path)?;
    let key = if key.is_encrypted() {
        let Some(passphrase) = passphrase else {
            return Err(failed(ErrorKind::Usage, "it is encrypted, and no passphrase was given")
                .hint("give its passphrase, or load it into an ssh-agent with ssh-add and name the agent"));
        };
        key.decrypt(passphrase.reveal().as_bytes()).map_err(|_| {
            failed(ErrorKind::Usage, "the passphrase does not open it")
                .hint("ssh-keygen -y -f FILE tells whether a passphrase is right")
        })?
    } else {
        key
    };
    let public = public_half(&key).ok_or_else(|| failed(ErrorKind::Unsupported, "its kind is unknown"))?;
    Ok(Identity { path: path.to_owned(), public, key: Arc::new(key) })
}

/// The public half of a private key file, which stands unencrypted in it.
pub(super) fn public_of(path: &Path) -> Result<PublicKey> {
    let key = read(path)?;
    public_half(&key).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("use the key file {}", path.display()),
            "its kind is unknown",
        )
    })
}

pub(super) fn public_half(key: &PrivateKey) -> Option<PublicKey> {
    let blob = key.public_key().to_bytes().ok()?;
    PublicKey::from_blob(&blob).map(|public| public.with_comment(key.comment().as_ref()))
}

/// Reads the file if nobody else can, and says what is wrong with it if it is no private key.
fn read(path: &Path) -> Result<PrivateKey> {
    use std::io::Read as _;
    let operation = || format!("use the key file {}", path.display());
    let failed = |kind, why: &str, hint: &str| Error::new(kind, operation(), why).hint(hint);
    let file = std::fs::File::open(path).map_err(|error| Error::io(operation(), error))?;
    let facts = file.metadata().map_err(|error| Error::io(operation(), error))?;
    if !facts.is_file() {
        return Err(failed(ErrorKind::Usage, "it is no file", "name the private key file itself"));
    }
    let ours = facts.uid() == rustix::process::getuid().as_raw();
    if ours && facts.mode() & 0o077 != 0 {
        let why = format!("others can read or write it (mode {:04o})", facts.mode() & 0o7777);
        return Err(failed(ErrorKind::PermissionDenied, &why, &format!("chmod 600 {}", path.display())));
    }
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    match file.take(1 << 20).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(failed(ErrorKind::Usage, "it is no private key", "name the private key file itself"));
        }
        Err(error) => return Err(Error::io(operation(), error)),
    }
    let key = PrivateKey::from_openssh(text.as_bytes()).map_err(|_| refusal(&text, &failed))?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(key),
        Algorithm::Rsa { .. } => Err(rsa(&failed)),
        other => Err(failed(
            ErrorKind::Unsupported,
            &format!("keys of the kind {other} cannot be used from a file"),
            "load it into an ssh-agent, or make an ed25519 key",
        )),
    }
}

/// Why a text is not a private key that can be used.
fn refusal(text: &str, failed: &dyn Fn(ErrorKind, &str, &str) -> Error) -> Error {
    let trimmed = text.trim_start();
    let begins = |label: &str| trimmed.starts_with(&format!("-----BEGIN {label}-----"));
    if trimmed.is_empty() {
        return failed(ErrorKind::Corrupt, "it is empty", "restore it from a backup, or make a new key");
    }
    if trimmed.parse::<PublicKey>().is_ok() || begins("SSH2 PUBLIC KEY") {
        return failed(
            ErrorKind::Usage,
            "it holds the public half of a key",
            "name the private key; its file usually has the same name without .pub",
        );
    }
    if begins("RSA PRIVATE KEY") {
        return rsa(failed);
    }
    if trimmed.starts_with("PuTTY-User-Key-File") {
        return failed(
            ErrorKind::Unsupported,
            "it is in PuTTY's format",
            "puttygen FILE -O private-openssh -o NEW",
        );
    }
    if begins("PRIVATE KEY") || begins("ENCRYPTED PRIVATE KEY") || begins("EC PRIVATE KEY") {
        return failed(
            ErrorKind::Unsupported,
            "it is not in OpenSSH's own format",
            "ssh-keygen -p -f FILE rewrites it in that format",
        );
    }
    if !begins("OPENSSH PRIVATE KEY") {
        return failed(ErrorKind::Usage, "it is no private key", "name the private key file itself");
    }
    if !text.contains("-----END OPENSSH PRIVATE KEY-----") {
        return failed(ErrorKind::Corrupt, "it is cut off", "restore it from a backup, or make a new key");
    }
    failed(ErrorKind::Corrupt, "it is damaged", "restore it from a backup, or make a new key")
}

fn rsa(failed: &dyn Fn(ErrorKind, &str, &str) -> Error) -> Error {
    failed(
        ErrorKind::Unsupported,
        "it is an RSA key, which this build cannot use",
        "make an ed25519 key with dr keys generate and install it; until then, an ssh-agent can hold the RSA key",
    )
}
