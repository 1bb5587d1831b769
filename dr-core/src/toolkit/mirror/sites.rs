//! Many sites: each from its home to its standby, some at a time, in one report.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;

use super::MirrorPlan;
use crate::error::{Error, ErrorKind, ErrorRecord, Result};
use crate::estate::{HostId, SiteId};
use crate::failover::last_mirror_path;
use crate::mirror::{Summary, Verdict};
use crate::report::{Finding, Report, Subject, code};
use crate::run::{Event, Outcome, RunId};
use crate::toolkit::Toolkit;
use crate::world::Control;

/// What became of many sites.
///
/// ```
/// # fn told(mirrored: &dr_core::toolkit::MirroredSites) {
/// let failed = mirrored.sites.values().filter(|site| site.error.is_some()).count();
/// println!("{failed} of {} were not mirrored", mirrored.sites.len());
/// # }
/// ```
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[must_use]
pub struct MirroredSites {
    /// Site by site.
    pub sites: BTreeMap<SiteId, MirroredSite>,
    /// All that was found, in all sites; a finding for each that was not mirrored.
    pub report: Report,
}

/// What became of one site.
///
/// ```
/// let nothing = dr_core::toolkit::MirroredSite::default();
/// assert!(nothing.run.is_none() && nothing.error.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MirroredSite {
    /// What was planned, as far as it came.
    pub summary: Summary,
    /// Which run of the journal it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What the guards said, of what was only planned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Verdict>,
    /// Why it was not mirrored, or why it would not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
}

/// One site's part of the report, and what became of it.
type Done = (MirroredSite, Report);

impl Toolkit {
    /// Plans each of these sites, as [`Self::rehearse_mirror_site`] does, and changes nothing. Sites go side by side within the
    /// estate's limits; one that cannot be planned has its error, and the others are not touched by it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let plans = toolkit.plan_mirror_sites(&["shop".parse().unwrap()], &Control::silent()).await;
    /// assert!(plans[0].1.is_err(), "the estate has no such site");
    /// # });
    /// ```
    pub async fn plan_mirror_sites(
        &self,
        sites: &[SiteId],
        control: &Control,
    ) -> Vec<(SiteId, Result<MirrorPlan>)> {
        let plan = async |site: SiteId| {
            let planned = self.rehearse_mirror_site(&site, &named(control, &site)).await;
            (site, planned)
        };
        let mut plans = self.side_by_side(sites, plan).await;
        plans.sort_by(|a, b| a.0.cmp(&b.0));
        plans
    }

    /// As [`Self::mirror_sites`], but nothing is changed: what would be done at each, what guards say, and why it would fail.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let rehearsed = toolkit.rehearse_mirror_sites(&["shop".parse().unwrap()], &Control::silent()).await;
    /// assert_eq!(rehearsed.report.findings[0].subject.name, "shop", "the estate has no such site");
    /// # });
    /// ```
    pub async fn rehearse_mirror_sites(&self, sites: &[SiteId], control: &Control) -> MirroredSites {
        let at = self.world.clock.read().wall;
        let report = Report::new(format!("mirror {} sites", sites.len()), at);
        let mut whole = MirroredSites { sites: BTreeMap::new(), report };
        for (site, planned) in self.plan_mirror_sites(sites, control).await {
            let mut rehearsed = MirroredSite::default();
            let error = match planned {
                Ok(planned) => {
                    rehearsed.summary = planned.summary;
                    rehearsed.guards = planned.guards.clone();
                    whole.report.absorb(planned.report.clone());
                    planned.allowed().err()
                }
                Err(why) => Some(why),
            };
            if let Some(why) = error {
                rehearsed.error = Some(failed(&site, why.to_record(), &mut whole.report));
            }
            whole.report.examined.push(Subject::new("site", &site));
            whole.sites.insert(site, rehearsed);
        }
        whole
    }

    /// Mirrors each of these sites from the host that is home to the other one: a run of the journal each, within the limits of
    /// the estate (`policy.mirrors`). What goes wrong with one site is a finding, and the others are not touched by it; the sites of a host that
    /// cannot be reached are not tried one by one.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let estate = dr_core::Estate::from_toml(r#"
    ///     hosts = { uk = { ssh = "root@uk" }, us = { ssh = "root@us" } }
    ///     sites.blog = { home = "uk", standby = "us", trees = [{ path = "/var/www/blog" }] }
    ///     sites.shop = { home = "us", standby = "uk", trees = [{ path = "/var/www/shop" }] }
    /// "#).unwrap();
    /// let sim = SimWorld::new();
    /// let page = dr_core::mirror::RelPath::new(b"index.html").unwrap();
    /// sim.put_page(&"root@uk:/var/www/blog".parse().unwrap(), &page, b"<p>");
    /// let toolkit = Toolkit::new(sim.world(), estate);
    /// let all = toolkit.estate.mirrored_sites(None);
    /// let mirrored = toolkit.mirror_sites(&all, "ann", &Control::silent()).await;
    /// assert_eq!(sim.page(&"root@us:/var/www/blog".parse().unwrap(), &page).unwrap(), b"<p>");
    /// assert_eq!(mirrored.report.findings[0].subject.name, "shop", "there is nothing at its home");
    /// # });
    /// ```
    pub async fn mirror_sites(&self, sites: &[SiteId], by: &str, control: &Control) -> MirroredSites {
        let at = self.world.clock.read().wall;
        let mut whole = MirroredSites {
            sites: BTreeMap::new(),
            report: Report::new(format!("mirror {} sites", sites.len()), at),
        };
        let lost = self.lost_hosts(sites).await;
        let mirror = async |site: SiteId| {
            let done = self.mirror_one(&site, &lost, by, &named(control, &site)).await;
            (site, done)
        };
        let mut reports = BTreeMap::new();
        for (site, (done, report)) in self.side_by_side(sites, mirror).await {
            reports.insert(site.clone(), report);
            whole.sites.insert(site, done);
        }
        for (site, report) in reports {
            whole.report.examined.push(Subject::new("site", &site));
            whole.report.absorb(report);
        }
        let failed = whole.sites.values().filter(|site| site.error.is_some()).count() as u64;
        whole.report.figures.insert("mirrored_sites".into(), whole.sites.len() as u64 - failed);
        whole.report.figures.insert("failed_sites".into(), failed);
        whole
    }

    async fn mirror_one(
        &self,
        site: &SiteId,
        lost: &BTreeMap<HostId, ErrorRecord>,
        by: &str,
        control: &Control,
    ) -> Done {
        let mut done = MirroredSite::default();
        let mut report = Report::new(format!("mirror site {site}"), self.world.clock.read().wall);
        let of_site = |host: &&HostId| {
            self.estate.sites.get(site).is_some_and(|site| [&site.home, &site.standby].contains(host))
        };
        let error = match lost.iter().find(|(host, _)| of_site(host)) {
            Some((_, why)) => Some(why.clone()),
            None => self
                .run_site(site, by, control, &mut done, &mut report)
                .await
                .err()
                .map(|why| why.to_record()),
        };
        done.error = error.map(|why| failed(site, why, &mut report));
        (done, report)
    }

    async fn run_site(
        &self,
        site: &SiteId,
        by: &str,
        control: &Control,
        done: &mut MirroredSite,
        report: &mut Report,
    ) -> Result<()> {
        let operation = format!("mirror site {site}");
        control.check(&operation)?;
        let planned = self.plan_mirror_site(site, control).await?;
        done.summary = planned.summary;
        report.absorb(planned.report.clone());
        let applied = self.apply(&planned.plan, by, control).await?;
        self.agree_mirror(&planned, control).await;
        (done.run, done.outcome) = (Some(applied.run), Some(applied.outcome));
        report.absorb(applied.report);
        if matches!(applied.outcome, Outcome::New | Outcome::NewDegraded) {
            return Ok(());
        }
        control.check(&operation)?;
        let failed = applied.lines.into_iter().rev().find_map(|line| match line.event {
            Event::StepFailed { error, .. } => Some(error),
            _ => None,
        });
        let (kind, why) = failed.map_or_else(
            || (ErrorKind::OutcomeUnknown, "it stopped".to_owned()),
            |error| (error.kind, format!("could not {}: {}", error.operation, error.message)),
        );
        Err(Error::new(kind, operation, why)
            .hint(format!("dr failover resume {} goes on with it", applied.run)))
    }

    /// Hosts of these sites that do not let us in now: each is asked once for something small that mirrors ask it for anyway.
    async fn lost_hosts(&self, sites: &[SiteId]) -> BTreeMap<HostId, ErrorRecord> {
        let mut asked = BTreeMap::new();
        for (id, site) in sites.iter().filter_map(|id| Some((id, self.estate.sites.get(id)?))) {
            for host in [&site.home, &site.standby] {
                asked.entry(host).or_insert(id);
            }
        }
        let ask = async |(id, site): (&HostId, &SiteId)| {
            let host = self.estate.hosts.get(id)?;
            let path = last_mirror_path(&host.state_dir, site);
            let why = self.world.shell.read_file(&host.ssh, &path).await.err()?;
            let is_of_host = matches!(
                why.kind(),
                ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::HostKey | ErrorKind::Authentication
            );
            is_of_host.then(|| (id.clone(), why.to_record()))
        };
        join_all(asked.into_iter().map(ask)).await.into_iter().flatten().collect()
    }

    /// Does `work` for every site, so many at a time as the estate allows in all and on each host.
    async fn side_by_side<T>(&self, sites: &[SiteId], work: impl AsyncFn(SiteId) -> T) -> Vec<T> {
        let limits = &self.estate.policy.mirrors;
        let hosts = |site: &SiteId| {
            self.estate
                .sites
                .get(site)
                .map_or_else(Vec::new, |site| vec![site.home.clone(), site.standby.clone()])
        };
        let work = &work;
        let mut busy = BTreeMap::<HostId, u32>::new();
        let mut waiting: VecDeque<SiteId> = sites.iter().cloned().collect();
        let (mut running, mut done) = (FuturesUnordered::new(), vec![]);
        loop {
            while running.len() < limits.at_once.max(1) as usize {
                let is_free = |host: &HostId| busy.get(host).copied().unwrap_or(0) < limits.per_host.max(1);
                let Some(next) = waiting.iter().position(|site| hosts(site).iter().all(is_free)) else {
                    break;
                };
                let Some(site) = waiting.remove(next) else { break };
                for host in hosts(&site) {
                    *busy.entry(host).or_default() += 1;
                }
                running.push(async move { (site.clone(), work(site).await) });
            }
            let Some((site, result)) = running.next().await else { return done };
            for host in hosts(&site) {
                busy.entry(host).and_modify(|count| *count -= 1);
            }
            done.push(result);
        }
    }
}

/// A site that is not mirrored is a finding.
fn failed(site: &SiteId, why: ErrorRecord, report: &mut Report) -> ErrorRecord {
    let message = format!("{site} was not mirrored: could not {}: {}", why.operation, why.message);
    let mut finding = Finding::new(code::MIRROR_SITE_FAILED, Subject::new("site", site), message);
    if let Some(hint) = &why.hint {
        finding = finding.with("hint", hint);
    }
    report.push(finding);
    why
}

/// Events of one site among many: each says whose it is. The steps of its plan are told by the journal only: numbers of steps of
/// several plans at once tell nobody anything.
fn named(control: &Control, site: &SiteId) -> Control {
    let (outer, site) = (control.clone(), site.clone());
    let sink = move |event: &Event| match event {
        Event::Progress { phase, done, total, unit } => outer.emit(&Event::Progress {
            phase: format!("{site}: {phase}"),
            done: *done,
            total: *total,
            unit: unit.clone(),
        }),
        Event::Note { message } => outer.emit(&Event::Note { message: format!("{site}: {message}") }),
        Event::PlanRecorded { title, .. } => outer.emit(&Event::Note { message: title.clone() }),
        Event::Found(_) => outer.emit(event),
        _ => {}
    };
    let mut named = Control::new(sink);
    named.cancel = control.cancel.clone();
    named
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Estate;
    use crate::mirror::RelPath;
    use crate::world::sim::SimWorld;

    fn estate() -> Estate {
        Estate::from_toml(
            "hosts = { a = { ssh = 'root@a' }, b = { ssh = 'root@b' }, c = { ssh = 'root@c' }, d = { ssh = 'root@d' } }\n\
             sites.one = { home = 'a', standby = 'b', trees = [{ path = '/w/one' }] }\n\
             sites.two = { home = 'a', standby = 'b', trees = [{ path = '/w/two' }] }\n\
             sites.three = { home = 'c', standby = 'd', trees = [{ path = '/w/three' }] }\n\
             sites.four = { home = 'c', standby = 'a', trees = [{ path = '/w/four' }] }\n\
             sites.never = { home = 'a', standby = 'b', mirror = false }\n\
             policy.mirrors = { at_once = 3, per_host = 1 }\n",
        )
        .unwrap()
    }

    fn page() -> RelPath {
        RelPath::new(b"page").unwrap()
    }

    fn simulated() -> SimWorld {
        let sim = SimWorld::new();
        for place in ["root@a:/w/one", "root@a:/w/two", "root@c:/w/three", "root@c:/w/four"] {
            sim.put_page(&place.parse().unwrap(), &page(), place.as_bytes());
        }
        sim
    }

    #[tokio::test]
    async fn a_host_that_is_away_fails_its_sites_and_no_others() {
        let sim = simulated();
        sim.cut("b");
        let toolkit = Toolkit::new(sim.world(), estate());
        let all = toolkit.estate.mirrored_sites(None);
        assert_eq!(all.len(), 4, "one is not mirrored");
        let mirrored = toolkit.mirror_sites(&all, "test", &Control::silent()).await;
        let failed = mirrored.sites.iter().filter(|(_, site)| site.error.is_some());
        let failed: Vec<&str> = failed.map(|(site, _)| site.as_str()).collect();
        assert_eq!(failed, ["one", "two"], "{:#?}", mirrored.report.findings);
        assert_eq!(mirrored.report.figures["failed_sites"], 2);
        assert!(sim.page(&"root@d:/w/three".parse().unwrap(), &page()).is_some());
        assert!(sim.page(&"root@a:/w/four".parse().unwrap(), &page()).is_some());
        sim.mend("b");
        let again = toolkit.mirror_sites(&all, "test", &Control::silent()).await;
        assert_eq!(again.report.findings, vec![]);
        assert!(again.sites.values().all(|site| site.outcome == Some(Outcome::New)));
    }

    #[tokio::test]
    async fn no_host_has_more_sites_at_once_than_allowed() {
        let toolkit = Toolkit::new(SimWorld::new().world(), estate());
        let all = toolkit.estate.mirrored_sites(None);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |site: SiteId| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            site
        };
        let mut done = toolkit.side_by_side(&all, work).await;
        done.sort();
        assert_eq!(done, all, "each once");
        // One of a and b, one of c and d; never one and two, which share a host.
        assert_eq!(most.into_inner(), 2);
    }

    #[tokio::test]
    async fn what_is_cancelled_says_so_for_every_site() {
        let (toolkit, control) = (Toolkit::new(simulated().world(), estate()), Control::silent());
        control.cancel.cancel();
        let all = toolkit.estate.mirrored_sites(None);
        let mirrored = toolkit.mirror_sites(&all, "test", &control).await;
        let is_cancelled =
            |site: &MirroredSite| site.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Cancelled);
        assert!(mirrored.sites.values().all(is_cancelled), "{:#?}", mirrored.sites);
    }
}
