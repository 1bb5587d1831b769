//! New private key files.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind as Io, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use russh::keys::ssh_key::{Cipher, Kdf};
use zeroize::Zeroizing;

use super::openssh::MAGIC;
use super::{SecretKey, fill, leaving_no_trace};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::wire::put;
use crate::secret::Secret;

/// How much work a wrong guess at a passphrase costs (bcrypt rounds; what ssh-keygen takes since OpenSSH 9.4).
const BCRYPT_ROUNDS: u32 = 24;

impl SecretKey {
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
        let operation = || saving(path);
        let public_path = Self::may_be_saved(path)?;
        let text = leaving_no_trace(|| self.to_text(passphrase))?;
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

    /// Whether a new key may be saved to this path; gives where its public half would be.
    ///
    /// ```
    /// use dr_core::world::ssh::SecretKey;
    /// assert_eq!(SecretKey::may_be_saved("/nowhere/id".as_ref()).unwrap(), std::path::Path::new("/nowhere/id.pub"));
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists` if there is a file at either path.
    pub fn may_be_saved(path: &Path) -> Result<PathBuf> {
        let public_path = pub_beside(path);
        for taken in [path, &public_path] {
            if taken.symlink_metadata().is_ok() {
                let why = format!("{} exists already, and keys are never overwritten", taken.display());
                return Err(Error::new(ErrorKind::AlreadyExists, saving(path), why)
                    .hint("use that key, or choose another name"));
            }
        }
        Ok(public_path)
    }

    /// The file's text (PROTOCOL.key in OpenSSH's sources). Not by the library: it writes numbers that begin with zeros as they are, which PuTTY
    /// does not take.
    pub(super) fn to_text(&self, passphrase: Option<&Secret>) -> Result<Zeroizing<String>> {
        let mut check = [0; 4];
        fill(&mut check)?;
        let mut private =
            Zeroizing::new(Vec::with_capacity(self.pair.0.len() + self.public.comment().len() + 64));
        private.extend([check, check].concat());
        private.extend_from_slice(&self.pair.0);
        put(&mut private, self.public.comment().as_bytes());
        let block = if passphrase.is_some() { 16 } else { 8 };
        let padding = private.len().next_multiple_of(block) - private.len();
        private.extend((1_u8..).take(padding));
        let (mut cipher, mut kdf, mut options) = (Cipher::None, "none", vec![]);
        if let Some(passphrase) = passphrase {
            (cipher, kdf, options) = (Cipher::Aes256Ctr, "bcrypt", encrypt(&mut private, passphrase)?);
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(private.len() + self.public.blob().len() + 256));
        whole.extend_from_slice(MAGIC);
        for value in [cipher.as_str().as_bytes(), kdf.as_bytes(), &options] {
            put(&mut whole, value);
        }
        whole.extend(1_u32.to_be_bytes());
        put(&mut whole, self.public.blob());
        put(&mut whole, &private);
        Ok(armour(&whole))
    }
}

fn saving(path: &Path) -> String {
    format!("save the new key to {}", path.display())
}

/// Encrypts in place; gives the salt and the rounds as they stand in the file.
fn encrypt(private: &mut [u8], passphrase: &Secret) -> Result<Vec<u8>> {
    let operation = "encrypt the new key";
    if passphrase.reveal().is_empty() {
        return Err(Error::new(ErrorKind::Usage, operation, "the passphrase is empty")
            .hint("give a passphrase, or none at all"));
    }
    let mut salt = vec![0; 16];
    fill(&mut salt)?;
    let mut options = vec![];
    put(&mut options, &salt);
    options.extend(BCRYPT_ROUNDS.to_be_bytes());
    let failed = |why: &str| Error::new(ErrorKind::Internal, operation, why);
    let kdf = Kdf::Bcrypt { salt, rounds: BCRYPT_ROUNDS };
    let derived = kdf.derive_key_and_iv(Cipher::Aes256Ctr, passphrase.reveal());
    let (key, iv) = derived.map_err(|error| failed("bcrypt fails").caused_by(error))?;
    let encrypted = Cipher::Aes256Ctr.encrypt(&key, &iv, private);
    encrypted.map_err(|error| failed("AES fails").caused_by(error))?;
    Ok(options)
}

/// In lines of 70 letters, as ssh-keygen does.
fn armour(bytes: &[u8]) -> Zeroizing<String> {
    let letters = Zeroizing::new(BASE64.encode(bytes));
    let mut text = Zeroizing::new(String::with_capacity(letters.len() + letters.len() / 70 + 128));
    text.push_str("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let mut rest = letters.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(70));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    text
}

/// `PATH.pub`, whatever dots are in the path.
pub(super) fn pub_beside(path: &Path) -> PathBuf {
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
