//! Many sites at once: everything that a host holds, or a group. One decision and one plan; each site is a run of its own, so that what is
//! wrong with one holds up no other.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::gather::Seen;
use super::{FailoverOptions, Toolkit};
use crate::dns::{Agreement, Agreements};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{GroupId, HostId, SiteId};
use crate::plan::{Grounds, Moves, OnFailure, Pause, Plan, Planned, Step};
use crate::report::{Finding, Subject, code};
use crate::run::{Event, Outcome, RunId, StepState};
use crate::time::Period;
use crate::toolkit::apply::{Part, carry_out_part};
use crate::toolkit::mirror::Hands;
use crate::world::{Control, World};

/// So many sites are looked at, at a time: most of that is waiting for a host that is gone.
const LOOKS_AT_ONCE: usize = 32;
/// So many are moved at a time where no group says otherwise: an sshd as it comes serves ten sessions of a connection.
const MOVES_AT_ONCE: u32 = 8;
/// How long the name servers of all zones may take to agree.
const AGREE_WITHIN: Period = Period::from_secs(300);
/// So many are named.
const NAMED: usize = 5;

/// Which sites are moved together.
///
/// ```
/// use dr_core::toolkit::Together;
/// assert_eq!(Together::Host("uk".parse().unwrap()).to_string(), "everything on uk");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Together {
    /// All that this host holds.
    Host(HostId),
    /// All of a group of the estate.
    Group(GroupId),
}

impl std::fmt::Display for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "everything on {host}"),
            Self::Group(group) => write!(f, "the group {group}"),
        }
    }
}

/// A site that could be moved, or why it cannot.
type Looked = (SiteId, Result<Option<Plan>>);

impl Toolkit {
    /// One plan that moves many sites to their other hosts: those of a group, or all that a host holds. Groups say in which order, and
    /// how many at a time. What each site needs is as for [`Toolkit::plan_failover`]; sites in whose way a guard is are left out, named
    /// as findings, and counted in the plan's title. Sites that have moved already are passed over, so it can be asked for again.
    ///
    /// The waits for name servers and resolvers come once for all of them, at the end. `per_second` paces the beginnings, for
    /// primaries and providers that bear no more.
    ///
    /// Errors: `NotFound` for a host or a group that the estate does not have, `Refused` if nothing of it can be moved, with the reasons.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::{Estate, ErrorKind};
    /// use dr_core::{toolkit::{FailoverOptions, Together, Toolkit}, world::{Control, sim::SimWorld}};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Estate::default());
    /// let (uk, options) = (Together::Host("uk".parse().unwrap()), FailoverOptions::default());
    /// let error = toolkit.plan_failovers(&uk, &options, None, &Control::silent()).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// # });
    /// ```
    pub async fn plan_failovers(
        &self,
        which: &Together,
        options: &FailoverOptions,
        per_second: Option<u32>,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan to move {which}");
        let waves = self.waves(which, &operation)?;
        let at = self.world.clock.read().wall;
        let sites: Vec<SiteId> = waves.iter().flat_map(|(sites, _)| sites.clone()).collect();
        let looks = stream::iter(&sites).map(|site| self.look_at(site, which, options, control));
        let looked: Vec<Looked> = looks.buffered(LOOKS_AT_ONCE).collect().await;
        let (mut plans, mut left_out) = (BTreeMap::new(), vec![]);
        for (site, planned) in looked {
            match planned {
                Ok(Some(plan)) => drop(plans.insert(site, plan)),
                Ok(None) => {}
                Err(why) if why.kind() == ErrorKind::Cancelled => return Err(why),
                Err(why) => left_out.push((site, why)),
            }
        }
        for (site, why) in &left_out {
            let message = format!("{site} is left out: {}", why.message().replace('\n', "; "));
            let finding = Finding::new(code::FAILOVER_LEFT_OUT, Subject::new("site", site), message);
            control.emit(&Event::Found(finding));
        }
        if plans.is_empty() {
            let why = match left_out.first() {
                None => "nothing of it is there to be moved".to_owned(),
                Some((site, why)) => {
                    format!(
                        "none of {} can be moved; {site}: {}",
                        left_out.len(),
                        why.message().replace('\n', "; ")
                    )
                }
            };
            let refused = Error::new(ErrorKind::Refused, operation, why);
            return Err(refused.hint("dr failover status says what is wrong with each site"));
        }
        Ok(composed(which, at, waves, plans, &left_out, options, per_second))
    }

    /// The sites, wave after wave, and how many of each are moved at a time.
    fn waves(&self, which: &Together, operation: &str) -> Result<Vec<(Vec<SiteId>, u32)>> {
        let missing =
            |what: String| Error::new(ErrorKind::NotFound, operation, format!("the estate has no {what}"));
        let mut waves: Vec<(Vec<SiteId>, u32)> = vec![];
        let mut add = |number: usize, site: &SiteId, at_once: u32| {
            if waves.iter().any(|(sites, _)| sites.contains(site)) {
                return;
            }
            waves.resize_with(waves.len().max(number + 1), Default::default);
            if let Some((sites, most)) = waves.get_mut(number) {
                sites.push(site.clone());
                *most = if *most == 0 { at_once } else { at_once.min(*most) };
            }
        };
        match which {
            Together::Group(id) => {
                let group = self.estate.groups.get(id).ok_or_else(|| missing(format!("group {id}")))?;
                for (number, wave) in group.waves.iter().enumerate() {
                    wave.iter().for_each(|site| add(number, site, group.at_once));
                }
            }
            Together::Host(host) => {
                if !self.estate.hosts.contains_key(host) {
                    return Err(missing(format!("host {host}")));
                }
                let is_there = |id: &SiteId| {
                    self.estate.sites.get(id).is_some_and(|site| site.home == *host || site.standby == *host)
                };
                for group in self.estate.groups.values() {
                    for (number, wave) in group.waves.iter().enumerate() {
                        wave.iter().filter(|id| is_there(id)).for_each(|id| add(number, id, group.at_once));
                    }
                }
                self.estate.sites.keys().filter(|id| is_there(id)).for_each(|id| add(0, id, MOVES_AT_ONCE));
            }
        }
        waves.retain(|(sites, _)| !sites.is_empty());
        Ok(waves)
    }

    /// The plan of one site; none if somebody else than the host that is left holds it.
    async fn look_at(
        &self,
        id: &SiteId,
        which: &Together,
        options: &FailoverOptions,
        control: &Control,
    ) -> Looked {
        let operation = format!("plan the failover of {id}");
        let planned = async {
            let seen: Seen = control.run(&operation, self.gather(id, &operation)).await?;
            let home = &self.site(id, &operation)?.home;
            let from = match which {
                Together::Host(host) => host,
                Together::Group(_) => options.from.as_ref().unwrap_or(home),
            };
            if seen.home.id != *from {
                return Ok(None);
            }
            self.plan_move(id, seen, options, &operation, control).await.map(Some)
        };
        (id.clone(), planned.await)
    }
}

/// One plan of many: waves of moves, and after them the waits for all.
fn composed(
    which: &Together,
    at: crate::Timestamp,
    waves: Vec<(Vec<SiteId>, u32)>,
    mut plans: BTreeMap<SiteId, Plan>,
    left_out: &[(SiteId, Error)],
    options: &FailoverOptions,
    per_second: Option<u32>,
) -> Plan {
    let mut title = format!("fail over {}: {} sites", which, plans.len());
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|(site, _)| site.as_str()).collect();
        title += &format!(", without {}", some_of(&names));
    }
    let grounds = Grounds {
        sites: plans.keys().cloned().collect(),
        guards: vec![],
        despite: plans
            .values()
            .flat_map(|plan| plan.grounds.iter().flat_map(|grounds| grounds.despite.clone()))
            .collect(),
        why: options.why.clone(),
    };
    let (mut steps, mut agreements, mut pause) = (vec![], vec![], None);
    for (sites, at_once) in waves {
        let mut wave = vec![];
        for mut plan in sites.iter().filter_map(|site| plans.remove(site)) {
            let (zones, span) = without_waits(&mut plan);
            agreements.extend(zones);
            pause = pause.max(span);
            wave.push(plan);
        }
        if wave.is_empty() {
            continue;
        }
        let said = format!("move {} sites, {at_once} at a time", wave.len());
        let moves = Moves { of: title.clone(), plans: wave, at_once, per_second, back: false };
        // A site that cannot be moved keeps no other from being moved.
        steps.push(Planned::wanted(said, Step::Moves(moves)));
    }
    if !agreements.is_empty() {
        let title = format!("wait until the name servers of {} zones agree", agreements.len());
        let all = Agreements { zones: agreements, within: AGREE_WITHIN };
        steps.push(Planned::wanted(title, Step::AwaitAgreements(all)));
    }
    if let Some(span) = pause {
        let why = "resolvers may keep the old addresses so long".to_owned();
        steps.push(Planned::wanted(format!("wait {span}: {why}"), Step::Pause(Pause { span, why })));
    }
    Plan { grounds: Some(grounds), ..Plan::new(title, at, OnFailure::Stop, steps) }
}

/// Takes the waits out that follow the change of the records: the name servers that are to agree, and how long resolvers remember. They
/// would hold up the sites that are still to be moved.
fn without_waits(plan: &mut Plan) -> (Vec<Agreement>, Option<Period>) {
    let (mut agreements, mut pause) = (vec![], None);
    let last = plan.steps.iter().rposition(|planned| matches!(planned.step, Step::ChangeZone(_)));
    let Some(last) = last else { return (agreements, pause) };
    for planned in plan.steps.drain(last + 1..) {
        match planned.step {
            Step::AwaitAgreement(agreement) => agreements.push(agreement),
            Step::Pause(wait) => pause = pause.max(Some(wait.span)),
            _ => {}
        }
    }
    (agreements, pause)
}

/// A plan's run: it is the same however often the step is tried.
fn run_of(plan: &Plan) -> RunId {
    let digest = plan.digest();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    RunId::from_bytes(bytes)
}

/// How the runs stand that there are.
async fn outcomes(world: &World) -> Result<BTreeMap<RunId, Option<Outcome>>> {
    Ok(world.journal.runs().await?.into_iter().map(|run| (run.run, run.outcome)).collect())
}

/// Where a plan's run stands, seen from a step that does it or takes it back.
enum Stands {
    Done,
    Untouched,
    Open,
    Failed,
}

fn how(outcome: Option<Option<Outcome>>, back: bool) -> Stands {
    match (outcome, back) {
        (None, false) => Stands::Untouched,
        (Some(Some(Outcome::New | Outcome::NewDegraded)), false)
        | (None | Some(Some(Outcome::Old)), true) => Stands::Done,
        (Some(Some(Outcome::Old)), false) => Stands::Failed,
        (Some(Some(Outcome::New | Outcome::NewDegraded)), true) => Stands::Untouched,
        (Some(_), _) => Stands::Open,
    }
}

pub(in crate::toolkit) async fn observe_moves(world: &World, step: &Moves) -> Result<StepState> {
    let known = outcomes(world).await?;
    let (mut done, mut begun, mut open, mut failed) = (0, 0, 0, vec![]);
    for plan in &step.plans {
        match how(known.get(&run_of(plan)).copied(), step.back) {
            Stands::Done => done += 1,
            Stands::Untouched => open += 1,
            Stands::Open => (open, begun) = (open + 1, begun + 1),
            Stands::Failed => failed.push(plan.title.as_str()),
        }
    }
    Ok(match open {
        0 if failed.is_empty() => StepState::To,
        0 => StepState::Other(format!(
            "{} of {} were taken back: {}",
            failed.len(),
            step.plans.len(),
            some_of(&failed)
        )),
        _ if done == 0 && begun == 0 && failed.is_empty() => StepState::From,
        _ => StepState::Partial,
    })
}

/// Carries out every plan that has not ended, or goes on with it.
pub(in crate::toolkit) fn act_moves<'a>(
    world: &'a World,
    hands: &'a Hands,
    step: &'a Moves,
    control: &'a Control,
) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>> {
    Box::pin(async move {
        let known = outcomes(world).await?;
        let waits = |plan: &&Plan| {
            matches!(how(known.get(&run_of(plan)).copied(), step.back), Stands::Untouched | Stands::Open)
        };
        let open: Vec<&Plan> = step.plans.iter().filter(waits).collect();
        let gap = step.per_second.filter(|rate| *rate > 0).map(|rate| Duration::from_secs(1) / rate);
        let paced = stream::iter(open.into_iter().enumerate()).then(|(number, plan)| async move {
            if let Some(gap) = gap.filter(|_| number > 0) {
                world.clock.sleep(gap).await;
            }
            plan
        });
        let part = |plan: &'a Plan| {
            let is_begun = known.contains_key(&run_of(plan));
            let (run, by) = (run_of(plan), format!("part of: {}", step.of));
            async move {
                control.check("carry out the plans")?;
                let part = Part { run, plan, by: &by, is_begun, back: step.back };
                carry_out_part(world, hands, part, control).await
            }
        };
        let at_once = usize::try_from(step.at_once.max(1)).unwrap_or(1);
        let mut carried = std::pin::pin!(paced.map(part).buffer_unordered(at_once));
        let (mut stopped, mut first) = (0, None);
        while let Some(outcome) = carried.next().await {
            match outcome {
                Ok(Outcome::Stopped) => stopped += 1,
                Ok(_) => {}
                // Another process may be at one of them; the journal may be full. The others go on as far as they can.
                Err(why) => first = first.or(Some(why)),
            }
        }
        match first {
            Some(why) => Err(why),
            None if stopped > 0 => Err(Error::new(
                ErrorKind::Conflict,
                "carry out the plans",
                format!("{stopped} of {} have stopped", step.plans.len()),
            )
            .hint("dr log says where each stands; resume goes on with them")),
            None => Ok(()),
        }
    })
}

fn some_of(names: &[&str]) -> String {
    let mut said = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        said += &format!(" and {} more", names.len() - NAMED);
    }
    said
}

#[cfg(test)]
mod tests;
