//! The step of a mirror: making it so.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::ahead::{Aim, Stage};
use super::ends::{Ends, Hands, Surveyed};
use super::fence::Fence;
use super::findings::{WIRE_BYTES, push_some};
use super::flow::{Flow, Ledger, Left};
use super::meter::Meter;
use super::observe::done_already;
use super::plan::agree;
use super::seen::pair;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Change, Entry, Kept, Landing, RelPath, Transfer, stages};
use crate::report::{Finding, Report, Subject, code};
use crate::run::Event;
use crate::world::{Control, World};

/// To log in from host to host costs some round trips: less content is through here in that time.
const WORTH_A_LOGIN_BYTES: u64 = 1 << 20;

/// Makes the target like the source. What cannot be done at one path is a finding; a path that somebody else changed
/// meanwhile stops it.
pub(crate) async fn act(world: &World, hands: &Hands, transfer: &Transfer, control: &Control) -> Result<()> {
    hands.tell(false);
    let done = hands.done();
    let operation = format!("mirror {} to {}", transfer.source, transfer.target);
    if let Some(why) = transfer.refused.first() {
        return Err(Error::new(ErrorKind::Refused, operation, why)
            .hint("plan the mirror, and see what the guards advise"));
    }
    let work = async {
        let mut ends = hands.ends(world, transfer, control).await?;
        let fence = Fence::beside(world, transfer, &*ends.target);
        [&ends.source, &ends.target].iter().for_each(|end| end.foresee(transfer.summary.bytes));
        fence.hold().await?;
        let pair = pair(&ends, (&transfer.source, &transfer.target), &transfer.options);
        let (landing, meter) = (landing(transfer, pair), Meter::new(world, control, transfer));
        let is_direct = take_the_direct_way(&ends, transfer, control).await;
        let flow = Flow::new(&ends, transfer, &landing, &fence, meter, is_direct);
        let began = world.clock.read().boot;
        let done = match transfer.options.generations {
            0 => Ok(done),
            _ => there_already(&flow, &transfer.changes).await,
        };
        let done = match done {
            Ok(done) => make_all(&flow, transfer, &done).await,
            Err(error) => Err(error),
        };
        if flow.ledger().could_not_begin {
            return done;
        }
        // Whatever became of it: what landed is to last, and what did not is to go.
        flow.meter.phase("settle");
        let is_settled = flow.ledger().is_settled;
        let settled = if is_settled { Ok(()) } else { ends.target.settle().await };
        let took = world.clock.read().boot.since(began);
        let ledger = flow.ledger.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report_left(transfer, &ledger, world, control);
        let done = match done.and(settled) {
            Ok(()) => agree_on(&ends, transfer, &ledger, world, control).await,
            Err(error) => Err(error),
        };
        let mut figures = figures(&ledger, took);
        figures.extend(ends.count_crossed().map(|bytes| (WIRE_BYTES.to_owned(), bytes)));
        control.emit(&Event::Counted { figures });
        done?;
        hands.tell(true);
        hands.shelf.put(&transfer.source, &transfer.target, ends);
        Ok(())
    };
    control.run(&operation, work).await
}

/// Everything landed that can: both ends write down what they agree on.
async fn agree_on(
    ends: &Ends,
    transfer: &Transfer,
    ledger: &Ledger,
    world: &World,
    control: &Control,
) -> Result<()> {
    if ledger.landed.is_empty() && !ledger.left.is_empty() {
        return Err(nothing_done(transfer, ledger));
    }
    if !transfer.quarantine.is_empty()
        && let Some(place) = ends.target.quarantined().await?
    {
        let message = format!("what the target had instead is kept in {place}");
        control.emit(&Event::Note { message });
    }
    if let Some(surveyed) = &ends.surveyed {
        let changes = (source_changes(ledger, surveyed), target_changes(ledger, surveyed));
        agree(ends, surveyed.pair, world.clock.read().wall, changes, control).await;
    }
    Ok(())
}

/// Has content go from host to host, where that pays and the source's host may log in at the target's; it goes through here
/// otherwise. Whether it goes directly.
async fn take_the_direct_way(ends: &Ends, transfer: &Transfer, control: &Control) -> bool {
    let moved = transfer.changes.iter().filter(|change| change.moves_content());
    let bytes: u64 = moved.filter_map(|change| change.to.as_ref()).map(Entry::size_bytes).sum();
    let (Some(from), Some(to)) = (ends.source.door(), ends.target.door()) else { return false };
    if bytes < WORTH_A_LOGIN_BYTES {
        return false;
    }
    let reached = ends.source.reach(&to).await;
    let message = match &reached {
        Ok(()) => format!("content goes directly from {} to {}", from.remote, to.remote),
        Err(why) => format!("content passes through here: {} could not {why}", from.remote),
    };
    control.emit(&Event::Note { message });
    reached.is_ok()
}

/// What the source is to remember: files as they were read, and nothing of what the target does not have, so that it is looked at
/// again the next time.
fn source_changes(ledger: &Ledger, surveyed: &Surveyed) -> Vec<Change> {
    let newer = ledger.newer.iter();
    let newer = newer.map(|(path, read)| Change { path: path.clone(), from: None, to: Some(read.clone()) });
    // What could not be removed from the target is remembered as if the source had had it.
    let left = ledger.left.iter();
    let left = left.map(|(change, _)| {
        let to = if change.to.is_none() { change.from.clone() } else { None };
        Change { path: change.path.clone(), from: None, to }
    });
    let held = surveyed.held.iter().map(|path| Change { path: path.clone(), from: None, to: None });
    newer.chain(left).chain(held).collect()
}

/// What the target is to remember: what landed, and what somebody else changed as it was before, so that it shows again.
fn target_changes(ledger: &Ledger, surveyed: &Surveyed) -> Vec<Change> {
    ledger.landed.iter().chain(&surveyed.untouched).cloned().collect()
}

/// What it amounted to. What was sent is content as it left the source, before it was compressed and with nothing around it; what
/// crossed lines is counted apart, from when the ends were opened.
fn figures(ledger: &Ledger, took: Duration) -> BTreeMap<String, u64> {
    let rows = [
        ("landed_paths", ledger.landed.len() as u64),
        ("left_paths", ledger.left.len() as u64),
        ("sent_bytes", ledger.sent_bytes),
        ("written_bytes", ledger.written_bytes),
        ("milliseconds", u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    ];
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn landing(transfer: &Transfer, pair: Digest) -> Landing {
    Landing {
        pair: Some(pair),
        generations: transfer.options.generations,
        quarantine: transfer.quarantine.clone(),
        fsync: transfer.options.fsync,
        fence: super::fence::fencing(transfer),
    }
}

/// In the state that is built waits what a cut run brought: what is as planned need not come again, the rest is taken back.
async fn there_already(flow: &Flow<'_>, changes: &[Change]) -> Result<HashSet<usize>> {
    flow.begin().await?;
    let done = done_already(&*flow.ends.target, changes).await?;
    let kept: Vec<&Change> = done.iter().map(|number| &changes[*number]).collect();
    flow.ends.target.keep(&kept.iter().map(|change| change.path.clone()).collect::<Vec<_>>()).await?;
    let landed = kept.into_iter().filter(|change| !is_directory(change)).cloned();
    flow.ledger().landed.extend(landed);
    Ok(done)
}

/// All that is sent ahead, and answer by answer where that does not do.
async fn make_all(flow: &Flow<'_>, transfer: &Transfer, done: &HashSet<usize>) -> Result<()> {
    let mut open = work(flow, &transfer.changes, done);
    loop {
        open = flow.ahead(open).await?;
        flow.begin().await?;
        let Some(first) = open.iter().position(Stage::is_open) else { break };
        open.drain(..first);
        flow.complete(open.remove(0)).await?;
    }
    flow.meter.tell_all();
    if transfer.options.generations > 0 && !flow.ledger().is_switched {
        flow.fence.hold().await?;
        flow.ends.target.switch().await?;
    }
    Ok(())
}

/// What is to be done, in its order, but for the changes that are `done`, by their numbers.
fn work(flow: &Flow<'_>, changes: &[Change], done: &HashSet<usize>) -> Vec<Stage> {
    let (mut prepared, mut made, mut first) = (vec![], vec![], 0);
    for stage in stages(changes) {
        let numbers = first..;
        first += stage.len();
        if is_directory(&stage[0]) {
            // Open to us until everything in it is right; an existing directory that already is needs nothing now.
            prepared.extend(stage.iter().filter(|change| !is_open(change)).map(opened));
        } else {
            let open = numbers.zip(stage).filter(|(number, _)| !done.contains(number));
            let open: Vec<Change> = open.map(|(_, change)| change.clone()).collect();
            flow.meter.paths(stage.len() - open.len());
            made.push(Stage::new(Aim::Make, open));
        }
    }
    // Modes that keep us out, and times, which change while we work inside: set from the deepest directory up.
    let directories: Vec<&[Change]> = stages(changes).filter(|stage| is_directory(&stage[0])).collect();
    made.extend(directories.into_iter().rev().map(|stage| Stage::new(Aim::Make, stage.to_vec())));
    let before = [Stage::new(Aim::Open, closed_that_go(changes)), Stage::new(Aim::Prepare, prepared)];
    before.into_iter().chain(made).collect()
}

/// What is in a directory can only be removed by somebody who may write into it.
fn closed_that_go(changes: &[Change]) -> Vec<Change> {
    let is_closed_and_goes = |change: &&Change| {
        !is_directory(change) && change.from.as_ref().is_some_and(Entry::is_directory) && !is_open(change)
    };
    let mut closed: Vec<Change> = changes
        .iter()
        .filter(is_closed_and_goes)
        .map(|change| opened(&Change { to: change.from.clone(), ..change.clone() }))
        .collect();
    closed.sort_by(|one, other| one.path.cmp(&other.path));
    closed
}

fn is_directory(change: &Change) -> bool {
    change.to.as_ref().is_some_and(Entry::is_directory)
}

/// Whether the directory that is there lets its own owner in.
fn is_open(change: &Change) -> bool {
    change.from.as_ref().is_some_and(|there| there.is_directory() && there.mode & 0o700 == 0o700)
}

fn opened(change: &Change) -> Change {
    let open = |entry: &Entry| Entry { mode: entry.mode | 0o700, ..entry.clone() };
    Change { to: change.to.as_ref().map(open), ..change.clone() }
}

/// Every path that was left as it was on the target, and why; the first of each kind by name.
fn report_left(transfer: &Transfer, ledger: &Ledger, world: &World, control: &Control) {
    let mut report = Report::new("", world.clock.read().wall);
    let mut found = [
        (code::MIRROR_FILE_CHANGED, vec![]),
        (code::MIRROR_FILE_UNREADABLE, vec![]),
        (code::MIRROR_FILE_NOT_WRITTEN, vec![]),
    ];
    for (Change { path, .. }, why) in &ledger.left {
        let (at, message, reason) = match why {
            Left::Kept(Kept::Unreadable(reason)) => (1, format!("{path} could not be read"), Some(reason)),
            Left::Kept(why) => (0, format!("{path} was left as it was on the target: {why}"), None),
            Left::Failed(reason) => (2, format!("{path} could not be made like the source"), Some(reason)),
            Left::Blocked => (2, format!("{path} could not be made like the source"), None),
        };
        let finding = Finding::new(found[at].0, Subject::new("file", path), message);
        found[at].1.push(match reason {
            Some(reason) => finding.with("reason", reason),
            None => finding.with(
                "reason",
                "what it is in, what is in it, or what it is another name of, could not be changed",
            ),
        });
    }
    let [changed, unreadable, unwritten] = found;
    push_some(&mut report, changed.0, &transfer.source, changed.1);
    push_some(&mut report, unreadable.0, &transfer.source, unreadable.1);
    push_some(&mut report, unwritten.0, &transfer.target, unwritten.1);
    for finding in report.findings {
        control.emit(&Event::Found(finding));
    }
}

/// When not a single path could be done, the step was not.
fn nothing_done(transfer: &Transfer, ledger: &Ledger) -> Error {
    let paths: Vec<&RelPath> = ledger.left.iter().map(|(change, _)| &change.path).collect();
    let why = ledger.left.iter().find_map(|(_, why)| match why {
        Left::Failed(why) => Some(why.as_str()),
        _ => None,
    });
    let message = format!("nothing could be changed there: {}", why.unwrap_or("no file held still"));
    Error::new(ErrorKind::PermissionDenied, format!("mirror to {}", transfer.target), message)
        .hint(format!("look at {}, then mirror again", super::flow::named(&paths)))
}
