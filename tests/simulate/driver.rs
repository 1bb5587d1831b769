//! The driver of a seat, as thin as the real one is to be: it hands in what happens, and does what is asked for.

use dr_core::failover::{
    Action, Frozen, Held, Input, Lease, Mark, Outlook, Phase, Role, Seat, Swap, Until, step,
};
use dr_core::{Epoch, Tick};

use super::mutant::Mutant;
use super::world::{COORDINATOR, Event, World};

impl World {
    /// A process begins, with what an earlier one kept.
    pub(crate) fn start(&mut self, host: usize) {
        self.marks += 1;
        let (mark, at) = (Mark(self.marks), self.local(host));
        let here = &mut self.hosts[host];
        if here.seat.is_some() || !here.up {
            return;
        }
        here.life += 1;
        let mut kept = here.disk.clone();
        if self.mutant == Some(Mutant::ForgetsWhatItSaw) {
            kept.seen = None;
            kept.standing.epoch = Epoch(0);
        }
        here.seat = Some(Seat::start(kept, mark, at));
        here.heard.clear();
        (here.passed, here.looked, here.last_mirror, here.wake_at) = (None, None, None, None);
        let life = here.life;
        self.tell(host, Input::Wake);
        let first = self.random.below(self.unit / 2);
        self.after(first, Event::Round { host, life });
    }

    /// Hands something in, and does what follows.
    pub(crate) fn tell(&mut self, host: usize, input: Input) {
        let at = self.local(host);
        let Some(before) = self.hosts[host].seat.take() else { return };
        let input = self.spoilt(input, at);
        self.outcome.steps += 1;
        self.note_heard(host, &input);
        let was = Was::of(&before, &input);
        let charter = self.hosts[host].charter.clone();
        let (mut seat, mut actions) = step(before, &charter, at, input);
        self.spoil(&mut seat, &was, &mut actions, at);
        self.trace(|| format!("{} {:?} -> {:?} {:?}", charter.me, was.input, seat.phase(&charter), actions));
        self.check_step(host, &was, &seat, &actions, at);
        let phase = seat.phase(&charter);
        self.hosts[host].seat = Some(seat);
        if phase != was.phase {
            self.count(&phase);
        }
        self.perform(host, actions);
        self.wake_later(host);
    }

    fn wake_later(&mut self, host: usize) {
        let Some(seat) = &self.hosts[host].seat else { return };
        let wanted = seat.wakes_at(&self.hosts[host].charter);
        let at = self.when(host, wanted).max(self.now + 1);
        let scheduled = self.hosts[host].wake_at.filter(|scheduled| *scheduled > self.now);
        if at < u64::MAX / 4000 && scheduled.is_none_or(|scheduled| at < scheduled) {
            self.hosts[host].wake_at = Some(at);
            self.after(at - self.now, Event::Wake { host });
        }
    }

    fn perform(&mut self, host: usize, actions: Vec<Action>) {
        let life = self.hosts[host].life;
        // A process may die between any two things that it does.
        let dies_after = (self.chaos.crashy && self.random.one_in(200))
            .then(|| self.random.below(actions.len() as u64 + 1) as usize);
        for (done, action) in actions.into_iter().enumerate() {
            if dies_after == Some(done) {
                return self.crash(host);
            }
            if let Action::Remember(kept) = action {
                if self.hosts[host].disk_full {
                    self.outcome.reach("disk full");
                    return self.tell(host, Input::Remembered(false));
                }
                let seen = kept.seen.as_ref().map(|seen| seen.epoch).unwrap_or_default();
                if seen < self.hosts[host].saw && !self.coordinator.astray {
                    self.violated("I6: what was seen is forgotten");
                }
                self.hosts[host].saw = seen.max(self.hosts[host].saw);
                self.hosts[host].disk = *kept;
                if self.hosts[host].seat.as_ref().is_some_and(|seat| seat.unsaved) {
                    self.after(0, Event::Tell { host, life, input: Input::Remembered(true) });
                }
                continue;
            }
            self.act(host, life, action);
        }
        if dies_after.is_some() {
            self.crash(host);
        }
    }

    fn act(&mut self, host: usize, life: u32, action: Action) {
        let now = self.local(host);
        match action {
            Action::Remember(_) => {}
            Action::Read { turn } => self.ask_coordinator(host, life, turn, None),
            Action::Swap { turn, from, to } => self.ask_coordinator(host, life, turn, Some((from, to))),
            Action::Serve { epoch, until } => self.serve(host, epoch, until),
            Action::StandDown => self.hosts[host].enforcer = None,
            Action::LookAtGuards => {
                let delay = self.delay();
                let guards = self.guards(host);
                let input = Input::Guards { guards, asked: now };
                self.after(delay, Event::Tell { host, life, input });
            }
            Action::StepDown { epoch } => {
                if self.is(Mutant::SaysStoppedTooSoon) {
                    let input = Input::Peer { standby_in: epoch, reconciled: false };
                    let delay = self.delay();
                    return self.after(delay, Event::Tell { host, life, input });
                }
                self.send_other(host, Input::StepDown { epoch });
            }
            Action::MirrorLast { turn } => self.mirror(host, Some((life, turn))),
            Action::Apply { epoch, .. } => {
                let delay = self.delay() * 3;
                self.after(delay, Event::Applied { host, life, epoch });
            }
            Action::Quarantine { epoch } => {
                let delay = self.delay() * 2;
                self.after(delay, Event::PutAside { host, life, epoch });
            }
            Action::Rehearse { .. } => {
                let delay = self.delay();
                self.after(delay, Event::Tell { host, life, input: Input::Rehearsed });
            }
            Action::Refuse(_) => self.outcome.reach("refused"),
            Action::Tell(_) => {}
        }
    }

    /// Sends something to the process on the other host, whichever that is when it arrives.
    pub(crate) fn send_other(&mut self, host: usize, input: Input) {
        let other = 1 - host;
        let delay = self.delay();
        if self.passes(host, other) {
            let life = self.hosts[other].life;
            self.after(delay, Event::Tell { host: other, life, input });
        }
    }

    fn ask_coordinator(&mut self, host: usize, life: u32, turn: u64, write: Option<(Option<Lease>, Lease)>) {
        let delay = self.delay();
        if self.passes(host, COORDINATOR) {
            self.after(delay, Event::AtCoordinator { host, life, turn, write });
        } else if self.random.one_in(2) {
            // Often the driver learns at once that nothing came of it; otherwise the seat waits in vain.
            let input = match write {
                None => Input::Read { turn, found: None },
                Some(_) => Input::Swapped { turn, outcome: Swap::Unknown },
            };
            self.after(delay, Event::Tell { host, life, input });
        }
    }

    /// A question has reached the coordinator.
    pub(crate) fn at_coordinator(
        &mut self,
        host: usize,
        life: u32,
        turn: u64,
        write: Option<(Option<Lease>, Lease)>,
    ) {
        if !self.coordinator.up {
            return;
        }
        let input = match write {
            None => Input::Read { turn, found: Some(Held(self.coordinator.lease.clone())) },
            Some((from, to)) => {
                let won = self.coordinator.lease == from || self.is(Mutant::NoCompareAndSwap);
                let outcome = if won {
                    self.written(host, from.as_ref(), to);
                    Swap::Won
                } else {
                    Swap::Lost(Held(self.coordinator.lease.clone()))
                };
                Input::Swapped { turn, outcome }
            }
        };
        let delay = self.delay();
        if self.passes(COORDINATOR, host) {
            self.after(delay, Event::Tell { host, life, input });
        } else if matches!(input, Input::Swapped { .. }) {
            self.outcome.reach("reply lost");
        }
    }

    fn serve(&mut self, host: usize, epoch: Epoch, until: Until) {
        if self.serving(1 - host).is_some() && !self.coordinator.astray {
            self.violated("I1: two hosts serve");
        }
        if epoch < self.hosts[host].served && !self.coordinator.astray {
            self.violated("I6: it serves in an older epoch");
        }
        let here = &mut self.hosts[host];
        here.served = epoch.max(here.served);
        let until = if self.mutant == Some(Mutant::NoHolderLease) { Until::Told } else { until };
        here.enforcer = Some((until, epoch));
    }

    pub(crate) fn crash(&mut self, host: usize) {
        self.hosts[host].seat = None;
        self.outcome.reach("crash");
        let life = self.hosts[host].life;
        let down = self.random.between(1, self.unit * 3);
        self.after(down, Event::Restart { host, life });
    }

    fn count(&mut self, phase: &Phase) {
        let by_itself = matches!(phase, Phase::Frozen { why } if !matches!(why, Frozen::Ordered { .. }));
        if by_itself && !self.chaos.regressed && !self.is(Mutant::NoCompareAndSwap) {
            self.violated("L: frozen without a reason");
        }
        self.outcome.reach(match phase {
            Phase::Stable => "stable",
            Phase::Suspect => "suspect",
            Phase::Confirmed => "confirmed",
            Phase::Blocked { .. } => "blocked",
            Phase::AwaitingApproval => "awaiting approval",
            Phase::Executing { .. } => "executing",
            Phase::Switched => "switched",
            Phase::Reconciling => "reconciling",
            Phase::Maintenance => "maintenance",
            Phase::Frozen { why: Frozen::Ordered { .. } } => "frozen by order",
            Phase::Frozen { why: Frozen::Regressed } => "frozen: regressed",
            Phase::Frozen { why: Frozen::TwoOwners } => "frozen: two owners",
            Phase::Frozen { why: Frozen::Twin } => "frozen: twin",
            Phase::Drill => "drill",
        });
    }

    /// Defects of what goes in.
    fn spoilt(&self, input: Input, at: Tick) -> Input {
        match (self.mutant, input) {
            (Some(Mutant::VotesCountFromArrival), Input::Vote { vote, .. }) => {
                Input::Vote { vote, asked: at }
            }
            (Some(Mutant::GuardsIgnored), Input::Guards { mut guards, asked }) => {
                guards.iter_mut().for_each(|guard| guard.passed = true);
                Input::Guards { guards, asked }
            }
            (_, input) => input,
        }
    }

    /// Defects of what is remembered and of what comes out.
    fn spoil(&self, seat: &mut Seat, was: &Was, actions: &mut [Action], at: Tick) {
        match self.mutant {
            Some(Mutant::CountsFromTheAnswer) if was.held != seat.held && seat.held.is_some() => {
                seat.held = Some(at);
                for action in actions {
                    if let Action::Serve { until, .. } = action {
                        *until = Until::Tick(Tick(at.0 + self.terms.hold().as_duration()));
                    }
                }
            }
            Some(Mutant::LateReadBackCounts) if matches!(was.input, Input::Read { .. }) => {
                let mine = seat.lease().is_some_and(|lease| lease.by == seat.mark && lease.settled);
                if mine && seat.kept.standing.role == Role::Home {
                    seat.held = Some(at);
                }
            }
            Some(Mutant::SettlesAtOnce) if seat.settle_at.is_some() => seat.settle_at = Some(at),
            Some(Mutant::NeverAcknowledged) => {
                for action in actions {
                    if let Action::Swap { to, .. } = action {
                        to.unacknowledged = false;
                    }
                }
                if let Some(asked) = &mut seat.asked
                    && let Some(to) = &mut asked.to
                {
                    to.unacknowledged = false;
                }
            }
            Some(Mutant::MovesInMaintenance) => seat.kept.maintenance = None,
            _ => {}
        }
    }
}

/// What a seat was before a step, as far as the checks need it.
pub(crate) struct Was {
    pub(crate) input: Input,
    pub(crate) phase: Phase,
    pub(crate) raising: bool,
    pub(crate) drill: bool,
    pub(crate) maintenance: bool,
    pub(crate) frozen: bool,
    pub(crate) held: Option<Tick>,
    pub(crate) quiet: bool,
}

impl Was {
    fn of(seat: &Seat, input: &Input) -> Self {
        Self {
            input: input.clone(),
            phase: seat.told.clone(),
            raising: seat.kept.raising.is_some(),
            drill: seat.drill.is_some(),
            maintenance: seat.kept.maintenance.is_some(),
            frozen: seat.kept.frozen.is_some(),
            held: seat.held,
            quiet: seat.outlook == Outlook::Quiet,
        }
    }
}
