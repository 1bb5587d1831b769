//! The register of a certificate authority: a file beside its private key, with a line for each certificate.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, ErrorKind, Result};
use crate::keys::Issued;

/// The register of an authority, locked while it is held: numbers are given out once.
#[derive(Debug)]
pub(crate) struct Register {
    file: File,
    path: PathBuf,
    text: String,
}

impl Register {
    /// The register beside this private key; a new one if there is none. Waits for whoever holds it.
    pub(crate) fn open(authority: &Path) -> Result<Self> {
        let path = beside(authority);
        let failed =
            |error: std::io::Error| Error::io(format!("open the register {}", path.display()), error);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        Ok(Self { file, path, text })
    }

    /// The number for the next certificate.
    pub(crate) fn next(&self) -> u64 {
        Issued::next(&self.text, 0)
    }

    /// Writes a certificate down, durably: before it is signed, so that no number is ever given out twice.
    pub(crate) fn write(&mut self, issued: &Issued) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::io(format!("write the register {}", self.path.display()), error);
        let line = serde_json::to_string(issued).map_err(|error| failed(error.into()))?;
        // What a crash left without its end must not swallow this line.
        let begin = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        let line = format!("{begin}{line}\n");
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_all()).map_err(failed)?;
        self.text.push_str(&line);
        Ok(())
    }
}

/// What an authority has signed, as its register says.
pub(crate) fn issued(authority: &Path) -> Result<Vec<Issued>> {
    let path = beside(authority);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Issued::read(&text)),
        Err(error) => {
            let error = Error::io(format!("read the register {}", path.display()), error);
            Err(if error.kind() == ErrorKind::NotFound {
                error.hint("name the authority's private key; the register lies beside it, and begins with the first certificate")
            } else {
                error
            })
        }
    }
}

fn beside(authority: &Path) -> PathBuf {
    let mut name = authority.as_os_str().to_owned();
    name.push(".issued");
    name.into()
}
