//! What this end remembers of its tree: in the state directory, never in the tree.

use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{self, AtFlags, Mode, OFlags};

use super::Tree;
use super::root::Root;
use super::scan::{Links, Seen};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::mirror::{
    Agreement, BaselineName, BaselineReader, BaselineWriter, Change, Delta, Drift, Entry, Kind, Known,
    Options, Owners, RelPath, Stamp, Survey, Xattrs, is_below, tree_order,
};
use crate::world::Control;

/// What the filter leaves out is told at every survey; if it is more than this, a survey is no gain.
const EXCLUDED_BYTES: usize = 1 << 20;

/// Where an end remembers its tree, and what it saw last.
#[derive(Default)]
pub(super) struct Memory {
    directory: OnceLock<PathBuf>,
    last: Mutex<Option<Spool>>,
}

/// A tree as it was seen last, in a file without a name.
struct Spool {
    file: File,
    /// A tree that was exchanged meanwhile has another one.
    root_inode: u64,
}

impl Memory {
    /// Remembers from now on, below this directory.
    pub(super) fn enable(&self, state: &Path) {
        let _ = self.directory.set(state.join("baselines"));
    }

    /// Where the tree at `tree` is remembered. A state directory inside the tree would be a part of it.
    fn directory(&self, tree: &Path) -> Option<&Path> {
        self.directory.get().map(PathBuf::as_path).filter(|directory| !directory.starts_with(tree))
    }

    fn keep(&self, spool: Option<Spool>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = spool;
    }
}

/// Writes down what a scan sees. If it cannot be written, nothing is remembered.
pub(super) struct Spooling {
    writer: Option<BaselineWriter<File>>,
    root_inode: u64,
    last: Vec<u8>,
    last_is_file: bool,
}

impl Spooling {
    /// What is seen next, unless nothing is to be remembered.
    pub(super) fn note(&mut self, path: &[u8], seen: &Seen) {
        match seen {
            Seen::Entry(entry, stamp, links) => {
                self.note_entry(path, entry, *stamp, *links);
                self.last.clear();
                self.last.extend_from_slice(path);
                self.last_is_file = !entry.is_directory();
            }
            // What is in it may be on the other side, and nobody compared it.
            Seen::Unreadable(_) if self.last != path || !self.last_is_file => self.writer = None,
            Seen::Unreadable(_) | Seen::Excluded => {}
        }
    }

    fn note_entry(&mut self, path: &[u8], entry: &Entry, stamp: Stamp, links: Links) {
        if path.is_empty() {
            self.root_inode = stamp.inode;
        }
        self.push(path, entry, Some(stamp), links == Links::Several);
    }

    fn push(&mut self, path: &[u8], entry: &Entry, stamp: Option<Stamp>, is_linked: bool) {
        if let Some(writer) = &mut self.writer
            && writer.push_entry(path, entry, stamp, is_linked).is_err()
        {
            self.writer = None;
        }
    }

    fn finish(self) -> Option<Spool> {
        let file = self.writer?.finish().ok()?;
        Some(Spool { file, root_inode: self.root_inode })
    }
}

impl Tree {
    /// Begins to write down what a scan sees.
    pub(super) fn spool(&self) -> Spooling {
        let begin = || {
            let directory = self.memory.directory(&self.path)?;
            BaselineWriter::new(nameless(directory).ok()?, BaselineName::default()).ok()
        };
        Spooling { writer: begin(), root_inode: 0, last: vec![], last_is_file: false }
    }

    pub(super) fn keep(&self, spooling: Spooling) {
        self.memory.keep(spooling.finish());
    }

    pub(super) fn survey(&self, survey: &Survey, control: &Control) -> Result<Delta> {
        let baseline = self.memory.directory(&self.path).filter(|_| is_told_by_metadata(&survey.options));
        let Some(mut walk) = baseline.and_then(|directory| self.walk(directory, survey.pair)) else {
            return Ok(Delta::of_everything(self.scan(&survey.options, control)?));
        };
        self.see(&survey.options, false, control, &mut |path, seen| {
            walk.take(path, seen);
            Ok(())
        })?;
        walk.take_rest();
        let Walk { drift, spooling, name, is_damaged, excluded_bytes, .. } = walk;
        self.keep(spooling);
        let is_of_use = !is_damaged && excluded_bytes <= EXCLUDED_BYTES;
        if !is_of_use {
            return Ok(Delta::of_everything(self.scan(&survey.options, control)?));
        }
        let mut delta = drift.finish(name.agreed);
        if let Some(baseline) = self.baseline_path(survey.pair) {
            delta.landed = self.landed(&baseline, name, &delta);
        }
        Ok(delta)
    }

    /// None if there is no baseline, or none that can be read.
    fn walk(&self, directory: &Path, pair: Digest) -> Option<Walk> {
        let file = File::open(directory.join(self.baseline_name(pair))).ok()?;
        let mut reader = BaselineReader::new(BufReader::with_capacity(256 * 1024, file)).ok()?;
        let name = Some(reader.name()).filter(|name| name.pair == pair)?;
        let has_record = reader.advance().ok()?;
        let (drift, spooling) = (Drift::new(), self.spool());
        let (dark, excluded_bytes, is_damaged) = (None, 0, false);
        let root = self.root().ok()?;
        Some(Walk { reader, has_record, name, drift, spooling, dark, excluded_bytes, is_damaged, root })
    }

    pub(super) fn baseline_path(&self, pair: Digest) -> Option<PathBuf> {
        Some(self.memory.directory(&self.path)?.join(self.baseline_name(pair)))
    }

    /// Two ends on one machine share a state directory: each tree has a file of its own.
    fn baseline_name(&self, pair: Digest) -> String {
        let path = self.path.as_os_str().as_encoded_bytes();
        Digest::of(&[pair.as_bytes().as_slice(), path].concat()).to_string()
    }

    pub(super) fn agree(&self, agreement: &Agreement) -> Result<()> {
        let Some(directory) = self.memory.directory(&self.path) else { return Ok(()) };
        let spool = self.memory.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(spool) = spool else { return Ok(()) };
        let path = directory.join(self.baseline_name(agreement.pair));
        let written = self.write_baseline(spool, agreement, &path);
        if written.is_ok() {
            self.landings.forget(&path);
        }
        written.map_err(|error| {
            Error::io(format!("remember {} in {}", self.path.display(), directory.display()), error)
                .hint("make room for the state directory, or give the account the right to write there")
        })
    }

    fn write_baseline(&self, spool: Spool, agreement: &Agreement, path: &Path) -> io::Result<()> {
        let Spool { mut file, root_inode } = spool;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BaselineReader::new(BufReader::with_capacity(256 * 1024, file))?;
        let now = fs::statat(fs::CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        // Another generation: the files may be the same ones, but their times of change are not.
        let knows_stamps = now.is_ok_and(|now| now.st_ino == root_inode);
        let mut changes: Vec<&Change> = agreement.changes.iter().collect();
        changes.sort_by(|one, other| one.path.cmp(&other.path));
        let new = path.with_extension("new");
        let name = BaselineName { pair: agreement.pair, agreed: agreement.name };
        let mut writer = BaselineWriter::new(File::create(&new)?, name)?;
        let mut changes = changes.into_iter().peekable();
        while reader.advance()? {
            let record = reader.record();
            while let Some(change) =
                changes.next_if(|change| tree_order(change.path.as_bytes(), &record.path).is_lt())
            {
                push_change(&mut writer, change, false)?;
            }
            match changes.next_if(|change| change.path.as_bytes() == record.path) {
                Some(change) => push_change(&mut writer, change, record.is_linked)?,
                None => {
                    let stamp = record.stamp.filter(|_| knows_stamps);
                    writer.push_entry(&record.path, &record.entry, stamp, record.is_linked)?;
                }
            }
        }
        for change in changes {
            push_change(&mut writer, change, false)?;
        }
        drop(writer.finish()?);
        std::fs::rename(&new, path)
    }
}

/// What was changed is written down without a stamp: nobody looked at it since.
fn push_change(writer: &mut BaselineWriter<File>, change: &Change, was_linked: bool) -> io::Result<()> {
    let Some(mut entry) = change.to.clone() else { return Ok(()) };
    if let Kind::File { digest, .. } = &mut entry.kind {
        *digest = None;
    }
    let is_linked = was_linked || matches!(entry.kind, Kind::HardLink { .. });
    writer.push_entry(change.path.as_bytes(), &entry, None, is_linked)
}

/// Whether what changed shows without reading content, and whether only changes matter: a file that becomes old enough does not
/// change, and neither does one whose owner is another on the other side.
fn is_told_by_metadata(options: &Options) -> bool {
    let goes_by_number = options.owners == Owners::default();
    !options.checksum && options.min_age_s.is_none() && options.max_age_s.is_none() && goes_by_number
}

/// A baseline and the tree that it is of, side by side.
struct Walk {
    reader: BaselineReader<BufReader<File>>,
    /// The reader stands at a record that was not passed yet.
    has_record: bool,
    name: BaselineName,
    drift: Drift,
    spooling: Spooling,
    /// The path that cannot be read, if we are at or below it: what was known there still counts.
    dark: Option<Vec<u8>>,
    excluded_bytes: usize,
    is_damaged: bool,
    root: Arc<Root>,
}

impl Walk {
    fn take(&mut self, path: &[u8], seen: Seen) {
        match seen {
            Seen::Entry(mut entry, stamp, links) => {
                self.pass_gone_before(path);
                let is_known = self.has_record && self.reader.record().path == path;
                entry.xattrs = self.attributes(path, stamp, is_known);
                self.spooling.note_entry(path, &entry, stamp, links);
                let is_linked = links == Links::Several;
                let now = Known { entry: &entry, stamp: Some(stamp), is_linked };
                if is_known {
                    self.drift.pass(path, Some(known(&self.reader)), Some(now));
                    self.advance();
                } else {
                    self.drift.pass(path, None, Some(now));
                }
            }
            Seen::Excluded => {
                self.excluded_bytes += path.len();
                self.drift.excluded(path);
            }
            Seen::Unreadable(why) => {
                self.pass_gone_before(path);
                self.drift.unreadable(path, why);
                self.dark = Some(path.to_vec());
            }
        }
    }

    /// What was not touched has the attributes that it had.
    fn attributes(&self, path: &[u8], stamp: Stamp, is_known: bool) -> Option<Xattrs> {
        let record = self.reader.record();
        if is_known && record.stamp == Some(stamp) && record.entry.xattrs.is_some() {
            return record.entry.xattrs.clone();
        }
        let path = RelPath::known(path);
        let place = self.root.place(&path).ok()?;
        place.entry().ok()??.xattrs
    }

    fn take_rest(&mut self) {
        while self.has_record {
            self.pass_gone();
        }
    }

    /// What was there before `path` and is no more.
    fn pass_gone_before(&mut self, path: &[u8]) {
        while self.has_record && tree_order(&self.reader.record().path, path).is_lt() {
            self.pass_gone();
        }
    }

    fn pass_gone(&mut self) {
        let record = self.reader.record();
        let is_dark =
            self.dark.as_ref().is_some_and(|dark| *dark == record.path || is_below(&record.path, dark));
        if is_dark {
            let stays = Some(known(&self.reader));
            self.drift.pass(&record.path, stays, stays);
            self.spooling.push(&record.path, &record.entry, record.stamp, record.is_linked);
        } else {
            self.drift.pass(&record.path, Some(known(&self.reader)), None);
        }
        self.advance();
    }

    fn advance(&mut self) {
        self.has_record = self.reader.advance().unwrap_or_else(|_| {
            self.is_damaged = true;
            false
        });
    }
}

fn known(reader: &BaselineReader<BufReader<File>>) -> Known<'_> {
    let record = reader.record();
    Known { entry: &record.entry, stamp: record.stamp, is_linked: record.is_linked }
}

/// A file that goes when it is closed.
fn nameless(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = fs::open(directory, OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        return Ok(file.into());
    }
    let name = format!("seen-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(name);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::open(&path, flags, mode)?;
    std::fs::remove_file(path)?;
    Ok(file.into())
}
