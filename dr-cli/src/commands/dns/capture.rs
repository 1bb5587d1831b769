//! What servers said, in a file: the same can be judged again, elsewhere and later.

use std::path::Path;

use dr_core::dns::ZoneFacts;
use dr_core::{Error, ErrorKind, Result};

pub(super) fn read(file: &Path) -> Result<Vec<ZoneFacts>> {
    let operation = || format!("read {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|why| Error::io(operation(), why))?;
    serde_json::from_str(&text).map_err(|why| {
        Error::new(ErrorKind::Usage, operation(), why.to_string())
            .hint("name a file that --capture has written")
    })
}

/// What stands there already is not overwritten.
pub(super) fn write(file: &Path, facts: &[ZoneFacts]) -> Result<()> {
    let operation = || format!("write {}", file.display());
    let text = serde_json::to_vec(facts)
        .map_err(|why| Error::new(ErrorKind::Internal, operation(), why.to_string()))?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, &text));
    written.map_err(|why| Error::io(operation(), why))
}
