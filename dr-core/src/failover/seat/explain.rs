//! Where a seat stands, in words: what is so, why, and what comes next.

use super::charter::Charter;
use super::state::{Frozen, Outlook, Phase, Seat, Stage};
use crate::failover::guards::GuardName;
use crate::failover::votes::Tally;
use crate::time::{Period, Tick};

impl Seat {
    /// What is so, why, and what comes next: one sentence or two, for people.
    ///
    /// ```
    /// use dr_core::Tick;
    /// # use dr_core::failover::{Charter, Kept, Mandate, Mark, Observer, Panel, Seat, Terms};
    /// # let observer = Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() };
    /// # let charter = Charter {
    /// #     site: "shop".parse().unwrap(),
    /// #     me: "uk".parse().unwrap(),
    /// #     other: "us".parse().unwrap(),
    /// #     first_home: "uk".parse().unwrap(),
    /// #     mandate: Mandate::Ask(Panel::new(vec![observer]).unwrap()),
    /// #     terms: Terms::default(),
    /// #     thresholds: Default::default(),
    /// # };
    /// let seat = Seat::start(Kept::default(), Mark(7), Tick::default());
    /// assert_eq!(seat.explain(&charter, Tick::default()), "who holds shop is not known yet: the coordinator has not answered");
    /// ```
    #[must_use]
    pub fn explain(&self, charter: &Charter, now: Tick) -> String {
        let Charter { site, me, other, .. } = charter;
        let tally = || self.tally(charter, now);
        match self.phase(charter) {
            Phase::Frozen { why } => frozen(&why, charter),
            Phase::Executing { stage } => self.executing(stage, charter, now),
            Phase::Reconciling => format!(
                "{site} was moved to {other}; what {me} alone has is being put aside, and no mirror lands here before"
            ),
            Phase::Maintenance => {
                let by = self.kept.maintenance.as_ref().map(|work| work.by.as_str()).unwrap_or_default();
                format!("held by {by}: nothing is moved without a person until it is released")
            }
            Phase::Suspect => format!("{other} may be down: {}", tally()),
            Phase::Confirmed => format!("{other} is down: {}; the guards are being asked", tally()),
            Phase::Blocked { by } => {
                let names: Vec<&str> = by.iter().map(|name: &GuardName| name.name()).collect();
                format!(
                    "{other} is down, and {site} is not moved because of {}: {}; mend it, or override it by name",
                    names.join(", "),
                    tally()
                )
            }
            Phase::AwaitingApproval => {
                format!("{other} is down: {}; a person must say that {site} moves to {me}", tally())
            }
            Phase::Switched => {
                format!(
                    "{me} holds {site} since epoch {}; {other} has not come back yet",
                    self.kept.standing.epoch
                )
            }
            Phase::Drill => "a rehearsal is under way: nothing is moved".to_owned(),
            Phase::Stable => self.stable(charter, now),
        }
    }

    fn tally(&self, charter: &Charter, now: Tick) -> String {
        Tally::toward(charter.mandate.panel(), charter.beneficiary(), &self.votes, now).explain()
    }

    /// What was decided upon, as far as it still holds.
    fn why_down(&self, charter: &Charter, now: Tick) -> String {
        let passed = self.guards.iter().flat_map(|looked| &looked.guards).filter(|guard| guard.passed);
        let names: Vec<&str> = passed.map(|guard| guard.name.name()).collect();
        format!(
            "{} is down ({}) and nothing is in the way ({})",
            charter.other,
            self.tally(charter, now),
            names.join(", ")
        )
    }

    fn stable(&self, charter: &Charter, now: Tick) -> String {
        let Charter { site, me, other, .. } = charter;
        match self.lease() {
            None if self.watched.is_none() => {
                format!("who holds {site} is not known yet: the coordinator has not answered")
            }
            None => format!("nobody has held {site} yet"),
            Some(lease) if lease.home != *me => format!("{other} holds {site} in epoch {}", lease.epoch),
            Some(lease) if self.holds(charter, now).is_none() => format!(
                "{me} holds {site} in epoch {} and does not serve it: no sign of life of it was acknowledged lately",
                lease.epoch
            ),
            Some(lease) => format!("{me} holds {site} in epoch {}", lease.epoch),
        }
    }

    fn executing(&self, stage: Stage, charter: &Charter, now: Tick) -> String {
        let Charter { site, me, other, .. } = charter;
        let epoch = self.kept.standing.epoch;
        match stage {
            Stage::Raising => {
                let asked = self.kept.raising.as_ref().is_some_and(|raising| !raising.automatic);
                let why = if asked { "a person said so".to_owned() } else { self.why_down(charter, now) };
                format!("moving {site} to {me}, because {why}: the coordinator is asked for epoch {epoch}")
            }
            Stage::Settling => {
                let left =
                    self.settle_at.map(|at| Period::from_secs(at.since(now).as_secs())).unwrap_or_default();
                format!(
                    "moving {site} to {me}: in {left} {other} has stopped by its own clock, or earlier if it says so"
                )
            }
            Stage::Applying => {
                format!("moving {site} to {me}: epoch {epoch} is its own, the plan is being carried out")
            }
            Stage::LastMirror => {
                format!("handing {site} to {other}: nothing is written here, the last mirror runs")
            }
            Stage::HandingOver => {
                format!("handing {site} to {other}: the coordinator is asked for epoch {}", epoch.next())
            }
        }
    }
}

fn frozen(why: &Frozen, charter: &Charter) -> String {
    let Charter { site, me, .. } = charter;
    let said = match why {
        Frozen::Regressed => {
            "the coordinator went back in time; find out why, then set an epoch above all seen".to_owned()
        }
        Frozen::TwoOwners => {
            "one epoch has two owners; find out who serves, then set an epoch above all seen".to_owned()
        }
        Frozen::Twin => format!("another process writes as {me}; stop one of the two"),
        Frozen::Ordered { by } => format!("ordered by {by}"),
    };
    format!("{site} is frozen on {me}: {said}; nothing is done before it is thawed")
}

impl Outlook {
    /// Since when enough observers see the site down.
    #[must_use]
    pub fn down_since(&self) -> Option<Tick> {
        match self {
            Self::Quiet | Self::Suspect => None,
            Self::Confirmed { since } | Self::Blocked { since, .. } | Self::Awaiting { since } => {
                Some(*since)
            }
        }
    }
}
