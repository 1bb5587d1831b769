//! Mirroring through the world.

mod apply;
mod ends;
mod fence;
mod flow;
mod meter;
mod observe;

use std::collections::BTreeMap;

pub(super) use apply::act;
pub(super) use ends::{Hands, Shelf};
pub(super) use observe::observe;

use self::ends::Ends;
use self::fence::Fence;
use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, Host, HostId, Location, Site, SiteId};
use crate::failover::RecordMirror;
use crate::mirror::{
    Carries, Change, Difference, Entry, Kind, Options, RelPath, Snapshot, Summary, Transfer, check_places,
    check_trees, diff,
};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::report::{Code, Finding, Report, Subject, code};
use crate::world::Control;

/// So many findings of one code name a path each; one more counts the rest.
const FINDINGS_PER_CODE: usize = 50;

/// A mirror that was planned: what it would do, and what it would leave undone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use dr_core::mirror::{Options, RelPath};
/// use dr_core::toolkit::Toolkit;
/// use dr_core::world::{Control, sim::SimWorld};
/// let (sim, control) = (SimWorld::new(), Control::silent());
/// let (uk, us) = ("root@uk:/var/www".parse().unwrap(), "root@us:/var/www".parse().unwrap());
/// sim.put_page(&uk, &RelPath::new(b"index.html").unwrap(), b"<p>");
/// let toolkit = Toolkit::new(sim.world(), Default::default());
/// let planned = toolkit.plan_mirror(&uk, &us, &Options::default(), None, &control).await.unwrap();
/// assert_eq!((planned.summary.created, planned.summary.bytes), (2, 3), "the directory and the page in it");
/// let applied = toolkit.apply(&planned.plan, "ann", &control).await.unwrap();
/// assert_eq!(applied.outcome, dr_core::run::Outcome::New);
/// # });
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct MirrorPlan {
    /// One step a tree that differs; empty if nothing does.
    pub plan: Plan,
    /// What cannot be read or carried.
    pub report: Report,
    /// The counts over all trees.
    pub summary: Summary,
}

impl Toolkit {
    /// Plans to make `target` like `source`: scans both at once, refuses what would lose data, and gives a plan of one step, or
    /// of none if the two are alike. Nothing is changed.
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
        check_places(source, target)?;
        let standing = site.and_then(|(site, _)| self.standing_of(target, site));
        let mut transfer = Transfer {
            site: site.map(|(site, _)| site.clone()),
            epoch: site.map(|(_, epoch)| epoch),
            source: source.clone(),
            target: target.clone(),
            standing,
            options: options.clone(),
            summary: Summary::default(),
            changes: vec![],
        };
        Fence::new(&self.world, &transfer).hold().await?;
        let title = format!("mirror {source} to {target}");
        let mut report = Report::new(title.clone(), self.world.clock.read().wall);
        report.examined = vec![Subject::new("tree", source), Subject::new("tree", target)];

        let mut ends = Ends::open(&self.world, source, target, control).await?;
        let (from, to) = (&ends.source, &ends.target);
        check_places(from.place().as_ref().unwrap_or(source), to.place().as_ref().unwrap_or(target))?;
        let (source_tree, target_tree) =
            tokio::try_join!(from.scan(options, control), to.scan(options, control))?;
        let carries = from.carries().onto(to.carries());
        let difference = diff(&source_tree, &target_tree, options, carries);
        check_trees((source, &source_tree), (target, &target_tree), options, deleted_files(&difference))?;

        report_differences(&mut report, source, &source_tree, &difference);
        report_owners(&mut report, target, (&source_tree, &target_tree), carries);
        let Difference { changes, summary, .. } = difference;
        (transfer.changes, transfer.summary) = (changes, summary);
        report.figures = figures(&summary);
        let mut plan = Plan::new(title.clone(), report.at, OnFailure::Stop, vec![]);
        if !transfer.changes.is_empty() {
            plan.steps.push(Planned::needed(described(&title, &summary), Step::Mirror(transfer)));
            ends.are_surveyed = true;
            self.shelf.put(source, target, ends);
        }
        Ok(MirrorPlan { plan, report, summary })
    }

    /// Plans to mirror every tree of a site from the host that is home to the other one, in the epoch that the coordinator
    /// knows, to write down on the receiving host that it has happened, and to tell hosts that were never told what they are for
    /// the site: from then on the home host refuses mirrors.
    ///
    /// # Errors
    /// `NotFound` for a site that the estate does not have; as [`Self::plan_mirror`] for each of its trees.
    pub async fn plan_mirror_site(&self, site_id: &SiteId, control: &Control) -> Result<MirrorPlan> {
        let site = self.estate.sites.get(site_id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("mirror site {site_id}"), "the estate has no such site")
                .hint("look at its name in dr.toml")
        })?;
        let tenure = match self.world.coordinator.read(site_id).await {
            // A site that the coordinator has no place for cannot be moved, but it can be mirrored.
            Err(why) if why.kind() == ErrorKind::NotFound => None,
            tenure => tenure?,
        };
        let epoch = tenure.as_ref().map_or(Epoch(0), |tenure| tenure.epoch);
        let home = tenure.map_or_else(|| site.home.clone(), |tenure| tenure.home);
        let is_home = home == site.home;
        let standby = if is_home { &site.standby } else { &site.home };
        let (home_host, standby_host) = (self.carrier(site_id, &home)?, self.carrier(site_id, standby)?);
        if !is_home && home != site.standby {
            let why = format!("{home} holds it, which is neither its home nor its standby");
            return Err(Error::new(ErrorKind::Refused, format!("mirror site {site_id}"), why)
                .hint("correct home and standby in dr.toml, or move the site back by a failover"));
        }
        let at = self.world.clock.read().wall;
        let title = format!("mirror site {site_id} from {home} to {standby}");
        let mut whole = MirrorPlan {
            plan: Plan::new(title.clone(), at, OnFailure::Stop, vec![]),
            report: Report::new(title.clone(), at),
            summary: Summary::default(),
        };
        let options = self.options_of(site);
        for tree in &site.trees {
            let paths = (tree.path.clone(), tree.standby_path().to_owned());
            let (from, to) = if is_home { paths } else { (paths.1, paths.0) };
            let source = Location::Remote { remote: home_host.ssh.clone(), path: from };
            let target = Location::Remote { remote: standby_host.ssh.clone(), path: to };
            let part = self.plan_mirror(&source, &target, &options, Some((site_id, epoch)), control).await?;
            whole.plan.steps.extend(part.plan.steps);
            whole.report.absorb(part.report);
            whole.summary = whole.summary.plus(part.summary);
        }
        let record = RecordMirror {
            site: site_id.clone(),
            host: standby.clone(),
            remote: standby_host.ssh.clone(),
            state_dir: standby_host.state_dir.clone(),
            epoch,
            started: at,
            paths: whole.plan.steps.iter().map(paths_of).sum(),
            bytes: whole.summary.bytes,
        };
        let said = format!("write down on {standby} that {site_id} was mirrored");
        whole.plan.steps.push(Planned::needed(said, Step::RecordMirror(record)));
        let (home, standby) = ((&home, home_host), (standby, standby_host));
        whole.plan.steps.extend(self.first_roles(site_id, epoch, home, standby).await);
        Ok(whole)
    }

    fn options_of(&self, site: &Site) -> Options {
        Options {
            exclude: site.exclude.clone(),
            max_delete: self.estate.policy.max_delete,
            ..Options::default()
        }
    }

    fn carrier(&self, site: &SiteId, host: &HostId) -> Result<&Host> {
        self.estate.hosts.get(host).ok_or_else(|| {
            let why = format!("its host {host} is not in the estate");
            Error::new(ErrorKind::NotFound, format!("mirror site {site}"), why)
                .hint("add the host to dr.toml")
        })
    }

    /// The file on the target's host that says what that host is for the site. A target on this machine has none that could be
    /// found without looking into somebody's home directory.
    fn standing_of(&self, target: &Location, site: &SiteId) -> Option<String> {
        let Location::Remote { remote, .. } = target else { return None };
        let known = self.estate.hosts.values().find(|host| host.ssh == *remote).cloned();
        let host = known.unwrap_or_else(|| Host::new(remote.clone()));
        Some(crate::failover::standing_path(&host.state_dir, site))
    }
}

fn paths_of(planned: &Planned) -> u64 {
    if let Step::Mirror(transfer) = &planned.step { transfer.changes.len() as u64 } else { 0 }
}

/// What is removed and is no directory.
fn deleted_files(difference: &Difference) -> u64 {
    let is_deleted_file = |change: &&Change| {
        change.to.is_none() && change.from.as_ref().is_some_and(|entry| !entry.is_directory())
    };
    difference.changes.iter().filter(is_deleted_file).count() as u64
}

fn described(title: &str, summary: &Summary) -> String {
    let Summary { created, updated, metadata_only, deleted, bytes, .. } = summary;
    format!(
        "{title}: {created} new, {updated} changed, {metadata_only} in metadata only, {deleted} removed, {bytes} bytes"
    )
}

fn figures(summary: &Summary) -> BTreeMap<String, u64> {
    let rows = [
        ("created_paths", summary.created),
        ("updated_paths", summary.updated),
        ("metadata_only_paths", summary.metadata_only),
        ("deleted_paths", summary.deleted),
        ("unchanged_paths", summary.unchanged),
        ("moved_bytes", summary.bytes),
    ];
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the source has and the target will not get.
fn report_differences(report: &mut Report, source: &Location, tree: &Snapshot, difference: &Difference) {
    let subject = |path: &RelPath| Subject::new("file", format!("{path} in {source}"));
    let unreadable = tree.unreadable.iter().map(|(path, why)| {
        Finding::new(code::MIRROR_FILE_UNREADABLE, subject(path), format!("{path} could not be read"))
            .with("reason", why)
    });
    push_some(report, code::MIRROR_FILE_UNREADABLE, source, unreadable.collect());
    let held = difference.held.iter().map(|held| {
        let message = format!("{} is not mirrored: {}", held.path, held.why);
        Finding::new(code::MIRROR_FILE_NOT_MIRRORED, subject(&held.path), message)
    });
    push_some(report, code::MIRROR_FILE_NOT_MIRRORED, source, held.collect());
}

fn push_some(report: &mut Report, code: Code, source: &Location, mut findings: Vec<Finding>) {
    let rest = findings.len().saturating_sub(FINDINGS_PER_CODE);
    findings.truncate(FINDINGS_PER_CODE);
    report.findings.extend(findings);
    if rest > 0 {
        let message = format!("{rest} more paths of {source} are in the same state");
        report.push(Finding::new(code, Subject::new("tree", source), message).with("paths", rest));
    }
}

/// Owners that the target would need and may not set. What is new there will belong to the account that mirrors, and so does,
/// most likely, the root.
fn report_owners(
    report: &mut Report,
    target: &Location,
    (source_tree, target_tree): (&Snapshot, &Snapshot),
    carries: Carries,
) {
    if carries.owners {
        return;
    }
    let root = RelPath::root();
    let account = target_tree.entries.row(&root).or_else(|| source_tree.entries.row(&root));
    let Some(account) = account.and_then(|row| row.owner()) else { return };
    let is_lost = |(path, entry): &(RelPath, Entry)| {
        let there = target_tree.entries.row(path).and_then(|there| there.owner()).unwrap_or(account);
        entry.kind != Kind::Other && entry.owner.is_some_and(|owner| owner != there)
    };
    let lost = source_tree.entries.iter().filter(is_lost).count();
    if lost > 0 {
        let message = format!("{lost} paths belong to other owners than on the source");
        let finding = Finding::new(code::MIRROR_OWNER_NOT_KEPT, Subject::new("tree", target), message);
        report.push(finding.with("paths", lost));
    }
}
