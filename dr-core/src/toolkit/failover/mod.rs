//! Failover through the world: whether a site could be moved, the plan that moves it, and the observers that say when.

mod audit;
mod gather;
mod many;
mod memo;
mod ready;
mod steps;
mod transfers;
mod watch;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

pub use audit::{AuditFailover, FailoverAudit, Move};
pub(super) use gather::probes;
pub use many::Together;
pub(super) use many::{act_moves, observe_moves};
pub(super) use steps::*;
pub use watch::Watch;

use self::gather::{Party, Seen, Taken};
use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, HostId, RecordType, Site, SiteId};
use crate::failover::{Guard, GuardName, Role, Sight, Standing, Tenure};
use crate::plan::{FailoverFacts, Grounds, Occasion, Plan, Step, failover_plan};
use crate::report::{Finding, Report, Subject, Unexamined, code};
use crate::run::Outcome;
use crate::world::{Control, RunSummary};

/// How a site is moved.
///
/// ```
/// let options = dr_core::toolkit::FailoverOptions::default();
/// assert!(!options.planned && options.despite.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailoverOptions {
    /// Both hosts are well: mirror a last time first. Without it nothing is asked of the old home.
    pub planned: bool,
    /// Guards that the operator overrides, by name.
    pub despite: BTreeSet<GuardName>,
    /// Why the site is moved; needed to override a guard.
    pub why: Option<String>,
    /// The host that the site is moved away from. Without it that is the home in the estate: a failover that is asked for
    /// twice must not move the site back.
    pub from: Option<HostId>,
}

impl Toolkit {
    /// Is everything ready to move this site? All guards, each explained; what both hosts believe; how both answer.
    ///
    /// Who holds the site stands among what was examined (`home`: `shop on us`), unless the coordinator does not say. A guard that
    /// passes stands there, too, with what it saw; one that does not is a finding. The report's figures
    /// are the site's epoch, the age of its last mirror in seconds, and how long its hosts take to answer in microseconds.
    ///
    /// Errors: `NotFound` for a site or a host that the estate does not have, `Refused` if a third host holds the site.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::{Estate, ErrorKind, toolkit::Toolkit, world::{Control, sim::SimWorld}};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Estate::default());
    /// let error = toolkit.failover_status(&"shop".parse().unwrap(), &Control::silent()).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # });
    /// ```
    pub async fn failover_status(&self, site: &SiteId, control: &Control) -> Result<Report> {
        let operation = format!("look at the failover of {site}");
        let seen = control.run(&operation, self.gather(site, &operation)).await?;
        let mut report = Report::new(format!("failover of {site}"), seen.at);
        if seen.tenure.is_ok() {
            report.examined.push(Subject::new("home", format!("{site} on {}", seen.home.id)));
        }
        for guard in seen.guards(self, site, self.site(site, &operation)?) {
            match guard.finding(site) {
                Some(finding) => report.push(finding),
                None => report.examined.push(Subject::new("guard", passed(&guard))),
            }
        }
        for party in [&seen.home, &seen.other] {
            judge_party(&mut report, site, party, &seen);
        }
        judge_home(&mut report, site, &seen.home);
        for name in &seen.zoneless {
            let message = format!("{name} is in no zone of the estate");
            report.push(Finding::new(code::FAILOVER_ZONE_UNKNOWN, Subject::new("site", site), message));
        }
        judge_names(&mut report, site, &seen);
        self.judge_runs(&mut report, site).await;
        figures(&mut report, site, &seen);
        Ok(report.judged(&self.estate.policy.severity))
    }

    /// Whether a move of this site was begun and not ended.
    async fn judge_runs(&self, report: &mut Report, site: &SiteId) {
        let mut unread = |why: &Error| {
            let subject = Subject::new("journal", "runs");
            report.unexamined.push(Unexamined { subject, why: why.to_record() });
        };
        let runs = match self.world.journal.runs().await {
            Ok(runs) => runs,
            Err(why) => return unread(&why),
        };
        let waits = |run: &&RunSummary| matches!(run.outcome, None | Some(Outcome::Stopped));
        let mut findings = vec![];
        for run in runs.iter().filter(waits) {
            let moves = |step: &Step| matches!(step, Step::RaiseEpoch(raise) if raise.site == *site);
            match self.world.journal.load(run.run).await {
                Ok((plan, _)) if plan.steps.iter().any(|planned| moves(&planned.step)) => {
                    let message = format!("{} was begun at {} and has not ended", run.title, run.at);
                    let subject = Subject::new("run", run.run);
                    findings.push(Finding::new(code::RUN_UNFINISHED, subject, message).with("site", site));
                }
                Ok(_) => {}
                Err(why) => unread(&why),
            }
        }
        report.findings.extend(findings);
    }

    /// The guards in front of a failover of this site, each with what it saw: what a decision is made from.
    pub async fn failover_guards(&self, site: &SiteId, control: &Control) -> Result<Vec<Guard>> {
        let operation = format!("ask the guards of {site}");
        let seen = control.run(&operation, self.gather(site, &operation)).await?;
        Ok(seen.guards(self, site, self.site(site, &operation)?))
    }

    /// The plan that moves a site to its other host. Nothing is changed before it is applied.
    ///
    /// Errors: `Refused` names the guards that are in the way, each with what it saw; `Unreachable` the host that a planned move
    /// lacks; `NotFound` what the estate lacks.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::{toolkit::FailoverOptions, world::Control};
    /// let control = Control::silent();
    /// let plan = toolkit.plan_failover(&"shop".parse().unwrap(), &FailoverOptions::default(), &control).await?;
    /// let applied = toolkit.apply(&plan, "ann", &control).await?;
    /// println!("{:?}: {:?}", applied.outcome, applied.report.findings);
    /// # Ok(()) }
    /// ```
    pub async fn plan_failover(
        &self,
        site: &SiteId,
        options: &FailoverOptions,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan the failover of {site}");
        let seen = control.run(&operation, self.gather(site, &operation)).await?;
        let from = options.from.as_ref().unwrap_or(&self.site(site, &operation)?.home);
        let holder = &seen.home.id;
        if from != holder {
            let why = format!("{holder} holds it already, not {from}");
            let hint =
                format!("dr failover back brings it home; if {holder} is lost too, add --from {holder}");
            return Err(Error::new(ErrorKind::Refused, operation, why).hint(hint));
        }
        self.plan_move(site, seen, options, &operation, control).await
    }

    /// The plan that brings a site back to the host that is its home in the estate: mirrors in reverse first, so it needs both
    /// hosts.
    pub async fn plan_failback(&self, site: &SiteId, control: &Control) -> Result<Plan> {
        let operation = format!("plan to bring {site} back");
        let seen = control.run(&operation, self.gather(site, &operation)).await?;
        if self.site(site, &operation)?.home == seen.home.id {
            let why = format!("{} holds it already", seen.home.id);
            return Err(Error::new(ErrorKind::Refused, operation, why).hint("there is nothing to bring back"));
        }
        let options = FailoverOptions { planned: true, ..FailoverOptions::default() };
        self.plan_move(site, seen, &options, &operation, control).await
    }

    /// The plan that brings the visitors to the host whose seat holds the site in this epoch: what follows when a seat asks for
    /// [`Action::Apply`](crate::failover::Action::Apply). The guards are asked by the seat, not here.
    ///
    /// Errors: `Refused` if another host holds the site, or another epoch has begun.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::{Epoch, world::Control};
    /// let (site, me, control) = ("shop".parse().unwrap(), "us".parse().unwrap(), Control::silent());
    /// let plan = toolkit.plan_taken(&site, &me, Epoch(2), &control).await?;
    /// toolkit.apply(&plan, "the seat of us", &control).await?;
    /// # Ok(()) }
    /// ```
    pub async fn plan_taken(
        &self,
        site: &SiteId,
        me: &HostId,
        epoch: Epoch,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan to bring the visitors of {site} to {me}");
        let Taken { at, tenure, to, from, zones } =
            control.run(&operation, self.gather_taken(site, me, &operation)).await?;
        if tenure.as_ref().is_none_or(|tenure| tenure.home != *me || tenure.epoch != epoch) {
            let held = tenure.map_or_else(
                || "nobody holds it".to_owned(),
                |tenure| format!("{} holds it in epoch {}", tenure.home, tenure.epoch),
            );
            let why = format!("{held}, not {me} in epoch {epoch}");
            return Err(Error::new(ErrorKind::Refused, operation, why).hint("ask the coordinator again"));
        }
        // Without a zone the rest of the site can be moved, but no visitor comes: the seat tries again.
        let zones = zones.into_iter().collect::<Result<_>>()?;
        let mut plan = failover_plan(&FailoverFacts {
            at,
            site: site.clone(),
            occasion: Occasion::Taken,
            from,
            to,
            tenure,
            nonce: String::new(),
            probes: probes(self.site(site, &operation)?),
            zones,
            transfers: None,
        })?;
        // The seat asked them, and keeps what they said.
        plan.grounds = Some(Grounds { sites: vec![site.clone()], ..Grounds::default() });
        self.seal(&mut plan);
        Ok(plan)
    }

    /// An error if agents keep the site: only they start and stop what serves it, and a move beside them would end half-way.
    fn refuse_if_agents_keep(&self, id: &SiteId, site: &Site, seen: &Seen, operation: &str) -> Result<()> {
        if site.services.is_none() || self.estate.observers.is_empty() {
            return Ok(());
        }
        let (home, other) = (&seen.home.id, &seen.other.id);
        let why = format!("agents keep {id}: only they start and stop its services");
        Err(Error::new(ErrorKind::Refused, operation, why).hint(format!(
            "if {home} is gone, say dr failover approve {id} on {other} (--stopped, if you know that nothing runs on {home}); \
             while {home} lives, say dr failover hand-over {id} there"
        )))
    }

    async fn plan_move(
        &self,
        id: &SiteId,
        seen: Seen,
        options: &FailoverOptions,
        operation: &str,
        control: &Control,
    ) -> Result<Plan> {
        let site = self.site(id, operation)?;
        self.refuse_if_agents_keep(id, site, &seen, operation)?;
        let moot = |guard: &Guard| is_moot(guard.name, options.planned);
        let guards = seen.guards(self, id, site);
        let failed = guards.iter().filter(|guard| !guard.passed && !moot(guard)).cloned();
        let (overridden, in_the_way): (Vec<Guard>, Vec<Guard>) =
            failed.partition(|guard| options.despite.contains(&guard.name));
        if !in_the_way.is_empty() {
            return Err(refused(operation, &in_the_way));
        }
        if !overridden.is_empty() && options.why.as_ref().is_none_or(|why| why.trim().is_empty()) {
            let names: Vec<&str> = overridden.iter().map(|guard| guard.name.name()).collect();
            let why = format!("overriding {} needs a reason, which is kept", names.join(" and "));
            return Err(Error::new(ErrorKind::Usage, operation, why).hint("say it with --why"));
        }
        let occasion = if options.planned { Occasion::Planned } else { Occasion::Disaster };
        let (from, to) = (seen.home.side(), seen.other.side());
        let reachable = from.reachable && to.reachable;
        let transfers = if options.planned && site.mirror && reachable {
            Some(self.transfers(site, &from, &to, control).await?)
        } else {
            None
        };
        let mut plan = failover_plan(&FailoverFacts {
            at: seen.at,
            site: id.clone(),
            occasion,
            from,
            to,
            tenure: seen.tenure?,
            nonce: nonce(operation)?,
            probes: probes(site),
            // A zone that could not be looked at is in the way above, unless the operator overrode just that.
            zones: seen.zones.into_iter().filter_map(Result::ok).collect(),
            transfers,
        })?;
        for planned in &plan.steps {
            if let Step::ChangeZone(change) = &planned.step {
                // What the zone's provider would refuse in the middle of it is said now.
                self.world.provider.fits(change)?;
            }
        }
        // The title is what the journal keeps for whoever asks afterwards.
        for guard in &overridden {
            let _ = write!(plan.title, ", despite {}", guard.name.name());
        }
        let despite = overridden.iter().map(|guard| guard.name).collect();
        plan.grounds = Some(Grounds { sites: vec![id.clone()], guards, despite, why: options.why.clone() });
        self.seal(&mut plan);
        Ok(plan)
    }
}

/// Whether a guard is told to a person who asks for a move, and keeps nobody from it. A planned move mirrors first, so how old the copy
/// is now does not matter. What resolvers remember cannot be mended now; and what holds back moves without a person is not for theirs.
fn is_moot(name: GuardName, planned: bool) -> bool {
    match name {
        GuardName::MirrorFresh => planned,
        GuardName::Ttl | GuardName::HoldDown | GuardName::Quorum => true,
        _ => false,
    }
}

fn passed(guard: &Guard) -> String {
    format!("{}: {}", guard.name.name(), guard.explanation)
}

fn refused(operation: &str, in_the_way: &[Guard]) -> Error {
    let said: Vec<String> = in_the_way.iter().map(passed).collect();
    let names: Vec<&str> = in_the_way.iter().map(|guard| guard.name.name()).collect();
    // Whoever reads this is in a hurry: several stand one a line.
    let said = match said.as_slice() {
        [only] => only.clone(),
        all => format!("{} guards are in the way\n{}", all.len(), all.join("\n")),
    };
    Error::new(ErrorKind::Refused, operation, said)
        .hint(format!("mend it, or override it by name if you know better: {}", names.join(", ")))
}

/// Sixteen random bytes in hexadecimal.
pub(in crate::toolkit) fn nonce(operation: &str) -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| {
        Error::new(ErrorKind::Internal, operation, format!("the system gives no random numbers: {why}"))
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Whether a host can be reached, and believes what the coordinator says.
fn judge_party(report: &mut Report, site: &SiteId, party: &Party, seen: &Seen) {
    let subject = Subject::new("host", &party.id);
    if party.host.addresses.is_empty() {
        let message = format!("{} has no address", party.id);
        report.push(Finding::new(code::FAILOVER_NO_ADDRESS, subject.clone(), message));
    }
    let standing = match &party.standing {
        Ok(standing) => *standing,
        Err(why) if why.kind() == ErrorKind::Unreachable || why.kind() == ErrorKind::Timeout => {
            report.push(Finding::new(code::HOST_UNREACHABLE, subject, why.to_string()));
            return;
        }
        Err(why) => {
            report.unexamined.push(Unexamined { subject, why: why.to_record() });
            return;
        }
    };
    report.examined.push(subject.clone());
    let tenure = seen.tenure.as_ref().ok().and_then(Option::as_ref);
    if let (Some(standing), Some(tenure)) = (standing, tenure)
        && let Some(why) = at_odds(party, standing, tenure)
    {
        let finding = Finding::new(code::FAILOVER_ROLE_DIFFERS, subject, why);
        report.push(finding.with("site", site).with("epoch", standing.epoch).with("role", standing.role));
    }
}

/// In which way a host's belief differs from what the coordinator says. An older epoch alone is none: a host learns of a new one
/// only when its own part changes.
fn at_odds(party: &Party, standing: Standing, tenure: &Tenure) -> Option<String> {
    let holds = party.id == tenure.home;
    let believes = format!("{} believes that it is {} in epoch {}", party.id, standing.role, standing.epoch);
    if holds != (standing.role == Role::Home) {
        return Some(format!("{believes}, but {} holds the site in epoch {}", tenure.home, tenure.epoch));
    }
    (standing.epoch > tenure.epoch).then(|| {
        format!(
            "{believes}, and the coordinator knows only epoch {}: a move was begun and not ended",
            tenure.epoch
        )
    })
}

/// How the site answers where visitors are sent now.
fn judge_home(report: &mut Report, site: &SiteId, home: &Party) {
    for sight in &home.sights {
        let finding =
            |code, said: String| Finding::new(code, Subject::new("site", site), said).with("host", &home.id);
        match sight {
            Sight::Up { .. } => {}
            Sight::Down { kind, detail } => {
                report.push(finding(code::SITE_DOWN, format!("{}: {} ({detail})", home.id, kind.words())));
            }
            Sight::Degraded { detail } => report.push(finding(code::SITE_DEGRADED, detail.clone())),
            Sight::Unknown { detail } => {
                let why = Error::new(ErrorKind::Io, format!("look at {site} on {}", home.id), detail.clone());
                report
                    .unexamined
                    .push(Unexamined { subject: Subject::new("site", site), why: why.to_record() });
            }
        }
    }
}

/// Whether every name leads to the host that holds the site.
fn judge_names(report: &mut Report, site: &SiteId, seen: &Seen) {
    for set in seen.zones.iter().flatten().flat_map(|zone| &zone.sets) {
        let is_home =
            |text: &String| text.parse().is_ok_and(|ip: IpAddr| seen.home.host.addresses.contains(&ip));
        if set.rtype != RecordType::CNAME && !set.rdata.iter().all(is_home) {
            let message = format!("{set} on the primary, but {} holds the site", seen.home.id);
            report.push(Finding::new(code::FAILOVER_NAMES_ELSEWHERE, Subject::new("site", site), message));
        }
    }
}

fn figures(report: &mut Report, site: &SiteId, seen: &Seen) {
    // Reports of several sites are put together, and their figures added up: each site has its own.
    let mut figure = |name: &str, value: u64| {
        report.figures.insert(format!("{site}.{name}"), value);
    };
    if let Ok(Some(tenure)) = &seen.tenure {
        figure("epoch", tenure.epoch.0);
    }
    if let Ok(Some(last)) = &seen.last_mirror {
        figure("last_mirror_age_seconds", seen.at.since(last.started).as_secs());
    }
    for (name, party) in
        [("home_answers_microseconds", &seen.home), ("standby_answers_microseconds", &seen.other)]
    {
        let took = |sight: &Sight| if let Sight::Up { took_us } = sight { Some(*took_us) } else { None };
        if let Some(slowest) = party.sights.iter().filter_map(took).max() {
            figure(name, slowest);
        }
    }
}
