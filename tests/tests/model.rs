//! The model, small enough for every day; `--bin model` looks at the whole space.

use dr_tests::model::{Bounds, check};

#[test]
fn every_order_of_a_takeover_is_sound() {
    let bounds = Bounds { handovers: 0, ..Bounds::small(0) };
    let checked = check(bounds, Some(13));
    assert_eq!(checked.violated, []);
    assert!(!checked.missed.contains(&"a takeover that serves"), "{checked:?}");
    assert!(!checked.missed.contains(&"a home that loses the site"), "{checked:?}");
}

#[test]
fn every_order_of_a_handover_is_sound() {
    let bounds = Bounds { ticks: 2, takes: 0, writes: 1, ..Bounds::small(0) };
    let checked = check(bounds, None);
    assert_eq!(checked.violated, []);
    assert!(!checked.missed.contains(&"a handover that serves"), "{checked:?}");
}

/// If the model could not find two hosts that serve, it would prove nothing.
#[test]
fn terms_that_do_not_know_of_drift_are_found_out() {
    let bounds = Bounds { ticks: 4, known: false, handovers: 0, ..Bounds::small(1) };
    let checked = check(bounds, Some(11));
    assert!(!checked.violated.is_empty(), "{checked:?}");
}
