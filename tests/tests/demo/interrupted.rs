//! Ctrl-C, SIGTERM and SIGKILL at random moments: nothing is left running, and nothing on disk but what nobody could remove.

use std::time::Duration;

use rustix::process::Signal;

use crate::stage::Demo;

/// A moment between 0 and 6 s, another for each seed.
fn moment(seed: u64) -> Duration {
    // The middle of a multiplication by an odd constant spreads well (Knuth, volume 3, section 6.4).
    Duration::from_millis((seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 6000)
}

fn stopped_by(signal: Signal, after: Duration) {
    let mut demo = Demo::start(&[]);
    demo.catches_signals();
    std::thread::sleep(after);
    demo.signal(signal);
    let ended = demo.end();
    if ended.is_told() {
        return;
    }
    assert_eq!(ended.code, Some(16), "{signal:?} after {after:?}:\n{}", ended.err);
    assert!(ended.err.contains("stopping"), "{}", ended.err);
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing() {
    (0..5).for_each(|seed| stopped_by(Signal::INT, moment(seed)));
}

#[test]
fn ctrl_c_at_once_leaves_nothing() {
    // As soon as it listens at all, while it puts the website into its directory and starts processes.
    (0..20).for_each(|tenth| stopped_by(Signal::INT, Duration::from_millis(tenth * 10)));
}

#[test]
fn sigterm_at_any_moment_leaves_nothing() {
    (5..10).for_each(|seed| stopped_by(Signal::TERM, moment(seed)));
}

#[test]
fn killed_at_any_moment_it_takes_its_processes_along() {
    for seed in 10..15 {
        let mut demo = Demo::start(&[]);
        demo.catches_signals();
        std::thread::sleep(moment(seed));
        demo.signal(Signal::KILL);
        let ended = demo.end_killed();
        assert!(ended.code.is_none() || ended.is_told(), "{:?}\n{}", ended.code, ended.err);
    }
}
