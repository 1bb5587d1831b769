//! Ctrl-C, SIGTERM and SIGKILL at random moments: nothing is left running, and nothing on disk but what nobody could remove.

use std::time::Duration;

use rustix::process::Signal;

use crate::stage::Demo;

/// A moment between 0 and 6 s, another for each seed.
fn moment(seed: u64) -> Duration {
    // The middle of a multiplication by an odd constant spreads well (Knuth, volume 3, section 6.4).
    Duration::from_millis((seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 6000)
}

fn stopped_by(signal: Signal, seed: u64) {
    let mut demo = Demo::start(&[]);
    demo.catches_signals();
    std::thread::sleep(moment(seed));
    demo.signal(signal);
    let ended = demo.end();
    assert_eq!(ended.code, Some(16), "{signal:?} after {:?}:\n{}", moment(seed), ended.err);
    assert!(ended.err.contains("stopping"), "{}", ended.err);
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing() {
    // The first as soon as it listens at all.
    (0..5).for_each(|seed| stopped_by(Signal::INT, seed));
}

#[test]
fn sigterm_at_any_moment_leaves_nothing() {
    (5..10).for_each(|seed| stopped_by(Signal::TERM, seed));
}

#[test]
fn killed_at_any_moment_it_takes_its_processes_along() {
    for seed in 10..15 {
        let mut demo = Demo::start(&[]);
        demo.catches_signals();
        std::thread::sleep(moment(seed));
        demo.signal(Signal::KILL);
        assert_eq!(demo.end_killed().code, None);
    }
}
