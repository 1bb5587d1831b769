//! Its processes killed in the middle: it says which, never hangs, and never calls that a success.

use crate::stage::{Demo, Ended};

/// Kills one process as soon as the story has come to `at`.
fn sabotage(called: &str, at: &str) -> Ended {
    let demo = Demo::start(&[]);
    demo.told(at);
    let pid = demo.kill(called);
    let ended = demo.end();
    let words = format!("{} (pid {pid}) was killed by signal 9", called.replace('-', " "));
    // The story folds its lines.
    let flat = ended.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&words), "nothing about '{words}' in:\n{}", ended.err);
    assert!(flat.contains("not by this program"), "{}", ended.err);
    assert!(ended.code.is_some_and(|code| code != 0), "{:?}:\n{}", ended.code, ended.err);
    ended
}

#[test]
fn a_secondary_name_server() {
    let ended = sabotage("name-server-ns4", "Watch");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let row = ended.out.lines().find(|line| line.contains("all servers agree")).unwrap();
    assert!(row.contains("not reached"), "five of six are not all: {row}");
}

#[test]
fn a_secondary_name_server_while_all_are_waited_for() {
    let ended = sabotage("name-server-ns5", "6. point");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
}

#[test]
fn the_primary_name_server() {
    sabotage("name-server-ns1", "Watch");
}

#[test]
fn an_observer_and_the_quorum_still_decides() {
    let ended = sabotage("observer-jp", "Watch");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.contains("RTO"), "the other two carry on:\n{}\n{}", ended.out, ended.err);
}

#[test]
fn two_observers_and_no_quorum_is_left() {
    let demo = Demo::start(&[]);
    demo.told("Watch");
    demo.kill("observer-jp");
    demo.kill("observer-de");
    let ended = demo.end();
    assert_eq!(ended.code, Some(17), "{}", ended.err);
    assert!(ended.err.contains("no quorum of observers saw the site down"), "{}", ended.err);
}

#[test]
fn the_standby() {
    let ended = sabotage("host-us", "Watch");
    assert!(!ended.err.contains("exited with status"), "the observers' end was no death: {}", ended.err);
}

#[test]
fn the_home_before_its_time() {
    sabotage("host-uk", "Keys");
}
