//! A whole host, in a simulated world.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::*;
use crate::estate::{DnsName, Epoch, Estate, RecordKey, RecordSet, RecordType, ZoneName};
use crate::failover::{DownKind, Sight, Tenure};
use crate::world::sim::{Fault, SimWorld};

const UK: &str = "192.0.2.10";
const US: &str = "198.51.100.10";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn id(number: usize) -> SiteId {
    format!("s{number}").parse().unwrap()
}

fn record(number: usize) -> RecordKey {
    let owner: DnsName = format!("s{number}.example.org").parse().unwrap();
    RecordKey::new(owner, RecordType::A)
}

fn zone() -> ZoneName {
    "example.org".parse().unwrap()
}

/// So many sites on uk, which is dead.
fn town(sites: usize) -> (SimWorld, Estate) {
    let mut text = r#"
        name_servers.ns.address = "192.0.2.53:53"
        zones."example.org" = { primary = "ns", servers = ["ns"] }
        hosts.uk = { ssh = "root@uk", addresses = ["192.0.2.10"], state_dir = "/var/lib/dr" }
        hosts.us = { ssh = "root@us", addresses = ["198.51.100.10"], state_dir = "/var/lib/dr" }
    "#
    .to_owned();
    for number in 0..sites {
        text += &format!(
            "sites.s{number} = {{ home = \"uk\", standby = \"us\", names = [\"s{number}.example.org\"], mirror = false }}\n"
        );
    }
    let estate = Estate::from_toml(&text).unwrap();
    let sim = SimWorld::new();
    let sets: Vec<RecordSet> =
        (0..sites).map(|number| RecordSet::new(record(number).owner, RecordType::A, 60, [UK])).collect();
    let server: SocketAddr = "192.0.2.53:53".parse().unwrap();
    sim.put_zone(&zone(), server, &[], &sets);
    for number in 0..sites {
        let home = "uk".parse().unwrap();
        sim.put_tenure(&id(number), Tenure { epoch: Epoch(1), home, nonce: format!("first-{number}") });
    }
    let down = Sight::Down { kind: DownKind::TimedOut, detail: "no answer".into() };
    sim.put_sight(UK.parse().unwrap(), down);
    sim.put_sight(US.parse().unwrap(), Sight::Up { took_us: 900 });
    sim.cut("uk");
    (sim, estate)
}

fn uk() -> Together {
    Together::Host("uk".parse().unwrap())
}

/// The plan, and what was found while it was made.
fn planned(toolkit: &Toolkit, which: &Together) -> Result<(Plan, Vec<String>)> {
    let found = Arc::new(Mutex::new(vec![]));
    let heard = found.clone();
    let control = Control::new(move |event: &Event| {
        if let Event::Found(finding) = event {
            heard.lock().unwrap().push(finding.message.clone());
        }
    });
    let plan = block_on(toolkit.plan_failovers(which, &FailoverOptions::default(), None, &control))?;
    let found = found.lock().unwrap().clone();
    Ok((plan, found))
}

fn home(sim: &SimWorld, number: usize) -> String {
    let leads = sim.records(&zone(), &record(number)).unwrap().rdata;
    let holds = sim.tenure(&id(number)).unwrap().home.to_string();
    let there = leads.iter().all(|address| address == if holds == "us" { US } else { UK });
    if there { holds } else { format!("{holds}, but {leads:?}") }
}

fn assert_all_on(sim: &SimWorld, sites: usize, host: &str) {
    let homes: Vec<String> = (0..sites).map(|number| home(sim, number)).collect();
    assert!(homes.iter().all(|home| home == host), "{homes:?}");
}

#[test]
fn a_dead_host_with_300_sites_is_one_decision_and_one_plan() {
    let (sim, estate) = town(300);
    let toolkit = Toolkit::new(sim.world(), estate);
    let (plan, found) = planned(&toolkit, &uk()).unwrap();
    assert_eq!((plan.title.as_str(), found), ("fail over everything on uk: 300 sites", vec![]));
    let kinds: Vec<&str> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "move 300 sites, 8 at a time",
            "wait until the name servers of 300 zones agree",
            "wait 1m: resolvers may keep the old addresses so long",
        ]
    );
    let applied = block_on(toolkit.apply(&plan, "ann", &Control::silent())).unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report.findings);
    assert_all_on(&sim, 300, "us");
    assert_eq!(block_on(toolkit.runs()).unwrap().len(), 301);
    // Asked again, there is nothing left to be moved.
    assert!(planned(&toolkit, &uk()).unwrap_err().message().contains("nothing of it"));
    let back = block_on(toolkit.undo(applied.run, "ann", &Control::silent())).unwrap();
    assert_eq!(back.outcome, Outcome::Old, "{:?}", back.report.findings);
    assert_all_on(&sim, 300, "uk");
}

#[test]
fn a_site_that_cannot_be_moved_holds_up_no_other() {
    let (sim, mut estate) = town(5);
    // One is mirrored, and nobody knows when it was; it is left out, and said.
    estate.sites.get_mut(&id(2)).unwrap().mirror = true;
    estate.sites.get_mut(&id(2)).unwrap().trees = vec![crate::estate::Tree::same("/var/www")];
    let toolkit = Toolkit::new(sim.world(), estate);
    let (plan, found) = planned(&toolkit, &uk()).unwrap();
    assert_eq!(plan.title, "fail over everything on uk: 4 sites, without s2");
    assert!(found[0].contains("mirror-fresh"), "{found:?}");
    // Somebody else moves another one meanwhile.
    let faster = Tenure { epoch: Epoch(7), home: "us".parse().unwrap(), nonce: "theirs".into() };
    sim.put_tenure(&id(3), faster.clone());
    let applied = block_on(toolkit.apply(&plan, "ann", &Control::silent())).unwrap();
    assert_eq!(applied.outcome, Outcome::NewDegraded);
    for number in [0, 1, 4] {
        assert_eq!(home(&sim, number), "us");
    }
    assert_eq!((home(&sim, 2).as_str(), sim.tenure(&id(3))), ("uk", Some(faster)));
    let said: Vec<&str> = applied.report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(said.iter().any(|said| said.contains("fail over s3 from uk to us")), "{said:?}");
}

#[test]
fn whoever_dies_anywhere_goes_on_where_it_was() {
    let (sim, estate) = town(3);
    let toolkit = Toolkit::new(sim.fork().world(), estate.clone());
    let (plan, _) = planned(&toolkit, &uk()).unwrap();
    let calls = {
        let sim = sim.fork();
        let toolkit = Toolkit::new(sim.world(), estate.clone());
        let _whole = block_on(toolkit.apply(&plan, "ann", &Control::silent())).unwrap();
        sim.calls()
    };
    for call in (1..=calls).step_by(3) {
        let sim = sim.fork();
        sim.fault(call, if call % 2 == 0 { Fault::CrashBefore } else { Fault::CrashAfter });
        block_on(async {
            let dies = Toolkit::new(sim.world(), estate.clone());
            let control = Control::silent();
            // A dead process never comes back from its call.
            let died =
                tokio::time::timeout(Duration::from_millis(60), dies.apply(&plan, "ann", &control)).await;
            let toolkit = Toolkit::new(sim.world(), estate.clone());
            let whole = toolkit.runs().await.unwrap().into_iter().find(|run| run.title == plan.title);
            match (whole, died) {
                (Some(run), _) => drop(toolkit.resume(run.run, "ann", &control).await.unwrap()),
                (None, _) => drop(toolkit.apply(&plan, "ann", &control).await.unwrap()),
            }
        });
        assert_all_on(&sim, 3, "us");
        let epochs: Vec<Epoch> = (0..3).map(|number| sim.tenure(&id(number)).unwrap().epoch).collect();
        assert_eq!(epochs, [Epoch(2); 3], "each was moved once, whatever died at call {call}");
    }
}

#[test]
fn groups_move_in_their_order_and_only_what_is_theirs() {
    let (sim, mut estate) = town(4);
    let waves = vec![vec![id(3)], vec![id(0), id(1)]];
    estate.groups.insert("shops".parse().unwrap(), crate::estate::Group { waves, at_once: 1 });
    let toolkit = Toolkit::new(sim.world(), estate);
    let (plan, _) = planned(&toolkit, &Together::Group("shops".parse().unwrap())).unwrap();
    let control = Control::silent();
    assert_eq!(block_on(toolkit.apply(&plan, "ann", &control)).unwrap().outcome, Outcome::New);
    assert_eq!([0, 1, 2, 3].map(|number| home(&sim, number)), ["us", "us", "uk", "us"]);
    let mut runs = block_on(toolkit.runs()).unwrap();
    runs.reverse();
    let titles: Vec<String> = runs.into_iter().skip(1).map(|run| run.title).collect();
    assert_eq!(titles, ["s3", "s0", "s1"].map(|site| format!("fail over {site} from uk to us")));
    // The rest of the host comes after the group's waves are known: what is in no group goes with the first.
    let (plan, _) = planned(&toolkit, &uk()).unwrap();
    assert_eq!(plan.grounds.unwrap().sites, [id(2)]);
}
