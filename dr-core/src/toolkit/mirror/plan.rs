//! From two trees to a plan.

use super::MirrorPlan;
use super::ends::{Ends, Fresh, Surveyed};
use super::fence::Fence;
use super::findings::{
    WIRE_BYTES, deleted_files, described, figures, report_attributes, report_differences, report_owners,
};
use super::flow::named;
use super::seen::{Seen, pair, see};
use crate::digest::Digest;
use crate::error::Result;
use crate::estate::{Epoch, Location, SiteId};
use crate::mirror::{
    Agreement, Change, Difference, Entry, Facts, Guard, Options, RelPath, Room, Side, Summary, Transfer,
    Verdict, alike_but_for_case, check_places, diff, guards, hold_folded, room_needed,
};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::report::{Finding, Report, Subject, code};
use crate::run::Event;
use crate::toolkit::Toolkit;
use crate::world::{Control, Way};

/// Two trees that are alike, and whose ends have not written that down.
#[derive(Clone, Debug)]
pub(super) struct Unagreed {
    source: Location,
    target: Location,
}

impl Toolkit {
    /// Plans to make `target` like `source`: looks at both at once, refuses what would lose data, and gives a plan of one step, or
    /// of none if the two are alike. Nothing is changed.
    ///
    /// Ends that were alike once look only for what changed since, each in its own tree; with `options.checksum`, everything is
    /// read.
    ///
    /// With a `site` and the epoch the caller believes in, a target whose host is home for that site, or knows a newer
    /// epoch, is refused now and again while files land.
    ///
    /// # Errors
    /// `Refused` with the guard's reason (see [`crate::mirror::Refusal`]); otherwise what kept an end from being looked at.
    pub async fn plan_mirror(
        &self,
        source: &Location,
        target: &Location,
        options: &Options,
        site: Option<(&SiteId, Epoch)>,
        control: &Control,
    ) -> Result<MirrorPlan> {
        self.rehearse_mirror(source, target, options, site, control).await?.allowed()
    }

    /// As [`Self::plan_mirror`], for looking at: what guards say stands in `guards`, and what they refuse is in the plan all the
    /// same. Such a step fails when it is applied.
    ///
    /// # Errors
    /// `Refused` or `NotFound` where there are no two trees to be compared; otherwise what kept an end from being looked at.
    pub async fn rehearse_mirror(
        &self,
        source: &Location,
        target: &Location,
        options: &Options,
        site: Option<(&SiteId, Epoch)>,
        control: &Control,
    ) -> Result<MirrorPlan> {
        check_places(source, target)?;
        let transfer = Transfer {
            site: site.map(|(site, _)| site.clone()),
            epoch: site.map(|(_, epoch)| epoch),
            source: source.clone(),
            target: target.clone(),
            standing: site.and_then(|(site, _)| self.standing_of(target, site)),
            options: options.clone(),
            summary: Summary::default(),
            changes: Default::default(),
            quarantine: vec![],
            refused: vec![],
        };
        let fence = Fence::new(&self.world, &transfer);
        let open = Ends::open_and_ask(&self.world, (source, target), options, control);
        let ((), (ends, early)) = tokio::try_join!(fence.hold(), open)?;
        check_places(
            ends.source.place().as_ref().unwrap_or(source),
            ends.target.place().as_ref().unwrap_or(target),
        )?;
        tell_ways(&ends, (source, target), control);
        let pair = pair(&ends, (source, target), options);
        // What is free is only needed if content is to move; to ask afterwards costs a round trip.
        let (seen, free) = tokio::join!(see(&ends, pair, early, options, control), ends.target.room());
        let mut seen = seen?;
        seen.leave_out(options, self.world.clock.read().wall);
        self.compose(transfer, ends, pair, (seen, free)).await
    }

    async fn compose(
        &self,
        mut transfer: Transfer,
        ends: Ends,
        pair: Digest,
        (seen, free): (Seen, Result<Option<Room>>),
    ) -> Result<MirrorPlan> {
        let (source, target) = (transfer.source.clone(), transfer.target.clone());
        let title = format!("mirror {source} to {target}");
        let at = self.world.clock.read().wall;
        let mut planned = MirrorPlan::new(
            Plan::new(title.clone(), at, OnFailure::Stop, vec![]),
            Report::new(title.clone(), at),
        );
        let carries = ends.source.carries().onto(ends.target.carries());
        let mut difference = diff(&seen.source.now, &seen.target.now, &transfer.options, carries);
        hold_folded_names(&ends, &seen, &mut difference).await;
        seen.count_unchanged(&mut difference.summary);
        let diverged = divergence(&seen, &mut difference, &transfer.options);
        let moves_content = difference.changes.iter().any(Change::moves_content);
        let room = match moves_content {
            true => free?.map(|free| (room_needed(&difference.changes), free)),
            false => None,
        };
        let facts = Facts {
            source: seen.source.end(&source),
            target: seen.target.end(&target),
            options: &transfer.options,
            deleted_files: deleted_files(&difference),
            room,
            diverged: (!diverged.is_empty())
                .then(|| (diverged.len(), named(&diverged.iter().collect::<Vec<_>>()))),
        };
        for (guard, looked) in guards(&facts) {
            planned.guards.push(Verdict::new(guard, looked.clone()));
            planned.refusal = planned.refusal.take().or_else(|| looked.err());
            if matches!(guard, Guard::Source | Guard::Target) && planned.refusal.is_some() {
                // There are no two trees to be compared.
                return planned.allowed();
            }
        }
        let report = &mut planned.report;
        report.examined = vec![Subject::new("tree", &source), Subject::new("tree", &target)];
        report_differences(report, &source, &seen.source.now, &difference);
        report_owners(report, &target, (&seen.source.now, &seen.target.now), carries);
        report_attributes(report, &target, &seen.source.now, carries);
        report_diverged(report, &target, &diverged, transfer.options.winner);
        let originals = seen.originals(&difference.changes);
        let Difference { changes, summary, held } = difference;
        report.figures = figures(&summary);
        report.figures.extend(ends.crossed().map(|bytes| (WIRE_BYTES.to_owned(), bytes)));
        planned.summary = summary;
        (transfer.changes, transfer.summary) = (changes.into(), summary);
        if transfer.options.winner == Some(Side::Source) {
            transfer.quarantine = diverged.clone();
        }
        transfer.refused = refusals(&planned.guards);
        let untouched = if transfer.options.winner == Some(Side::Target) { diverged } else { vec![] };
        let fresh = Fresh::new(&transfer.changes, self.world.clock.read().boot);
        let is_alike = transfer.changes.is_empty() && held.is_empty() && untouched.is_empty();
        if !transfer.changes.is_empty() {
            planned.plan.steps.push(Planned::needed(described(&title, &summary), Step::Mirror(transfer)));
        } else if is_alike && !seen.are_agreed && planned.refusal.is_none() {
            planned.unagreed.push(Unagreed { source: source.clone(), target: target.clone() });
        } else {
            return Ok(planned);
        }
        let surveyed = Surveyed {
            pair,
            fresh: Some(fresh),
            held: held.into_iter().map(|held| held.path).collect(),
            untouched: seen.target.before(untouched),
            originals,
        };
        self.shelf.put(&source, &target, Ends { surveyed: Some(surveyed), ..ends });
        Ok(planned)
    }

    /// Lets the ends of trees that were found alike write that down, each on its own host: from then on they only look for what
    /// changed since. For a plan that is not empty, applying it does so. Nothing happens to the trees, nor where it was written
    /// down before.
    pub async fn agree_mirror(&self, planned: &MirrorPlan, control: &Control) {
        for Unagreed { source, target } in &planned.unagreed {
            let Some(ends) = self.shelf.take(source, target) else { continue };
            if let Some(Surveyed { pair, .. }) = ends.surveyed {
                agree(&ends, pair, self.world.clock.read().wall, (vec![], vec![]), control).await;
            }
        }
    }
}

/// Both ends write down that they are alike. Where one cannot, the next mirror looks at everything again.
pub(super) async fn agree(
    ends: &Ends,
    pair: Digest,
    at: crate::time::Timestamp,
    (source, target): (Vec<Change>, Vec<Change>),
    control: &Control,
) {
    // Nothing else has this name: one mirror of a pair runs at a time.
    let name = Digest::of_value(&(pair, at.as_micros(), source.len(), target.len()));
    let (source, target) =
        (Agreement { pair, name, changes: source }, Agreement { pair, name, changes: target });
    let (source, target) = tokio::join!(ends.source.agree(&source), ends.target.agree(&target));
    for error in [source.err(), target.err()].into_iter().flatten() {
        let message = format!("the next mirror will have to look at everything: {error}");
        control.emit(&Event::Note { message });
    }
}

/// What a target cannot have beside something else is left out, if it does not tell upper from lower case; it is only asked where
/// that matters.
async fn hold_folded_names(ends: &Ends, seen: &Seen, difference: &mut Difference) {
    let alike = alike_but_for_case(&seen.source.now.entries, difference);
    // An end that cannot say will show when two names meet there.
    if !alike.is_empty() && ends.target.folds_case().await.unwrap_or(false) {
        hold_folded(&alike, &seen.target.now.entries, difference);
    }
}

/// Paths that somebody else changed on the target since both ends were alike, and that are not like the source now. If the target
/// wins there, they are taken out of the difference.
fn divergence(seen: &Seen, difference: &mut Difference, options: &Options) -> Vec<RelPath> {
    let changes = difference.changes.iter().filter(|change| seen.target.has_changed(&change.path));
    let mut diverged: Vec<RelPath> = changes.map(|change| change.path.clone()).collect();
    diverged.sort();
    if options.winner == Some(Side::Target) && !diverged.is_empty() {
        let goes = |change: &Change| !change.to.as_ref().is_some_and(Entry::is_directory);
        difference.changes.retain(|change| {
            // A directory stays where something in it does.
            let stays = diverged.binary_search(&change.path).is_ok()
                || goes(change) && diverged.iter().any(|path| path.is_below(&change.path));
            !stays
        });
    }
    diverged
}

fn report_diverged(report: &mut Report, target: &Location, diverged: &[RelPath], winner: Option<Side>) {
    let found = diverged.iter().map(|path| {
        let message = match winner {
            None => format!("{path} was changed on the target since the last mirror"),
            Some(Side::Source) => {
                format!(
                    "{path} was changed on the target since the last mirror; that version goes to quarantine"
                )
            }
            Some(Side::Target) => {
                format!("{path} was changed on the target since the last mirror, and is left as it is")
            }
        };
        Finding::new(code::MIRROR_DIVERGED, Subject::new("file", format!("{path} in {target}")), message)
    });
    super::findings::push_some(report, code::MIRROR_DIVERGED, target, found.collect());
}

fn refusals(guards: &[Verdict]) -> Vec<String> {
    guards.iter().filter(|verdict| verdict.refused).map(|verdict| verdict.says.clone()).collect()
}

fn tell_ways(ends: &Ends, (source, target): (&Location, &Location), control: &Control) {
    for (place, end) in [(source, &ends.source), (target, &ends.target)] {
        if let (Location::Remote { remote, .. }, way) = (place, end.way())
            && way != Way::Local
        {
            control.emit(&Event::Note { message: format!("{} is reached {way}", remote.host) });
        }
    }
}
