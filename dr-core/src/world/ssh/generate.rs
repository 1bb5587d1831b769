//! New private keys.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind as Io, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{Cipher, Kdf, LineEnding};
use zeroize::Zeroizing;

use super::identity::public_half;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::PublicKey;
use crate::secret::Secret;

/// How much work a wrong guess at a passphrase costs (bcrypt rounds; what ssh-keygen takes since OpenSSH 9.4).
const BCRYPT_ROUNDS: u32 = 24;

/// A new ed25519 key, not yet in any file. Debug shows its fingerprint only, and it is wiped from memory when dropped.
///
/// ```
/// use dr_core::world::ssh::SecretKey;
/// let key = SecretKey::generate("mirror@uk").unwrap();
/// assert!(key.public().to_string().starts_with("ssh-ed25519 AAAA"));
/// assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.public().fingerprint()));
/// ```
pub struct SecretKey {
    key: PrivateKey,
    public: PublicKey,
}

impl SecretKey {
    /// Makes one, from the kernel's randomness. The comment says later on what the key is for.
    ///
    /// # Errors
    /// `Internal` if the kernel gives no randomness.
    pub fn generate(comment: &str) -> Result<Self> {
        let failed = |why: &str| Error::new(ErrorKind::Internal, "generate a key", why);
        let mut seed = Zeroizing::new([0; 32]);
        fill(&mut seed[..])?;
        let comment = comment.replace(['\r', '\n', '\0'], " ");
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, comment.trim())
            .map_err(|error| failed("it is no pair").caused_by(error))?;
        let public = public_half(&key).ok_or_else(|| failed("it has no public half"))?;
        Ok(Self { key, public })
    }

    /// Its public half, with the comment.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Writes it to a new file in OpenSSH's format, and the public half beside it as `PATH.pub`. Nobody else can read the
    /// private key at any moment; no file is ever overwritten; after a crash there is the whole key or none.
    ///
    /// With a passphrase it is encrypted, which takes about half a second of work.
    ///
    /// ```
    /// use dr_core::{ErrorKind, world::ssh::SecretKey};
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("id_ed25519");
    /// let key = SecretKey::generate("mirror@uk").unwrap();
    /// key.save_new(&path, None).unwrap();
    /// assert_eq!(std::fs::read_to_string(path.with_extension("pub")).unwrap(), format!("{}\n", key.public()));
    /// assert_eq!(key.save_new(&path, None).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists` if there is a file at either path, `NotFound` if the directory is missing, `Usage` for an empty
    /// passphrase, or what the disk says.
    pub fn save_new(&self, path: &Path, passphrase: Option<&Secret>) -> Result<()> {
        let operation = || format!("save the new key to {}", path.display());
        let public_path = pub_beside(path);
        for taken in [path, &public_path] {
            if taken.symlink_metadata().is_ok() {
                let why = format!("{} exists already, and keys are never overwritten", taken.display());
                return Err(Error::new(ErrorKind::AlreadyExists, operation(), why)
                    .hint("use that key, or choose another name"));
            }
        }
        let text = self.to_text(passphrase)?;
        let failed = |error: std::io::Error| {
            let hint = match error.kind() {
                Io::NotFound => "make the directory first: mkdir -m 700 -p",
                Io::AlreadyExists => "use that key, or choose another name",
                _ => "look at the directory's owner, mode and free space",
            };
            Error::io(operation(), error).hint(hint)
        };
        land(path, text.as_bytes(), 0o600).map_err(failed)?;
        land(&public_path, format!("{}\n", self.public).as_bytes(), 0o644).map_err(|error| {
            // Half a pair would be in the way of the next attempt; nobody has used this key yet.
            let _ = std::fs::remove_file(path);
            failed(error)
        })
    }

    fn to_text(&self, passphrase: Option<&Secret>) -> Result<Zeroizing<String>> {
        let operation = "encrypt the new key";
        let failed =
            |error| Error::new(ErrorKind::Internal, operation, "it cannot be encoded").caused_by(error);
        let Some(passphrase) = passphrase else {
            return self.key.to_openssh(LineEnding::LF).map_err(failed);
        };
        if passphrase.reveal().is_empty() {
            return Err(Error::new(ErrorKind::Usage, operation, "the passphrase is empty")
                .hint("give a passphrase, or none at all"));
        }
        let mut salt = vec![0; 16];
        let mut check = [0; 4];
        fill(&mut salt)?;
        fill(&mut check)?;
        let kdf = Kdf::Bcrypt { salt, rounds: BCRYPT_ROUNDS };
        let locked = self
            .key
            .encrypt_with(Cipher::Aes256Ctr, kdf, u32::from_be_bytes(check), passphrase.reveal())
            .map_err(failed)?;
        locked.to_openssh(LineEnding::LF).map_err(failed)
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.public.fingerprint())
    }
}

/// `PATH.pub`, whatever dots are in the path.
fn pub_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A new file, whole or not at all: written beside and linked to its name, which fails if the name is taken.
fn land(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut word = [0; 8];
    getrandom::fill(&mut word).map_err(std::io::Error::other)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", data_encoding::HEXLOWER.encode(&word)));
    let beside = PathBuf::from(beside);
    let landed = write(&beside, content, mode).and_then(|()| std::fs::hard_link(&beside, path));
    let removed = std::fs::remove_file(&beside);
    landed?;
    removed?;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(parent)?.sync_all()
}

fn write(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // A umask only takes away; what it took from the owner is given back.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "generate a key", "the kernel gave no randomness").caused_by(error)
    })
}
