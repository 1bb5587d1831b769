//! Plans over small worlds, and what "old" and "new" mean in each.

use std::net::SocketAddr;
use std::time::Duration;

use crate::dns::{Agreement, Agreements, SetChange, ZoneChange, ZoneChanges};
use crate::estate::{
    Epoch, Estate, HostId, Location, ProbeSpec, RecordKey, RecordSet, RecordType, Remote, SiteId, ZoneName,
};
use crate::failover::{Expect, Raise, Role, RoleChange, Standing, Tenure, standing_path};
use crate::mirror::{Options, RelPath};
use crate::plan::{OnFailure, Pause, Plan, Planned, Step};
use crate::time::{Period, Timestamp};
use crate::toolkit::Toolkit;
use crate::world::Control;
use crate::world::sim::SimWorld;

/// One thing that a plan changes, as it can be read from the world.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Role {
        remote: Remote,
        old: Option<Standing>,
        new: Option<Standing>,
    },
    Home {
        old: HostId,
        new: HostId,
    },
    Records {
        zone: ZoneName,
        key: RecordKey,
        old: Option<RecordSet>,
        new: Option<RecordSet>,
    },
    /// Pages of the target tree: their path, and what is in them before and after.
    Tree {
        pages: Vec<(&'static str, Option<&'static str>, Option<&'static str>)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Old,
    New,
    Neither,
}

/// A world, a plan for it, and what it changes.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) world: SimWorld,
    pub(super) plan: Plan,
    /// What must be wholly old or wholly new.
    pub(super) parts: Vec<Part>,
    /// What may stay old in a new world, because the step was only wanted.
    pub(super) wanted: Vec<Part>,
}

pub(super) fn site() -> SiteId {
    "shop".parse().unwrap()
}

pub(super) fn zone() -> ZoneName {
    "example.org".parse().unwrap()
}

pub(super) fn key() -> RecordKey {
    RecordKey::new("www.example.org".parse().unwrap(), RecordType::A)
}

pub(super) fn address(address: &str) -> RecordSet {
    RecordSet::new(key().owner, RecordType::A, 60, [address])
}

pub(super) fn remote(host: &str) -> Remote {
    format!("root@{host}").parse().unwrap()
}

pub(super) fn role_path() -> String {
    standing_path(STATE_DIR, &site())
}

const STATE_DIR: &str = "/var/lib/dr";

fn tree(host: &str) -> Location {
    Location::Remote { remote: remote(host), path: "/var/www".to_owned() }
}

fn page(path: &str) -> RelPath {
    RelPath::new(path.as_bytes()).unwrap()
}

fn host(name: &str) -> HostId {
    name.parse().unwrap()
}

fn server(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 53))
}

fn tenure(epoch: u64, home: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: host(home), nonce: format!("nonce-{epoch}") }
}

fn standing(role: Role, epoch: u64) -> Option<Standing> {
    Some(Standing { role, epoch: Epoch(epoch) })
}

impl Part {
    /// Whether it was found as the plan wants it.
    pub(super) fn is_the_same_either_way(&self) -> bool {
        matches!(self, Self::Role { old, new, .. } if old == new)
    }

    /// Whether this is how it may stand in a world that is wholly old, or wholly new.
    pub(super) fn fits(&self, stand: Stand, wished: Stand) -> bool {
        let stays_newer = matches!(self, Self::Tree { .. }) && (stand, wished) == (Stand::New, Stand::Old);
        stand == wished || stays_newer || (stand == Stand::Old && self.is_the_same_either_way())
    }

    pub(super) fn stand(&self, world: &SimWorld) -> Stand {
        let (old, new) = match self {
            Self::Role { remote, old, new } => {
                let now = world.file(remote, &role_path());
                let now: Option<Standing> = now.map(|bytes| serde_json::from_slice(&bytes).unwrap());
                (now == *old, now == *new)
            }
            // The epoch only grows: taken back, the old home holds the site in a newer one.
            Self::Home { old, new } => {
                let now = world.tenure(&site()).map(|tenure| tenure.home);
                (now.as_ref() == Some(old), now.as_ref() == Some(new))
            }
            Self::Records { zone, key, old, new } => {
                let now = world.records(zone, key);
                (now == *old, now == *new)
            }
            // A mirror is not taken back, so on the way every page is whole, old or new.
            Self::Tree { pages } => {
                let is = |path: &str, content: Option<&str>| {
                    world.page(&tree("us"), &page(path)).as_deref() == content.map(str::as_bytes)
                };
                let new = pages.iter().all(|(path, _, new)| is(path, *new));
                (!new && pages.iter().all(|(path, old, new)| is(path, *old) || is(path, *new)), new)
            }
        };
        match (old, new) {
            (true, _) => Stand::Old,
            (false, true) => Stand::New,
            (false, false) => Stand::Neither,
        }
    }

    /// Somebody else makes it what neither the old nor the new world has.
    pub(super) fn meddle(&self, world: &SimWorld) {
        match self {
            Self::Role { remote, .. } => {
                let told = serde_json::to_vec(&standing(Role::Standby, 99)).unwrap();
                world.put_file(remote, &role_path(), &told);
            }
            Self::Home { .. } => world.put_tenure(&site(), tenure(99, "nl")),
            Self::Records { zone, key, .. } => {
                let theirs = RecordSet::new(key.owner.clone(), key.rtype, 60, ["203.0.113.99"]);
                world.put_records(zone, key, Some(theirs));
            }
            Self::Tree { .. } => world.put_page(&tree("us"), &page("index.html"), b"theirs"),
        }
    }
}

fn world() -> SimWorld {
    let world = SimWorld::new();
    world.put_tenure(&site(), tenure(1, "uk"));
    let servers = [(server(2), Duration::ZERO), (server(3), Duration::from_millis(200))];
    world.put_zone(&zone(), server(1), &servers, &[address("192.0.2.10")]);
    for (name, role) in [("uk", Role::Home), ("us", Role::Standby)] {
        let told = standing(role, 1).map(|standing| serde_json::to_vec(&standing).unwrap());
        world.put_file(&remote(name), &role_path(), &told.unwrap());
    }
    world
}

fn role(name: &str, from: Option<Standing>, to: Option<Standing>) -> (Step, Part) {
    let change = RoleChange {
        site: site(),
        host: host(name),
        remote: remote(name),
        state_dir: STATE_DIR.to_owned(),
        from,
        to,
    };
    (Step::ChangeRole(change), Part::Role { remote: remote(name), old: from, new: to })
}

fn raise() -> (Step, Part) {
    let step = Raise { site: site(), from: Some(tenure(1, "uk")), to: tenure(2, "us") };
    (Step::RaiseEpoch(step), Part::Home { old: host("uk"), new: host("us") })
}

fn records() -> (Step, Part) {
    let (old, new) = (Some(address("192.0.2.10")), Some(address("198.51.100.10")));
    let set = SetChange { key: key(), from: old.clone(), to: new.clone() };
    let change = ZoneChange {
        zone: zone(),
        primary: server(1),
        key: None,
        through: None,
        require: vec![],
        sets: vec![set],
    };
    (Step::ChangeZone(change), Part::Records { zone: zone(), key: key(), old, new })
}

/// Many zones in one step, each with a mark beside what changes.
fn of_many(name: &str) -> (ZoneName, ZoneChange, [Part; 2]) {
    let zone: ZoneName = format!("{name}.test").parse().unwrap();
    let owner = |first: &str| format!("{first}.{zone}").parse().unwrap();
    let www = |data: &str| Some(RecordSet::new(owner("www"), RecordType::A, 60, [data]));
    let mark = RecordSet::new(owner("_dr-change"), RecordType::TXT, 60, ["\"change=ours\""]);
    let (old, new) = (www("192.0.2.10"), www("198.51.100.10"));
    let key = RecordKey::new(owner("www"), RecordType::A);
    let sets = vec![
        SetChange { key: key.clone(), from: old.clone(), to: new.clone() },
        SetChange { key: mark.key(), from: None, to: Some(mark.clone()) },
    ];
    let change = ZoneChange {
        zone: zone.clone(),
        primary: server(1),
        key: None,
        through: None,
        require: vec![],
        sets,
    };
    let moved = Part::Records { zone: zone.clone(), key, old, new };
    let marked = Part::Records { zone: zone.clone(), key: mark.key(), old: None, new: Some(mark) };
    (zone, change, [moved, marked])
}

/// Many zones, and then the wait until every server shows all of them.
pub(super) fn zones() -> Case {
    let world = world();
    let (mut changes, mut agreed, mut parts) = (vec![], vec![], vec![]);
    for name in ["a", "b", "c"] {
        let (zone, change, of_zone) = of_many(name);
        let set = change.sets[0].from.clone().unwrap();
        world.put_zone(&zone, server(1), &[(server(2), Duration::ZERO)], &[set]);
        let expect = change.sets.iter().map(|set| (set.key.clone(), set.to.clone())).collect();
        let (servers, within) = (vec![server(1), server(2)], Period::from_secs(30));
        agreed.push(Agreement { zone, servers, expect, within, resolvers: false });
        changes.push(change);
        parts.extend(of_zone);
    }
    let all = Agreements { zones: agreed, within: Period::from_secs(30) };
    let steps = vec![
        Planned::needed(
            "change 3 zones",
            Step::ChangeZones(ZoneChanges { zones: changes, per_second: None }),
        ),
        Planned::needed("every server shows it", Step::AwaitAgreements(all)),
    ];
    Case { name: "zones", world, plan: plan("many zones", OnFailure::Stop, steps), parts, wanted: vec![] }
}

fn agreement() -> Step {
    Step::AwaitAgreement(Agreement {
        zone: zone(),
        servers: vec![server(2), server(3)],
        expect: vec![(key(), Some(address("198.51.100.10")))],
        within: Period::from_secs(30),
        resolvers: false,
    })
}

fn pause() -> Step {
    Step::Pause(Pause { span: Period::from_secs(60), why: "let the TTL pass".to_owned() })
}

fn health() -> Step {
    let probe = ProbeSpec::Tcp { port: 80 };
    Step::AwaitHealthy(Expect {
        address: "198.51.100.10".parse().unwrap(),
        probe,
        within: Period::from_secs(2),
    })
}

fn plan(title: &str, on_failure: OnFailure, steps: Vec<Planned>) -> Plan {
    Plan::new(title, Timestamp::from_micros(0), on_failure, steps)
}

/// The steps of a whole failover: the epoch, the new home, the old home if it still answers, the zone, agreement, a pause.
pub(super) fn failover(on_failure: OnFailure) -> Case {
    let (raise, home) = raise();
    let (fence, fenced) = role("us", standing(Role::Standby, 1), standing(Role::Home, 2));
    let (demote, demoted) = role("uk", standing(Role::Home, 1), standing(Role::Standby, 2));
    let (change, changed) = records();
    let steps = vec![
        Planned::needed("raise the epoch", raise),
        Planned::needed("us is home", fence),
        Planned::wanted("uk is standby", demote),
        Planned::needed("www goes to us", change),
        Planned::needed("every server shows it", agreement()),
        Planned::needed("the TTL passes", pause()),
    ];
    let plan = plan("fail over", on_failure, steps);
    Case { name: "failover", world: world(), plan, parts: vec![home, fenced, changed], wanted: vec![demoted] }
}

/// Two steps that change something: small enough for pairs of faults within one life of the process.
pub(super) fn small(on_failure: OnFailure) -> Case {
    let ((raise, home), (change, changed)) = (raise(), records());
    let steps = vec![Planned::needed("raise the epoch", raise), Planned::needed("www goes to us", change)];
    let plan = plan("small", on_failure, steps);
    Case { name: "small", world: world(), plan, parts: vec![home, changed], wanted: vec![] }
}

/// The first step was done by somebody else beforehand, so going back leaves it as it was found.
pub(super) fn found() -> Case {
    let already = standing(Role::Home, 2);
    let (fence, _) = role("us", standing(Role::Standby, 1), already);
    let (change, changed) = records();
    let world = world();
    world.put_file(&remote("us"), &role_path(), &serde_json::to_vec(&already).unwrap());
    let stays = Part::Role { remote: remote("us"), old: already, new: already };
    let steps = vec![Planned::needed("us is home", fence), Planned::needed("www goes to us", change)];
    let plan = plan("found", OnFailure::Stop, steps);
    Case { name: "found", world, plan, parts: vec![stays, changed], wanted: vec![] }
}

/// The last step cannot succeed: the plan takes itself back.
pub(super) fn hopeless() -> Case {
    let ((raise, home), (change, changed)) = (raise(), records());
    let steps = vec![
        Planned::needed("raise the epoch", raise),
        Planned::needed("www goes to us", change),
        Planned::needed("us answers", health()),
    ];
    let plan = plan("hopeless", OnFailure::Undo, steps);
    Case { name: "hopeless", world: world(), plan, parts: vec![home, changed], wanted: vec![] }
}

/// The old home is dead: the step that would tell it is passed over.
pub(super) fn dead_home() -> Case {
    let case = failover(OnFailure::Stop);
    case.world.cut("uk");
    Case { name: "dead home", ..case }
}

/// A last mirror, then the epoch: pages that are new, changed and gone.
pub(super) fn mirrored() -> Case {
    let (world, (raise, home)) = (world(), raise());
    let pages = vec![
        ("index.html", Some("old"), Some("new page")),
        ("css/a.css", None, Some("a")),
        ("gone.html", Some("gone"), None),
    ];
    for (path, old, new) in &pages {
        for (tree, content) in [(tree("us"), old), (tree("uk"), new)] {
            if let Some(content) = content {
                world.put_page(&tree, &page(path), content.as_bytes());
            }
        }
    }
    let toolkit = Toolkit::new(world.fork().world(), Estate::default());
    let (source, target, options) = (tree("uk"), tree("us"), Options::default());
    let control = Control::silent();
    let planned = super::block_on(toolkit.plan_mirror(&source, &target, &options, None, &control));
    let mut plan = planned.unwrap().plan;
    assert_eq!(plan.steps.len(), 1);
    plan.steps.push(Planned::needed("raise the epoch", raise));
    Case { name: "mirrored", world, plan, parts: vec![home, Part::Tree { pages }], wanted: vec![] }
}
