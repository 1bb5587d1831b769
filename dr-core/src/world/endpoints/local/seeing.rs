//! Looking at a whole tree on this machine.

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use super::Tree;
use super::digesting::digest_all;
use super::listing::stamp_of;
use super::metadata::{AttributeReader, entry_of};
use super::names::names;
use super::scan::{Links, Scan, Seen, Sink};
use crate::error::Result;
use crate::mirror::{Filter, Options, RelPath, Snapshot};
use crate::world::Control;

impl Tree {
    pub(super) fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        let (mut seen, mut spooling) = (Snapshot::default(), self.spool());
        self.see(options, true, control, &mut |path, what| {
            spooling.note(path, &what);
            take(&mut seen, path, what);
            Ok(())
        })?;
        self.keep(spooling);
        seen.entries.shrink_to_fit();
        seen.names = names(&options.owners);
        if options.checksum && !seen.entries.is_empty() {
            let root = self.root().map_err(|error| self.trouble("scan", &RelPath::root(), error))?;
            digest_all(&root, &mut seen, control)?;
        }
        Ok(seen)
    }

    /// Tells everything that is there, in the order of the tree; nothing if there is no root.
    pub(super) fn see(
        &self,
        options: &Options,
        reads_attributes: bool,
        control: &Control,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let filter = Filter::new(&options.exclude)?;
        let trouble = |error| self.trouble("scan", &RelPath::root(), error);
        let stat = match fs::statat(fs::CWD, self.root_path(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(|error| trouble(error.into()))?,
        };
        let kind = fs::FileType::from_raw_mode(stat.st_mode);
        let xattrs = AttributeReader::of_path(&self.root_path());
        sink(b"", Seen::Entry(entry_of(&stat, vec![], xattrs), stamp_of(&stat), Links::One))?;
        if !kind.is_dir() {
            return Ok(());
        }
        let root = self.root().map_err(trouble)?;
        Scan { root: &root, filter: &filter, reads_all: self.is_superuser, reads_attributes, control }
            .walk(sink)
    }
}

/// Adds to a snapshot what comes in the order of the tree.
pub(super) fn take(seen: &mut Snapshot, path: &[u8], what: Seen) {
    match what {
        Seen::Entry(entry, _, _) => drop(seen.entries.insert_at(path, entry)),
        Seen::Excluded => drop(seen.excluded.insert(RelPath::known(path))),
        Seen::Unreadable(why) => drop(seen.unreadable.insert(RelPath::known(path), why)),
    }
}
