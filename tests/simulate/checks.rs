//! What must hold, worked out from what happened and not from what the seats believe.

use std::collections::BTreeSet;

use dr_core::failover::{Action, Input, Lease, Phase, Seat, Verdict};
use dr_core::{Epoch, Tick};

use super::driver::Was;
use super::mutant::Mutant;
use super::world::World;

impl World {
    /// The coordinator writes.
    pub(crate) fn written(&mut self, writer: usize, from: Option<&Lease>, to: Lease) {
        let (owner, raised) = (self.index(&to.home), from.is_none_or(|from| from.epoch < to.epoch));
        let strict = !self.coordinator.astray;
        if strict && self.owners.insert(to.epoch, owner).is_some_and(|before| before != owner) {
            self.violated("I4: one epoch, two owners");
        }
        if !raised && from.is_some_and(|from| from.unacknowledged) && !to.unacknowledged {
            if self.chaos.said != Some(to.epoch) && strict {
                self.violated("I8: acknowledged by nobody");
            }
            self.chaos.unacknowledged = false;
        }
        if raised && owner != writer {
            self.outcome.reach("handover");
            let (left, there) = (&self.hosts[writer].live, &self.hosts[owner].live);
            if left.without(there).next().is_some() {
                self.violated("I11: handed over before everything was there");
            }
        } else if raised && from.is_some() {
            self.outcome.reach("takeover");
            if !self.chaos.automatic[writer] {
                // A person who moves it has looked.
                self.chaos.unacknowledged = false;
            } else {
                self.outcome.reach("takeover without a person");
                if self.chaos.unacknowledged && strict {
                    self.violated("I8: moved twice without a person");
                }
                self.chaos.unacknowledged = true;
            }
        }
        self.coordinator.highest = to.epoch.max(self.coordinator.highest);
        self.coordinator.past.push(to.clone());
        self.coordinator.lease = Some(to);
    }

    /// Remembers, apart from the seat, what it was told by observers and guards.
    pub(crate) fn note_heard(&mut self, host: usize, input: &Input) {
        match input {
            Input::Vote { vote, asked } => {
                // When it was really asked for, whatever a defect makes of that.
                let asked = self.chaos.really_asked.unwrap_or(*asked);
                let heard = &mut self.hosts[host].heard;
                let newer = heard.get(&vote.observer).is_none_or(|(sequence, ..)| *sequence < vote.sequence);
                if newer {
                    heard.insert(vote.observer.clone(), (vote.sequence, vote.verdict, asked));
                }
            }
            Input::Guards { asked, .. } => {
                // Of two answers the one that was asked for later counts, in whatever order they come.
                let here = &mut self.hosts[host];
                if here.looked.is_none_or(|looked| looked <= *asked) {
                    here.looked = Some(*asked);
                    here.passed = (!self.chaos.guards_failed).then_some(*asked);
                }
            }
            Input::ClockJumped => {
                self.hosts[host].heard.clear();
                (self.hosts[host].passed, self.hosts[host].looked) = (None, None);
            }
            _ => {}
        }
    }

    pub(crate) fn check_step(&mut self, host: usize, was: &Was, seat: &Seat, actions: &[Action], at: Tick) {
        let begun = !was.raising && seat.kept.raising.is_some();
        let automatic = seat.kept.raising.as_ref().is_some_and(|raising| raising.automatic);
        if begun {
            self.chaos.automatic[host] = automatic;
        }
        if begun && automatic {
            if let Some(what) = self.unjustified(host, at) {
                self.violated(what);
            }
            if was.maintenance && (seat.kept.maintenance.is_some() || self.is(Mutant::MovesInMaintenance)) {
                self.violated("I7: moved in maintenance");
            }
            if self.chaos.maintained[host] {
                self.violated("I7: moved in maintenance");
            }
        }
        let moves = actions.iter().any(Action::moves_something);
        if was.frozen && seat.kept.frozen.is_some() && moves {
            self.violated("I6: it acts although it is frozen");
        }
        if was.drill && seat.drill.is_some() && moves {
            self.violated("I13: a drill moves something");
        }
        if actions.iter().any(|action| matches!(action, Action::Rehearse { .. })) {
            self.outcome.reach("rehearsed");
        }
        if matches!(was.phase, Phase::Executing { .. }) && was.quiet && moves {
            self.outcome.reach("moving");
        }
    }

    /// Why a move without a person was not justified by what this process had heard, counted anew.
    fn unjustified(&self, host: usize, at: Tick) -> Option<&'static str> {
        let valid = self.vote_valid_for();
        let fresh = |asked: &Tick| at.since(*asked).as_micros() <= u128::from(valid);
        let (mut down, mut domains, mut interested) = (0, BTreeSet::new(), 0);
        for observer in &self.observers {
            let Some((_, verdict, asked)) = self.hosts[host].heard.get(&observer.id) else { continue };
            if !fresh(asked) {
                continue;
            }
            match verdict {
                Verdict::Up => return Some("I7: moved against a vote for up"),
                Verdict::Down { .. } => {
                    domains.insert(observer.domain);
                    if observer.domain == self.ids[host].as_str() {
                        interested = 1;
                    } else {
                        down += 1;
                    }
                }
                Verdict::Blind | Verdict::Unknown => {}
            }
        }
        if (down + interested) * 2 <= self.observers.len() || domains.len() < 2 {
            return Some("I7: moved without a quorum");
        }
        let guarded =
            self.hosts[host].passed.is_some_and(|asked| at.since(asked) <= self.terms.hold().as_duration());
        if guarded { None } else { Some("I7: moved past a guard") }
    }

    /// Content of a host is replaced: what is lost with it must be somewhere.
    pub(crate) fn check_landing(&mut self, target: usize, push_epoch: Epoch, lost: &[usize]) {
        for write in lost {
            if self.written[*write] > push_epoch {
                self.violated("I2: an old mirror overwrote something new");
            }
            let elsewhere = self.hosts[1 - target].live.contains(*write)
                || self.hosts.iter().any(|host| host.aside.contains(*write));
            if !elsewhere {
                self.violated("I3: something written is nowhere");
            }
        }
    }

    /// Visitors are sent to a host.
    pub(crate) fn check_records(&mut self, host: usize, epoch: Epoch) {
        let older = self.serving(1 - host).is_some_and(|serves| serves < epoch);
        if older && !self.coordinator.astray {
            self.violated("I10: visitors are sent away while the old home serves");
        }
        if epoch < self.coordinator.content.1 {
            self.violated("I5: an older epoch changes the records");
        }
    }

    /// All faults are healed and everybody has been told that it is over: one host serves, and everybody agrees which.
    pub(crate) fn check_peace(&mut self) {
        let serving: Vec<usize> = (0..2).filter(|host| self.serving(*host).is_some()).collect();
        let held = self.coordinator.lease.as_ref().map(|lease| self.index(&lease.home));
        let [home] = serving[..] else {
            self.violated(if serving.is_empty() { "L: nobody serves" } else { "I1: two hosts serve" });
            return;
        };
        if held != Some(home) || self.coordinator.content.0 != home {
            self.violated("L: not everybody knows who serves");
        }
        let settled = |host: usize| {
            let seat = self.hosts[host].seat.as_ref();
            let phase = seat.map(|seat| seat.phase(&self.hosts[host].charter));
            matches!(phase, Some(Phase::Stable | Phase::Switched))
        };
        if !settled(0) || !settled(1) {
            self.violated("L: no rest");
        }
    }
}
