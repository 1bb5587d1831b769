//! A warden in this process, with services that are files.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::world::clock::SystemClock;
use crate::world::{Cancel, Clock};

fn shell(script: String) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), script]
}

/// What serves is there.
fn charge(directory: &Path) -> Charge {
    let at = directory.join("up");
    let services = Services {
        start: shell(format!("touch {}", at.display())),
        stop: shell(format!("rm -f {}", at.display())),
        kill: vec![],
        check: vec![],
    };
    Charge {
        site: "shop".parse().unwrap(),
        epoch: Epoch(1),
        until: None,
        services,
        within: Period::from_secs(2),
    }
}

fn after(span: Duration) -> Until {
    Until::Tick(Tick(SystemClock::new().read().boot.0 + span))
}

async fn until_it_is(up: bool, directory: &Path) {
    let at = directory.join("up");
    for _ in 0..1000 {
        if at.exists() == up {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never is {up}");
}

fn watching(directory: &Path) -> (tokio::task::JoinHandle<Result<()>>, Cancel) {
    let (directory, cancel) = (directory.to_owned(), Cancel::new());
    let stop = cancel.clone();
    (tokio::spawn(async move { watch_over(&directory, &stop).await }), cancel)
}

async fn serve(warden: &Warden, charge: &Charge, until: Until) {
    for _ in 0..500 {
        if warden.serve(charge, until).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the warden does not listen");
}

#[tokio::test]
async fn services_serve_up_to_their_time_and_no_longer() {
    let here = tempfile::tempdir().unwrap();
    let (warden, charge) = (Warden::at(here.path().to_owned(), None), charge(here.path()));
    let (watching, cancel) = watching(here.path());
    serve(&warden, &charge, after(Duration::from_millis(800))).await;
    until_it_is(true, here.path()).await;
    // Told again, it goes on.
    serve(&warden, &charge, after(Duration::from_millis(1600))).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(here.path().join("up").exists());
    until_it_is(false, here.path()).await;
    while warden.states().await.unwrap()[&charge.site] != State::Stopped {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A time that is over already lets nobody serve.
    serve(&warden, &charge, Until::Tick(Tick::default())).await;
    serve(&warden, &charge, after(Duration::from_secs(60))).await;
    until_it_is(true, here.path()).await;
    warden.stop(&charge).await.unwrap();
    assert!(!here.path().join("up").exists());
    serve(&warden, &charge, after(Duration::from_secs(60))).await;
    until_it_is(true, here.path()).await;
    cancel.cancel();
    watching.await.unwrap().unwrap();
    assert!(!here.path().join("up").exists(), "nobody would stop it any more");
}

#[tokio::test]
async fn a_start_that_is_slow_does_not_come_after_the_stop() {
    let here = tempfile::tempdir().unwrap();
    let mut charge = charge(here.path());
    charge.services.start = shell(format!("sleep 1; touch {}", here.path().join("up").display()));
    let warden = Warden::at(here.path().to_owned(), None);
    let (_watching, cancel) = watching(here.path());
    serve(&warden, &charge, after(Duration::from_secs(60))).await;
    warden.stop(&charge).await.unwrap();
    serve(&warden, &charge, after(Duration::from_millis(300))).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!here.path().join("up").exists());
    cancel.cancel();
}

#[tokio::test]
async fn what_was_ordered_is_known_after_a_new_start_and_what_is_damaged_has_ended() {
    let here = tempfile::tempdir().unwrap();
    let (warden, charge) = (Warden::at(here.path().to_owned(), None), charge(here.path()));
    let (first, _cancel) = watching(here.path());
    serve(&warden, &charge, after(Duration::from_millis(1500))).await;
    until_it_is(true, here.path()).await;
    // Killed: nothing is stopped then, and what is there goes on.
    first.abort();
    let _ = first.await;
    let (second, _cancel) = watching(here.path());
    until_it_is(false, here.path()).await;
    second.abort();
    let _ = second.await;
    // Of another start of the machine.
    let kept = here.path().join("warden/shop.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()), "{text}");
    std::fs::write(&kept, text.replace(boot.trim(), "another")).unwrap();
    std::fs::write(here.path().join("up"), "").unwrap();
    let (_third, cancel) = watching(here.path());
    until_it_is(false, here.path()).await;
    cancel.cancel();
}

#[tokio::test]
async fn what_does_not_stop_is_stopped_by_force() {
    let here = tempfile::tempdir().unwrap();
    let mut charge = charge(here.path());
    charge.services.kill = std::mem::replace(&mut charge.services.stop, shell("sleep 60".into()));
    let warden = Warden::at(here.path().to_owned(), None);
    let (_watching, cancel) = watching(here.path());
    serve(&warden, &charge, after(Duration::from_millis(500))).await;
    until_it_is(true, here.path()).await;
    until_it_is(false, here.path()).await;
    cancel.cancel();
}
