//! Mirroring through the world.

mod ahead;
mod apply;
mod bases;
mod ends;
mod fence;
mod findings;
mod flow;
mod meter;
mod observe;
mod plan;
mod rollback;
mod seen;
mod sites;
#[cfg(test)]
mod trips;
mod verify;
mod watch;

pub(super) use apply::act;
pub(super) use ends::{Hands, Shelf};
pub(super) use observe::observe;
pub use sites::{MirroredSite, MirroredSites};
pub use watch::{MirrorWatch, Round, Watched};

use self::plan::Unagreed;
use super::Toolkit;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, Host, HostId, Location, Site, SiteId};
use crate::failover::RecordMirror;
use crate::mirror::{Options, Refusal, Side, Summary, Verdict};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::report::Report;
use crate::run::Outcome;
use crate::world::Control;

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
    /// What each guard says.
    pub guards: Vec<Verdict>,
    /// The first refusal among them.
    refusal: Option<Refusal>,
    /// Trees that are alike, and whose ends have not written that down.
    unagreed: Vec<Unagreed>,
}

impl MirrorPlan {
    fn new(plan: Plan, report: Report) -> Self {
        let (summary, guards, refusal, unagreed) = (Summary::default(), vec![], None, vec![]);
        Self { plan, report, summary, guards, refusal, unagreed }
    }

    /// The plan, or why it must not be done.
    fn allowed(mut self) -> Result<Self> {
        match self.refusal.take() {
            None => Ok(self),
            Some(refusal) => Err(refusal.into()),
        }
    }

    fn absorb(&mut self, part: Self) {
        self.plan.steps.extend(part.plan.steps);
        self.report.absorb(part.report);
        self.summary = self.summary.plus(part.summary);
        self.guards.extend(part.guards);
        self.refusal = self.refusal.take().or(part.refusal);
        self.unagreed.extend(part.unagreed);
    }
}

impl Toolkit {
    /// Plans to mirror every tree of a site from the host that is home to the other one, in the epoch that the coordinator
    /// knows, to write down on the receiving host that it has happened, and to tell hosts that were never told what they are for
    /// the site: from then on the home host refuses mirrors.
    ///
    /// # Errors
    /// `NotFound` for a site that the estate does not have; as [`Self::plan_mirror`] for each of its trees.
    pub async fn plan_mirror_site(&self, site_id: &SiteId, control: &Control) -> Result<MirrorPlan> {
        self.rehearse_mirror_site(site_id, control).await?.allowed()
    }

    /// As [`Self::plan_mirror_site`], but what guards refuse is shown as well: see [`Self::rehearse_mirror`].
    ///
    /// # Errors
    /// As [`Self::rehearse_mirror`] for each of its trees.
    pub async fn rehearse_mirror_site(&self, site_id: &SiteId, control: &Control) -> Result<MirrorPlan> {
        self.site_mirror(site_id, |options| options, control).await
    }

    async fn site_mirror(
        &self,
        site_id: &SiteId,
        change: impl FnOnce(Options) -> Options,
        control: &Control,
    ) -> Result<MirrorPlan> {
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
        let plan = Plan::new(title.clone(), at, OnFailure::Stop, vec![]);
        let mut whole = MirrorPlan::new(plan, Report::new(title, at));
        let options = change(self.options_of(site));
        for tree in &site.trees {
            let paths = (tree.path.clone(), tree.standby_path().to_owned());
            let (from, to) = if is_home { paths } else { (paths.1, paths.0) };
            let source = Location::Remote { remote: home_host.ssh.clone(), path: from };
            let target = Location::Remote { remote: standby_host.ssh.clone(), path: to };
            let part =
                self.rehearse_mirror(&source, &target, &options, Some((site_id, epoch)), control).await?;
            whole.absorb(part);
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
            planned: Some(Digest::of_value(&whole.plan.steps)),
            seal: None,
        };
        let said = format!("write down on {standby} that {site_id} was mirrored");
        whole.plan.steps.push(Planned::needed(said, Step::RecordMirror(record)));
        let (home, standby) = ((&home, home_host), (standby, standby_host));
        whole.plan.steps.extend(self.first_roles(site_id, epoch, home, standby).await);
        self.seal(&mut whole.plan);
        Ok(whole)
    }

    /// Mirrors a site a last time before it is handed to the other host, and compares every byte of both afterwards. True only if
    /// nothing is missing there. What the other host had changed by itself was put aside before, so it gives way.
    pub(super) async fn mirror_last(&self, site_id: &SiteId, by: &str, control: &Control) -> Result<bool> {
        if self.estate.sites.get(site_id).is_some_and(|site| !site.mirror) {
            return Ok(true);
        }
        let last = |options: Options| Options { winner: Some(Side::Source), ..options };
        let planned = self.site_mirror(site_id, last, control).await?.allowed()?;
        let applied = self.apply(&planned.plan, by, control).await?;
        if applied.outcome != Outcome::New {
            return Ok(false);
        }
        let compared = |options: Options| Options { winner: Some(Side::Source), checksum: true, ..options };
        let again = self.site_mirror(site_id, compared, control).await?.allowed()?;
        Ok(again.plan.steps.iter().all(|planned| match &planned.step {
            Step::Mirror(transfer) => transfer.changes.is_empty(),
            _ => true,
        }))
    }

    /// Seals the records of mirrors that the plan will write, if the estate has a secret for it.
    pub(super) fn seal(&self, plan: &mut Plan) {
        let Some(secret) = &self.seal else { return };
        for planned in &mut plan.steps {
            if let Step::RecordMirror(record) = &mut planned.step {
                *record = record.clone().sealed(secret);
            }
        }
    }

    fn options_of(&self, site: &Site) -> Options {
        Options {
            exclude: site.exclude.clone(),
            max_delete: self.estate.policy.max_delete,
            generations: site.generations.unwrap_or(self.estate.policy.mirrors.generations),
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
