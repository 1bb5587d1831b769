//! What lands is written down first, in the state directory: a run that is cut short agrees on nothing, and what it left would be
//! taken for somebody else's work. Nothing waits for the disk: at worst, after a power cut, somebody is asked who wins.

use std::collections::{BTreeMap, BTreeSet};
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
        read(baseline, name, |path, to| {
            let (was, now) = (delta.was.entries.get(path), delta.now.entries.get(path));
            let is_listed = was.is_some() || now.is_some();
            let change = Change { path: path.clone(), from: was, to: to.cloned() };
            if is_listed && is_as_left(&change, now.as_ref()) {
                landed.insert(change.path);
            }
        });
        // What is set at one name of a file shows at all of them, also at those whose turn had not come.
        let groups = groups(delta, &landed);
        if !groups.is_empty() {
            read(baseline, name, |path, to| {
                let names = firsts(delta, path).into_iter().filter_map(|first| groups.get(&first)).flatten();
                let shows_at = |name: &&RelPath| shows(delta, name, to);
                landed.extend(names.filter(shows_at).cloned());
            });
        }
        landed
    }
}

fn read(baseline: &Path, name: BaselineName, mut each: impl FnMut(&RelPath, Option<&Entry>)) {
    let Ok(file) = File::open(path_of(baseline)) else { return };
    let reader = LandingsReader::new(BufReader::with_capacity(256 * 1024, file));
    let Some(mut reader) = reader.ok().filter(|reader| reader.name() == name) else { return };
    while let Some((path, to)) = reader.next() {
        each(&RelPath::known(path), to);
    }
}

/// The first names of the file that a path was a name of, and is.
fn firsts(delta: &Delta, path: &RelPath) -> BTreeSet<RelPath> {
    let entries = [delta.was.entries.get(path), delta.now.entries.get(path)];
    let first = |entry: Entry| match entry.kind {
        Kind::HardLink { first } => first,
        _ => path.clone(),
    };
    entries.into_iter().flatten().map(first).collect()
}

/// Names of files that had or have several, and that changed otherwise than known so far; by the first name.
fn groups(delta: &Delta, landed: &BTreeSet<RelPath>) -> BTreeMap<RelPath, Vec<RelPath>> {
    let mut groups: BTreeMap<RelPath, Vec<RelPath>> = BTreeMap::new();
    let is_name = |entry: &Entry| matches!(entry.kind, Kind::HardLink { .. });
    let both = [&delta.was, &delta.now].into_iter().flat_map(|tree| tree.entries.iter());
    for (path, _) in both.filter(|(_, entry)| is_name(entry)) {
        for first in firsts(delta, &path) {
            let group = groups.entry(first.clone()).or_insert_with(|| vec![first]);
            group.push(path.clone());
        }
    }
    groups.values_mut().for_each(|group| group.retain(|name| !landed.contains(name)));
    groups.retain(|_, group| !group.is_empty());
    groups
}

/// Whether what was said of one name of a file is to be seen at this one. If that name goes, another is the first.
fn shows(delta: &Delta, name: &RelPath, to: Option<&Entry>) -> bool {
    let Some(now) = delta.now.entries.get(name).filter(|now| !now.is_directory()) else { return false };
    let seen = |entry: &Entry| Entry { kind: now.kind.clone(), ..entry.clone() };
    let from = delta.was.entries.get(name).filter(|was| !was.is_directory()).map(|was| seen(&was));
    let to = to.filter(|to| !to.is_directory()).map(seen).or_else(|| from.clone());
    let change = Change { path: name.clone(), from, to };
    change.to.is_some() && change.progress(Some(&now)) != Progress::Strange
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
