//! An estate from a file.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Estate;

impl Estate {
    /// Reads the estate in a file: JSON if its name ends in `.json`, else TOML. Every mistake in it stands in the one error.
    ///
    /// ```
    /// use dr_core::{Estate, ErrorKind};
    /// let directory = tempfile::tempdir().unwrap();
    /// let file = directory.path().join("dr.toml");
    /// std::fs::write(&file, "[hosts.uk]\nshs = 'root@uk'\n").unwrap();
    /// let error = Estate::load(&file).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Usage);
    /// assert!(error.to_string().ends_with("dr.toml:2:1: hosts.uk.shs: unknown key; did you mean 'ssh'?"));
    /// ```
    pub fn load(path: &Path) -> Result<Self> {
        let operation = || format!("read the estate in {}", path.display());
        let mut bytes = vec![];
        // A little more than the largest estate: reading a device by mistake must end.
        let read = std::fs::File::open(path).and_then(|file| file.take(5 << 20).read_to_end(&mut bytes));
        read.map_err(|error| Error::io(operation(), error).hint("name the file with --estate"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let why = format!("it is no text: byte {} is not UTF-8", error.utf8_error().valid_up_to() + 1);
            Error::new(ErrorKind::Usage, operation(), why).hint("an estate is TOML or JSON in UTF-8")
        })?;
        let json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let read = if json { Self::from_json(&text) } else { Self::from_toml(&text) };
        read.map_err(|mistakes| mistakes.named(path.display().to_string()).into())
    }
}
