//! What the votes and the guards amount to, seen from the standby, and what a person's word changes about that.

use std::collections::BTreeSet;

use super::charter::{Mandate, after};
use super::event::Action;
use super::state::{Looked, Outlook, Seat};
use super::step::Turn;
use crate::estate::Mode;
use crate::failover::decide::{Decision, Picture, decide};
use crate::failover::guards::{self, GuardName};
use crate::failover::tenure::Role;
use crate::failover::votes::Tally;

/// Guards without which nothing is known: one that did not answer is no guard that passed.
const NEEDED: [GuardName; 4] =
    [GuardName::StandbyHealthy, GuardName::MirrorFresh, GuardName::DnsChangeable, GuardName::Tenure];

impl Seat {
    /// Whether this host could take the site over: it stands by, and nothing of its own is left to be put aside.
    pub(super) fn stands_by(&self, turn: &Turn<'_>) -> bool {
        self.lease().is_some_and(|lease| lease.home == turn.charter.other)
            && self.kept.standing.role == Role::Standby
            && self.kept.reconciled
            && self.kept.raising.is_none()
            && !self.doubt
    }

    pub(super) fn decide(&mut self, turn: &mut Turn<'_>) {
        if !self.stands_by(turn) {
            (self.outlook, self.approval, self.drill) = (Outlook::Quiet, None, None);
            return;
        }
        let panel = turn.charter.mandate.panel();
        let tally = Tally::toward(panel, turn.charter.beneficiary(), &self.votes, turn.at);
        if self.kept.maintenance.is_some() || !tally.is_down() {
            let suspect = self.kept.maintenance.is_none() && !tally.down.is_empty();
            self.outlook = if suspect { Outlook::Suspect } else { Outlook::Quiet };
        } else {
            self.weigh(turn);
        }
        if self.kept.raising.is_none() {
            self.follow_approval(&tally, turn);
        }
        self.rehearse(turn);
        if self.wants_guards() && self.look_due(turn) {
            turn.act(Action::LookAtGuards);
            self.looked_at = Some(turn.at);
        }
    }

    fn look_due(&self, turn: &Turn<'_>) -> bool {
        let rests = |looked_at| turn.at < after(looked_at, turn.charter.terms.answer());
        let renewed = |looked: &Looked| turn.at < after(looked.asked, turn.charter.terms.renew());
        !self.fresh_guards(turn).is_some_and(renewed) && !self.looked_at.is_some_and(rests)
    }

    /// Whether anybody is waiting for the guards. They are asked on the first suspicion: they take time to look.
    pub(super) fn wants_guards(&self) -> bool {
        self.outlook != Outlook::Quiet || self.approval.is_some() || self.drill.is_some()
    }

    /// What the guards said, if it is not older than a home's sign of life may be, nor than what it is wanted for. Looking at a home
    /// that no longer answers takes as long as its timeouts: what is asked anew must have the time to come.
    fn fresh_guards(&self, turn: &Turn<'_>) -> Option<&Looked> {
        let wanted =
            [self.approval.as_ref().map(|approval| approval.at), self.drill.as_ref().map(|drill| drill.at)];
        let since = wanted.into_iter().flatten().max().unwrap_or_default();
        self.guards.as_ref().filter(|looked| {
            looked.asked >= since && turn.at < after(looked.asked, turn.charter.terms.hold())
        })
    }

    /// The site is down, as far as the observers can tell.
    fn weigh(&mut self, turn: &mut Turn<'_>) {
        let since = match self.outlook {
            Outlook::Confirmed { since } | Outlook::Blocked { since, .. } | Outlook::Awaiting { since } => {
                since
            }
            Outlook::Quiet | Outlook::Suspect => turn.at,
        };
        let Some(looked) = self.fresh_guards(turn).filter(|looked| missing(looked).is_none()) else {
            // Who was blocked or asked already stays so until the guards say otherwise.
            if matches!(self.outlook, Outlook::Quiet | Outlook::Suspect) {
                self.outlook = Outlook::Confirmed { since };
            }
            return;
        };
        let picture = self.picture(looked, turn);
        self.outlook = match decide(&picture, turn.at) {
            Decision::Stay { .. } => Outlook::Suspect,
            Decision::Ask { .. } => Outlook::Awaiting { since },
            Decision::Blocked { by } => {
                Outlook::Blocked { since, by: by.into_iter().map(|guard| guard.name).collect() }
            }
            Decision::Move { .. } => {
                self.begin(true, false, turn);
                Outlook::Quiet
            }
        };
    }

    fn picture(&self, looked: &Looked, turn: &Turn<'_>) -> Picture {
        let charter = turn.charter;
        let mode = match charter.mandate {
            Mandate::Auto(_) => Mode::Auto,
            Mandate::Ask(_) => Mode::Ask,
        };
        Picture {
            panel: charter.mandate.panel().clone(),
            beneficiary: charter.beneficiary().map(str::to_owned),
            votes: self.votes.clone(),
            guards: looked.guards.clone(),
            mode,
            last_switch: self.last_switch,
            acknowledged: self.lease().is_some_and(|lease| !lease.unacknowledged),
            thresholds: charter.thresholds.clone(),
        }
    }

    /// A person said to move it: past all guards, or past those that are overridden by name.
    fn follow_approval(&mut self, tally: &Tally, turn: &mut Turn<'_>) {
        let Some(approval) = self.approval.clone() else { return };
        let Some(looked) = self.fresh_guards(turn) else {
            if turn.at >= after(approval.at, turn.charter.terms.take()) {
                self.approval = None;
                turn.refuse("the guards gave no answer; look at them, and say so again");
            }
            return;
        };
        let mut failed: BTreeSet<GuardName> = missing(looked).into_iter().collect();
        let quorum = guards::quorum(tally);
        let said = looked.guards.iter().chain([&quorum]);
        failed.extend(said.filter(|guard| !guard.passed).map(|guard| guard.name));
        let in_the_way: Vec<&str> = failed.difference(&approval.despite).map(|name| name.name()).collect();
        if in_the_way.is_empty() {
            return self.begin(false, approval.stopped, turn);
        }
        self.approval = None;
        turn.refuse(format!("in the way: {}; mend it, or override it by name", in_the_way.join(", ")));
    }

    fn rehearse(&mut self, turn: &mut Turn<'_>) {
        let ready = self.fresh_guards(turn).is_some();
        let next = self.lease().map(|lease| lease.epoch.next()).unwrap_or_default();
        if let Some(drill) = self.drill.as_mut().filter(|drill| ready && !drill.rehearsing) {
            drill.rehearsing = true;
            turn.act(Action::Rehearse { epoch: next });
        }
    }
}

fn missing(looked: &Looked) -> Option<GuardName> {
    NEEDED.into_iter().find(|name| !looked.guards.iter().any(|guard| guard.name == *name))
}
