//! The order of the steps, and what holds after every one of them.

use super::*;
use crate::estate::{Location, RecordType};
use crate::mirror::{Options, Summary, Transfer};
use crate::plan::{Inverse, Need};
use std::collections::BTreeMap;

fn side(id: &str, address: &str, standing: Option<(Role, u64)>) -> Side {
    let mut host = Host::new(format!("root@{id}.example.net").parse().unwrap());
    host.addresses = vec![address.parse().unwrap()];
    let standing = standing.map(|(role, epoch)| Standing { role, epoch: Epoch(epoch) });
    Side { id: id.parse().unwrap(), host, reachable: true, standing }
}

fn zone() -> ZoneNow {
    let server = |last: u8| SocketAddr::from(([192, 0, 2, last], 53));
    ZoneNow {
        zone: "example.org".parse().unwrap(),
        primary: server(53),
        key: None,
        servers: vec![server(53), server(54), server(55)],
        silent: [server(55)].into(),
        names: vec!["example.org".parse().unwrap(), "www.example.org".parse().unwrap()],
        sets: vec![
            RecordSet::new("example.org".parse().unwrap(), RecordType::A, 60, ["192.0.2.1"]),
            RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 300, ["192.0.2.1"]),
        ],
        tenure_owner: Some("_dr.shop.example.org".parse().unwrap()),
        tenure: None,
        negative_ttl: Some(900),
        through: None,
    }
}

fn transfer(from: &str, to: &str) -> Planned {
    let place = |host: &str| format!("root@{host}.example.net:/var/www").parse::<Location>().unwrap();
    let transfer = Transfer {
        site: None,
        epoch: None,
        standing: None,
        source: place(from),
        target: place(to),
        options: Options::default(),
        summary: Summary { bytes: 42, ..Summary::default() },
        changes: Default::default(),
        quarantine: vec![],
        refused: vec![],
    };
    Planned::needed("mirror /var/www", Step::Mirror(transfer))
}

fn facts(occasion: Occasion) -> FailoverFacts {
    FailoverFacts {
        at: Timestamp::default(),
        site: "shop".parse().unwrap(),
        occasion,
        from: side("uk", "192.0.2.1", Some((Role::Home, 1))),
        to: side("us", "198.51.100.1", Some((Role::Standby, 1))),
        tenure: Some(Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "old".into() }),
        nonce: "new".into(),
        probes: vec![ProbeSpec::Tcp { port: 80 }],
        zones: vec![zone()],
        transfers: Some(vec![transfer("uk", "us")]),
    }
}

fn check(facts: &FailoverFacts, expected: &[&str]) -> Plan {
    let plan = failover_plan(facts).unwrap();
    let titles: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{}{}", if step.need == Need::Needed { "" } else { "(wanted) " }, step.title))
        .collect();
    assert_eq!(titles, expected);
    plan
}

#[test]
fn a_disaster_does_not_wait_for_the_lost_host() {
    let mut facts = facts(Occasion::Disaster);
    facts.from.reachable = false;
    let plan = check(
        &facts,
        &[
            "us refuses mirrors of shop from before epoch 2",
            "raise the epoch of shop to 2: us holds it",
            "us becomes home of shop",
            "wait until us answers for shop",
            "point example.org and www.example.org at us",
            "(wanted) wait until 2 name servers of example.org agree",
            "(wanted) ask 192.0.2.55:53 too, silent when this was planned",
            "(wanted) wait 5m: resolvers may keep the old address so long",
            "(wanted) see us answer for shop with all visitors there",
        ],
    );
    let Step::ChangeZone(change) = &plan.steps[4].step else { panic!("{plan:?}") };
    assert_eq!(change.require[0].to_string(), r#"_dr.shop.example.org 0 TXT "epoch=2 home=us nonce=new""#);
    facts.from.reachable = true;
    let plan = failover_plan(&facts).unwrap();
    assert_eq!(plan.steps[2].title, "uk steps down as home of shop");
    assert_eq!(plan.steps[2].need, Need::Wanted);
}

#[test]
fn where_there_was_nothing_resolvers_remember_that_for_the_negative_ttl() {
    let waits = |negative_ttl, address: &str| {
        let mut facts = facts(Occasion::Disaster);
        facts.to.host.addresses = vec![address.parse().unwrap()];
        facts.zones[0].negative_ttl = negative_ttl;
        let plan = failover_plan(&facts).unwrap();
        let pauses = plan.steps.iter().filter_map(|planned| match &planned.step {
            Step::Pause(pause) => Some(pause.span.as_secs()),
            _ => None,
        });
        pauses.collect::<Vec<_>>()
    };
    assert_eq!(waits(Some(900), "198.51.100.1"), [300], "what was there is forgotten with its TTL");
    assert_eq!(waits(Some(900), "2001:db8::1"), [900], "there was no AAAA record: that is remembered longer");
    assert_eq!(waits(Some(60), "2001:db8::1"), [300]);
    assert_eq!(waits(None, "2001:db8::1"), [300], "no server said");
}

#[test]
fn a_planned_move_mirrors_first_and_needs_both_hosts() {
    let plan = check(
        &facts(Occasion::Planned),
        &[
            "mirror /var/www",
            "write down on us that shop was mirrored",
            "us refuses mirrors of shop from before epoch 2",
            "raise the epoch of shop to 2: us holds it",
            "uk steps down as home of shop",
            "us becomes home of shop",
            "wait until us answers for shop",
            "point example.org and www.example.org at us",
            "(wanted) wait until 2 name servers of example.org agree",
            "(wanted) ask 192.0.2.55:53 too, silent when this was planned",
            "(wanted) wait 5m: resolvers may keep the old address so long",
            "(wanted) see us answer for shop with all visitors there",
        ],
    );
    let Step::Mirror(transfer) = &plan.steps[0].step else { panic!("{plan:?}") };
    assert_eq!((transfer.epoch, transfer.site.as_ref().unwrap().as_str()), (Some(Epoch(1)), "shop"));
    let Step::RecordMirror(record) = &plan.steps[1].step else { panic!("{plan:?}") };
    assert_eq!((record.bytes, record.epoch), (42, Epoch(1)));
    let mut lost = facts(Occasion::Planned);
    lost.from.reachable = false;
    assert_eq!(failover_plan(&lost).unwrap_err().kind(), ErrorKind::Unreachable);
}

/// Back home after a disaster: uk still believes that it is home in epoch 1.
fn back_home() -> FailoverFacts {
    FailoverFacts {
        from: side("us", "198.51.100.1", Some((Role::Home, 2))),
        to: side("uk", "192.0.2.1", Some((Role::Home, 1))),
        tenure: Some(Tenure { epoch: Epoch(2), home: "us".parse().unwrap(), nonce: "disaster".into() }),
        zones: vec![],
        transfers: Some(vec![transfer("us", "uk")]),
        ..facts(Occasion::Planned)
    }
}

#[test]
fn the_old_home_steps_down_before_it_is_mirrored_into() {
    let _ = check(
        &back_home(),
        &[
            "uk steps down: us holds shop since epoch 2",
            "mirror /var/www",
            "write down on uk that shop was mirrored",
            "uk refuses mirrors of shop from before epoch 3",
            "raise the epoch of shop to 3: uk holds it",
            "us steps down as home of shop",
            "uk becomes home of shop",
            "wait until uk answers for shop",
        ],
    );
}

#[test]
fn what_cannot_be_moved_is_refused_with_the_reason() {
    type Spoil = fn(&mut FailoverFacts);
    let cases: &[(Spoil, ErrorKind, &str)] = &[
        (|f| f.to.id = f.from.id.clone(), ErrorKind::Refused, "holds it already"),
        (|f| f.tenure.as_mut().unwrap().home = "us".parse().unwrap(), ErrorKind::Refused, "us holds it"),
        (|f| f.to.host.addresses.clear(), ErrorKind::Refused, "no address"),
        (|f| f.probes.clear(), ErrorKind::Refused, "health"),
        (|f| f.to.reachable = false, ErrorKind::Unreachable, "us cannot be reached"),
        (|f| f.zones[0].sets[0].rdata = ["203.0.113.9".to_owned()].into(), ErrorKind::Refused, "203.0.113.9"),
    ];
    for (spoil, kind, said) in cases {
        let mut facts = facts(Occasion::Disaster);
        spoil(&mut facts);
        let error = failover_plan(&facts).unwrap_err();
        assert_eq!(error.kind(), *kind, "{error}");
        assert!(error.to_string().contains(said), "{error} has no '{said}'");
        assert!(error.advice().is_some(), "{error} has no hint");
    }
}

#[test]
fn a_fence_left_behind_does_not_stop_the_next_attempt() {
    let mut facts = facts(Occasion::Disaster);
    facts.to.standing = Some(Standing { role: Role::Standby, epoch: Epoch(7) });
    let plan = failover_plan(&facts).unwrap();
    assert!(plan.steps.iter().any(|step| step.title == "raise the epoch of shop to 8: us holds it"));
}

/// What the hosts and the coordinator hold while a plan is applied.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    standings: BTreeMap<HostId, Option<Standing>>,
    tenure: Option<Tenure>,
}

impl Held {
    fn before(facts: &FailoverFacts) -> Self {
        let standings =
            [&facts.from, &facts.to].map(|side| (side.id.clone(), side.standing)).into_iter().collect();
        Self { standings, tenure: facts.tenure.clone() }
    }

    /// Applies a step, and asserts what must hold after every single one.
    fn apply(&mut self, step: &Step) {
        match step {
            Step::ChangeRole(change) => {
                let there = self.standings.get_mut(&change.host).unwrap();
                assert_eq!(*there, change.from, "compare-and-set of {change:?}");
                *there = change.to;
                if let Some(Standing { role: Role::Home, epoch }) = change.to {
                    let held = self.tenure.as_ref().unwrap();
                    let is_its = epoch == held.epoch && change.host == held.home;
                    assert!(is_its || epoch < held.epoch, "{} becomes home without holding it", change.host);
                }
            }
            Step::RaiseEpoch(raise) => {
                assert_eq!(self.tenure, raise.from, "compare-and-set of {raise:?}");
                let before = self.tenure.as_ref().map_or(Epoch(0), |tenure| tenure.epoch);
                assert!(raise.to.epoch > before, "an epoch only grows");
                self.tenure = Some(raise.to.clone());
            }
            Step::ChangeZone(change) => {
                let held = self.tenure.as_ref().unwrap();
                assert!(change.require.iter().all(|set| Tenure::from_record_set(set).as_ref() == Ok(held)));
            }
            Step::Mirror(transfer) => {
                let us =
                    self.standings.iter().find(|(id, _)| transfer.target.to_string().contains(id.as_str()));
                let standing = us.and_then(|(_, standing)| *standing);
                assert!(standing.is_none_or(
                    |there| there.role == Role::Standby && transfer.epoch.unwrap() >= there.epoch
                ));
            }
            _ => {}
        }
        let homes: Vec<Epoch> = self
            .standings
            .values()
            .flatten()
            .filter(|standing| standing.role == Role::Home)
            .map(|standing| standing.epoch)
            .collect();
        assert!(homes.len() < 2 || homes[0] != homes[1], "two homes of one epoch: {self:?}");
    }
}

#[test]
fn no_prefix_and_no_way_back_ever_has_two_homes_of_one_epoch() {
    let mut all = vec![back_home(), facts(Occasion::Planned), facts(Occasion::Disaster)];
    let mut never_told = facts(Occasion::Disaster);
    (never_told.tenure, never_told.from.standing, never_told.to.standing) = (None, None, None);
    all.push(never_told);
    for facts in all {
        let plan = failover_plan(&facts).unwrap();
        for cut in 0..=plan.steps.len() {
            let mut held = Held::before(&facts);
            for planned in &plan.steps[..cut] {
                held.apply(&planned.step);
            }
            for planned in plan.steps[..cut].iter().rev() {
                if let Inverse::Step(inverse) = planned.step.inverse() {
                    held.apply(&inverse);
                }
            }
            let before = Held::before(&facts);
            assert_eq!(held.standings, before.standings, "undone after {cut} steps");
            let home = |tenure: &Option<Tenure>| tenure.as_ref().map(|tenure| tenure.home.clone());
            assert!(home(&held.tenure).is_none_or(|home| home == facts.from.id));
        }
    }
}

#[test]
fn once_visitors_have_moved_nothing_sends_them_back() {
    for occasion in [Occasion::Disaster, Occasion::Planned] {
        let plan = failover_plan(&facts(occasion)).unwrap();
        let at = |found: fn(&Step) -> bool| plan.steps.iter().rposition(|step| found(&step.step)).unwrap();
        let moved = at(|step| matches!(step, Step::ChangeZone(_)));
        assert!(plan.steps[moved + 1..].iter().all(|step| step.need == Need::Wanted));
        assert!(plan.steps[moved].need == Need::Needed);
        let raised = at(|step| matches!(step, Step::RaiseEpoch(_)));
        let healthy = plan.steps.iter().position(|step| matches!(step.step, Step::AwaitHealthy(_))).unwrap();
        assert!(raised < healthy && healthy < moved);
    }
}

#[test]
fn a_seat_that_holds_the_site_only_brings_the_visitors() {
    let held = Tenure { epoch: Epoch(2), home: "us".parse().unwrap(), nonce: "seat".into() };
    let owner: DnsName = "_dr.shop.example.org".parse().unwrap();
    let mut facts = facts(Occasion::Taken);
    facts.tenure = Some(held.clone());
    facts.to.standing = Some(Standing { role: Role::Home, epoch: Epoch(2) });
    facts.zones[0].tenure = Some(held.to_record_set(owner.clone()));
    let steps = |facts: &FailoverFacts| failover_plan(facts).unwrap().steps;
    let change = |steps: &[Planned]| match steps.iter().find_map(|planned| match &planned.step {
        Step::ChangeZone(change) => Some(change.clone()),
        _ => None,
    }) {
        Some(change) => change,
        None => panic!("{steps:?}"),
    };
    let plan = steps(&facts);
    assert_eq!(plan[0].title, "wait until us answers for shop");
    assert!(!plan.iter().any(|planned| matches!(planned.step, Step::RaiseEpoch(_) | Step::ChangeRole(_))));
    assert_eq!(change(&plan).require, [held.to_record_set(owner.clone())]);
    // The epoch has not arrived in the zone yet: it comes in the same message as the records.
    let before = Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "old".into() };
    facts.zones[0].tenure = Some(before.to_record_set(owner.clone()));
    let behind = change(&steps(&facts));
    assert_eq!(behind.require, []);
    let epoch = behind.sets.iter().find(|set| set.key.owner == owner).unwrap();
    assert_eq!(epoch.from, facts.zones[0].tenure);
    assert_eq!(epoch.to, Some(held.to_record_set(owner)));
    facts.tenure = Some(before);
    let why = failover_plan(&facts).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::Refused, "{why}");
}
