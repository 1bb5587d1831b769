//! A real primary name server as the coordinator: one winner of every race, and no way back in time.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dr_core::dns::{SetChange, ZoneChange};
use dr_core::estate::{Epoch, RecordKey, RecordSet, RecordType, TsigAlgorithm};
use dr_core::failover::{Held, Lease, Mark, Swap, Tenure, tenure_owner};
use dr_core::world::coordinator::dns::{DnsCoordinator, Place};
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::{Cas, Commit, Coordinator, Provider};
use dr_core::{DnsName, ErrorKind, Secret, SiteId};
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
    Place { zone, primary, key: Some(Tsig::LAB.name.parse().unwrap()), owner, lock: None }
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
    let Place { zone, primary, key, owner, .. } = place(primary);
    let to = Some(RecordSet::new(owner.clone(), RecordType::TXT, 0, [rdata]));
    let sets = vec![SetChange { key: RecordKey::new(owner, RecordType::TXT), from, to }];
    let change = ZoneChange { zone, primary, key, through: None, require: vec![], sets };
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
    let (old, held) = (tenure(4, "uk", "old"), tenure(5, "us", "a"));
    assert_eq!(coordinator.cas(&shop(), None, &old).await.unwrap(), Cas::Won);
    let before = coordinator.lease(&shop()).await.unwrap().unwrap();
    assert_eq!(coordinator.cas(&shop(), Some(&old), &held).await.unwrap(), Cas::Won);
    let now = coordinator.lease(&shop()).await.unwrap().unwrap();
    // Only the zone with the lease is restored: even who never saw the higher epoch is told.
    overwrite_lease(bind.addr(), &now, "a", Some(&format!("{} nonce=old", before.to_text()))).await;
    for asked in [&coordinator, &self::coordinator(bind.addr())] {
        let error = asked.read(&shop()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("epoch 4") && error.message().contains('5'), "{error}");
        // A seat is told what is there, and freezes by itself; it could not write anyway.
        assert_eq!(asked.lease(&shop()).await.unwrap(), Some(before.clone()));
        let raised = Lease { epoch: Epoch(6), ..now.clone() };
        let error = asked.swap_lease(&shop(), Some(&before), &raised).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    }
    // Both are restored: a process that never saw the higher epoch cannot know.
    let owner = place(bind.addr()).owner;
    overwrite(bind.addr(), Some(held.to_record_set(owner)), &format!("\"{}\"", old.to_text())).await;
    assert_eq!(coordinator.read(&shop()).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(self::coordinator(bind.addr()).read(&shop()).await.unwrap(), Some(old));
    // A person sets the lease above everything that was ever seen; the tenure follows with the next raise.
    overwrite_lease(bind.addr(), &before, "old", Some("epoch=9 home=us nonce=by-hand")).await;
    let by_hand = tenure(9, "us", "by-hand");
    assert_eq!(coordinator.read(&shop()).await.unwrap(), Some(by_hand.clone()));
    let lease = coordinator.lease(&shop()).await.unwrap().unwrap();
    assert!(!lease.settled);
    let alive = Lease { beat: 1, turn: 1, ..lease.clone() };
    assert_eq!(coordinator.swap_lease(&shop(), Some(&lease), &alive).await.unwrap(), Swap::Won);
    assert_eq!(coordinator.cas(&shop(), Some(&by_hand), &tenure(10, "uk", "z")).await.unwrap(), Cas::Won);
    let last = coordinator.lease(&shop()).await.unwrap().unwrap();
    overwrite_lease(bind.addr(), &last, "z", Some("nonsense")).await;
    let error = coordinator.read(&shop()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

/// Sets the lease's record as a restored zone or a person would.
async fn overwrite_lease(primary: SocketAddr, now: &Lease, nonce: &str, text: Option<&str>) {
    let Place { zone, primary, key, owner, .. } = place(primary);
    let owner: DnsName = format!("_lease.{owner}").parse().unwrap();
    let set = |text: &str| RecordSet::new(owner.clone(), RecordType::TXT, 0, [format!("\"{text}\"")]);
    let from = Some(set(&format!("{} nonce={nonce}", now.to_text())));
    let sets =
        vec![SetChange { key: RecordKey::new(owner.clone(), RecordType::TXT), from, to: text.map(set) }];
    let change = ZoneChange { zone, primary, key, through: None, require: vec![], sets };
    assert_eq!(provider().commit(&change).await.unwrap(), Commit::Applied);
}

/// Signs of life go on while a plan raises the epoch: it is not lost to them, and they end with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn signs_of_life_do_not_keep_a_plan_from_raising() {
    let bind = bind();
    let (seat, plan) = (coordinator(bind.addr()), coordinator(bind.addr()));
    let first = Lease::first(&"uk".parse().unwrap(), Mark(1), 1);
    assert_eq!(seat.swap_lease(&shop(), None, &first).await.unwrap(), Swap::Won);
    let beating = tokio::spawn(async move {
        let mut lease = first;
        loop {
            let next = Lease { beat: lease.beat + 1, ..lease.clone() };
            match seat.swap_lease(&shop(), Some(&lease), &next).await.unwrap() {
                Swap::Won => lease = next,
                Swap::Lost(Held(now)) => return (lease.beat, now),
                Swap::Unknown => panic!("the primary is here"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let held = plan.read(&shop()).await.unwrap();
    while plan.lease(&shop()).await.unwrap().unwrap().beat < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let to = tenure(2, "us", "plan");
    assert_eq!(plan.cas(&shop(), held.as_ref(), &to).await.unwrap(), Cas::Won);
    let (beats, now) = beating.await.unwrap();
    assert!(beats >= 3);
    assert_eq!(now.map(|now| (now.epoch, now.settled)), Some((Epoch(2), false)));
    assert_eq!(plan.read(&shop()).await.unwrap(), Some(to));
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
