//! The step of a mirror: where the target stands.

use std::collections::{HashMap, HashSet};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::ends::{Ends, Hands};
use super::flow::named;
use crate::error::{Error, Result};
use crate::mirror::{Change, Entry, Kind, Progress, RelPath, Transfer};
use crate::run::StepState;
use crate::world::{Control, Endpoint, Way, World};

/// So many paths are asked for at once, in so many questions.
const PATHS: usize = 2048;
const QUESTIONS: usize = 4;

/// Where the target stands. A path that is neither as planned nor as before is compared with what the source has now: a live
/// site goes on changing, and a target that is like its source is what was asked for.
///
/// No line is crossed for what is known. Before the step, ends that planned it a moment ago have seen all there is to see; what
/// somebody changes between then and now shows when the path itself is about to be changed. After the step, the target has said
/// of every path what it became, or why it did not.
pub(crate) async fn observe(
    world: &World,
    hands: &Hands,
    transfer: &Transfer,
    control: &Control,
) -> Result<StepState> {
    if hands.is_told() {
        return Ok(StepState::To);
    }
    let mut ends = hands.ends(world, transfer, control).await?;
    let has_just_seen = ends.have_just_seen(&transfer.changes, world.clock.read().boot);
    if has_just_seen && ends.target.way() != Way::Local {
        hands.shelf.put(&transfer.source, &transfer.target, ends);
        return Ok(StepState::From);
    }
    let operation = format!("look at {}", transfer.target);
    let state = control.run(&operation, compare(&ends, hands, &transfer.changes)).await?;
    if state != StepState::To {
        hands.shelf.put(&transfer.source, &transfer.target, ends);
    }
    Ok(state)
}

/// Which changes are done, by their numbers; those about names of one file are never known to be.
pub(super) async fn done_already(target: &dyn Endpoint, changes: &[Change]) -> Result<HashSet<usize>> {
    let now = look(target, changes).await?;
    Ok(done_of(changes, &now).collect())
}

fn done_of(changes: &[Change], now: &[Option<Entry>]) -> impl Iterator<Item = usize> {
    let seen = changes.iter().zip(now).enumerate();
    let done = seen.filter(|(_, (change, there))| progress(change, there.as_ref()) == Progress::Done);
    done.map(|(number, _)| number)
}

async fn compare(ends: &Ends, hands: &Hands, changes: &[Change]) -> Result<StepState> {
    let now = look(&*ends.target, changes).await?;
    let open: Vec<(&Change, Option<&Entry>)> = changes
        .iter()
        .zip(now.iter().map(Option::as_ref))
        .filter(|(change, there)| progress(change, *there) != Progress::Done)
        .collect();
    if open.is_empty() {
        return Ok(StepState::To);
    }
    hands.found_done(done_of(changes, &now).collect());
    // A directory that is listed only to be set right afterwards is as before and as it will be.
    let to_be_done = changes.iter().filter(|change| change.from != change.to).count();
    if open.len() >= to_be_done
        && open.iter().all(|(change, there)| progress(change, *there) == Progress::Ahead)
    {
        return Ok(StepState::From);
    }
    let carries = ends.source.carries().onto(ends.target.carries());
    let paths: Vec<&RelPath> = open.iter().map(|(change, _)| &change.path).collect();
    let current = ask(&*ends.source, &paths).await?;
    let judged = open.iter().zip(current).map(|((change, there), current)| {
        let owner = change.to.as_ref().and_then(|to| to.owner);
        let current = current.map(|entry| Entry { owner, ..entry.as_carried(carries) });
        let is_alike = Change { to: current.clone(), ..(*change).clone() }.progress(*there) == Progress::Done;
        let is_overtaken = change.to.is_some() && change.progress(current.as_ref()) != Progress::Done;
        let progress = progress(change, *there);
        let is_done = is_alike || (is_overtaken && progress == Progress::Ahead);
        let is_done = is_done && !is_about_names(change);
        (&change.path, if is_done { Progress::Done } else { progress })
    });
    let judged: Vec<(&RelPath, Progress)> = judged.collect();
    let strange = judged.iter().filter(|(_, progress)| *progress == Progress::Strange);
    let strange: Vec<&RelPath> = strange.map(|(path, _)| *path).collect();
    Ok(if !strange.is_empty() {
        StepState::Other(format!("neither as before nor as planned: {}", named(&strange)))
    } else if judged.iter().all(|(_, progress)| *progress == Progress::Done) {
        StepState::To
    } else {
        StepState::Partial
    })
}

/// Several names of one file look like several files: only a scan tells. Such a change is not done before it was done by us.
fn is_about_names(change: &Change) -> bool {
    let is_name = |entry: &Option<Entry>| matches!(entry, Some(Entry { kind: Kind::HardLink { .. }, .. }));
    is_name(&change.from) || is_name(&change.to)
}

fn progress(change: &Change, there: Option<&Entry>) -> Progress {
    match (there, change.progress(there)) {
        (Some(there), Progress::Done | Progress::Strange)
            if is_about_names(change) && !there.is_directory() =>
        {
            Progress::Ahead
        }
        (_, progress) => progress,
    }
}

/// What stands at the paths of the step now, by two questions: the directories come first, and where one is not there yet, nothing
/// is asked of what will be in it.
async fn look(target: &dyn Endpoint, changes: &[Change]) -> Result<Vec<Option<Entry>>> {
    let is_directory = |change: &&Change| change.to.as_ref().is_some_and(Entry::is_directory);
    let directories: Vec<&RelPath> = changes.iter().filter(is_directory).map(|change| &change.path).collect();
    let there = ask(target, &directories).await?;
    let missing: HashSet<&RelPath> =
        directories.iter().zip(&there).filter(|(_, there)| there.is_none()).map(|(path, _)| *path).collect();
    let is_askable = |change: &&Change| {
        !is_directory(change) && change.path.parent().is_none_or(|parent| !missing.contains(&parent))
    };
    let others: Vec<&RelPath> = changes.iter().filter(is_askable).map(|change| &change.path).collect();
    let mut there: HashMap<&RelPath, Option<Entry>> = directories.into_iter().zip(there).collect();
    let found = ask(target, &others).await?;
    there.extend(others.into_iter().zip(found));
    let mut now: Vec<Option<Entry>> =
        changes.iter().map(|change| there.remove(&change.path).flatten()).collect();
    read_where_needed(target, changes, &mut now).await?;
    Ok(now)
}

/// Where only the content tells old from new, it is read.
async fn read_where_needed(
    target: &dyn Endpoint,
    changes: &[Change],
    now: &mut [Option<Entry>],
) -> Result<()> {
    let is_needed = |(change, there): &(usize, &Option<Entry>)| {
        there.as_ref().is_some_and(Entry::is_file) && changes[*change].shows_in_content_only()
    };
    let numbers: Vec<usize> = now
        .iter()
        .enumerate()
        .filter(|(number, there)| is_needed(&(*number, *there)))
        .map(|(number, _)| number)
        .collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let paths: Vec<RelPath> = numbers.iter().map(|number| changes[*number].path.clone()).collect();
    for (number, content) in numbers.into_iter().zip(target.digests(&paths).await?) {
        if let Some(Entry { kind: Kind::File { digest, .. }, .. }) = &mut now[number] {
            *digest = content;
        }
    }
    Ok(())
}

/// What stands at these paths, in their order.
async fn ask(endpoint: &dyn Endpoint, paths: &[&RelPath]) -> Result<Vec<Option<Entry>>> {
    let batches: Vec<Vec<RelPath>> =
        paths.chunks(PATHS).map(|batch| batch.iter().copied().cloned().collect()).collect();
    let looks = stream::iter(&batches).map(|batch| endpoint.look(batch).boxed());
    let found: Vec<Vec<Option<Entry>>> = looks.buffered(QUESTIONS).try_collect().await?;
    let found: Vec<Option<Entry>> = found.into_iter().flatten().collect();
    if found.len() == paths.len() {
        return Ok(found);
    }
    let why = format!("it was asked for {} paths and answers for {}", paths.len(), found.len());
    Err(Error::new(crate::error::ErrorKind::Protocol, "look at the tree", why))
}
