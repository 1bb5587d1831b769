//! The simulator, small enough for every day: the protocol as it is, what it once got wrong, and every deliberate defect.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dr_tests::simulate::{Mutant, Outcome, campaign, run};

/// Days of each run: long enough for several moves.
const DAYS: u64 = 10;

fn wrong(outcomes: &[Outcome]) -> String {
    outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).fold(
        String::new(),
        |mut said, outcome| {
            let _ = writeln!(said, "seed {}: {:?}", outcome.seed, outcome.violations);
            said
        },
    )
}

#[test]
fn nothing_is_violated_and_everything_is_reached() {
    let mut outcomes = vec![];
    let sum = campaign(0, 300, DAYS, None, false, |outcome| outcomes.push(outcome.clone()));
    assert_eq!(wrong(&outcomes), "");
    assert_eq!(outcomes.len(), 300);
    let needed = [
        ("takeover", 100),
        ("takeover without a person", 100),
        ("handover", 30),
        ("mirrored", 1000),
        ("mirror refused", 50),
        ("put aside", 100),
        ("crash", 500),
        ("reply lost", 50),
        ("disk full", 100),
        ("coordinator went back", 10),
        ("blind observer", 100),
        ("suspect", 100),
        ("confirmed", 100),
        ("blocked", 100),
        ("awaiting approval", 20),
        ("executing", 300),
        ("switched", 100),
        ("reconciling", 100),
        ("maintenance", 50),
        ("drill", 20),
        ("rehearsed", 20),
        ("frozen by order", 30),
        ("frozen: regressed", 20),
        ("refused", 300),
    ];
    let seldom: Vec<_> = needed
        .iter()
        .filter(|(what, least)| sum.reached.get(what).is_none_or(|times| times < least))
        .collect();
    assert!(
        seldom.is_empty(),
        "a run in which nothing happens proves nothing: {seldom:?} of {:?}",
        sum.reached
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 77] {
        let (one, two) = (run(seed, DAYS, None, false), run(seed, DAYS, None, false));
        assert_eq!((one.steps, one.reached), (two.steps, two.reached));
    }
}

/// Seeds that found something once. What they found has a test of its own beside the code; as the simulator grows, a seed comes
/// to mean another world.
#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    let corpus = include_str!("../simulate/corpus.txt");
    let seeds = corpus.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let outcomes: Vec<Outcome> = seeds.map(|seed: u64| run(seed, DAYS, None, false)).collect();
    assert!(outcomes.len() > 5);
    assert_eq!(wrong(&outcomes), "");
}

/// Where each defect shows itself first; a change of the simulator moves these, and `--bin simulate -- --mutant all` finds them anew.
const SHOWN: [(Mutant, u64); 19] = [
    (Mutant::TakeEqualsHold, 31),
    (Mutant::CountsFromTheAnswer, 105),
    (Mutant::LateReadBackCounts, 0),
    (Mutant::ForgetsWhatItSaw, 0),
    (Mutant::NoHolderLease, 3),
    (Mutant::NoCompareAndSwap, 9),
    (Mutant::NoReceiverFence, 3),
    (Mutant::FenceAtTheStart, 19),
    (Mutant::NoQuarantine, 0),
    (Mutant::WitnessRegresses, 550),
    (Mutant::SettlesAtOnce, 0),
    (Mutant::VotesCountFromArrival, 371),
    (Mutant::InterestedVotesCount, 11),
    (Mutant::GuardsIgnored, 3),
    (Mutant::NeverAcknowledged, 0),
    (Mutant::MovesInMaintenance, 6),
    (Mutant::HandsOverUnmirrored, 14),
    (Mutant::SaysStoppedTooSoon, 0),
    (Mutant::BlindObserversVote, 124),
];

#[test]
fn every_defect_is_noticed() {
    let shown: BTreeMap<Mutant, u64> = SHOWN.into();
    let unnoticed: Vec<String> = Mutant::ALL
        .into_iter()
        .filter(|mutant| run(shown[mutant], DAYS, Some(*mutant), false).violations.is_empty())
        .map(Mutant::name)
        .collect();
    assert!(unnoticed.is_empty(), "not noticed any more: {}", unnoticed.join(", "));
}
