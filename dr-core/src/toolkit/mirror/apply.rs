//! The step of a mirror: where the target stands, and making it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::copy::{Copied, Copier, Meter};
use super::fence::Fence;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Change, Entry, Kind, Progress, RelPath, Transfer, stages};
use crate::run::StepState;
use crate::world::{Control, Endpoint, World};

/// So many paths are under way at once: enough to fill a line with a long round trip, and below what an SFTP server allows open.
const PATHS_AT_ONCE: usize = 64;
/// Up to so many changes, each path is looked at; beyond, the whole tree is.
const LOOK_ONE_BY_ONE: usize = 64;
/// So many paths are named when the target is not as it should be.
const NAMED_PATHS: usize = 5;

/// Where the target stands. A path that is neither as planned nor as before is compared with what the source has now: a live
/// site goes on changing, and a target that is like its source is what was asked for.
pub(crate) async fn observe(world: &World, transfer: &Transfer, control: &Control) -> Result<StepState> {
    let target = world.endpoints.open(&transfer.target, control).await?;
    let now = look(&*target, transfer, control).await?;
    let is_open = |change: &&Change| change.progress(now.get(&change.path)) != Progress::Done;
    let open: Vec<&Change> = transfer.changes.iter().filter(is_open).collect();
    if open.is_empty() {
        return Ok(StepState::To);
    }
    // A directory that is listed only to be set right afterwards is as before and as it will be.
    let to_be_done = transfer.changes.iter().filter(|change| change.from != change.to).count();
    let is_ahead = |change: &&Change| change.progress(now.get(&change.path)) == Progress::Ahead;
    if open.len() >= to_be_done && open.iter().all(is_ahead) {
        return Ok(StepState::From);
    }
    let source = world.endpoints.open(&transfer.source, control).await?;
    let carries = source.carries().onto(target.carries());
    let judged = stream::iter(open).map(|change| {
        let (source, there) = (&source, now.get(&change.path));
        async move {
            let current = source.stat(&change.path).await?.map(|entry| entry.as_carried(carries));
            let is_alike = Change { to: current.clone(), ..change.clone() }.progress(there) == Progress::Done;
            let is_overtaken = change.to.is_some() && change.progress(current.as_ref()) != Progress::Done;
            let progress = change.progress(there);
            let is_done = is_alike || (is_overtaken && progress == Progress::Ahead);
            Ok::<_, Error>((change, if is_done { Progress::Done } else { progress }))
        }
    });
    let judged: Vec<(&Change, Progress)> = judged.buffered(PATHS_AT_ONCE).try_collect().await?;
    let strange: Vec<&Change> = judged
        .iter()
        .filter(|(_, progress)| *progress == Progress::Strange)
        .map(|(change, _)| *change)
        .collect();
    Ok(if !strange.is_empty() {
        StepState::Other(named(&strange))
    } else if judged.iter().all(|(_, progress)| *progress == Progress::Done) {
        StepState::To
    } else {
        StepState::Partial
    })
}

fn named(strange: &[&Change]) -> String {
    let names: Vec<String> = strange.iter().take(NAMED_PATHS).map(|change| change.path.to_string()).collect();
    let more = strange.len().saturating_sub(NAMED_PATHS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("neither as before nor as planned: {}{more}", names.join(", "))
}

/// What stands at the paths of the step now.
async fn look(
    target: &dyn Endpoint,
    transfer: &Transfer,
    control: &Control,
) -> Result<BTreeMap<RelPath, Entry>> {
    if transfer.changes.len() > LOOK_ONE_BY_ONE || transfer.options.checksum {
        return Ok(target.scan(&transfer.options, control).await?.entries.iter().collect());
    }
    let looks = stream::iter(&transfer.changes).map(|change| async move {
        Ok::<_, Error>(target.stat(&change.path).await?.map(|entry| (change.path.clone(), entry)))
    });
    let found: Vec<Option<(RelPath, Entry)>> = looks.buffered(PATHS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Makes the target like the source, stage by stage. A path that somebody else changed meanwhile stops it.
pub(crate) async fn act(world: &World, transfer: &Transfer, control: &Control) -> Result<()> {
    let operation = format!("mirror {} to {}", transfer.source, transfer.target);
    let work = async {
        let fence = Arc::new(Fence::new(world, transfer));
        fence.hold().await?;
        let (source, target) = tokio::try_join!(
            world.endpoints.open(&transfer.source, control),
            world.endpoints.open(&transfer.target, control)
        )?;
        let source: Arc<dyn Endpoint> = Arc::from(source);
        let carries = source.carries().onto(target.carries());
        let meter = Meter::new(world, control, &transfer.summary, &transfer.changes);
        let copier = Copier { source, target: &*target, carries, fence, control, meter };
        let done = make_all(&copier, &transfer.changes).await;
        // Whatever became of it: what landed is to last, and what did not is to go.
        let settled = target.settle().await;
        done.and(settled)
    };
    control.run(&operation, work).await
}

async fn make_all(copier: &Copier<'_>, changes: &[Change]) -> Result<()> {
    for change in changes.iter().filter(|change| is_closed_and_goes(change)) {
        // What is in a directory can only be removed by somebody who may write into it.
        if let Some(there) = copier.target.stat(&change.path).await?.filter(Entry::is_directory) {
            let open = Entry { mode: there.mode | 0o700, ..there.clone() };
            copier.change(Change { path: change.path.clone(), from: Some(there), to: Some(open) }).await?;
        }
    }
    for stage in stages(changes) {
        at_once(stage, |change| make(copier, change)).await?;
    }
    // Modes that keep us out, and times, which change while we work inside: set from the deepest directory up.
    let stages: Vec<&[Change]> = stages(changes).filter(|stage| is_directory(&stage[0])).collect();
    for stage in stages.into_iter().rev() {
        at_once(stage, |change| copier.change(change.clone())).await?;
    }
    copier.meter.tell_all();
    Ok(())
}

/// A directory that keeps its own owner out, and that will be none.
fn is_closed_and_goes(change: &Change) -> bool {
    let is_closed = |entry: &Entry| entry.is_directory() && entry.mode & 0o700 != 0o700;
    !is_directory(change) && change.from.as_ref().is_some_and(is_closed)
}

fn is_directory(change: &Change) -> bool {
    change.to.as_ref().is_some_and(Entry::is_directory)
}

async fn at_once<'a, F: Future<Output = Result<()>>>(
    stage: &'a [Change],
    act: impl Fn(&'a Change) -> F,
) -> Result<()> {
    stream::iter(stage.iter().map(act)).buffer_unordered(PATHS_AT_ONCE).try_collect().await
}

/// One change, if the path is still as planned.
async fn make(copier: &Copier<'_>, change: &Change) -> Result<()> {
    let there = copier.target.stat(&change.path).await?;
    match change.progress(there.as_ref()) {
        Progress::Done if !change.shows_in_content_only() => {
            copier.meter.count();
            return Ok(());
        }
        Progress::Done | Progress::Ahead | Progress::Between => {}
        Progress::Strange if copier.is_like_source(&change.path, there.as_ref()).await? => return Ok(()),
        Progress::Strange => {
            let operation = format!("change {} on the target", change.path);
            return Err(Error::new(ErrorKind::Conflict, operation, "somebody else changed it meanwhile")
                .hint("look at what writes into the target, then plan the mirror again"));
        }
    }
    match &change.to {
        Some(to) if to.is_directory() => {
            // Open to us until everything in it is right; an existing directory that already is needs nothing now.
            let is_open = there.is_some_and(|there| there.is_directory() && there.mode & 0o700 == 0o700);
            if !is_open {
                let open = Entry { mode: to.mode | 0o700, ..to.clone() };
                copier.change(Change { to: Some(open), ..change.clone() }).await?;
            }
        }
        Some(to) if matches!(to.kind, Kind::File { .. }) && change.moves_content() => {
            if let Copied::Changed(why) = copier.copy(change, to).await? {
                copier.report_changed(&change.path, why);
            }
        }
        _ => copier.change(change.clone()).await?,
    }
    copier.meter.count();
    Ok(())
}
