//! The driver in virtual time: two hosts, a coordinator and observers, all of one seed; processes that die at any deed.

mod town;

use std::time::Duration;

use town::{Crash, live};

use crate::estate::Epoch;

#[test]
fn a_site_is_moved_once_and_handed_back() {
    let lived = live(1, None);
    assert_eq!(lived.wrong, Vec::<String>::new());
    assert_eq!(lived.lease.map(|lease| (lease.epoch, lease.home.to_string())), Some((Epoch(3), "uk".into())));
    let moves: Vec<&String> = lived.trace.iter().filter(|line| line.contains("apply begins")).collect();
    assert_eq!(moves.len(), 2, "{moves:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let (one, two) = (live(7, None), live(7, None));
    assert!(one.trace.len() > 200, "{}", one.trace.len());
    assert_eq!(one.trace, two.trace);
    assert_ne!(one.trace, live(8, None).trace);
}

#[test]
fn a_process_may_die_at_any_deed() {
    let calls = live(3, None).calls;
    assert!(calls > 150, "{calls}");
    // Every fifth deed of all, before its effect and after it in turn.
    for call in (1..=calls).step_by(5) {
        let effect = call % 2 == 0;
        let lived = live(3, Some(Crash { call, effect }));
        let home = lived.lease.as_ref().map(|lease| lease.home.as_str());
        assert!(
            lived.wrong.is_empty() && home == Some("uk"),
            "killed at deed {call}, its effect done: {effect}: {:?} {:?}\n{}",
            lived.wrong,
            lived.lease,
            lived.trace.join("\n")
        );
    }
}

#[test]
fn what_cannot_be_written_down_is_followed_by_nothing() {
    let lived = town::lived(5, None, |town| town.disk_full_after(Duration::from_secs(15)));
    assert_eq!(lived.wrong, Vec::<String>::new(), "{}", lived.trace.join("\n"));
    assert_eq!(lived.lease.map(|lease| lease.epoch), Some(Epoch(1)), "{}", lived.trace.join("\n"));
    assert!(lived.trace.iter().any(|line| line.contains("us told: trouble")), "and says so");
}

#[test]
fn a_clock_that_is_set_counts_for_nothing() {
    let lived = town::lived(6, None, |town| town.wall_jumps_at(Duration::from_secs(12)));
    assert_eq!(lived.wrong, Vec::<String>::new());
    let stood_down = lived.trace.iter().any(|line| line.contains("uk stands down"));
    assert!(stood_down, "what was measured by it means nothing");
}
