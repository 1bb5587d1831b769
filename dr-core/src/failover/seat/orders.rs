//! The word of a person: followed, or refused with the reason.

use super::event::Order;
use super::state::{Approval, Drill, Frozen, Handover, Maintenance, Outlook, Seat};
use super::step::Turn;
use crate::estate::Epoch;

impl Seat {
    pub(super) fn mirrored(&mut self, number: u64, whole: bool, turn: &mut Turn<'_>) {
        let Some(handover) = self.handover.as_mut().filter(|handover| handover.turn == number) else {
            return;
        };
        if whole {
            handover.mirrored = true;
            self.ask_at = turn.at;
        } else if !handover.mirrored {
            self.handover = None;
            turn.refuse("the last mirror has not landed whole; the site stays where it is");
        }
    }

    pub(super) fn order(&mut self, order: Order, turn: &mut Turn<'_>) {
        let frozen = self.kept.frozen.is_some();
        match order {
            Order::Take { epoch, despite, stopped, .. } => {
                if let Some(why) = self.may_not_take(epoch, stopped, turn) {
                    return turn.refuse(why);
                }
                self.approval = Some(Approval { despite, stopped, at: turn.at });
                self.looked_at = None;
            }
            Order::HandOver { .. } => {
                if let Some(why) = self.may_not_hand_over(turn) {
                    return turn.refuse(why);
                }
                self.turns += 1;
                self.handover = Some(Handover { turn: self.turns, mirrored: false });
                self.nag_at = None;
            }
            Order::GiveUp { .. } => self.give_up(turn),
            Order::Acknowledge { .. } => {
                let home = self.lease().filter(|lease| lease.home == turn.charter.me && lease.settled);
                let Some(home) = home else {
                    return turn.refuse(format!("tell it to the home: {}", turn.charter.other));
                };
                self.acknowledged = Some(home.epoch);
                self.ask_at = if self.asked.is_none() { turn.at } else { self.ask_at };
            }
            Order::Hold { by, span } => {
                self.kept.maintenance = Some(Maintenance { by, span });
                self.maintained_since = turn.at;
                turn.dirty = true;
            }
            Order::Release { .. } => {
                self.kept.maintenance = None;
                turn.dirty = true;
            }
            Order::Freeze { by } if !frozen => self.freeze(Frozen::Ordered { by }, turn),
            Order::Thaw { .. } if frozen => {
                self.kept.frozen = None;
                self.won = None;
                self.forget_times(turn);
                turn.dirty = true;
            }
            Order::Freeze { .. } | Order::Thaw { .. } => {}
            Order::Drill { .. } => {
                if frozen || !self.stands_by(turn) || self.outlook != Outlook::Quiet {
                    return turn.refuse("a rehearsal takes a standby, and a site that nobody suspects");
                }
                self.drill = Some(Drill { at: turn.at, rehearsing: false });
                self.looked_at = None;
            }
        }
    }

    fn may_not_take(&self, epoch: Epoch, stopped: bool, turn: &Turn<'_>) -> Option<String> {
        let charter = turn.charter;
        if self.kept.frozen.is_some() {
            return Some("nothing is done while it is frozen; thaw it first".to_owned());
        }
        let Some(lease) = self.lease().filter(|_| !self.doubt) else {
            return Some("who holds the site is not known now".to_owned());
        };
        if lease.home == charter.me {
            return Some(format!("{} holds the site already", charter.me));
        }
        if lease.epoch != epoch {
            return Some(format!("it is epoch {} now, not {epoch}: look again", lease.epoch));
        }
        if !self.stands_by(turn) {
            return Some(format!("{} is not ready to take it: look at its status", charter.me));
        }
        if !charter.expires() && !stopped {
            let other = &charter.other;
            return Some(format!("nothing makes {other} stop by itself: make sure that it has, and say so"));
        }
        None
    }

    fn may_not_hand_over(&self, turn: &Turn<'_>) -> Option<String> {
        let charter = turn.charter;
        if self.kept.frozen.is_some() {
            return Some("nothing is done while it is frozen; thaw it first".to_owned());
        }
        if self.serves(charter, turn.at).is_none() {
            return Some(format!("{} does not hold the site, or is handing it over already", charter.me));
        }
        if self.kept.applied < self.kept.standing.epoch {
            return Some("the last move has not ended yet".to_owned());
        }
        if self.rejoined != Some(self.kept.standing.epoch) {
            return Some(format!(
                "{} has not said that it stands by, with its own changes put aside",
                charter.other
            ));
        }
        None
    }

    /// Gives up what can be given up. Of a handover that may have been written nothing is certain before the next sign of life
    /// is acknowledged: that one and the handover exclude each other.
    fn give_up(&mut self, turn: &Turn<'_>) {
        (self.approval, self.drill) = (None, None);
        if self.handover.take().is_some_and(|handover| handover.mirrored) {
            self.held = None;
            self.asked = None;
            (self.doubt, self.ask_at) = (true, turn.at);
        }
    }
}
