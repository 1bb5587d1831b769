//! Whatever a seat is told: what must hold of every single step.

use proptest::prelude::*;

use super::*;

fn any_lease() -> impl Strategy<Value = Lease> {
    (1..4u64, any::<bool>(), 0..3u64, 1..4u128, any::<bool>(), any::<bool>()).prop_map(
        |(epoch, uk, beat, by, settled, unacknowledged)| Lease {
            epoch: Epoch(epoch),
            home: if uk { "uk" } else { "us" }.parse().unwrap(),
            beat,
            by: Mark(by),
            turn: 1,
            settled,
            unacknowledged,
        },
    )
}

fn any_order() -> impl Strategy<Value = Order> {
    let by = || "ann".to_owned();
    prop_oneof![
        (1..4u64, any::<bool>()).prop_map(move |(epoch, stopped)| Order::Take {
            by: by(),
            epoch: Epoch(epoch),
            despite: [GuardName::Quorum].into(),
            stopped
        }),
        Just(Order::HandOver { by: by() }),
        Just(Order::GiveUp { by: by() }),
        Just(Order::Acknowledge { by: by() }),
        Just(Order::Hold { by: by(), span: None }),
        Just(Order::Release { by: by() }),
        Just(Order::Freeze { by: by() }),
        Just(Order::Thaw { by: by() }),
        Just(Order::Drill { by: by() }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let outcome = prop_oneof![
        3 => Just(Swap::Won),
        1 => Just(Swap::Unknown),
        1 => prop::option::of(any_lease()).prop_map(|lease| Swap::Lost(Held(lease)))
    ];
    let verdict = prop_oneof![1 => Just(Verdict::Up), 4 => Just(DOWN), 1 => Just(Verdict::Blind)];
    prop_oneof![
        4 => Just(Input::Wake),
        3 => prop::option::of(any_lease()).prop_map(|lease| Input::Read { turn: 0, found: Some(Held(lease)) }),
        4 => outcome.prop_map(|outcome| Input::Swapped { turn: 0, outcome }),
        4 => (0..3usize, 0..9u64, verdict).prop_map(|(who, sequence, verdict)| Input::Vote {
            vote: vote(["uk", "us", "nl"][who], sequence, verdict),
            asked: tick(0)
        }),
        2 => Just(Input::Guards { guards: passed(), asked: tick(0) }),
        1 => any::<bool>().prop_map(Input::Remembered),
        1 => (0..9u64, any::<bool>()).prop_map(|(turn, whole)| Input::Mirrored { turn, whole }),
        1 => (1..4u64, any::<bool>()).prop_map(|(epoch, done)| Input::Applied { epoch: Epoch(epoch), done }),
        1 => (1..4u64).prop_map(|epoch| Input::Quarantined { epoch: Epoch(epoch) }),
        1 => Just(Input::Rehearsed),
        1 => (1..4u64).prop_map(|epoch| Input::StepDown { epoch: Epoch(epoch) }),
        1 => (1..4u64, any::<bool>()).prop_map(|(epoch, reconciled)| Input::Peer { standby_in: Epoch(epoch), reconciled }),
        1 => Just(Input::ClockJumped),
        2 => any_order().prop_map(Input::Order),
    ]
}

/// Answers carry the number of the question under way, and what is asked for is asked for now.
fn aimed(input: Input, seat: &Seat, at: Tick) -> Input {
    let number = seat.asked.as_ref().map(|asked| asked.turn).unwrap_or_default();
    match input {
        Input::Read { found, .. } => Input::Read { turn: number, found },
        Input::Swapped { outcome, .. } => Input::Swapped { turn: number, outcome },
        Input::Vote { vote, .. } => Input::Vote { vote, asked: at },
        Input::Guards { guards, .. } => Input::Guards { guards, asked: at },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever it is told, in whatever order: what must hold of every single step.
    #[test]
    fn every_step_is_sound(me in any::<bool>(), auto in any::<bool>(), told in prop::collection::vec((0..60u64, any_input()), 1..60)) {
        let charter = charter(if me { "uk" } else { "us" }, auto);
        let mut seat = Seat::start(Kept::default(), Mark(1), tick(0));
        let mut now = 0;
        for (rest, input) in told {
            now += rest;
            let input = aimed(input, &seat, tick(now));
            let before = seat.clone();
            let (after, actions) = step(seat, &charter, tick(now), input.clone());
            prop_assert_eq!(&step(before.clone(), &charter, tick(now), input.clone()), &(after.clone(), actions.clone()));
            let stored = serde_json::to_string(&after).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Seat>(&stored).unwrap(), &after);
            let stored = serde_json::to_string(&(&input, &actions)).unwrap();
            prop_assert_eq!(serde_json::from_str::<(Input, Vec<Action>)>(&stored).unwrap(), (input, actions.clone()));
            // What was seen never shrinks, and what changed is remembered first.
            prop_assert!(before.kept.seen.as_ref().map(|seen| seen.epoch) <= after.kept.seen.as_ref().map(|seen| seen.epoch));
            if before.kept != after.kept {
                let kept = actions.iter().find_map(|action| if let Action::Remember(kept) = action { Some(kept) } else { None });
                prop_assert_eq!(kept.map(|kept| &**kept), Some(&after.kept));
            }
            let remembers = actions.iter().position(|action| matches!(action, Action::Remember(_)));
            let follows = actions.iter().position(|action| !matches!(action, Action::StandDown | Action::Tell(_) | Action::Refuse(_) | Action::Remember(_)));
            prop_assert!(remembers.is_none() || follows.is_none() || remembers < follows, "{actions:?}");
            let moves = actions.iter().any(Action::moves_something);
            prop_assert!(!moves || after.kept.frozen.is_none() && !after.unsaved, "{actions:?}");
            prop_assert!(!(before.drill.is_some() && after.drill.is_some() && moves), "a drill: {actions:?}");
            // It serves only as home, and no mirror lands then.
            if after.serves(&charter, tick(now)).is_some() {
                prop_assert_eq!(after.kept.standing.role, Role::Home);
                prop_assert!(!Seat::admits(&after.kept, Epoch(99)));
            }
            prop_assert!(after.wakes_at(&charter) > tick(now), "it would spin: {:?}", after);
            prop_assert!(!after.explain(&charter, tick(now)).is_empty());
            seat = after;
        }
    }

    #[test]
    fn leases_read_what_they_print(lease in any_lease(), noise in ".{0,40}") {
        prop_assert_eq!(lease.to_text().parse::<Lease>(), Ok(lease));
        let _ = noise.parse::<Lease>();
    }
}
