//! What every coordinator must do, run against the one on disk, the simulated one, and BIND.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::sync::Arc;

use dr_core::estate::TsigAlgorithm;
use dr_core::failover::{Tenure, tenure_owner};
use dr_core::world::coordinator::dns::{DnsCoordinator, Place};
use dr_core::world::coordinator::sqlite::SqliteCoordinator;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::sim::{Fault, SimWorld};
use dr_core::world::{Cas, Coordinator};
use dr_core::{DnsName, Epoch, Secret, SiteId, ZoneName};
use dr_tests::bind::{self, Notify};
use dr_tests::{Port, Tsig, Zone};

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
    races(coordinator).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_dns_primary_conforms() {
    let zone: ZoneName = "epoch.test".parse().unwrap();
    let bind = bind::primary(Port::free(), &[Zone::new(zone.as_str())], &[], Notify::Tuned);
    let key: DnsName = Tsig::LAB.name.parse().unwrap();
    let secret = (TsigAlgorithm::HmacSha256, Secret::new(Tsig::LAB.secret.to_owned()));
    let place = |site: &SiteId| Place {
        zone: zone.clone(),
        primary: bind.addr(),
        key: Some(key.clone()),
        owner: tenure_owner(site, &zone).unwrap(),
    };
    let sites: [SiteId; 3] = ["shop", "blog", "raced"].map(|site| site.parse().unwrap());
    let places = sites.iter().map(|site| (site.clone(), place(site))).collect();
    let provider = Arc::new(Rfc2136::new([(key.clone(), secret)].into()));
    conformance_coordinator(Arc::new(DnsCoordinator::new(provider, places).unwrap())).await;
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
}
