//! A host that is or has become home takes no mirror: its own word is read again while files land.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::failover::{Role, Standing};
use crate::mirror::{Fencing, check_standing};

/// What was read is relied on for so long.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The standing of this host for the site that the tree belongs to.
#[derive(Default)]
pub(super) struct Fence(Mutex<Option<Watched>>);

struct Watched {
    fencing: Fencing,
    read: Option<Instant>,
}

impl Fence {
    /// Watches another standing from now on, or none.
    pub(super) fn watch(&self, fencing: Option<Fencing>) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            fencing.map(|fencing| Watched { fencing, read: None });
        self.hold()
    }

    /// An error of kind `Refused` if this host is home or knows a newer epoch.
    pub(super) fn hold(&self) -> Result<()> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Watched { fencing, read }) = &mut *slot else { return Ok(()) };
        if read.is_some_and(|read| read.elapsed() < FRESH_FOR) {
            return Ok(());
        }
        if let Some(known) = standing(Path::new(&fencing.standing))? {
            check_standing(&fencing.site, fencing.epoch, known.role == Role::Home, known.epoch)?;
        }
        *read = Some(Instant::now());
        Ok(())
    }
}

/// What this host was told it is; none if it was never told.
fn standing(path: &Path) -> Result<Option<Standing>> {
    let operation = || format!("read {}", path.display());
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| Error::io(operation(), error))?,
    };
    let known = Standing::from_bytes(&bytes).map_err(|why| {
        Error::new(ErrorKind::Corrupt, operation(), why)
            .hint("look at the file; if it is lost, remove it and plan again")
    })?;
    Ok(Some(known))
}
