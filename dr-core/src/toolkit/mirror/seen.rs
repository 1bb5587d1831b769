//! Both trees as they are now: all of them, or what changed at either end since they were last alike.

use super::ends::Ends;
use crate::digest::Digest;
use crate::error::Result;
use crate::estate::Location;
use crate::mirror::{
    Change, Counts, Delta, End, Entries, Entry, Kind, Options, RelPath, Root, Snapshot, Summary, Survey,
    is_worth_copying, join, leave_out, possible_originals,
};
use crate::time::Timestamp;
use crate::world::{Control, Endpoint};

/// What planning a mirror looks at.
pub(super) struct Seen {
    pub(super) source: Tree,
    pub(super) target: Tree,
    /// Both ends know one agreement, and these are only the parts of the trees that changed since.
    pub(super) are_agreed: bool,
}

/// One end.
pub(super) struct Tree {
    pub(super) now: Snapshot,
    root: Root,
    pub(super) counts: Counts,
    /// What changed in it since the agreement.
    pub(super) delta: Option<Delta>,
}

impl Seen {
    /// Takes out what is too small, too large, too young or too old.
    pub(super) fn leave_out(&mut self, options: &Options, now: Timestamp) {
        leave_out(&mut self.source.now, &mut self.target.now, options, now);
    }

    /// Large files that both ends have, and of which new ones may be copies.
    pub(super) fn originals(&self, changes: &[Change]) -> Entries {
        if self.are_agreed {
            return self.source.delta.as_ref().map(|delta| delta.originals.clone()).unwrap_or_default();
        }
        let new =
            changes.iter().filter(|change| change.from.is_none()).filter_map(|change| change.to.as_ref());
        let sizes =
            new.filter(|to| to.is_file()).map(Entry::size_bytes).filter(|size| is_worth_copying(*size));
        possible_originals(self.target.now.entries.rows(), &sizes.collect())
    }

    /// Counts what both were not asked about, because it did not change.
    pub(super) fn count_unchanged(&self, summary: &mut Summary) {
        if self.are_agreed {
            let Counts { files, directories, .. } = self.source.counts;
            let changed = summary.created + summary.updated + summary.metadata_only;
            summary.unchanged = (files + directories).saturating_sub(changed);
        }
    }
}

/// Asks both ends at once what changed since they agreed; if one of them knows of no agreement, or of another, or content is to be
/// compared, for everything.
pub(super) async fn see(
    ends: &Ends,
    pair: Digest,
    early: Option<Early>,
    options: &Options,
    control: &Control,
) -> Result<Seen> {
    if !options.checksum {
        let survey = Survey { pair, options: options.clone() };
        let there = Survey { pair, options: options.for_target() };
        let source = async {
            match early {
                Some(early) if early.pair == pair => Ok(early.delta),
                _ => ends.source.survey(&survey, control).await,
            }
        };
        let (source, target) = tokio::try_join!(source, ends.target.survey(&there, control))?;
        // A target that is not there at all has nothing to lose: it is made anew, as the first time.
        let is_there = target.counts.directories > 0;
        if is_there && source.agreed.is_some() && source.agreed == target.agreed {
            let (source_now, target_now) = joined(ends, &source, &target, options).await?;
            return Ok(Seen {
                source: Tree::part(source_now, source),
                target: Tree::part(target_now, target),
                are_agreed: true,
            });
        }
        let (source, target) = tokio::try_join!(
            everything(&*ends.source, source, options, control),
            everything(&*ends.target, target, &there.options, control)
        )?;
        return Ok(Seen { source: Tree::whole(source), target: Tree::whole(target), are_agreed: false });
    }
    let for_target = options.for_target();
    let (source, target) =
        tokio::try_join!(ends.source.scan(options, control), ends.target.scan(&for_target, control))?;
    Ok(Seen { source: Tree::whole(source), target: Tree::whole(target), are_agreed: false })
}

/// The whole tree of an end that was surveyed: it has told all, if it knows of no agreement.
async fn everything(
    end: &dyn Endpoint,
    surveyed: Delta,
    options: &Options,
    control: &Control,
) -> Result<Snapshot> {
    match surveyed.agreed {
        None => Ok(surveyed.now),
        Some(_) => end.scan(options, control).await,
    }
}

/// Both trees as they are now, where either of them changed.
async fn joined(
    ends: &Ends,
    source: &Delta,
    target: &Delta,
    options: &Options,
) -> Result<(Snapshot, Snapshot)> {
    let carries = ends.source.carries().onto(ends.target.carries());
    let mut joined = join(source, target, carries);
    // With nothing held back, the target had all that the source had; as many paths, and it had nothing else.
    let is_limited = options.min_size_bytes.is_some() || options.max_size_bytes.is_some();
    if options.delete && !is_limited && source.agreed_paths() == target.agreed_paths() {
        joined.look.clear();
    }
    let (look, doubtful) = (&joined.look, &joined.doubtful);
    if look.is_empty() && doubtful.is_empty() {
        return Ok((joined.source, joined.target));
    }
    let (found, here, there) = tokio::try_join!(
        ends.target.look(look),
        ends.source.digests(doubtful),
        ends.target.digests(doubtful)
    )?;
    let found = look.iter().zip(found).filter_map(|(path, entry)| Some((path.clone(), entry?)));
    joined.target.entries.extend(found.collect::<Vec<_>>());
    let paths = &joined.doubtful;
    for (tree, digests) in [(&mut joined.source, here), (&mut joined.target, there)] {
        for (path, digest) in paths.iter().zip(digests) {
            let Some(mut entry) = tree.entries.get(path).filter(Entry::is_file) else { continue };
            let size_bytes = entry.size_bytes();
            entry.kind = Kind::File { size_bytes, digest };
            tree.entries.insert(path.clone(), entry);
        }
    }
    Ok((joined.source, joined.target))
}

/// What a source on this machine said while the target was still being logged in to: that takes as long.
pub(super) struct Early {
    pair: Digest,
    delta: Delta,
}

impl Early {
    /// None where both ends are equally near, or where all of both trees is to be read anyway.
    pub(super) async fn ask(
        end: &dyn Endpoint,
        (source, target): (&Location, &Location),
        options: &Options,
        control: &Control,
    ) -> Result<Option<Self>> {
        let is_worth_it = matches!((source, target), (Location::Local { .. }, Location::Remote { .. }));
        if !is_worth_it || options.checksum {
            return Ok(None);
        }
        // The target may turn out to be elsewhere, behind a symbolic link: then it is asked again.
        let source = end.place().unwrap_or_else(|| source.clone());
        let pair = pair_of(&source, target, options);
        let delta = end.survey(&Survey { pair, options: options.clone() }, control).await?;
        Ok(Some(Self { pair, delta }))
    }
}

/// The name of a mirror at both ends: what goes where, and what is left out.
pub(super) fn pair(ends: &Ends, (source, target): (&Location, &Location), options: &Options) -> Digest {
    let source = ends.source.place().unwrap_or_else(|| source.clone());
    let target = ends.target.place().unwrap_or_else(|| target.clone());
    pair_of(&source, &target, options)
}

fn pair_of(source: &Location, target: &Location, options: &Options) -> Digest {
    // What a mirror without deletions leaves on the target is no part of what both agree on with them.
    let filter = (
        &options.exclude,
        (options.delete, options.delete_excluded),
        options.min_size_bytes,
        options.max_size_bytes,
        options.min_age_s,
        options.max_age_s,
        &options.owners,
    );
    Digest::of_value(&(source.to_string(), target.to_string(), filter))
}

impl Tree {
    pub(super) fn whole(now: Snapshot) -> Self {
        let root = root_of(now.entries.row(&RelPath::root()).map(|row| row.is_directory()), &now);
        let mut counts = Counts::default();
        for row in now.entries.rows() {
            *(if row.is_directory() { &mut counts.directories } else { &mut counts.files }) += 1;
            counts.bytes += if row.is_file() { row.size_bytes() } else { 0 };
        }
        if counts.files == 0 {
            // What cannot be read is not "nothing".
            counts.files = now.unreadable.len() as u64;
        }
        Self { now, root, counts, delta: None }
    }

    fn part(now: Snapshot, delta: Delta) -> Self {
        let root = RelPath::root();
        let is_directory = match delta.now.entries.row(&root) {
            Some(row) => Some(row.is_directory()),
            // Where nothing changed, it is what it was.
            None => delta.was.entries.row(&root).is_none().then_some(true),
        };
        Self { root: root_of(is_directory, &delta.now), now, counts: delta.counts, delta: Some(delta) }
    }

    /// What guards look at.
    pub(super) fn end<'a>(&self, place: &'a Location) -> End<'a> {
        End { place, root: self.root.clone(), counts: self.counts, gone: self.gone() }
    }

    /// Files that it had when both were alike, and has no more.
    fn gone(&self) -> Option<u64> {
        let delta = self.delta.as_ref()?;
        let is_gone = |path: &RelPath| delta.now.entries.row(path).is_none() && !delta.landed.contains(path);
        Some(delta.was.entries.iter().filter(|(path, was)| !was.is_directory() && is_gone(path)).count()
            as u64)
    }

    /// What takes these paths back to what they were when both ends were alike.
    pub(super) fn before(&self, paths: Vec<RelPath>) -> Vec<Change> {
        let Some(delta) = &self.delta else { return vec![] };
        let back = |path: RelPath| Change {
            from: delta.now.entries.get(&path),
            to: delta.was.entries.get(&path),
            path,
        };
        paths.into_iter().map(back).collect()
    }

    /// Whether somebody changed this path since both were alike, and no run of this mirror did. A directory changes with what is
    /// in it.
    pub(super) fn has_changed(&self, path: &RelPath) -> bool {
        let Some(delta) = self.delta.as_ref().filter(|delta| !delta.landed.contains(path)) else {
            return false;
        };
        let (was, now) = (delta.was.entries.get(path), delta.now.entries.get(path));
        let are_directories =
            [&was, &now].iter().all(|entry| entry.as_ref().is_some_and(Entry::is_directory));
        was != now && !are_directories
    }
}

fn root_of(is_directory: Option<bool>, now: &Snapshot) -> Root {
    match (now.unreadable.get(&RelPath::root()), is_directory) {
        (Some(why), _) => Root::Unreadable(why.clone()),
        (None, None) => Root::Missing,
        (None, Some(true)) => Root::Directory,
        (None, Some(false)) => Root::NoDirectory,
    }
}
