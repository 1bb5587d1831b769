//! Holding a site, and taking it: the part that must never be wrong.
//!
//! The holder counts from the **sending** of its last acknowledged write: what others saw they saw later. Who waits counts from
//! when it **saw** a write first: that was written before. So, by whatever clocks within the terms, the one has stopped before
//! the other begins. A write whose answer was lost gives nothing to anybody; it is read back, and the next one counts.

use super::charter::after;
use super::event::{Action, Held, Swap};
use super::lease::Lease;
use super::state::{Asked, Frozen, Raising, Seat, Seen, Watched};
use super::step::Turn;
use crate::estate::Epoch;
use crate::failover::tenure::{Role, Standing};

impl Seat {
    /// A question that was not answered in time: a write may still be done.
    pub(super) fn give_up_waiting(&mut self, turn: &Turn<'_>) {
        let Some(asked) = &self.asked else { return };
        if turn.at < after(asked.sent, turn.charter.terms.answer()) {
            return;
        }
        self.doubt |= asked.to.is_some();
        self.asked = None;
        self.ask_at = turn.at;
    }

    pub(super) fn read(&mut self, number: u64, found: Option<Held>, turn: &mut Turn<'_>) {
        if self.asked.as_ref().is_none_or(|asked| asked.turn != number || asked.to.is_some()) {
            return;
        }
        self.asked = None;
        let Some(Held(found)) = found else {
            self.ask_at = after(turn.at, turn.charter.terms.answer());
            return;
        };
        // What was in doubt is known now, and the next write is due at once.
        let resolved = std::mem::take(&mut self.doubt) || self.watched.is_none();
        self.ask_at = if resolved { turn.at } else { after(turn.at, turn.charter.terms.renew()) };
        self.observe(found, turn);
        let waits =
            self.kept.raising.is_none() && self.lease().is_some_and(|lease| lease.home != turn.charter.me);
        if waits {
            self.ask_at = after(turn.at, turn.charter.terms.renew());
        }
    }

    pub(super) fn swapped(&mut self, number: u64, outcome: Swap, turn: &mut Turn<'_>) {
        let Some(Asked { sent, to: Some(to), .. }) =
            self.asked.take_if(|asked| asked.turn == number && asked.to.is_some())
        else {
            return;
        };
        let terms = turn.charter.terms;
        match outcome {
            Swap::Unknown => (self.doubt, self.ask_at) = (true, turn.at),
            Swap::Lost(Held(found)) => {
                self.doubt = false;
                self.ask_at = after(turn.at, terms.answer());
                self.observe(found, turn);
            }
            Swap::Won => {
                self.doubt = false;
                self.ask_at = after(sent, terms.renew());
                let mine = to.home == turn.charter.me;
                let (epoch, settled) = (to.epoch, to.settled);
                self.observe(Some(to), turn);
                if mine {
                    self.won = Some(epoch);
                    if settled {
                        // What was asked for while it was not settled is not what is wanted now.
                        self.nag_at = self.nag_at.filter(|_| self.held.is_some());
                        self.held = Some(sent);
                    }
                }
            }
        }
    }

    /// Takes in what the coordinator holds: nothing that it holds is ever less than what it held.
    fn observe(&mut self, found: Option<Lease>, turn: &mut Turn<'_>) {
        if let Some(watched) = &self.watched
            && watched.lease == found
        {
            return;
        }
        if let Some(why) = self.contradicted(found.as_ref(), turn) {
            return self.freeze(why, turn);
        }
        let known = self.lease().map(|lease| lease.epoch);
        self.watched = Some(Watched { lease: found.clone(), since: turn.at });
        let Some(lease) = found else { return };
        // Known from the other host or from before a crash is not yet known by the clock: what counts is what this process saw.
        if lease.unacknowledged && known != Some(lease.epoch) {
            self.last_switch = Some(turn.at);
        }
        if self.kept.seen.as_ref().is_none_or(|seen| seen.epoch < lease.epoch) {
            self.kept.seen = Some(Seen { epoch: lease.epoch, home: lease.home.clone() });
            turn.dirty = true;
        }
        if lease.home == turn.charter.me { self.be_home(&lease, turn) } else { self.be_standby(&lease, turn) }
    }

    fn contradicted(&self, found: Option<&Lease>, turn: &Turn<'_>) -> Option<Frozen> {
        let Some(lease) = found else { return self.kept.seen.as_ref().map(|_| Frozen::Regressed) };
        let seen = self.kept.seen.as_ref();
        if seen.is_some_and(|seen| lease.epoch < seen.epoch) {
            return Some(Frozen::Regressed);
        }
        if seen.is_some_and(|seen| lease.epoch == seen.epoch && lease.home != seen.home) {
            return Some(Frozen::TwoOwners);
        }
        if self.lease().is_some_and(|known| lease.order() <= known.order()) {
            return Some(Frozen::Regressed);
        }
        // Once this process has written in an epoch, what its predecessors sent can no longer be done.
        let foreign = lease.home == turn.charter.me && lease.by != self.mark && self.won == Some(lease.epoch);
        foreign.then_some(Frozen::Twin)
    }

    fn be_home(&mut self, lease: &Lease, turn: &mut Turn<'_>) {
        let home = Standing { role: Role::Home, epoch: lease.epoch };
        if self.kept.standing != home {
            self.held = None;
            self.nag_at = None;
            self.kept.standing = home;
            // What it has is what visitors see from now on; nothing of it is to be put aside.
            self.kept.reconciled = true;
            // A site that nobody held before is where it is.
            if lease.epoch == Epoch(1) {
                self.kept.applied = lease.epoch;
            }
            turn.dirty = true;
        }
        let raised_now = self.kept.raising.take().is_some_and(|_| lease.by == self.mark);
        turn.dirty |= raised_now;
        if lease.settled {
            self.settle_at = None;
        } else if !raised_now && self.won != Some(lease.epoch) || self.settle_at.is_none() {
            // When the one before last gave a sign of life is forgotten: it is waited for from now on.
            self.settle_at = Some(after(turn.at, turn.charter.terms.take()));
        }
    }

    fn be_standby(&mut self, lease: &Lease, turn: &mut Turn<'_>) {
        let handed_over = self.handover.take().is_some_and(|handover| handover.mirrored)
            && lease.by == self.mark
            && lease.epoch == self.kept.standing.epoch.next();
        if self.kept.raising.as_ref().is_some_and(|raising| raising.from == *lease) {
            return;
        }
        // The coordinator has moved on: no attempt to raise the epoch can succeed any more.
        let given_up = self.kept.raising.take().is_some();
        let was_home = self.kept.standing.role == Role::Home;
        let standby = Standing { role: Role::Standby, epoch: lease.epoch };
        if self.kept.standing != standby || given_up {
            self.kept.standing = standby;
            (self.held, self.settle_at, self.nag_at) = (None, None, None);
            turn.dirty = true;
        }
        if was_home {
            self.kept.reconciled = handed_over;
        }
    }

    /// The other host says that it has raised the epoch. It is believed: whoever may say so could have written it, too.
    pub(super) fn told_to_step_down(&mut self, epoch: Epoch, turn: &mut Turn<'_>) {
        if self.kept.standing.role != Role::Home || epoch <= self.kept.standing.epoch {
            return;
        }
        self.kept.standing = Standing { role: Role::Standby, epoch };
        self.kept.reconciled = false;
        self.kept.seen = Some(Seen { epoch, home: turn.charter.other.clone() });
        (self.held, self.handover, self.nag_at, self.settle_at) = (None, None, None, None);
        // An answer to what was asked before would look as if the coordinator had gone back.
        (self.asked, self.doubt, self.ask_at) = (None, true, turn.at);
        turn.dirty = true;
    }

    pub(super) fn peer(&mut self, standby_in: Epoch, reconciled: bool, turn: &Turn<'_>) {
        let Some(lease) = self.lease().filter(|lease| lease.home == turn.charter.me) else { return };
        if lease.epoch != standby_in {
            return;
        }
        let waits = !lease.settled;
        if reconciled {
            self.rejoined = Some(standby_in);
        }
        if waits {
            self.settle_at = Some(turn.at);
        }
    }

    /// Begins to take the site over. Nothing has happened until the coordinator says so.
    pub(super) fn begin(&mut self, automatic: bool, stopped: bool, turn: &mut Turn<'_>) {
        let Some(Watched { lease: Some(from), since }) = &self.watched else { return };
        let ceased = after(*since, turn.charter.terms.take());
        let settled = stopped || turn.charter.expires() && turn.at >= ceased;
        let epoch = from.epoch.next();
        self.kept.raising = Some(Raising { from: from.clone(), automatic, settled });
        self.settle_at = Some(ceased);
        // From here on no mirror of the old epoch lands: before the epoch is raised, not after.
        self.kept.standing = Standing { role: Role::Standby, epoch };
        (self.approval, self.drill, self.nag_at) = (None, None, None);
        // A question that only reads is of no interest any more.
        (self.asked, self.ask_at) = (None, turn.at);
        turn.dirty = true;
    }

    /// The next question to the coordinator, if one is due: one at a time.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        if self.asked.is_some() {
            return;
        }
        let settles = self.settle_at.is_some_and(|settle_at| turn.at >= settle_at)
            && self.lease().is_some_and(|lease| !lease.settled && lease.home == turn.charter.me);
        if turn.at < self.ask_at && (self.doubt || !settles) {
            return;
        }
        let number = self.turns + 1;
        let to = if self.doubt { None } else { self.next_write(number, settles, turn) };
        self.turns = number;
        self.asked = Some(Asked { turn: number, sent: turn.at, to: to.clone() });
        turn.act(match to {
            None => Action::Read { turn: number },
            Some(to) => Action::Swap { turn: number, from: self.lease().cloned(), to },
        });
    }

    /// What to write; none if there is nothing to write, only to see.
    fn next_write(&self, number: u64, settles: bool, turn: &Turn<'_>) -> Option<Lease> {
        let charter = turn.charter;
        let watched = self.watched.as_ref()?;
        let Some(lease) = &watched.lease else {
            let first = charter.first_home == charter.me && self.kept.seen.is_none();
            return first.then(|| Lease::first(&charter.me, self.mark, number));
        };
        if lease.home != charter.me {
            let Raising { automatic, settled, .. } = self.kept.raising.as_ref()?;
            let raised = lease.raised(&charter.me, self.mark, number);
            // Whoever asked a person has been acknowledged by that.
            return Some(Lease { settled: *settled, unacknowledged: *automatic, ..raised });
        }
        if self.kept.standing.role != Role::Home {
            return None;
        }
        if !lease.settled {
            return settles.then(|| lease.renewed(self.mark, number));
        }
        if self.handover.as_ref().is_some_and(|handover| handover.mirrored) {
            return Some(lease.raised(&charter.other, self.mark, number));
        }
        let unacknowledged = lease.unacknowledged && self.acknowledged != Some(lease.epoch);
        let to_say = charter.expires() || unacknowledged != lease.unacknowledged;
        to_say.then(|| Lease { unacknowledged, ..lease.renewed(self.mark, number) })
    }
}
