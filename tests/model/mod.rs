//! The protocol, model-checked: every order in which two seats, the coordinator, late messages, crashes, pauses and drifting clocks
//! can meet, through the real `step`. A thin adapter: what happens here is told to the seats, and what they ask for is done.
//!
//! A message that is never delivered is lost; one that is delivered late is late. What nobody waits for any more is dropped.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dr_core::failover::{
    Charter, Input, Kept, Lease, Mandate, Mark, Observer, Panel, Seat, Terms, Times, Until, Warrant,
};
use dr_core::{Epoch, Period, Tick};
use stateright::{Model, Property};

/// How much may go wrong, and how long it is watched.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Ticks of real time.
    pub ticks: u8,
    /// Times that a clock misses a tick.
    pub drift: u8,
    /// Whether the terms know of that. If not, two hosts must be found to serve.
    pub known: bool,
    /// Processes that die and begin anew.
    pub crashes: u8,
    /// Processes that stand still for a while.
    pub pauses: u8,
    /// Words of a person to move the site to the standby.
    pub takes: u8,
    /// Words of a person to hand it over.
    pub handovers: u8,
    /// Writes of visitors.
    pub writes: u8,
}

impl Bounds {
    /// The whole of it is looked at in less than a minute: a takeover, a handover, and back.
    #[must_use]
    pub fn small(drift: u8) -> Self {
        let ticks = 3 + drift;
        Self { ticks, drift, known: true, crashes: 0, pauses: 0, takes: 1, handovers: 1, writes: 0 }
    }

    /// With everything at once, for a machine with time and memory.
    #[must_use]
    pub fn large(drift: u8) -> Self {
        let ticks = 5 + drift;
        Self { ticks, drift, known: true, crashes: 1, pauses: 1, takes: 2, handovers: 1, writes: 2 }
    }
}

/// The model.
pub struct Failover {
    bounds: Bounds,
    charters: [Charter; 2],
}

/// Everything that is so at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    left: [u8; 7],
    hosts: [Node; 2],
    lease: Option<Lease>,
    /// Questions on their way to the coordinator, and what is on its way to a process.
    asked: BTreeSet<Question>,
    told: BTreeSet<(usize, u8, Message)>,
    owners: BTreeMap<Epoch, usize>,
    /// The epochs of what was written, and mirrors under way: from where, in which epoch, with what.
    written: Vec<Epoch>,
    mirrors: BTreeSet<(usize, Epoch, u8)>,
    wrong: Option<&'static str>,
    handed_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    seat: Seat,
    kept: Kept,
    life: u8,
    clock: u64,
    paused: bool,
    serves: Option<(Until, Epoch)>,
    live: u8,
    aside: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Question {
    host: usize,
    life: u8,
    turn: u64,
    write: Option<Write>,
}

/// A swap: what must be there, and what will be. Ordered by its text, for sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Write(Option<Lease>, Lease);

impl Write {
    fn text(&self) -> (Option<String>, String) {
        (self.0.as_ref().map(Lease::to_text), self.1.to_text())
    }
}

impl PartialOrd for Write {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Write {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text().cmp(&other.text())
    }
}

/// Something told, ordered by its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Message(Input);

impl PartialOrd for Message {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Message {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        format!("{:?}", self.0).cmp(&format!("{:?}", other.0))
    }
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Time passes; one clock may miss it.
    Tick(Option<usize>),
    /// The coordinator takes a question up.
    Answer(usize),
    /// A message arrives.
    Deliver(usize),
    /// A process dies, and the next begins.
    Crash(usize),
    /// A process stands still, or goes on.
    Pause(usize),
    /// A person says to move the site here.
    Take(usize),
    /// A person says to hand it over.
    HandOver(usize),
    /// The last mirror before a handover ends.
    Mirrored(usize),
    /// What a host alone has is put aside.
    PutAside(usize),
    /// A host says where it stands.
    Report(usize),
    /// A visitor writes.
    Write(usize),
    /// A mirror begins.
    Mirror(usize),
    /// A mirror wants to land.
    Land(usize),
}

const TICKS: usize = 0;
const DRIFT: usize = 1;
const CRASHES: usize = 2;
const PAUSES: usize = 3;
const TAKES: usize = 4;
const HANDOVERS: usize = 5;
const WRITES: usize = 6;

fn tick(secs: u64) -> Tick {
    Tick(Duration::from_secs(secs))
}

impl Failover {
    /// The protocol within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let secs = Period::from_secs;
        // Whole ticks, so that a tick more or less matters: three of the holder's may last four of the other's.
        let (take, drift_permille) = if bounds.drift == 0 || !bounds.known { (3, 0) } else { (5, 150) };
        let (renew, answer, hold, stop) = (secs(1), secs(1), secs(3), secs(0));
        let terms = Terms::try_from(Times { renew, hold, take: secs(take), stop, answer, drift_permille });
        let terms = terms.expect("terms that can work");
        let ids = ["uk", "us"];
        let observer =
            |id: &str| Observer { id: id.parse().expect("an observer"), failure_domain: id.into() };
        let panel = Panel::new(["uk", "us", "nl"].map(observer).to_vec()).expect("a panel");
        let hosts = ids.map(|id| (id.parse().expect("a host"), id.to_owned()));
        let warrant = Warrant::new(panel, "nl", hosts).expect("a warrant");
        let charters = [0, 1].map(|at| Charter {
            site: "shop".parse().expect("a site"),
            me: ids[at].parse().expect("a host"),
            other: ids[1 - at].parse().expect("a host"),
            first_home: ids[0].parse().expect("a host"),
            mandate: Mandate::Auto(warrant.clone()),
            terms,
            thresholds: dr_core::estate::Health::default(),
        });
        Self { bounds, charters }
    }
}

impl Model for Failover {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let Bounds { ticks, drift, crashes, pauses, takes, handovers, writes, .. } = self.bounds;
        let node = |mark| Node {
            seat: Seat::start(Kept::default(), Mark(mark), tick(0)),
            kept: Kept::default(),
            life: 0,
            clock: 0,
            paused: false,
            serves: None,
            live: 0,
            aside: 0,
        };
        let mut world = World {
            left: [ticks, drift, crashes, pauses, takes, handovers, writes],
            hosts: [node(1), node(2)],
            lease: None,
            asked: BTreeSet::new(),
            told: BTreeSet::new(),
            owners: BTreeMap::new(),
            written: vec![],
            mirrors: BTreeSet::new(),
            wrong: None,
            handed_over: false,
        };
        // Who claims it first is not the question here: the home has, and the standby knows.
        self.wake(&mut world);
        for _ in 0..4 {
            while !world.asked.is_empty() {
                self.answer(&mut world, 0);
            }
            while !world.told.is_empty() {
                self.deliver(&mut world, 0);
            }
            for host in 0..2 {
                let clock = world.hosts[host].clock + 1;
                world.hosts[host].clock = clock;
            }
            self.wake(&mut world);
        }
        world.forget();
        vec![world]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.wrong.is_none() {
            self.possible(world, moves);
        }
    }

    fn next_state(&self, world: &World, action: Move) -> Option<World> {
        let mut world = world.clone();
        self.happen(&mut world, &action);
        self.wake(&mut world);
        world.forget();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        type Holds = fn(&Failover, &World) -> bool;
        let Bounds { takes, handovers, .. } = self.bounds;
        let always = [
            Property::always("nothing is violated", |_: &Self, world: &World| world.wrong.is_none()),
            Property::always("one host serves", |_, world: &World| {
                !(world.hosts[0].serving() && world.hosts[1].serving())
            }),
        ];
        // What these bounds leave room for must be found.
        let sometimes: [(bool, &'static str, Holds); 4] = [
            (takes > 0, "a takeover that serves", |_, world| world.hosts[1].serving() && !world.handed_over),
            (handovers > 0, "a handover that serves", |_, world| {
                world.hosts[1].serving() && world.handed_over
            }),
            (takes + handovers > 1, "home again", |_, world| {
                world.hosts[0].serving() && world.hosts[0].kept.standing.epoch > Epoch(2)
            }),
            (takes > 0, "a home that loses the site", |_, world| {
                world.hosts.iter().any(|host| !host.kept.reconciled)
            }),
        ];
        let possible = sometimes.into_iter().filter(|(possible, ..)| *possible);
        always.into_iter().chain(possible.map(|(_, name, holds)| Property::sometimes(name, holds))).collect()
    }
}

/// What the checker found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// States without repetition.
    pub unique: usize,
    /// States with it.
    pub states: usize,
    /// The longest path.
    pub depth: usize,
    /// What was violated, and by which path.
    pub violated: Vec<(&'static str, String)>,
    /// What should be possible and is not.
    pub missed: Vec<&'static str>,
}

/// Checks every state within these bounds, or those so many moves from the beginning.
#[must_use]
pub fn check(bounds: Bounds, depth: Option<usize>) -> Checked {
    use stateright::Checker;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = Failover::new(bounds).checker().threads(threads);
    match depth {
        // Depth first keeps only the way to where it is, not every state that is still to be looked at.
        None => judge(&builder.spawn_dfs().join()),
        Some(depth) => judge(&builder.target_max_depth(depth).spawn_bfs().join()),
    }
}

fn judge(checker: &impl stateright::Checker<Failover>) -> Checked {
    use stateright::Expectation;
    let found = checker.discoveries();
    let mut checked = Checked {
        unique: checker.unique_state_count(),
        states: checker.state_count(),
        depth: checker.max_depth(),
        violated: vec![],
        missed: vec![],
    };
    for property in checker.model().properties() {
        match (property.expectation, found.get(property.name)) {
            (Expectation::Always, Some(path)) => {
                let moves: Vec<String> =
                    path.clone().into_actions().iter().map(|action| format!("{action:?}")).collect();
                let why = path.last_state().wrong.unwrap_or("two hosts serve");
                checked.violated.push((property.name, format!("{why}: {}", moves.join(", "))));
            }
            (Expectation::Sometimes | Expectation::Eventually, None) => checked.missed.push(property.name),
            _ => {}
        }
    }
    checked
}
