//! What racing clients saw of each coordinator can have happened: lines are cut, clients die, servers are killed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::time::Duration;

use dr_tests::history::backends::{Backend, Rules};

async fn races(kind: &'static str, kill: bool) {
    let rules = Rules { races: 120, dying: 12, kill, patience: Duration::from_secs(120) };
    let raced = Backend::start(kind).race(rules).await;
    assert_eq!(raced.violation, None, "{raced:?}");
    assert!(raced.won >= rules.races && raced.lost > 0 && raced.unknown > 0, "it was no race: {raced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_is_linearizable() {
    races("sqlite", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bind_is_linearizable_and_survives_a_kill() {
    races("bind", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn knot_is_linearizable() {
    races("knot", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn powerdns_is_linearizable() {
    races("powerdns", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn etcd_is_linearizable_and_survives_a_kill() {
    races("etcd", true).await;
}
