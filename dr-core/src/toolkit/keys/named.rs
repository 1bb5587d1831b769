//! From what a caller names to the key that it means.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::keys::{AuthorizedKeys, Certificate, PublicKey};

/// The public key in a file.
///
/// ```
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("ann.pub");
/// std::fs::write(&path, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann\n").unwrap();
/// assert_eq!(dr_core::toolkit::read_public_key(&path).unwrap().comment(), "ann");
/// ```
///
/// # Errors
/// What the disk says; `Usage` if something else is in it, such as a private key, of which nothing is told.
pub fn read_public_key(path: &Path) -> Result<PublicKey> {
    let operation = || format!("read the public key {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => {
            Error::io(operation(), why).hint("name the .pub file; dr keys generate makes a new pair")
        }
        _ => Error::io(operation(), why),
    })?;
    text.trim().parse().map_err(|why: String| {
        Error::new(ErrorKind::Usage, operation(), why).hint("name the .pub file, with one key in it")
    })
}

/// The line of a certificate's file, or else of a public key's.
///
/// ```
/// let nowhere = dr_core::toolkit::read_certificate_or_key("/nowhere/ann-cert.pub".as_ref());
/// assert_eq!(nowhere.unwrap_err().kind(), dr_core::ErrorKind::NotFound);
/// ```
///
/// # Errors
/// As [`read_public_key`].
pub fn read_certificate_or_key(path: &Path) -> Result<String> {
    let certificate = std::fs::read_to_string(path).ok().and_then(|text| text.parse::<Certificate>().ok());
    certificate.map_or_else(
        || read_public_key(path).map(|key| key.to_string()),
        |certificate| Ok(certificate.to_string()),
    )
}

/// The fingerprints of the keys in a file that lists them, one a line as in a `.pub` file; `#` begins a remark.
///
/// ```
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("known");
/// std::fs::write(&path, "# ours\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann\n").unwrap();
/// let known = dr_core::toolkit::read_known_keys(&path).unwrap();
/// assert_eq!(known, ["SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE"]);
/// ```
///
/// # Errors
/// What the disk says; `Usage` with the line that is no key, or if there is none.
pub fn read_known_keys(path: &Path) -> Result<Vec<String>> {
    let operation = || format!("read the known keys in {}", path.display());
    let content = std::fs::read(path).map_err(|error| Error::io(operation(), error))?;
    let file = AuthorizedKeys::parse(&content);
    if let Some((line, why)) = file.broken().next() {
        return Err(Error::new(ErrorKind::Usage, operation(), format!("line {line}: {why}"))
            .hint("one key a line, as in a .pub file; # begins a remark"));
    }
    let known: Vec<String> = file.entries().map(|entry| entry.key.fingerprint()).collect();
    if known.is_empty() {
        return Err(Error::new(ErrorKind::Usage, operation(), "there is no key in it"));
    }
    Ok(known)
}

/// A key or certificate that is named by its line or by its file. What is neither is not repeated in the error: it may be a private key.
pub(in crate::toolkit) fn line_or_file(text: &str) -> Result<String> {
    let line = text.trim();
    if line.parse::<Certificate>().is_ok() {
        return Ok(line.to_owned());
    }
    match line.parse::<PublicKey>() {
        Ok(key) => Ok(key.to_string()),
        Err(_) if line.ends_with(".pub") || Path::new(text).exists() => {
            read_certificate_or_key(Path::new(text))
        }
        Err(why) => Err(Error::new(ErrorKind::Usage, "read a public key", why)
            .hint("give the one line of a .pub file, or the path of that file")),
    }
}
