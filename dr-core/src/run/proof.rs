//! What a run has proved about the zones that it changed: values that nothing but its recorded events can make.
//!
//! A plan that changes records is *applied* once the primaries have taken it. It is *verified* when every name server that the plan names
//! has shown it, and *settled* when, after that, resolvers had the time to forget what was before. [`Verified`] and [`Settled`] have no
//! other constructor than the events of a run, so that nobody can say so before it is so.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::event::{Direction, Event, Line};
use crate::dns::{Agreement, SetChange, ZoneChange, remembered};
use crate::estate::ZoneName;
use crate::plan::{Plan, Step};
use crate::time::Timestamp;

/// Every name server of every zone that a run changed shows the change.
///
/// ```
/// use dr_core::plan::{OnFailure, Plan};
/// use dr_core::run::Verified;
/// let plan = Plan::new("nothing", Default::default(), OnFailure::Stop, vec![]);
/// assert_eq!(Verified::by(&plan, &[]), None, "what changed nothing has nothing to show");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verified {
    zones: Vec<ZoneName>,
    servers: Vec<SocketAddr>,
    at: Timestamp,
}

impl Verified {
    /// The proof, if these events of the plan's run are one: each change was made and not taken back, and afterwards all of the zone's
    /// name servers that the plan names were seen to show it.
    #[must_use]
    pub fn by(plan: &Plan, lines: &[Line]) -> Option<Self> {
        let done = Done::by(lines)?;
        let changes: Vec<(usize, &ZoneChange)> = changes(plan).collect();
        let asked: Vec<(usize, &Agreement)> =
            agreements(plan).filter(|(_, agreement)| !agreement.resolvers).collect();
        let (mut zones, mut servers, mut at) = (BTreeSet::new(), BTreeSet::new(), None);
        for (step, change) in &changes {
            done.at(*step)?;
            let after = || asked.iter().filter(|(later, of)| later > step && of.zone == change.zone);
            for set in &change.sets {
                let shown = |(later, of): &&(usize, &Agreement)| shows(of, set) && done.at(*later).is_some();
                if !after().any(|one| shown(&one)) {
                    return None;
                }
            }
            // A server that the plan waits for in vain is one too many.
            for (later, agreement) in after() {
                at = at.max(Some(done.at(*later)?));
                servers.extend(agreement.servers.iter().copied());
            }
            zones.insert(change.zone.clone());
        }
        Some(Self { zones: zones.into_iter().collect(), servers: servers.into_iter().collect(), at: at? })
    }

    /// The zones.
    #[must_use]
    pub fn zones(&self) -> &[ZoneName] {
        &self.zones
    }

    /// The name servers, all of them.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Since when.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// Besides, so much time has passed that no resolver that keeps to TTLs still says what was before, and those that the plan names were
/// asked and say what is now.
///
/// ```
/// use dr_core::plan::{OnFailure, Plan};
/// use dr_core::run::Settled;
/// let plan = Plan::new("nothing", Default::default(), OnFailure::Stop, vec![]);
/// assert_eq!(Settled::by(&plan, &[]), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Settled {
    resolvers: Vec<SocketAddr>,
    at: Timestamp,
}

impl Settled {
    /// The proof, if these events of the plan's run are one.
    #[must_use]
    pub fn by(plan: &Plan, lines: &[Line]) -> Option<Self> {
        Verified::by(plan, lines)?;
        let done = Done::by(lines)?;
        let verified = agreements(plan).filter(|(_, of)| !of.resolvers).map(|(step, _)| step).max()?;
        let needed = remembered(changes(plan).flat_map(|(_, change)| &change.sets), None);
        let mut at = None;
        for (number, planned) in plan.steps.iter().enumerate().skip(verified + 1) {
            if let Step::Pause(pause) = &planned.step
                && pause.span.as_secs() >= u64::from(needed)
            {
                at = done.at(number);
            }
        }
        let mut at = at?;
        let mut resolvers = BTreeSet::new();
        for (step, asked) in agreements(plan).filter(|(_, of)| of.resolvers) {
            at = at.max(done.at(step)?);
            resolvers.extend(asked.servers.iter().copied());
        }
        Some(Self { resolvers: resolvers.into_iter().collect(), at })
    }

    /// The resolvers that were asked.
    #[must_use]
    pub fn resolvers(&self) -> &[SocketAddr] {
        &self.resolvers
    }

    /// Since when.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// When each step was done.
struct Done<'a>(Vec<(usize, &'a Line)>);

impl<'a> Done<'a> {
    /// None for a run that goes back, or has gone back.
    fn by(lines: &'a [Line]) -> Option<Self> {
        let back = |line: &&Line| {
            matches!(
                &line.event,
                Event::UndoBegun { .. } | Event::StepBegun { direction: Direction::Back, .. }
            )
        };
        if lines.iter().any(|line| back(&line)) {
            return None;
        }
        let done = lines.iter().filter_map(|line| match line.event {
            Event::StepDone { step, direction: Direction::Forward, .. } => Some((step, line)),
            _ => None,
        });
        Some(Self(done.collect()))
    }

    fn at(&self, step: usize) -> Option<Timestamp> {
        self.0.iter().find(|(done, _)| *done == step).map(|(_, line)| line.at)
    }
}

fn changes(plan: &Plan) -> impl Iterator<Item = (usize, &ZoneChange)> {
    plan.steps.iter().enumerate().flat_map(|(number, planned)| {
        let of: &[ZoneChange] = match &planned.step {
            Step::ChangeZone(change) => std::slice::from_ref(change),
            Step::ChangeZones(changes) => &changes.zones,
            _ => &[],
        };
        of.iter().map(move |change| (number, change))
    })
}

fn agreements(plan: &Plan) -> impl Iterator<Item = (usize, &Agreement)> {
    plan.steps.iter().enumerate().flat_map(|(number, planned)| {
        let of: &[Agreement] = match &planned.step {
            Step::AwaitAgreement(agreement) => std::slice::from_ref(agreement),
            Step::AwaitAgreements(all) => &all.zones,
            _ => &[],
        };
        of.iter().map(move |agreement| (number, agreement))
    })
}

fn shows(agreement: &Agreement, set: &SetChange) -> bool {
    !agreement.servers.is_empty() && agreement.expect.iter().any(|(key, to)| *key == set.key && *to == set.to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{SetChange, ZoneChange};
    use crate::estate::{RecordSet, RecordType};
    use crate::plan::{OnFailure, Pause, Planned};
    use crate::run::{RunId, chain};
    use crate::time::Period;

    fn www(address: &str) -> RecordSet {
        RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, [address])
    }

    /// The primary takes it, two servers of three groups show it, the TTL passes, a resolver shows it.
    fn plan(pause_s: u64) -> Plan {
        let (old, new) = (www("192.0.2.1"), www("198.51.100.1"));
        let zone: ZoneName = "example.org".parse().unwrap();
        let sets = vec![SetChange { key: old.key(), from: Some(old), to: Some(new.clone()) }];
        let primary = "192.0.2.53:53".parse().unwrap();
        let change =
            ZoneChange { zone: zone.clone(), primary, key: None, through: None, require: vec![], sets };
        let expect = vec![(new.key(), Some(new))];
        let agree = |last: u8, resolvers| {
            Step::AwaitAgreement(Agreement {
                zone: zone.clone(),
                servers: vec![SocketAddr::from(([192, 0, 2, last], 53))],
                expect: expect.clone(),
                within: Period::from_secs(30),
                resolvers,
            })
        };
        let pause = Pause { span: Period::from_secs(pause_s), why: "TTL".to_owned() };
        let steps =
            [Step::ChangeZone(change), agree(1, false), agree(2, false), Step::Pause(pause), agree(3, true)];
        let steps = steps.into_iter().map(|step| Planned::wanted("step", step)).collect();
        Plan::new("change", Timestamp::default(), OnFailure::Stop, steps)
    }

    fn lines(events: Vec<Event>) -> Vec<Line> {
        let mut lines: Vec<Line> = vec![];
        for (number, event) in events.into_iter().enumerate() {
            let at = Timestamp::from_micros(i64::try_from(number).unwrap());
            let last = lines.last().map(|line| (line.number, line.digest));
            let line = chain::next_line(last, RunId::from_bytes([1; 8]), at, event);
            lines.push(line);
        }
        lines
    }

    fn done(steps: &[usize]) -> Vec<Event> {
        let done =
            |step: &usize| Event::StepDone { step: *step, direction: Direction::Forward, found: false };
        steps.iter().map(done).collect()
    }

    #[test]
    fn nothing_is_verified_before_every_server_showed_it() {
        let plan = plan(60);
        let verified = |steps: &[usize]| Verified::by(&plan, &lines(done(steps)));
        for missing in [&[] as &[usize], &[0], &[0, 1], &[0, 2], &[1, 2]] {
            assert_eq!(verified(missing), None, "{missing:?}");
        }
        let verified = verified(&[0, 1, 2]).unwrap();
        assert_eq!((verified.servers().len(), verified.at()), (2, Timestamp::from_micros(2)));
        assert_eq!(verified.zones(), ["example.org".parse().unwrap()]);
    }

    #[test]
    fn what_is_taken_back_proves_nothing() {
        let mut events = done(&[0, 1, 2, 3, 4]);
        let whole = plan(60);
        assert!(Verified::by(&whole, &lines(events.clone())).is_some());
        events.push(Event::UndoBegun { why: "ann".to_owned() });
        assert_eq!(Verified::by(&whole, &lines(events.clone())), None);
        assert_eq!(Settled::by(&whole, &lines(events)), None);
        // A plan that asks for something else than it wrote.
        let mut other = plan(60);
        let Step::AwaitAgreement(agreement) = &mut other.steps[1].step else { panic!() };
        agreement.expect = vec![(www("192.0.2.1").key(), Some(www("192.0.2.1")))];
        let Step::AwaitAgreement(agreement) = &mut other.steps[2].step else { panic!() };
        agreement.expect = vec![];
        assert_eq!(Verified::by(&other, &lines(done(&[0, 1, 2, 3, 4]))), None);
    }

    #[test]
    fn nothing_is_settled_before_the_old_ttl_has_passed_and_resolvers_agree() {
        let settled = |pause_s, steps: &[usize]| Settled::by(&plan(pause_s), &lines(done(steps)));
        assert_eq!(settled(60, &[0, 1, 2]), None);
        assert_eq!(settled(60, &[0, 1, 2, 3]), None, "the resolver was not asked");
        assert_eq!(settled(60, &[0, 1, 2, 4]), None, "no time has passed");
        assert_eq!(settled(59, &[0, 1, 2, 3, 4]), None, "a TTL of 60 s");
        let settled = settled(60, &[0, 1, 2, 3, 4]).unwrap();
        assert_eq!((settled.resolvers().len(), settled.at()), (1, Timestamp::from_micros(4)));
    }
}
