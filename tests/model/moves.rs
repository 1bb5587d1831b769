//! What may happen, and what follows from it.

use dr_core::failover::{Action, GuardName, Held, Input, Mark, Order, Role, Seat, Swap, Until, step};

use super::{
    CRASHES, DRIFT, Failover, HANDOVERS, Message, Move, Node, PAUSES, Question, TAKES, TICKS, WRITES, World,
    Write, tick,
};

impl Node {
    pub(super) fn serving(&self) -> bool {
        match self.serves {
            Some((Until::Tick(until), _)) => tick(self.clock) < until,
            Some((Until::Told, _)) => true,
            None => false,
        }
    }
}

impl World {
    /// Drops what can have no effect any more: answers that nobody waits for, and writes that nobody waits for and that can no
    /// longer be done.
    pub(super) fn forget(&mut self) {
        self.forget_messages();
        for (at, host) in self.hosts.iter_mut().enumerate() {
            let seat = &mut host.seat;
            // What the guards said is of no interest once it was used, nor is what was told to people.
            if seat.approval.is_none() {
                (seat.guards, seat.looked_at) = (None, None);
            }
            seat.told = dr_core::failover::Phase::Stable;
            // Numbers of questions only have to differ from those that are under way.
            let quiet = seat.asked.is_none() && seat.handover.is_none();
            if quiet && !self.asked.iter().any(|question| question.host == at) {
                seat.turns = 0;
            }
        }
    }

    fn forget_messages(&mut self) {
        let waits = |hosts: &[Node; 2], host: usize, life: u8, turn: u64| {
            hosts[host].life == life
                && hosts[host].seat.asked.as_ref().is_some_and(|asked| asked.turn == turn)
        };
        let (hosts, lease) = (&self.hosts, &self.lease);
        self.asked.retain(|question| {
            let may_be_done = question.write.as_ref().is_some_and(|Write(from, _)| from == lease);
            may_be_done || waits(hosts, question.host, question.life, question.turn)
        });
        self.told.retain(|(host, life, Message(input))| match input {
            Input::Read { turn, .. } | Input::Swapped { turn, .. } => waits(hosts, *host, *life, *turn),
            _ => hosts[*host].life == *life,
        });
    }
}

impl Failover {
    pub(super) fn possible(&self, world: &World, moves: &mut Vec<Move>) {
        if world.left[TICKS] > 0 {
            moves.push(Move::Tick(None));
            if world.left[DRIFT] > 0 {
                moves.extend([Move::Tick(Some(0)), Move::Tick(Some(1))]);
            }
        }
        moves.extend((0..world.asked.len()).map(Move::Answer));
        let awake = |(at, (host, ..)): (usize, &(usize, u8, Message))| {
            (!world.hosts[*host].paused).then_some(Move::Deliver(at))
        };
        moves.extend(world.told.iter().enumerate().filter_map(awake));
        moves.extend((0..world.mirrors.len()).map(Move::Land));
        for host in 0..2 {
            self.possible_at(world, host, moves);
        }
    }

    fn possible_at(&self, world: &World, host: usize, moves: &mut Vec<Move>) {
        let here = &world.hosts[host];
        let left = |what: usize| world.left[what] > 0;
        if left(CRASHES) {
            moves.push(Move::Crash(host));
        }
        if here.paused || left(PAUSES) {
            moves.push(Move::Pause(host));
        }
        if here.serving() && left(WRITES) {
            moves.push(Move::Write(host));
        }
        if here.serving()
            && !world.mirrors.iter().any(|(from, ..)| *from == host)
            && here.live != world.hosts[1 - host].live
        {
            moves.push(Move::Mirror(host));
        }
        if here.paused {
            return;
        }
        let standby = here.kept.standing.role == Role::Standby && here.seat.kept.raising.is_none();
        if standby && left(TAKES) && here.kept.reconciled {
            moves.push(Move::Take(host));
        }
        if here.seat.handover.as_ref().is_some_and(|handover| !handover.mirrored) {
            moves.push(Move::Mirrored(host));
        } else if here.serving() && left(HANDOVERS) {
            moves.push(Move::HandOver(host));
        }
        if !here.kept.reconciled && standby {
            moves.push(Move::PutAside(host));
        }
        // Where a host stands matters to the other only while that waits for it.
        let other = &world.hosts[1 - host];
        let waits = other.seat.lease().is_some_and(|lease| !lease.settled)
            || other.seat.rejoined != Some(here.kept.standing.epoch);
        if waits && !other.paused && here.seat.report().is_some() {
            moves.push(Move::Report(host));
        }
    }

    pub(super) fn happen(&self, world: &mut World, action: &Move) {
        match *action {
            Move::Tick(missed) => {
                world.left[TICKS] -= 1;
                world.left[DRIFT] -= u8::from(missed.is_some());
                for host in (0..2).filter(|host| Some(*host) != missed) {
                    world.hosts[host].clock += 1;
                }
            }
            Move::Answer(at) => self.answer(world, at),
            Move::Deliver(at) => self.deliver(world, at),
            Move::Crash(host) => {
                world.left[CRASHES] -= 1;
                let here = &mut world.hosts[host];
                here.life += 1;
                here.paused = false;
                let mark = Mark(1 + host as u128 + 10 * u128::from(here.life));
                here.seat = Seat::start(here.kept.clone(), mark, tick(here.clock));
            }
            Move::Pause(host) => {
                let here = &mut world.hosts[host];
                world.left[PAUSES] -= u8::from(!here.paused);
                here.paused = !here.paused;
            }
            Move::Take(host) => {
                world.left[TAKES] -= 1;
                let epoch = world.hosts[host].seat.lease().map(|lease| lease.epoch).unwrap_or_default();
                let despite = [
                    GuardName::StandbyHealthy,
                    GuardName::MirrorFresh,
                    GuardName::DnsChangeable,
                    GuardName::Tenure,
                    GuardName::Quorum,
                ];
                let (by, despite) = (String::new(), despite.into());
                self.tell(world, host, Input::Order(Order::Take { by, epoch, despite, stopped: false }));
            }
            Move::HandOver(host) => {
                world.left[HANDOVERS] -= 1;
                self.tell(world, host, Input::Order(Order::HandOver { by: String::new() }));
            }
            Move::Mirrored(host) => self.mirrored(world, host),
            Move::PutAside(host) => {
                let here = &mut world.hosts[host];
                here.aside |= here.live;
                let epoch = here.kept.standing.epoch;
                self.tell(world, host, Input::Quarantined { epoch });
            }
            Move::Report(host) => {
                if let Some(report) = world.hosts[host].seat.report() {
                    self.tell(world, 1 - host, report);
                }
            }
            Move::Write(host) => {
                world.left[WRITES] -= 1;
                let here = &mut world.hosts[host];
                here.live |= 1 << world.written.len();
                world.written.push(here.serves.map(|(_, epoch)| epoch).unwrap_or_default());
            }
            Move::Mirror(host) => {
                let here = &world.hosts[host];
                world.mirrors.insert((host, here.kept.standing.epoch, here.live));
            }
            Move::Land(at) => {
                let Some(mirror) = world.mirrors.iter().nth(at).copied() else { return };
                world.mirrors.remove(&mirror);
                let _ = land(world, mirror);
            }
        }
    }

    /// The last mirror before a handover. Mirrors that began before it land no more: the target has changed since.
    fn mirrored(&self, world: &mut World, host: usize) {
        world.mirrors.retain(|(from, ..)| *from != host);
        let Some(turn) = world.hosts[host].seat.handover.as_ref().map(|handover| handover.turn) else {
            return;
        };
        let here = &world.hosts[host];
        let whole = land(world, (host, here.kept.standing.epoch, here.live));
        self.tell(world, host, Input::Mirrored { turn, whole });
    }

    pub(super) fn answer(&self, world: &mut World, at: usize) {
        let Some(question) = world.asked.iter().nth(at).cloned() else { return };
        world.asked.remove(&question);
        let Question { host, life, turn, write } = question;
        let input = match write {
            None => Input::Read { turn, found: Some(Held(world.lease.clone())) },
            Some(Write(from, to)) if from == world.lease => {
                let owner = usize::from(to.home == self.charters[1].me);
                if world.owners.insert(to.epoch, owner).is_some_and(|before| before != owner) {
                    world.wrong = Some("one epoch has two owners");
                }
                if owner != host {
                    world.handed_over = true;
                    if world.hosts[host].live & !world.hosts[owner].live != 0 {
                        world.wrong = Some("handed over before everything was there");
                    }
                }
                world.lease = Some(to);
                Input::Swapped { turn, outcome: Swap::Won }
            }
            Some(_) => Input::Swapped { turn, outcome: Swap::Lost(Held(world.lease.clone())) },
        };
        // What was read is told at once: only acknowledgements are worth being late. A late reading is a late question.
        let reads = matches!(input, Input::Read { .. });
        if reads && world.hosts[host].life == life && !world.hosts[host].paused {
            return self.tell(world, host, input);
        }
        world.told.insert((host, life, Message(input)));
    }

    pub(super) fn deliver(&self, world: &mut World, at: usize) {
        let Some(told) = world.told.iter().nth(at).cloned() else { return };
        world.told.remove(&told);
        let (host, life, Message(input)) = told;
        if world.hosts[host].life == life {
            self.tell(world, host, input);
        }
    }

    /// Wakes whoever wants to be woken by now, and does not stand still.
    pub(super) fn wake(&self, world: &mut World) {
        for host in 0..2 {
            let Node { seat, clock, paused, .. } = &world.hosts[host];
            if !paused && seat.wakes_at(&self.charters[host]) <= tick(*clock) {
                self.tell(world, host, Input::Wake);
            }
        }
    }

    fn tell(&self, world: &mut World, host: usize, input: Input) {
        let (seat, at) = (world.hosts[host].seat.clone(), tick(world.hosts[host].clock));
        let (seat, actions) = step(seat, &self.charters[host], at, input);
        world.hosts[host].seat = seat;
        for action in actions {
            let life = world.hosts[host].life;
            match action {
                Action::Remember(kept) => world.hosts[host].kept = *kept,
                Action::Read { turn } => drop(world.asked.insert(Question { host, life, turn, write: None })),
                Action::Swap { turn, from, to } => {
                    let write = Some(Write(from, to));
                    world.asked.insert(Question { host, life, turn, write });
                }
                Action::Serve { epoch, until } => {
                    let other = &world.hosts[1 - host];
                    if other.serving() {
                        world.wrong = Some("two hosts serve");
                    }
                    world.hosts[host].serves = Some((until, epoch));
                }
                Action::StandDown => world.hosts[host].serves = None,
                Action::LookAtGuards => {
                    self.tell(world, host, Input::Guards { guards: vec![], asked: at });
                }
                Action::StepDown { epoch } => {
                    let there = world.hosts[1 - host].life;
                    world.told.insert((1 - host, there, Message(Input::StepDown { epoch })));
                }
                Action::Apply { epoch, .. } => self.tell(world, host, Input::Applied { epoch, done: true }),
                _ => {}
            }
        }
    }
}

/// A mirror lands, or is refused; what it replaces must be somewhere.
fn land(world: &mut World, (from, epoch, content): (usize, dr_core::Epoch, u8)) -> bool {
    let target = 1 - from;
    if !Seat::admits(&world.hosts[target].kept, epoch) {
        return false;
    }
    let lost = world.hosts[target].live & !content;
    let kept = world.hosts[from].live | world.hosts[0].aside | world.hosts[1].aside;
    for (number, written) in world.written.iter().enumerate().filter(|(number, _)| lost >> number & 1 == 1) {
        if *written > epoch {
            world.wrong = Some("an old mirror overwrote something new");
        } else if kept >> number & 1 == 0 {
            world.wrong = Some("something written is nowhere");
        }
    }
    world.hosts[target].live = content;
    true
}
