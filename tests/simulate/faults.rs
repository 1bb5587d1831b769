//! What goes wrong, and what people do about it.

use std::collections::BTreeSet;

use dr_core::failover::{GuardName, Input, Lease, Mark, Order};
use dr_core::{Epoch, Tick};

use super::mutant::Mutant;
use super::random::Random;
use super::world::{Event, FIRST_OBSERVER, World};

/// Which faults a run knows, and what is wrong right now.
pub(crate) struct Chaos {
    kinds: Vec<Kind>,
    /// Between two faults, in units.
    rest: u64,
    people: u64,
    pub(crate) mirror_every: u64,
    pub(crate) slow: bool,
    pub(crate) lossy: bool,
    pub(crate) crashy: bool,
    pub(crate) over: bool,
    /// For the checks: a move without a person that none has acknowledged; who works where; what was really so.
    pub(crate) unacknowledged: bool,
    /// The epoch whose move a person has acknowledged.
    pub(crate) said: Option<Epoch>,
    pub(crate) maintained: [bool; 2],
    pub(crate) automatic: [bool; 2],
    pub(crate) regressed: bool,
    pub(crate) really_asked: Option<Tick>,
    pub(crate) guards_failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cut,
    Isolate,
    Slow,
    Lossy,
    Crash,
    PowerCut,
    Pause,
    ServiceDown,
    ClockRate,
    ClockJump,
    DiskFull,
    CoordinatorDown,
    Regress,
    ObserverDown,
    ObserverCutOff,
}

/// What is to be healed.
pub(crate) enum Wound {
    Cut(usize, usize),
    Slow,
    Lossy,
    Power(usize),
    Service(usize),
    Disk(usize),
    Coordinator,
    Observer(usize),
}

impl Chaos {
    pub(crate) fn new(random: &mut Random, mutant: Option<Mutant>) -> Self {
        use Kind::*;
        let all = [
            Cut,
            Cut,
            Isolate,
            Slow,
            Lossy,
            Crash,
            PowerCut,
            Pause,
            ServiceDown,
            ServiceDown,
            ClockRate,
            ClockJump,
            DiskFull,
            CoordinatorDown,
            ObserverDown,
            ObserverCutOff,
        ];
        let mut kinds: Vec<Kind> = all.into_iter().filter(|_| !random.one_in(3)).collect();
        let regresses = matches!(mutant, Some(Mutant::WitnessRegresses | Mutant::ForgetsWhatItSaw));
        if regresses || random.one_in(6) {
            kinds.push(Regress);
        }
        if kinds.is_empty() {
            kinds.push(Cut);
        }
        Self {
            kinds,
            rest: random.between(2, 25),
            people: random.between(5, 60),
            mirror_every: random.between(1, 6),
            slow: false,
            lossy: false,
            crashy: random.one_in(3),
            over: false,
            unacknowledged: false,
            said: None,
            maintained: [false; 2],
            automatic: [false; 2],
            regressed: false,
            really_asked: None,
            guards_failed: false,
        }
    }
}

impl World {
    pub(crate) fn next_fault(&mut self) {
        if !self.chaos.over {
            let rest = self.random.between(1, self.chaos.rest * 2 * self.unit);
            self.after(rest, Event::Fault);
        }
    }

    /// Something goes wrong, for a while: mostly about as long as the protocol's own times.
    pub(crate) fn fault(&mut self) {
        let kind = self.chaos.kinds[self.random.below(self.chaos.kinds.len() as u64) as usize];
        let long = [2, 8, 30][self.random.below(3) as usize] * self.unit;
        let lasts = self.random.between(self.unit / 10, long);
        let host = self.random.below(2) as usize;
        self.trace(|| format!("fault {kind:?} host {host} for {:.2}", lasts as f64 / self.unit as f64));
        match kind {
            Kind::Cut => {
                let nodes = (FIRST_OBSERVER + self.observers.len()) as u64;
                let (from, to) = (self.random.below(nodes) as usize, self.random.below(nodes) as usize);
                self.sever(from, to, lasts);
                if self.random.one_in(2) {
                    self.sever(to, from, lasts);
                }
            }
            Kind::Isolate => {
                for node in 0..FIRST_OBSERVER + self.observers.len() {
                    self.sever(host, node, lasts);
                    self.sever(node, host, lasts);
                }
            }
            Kind::Slow => (self.chaos.slow, _) = (true, self.after(lasts, Event::Heal(Wound::Slow))),
            Kind::Lossy => (self.chaos.lossy, _) = (true, self.after(lasts, Event::Heal(Wound::Lossy))),
            Kind::Crash => self.crash(host),
            Kind::PowerCut => {
                self.hosts[host].up = false;
                self.hosts[host].enforcer = None;
                self.hosts[host].seat = None;
                self.after(lasts, Event::Heal(Wound::Power(host)));
            }
            Kind::Pause => self.hosts[host].paused_until = self.now + lasts,
            Kind::ServiceDown => {
                self.hosts[host].service = false;
                self.after(lasts, Event::Heal(Wound::Service(host)));
            }
            Kind::ClockRate => {
                let rate = self.random.between(1000 - self.drift, 1000 + self.drift);
                self.set_clock(host, 0, rate);
                self.tell_wake(host);
            }
            Kind::ClockJump => {
                let (jump, rate) = (self.random.below(self.unit * 10), self.hosts[host].clock.2);
                self.set_clock(host, jump, rate);
                if self.now >= self.hosts[host].paused_until {
                    self.tell(host, Input::ClockJumped);
                } else {
                    let life = self.hosts[host].life;
                    self.after(0, Event::Tell { host, life, input: Input::ClockJumped });
                }
            }
            Kind::DiskFull => {
                self.hosts[host].disk_full = true;
                self.after(lasts, Event::Heal(Wound::Disk(host)));
            }
            Kind::CoordinatorDown => {
                self.coordinator.up = false;
                self.after(lasts, Event::Heal(Wound::Coordinator));
            }
            Kind::Regress => self.regress(),
            Kind::ObserverDown => {
                let observer = self.random.below(self.observers.len() as u64) as usize;
                self.observers[observer].up = false;
                self.after(lasts, Event::Heal(Wound::Observer(observer)));
            }
            Kind::ObserverCutOff => self.cut_off(host, lasts),
        }
        self.next_fault();
    }

    /// All lines of an observer but the one to this host: it can still say something, and knows nothing.
    fn cut_off(&mut self, host: usize, lasts: u64) {
        let observer = FIRST_OBSERVER + self.random.below(self.observers.len() as u64) as usize;
        for node in (0..FIRST_OBSERVER + self.observers.len()).filter(|node| *node != host) {
            self.sever(observer, node, lasts);
            self.sever(node, observer, lasts);
        }
    }

    fn tell_wake(&mut self, host: usize) {
        self.hosts[host].wake_at = None;
        let life = self.hosts[host].life;
        self.after(0, Event::Tell { host, life, input: Input::Wake });
    }

    fn sever(&mut self, from: usize, to: usize, lasts: u64) {
        self.cut[from][to] = true;
        self.after(lasts, Event::Heal(Wound::Cut(from, to)));
    }

    pub(crate) fn heal(&mut self, wound: &Wound) {
        match *wound {
            Wound::Cut(from, to) => self.cut[from][to] = false,
            Wound::Slow => self.chaos.slow = false,
            Wound::Lossy => self.chaos.lossy = false,
            Wound::Power(host) if !self.hosts[host].up => {
                self.hosts[host].up = true;
                // Its clock begins anew.
                let rate = self.hosts[host].clock.2;
                self.hosts[host].clock = (self.now, 0, rate);
                self.start(host);
            }
            Wound::Power(_) => {}
            Wound::Service(host) => self.hosts[host].service = true,
            Wound::Disk(host) => self.hosts[host].disk_full = false,
            Wound::Coordinator => self.coordinator.up = true,
            Wound::Observer(observer) => self.observers[observer].up = true,
        }
    }

    /// The coordinator is restored from a copy; some time later people notice, stop everything, wait until nobody can be
    /// serving, and write an epoch above all others.
    fn regress(&mut self) {
        let past = self.coordinator.past.len() as u64;
        if self.coordinator.astray || past < 2 {
            return;
        }
        let back = self.random.between(1, (past - 1).min(40)) as usize;
        let restored = self.coordinator.past[past as usize - 1 - back].clone();
        self.outcome.reach("coordinator went back");
        self.chaos.regressed = true;
        self.coordinator.lease = Some(restored);
        self.coordinator.astray = self.mutant != Some(Mutant::WitnessRegresses);
        let noticed = self.random.between(self.unit, self.unit * 20);
        self.after(noticed, Event::Repair { step: 0 });
    }

    pub(crate) fn repair(&mut self, step: u8) {
        let wait = (u64::try_from(self.terms.take().as_duration().as_micros()).unwrap_or(0) + self.stop) * 2;
        match step {
            0 => {
                for host in 0..2 {
                    self.hosts[host].paused_until = 0;
                    self.order(host, Order::Freeze { by: "ann: the coordinator was restored".into() });
                }
                // Whoever could not be told is told by hand: nobody serves while this goes on.
                self.after(wait, Event::Repair { step: 1 });
            }
            1 => {
                for host in 0..2 {
                    self.hosts[host].enforcer = None;
                    self.hosts[host].seat = None;
                }
                let home = self.random.below(2) as usize;
                let epoch = Epoch(self.coordinator.highest.0 + 1000);
                let lease = Lease { epoch, ..Lease::first(&self.ids[home], Mark(0), 0) };
                self.coordinator.highest = epoch;
                self.coordinator.past = vec![lease.clone()];
                self.coordinator.lease = Some(Lease { settled: false, ..lease });
                self.owners.insert(epoch, home);
                self.chaos.unacknowledged = false;
                self.after(self.unit, Event::Repair { step: 2 });
            }
            _ => {
                self.coordinator.astray = false;
                for host in 0..2 {
                    self.start(host);
                    self.order(host, Order::Thaw { by: "ann: repaired".into() });
                }
            }
        }
    }

    fn order(&mut self, host: usize, order: Order) {
        if self.now >= self.hosts[host].paused_until {
            self.tell(host, Input::Order(order));
        }
    }

    /// A person does something, sensible or not.
    pub(crate) fn person(&mut self) {
        if self.chaos.over {
            return;
        }
        let rest = self.random.between(1, self.chaos.people * 2 * self.unit);
        self.after(rest, Event::Person);
        let (host, by) = (self.random.below(2) as usize, "ann".to_owned());
        if self.hosts[host].seat.is_none() {
            return;
        }
        match self.random.below(12) {
            0..=2 => self.order(host, Order::HandOver { by }),
            3 | 4 => self.acknowledge(),
            5 => {
                self.order(host, Order::Hold { by, span: None });
                let here = &self.hosts[host];
                let heard = here.seat.is_some() && !here.disk_full && self.now >= here.paused_until;
                let respected = here.disk.maintenance.is_some() || self.is(Mutant::MovesInMaintenance);
                self.chaos.maintained[host] = heard && respected;
            }
            6 | 7 => {
                self.chaos.maintained[host] = false;
                self.order(host, Order::Release { by });
            }
            8 => self.order(host, Order::Drill { by }),
            9 => self.order(host, Order::GiveUp { by }),
            10 => {
                let seat = self.hosts[host].seat.as_ref();
                let epoch = seat.and_then(|seat| seat.lease()).map(|lease| lease.epoch).unwrap_or_default();
                let all = [
                    GuardName::StandbyHealthy,
                    GuardName::MirrorFresh,
                    GuardName::DnsChangeable,
                    GuardName::Tenure,
                    GuardName::Quorum,
                ];
                let despite: BTreeSet<GuardName> =
                    all.into_iter().filter(|_| !self.random.one_in(8)).collect();
                self.order(host, Order::Take { by, epoch, despite, stopped: false });
            }
            _ if self.random.one_in(3) => self.order(host, Order::Freeze { by }),
            _ => self.order(host, Order::Thaw { by }),
        }
    }

    fn acknowledge(&mut self) {
        for host in 0..2 {
            // Whoever holds the site hears it, if its process runs; what it makes of that is seen at the coordinator.
            let held = self.coordinator.lease.as_ref().filter(|lease| lease.home == self.ids[host]);
            let runs = self.hosts[host].seat.is_some() && self.now >= self.hosts[host].paused_until;
            self.chaos.said = held.filter(|_| runs).map(|lease| lease.epoch).or(self.chaos.said);
            self.order(host, Order::Acknowledge { by: "ann".into() });
        }
    }

    /// Everything is healed, and people tell everybody that it is over.
    pub(crate) fn peace(&mut self) {
        self.chaos.over = true;
        (self.chaos.slow, self.chaos.lossy, self.chaos.crashy) = (false, false, false);
        self.cut = Default::default();
        self.coordinator.up = true;
        self.observers.iter_mut().for_each(|observer| observer.up = true);
        for host in 0..2 {
            self.hosts[host].service = true;
            self.hosts[host].disk_full = false;
            self.hosts[host].paused_until = 0;
            self.heal(&Wound::Power(host));
            self.start(host);
            self.chaos.maintained[host] = false;
            self.order(host, Order::Release { by: "ann".into() });
            if !self.coordinator.astray {
                self.order(host, Order::Thaw { by: "ann".into() });
            }
            self.order(host, Order::GiveUp { by: "ann".into() });
        }
        self.acknowledge();
    }
}
