//! A simulator: the real seats in a world that is as bad as a seed makes it, and checks that know nothing of what seats believe.
//!
//! One seed is one world: its lines, clocks, faults, people and times. The same seed gives the same run, always.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

mod checks;
mod data;
mod driver;
mod faults;
mod mutant;
mod outcome;
mod random;
mod rounds;
mod world;

pub use mutant::Mutant;
pub use outcome::Outcome;

use self::world::{Event, World};

const DAY: u64 = 86_400_000_000;

/// Runs one seed for so many simulated days, and then until all is quiet again.
#[must_use]
pub fn run(seed: u64, days: u64, mutant: Option<Mutant>, tracing: bool) -> Outcome {
    let mut world = World::new(seed, mutant, tracing);
    let (unit, end) = (world.unit, days.max(1) * DAY);
    for host in 0..2 {
        world.after(host as u64, Event::Restart { host, life: 0 });
        world.after(unit, Event::Mirror { host });
    }
    world.after(unit * 2, Event::Write);
    world.after(unit * 3, Event::Person);
    world.next_fault();
    // After the chaos everything must come to rest: twice told, because a repair may still be under way.
    for peace in [0, 100, 200, 300] {
        world.after(end + peace * unit, Event::Peace);
    }
    let over = end + 500 * unit;
    while let Some(event) = world.next() {
        if world.now >= over {
            break;
        }
        world.happen(event);
    }
    world.check_peace();
    world.outcome
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { host } => {
                if self.hosts[host].wake_at != Some(self.now) {
                    return;
                }
                if self.now < self.hosts[host].paused_until {
                    let until = self.hosts[host].paused_until;
                    self.hosts[host].wake_at = Some(until);
                    return self.after(until - self.now, Event::Wake { host });
                }
                self.hosts[host].wake_at = None;
                self.tell(host, dr_core::failover::Input::Wake);
            }
            Event::Tell { host, life, input } => {
                if self.hosts[host].life != life || self.hosts[host].seat.is_none() {
                    return;
                }
                if self.now < self.hosts[host].paused_until {
                    let delay = self.hosts[host].paused_until - self.now;
                    return self.after(delay, Event::Tell { host, life, input });
                }
                self.deliver(host, input);
            }
            Event::AtCoordinator { host, life, turn, write } => self.at_coordinator(host, life, turn, write),
            Event::Round { host, life } => self.round(host, life),
            Event::Mirror { host } => {
                let every = self.chaos.mirror_every * self.unit;
                self.after(every, Event::Mirror { host });
                self.mirror(host, None);
            }
            Event::Land(push) => self.land(&push),
            Event::PutAside { host, life, epoch } => self.put_aside(host, life, epoch),
            Event::Applied { host, life, epoch } => self.applied(host, life, epoch),
            Event::Restart { host, life } => {
                if self.hosts[host].life == life {
                    self.start(host);
                }
            }
            Event::Write => self.write(),
            Event::Fault => {
                if !self.chaos.over {
                    self.fault();
                }
            }
            Event::Heal(wound) => self.heal(&wound),
            Event::Person => self.person(),
            Event::Repair { step } => self.repair(step),
            Event::Peace => self.peace(),
        }
    }
}

/// Runs many seeds, on all processors, and hands each outcome over in the order of the seeds.
pub fn campaign(
    from: u64,
    seeds: u64,
    days: u64,
    mutant: Option<Mutant>,
    tracing: bool,
    mut each: impl FnMut(&Outcome),
) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut sum = Outcome::default();
    let lot = 64 * threads;
    let mut at = from;
    while at < from + seeds {
        let until = (at + lot).min(from + seeds);
        let run_every = |first: u64| {
            let seeds = (first..until).step_by(threads as usize);
            seeds.map(|seed| run(seed, days, mutant, tracing)).collect::<Vec<_>>()
        };
        let mut outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let run_every = &run_every;
            let running: Vec<_> =
                (0..threads).map(|thread| scope.spawn(move || run_every(at + thread))).collect();
            running.into_iter().flat_map(|thread| thread.join().expect("a run that ends")).collect()
        });
        outcomes.sort_by_key(|outcome| outcome.seed);
        for outcome in &outcomes {
            each(outcome);
            sum.add(outcome);
        }
        at = until;
    }
    sum
}
