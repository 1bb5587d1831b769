//! What goes on around the seats: observers look, guards are asked, people write, mirrors land.

use std::time::Duration;

use dr_core::failover::{DownKind, Guard, Input, LastMirror, Seat, Sight, Tenure, Verdict, Vote, guard};
use dr_core::{Epoch, Error, ErrorKind, Period, Tick, Timestamp};

use super::data::{Push, WRITES};
use super::mutant::Mutant;
use super::world::{COORDINATOR, Event, FIRST_OBSERVER, Host, World};

impl World {
    pub(crate) fn vote_valid_for(&self) -> u64 {
        self.unit
    }

    /// The process on a host asks all observers about the other host, and tells the other where it stands.
    pub(crate) fn round(&mut self, host: usize, life: u32) {
        if self.hosts[host].life != life || self.hosts[host].seat.is_none() {
            return;
        }
        self.after(self.unit / 2, Event::Round { host, life });
        if self.now < self.hosts[host].paused_until {
            return;
        }
        let report = self.hosts[host].seat.as_ref().and_then(Seat::report);
        let Some(report) = report else { return };
        self.send_other(host, report);
        for observer in 0..self.observers.len() {
            self.ask_observer(host, observer, life);
        }
    }

    fn ask_observer(&mut self, host: usize, observer: usize, life: u32) {
        let node = FIRST_OBSERVER + observer;
        let asked = self.local(host);
        let delay = self.delay();
        if !self.observers[observer].up || !self.passes(host, node) {
            return;
        }
        let vote = self.look(observer, 1 - host);
        if self.passes(node, host) {
            self.after(delay, Event::Tell { host, life, input: Input::Vote { vote, asked } });
        }
    }

    /// An observer looks at a host once more, by the real rules of fall and rise, and says what it makes of it.
    fn look(&mut self, observer: usize, target: usize) -> Vote {
        let node = FIRST_OBSERVER + observer;
        let there = &self.hosts[target];
        let answers = there.up && there.service && self.serving(target).is_some();
        let reached = !self.cut[node][target] && !self.cut[target][node];
        let others = (0..self.observers.len()).map(|other| FIRST_OBSERVER + other).chain([COORDINATOR]);
        let anchored = others
            .filter(|other| *other != node)
            .any(|other| !self.cut[node][other] && !self.cut[other][node]);
        let blind = !reached && !anchored;
        let sight = if reached && answers {
            Sight::Up { took_us: 1 }
        } else if blind {
            Sight::Unknown { detail: String::new() }
        } else {
            Sight::Down { kind: DownKind::TimedOut, detail: String::new() }
        };
        let (thresholds, at) = (self.thresholds.clone(), Tick(Duration::from_micros(self.now)));
        let watcher = &mut self.observers[observer];
        watcher.sequence += 1;
        watcher.health[target].step(&sight, at, &thresholds);
        let verdict = if blind { Verdict::Blind } else { watcher.health[target].verdict() };
        let (observer, sequence) = (watcher.id.clone(), watcher.sequence);
        let valid_for = Period::from(Duration::from_micros(self.vote_valid_for()));
        if blind {
            self.outcome.reach("blind observer");
        }
        Vote { observer, sequence, verdict, valid_for }
    }

    /// What reaches a process, with what the checks note beside it.
    pub(crate) fn deliver(&mut self, host: usize, input: Input) {
        self.chaos.really_asked = match &input {
            Input::Vote { asked, .. } => Some(*asked),
            _ => None,
        };
        self.chaos.guards_failed =
            matches!(&input, Input::Guards { guards, .. } if guards.iter().any(|guard| !guard.passed));
        let blind = matches!(&input, Input::Vote { vote, .. } if vote.verdict == Verdict::Blind);
        if blind && self.is(Mutant::BlindObserversVote) {
            let Input::Vote { mut vote, asked } = input else { return };
            self.note_heard(host, &Input::Vote { vote: vote.clone(), asked });
            vote.verdict = Verdict::Down { kind: DownKind::TimedOut };
            return self.tell(host, Input::Vote { vote, asked });
        }
        self.tell(host, input);
    }

    /// The real guards, on what is so.
    pub(crate) fn guards(&mut self, host: usize) -> Vec<Guard> {
        let here = &self.hosts[host];
        let sight = if here.service {
            Sight::Up { took_us: 1 }
        } else {
            Sight::Down { kind: DownKind::Refused, detail: String::new() }
        };
        let wall = |micros: u64| Timestamp::from_micros(i64::try_from(micros).unwrap_or(0));
        let last = here.mirrored.map(|started| LastMirror {
            site: here.charter.site.clone(),
            epoch: Epoch(1),
            started: wall(started),
            finished: wall(started),
            paths: 0,
            bytes: 0,
            planned: None,
            seal: None,
        });
        let rpo = Period::from(Duration::from_micros(self.unit * 40));
        let fresh = guard::mirror_fresh(&here.charter.me, Ok(last.as_ref()), wall(self.now), rpo);
        let healthy = guard::standby_healthy(&here.charter.me, &[sight]);
        let seen = here.disk.seen.as_ref().map(|seen| seen.epoch).unwrap_or_default();
        let reached = self.coordinator.up && !self.cut[host][COORDINATOR] && !self.cut[COORDINATOR][host];
        let unreached = Error::new(ErrorKind::Unreachable, "ask who holds it", "no answer");
        let tenure = self.coordinator.lease.as_ref().map(|lease| Tenure {
            epoch: lease.epoch,
            home: lease.home.clone(),
            nonce: lease.by.to_string(),
        });
        let read = if reached { Ok(tenure.as_ref()) } else { Err(&unreached) };
        let refusals: &[String] = if reached { &[] } else { &["no answer".to_owned()] };
        vec![healthy, fresh, guard::dns_changeable(1, refusals), guard::tenure(read, seen)]
    }

    /// Somebody writes, wherever it is possible.
    pub(crate) fn write(&mut self) {
        let rest = self.random.between(1, self.unit * 4);
        if self.written.len() >= WRITES || self.chaos.over {
            return;
        }
        self.after(rest, Event::Write);
        for host in 0..2 {
            let Some(epoch) = self.serving(host) else { continue };
            if self.hosts[host].service {
                self.hosts[host].live.insert(self.written.len());
                self.written.push(epoch);
            }
        }
    }

    /// The home mirrors to the other host; before a handover a last time.
    pub(crate) fn mirror(&mut self, host: usize, last: Option<(u32, u64)>) {
        let other = 1 - host;
        if let Some((_, turn)) = last {
            if self.hosts[host].last_mirror == Some(turn) {
                return;
            }
            self.hosts[host].last_mirror = Some(turn);
        }
        let serves = self.serving(host);
        let Host { up, seat, disk, live, paused_until, .. } = &self.hosts[host];
        let runs = *up && seat.is_some() && self.now >= *paused_until;
        if !runs || serves.is_none() && last.is_none() {
            return;
        }
        let push = Push {
            from: host,
            epoch: disk.standing.epoch,
            content: live.clone(),
            against: self.hosts[other].version,
            began: self.now,
            admitted: Seat::admits(&self.hosts[other].disk, disk.standing.epoch),
            last,
        };
        let takes = self.random.between(self.unit / 20, self.unit * 2);
        self.after(takes, Event::Land(Box::new(push)));
    }

    /// A mirror wants to land.
    pub(crate) fn land(&mut self, push: &Push) {
        let target = 1 - push.from;
        let there = &self.hosts[target];
        let admitted = match self.mutant {
            Some(Mutant::NoReceiverFence) => true,
            Some(Mutant::FenceAtTheStart) => push.admitted,
            _ => Seat::admits(&there.disk, push.epoch),
        };
        // A target that somebody else has changed since it was compared is not written over; with the fence left out as a
        // whole, that goes with it.
        let unchanged = there.version == push.against;
        let reached = there.up && !self.cut[push.from][target];
        let lands = reached && admitted && unchanged;
        if reached && !admitted {
            self.outcome.reach("mirror refused");
        }
        if lands {
            let lost: Vec<usize> = self.hosts[target].live.without(&push.content).collect();
            self.check_landing(target, push.epoch, &lost);
            let there = &mut self.hosts[target];
            there.live = push.content.clone();
            there.version += 1;
            there.mirrored = Some(push.began);
            self.outcome.reach("mirrored");
        }
        if let Some((life, turn)) = push.last {
            let whole = lands && !self.cut[target][push.from] || self.is(Mutant::HandsOverUnmirrored);
            self.hosts[push.from].last_mirror = None;
            let input = Input::Mirrored { turn, whole };
            self.after(0, Event::Tell { host: push.from, life, input });
        }
    }

    pub(crate) fn put_aside(&mut self, host: usize, life: u32, epoch: Epoch) {
        if self.hosts[host].life != life {
            return;
        }
        if !self.is(Mutant::NoQuarantine) {
            let live = self.hosts[host].live.clone();
            self.hosts[host].aside.add(&live);
        }
        self.outcome.reach("put aside");
        self.after(0, Event::Tell { host, life, input: Input::Quarantined { epoch } });
    }

    /// The plan of an epoch has come to the change of the records.
    pub(crate) fn applied(&mut self, host: usize, life: u32, epoch: Epoch) {
        let runs = self.hosts[host].life == life && self.hosts[host].seat.is_some();
        if !runs
            || self.now < self.hosts[host].paused_until
            || !self.passes(host, COORDINATOR)
            || !self.coordinator.up
        {
            return;
        }
        let done = epoch >= self.coordinator.content.1;
        if done {
            self.check_records(host, epoch);
            self.coordinator.content = (host, epoch);
        }
        self.after(0, Event::Tell { host, life, input: Input::Applied { epoch, done } });
    }
}
