//! The world in which seats live: two hosts, a coordinator, observers, lines between them, and time.

use std::collections::BTreeMap;
use std::time::Duration;

use dr_core::estate::{Health as Thresholds, HostId, ObserverId};
use dr_core::failover::{
    Charter, Health, Input, Kept, Lease, Mandate, Observer, Panel, Seat, Terms, Times, Until, Warrant,
};
use dr_core::{Epoch, Period, Tick};

use super::data::{Push, WRITES, Writes};
use super::faults::Chaos;
use super::mutant::Mutant;
use super::outcome::Outcome;
use super::random::Random;

pub(crate) const COORDINATOR: usize = 2;
pub(crate) const FIRST_OBSERVER: usize = 3;
const NODES: usize = 8;

/// One host: its process, its disk, its clock, and what it serves.
pub(crate) struct Host {
    pub(crate) charter: Charter,
    /// The process; none while it is dead.
    pub(crate) seat: Option<Seat>,
    pub(crate) life: u32,
    pub(crate) disk: Kept,
    pub(crate) up: bool,
    pub(crate) service: bool,
    pub(crate) disk_full: bool,
    pub(crate) paused_until: u64,
    /// Real time, local time and rate in thousandths at the last change.
    pub(crate) clock: (u64, u64, u64),
    /// Something beside the process that lets the services serve, and stops them.
    pub(crate) enforcer: Option<(Until, Epoch)>,
    pub(crate) live: Writes,
    pub(crate) aside: Writes,
    pub(crate) version: u64,
    /// When the last mirror that landed here began.
    pub(crate) mirrored: Option<u64>,
    pub(crate) wake_at: Option<u64>,
    /// The attempt whose last mirror is under way.
    pub(crate) last_mirror: Option<u64>,
    /// Votes that reached this process, for whoever checks what they allowed.
    pub(crate) heard: BTreeMap<ObserverId, (u64, dr_core::failover::Verdict, Tick)>,
    /// When guards that all passed were asked.
    pub(crate) passed: Option<Tick>,
    /// When guards were asked last, passed or not.
    pub(crate) looked: Option<Tick>,
    /// The highest epoch in which it ever served.
    pub(crate) served: Epoch,
    pub(crate) saw: Epoch,
}

pub(crate) struct Coordinator {
    pub(crate) up: bool,
    pub(crate) lease: Option<Lease>,
    pub(crate) past: Vec<Lease>,
    pub(crate) highest: Epoch,
    /// Where visitors are sent, and by which epoch.
    pub(crate) content: (usize, Epoch),
    /// It has gone back in time, and nobody has repaired it yet.
    pub(crate) astray: bool,
}

pub(crate) struct Watcher {
    pub(crate) id: ObserverId,
    pub(crate) domain: &'static str,
    pub(crate) up: bool,
    pub(crate) sequence: u64,
    pub(crate) health: [Health; 2],
}

/// What will happen.
pub(crate) enum Event {
    Wake { host: usize },
    Tell { host: usize, life: u32, input: Input },
    AtCoordinator { host: usize, life: u32, turn: u64, write: Option<(Option<Lease>, Lease)> },
    Round { host: usize, life: u32 },
    Mirror { host: usize },
    Land(Box<Push>),
    PutAside { host: usize, life: u32, epoch: Epoch },
    Applied { host: usize, life: u32, epoch: Epoch },
    Restart { host: usize, life: u32 },
    Write,
    Fault,
    Heal(super::faults::Wound),
    Person,
    Repair { step: u8 },
    Peace,
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    pub(crate) random: Random,
    pub(crate) mutant: Option<Mutant>,
    /// Between two signs of life, in microseconds.
    pub(crate) unit: u64,
    pub(crate) terms: Terms,
    pub(crate) stop: u64,
    pub(crate) drift: u64,
    pub(crate) ids: [HostId; 2],
    pub(crate) hosts: [Host; 2],
    pub(crate) coordinator: Coordinator,
    pub(crate) observers: Vec<Watcher>,
    pub(crate) cut: [[bool; NODES]; NODES],
    pub(crate) thresholds: Thresholds,
    pub(crate) written: Vec<Epoch>,
    pub(crate) owners: BTreeMap<Epoch, usize>,
    pub(crate) chaos: Chaos,
    pub(crate) marks: u128,
    pub(crate) outcome: Outcome,
    pub(crate) tracing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, tracing: bool) -> Self {
        let mut random = Random::new(seed);
        let unit = 1_000_000 * random.between(1800, 7200);
        let drift = [20, 100, 200][random.below(3) as usize];
        let span = |micros: u64| Period::from(Duration::from_micros(micros));
        let (hold, stop, answer) = (unit * 4, unit / 4, unit / 3);
        let least = (hold + stop) * (1000 + drift) / (1000 - drift) + 1000;
        let times = Times {
            renew: span(unit),
            hold: span(hold),
            take: span(least),
            stop: span(stop),
            answer: span(answer),
            drift_permille: drift as u32,
        };
        let terms = Terms::try_from(times).expect("these times can work");
        let many = random.one_in(2);
        let places: &[&'static str] =
            if many { &["uk", "us", "us", "nl", "de"] } else { &["uk", "us", "nl"] };
        let observers: Vec<Watcher> =
            places.iter().enumerate().map(|(at, place)| watcher(at, place)).collect();
        let thresholds = Thresholds {
            interval: span(unit / 4),
            fall: random.between(1, 3) as u32,
            rise: random.between(1, 4) as u32,
            hold_down: span(unit * random.between(5, 60)),
            ..Thresholds::default()
        };
        let ids: [HostId; 2] = ["uk", "us"].map(|id| id.parse().expect("a host"));
        let rates = [0, 1].map(|_| random.between(1000 - drift, 1000 + drift));
        let hosts = [0, 1].map(|at| {
            let charter = Charter {
                site: "shop".parse().expect("a site"),
                me: ids[at].clone(),
                other: ids[1 - at].clone(),
                first_home: ids[0].clone(),
                mandate: Mandate::Auto(warrant(&observers, &ids, mutant)),
                terms: terms_of(at, terms, hold, least, mutant),
                thresholds: thresholds.clone(),
            };
            Host::new(charter.checked().expect("a charter"), rates[at])
        });
        let chaos = Chaos::new(&mut random, mutant);
        Self {
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            random,
            mutant,
            unit,
            terms,
            stop,
            drift,
            ids,
            hosts,
            coordinator: Coordinator::new(),
            observers,
            cut: [[false; NODES]; NODES],
            thresholds,
            written: Vec::with_capacity(WRITES),
            owners: BTreeMap::new(),
            chaos,
            marks: u128::from(seed) << 64,
            outcome: Outcome { seed, ..Outcome::default() },
            tracing,
        }
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + delay, self.queued), event);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        Some(event)
    }

    /// How long a message takes: mostly short, sometimes far too long.
    pub(crate) fn delay(&mut self) -> u64 {
        let usual = self.random.between(self.unit / 100, self.unit / 10);
        if self.chaos.slow && self.random.one_in(3) { self.random.below(self.unit * 8) } else { usual }
    }

    /// Whether a message gets from here to there.
    pub(crate) fn passes(&mut self, from: usize, to: usize) -> bool {
        !(self.cut[from][to] || self.chaos.lossy && self.random.one_in(4))
    }

    pub(crate) fn index(&self, host: &HostId) -> usize {
        usize::from(*host == self.ids[1])
    }

    /// What the host's own clock shows.
    pub(crate) fn local(&self, host: usize) -> Tick {
        let (real, local, rate) = self.hosts[host].clock;
        Tick(Duration::from_micros(local + (self.now - real) * rate / 1000))
    }

    /// When the host's clock will show that, at the earliest.
    pub(crate) fn when(&self, host: usize, tick: Tick) -> u64 {
        let (real, local, rate) = self.hosts[host].clock;
        let micros = u64::try_from(tick.0.as_micros()).unwrap_or(u64::MAX / 2000).min(u64::MAX / 2000);
        real + (micros.saturating_sub(local) * 1000).div_ceil(rate)
    }

    pub(crate) fn set_clock(&mut self, host: usize, jump: u64, rate: u64) {
        let local = u64::try_from(self.local(host).0.as_micros()).unwrap_or(0) + jump;
        self.hosts[host].clock = (self.now, local, rate);
    }

    /// The epoch in which the host may be serving now; a host that is to stop takes its time.
    pub(crate) fn serving(&self, host: usize) -> Option<Epoch> {
        let Host { up: true, enforcer: Some((until, epoch)), .. } = &self.hosts[host] else { return None };
        let stop = Duration::from_micros(self.stop);
        let still = match until {
            Until::Told => true,
            Until::Tick(until) => self.local(host).0 < until.0.saturating_add(stop),
        };
        still.then_some(*epoch)
    }

    pub(crate) fn violated(&mut self, what: &'static str) {
        self.trace(|| format!("VIOLATED {what}"));
        self.outcome.violated(what);
    }

    pub(crate) fn trace(&self, said: impl FnOnce() -> String) {
        if self.tracing {
            #[allow(clippy::print_stdout, reason = "a trace is read by a person")]
            {
                println!("{:>9.3} {}", self.now as f64 / self.unit as f64, said());
            }
        }
    }
}

impl Coordinator {
    fn new() -> Self {
        let (lease, past, highest) = (None, vec![], Epoch(0));
        Self { up: true, lease, past, highest, content: (0, Epoch(1)), astray: false }
    }
}

impl Host {
    fn new(charter: Charter, rate: u64) -> Self {
        Self {
            charter,
            seat: None,
            life: 0,
            disk: Kept::default(),
            up: true,
            service: true,
            disk_full: false,
            paused_until: 0,
            clock: (0, 0, rate),
            enforcer: None,
            live: Writes::default(),
            aside: Writes::default(),
            version: 0,
            mirrored: None,
            wake_at: None,
            last_mirror: None,
            heard: BTreeMap::new(),
            passed: None,
            looked: None,
            served: Epoch(0),
            saw: Epoch(0),
        }
    }
}

fn watcher(at: usize, domain: &'static str) -> Watcher {
    let id = format!("{domain}-{at}").parse().expect("an observer");
    Watcher { id, domain, up: true, sequence: 0, health: Default::default() }
}

fn warrant(observers: &[Watcher], ids: &[HostId; 2], mutant: Option<Mutant>) -> Warrant {
    let observer = |watcher: &Watcher| {
        // The defect: each of them is said to be somewhere else.
        let alone = mutant == Some(Mutant::InterestedVotesCount);
        let domain = if alone { watcher.id.to_string() } else { watcher.domain.to_owned() };
        Observer { id: watcher.id.clone(), failure_domain: domain }
    };
    let panel = Panel::new(observers.iter().map(observer).collect()).expect("a panel");
    let hosts = ids.iter().map(|id| (id.clone(), id.to_string()));
    Warrant::new(panel, "third", hosts).expect("a warrant")
}

/// The terms of one host. The defect: the standby of the beginning takes its whole time from a shorter table.
fn terms_of(host: usize, terms: Terms, hold: u64, take: u64, mutant: Option<Mutant>) -> Terms {
    if mutant != Some(Mutant::TakeEqualsHold) || host == 0 {
        return terms;
    }
    let short = |span: Period| {
        let micros = span.as_duration().as_micros() * u128::from(hold) / u128::from(take);
        Period::from(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    };
    let Times { renew, hold, take, stop, answer, drift_permille } = terms.into();
    let (renew, hold, stop, answer) = (short(renew), short(hold), short(stop), short(answer));
    let take = Period::from(short(take).as_duration() + Duration::from_millis(2));
    Terms::try_from(Times { renew, hold, take, stop, answer, drift_permille }).expect("terms of their own")
}
