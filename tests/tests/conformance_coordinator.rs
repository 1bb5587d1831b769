//! What every coordinator must do, run against the one on disk, the simulated one, and the name servers that take updates.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::sync::Arc;

use dr_core::failover::{Held, Lease, Mark, Swap, Tenure};
use dr_core::world::coordinator::dns::DnsCoordinator;
use dr_core::world::coordinator::etcd::{Access, EtcdCoordinator};
use dr_core::world::coordinator::sqlite::SqliteCoordinator;
use dr_core::world::sim::{Fault, SimWorld};
use dr_core::world::{Cas, Coordinator};
use dr_core::{Epoch, ErrorKind, Secret, SiteId};
use dr_tests::bind::{self, Notify};
use dr_tests::history::backends::{in_zones, zones};
use dr_tests::{Port, Server, etcd, knot, pdns};

fn tenure(epoch: u64, home: &str, nonce: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: nonce.to_owned() }
}

async fn conformance_coordinator(coordinator: Arc<dyn Coordinator>) {
    let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
    assert_eq!(coordinator.read(&shop).await.unwrap(), None);
    let first = tenure(1, "uk", "a");
    // From something where there is nothing: lost, and nothing is written.
    assert_eq!(coordinator.cas(&shop, Some(&first), &tenure(2, "us", "b")).await.unwrap(), Cas::Lost(None));
    assert_eq!(coordinator.cas(&shop, None, &first).await.unwrap(), Cas::Won);
    assert_eq!(coordinator.read(&shop).await.unwrap(), Some(first.clone()));
    assert_eq!(coordinator.read(&blog).await.unwrap(), None, "sites have nothing to do with each other");
    // Compared whole: epoch, home and nonce.
    for other in [tenure(1, "us", "a"), tenure(1, "uk", "b"), tenure(0, "uk", "a")] {
        let lost = coordinator.cas(&shop, Some(&other), &tenure(5, "us", "c")).await.unwrap();
        assert_eq!(lost, Cas::Lost(Some(first.clone())), "{other:?}");
    }
    assert_eq!(
        coordinator.cas(&shop, None, &tenure(5, "us", "c")).await.unwrap(),
        Cas::Lost(Some(first.clone()))
    );
    // An epoch never goes back, nor does it stay.
    for epoch in [0, 1] {
        let lost = coordinator.cas(&shop, Some(&first), &tenure(epoch, "us", "d")).await.unwrap();
        assert_eq!(lost, Cas::Lost(Some(first.clone())), "epoch {epoch}");
    }
    let far = tenure(1_000_000_000_000, "us", "e");
    assert_eq!(coordinator.cas(&shop, Some(&first), &far).await.unwrap(), Cas::Won);
    assert_eq!(coordinator.read(&shop).await.unwrap(), Some(far));
    leases(&*coordinator).await;
    one_value(&*coordinator).await;
    races(coordinator).await;
}

/// The lease: compared whole, only growing, one home an epoch.
async fn leases(coordinator: &dyn Coordinator) {
    let site = "leased".parse().unwrap();
    let lost = |held: &Lease| Swap::Lost(Held(Some(held.clone())));
    assert_eq!(coordinator.lease(&site).await.unwrap(), None);
    let first = Lease::first(&"uk".parse().unwrap(), Mark(7), 1);
    let swap = coordinator.swap_lease(&site, Some(&first), &beat(&first)).await.unwrap();
    assert_eq!(swap, Swap::Lost(Held(None)), "nobody holds it");
    assert_eq!(coordinator.swap_lease(&site, None, &first).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.lease(&site).await.unwrap(), Some(first.clone()));
    assert_eq!(coordinator.swap_lease(&site, None, &first).await.unwrap(), lost(&first));
    let second = beat(&first);
    for other in [
        Lease { beat: 9, ..first.clone() },
        Lease { turn: 9, ..first.clone() },
        Lease { by: Mark(9), ..first.clone() },
        Lease { settled: false, ..first.clone() },
        Lease { unacknowledged: true, ..first.clone() },
    ] {
        let to = Lease { beat: 10, ..other.clone() };
        assert_eq!(
            coordinator.swap_lease(&site, Some(&other), &to).await.unwrap(),
            lost(&first),
            "{other:?}"
        );
    }
    for to in [
        first.clone(),
        Lease { epoch: Epoch(0), beat: 5, ..first.clone() },
        Lease { home: "us".parse().unwrap(), beat: 1, ..first.clone() },
    ] {
        assert_eq!(coordinator.swap_lease(&site, Some(&first), &to).await.unwrap(), lost(&first), "{to:?}");
    }
    assert_eq!(coordinator.swap_lease(&site, Some(&first), &second).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.swap_lease(&site, Some(&first), &second).await.unwrap(), lost(&second), "once");
    let raised = Lease {
        epoch: Epoch(2),
        home: "us".parse().unwrap(),
        by: Mark(u128::MAX),
        turn: 1 << 60,
        settled: false,
        unacknowledged: true,
        beat: 0,
    };
    assert_eq!(coordinator.swap_lease(&site, Some(&second), &raised).await.unwrap(), Swap::Won);
    let late = Lease { beat: 2, ..second.clone() };
    assert_eq!(
        coordinator.swap_lease(&site, Some(&second), &late).await.unwrap(),
        lost(&raised),
        "no more signs of life"
    );
    assert_eq!(coordinator.lease(&site).await.unwrap(), Some(raised));
}

fn beat(lease: &Lease) -> Lease {
    Lease { beat: lease.beat + 1, turn: lease.turn + 1, ..lease.clone() }
}

/// A plan and a seat move one thing, not two.
async fn one_value(coordinator: &dyn Coordinator) {
    let site = "shared".parse().unwrap();
    let claim = tenure(1, "uk", "plan");
    assert_eq!(coordinator.cas(&site, None, &claim).await.unwrap(), Cas::Won);
    let lease = coordinator.lease(&site).await.unwrap().unwrap();
    assert_eq!((lease.epoch, lease.home.as_str(), lease.settled), (Epoch(1), "uk", true));
    // Signs of life leave the tenure as it is, and a plan that was made before them is as good as ever.
    let beaten = beat(&lease);
    assert_eq!(coordinator.swap_lease(&site, Some(&lease), &beaten).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.read(&site).await.unwrap(), Some(claim.clone()));
    let second = tenure(2, "us", "another");
    assert_eq!(coordinator.cas(&site, Some(&claim), &second).await.unwrap(), Cas::Won);
    // The old home's next sign of life is lost, and whoever waits sees that nobody says that it has stopped.
    let late = coordinator.swap_lease(&site, Some(&beaten), &beat(&beaten)).await.unwrap();
    let Swap::Lost(Held(Some(now))) = late else { panic!("{late:?}") };
    assert_eq!((now.epoch, now.home.as_str(), now.settled), (Epoch(2), "us", false));
    // A seat raises: a plan that was made before that loses.
    let raised =
        Lease { epoch: Epoch(3), home: "uk".parse().unwrap(), by: Mark(5), beat: 0, turn: 1, ..now.clone() };
    assert_eq!(coordinator.swap_lease(&site, Some(&now), &raised).await.unwrap(), Swap::Won);
    let held = coordinator.read(&site).await.unwrap();
    assert_eq!(held.as_ref().map(|held| (held.epoch, held.home.as_str())), Some((Epoch(3), "uk")));
    let lost = coordinator.cas(&site, Some(&second), &tenure(4, "us", "late")).await.unwrap();
    assert_eq!(lost, Cas::Lost(held.clone()));
    assert_eq!(coordinator.cas(&site, held.as_ref(), &tenure(4, "us", "now")).await.unwrap(), Cas::Won);
}

/// Eight tasks, two hundred races: each epoch has exactly one winner.
async fn races(coordinator: Arc<dyn Coordinator>) {
    const ROUNDS: u64 = 200;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let coordinator = Arc::clone(&coordinator);
            tokio::spawn(async move {
                let site = "raced".parse().unwrap();
                let (mut now, mut won) = (None, vec![]);
                while now.as_ref().is_none_or(|now: &Tenure| now.epoch < Epoch(ROUNDS)) {
                    let epoch = now.as_ref().map_or(1, |now: &Tenure| now.epoch.0 + 1);
                    let mine = tenure(epoch, &format!("host-{task}"), &format!("{task}-{epoch}"));
                    match coordinator.cas(&site, now.as_ref(), &mine).await.unwrap() {
                        Cas::Won => {
                            won.push(epoch);
                            now = Some(mine);
                        }
                        Cas::Lost(held) => now = held,
                        Cas::Unknown(why) => panic!("{why}"),
                    }
                    tokio::task::yield_now().await;
                }
                won
            })
        })
        .collect();
    let mut won = vec![];
    for task in tasks {
        won.extend(task.await.unwrap());
    }
    won.sort_unstable();
    assert_eq!(won, (1..=ROUNDS).collect::<Vec<_>>(), "every epoch once");
}

fn in_zones_of(server: &Server, is_apart: bool) -> DnsCoordinator {
    let sites: [SiteId; 5] = ["shop", "blog", "raced", "leased", "shared"].map(|site| site.parse().unwrap());
    in_zones(server.addr(), is_apart, &sites)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bind_conforms() {
    let bind = bind::primary(Port::free(), &zones(), &[], Notify::Tuned);
    conformance_coordinator(Arc::new(in_zones_of(&bind, false))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bind_with_a_zone_for_signs_of_life_conforms() {
    let bind = bind::primary(Port::free(), &zones(), &[], Notify::Tuned);
    conformance_coordinator(Arc::new(in_zones_of(&bind, true))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn knot_conforms() {
    let knot = knot::primary(Port::free(), &zones());
    conformance_coordinator(Arc::new(in_zones_of(&knot, true))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn powerdns_conforms() {
    let pdns = pdns::primary(Port::free(), &zones());
    conformance_coordinator(Arc::new(in_zones_of(&pdns, false))).await;
}

fn in_etcd(access: Access) -> EtcdCoordinator {
    EtcdCoordinator::new(access).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn etcd_conforms() {
    let etcd = etcd::member();
    // A member that is gone is passed over.
    let gone = format!("http://{}", Port::free().addr());
    let urls = vec![gone, format!("http://{}", etcd.addr())];
    conformance_coordinator(Arc::new(in_etcd(Access { urls, ..Access::default() }))).await;
    etcd.kill9();
    let alone = in_etcd(Access { urls: vec![format!("http://{}", etcd.addr())], ..Access::default() });
    let site = "raced".parse().unwrap();
    assert_eq!(alone.read(&site).await.unwrap_err().kind(), ErrorKind::Unreachable);
    etcd.restart();
    // It answers before it has a leader, and says so.
    wait_until(async || alone.read(&site).await.is_ok()).await;
    assert_eq!(alone.read(&site).await.unwrap().unwrap().epoch, Epoch(200), "what it said is still so");
}

/// What a person wrote, in their own way, is held as if we had written it.
#[tokio::test]
async fn etcd_takes_what_was_written_by_hand() {
    let etcd = etcd::member();
    let by_hand = |text: &str| {
        let words = ["--endpoints", &etcd.addr().to_string(), "put", "dr/sites/shop", text];
        let put = std::process::Command::new("etcdctl").args(words).output().unwrap();
        assert!(put.status.success(), "{put:?}");
    };
    let coordinator = in_etcd(Access { urls: vec![format!("http://{}", etcd.addr())], ..Access::default() });
    let site = "shop".parse().unwrap();
    by_hand("home=us epoch=7 nonce=by-hand");
    let lease = coordinator.lease(&site).await.unwrap().unwrap();
    assert_eq!((lease.epoch, lease.home.as_str(), lease.settled), (Epoch(7), "us", false));
    // The one beat after it was read, the other one without.
    let alive = beat(&lease);
    assert_eq!(coordinator.swap_lease(&site, Some(&lease), &alive).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.swap_lease(&site, Some(&alive), &beat(&alive)).await.unwrap(), Swap::Won);
    by_hand("epoch=9 home=uk nonce=again");
    let held = coordinator.read(&site).await.unwrap();
    assert_eq!(held, Some(tenure(9, "uk", "again")));
    assert_eq!(coordinator.cas(&site, held.as_ref(), &tenure(10, "us", "dr")).await.unwrap(), Cas::Won);
    by_hand("nonsense");
    assert_eq!(coordinator.read(&site).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

async fn wait_until(mut is_so: impl AsyncFnMut() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so().await {
        assert!(std::time::Instant::now() < until, "waited in vain");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// TLS by an authority of one's own, and passwords.
#[tokio::test]
async fn etcd_is_trusted_and_trusts() {
    let secured = etcd::secured();
    let urls = vec![format!("https://{}", secured.addr())];
    let authorities = Some(etcd::authority(&secured));
    let trusting = in_etcd(Access { urls: urls.clone(), authorities, ..Access::default() });
    let (site, first) = ("shop".parse().unwrap(), tenure(1, "uk", "a"));
    wait_until(async || trusting.read(&site).await.is_ok()).await;
    assert_eq!(trusting.cas(&site, None, &first).await.unwrap(), Cas::Won);
    let stranger = in_etcd(Access { urls, ..Access::default() });
    assert_eq!(
        stranger.read(&site).await.unwrap_err().kind(),
        ErrorKind::Unreachable,
        "an unknown authority"
    );

    let plain = etcd::member();
    etcd::ask_for_passwords(&plain, "of-dr");
    let urls = vec![format!("http://{}", plain.addr())];
    let as_user = |password: &str| {
        let login = Some(("dr".to_owned(), Secret::new(password.to_owned())));
        in_etcd(Access { urls: urls.clone(), login, ..Access::default() })
    };
    let known = as_user("of-dr");
    assert_eq!(known.cas(&site, None, &first).await.unwrap(), Cas::Won);
    assert_eq!(as_user("wrong").read(&site).await.unwrap_err().kind(), ErrorKind::Authentication);
    let nobody = in_etcd(Access { urls: urls.clone(), ..Access::default() });
    assert_eq!(nobody.read(&site).await.unwrap_err().kind(), ErrorKind::Rejected);
    let login = Some(("dr".to_owned(), Secret::new("of-dr".to_owned())));
    let elsewhere = in_etcd(Access { urls: urls.clone(), login, prefix: "other/".into(), authorities: None });
    assert_eq!(elsewhere.cas(&site, None, &first).await.unwrap_err().kind(), ErrorKind::Rejected);
    // The member forgets its tokens: whoever is refused logs in again.
    plain.restart();
    wait_until(async || known.read(&site).await.is_ok()).await;
    assert_eq!(known.cas(&site, Some(&first), &tenure(2, "us", "b")).await.unwrap(), Cas::Won);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_coordinator_on_disk_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenures.db");
    conformance_coordinator(Arc::new(SqliteCoordinator::open(&path).unwrap())).await;
    // What it said is still so for the next process.
    let again = SqliteCoordinator::open(&path).unwrap();
    assert_eq!(again.read(&"raced".parse().unwrap()).await.unwrap().unwrap().epoch, Epoch(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_simulated_coordinator_conforms() {
    conformance_coordinator(SimWorld::new().world().coordinator).await;
}

/// Two openings of one file, as two processes have them, race as one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_openings_of_one_file_race_fairly() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenures.db");
    let several: Vec<_> = (0..4).map(|_| SqliteCoordinator::open(&path).unwrap()).collect();
    let site: SiteId = "raced".parse().unwrap();
    let mut held: Option<Tenure> = None;
    for epoch in 1..=40 {
        let to = tenure(epoch, "us", &epoch.to_string());
        let attempts = several.iter().map(|one| {
            let (one, site, held, to) = (one.clone(), site.clone(), held.clone(), to.clone());
            tokio::spawn(async move { one.cas(&site, held.as_ref(), &to).await.unwrap() })
        });
        let mut won = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            won += usize::from(attempt.await.unwrap() == Cas::Won);
        }
        assert_eq!(won, 1, "epoch {epoch}");
        held = Some(to);
    }
}

#[tokio::test]
async fn a_lost_reply_is_said_to_be_unknown() {
    for (fault, after) in [(Fault::LoseRequest, None), (Fault::LoseReply, Some(tenure(1, "uk", "a")))] {
        let (sim, site) = (SimWorld::new(), "shop".parse().unwrap());
        sim.fault(1, fault);
        let coordinator = sim.world().coordinator;
        let said = coordinator.cas(&site, None, &tenure(1, "uk", "a")).await.unwrap();
        assert!(matches!(said, Cas::Unknown(_)), "{said:?}");
        assert_eq!(coordinator.read(&site).await.unwrap(), after, "reading back tells");
    }
    for (fault, written) in [(Fault::LoseRequest, false), (Fault::LoseReply, true)] {
        let (sim, site) = (SimWorld::new(), "shop".parse().unwrap());
        sim.fault(1, fault);
        let (coordinator, first) =
            (sim.world().coordinator, Lease::first(&"uk".parse().unwrap(), Mark(1), 1));
        assert_eq!(coordinator.swap_lease(&site, None, &first).await.unwrap(), Swap::Unknown);
        assert_eq!(coordinator.lease(&site).await.unwrap(), written.then_some(first), "reading back tells");
    }
}

/// A file that was written when there were no leases yet.
#[tokio::test]
async fn a_file_of_the_first_format_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenures.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE tenures (site TEXT PRIMARY KEY, epoch INTEGER NOT NULL CHECK (epoch >= 0),
             home TEXT NOT NULL, nonce TEXT NOT NULL, at TEXT NOT NULL) STRICT;
         CREATE TRIGGER epochs_only_grow BEFORE UPDATE ON tenures WHEN new.epoch <= old.epoch
         BEGIN SELECT raise(ABORT, 'an epoch never goes back'); END;
         INSERT INTO tenures VALUES ('shop', 4, 'us', 'n4', '2026-01-01T00:00:00Z');",
    )
    .unwrap();
    old.pragma_update(None, "application_id", i32::from_be_bytes(*b"drCO")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let (coordinator, site) = (SqliteCoordinator::open(&path).unwrap(), "shop".parse().unwrap());
    assert_eq!(coordinator.read(&site).await.unwrap(), Some(tenure(4, "us", "n4")));
    let lease = coordinator.lease(&site).await.unwrap().unwrap();
    assert!(!lease.settled, "nobody knows whether the home before has stopped");
    let next = Lease { settled: true, ..beat(&lease) };
    assert_eq!(coordinator.swap_lease(&site, Some(&lease), &next).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.lease(&site).await.unwrap(), Some(next));
    assert_eq!(coordinator.read(&site).await.unwrap(), Some(tenure(4, "us", "n4")));
}
