//! One step: take in what was told, then go on with whatever follows from it.

use super::charter::{Charter, after};
use super::event::{Action, Input};
use super::state::{Frozen, Seat, Serving, Until};
use crate::failover::tenure::{Role, Standing};
use crate::failover::votes::{Received, Vote};
use crate::time::Tick;

/// Tells a seat something at a moment of its host's clock (which must count time in suspend too), and gives what it asks for.
///
/// ```
/// use dr_core::Tick;
/// use dr_core::failover::{Action, Charter, Input, Kept, Mandate, Mark, Observer, Panel, Seat, Terms, step};
/// let observer = Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() };
/// let charter = Charter {
///     site: "shop".parse().unwrap(),
///     me: "uk".parse().unwrap(),
///     other: "us".parse().unwrap(),
///     first_home: "uk".parse().unwrap(),
///     mandate: Mandate::Ask(Panel::new(vec![observer]).unwrap()),
///     terms: Terms::default(),
///     thresholds: Default::default(),
/// };
/// let seat = Seat::start(Kept::default(), Mark(7), Tick::default());
/// let (seat, actions) = step(seat, &charter, Tick::default(), Input::Wake);
/// assert_eq!(actions, [Action::StandDown, Action::Read { turn: 1 }], "first it asks who holds the site");
/// assert_eq!(seat.serves(&charter, Tick::default()), None, "and serves nobody before it knows");
/// ```
#[must_use]
pub fn step(mut seat: Seat, charter: &Charter, at: Tick, input: Input) -> (Seat, Vec<Action>) {
    let woken = input == Input::Wake;
    let mut turn = Turn { charter, at, dirty: false, first: vec![], then: vec![] };
    seat.take_in(input, &mut turn);
    seat.go_on(&mut turn);
    let actions = seat.finish(turn, woken);
    (seat, actions)
}

/// What one step collects.
pub(super) struct Turn<'a> {
    pub(super) charter: &'a Charter,
    pub(super) at: Tick,
    /// What is kept has changed.
    pub(super) dirty: bool,
    /// Must be done whether or not anything can be written down.
    first: Vec<Action>,
    /// Only once what is kept is durable.
    then: Vec<Action>,
}

impl Turn<'_> {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::StandDown | Action::Tell(_) | Action::Refuse(_) => self.first.push(action),
            _ => self.then.push(action),
        }
    }

    pub(super) fn refuse(&mut self, why: impl Into<String>) {
        self.act(Action::Refuse(why.into()));
    }
}

impl Seat {
    fn take_in(&mut self, input: Input, turn: &mut Turn<'_>) {
        match input {
            Input::Wake => {}
            Input::Read { turn: number, found } => self.read(number, found, turn),
            Input::Swapped { turn: number, outcome } => self.swapped(number, outcome, turn),
            Input::Vote { vote, asked } => self.vote(vote, asked, turn),
            Input::Guards { guards, asked } => {
                let newer = self.guards.as_ref().is_none_or(|looked| looked.asked <= asked);
                if newer && asked <= turn.at {
                    self.guards = Some(super::state::Looked { guards, asked });
                }
            }
            Input::Remembered(true) => self.unsaved = false,
            Input::Remembered(false) => self.not_remembered(turn),
            Input::Mirrored { turn: number, whole } => self.mirrored(number, whole, turn),
            Input::Applied { epoch, done } => {
                let mine =
                    self.lease().is_some_and(|lease| lease.home == turn.charter.me && lease.epoch == epoch);
                if mine && done {
                    self.kept.applied = epoch;
                    turn.dirty = true;
                }
            }
            Input::Quarantined { epoch } => {
                if self.kept.standing == (Standing { role: Role::Standby, epoch }) && !self.kept.reconciled {
                    self.kept.reconciled = true;
                    turn.dirty = true;
                }
            }
            Input::Rehearsed => {
                if self.drill.as_ref().is_some_and(|drill| drill.rehearsing) {
                    self.drill = None;
                }
            }
            Input::StepDown { epoch } => self.told_to_step_down(epoch, turn),
            Input::Peer { standby_in, reconciled } => self.peer(standby_in, reconciled, turn),
            Input::ClockJumped => {
                self.held = None;
                self.forget_times(turn);
            }
            Input::Order(order) => self.order(order, turn),
        }
    }

    /// What was measured by the clock so far counts for nothing; what waits, waits anew.
    pub(super) fn forget_times(&mut self, turn: &Turn<'_>) {
        self.watched = None;
        self.asked = None;
        self.ask_at = turn.at;
        self.votes.clear();
        self.guards = None;
        (self.looked_at, self.nag_at) = (None, None);
        self.last_switch = self.last_switch.map(|_| turn.at);
        self.settle_at = self.settle_at.map(|_| after(turn.at, turn.charter.terms.take()));
        self.maintained_since = turn.at;
    }

    fn not_remembered(&mut self, turn: &Turn<'_>) {
        // What followed was not done: neither asked, nor told to serve.
        self.asked = None;
        if !std::mem::replace(&mut self.unsaved, true) {
            self.ask_at = after(turn.at, turn.charter.terms.answer());
        }
        self.serving = Serving::Unknown;
        (self.looked_at, self.nag_at) = (None, None);
        if let Some(drill) = &mut self.drill {
            drill.rehearsing = false;
        }
    }

    /// Of each observer the newest vote is kept, and of one vote that came twice the first: it was asked for then. Two different
    /// votes under one number are both kept, for whoever counts to see that they contradict each other.
    fn vote(&mut self, vote: Vote, asked: Tick, turn: &Turn<'_>) {
        if asked > turn.at || !turn.charter.mandate.panel().contains(&vote.observer) {
            return;
        }
        let mut of_it = self.votes.iter().filter(|there| there.vote.observer == vote.observer);
        let superseded = of_it.any(|there| {
            there.vote.sequence > vote.sequence
                || there.vote.sequence == vote.sequence && there.vote.verdict == vote.verdict
        });
        if superseded {
            return;
        }
        self.votes
            .retain(|there| there.vote.observer != vote.observer || there.vote.sequence == vote.sequence);
        self.votes.push(Received { vote, at: asked });
        self.votes.sort_by(|one, two| one.vote.observer.cmp(&two.vote.observer));
    }

    fn go_on(&mut self, turn: &mut Turn<'_>) {
        self.end_maintenance(turn);
        if self.kept.frozen.is_none() {
            self.give_up_waiting(turn);
            self.decide(turn);
            self.ask(turn);
            self.nag(turn);
        }
        self.serve_or_not(turn);
    }

    fn end_maintenance(&mut self, turn: &mut Turn<'_>) {
        let Some(span) = self.kept.maintenance.as_ref().and_then(|maintenance| maintenance.span) else {
            return;
        };
        if turn.at >= after(self.maintained_since, span) {
            self.kept.maintenance = None;
            turn.dirty = true;
        }
    }

    /// What was asked for and is not said to be done is asked for again: it may have been lost, and is done once however often
    /// it is asked for.
    fn nag(&mut self, turn: &mut Turn<'_>) {
        if self.nag_at.is_some_and(|nag_at| turn.at < nag_at) {
            return;
        }
        let Self { kept, .. } = self;
        let epoch = kept.standing.epoch;
        let terms = &turn.charter.terms;
        let lease = self.watched.as_ref().and_then(|watched| watched.lease.as_ref());
        let mine =
            kept.standing.role == Role::Home && lease.is_some_and(|lease| lease.home == turn.charter.me);
        let (action, again) = if !kept.reconciled && kept.standing.role == Role::Standby {
            (Action::Quarantine { epoch }, terms.take())
        } else if mine && lease.is_some_and(|lease| !lease.settled) {
            (Action::StepDown { epoch }, terms.renew())
        } else if let Some(handover) = self.handover.as_ref().filter(|handover| !handover.mirrored) {
            (Action::MirrorLast { turn: handover.turn }, terms.take())
        } else if kept.applied < epoch && mine && self.holds(turn.charter, turn.at).is_some() {
            (Action::Apply { epoch, from: turn.charter.other.clone() }, terms.take())
        } else {
            self.nag_at = None;
            return;
        };
        turn.act(action);
        self.nag_at = Some(after(turn.at, again));
    }

    fn serve_or_not(&mut self, turn: &mut Turn<'_>) {
        let serving = match self.serves(turn.charter, turn.at) {
            Some(until) => Serving::Until(until),
            // After a new start the services go on as they were told before, as long as this host seems to be the home: what
            // was told ends by itself, and the next sign of life is on its way.
            None if self.serving == Serving::Unknown && self.kept.standing.role == Role::Home => return,
            None => Serving::No,
        };
        if serving == self.serving {
            return;
        }
        turn.act(match serving {
            Serving::Until(until) => Action::Serve { epoch: self.kept.standing.epoch, until },
            Serving::Unknown | Serving::No => Action::StandDown,
        });
        self.serving = serving;
    }

    fn finish(&mut self, turn: Turn<'_>, woken: bool) -> Vec<Action> {
        let Turn { charter, at, dirty, first: mut actions, then, .. } = turn;
        let phase = self.phase(charter);
        if phase != self.told {
            actions.push(Action::Tell(phase.clone()));
            self.told = phase;
        }
        // Whatever comes then, not only a wake: where votes keep coming nobody may ever have the time to sleep.
        let again = self.unsaved && at >= self.ask_at;
        if dirty || again || self.unsaved && woken {
            actions.push(Action::Remember(Box::new(self.kept.clone())));
        }
        if again {
            self.ask_at = after(at, charter.terms.answer());
        }
        if !self.unsaved {
            actions.extend(then);
        } else if !then.is_empty() {
            // What is not durable is followed by nothing.
            self.not_remembered(&Turn { charter, at, dirty, first: vec![], then: vec![] });
        }
        actions
    }

    pub(super) fn freeze(&mut self, why: Frozen, turn: &mut Turn<'_>) {
        self.kept.frozen = Some(why);
        self.asked = None;
        (self.approval, self.drill) = (None, None);
        turn.dirty = true;
    }

    /// When it wants to be woken, if nothing happens before. It may be woken at any time.
    #[must_use]
    pub fn wakes_at(&self, charter: &Charter) -> Tick {
        let terms = &charter.terms;
        let frozen = self.kept.frozen.is_some();
        let asking = match &self.asked {
            _ if frozen => None,
            Some(asked) => Some(after(asked.sent, terms.answer())),
            None => Some(self.ask_at),
        };
        let settling = self.lease().is_some_and(|lease| !lease.settled && lease.home == charter.me);
        let may_write = settling && self.asked.is_none() && !self.doubt && !frozen;
        let lapse = match self.serving {
            Serving::Until(Until::Tick(until)) => Some(until),
            _ => None,
        };
        if self.unsaved {
            // Nothing else can be done before it can be written down.
            return lapse.unwrap_or(self.ask_at).min(self.ask_at);
        }
        let span = self.kept.maintenance.as_ref().and_then(|maintenance| maintenance.span);
        let stale = self.guards.as_ref().map(|looked| after(looked.asked, terms.renew()));
        let looking = self.looked_at.filter(|_| self.wants_guards() && !frozen);
        let times = [
            asking,
            self.settle_at.filter(|_| may_write),
            lapse,
            self.nag_at.filter(|_| !frozen),
            looking.map(|looked_at| after(looked_at, terms.answer()).max(stale.unwrap_or_default())),
            self.approval.as_ref().map(|approval| after(approval.at, terms.take())),
            span.map(|span| after(self.maintained_since, span)),
        ];
        times.into_iter().flatten().min().unwrap_or(Tick(std::time::Duration::MAX))
    }
}
