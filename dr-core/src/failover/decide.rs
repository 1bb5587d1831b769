//! The decision: stay, move, or ask a person. Pure: the same picture always gives the same decision.

use serde::{Deserialize, Serialize};

use super::guards::{self, Guard};
use super::votes::{Panel, Received, Tally};
use crate::estate::{Health as Thresholds, Mode};
use crate::time::Tick;

/// Everything that a decision is made from.
///
/// ```
/// use std::time::Duration;
/// use dr_core::failover::{Decision, Mode, Observer, Panel, Picture, Received, Verdict, Vote, DownKind, decide};
/// use dr_core::Tick;
/// let observer = |id: &str, domain: &str| Observer { id: id.parse().unwrap(), failure_domain: domain.into() };
/// let panel = Panel::new(vec![observer("uk-1", "uk"), observer("us-1", "us"), observer("nl-1", "nl")]).unwrap();
/// let mut picture = Picture::new(panel, Mode::Auto);
/// let now = Tick(Duration::from_secs(100));
/// assert!(matches!(decide(&picture, now), Decision::Stay { .. }));
/// for id in ["us-1", "nl-1"] {
///     let verdict = Verdict::Down { kind: DownKind::Refused };
///     let vote = Vote { observer: id.parse().unwrap(), sequence: 1, verdict, valid_for: "3s".parse().unwrap() };
///     picture.votes.push(Received { vote, at: now });
/// }
/// assert!(matches!(decide(&picture, now), Decision::Move { .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The configured observers.
    pub panel: Panel,
    /// The failure domain that the site would move to, if its observers are to have one vote together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beneficiary: Option<String>,
    /// What they said, in whatever order it came; older votes may still be among them.
    pub votes: Vec<Received>,
    /// What the guards saw, quorum and hold-down aside: those are worked out here.
    pub guards: Vec<Guard>,
    /// Who decides.
    pub mode: Mode,
    /// When the site was last moved automatically, by the decider's own clock.
    pub last_switch: Option<Tick>,
    /// Whether a person has acknowledged that switch.
    pub acknowledged: bool,
    /// The thresholds; of these the hold-down matters here.
    pub thresholds: Thresholds,
}

impl Picture {
    /// No votes yet, no guard in the way, never moved.
    #[must_use]
    pub fn new(panel: Panel, mode: Mode) -> Self {
        Self {
            panel,
            beneficiary: None,
            votes: vec![],
            guards: vec![],
            mode,
            last_switch: None,
            acknowledged: true,
            thresholds: Thresholds::default(),
        }
    }
}

/// What to do about a site.
///
/// ```
/// use dr_core::failover::Decision;
/// let stay = Decision::Stay { why: "1 of 3 sees it down".into() };
/// assert_eq!(serde_json::to_string(&stay).unwrap(), r#"{"stay":{"why":"1 of 3 sees it down"}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Decision {
    /// Nothing: the evidence is not there.
    Stay {
        /// What the votes amount to.
        why: String,
    },
    /// Move it.
    Move {
        /// What the votes amount to.
        why: String,
    },
    /// It is down and could be moved; a person must say so.
    Ask {
        /// What the votes amount to, and why a person is asked.
        why: String,
    },
    /// It is down, but must not be moved as things are.
    Blocked {
        /// The guards in the way.
        by: Vec<Guard>,
    },
}

/// Decides. Only a site that is down by quorum is ever moved, only past all guards, and only once until a person has looked.
///
/// ```
/// use dr_core::Tick;
/// use dr_core::failover::{Decision, Mode, Observer, Panel, Picture, decide};
/// let only = Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() };
/// let picture = Picture::new(Panel::new(vec![only]).unwrap(), Mode::Auto);
/// assert!(matches!(decide(&picture, Tick::default()), Decision::Stay { .. }), "nobody has voted");
/// ```
pub fn decide(picture: &Picture, now: Tick) -> Decision {
    let tally = Tally::toward(&picture.panel, picture.beneficiary.as_deref(), &picture.votes, now);
    let why = tally.explain();
    if !tally.is_down() {
        return Decision::Stay { why };
    }
    let held = guards::hold_down(picture.last_switch, now, picture.thresholds.hold_down);
    // Hold-down is about switches without a person; where a person is asked anyway it must not be in the way.
    let held = (picture.mode == Mode::Auto).then_some(held);
    let in_the_way: Vec<Guard> =
        picture.guards.iter().cloned().chain(held).filter(|guard| !guard.passed).collect();
    if !in_the_way.is_empty() {
        return Decision::Blocked { by: in_the_way };
    }
    match picture.mode {
        Mode::Ask => Decision::Ask { why: format!("{why}; a person decides") },
        Mode::Auto if picture.last_switch.is_some() && !picture.acknowledged => {
            Decision::Ask { why: format!("{why}; nobody has acknowledged the last automatic switch yet") }
        }
        Mode::Auto => Decision::Move { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Epoch;
    use crate::failover::{DownKind, Observer, Verdict, Vote};
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Tick = Tick(Duration::from_secs(1000));
    const DOWN: Verdict = Verdict::Down { kind: DownKind::Refused };

    fn panel(observers: &[(&str, &str)]) -> Panel {
        let observer = |(id, domain): &(&str, &str)| Observer {
            id: id.parse().unwrap(),
            failure_domain: (*domain).to_owned(),
        };
        Panel::new(observers.iter().map(observer).collect()).unwrap()
    }

    fn three() -> Panel {
        panel(&[("a", "uk"), ("b", "us"), ("c", "nl")])
    }

    fn vote(observer: &str, sequence: u64, verdict: Verdict, age_s: u64) -> Received {
        let valid_for = "3s".parse().unwrap();
        let vote = Vote { observer: observer.parse().unwrap(), sequence, verdict, valid_for };
        Received { vote, at: Tick(NOW.0 - Duration::from_secs(age_s)) }
    }

    fn word(decision: &Decision) -> &'static str {
        match decision {
            Decision::Stay { .. } => "stay",
            Decision::Move { .. } => "move",
            Decision::Ask { .. } => "ask",
            Decision::Blocked { .. } => "blocked",
        }
    }

    fn check(panel: Panel, votes: Vec<Received>, expected: &str) {
        let picture = Picture { votes, ..Picture::new(panel, Mode::Auto) };
        let decision = decide(&picture, NOW);
        assert_eq!(word(&decision), expected, "{decision:?} of {picture:?}");
    }

    #[test]
    fn down_takes_a_majority_of_the_configured_observers() {
        check(three(), vec![], "stay");
        check(three(), vec![vote("a", 1, DOWN, 0)], "stay");
        check(three(), vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0)], "move");
        let five = panel(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")]);
        check(five.clone(), vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0)], "stay");
        check(five, vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0), vote("e", 1, DOWN, 0)], "move");
        // Nobody asked strangers.
        check(three(), vec![vote("a", 1, DOWN, 0), vote("x", 1, DOWN, 0), vote("y", 1, DOWN, 0)], "stay");
    }

    #[test]
    fn down_takes_two_failure_domains() {
        let together = panel(&[("a", "uk"), ("b", "uk"), ("c", "nl")]);
        check(together.clone(), vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0)], "stay");
        check(together, vec![vote("a", 1, DOWN, 0), vote("c", 1, DOWN, 0)], "move");
        check(panel(&[("a", "uk")]), vec![vote("a", 1, DOWN, 0)], "stay");
    }

    #[test]
    fn one_fresh_vote_for_up_is_enough_to_stay() {
        let two_down = || vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0)];
        check(three(), [two_down(), vec![vote("c", 1, Verdict::Up, 0)]].concat(), "stay");
        check(three(), [two_down(), vec![vote("c", 1, Verdict::Up, 4)]].concat(), "move");
        check(three(), [two_down(), vec![vote("c", 1, Verdict::Unknown, 0)]].concat(), "move");
    }

    #[test]
    fn blind_expired_and_unknown_are_not_down() {
        let down = vote("a", 1, DOWN, 0);
        check(three(), vec![down.clone(), vote("b", 1, Verdict::Blind, 0)], "stay");
        check(three(), vec![down.clone(), vote("b", 1, Verdict::Unknown, 0)], "stay");
        check(three(), vec![down.clone(), vote("b", 1, DOWN, 4)], "stay");
        check(three(), vec![down.clone(), vote("b", 1, DOWN, 3)], "move");
        // From the future of the receiver's own clock: nonsense.
        let mut future = vote("b", 1, DOWN, 0);
        future.at = Tick(NOW.0 + Duration::from_secs(1));
        check(three(), vec![down, future], "stay");
    }

    #[test]
    fn only_the_newest_vote_of_an_observer_counts() {
        let down = vote("a", 5, DOWN, 0);
        check(three(), vec![down.clone(), vote("b", 2, Verdict::Unknown, 0), vote("b", 1, DOWN, 0)], "stay");
        check(three(), vec![down.clone(), vote("b", 1, Verdict::Up, 0), vote("b", 2, DOWN, 0)], "move");
        // A newer vote that has expired does not bring an older one back.
        check(three(), vec![down.clone(), vote("b", 1, DOWN, 0), vote("b", 2, Verdict::Up, 9)], "stay");
        // Two processes under one name contradict each other: neither counts.
        check(three(), vec![down.clone(), vote("b", 2, DOWN, 0), vote("b", 2, Verdict::Unknown, 0)], "stay");
        check(three(), vec![down, vote("b", 2, DOWN, 0), vote("b", 2, DOWN, 1)], "move");
    }

    #[test]
    fn two_observers_of_one_name_are_refused() {
        let observer = Observer { id: "a".parse().unwrap(), failure_domain: "uk".into() };
        assert!(Panel::new(vec![observer.clone(), observer.clone()]).is_err());
        assert!(Panel::new(vec![]).is_err());
        let json = serde_json::to_string(&[observer.clone(), observer]).unwrap();
        assert!(serde_json::from_str::<Panel>(&json).is_err(), "from a file too");
    }

    #[test]
    fn those_who_gain_have_one_vote_together() {
        let panel = panel(&[("a", "uk"), ("b", "us"), ("c", "us"), ("d", "us"), ("e", "nl")]);
        let mut votes = vec![vote("b", 1, DOWN, 0), vote("c", 1, DOWN, 0), vote("d", 1, DOWN, 0)];
        votes.push(vote("e", 1, DOWN, 0));
        let mut picture = Picture { votes, ..Picture::new(panel, Mode::Auto) };
        assert_eq!(word(&decide(&picture, NOW)), "move", "4 of 5");
        picture.beneficiary = Some("us".to_owned());
        let Decision::Stay { why } = decide(&picture, NOW) else { panic!("2 of 5, really") };
        assert!(why.contains("3 of them gain by a move and have one vote together"), "{why}");
        picture.votes.push(vote("a", 1, DOWN, 0));
        assert_eq!(word(&decide(&picture, NOW)), "move", "three of five that count");
    }

    fn down_picture() -> Picture {
        let votes = vec![vote("a", 1, DOWN, 0), vote("b", 1, DOWN, 0)];
        Picture { votes, ..Picture::new(three(), Mode::Auto) }
    }

    #[test]
    fn a_guard_in_the_way_blocks_and_is_named() {
        let mut picture = down_picture();
        picture.guards =
            vec![guards::tenure(Ok(None), Epoch(0)), guards::standby_healthy(&"us".parse().unwrap(), &[])];
        let Decision::Blocked { by } = decide(&picture, NOW) else { panic!("not blocked") };
        assert_eq!(by, picture.guards[1..]);
        picture.mode = Mode::Ask;
        assert_eq!(word(&decide(&picture, NOW)), "blocked");
    }

    #[test]
    fn one_automatic_switch_and_then_a_person() {
        let mut picture = down_picture();
        picture.last_switch = Some(Tick(NOW.0 - Duration::from_secs(60)));
        assert_eq!(word(&decide(&picture, NOW)), "blocked", "held down, though acknowledged");
        picture.thresholds.hold_down = "1m".parse().unwrap();
        assert_eq!(word(&decide(&picture, NOW)), "move");
        picture.acknowledged = false;
        assert_eq!(word(&decide(&picture, NOW)), "ask");
        picture.mode = Mode::Ask;
        assert_eq!(word(&decide(&picture, NOW)), "ask");
        picture.thresholds.hold_down = "1h".parse().unwrap();
        assert_eq!(word(&decide(&picture, NOW)), "ask", "hold-down does not stop a person");
    }

    #[test]
    fn the_reason_names_who_said_what() {
        let mut picture = down_picture();
        picture.votes.push(vote("c", 1, Verdict::Blind, 0));
        let Decision::Move { why } = decide(&picture, NOW) else { panic!("not moved") };
        assert_eq!(
            why,
            "2 of 3 observers in 2 failure domains see it down, 2 in 2 are needed \
             (down by a (connection refused), b (connection refused); blind: c)"
        );
    }

    fn any_vote() -> impl Strategy<Value = Received> {
        let verdict = prop_oneof![
            1 => Just(Verdict::Up),
            3 => Just(DOWN),
            1 => Just(Verdict::Blind),
            1 => Just(Verdict::Unknown)
        ];
        (0..6usize, 1..4u64, verdict, 0..6u64).prop_map(|(who, sequence, verdict, age)| {
            vote(["a", "b", "c", "d", "e", "x"][who], sequence, verdict, age)
        })
    }

    fn any_picture() -> impl Strategy<Value = Picture> {
        (
            prop::collection::vec(0..3usize, 1..6),
            prop::collection::vec(any_vote(), 0..12),
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(domains, votes, acknowledged, switched)| {
                let names = ["a", "b", "c", "d", "e"];
                let observers: Vec<(&str, &str)> = domains
                    .iter()
                    .enumerate()
                    .map(|(at, domain)| (names[at], ["uk", "us", "nl"][*domain]))
                    .collect();
                let last_switch = switched.then_some(Tick(Duration::from_secs(1)));
                let thresholds = Thresholds { hold_down: "1s".parse().unwrap(), ..Thresholds::default() };
                let panel = panel(&observers);
                Picture { votes, acknowledged, last_switch, thresholds, ..Picture::new(panel, Mode::Auto) }
            })
    }

    /// The rule once more, as plainly as it can be said, to hold against the code.
    fn seen_down(picture: &Picture) -> Vec<Observer> {
        let observers: Vec<Observer> = picture.panel.clone().into();
        let says_down = |observer: &Observer| {
            let of_it: Vec<&Received> =
                picture.votes.iter().filter(|received| received.vote.observer == observer.id).collect();
            let newest = of_it.iter().map(|received| received.vote.sequence).max();
            of_it.iter().any(|received| {
                Some(received.vote.sequence) == newest
                    && received.vote.verdict == DOWN
                    && of_it
                        .iter()
                        .any(|r| Some(r.vote.sequence) == newest && NOW.since(r.at) <= Duration::from_secs(3))
            })
        };
        observers.into_iter().filter(says_down).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_moves_without_quorum(picture in any_picture()) {
            if let Decision::Move { .. } | Decision::Ask { .. } = decide(&picture, NOW) {
                let down = seen_down(&picture);
                let domains: std::collections::BTreeSet<&str> =
                    down.iter().map(|observer| observer.failure_domain.as_str()).collect();
                prop_assert!(2 * down.len() > picture.panel.len() && domains.len() >= 2);
            }
        }

        #[test]
        fn a_blind_observer_contributes_nothing(picture in any_picture(), who in 0..5usize) {
            let name = ["a", "b", "c", "d", "e"][who];
            let mut without = picture;
            without.votes.retain(|received| received.vote.observer.as_str() != name);
            let mut blind = without.clone();
            blind.votes.push(vote(name, 9, Verdict::Blind, 0));
            prop_assert_eq!(word(&decide(&blind, NOW)), word(&decide(&without, NOW)));
        }

        #[test]
        fn a_fresh_vote_for_up_never_makes_it_move(picture in any_picture(), who in 0..5usize, sequence in 1..9u64, age in 0..4u64) {
            let before = decide(&picture, NOW);
            let mut more = picture;
            more.votes.push(vote(["a", "b", "c", "d", "e"][who], sequence, Verdict::Up, age));
            let after = decide(&more, NOW);
            prop_assert!(word(&before) != "stay" || word(&after) == "stay", "{before:?} became {after:?}");
        }

        #[test]
        fn the_order_of_votes_does_not_matter(picture in any_picture(), turn in 0..12usize) {
            let mut turned = picture.clone();
            let by = turn % turned.votes.len().max(1);
            turned.votes.rotate_left(by);
            prop_assert_eq!(decide(&turned, NOW), decide(&picture, NOW));
            turned.votes.reverse();
            prop_assert_eq!(decide(&turned, NOW), decide(&picture, NOW));
        }

        #[test]
        fn an_unacknowledged_switch_is_the_last(picture in any_picture()) {
            if picture.last_switch.is_some() && !picture.acknowledged {
                let decision = decide(&picture, NOW);
                prop_assert_ne!(word(&decision), "move");
            }
        }
    }
}
