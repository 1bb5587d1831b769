//! A real primary name server as the coordinator: one winner of every race, and no way back in time.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dr_core::dns::{SetChange, ZoneChange};
use dr_core::estate::{Epoch, RecordKey, RecordSet, RecordType, TsigAlgorithm};
use dr_core::failover::{Tenure, tenure_owner};
use dr_core::world::coordinator::dns::{DnsCoordinator, Place};
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::{Cas, Commit, Coordinator, Provider};
use dr_core::{ErrorKind, Secret, SiteId};
use dr_tests::bind::{self, Notify};
use dr_tests::proxy::{Line, State};
use dr_tests::{Port, Proxy, Server, Tsig, Zone};

const ZONE: &str = "epoch.test";

fn provider() -> Arc<Rfc2136> {
    let secret = Secret::new(Tsig::LAB.secret.to_owned());
    Arc::new(Rfc2136::new(BTreeMap::from([(
        Tsig::LAB.name.parse().unwrap(),
        (TsigAlgorithm::HmacSha256, secret),
    )])))
}

fn place(primary: SocketAddr) -> Place {
    let zone = ZONE.parse().unwrap();
    let owner = tenure_owner(&shop(), &zone).unwrap();
    Place { zone, primary, key: Some(Tsig::LAB.name.parse().unwrap()), owner }
}

fn shop() -> SiteId {
    "shop".parse().unwrap()
}

fn coordinator(primary: SocketAddr) -> DnsCoordinator {
    DnsCoordinator::new(provider(), BTreeMap::from([(shop(), place(primary))])).unwrap()
}

fn tenure(epoch: u64, home: &str, nonce: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: nonce.to_owned() }
}

fn bind() -> Server {
    bind::primary(Port::free(), &[Zone::new(ZONE)], &[], Notify::Tuned)
}

/// Sets the record as somebody would who restored an old zone.
async fn overwrite(primary: SocketAddr, from: Option<RecordSet>, rdata: &str) {
    let Place { zone, primary, key, owner } = place(primary);
    let to = Some(RecordSet::new(owner.clone(), RecordType::TXT, 0, [rdata]));
    let sets = vec![SetChange { key: RecordKey::new(owner, RecordType::TXT), from, to }];
    let change = ZoneChange { zone, primary, key, require: vec![], sets };
    assert_eq!(provider().commit(&change).await.unwrap(), Commit::Applied);
}

#[tokio::test]
async fn nobody_then_one_then_the_next() {
    let bind = bind();
    let coordinator = coordinator(bind.addr());
    assert_eq!(coordinator.read(&shop()).await.unwrap(), None);
    let (first, second) = (tenure(1, "uk", "a"), tenure(2, "us", "b"));
    assert_eq!(coordinator.cas(&shop(), None, &first).await.unwrap(), Cas::Won);
    assert_eq!(coordinator.cas(&shop(), None, &second).await.unwrap(), Cas::Lost(Some(first.clone())));
    assert_eq!(coordinator.cas(&shop(), Some(&first), &second).await.unwrap(), Cas::Won);
    assert_eq!(coordinator.read(&shop()).await.unwrap(), Some(second.clone()));
    let stale = coordinator.cas(&shop(), Some(&first), &tenure(3, "uk", "c")).await.unwrap();
    assert_eq!(stale, Cas::Lost(Some(second.clone())));
    let same = coordinator.cas(&shop(), Some(&second), &tenure(2, "us", "d")).await.unwrap();
    assert_eq!(same, Cas::Lost(Some(second.clone())), "an epoch only grows");
    // The record survives what the primary survives.
    bind.kill9();
    bind.restart();
    assert_eq!(coordinator.read(&shop()).await.unwrap(), Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_race_has_exactly_one_winner() {
    const ROUNDS: u64 = 50;
    const RACERS: u64 = 8;
    let bind = bind();
    // Each racer is a process of its own: nothing but the primary is shared.
    let racers: Vec<Arc<DnsCoordinator>> = (0..RACERS).map(|_| Arc::new(coordinator(bind.addr()))).collect();
    let mut held = None;
    let mut winners = BTreeSet::new();
    for round in 1..=ROUNDS {
        let mut running = tokio::task::JoinSet::new();
        for (number, racer) in racers.iter().cloned().enumerate() {
            let (from, to) = (held.clone(), tenure(round, "us", &format!("r{round}-{number}")));
            running.spawn(async move { (racer.cas(&shop(), from.as_ref(), &to).await.unwrap(), to, number) });
        }
        let mut won = vec![];
        for (cas, to, number) in running.join_all().await {
            match cas {
                Cas::Won => won.push((to, number)),
                Cas::Lost(Some(now)) => assert_eq!(now.epoch, Epoch(round)),
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        let (to, number) = won.remove(0);
        assert_eq!(racers[0].read(&shop()).await.unwrap(), Some(to.clone()), "round {round}");
        held = Some(to);
        winners.insert(number);
    }
    assert!(winners.len() > 1, "it was no race: {winners:?} won all {ROUNDS}");
}

#[tokio::test]
async fn a_primary_that_goes_back_in_time_is_not_believed() {
    let bind = bind();
    let coordinator = coordinator(bind.addr());
    let held = tenure(5, "us", "a");
    assert_eq!(coordinator.cas(&shop(), None, &held).await.unwrap(), Cas::Won);
    let owner = place(bind.addr()).owner;
    let old = tenure(4, "uk", "old").to_record_set(owner.clone());
    let restored = old.rdata.first().unwrap();
    overwrite(bind.addr(), Some(held.to_record_set(owner)), restored).await;
    let error = coordinator.read(&shop()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("epoch 4") && error.message().contains('5'), "{error}");
    // A process that never saw the higher epoch cannot know.
    assert_eq!(self::coordinator(bind.addr()).read(&shop()).await.unwrap(), Some(tenure(4, "uk", "old")));
    overwrite(bind.addr(), Some(old), "\"nonsense\"").await;
    let error = coordinator.read(&shop()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_is_unknown_and_reading_back_tells() {
    let bind = bind();
    let line = Proxy::start(bind.addr());
    // Long enough to cut the line after the request has reached the primary, and before the reply is here.
    line.set(Line { delay: Duration::from_secs(1), ..Line::default() });
    let (through, to) = (Arc::new(coordinator(line.addr())), tenure(1, "us", "mine"));
    let racing = tokio::spawn({
        let (through, to) = (through.clone(), to.clone());
        async move { through.cas(&shop(), None, &to).await.unwrap() }
    });
    while line.passed().0 == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The primary has it; give it the time to write it down, and not the time to be heard.
    let direct = coordinator(bind.addr());
    while direct.read(&shop()).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    line.set_state(State::Reset);
    let said = racing.await.unwrap();
    assert!(matches!(said, Cas::Unknown(_)), "{said:?}");
    line.set(Line::default());
    assert_eq!(through.read(&shop()).await.unwrap(), Some(to), "its own nonce: it was us");
}

#[tokio::test]
async fn a_primary_that_is_gone_is_unreachable_and_a_stranger_has_no_place() {
    let bind = bind();
    let coordinator = coordinator(bind.addr());
    let stranger = "blog".parse().unwrap();
    assert_eq!(coordinator.read(&stranger).await.unwrap_err().kind(), ErrorKind::NotFound);
    bind.stop();
    let error = coordinator.read(&shop()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let error = coordinator.cas(&shop(), None, &tenure(1, "uk", "a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}
