//! Agents as processes, each in a network of its own: two hosts with sshd, nginx and a warden, three observers, a primary name server. A
//! web server is killed, a whole host dies, lines are cut both ways and one way, the coordinator stops or is restored from a copy, a
//! holder stands still and wakes late, a disk is full, agents die whenever they say something. The site is moved once or not at all,
//! comes back, and never has two hosts that serve it: somebody looks at both all the time, from within.
//!
//! All scenarios are one test, because they mostly wait: six of them run at a time, whatever the machine's processors are.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod place;
mod poller;
mod scenarios;
mod stage;

use std::sync::Mutex;
use std::time::Instant;

use dr_tests::Net;

use self::poller::Poller;
use self::scenarios::SCENARIOS;
use self::stage::Stage;

/// So many at a time. Each needs some twenty processes and, on a machine of today, a tenth of a processor.
const AT_ONCE: usize = 6;

#[test]
fn a_site_is_moved_once_or_not_at_all_whatever_happens() {
    if let Err(why) = Net::is_possible() {
        // Only where the kernel or the account forbids it; as root on Debian nothing does.
        eprintln!("SKIPPED, NOTHING WAS TESTED: no network namespaces here: {why}");
        return;
    }
    let wanted = std::env::var("DR_TEST_SCENARIO").unwrap_or_default();
    let waiting: Vec<_> = SCENARIOS.iter().rev().filter(|scenario| scenario.name.contains(&wanted)).collect();
    assert!(!waiting.is_empty(), "no scenario is called {wanted}");
    let (waiting, failed) = (Mutex::new(waiting), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = waiting.lock().unwrap().pop() else { return };
                    let ended = std::thread::scope(|scope| {
                        let named = std::thread::Builder::new().name(scenario.name.to_owned());
                        named.spawn_scoped(scope, || play(scenario)).unwrap().join()
                    });
                    if let Err(panic) = ended {
                        let said = panic.downcast_ref::<String>().cloned();
                        failed.lock().unwrap().push((scenario.name, said));
                    }
                }
            });
        }
    });
    assert_eq!(*failed.lock().unwrap(), vec![], "failed; what their agents said is above");
}

fn play(scenario: &scenarios::Scenario) {
    let began = Instant::now();
    let mut stage = Stage::start(scenario.with);
    let poller = Poller::start(&stage);
    stage.warm_up();
    let warm = began.elapsed();
    (scenario.play)(&mut stage);
    let served = poller.end();
    let homes: Vec<&str> = served.iter().map(|(host, _)| *host).collect();
    eprintln!("{}: ready after {warm:.1?}, {:.1?} in all: {served:.1?}", scenario.name, began.elapsed());
    assert_eq!(homes, scenario.homes, "who served, one after the other");
}
