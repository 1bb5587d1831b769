//! What a seat must still know after a crash, in a file of its own.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{HostId, SiteId};
use crate::failover::Kept;

/// The format that this version writes.
const FORMAT: u32 = 1;

/// The file of one seat. It is replaced as a whole; when a write has returned, it survives a loss of power.
///
/// ```
/// use dr_core::world::seat_file::SeatFile;
/// let directory = tempfile::tempdir().unwrap();
/// let (site, host) = ("shop".parse().unwrap(), "uk".parse().unwrap());
/// let file = SeatFile::new(directory.path(), &site, &host);
/// assert!(file.read().unwrap().is_none(), "nothing was ever kept");
/// file.write(&Default::default()).unwrap();
/// assert_eq!(file.read().unwrap(), Some(Default::default()));
/// ```
#[derive(Clone, Debug)]
pub struct SeatFile {
    path: PathBuf,
    site: SiteId,
    host: HostId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    site: SiteId,
    host: HostId,
    kept: Kept,
    /// Of everything above.
    digest: Digest,
}

impl Content {
    fn digest(&self) -> Digest {
        Digest::of_value(&(self.format, &self.site, &self.host, &self.kept))
    }
}

/// Read before everything else: a newer format may have other fields.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl SeatFile {
    /// The file of a site's seat on a host, in the directory of its agent.
    #[must_use]
    pub fn new(directory: &Path, site: &SiteId, host: &HostId) -> Self {
        let path = directory.join("seats").join(format!("{site}.json"));
        Self { path, site: site.clone(), host: host.clone() }
    }

    /// What was kept; none if nothing ever was.
    ///
    /// Errors: `Corrupt` for a file that is damaged, `Unsupported` for one of a newer version, `Conflict` for another host's or
    /// site's. A seat must not begin as if it knew nothing then: it would forget what it has seen.
    pub fn read(&self) -> Result<Option<Kept>> {
        let operation = || format!("read what the seat of {} has kept", self.site);
        let advice = "ask dr failover status on the other host who holds the site; then put the file back, or remove it";
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(Error::io(operation(), why)),
        };
        let damaged = |why: String| {
            let said = format!("{} is damaged: {why}", self.path.display());
            Error::new(ErrorKind::Corrupt, operation(), said).hint(advice)
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|why| damaged(why.to_string()))?;
        if head.format != FORMAT {
            let why =
                format!("{} has format {}, and this dr knows {FORMAT}", self.path.display(), head.format);
            return Err(Error::new(ErrorKind::Unsupported, operation(), why)
                .hint("start the version of dr that wrote it, or a newer one"));
        }
        let content: Content = serde_json::from_slice(&bytes).map_err(|why| damaged(why.to_string()))?;
        if content.digest != content.digest() {
            return Err(damaged("its digest is another".to_owned()));
        }
        if (&content.site, &content.host) != (&self.site, &self.host) {
            let why = format!("{} is of {} on {}", self.path.display(), content.site, content.host);
            return Err(
                Error::new(ErrorKind::Conflict, operation(), why).hint("each host has files of its own")
            );
        }
        Ok(Some(content.kept))
    }

    /// Keeps it: durable when this returns, file and directory.
    pub fn write(&self, kept: &Kept) -> Result<()> {
        let (site, host, kept) = (self.site.clone(), self.host.clone(), kept.clone());
        let mut content = Content { format: FORMAT, site, host, kept, digest: Digest::of(b"") };
        content.digest = content.digest();
        let operation = || format!("keep what the seat of {} knows", self.site);
        let mut bytes = serde_json::to_vec(&content)
            .map_err(|why| Error::new(ErrorKind::Internal, operation(), why.to_string()))?;
        bytes.push(b'\n');
        replace_durably(&self.path, &bytes).map_err(|why| Error::io(operation(), why))
    }
}

/// Replaces a file as a whole: whoever reads it sees the old or the new one, also after a loss of power.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    if !directory.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        if let Some(above) = directory.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = File::create(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(why) = written {
        // What was begun on a full disk must not make it fuller.
        let _ = fs::remove_file(&new);
        return Err(why);
    }
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Epoch;
    use crate::failover::Seen;

    fn file(directory: &Path) -> SeatFile {
        SeatFile::new(directory, &"shop".parse().unwrap(), &"uk".parse().unwrap())
    }

    #[test]
    fn what_is_damaged_newer_or_foreign_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        let seen = Some(Seen { epoch: Epoch(7), home: "us".parse().unwrap() });
        file.write(&Kept { seen, ..Kept::default() }).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let check = |text: &str, kind: ErrorKind, said: &str| {
            fs::write(&file.path, text).unwrap();
            let why = file.read().unwrap_err();
            assert!(why.kind() == kind && why.to_string().contains(said), "{why}");
        };
        check(&text.replace("\"epoch\":7", "\"epoch\":6"), ErrorKind::Corrupt, "digest");
        check(&text[..text.len() / 2], ErrorKind::Corrupt, "damaged");
        check("", ErrorKind::Corrupt, "damaged");
        check(&text.replace("\"format\":1", "\"format\":2,\"more\":0"), ErrorKind::Unsupported, "format 2");
        fs::write(&file.path, &text).unwrap();
        assert_eq!(file.read().unwrap().unwrap().seen.unwrap().epoch, Epoch(7));
        let other = SeatFile { host: "us".parse().unwrap(), ..file.clone() };
        assert_eq!(other.read().unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_disk_that_is_full_leaves_what_was_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        file.write(&Kept::default()).unwrap();
        // In the way of the new file, as a full disk is.
        fs::create_dir(directory.path().join("seats/shop.json.new")).unwrap();
        let changed = Kept { applied: Epoch(3), ..Kept::default() };
        assert!(file.write(&changed).is_err());
        assert_eq!(file.read().unwrap(), Some(Kept::default()));
    }
}
