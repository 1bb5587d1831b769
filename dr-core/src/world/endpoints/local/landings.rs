//! What lands is written down first, in the state directory: a run that is cut short agrees on nothing, and what it left would be
//! taken for somebody else's work. Nothing waits for the disk: at worst, after a power cut, somebody is asked who wins.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::Tree;
use crate::digest::Digest;
use crate::mirror::{
    BaselineName, BaselineReader, Change, Delta, Entry, Kind, LandingsReader, LandingsWriter, Lot, Part,
    Progress, RelPath,
};

/// More is not written down: a few million paths.
const BYTES_MAX: u64 = 512 << 20;

/// Where a run writes down what it is about to land; nothing before the first agreement.
#[derive(Default)]
pub(super) struct Landings(Mutex<Option<LandingsWriter<File>>>);

impl Landings {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<LandingsWriter<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push<'a>(&self, mut batch: impl Iterator<Item = (&'a RelPath, Option<&'a Entry>)>) {
        let mut slot = self.slot();
        let Some(writer) = &mut *slot else { return };
        if writer.push(&mut batch).is_ok_and(|bytes| bytes < BYTES_MAX) {
            return;
        }
        *slot = None;
    }

    /// The files of a lot; of a huge one only when it is whole.
    pub(super) fn tell_lot(&self, lot: &Lot) {
        let files = lot.files.iter().filter(|file| !matches!(file.part, Part::Range { .. }));
        self.push(files.map(|file| (&file.change.path, file.change.to.as_ref())));
    }

    pub(super) fn tell(&self, changes: &[Change]) {
        self.push(changes.iter().map(|change| (&change.path, change.to.as_ref())));
    }

    /// A file that is newer than it was planned.
    pub(super) fn tell_newer(&self, path: &RelPath, entry: &Entry) {
        self.push(std::iter::once((path, Some(entry))));
    }

    /// Both ends agree: nothing is open any more.
    pub(super) fn forget(&self, baseline: &Path) {
        *self.slot() = None;
        let _ = std::fs::remove_file(path_of(baseline));
    }
}

impl Tree {
    /// From now on, what lands is written down. Where it cannot be, it is as if nothing was.
    pub(super) fn open_landings(&self, pair: Option<Digest>) {
        let baseline = pair.and_then(|pair| self.baseline_path(pair));
        *self.landings.slot() = baseline.and_then(|baseline| open(&baseline).ok());
    }

    /// Which of the paths that changed since the agreement are as a run of ours left them.
    pub(super) fn landed(&self, baseline: &Path, name: BaselineName, delta: &Delta) -> BTreeSet<RelPath> {
        let mut landed = BTreeSet::new();
        let Ok(file) = File::open(path_of(baseline)) else { return landed };
        let Ok(mut reader) = LandingsReader::new(BufReader::with_capacity(256 * 1024, file)) else {
            return landed;
        };
        if reader.name() != name {
            return landed;
        }
        while let Some((path, entry)) = reader.next() {
            let path = RelPath::known(path);
            let (was, now) = (delta.was.entries.get(&path), delta.now.entries.get(&path));
            let is_listed = was.is_some() || now.is_some();
            let change = Change { path, from: was, to: entry.cloned() };
            if is_listed && is_as_left(&change, now.as_ref()) {
                landed.insert(change.path);
            }
        }
        landed
    }
}

/// Whether this is what the change made of its path, or had made of it when it was cut short. Which of several names is the first
/// may have changed since.
fn is_as_left(change: &Change, now: Option<&Entry>) -> bool {
    let looks_like = |to: &Entry, now: &Entry| {
        let look = |entry: &Entry| (entry.mode, entry.mtime_s, entry.mtime_ns, entry.owner);
        matches!(now.kind, Kind::HardLink { .. }) && !to.is_directory() && look(to) == look(now)
    };
    change.progress_alone(now) != Progress::Strange
        || matches!((&change.to, now), (Some(to), Some(now)) if looks_like(to, now))
}

fn path_of(baseline: &Path) -> std::path::PathBuf {
    baseline.with_extension("landings")
}

/// Goes on with what a run left that began from the same agreement.
fn open(baseline: &Path) -> io::Result<LandingsWriter<File>> {
    let name = BaselineReader::new(File::open(baseline)?)?.name();
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path_of(baseline))?;
    let found = LandingsReader::new(BufReader::with_capacity(256 * 1024, &file)).ok();
    let Some(mut found) = found.filter(|found| found.name() == name) else {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        return LandingsWriter::new(file, name);
    };
    while found.next().is_some() {}
    let whole = found.whole();
    drop(found);
    file.set_len(whole.1)?;
    file.seek(SeekFrom::Start(whole.1))?;
    Ok(LandingsWriter::go_on(file, whole))
}
