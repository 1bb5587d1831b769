mod any;
mod charters;

use std::time::Duration;

use super::*;
use crate::estate::Epoch;
use crate::failover::guards::{self, Guard, GuardName};
use crate::failover::{DownKind, Observer, Panel, Role, Sight, Standing, Verdict, Vote};
use crate::failover::{Terms, Times};
use crate::time::Tick;

fn tick(secs: u64) -> Tick {
    Tick(Duration::from_secs(secs))
}

fn panel() -> Panel {
    let observer = |id: &str| Observer { id: id.parse().unwrap(), failure_domain: id.to_owned() };
    Panel::new(["uk", "us", "nl"].map(observer).to_vec()).unwrap()
}

fn charter(me: &str, auto: bool) -> Charter {
    let hosts = ["uk", "us"].map(|id| (id.parse().unwrap(), id.to_owned()));
    let mandate =
        if auto { Mandate::Auto(Warrant::new(panel(), "nl", hosts).unwrap()) } else { Mandate::Ask(panel()) };
    Charter {
        site: "shop".parse().unwrap(),
        me: me.parse().unwrap(),
        other: if me == "uk" { "us" } else { "uk" }.parse().unwrap(),
        first_home: "uk".parse().unwrap(),
        mandate,
        terms: Terms::default(),
        thresholds: crate::estate::Health::default(),
    }
    .checked()
    .unwrap()
}

/// A seat with its charter, and the actions of its last step.
struct Host {
    seat: Seat,
    charter: Charter,
    said: Vec<Action>,
}

impl Host {
    fn new(me: &str, auto: bool, mark: u128) -> Self {
        Self {
            seat: Seat::start(Kept::default(), Mark(mark), tick(0)),
            charter: charter(me, auto),
            said: vec![],
        }
    }

    fn tell(&mut self, at: u64, input: Input) -> &mut Self {
        let (seat, said) = step(self.seat.clone(), &self.charter, tick(at), input);
        (self.seat, self.said) = (seat, said);
        self
    }

    /// The question under way, answered with what the coordinator holds.
    fn reads(&mut self, at: u64, lease: &Lease) -> &mut Self {
        let turn = self.seat.asked.as_ref().expect("a question").turn;
        self.tell(at, Input::Read { turn, found: Some(Held(Some(lease.clone()))) })
    }

    fn swaps(&mut self, at: u64, outcome: Swap) -> &mut Self {
        let turn = self.seat.asked.as_ref().expect("a question").turn;
        self.tell(at, Input::Swapped { turn, outcome })
    }

    fn writing(&self) -> Lease {
        self.seat.asked.as_ref().and_then(|asked| asked.to.clone()).expect("a write")
    }

    fn serves(&self, at: u64) -> bool {
        self.seat.serves(&self.charter, tick(at)).is_some()
    }

    fn phase(&self) -> Phase {
        self.seat.phase(&self.charter)
    }

    fn refused(&self) -> &str {
        match &self.said[..] {
            [Action::Refuse(why), ..] => why,
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn passed() -> Vec<Guard> {
    let guard = |name| Guard { name, ..guards::dns_changeable(1, &[]) };
    [GuardName::StandbyHealthy, GuardName::MirrorFresh, GuardName::DnsChangeable, GuardName::Tenure]
        .map(guard)
        .to_vec()
}

fn vote(observer: &str, sequence: u64, verdict: Verdict) -> Vote {
    Vote { observer: observer.parse().unwrap(), sequence, verdict, valid_for: "30s".parse().unwrap() }
}

const DOWN: Verdict = Verdict::Down { kind: DownKind::TimedOut };

/// uk is home in epoch 1; its last acknowledged sign of life was sent at 0.
fn home() -> Host {
    let mut uk = Host::new("uk", true, 1);
    uk.tell(0, Input::Wake);
    let turn = uk.seat.asked.as_ref().unwrap().turn;
    uk.tell(0, Input::Read { turn, found: Some(Held(None)) });
    uk.swaps(1, Swap::Won);
    uk
}

/// us stands by; it saw the lease of uk first at 1.
fn standby(lease: &Lease) -> Host {
    let mut us = Host::new("us", true, 2);
    us.tell(0, Input::Wake).reads(1, lease);
    us
}

/// us, with uk down by quorum and all guards passed at this time.
fn confirmed(us: &mut Host, at: u64) {
    us.tell(at, Input::Guards { guards: passed(), asked: tick(at) });
    us.tell(at, Input::Vote { vote: vote("us", at, DOWN), asked: tick(at) });
    us.tell(at, Input::Vote { vote: vote("nl", at, DOWN), asked: tick(at) });
}

fn first_lease() -> Lease {
    Lease::first(&"uk".parse().unwrap(), Mark(1), 2)
}

#[test]
fn the_home_serves_from_the_sending_of_what_was_acknowledged() {
    let mut uk = home();
    assert_eq!(uk.seat.lease(), Some(&first_lease()));
    assert!(
        uk.said.contains(&Action::Serve { epoch: Epoch(1), until: Until::Tick(tick(60)) }),
        "{:?}",
        uk.said
    );
    assert!(matches!(uk.said[..], [Action::Remember(_), ..]), "what it is comes first: {:?}", uk.said);
    assert!(uk.serves(59) && !uk.serves(60));
    // The next sign of life is sent at 15 and acknowledged at 20: it counts from 15.
    uk.tell(15, Input::Wake).swaps(18, Swap::Won);
    assert!(uk.serves(74) && !uk.serves(75));
    // One whose answer never comes gives nothing, and is read back.
    uk.tell(33, Input::Wake).tell(38, Input::Wake);
    assert_eq!(uk.said, [Action::Read { turn: uk.seat.turns }]);
    uk.tell(75, Input::Wake);
    assert!(uk.said.contains(&Action::StandDown));
}

#[test]
fn a_late_answer_of_an_abandoned_question_counts_for_nothing() {
    let mut uk = home();
    uk.tell(15, Input::Wake);
    let turn = uk.seat.asked.as_ref().unwrap().turn;
    uk.tell(20, Input::Wake).tell(21, Input::Swapped { turn, outcome: Swap::Won });
    assert!(!uk.serves(60), "only what it waited for");
}

#[test]
fn a_standby_raises_the_epoch_at_once_and_waits_before_it_serves() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    let raised = us.writing();
    assert_eq!((raised.epoch, raised.settled, raised.unacknowledged), (Epoch(2), false, true));
    let Action::Remember(kept) = &us.said[1] else { panic!("{:?}", us.said) };
    assert_eq!(
        kept.standing,
        Standing { role: Role::Standby, epoch: Epoch(2) },
        "fenced before the epoch is raised"
    );
    assert!(!Seat::admits(kept, Epoch(1)) && matches!(us.said[2], Action::Swap { .. }));
    us.swaps(11, Swap::Won);
    assert_eq!(us.phase(), Phase::Executing { stage: Stage::Settling });
    assert!(us.said.contains(&Action::StepDown { epoch: Epoch(2) }) && !us.serves(11));
    assert!(!us.said.iter().any(|action| matches!(action, Action::Apply { .. })));
    // It saw the last sign of life at 1: 90 s later the old home has stopped.
    us.tell(90, Input::Wake);
    assert!(us.seat.asked.as_ref().is_none_or(|asked| asked.to.is_none()), "not yet");
    us.reads(90, &raised).tell(91, Input::Wake);
    assert!(us.writing().settled);
    us.swaps(92, Swap::Won);
    assert!(us.serves(150) && !us.serves(151), "from the sending at 91");
    assert!(
        us.said.contains(&Action::Apply { epoch: Epoch(2), from: "uk".parse().unwrap() }),
        "{:?}",
        us.said
    );
    us.tell(93, Input::Applied { epoch: Epoch(2), done: true });
    assert_eq!(us.phase(), Phase::Switched);
    us.tell(94, Input::Peer { standby_in: Epoch(2), reconciled: true });
    assert_eq!(us.phase(), Phase::Stable);
}

#[test]
fn an_old_home_that_says_that_it_has_stopped_is_not_waited_for() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    us.swaps(11, Swap::Won).tell(12, Input::Peer { standby_in: Epoch(1), reconciled: true });
    assert!(us.seat.asked.is_none(), "of another epoch");
    us.tell(12, Input::Peer { standby_in: Epoch(2), reconciled: false });
    assert!(us.writing().settled);
}

#[test]
fn a_raise_whose_answer_is_lost_needs_a_sign_of_life_of_its_own() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 100);
    let raised = us.writing();
    assert!(raised.settled, "nothing was heard of the old home for 99 s");
    us.swaps(101, Swap::Unknown);
    assert_eq!(us.said, [Action::Read { turn: us.seat.turns }]);
    us.reads(200, &raised);
    assert!(!us.serves(200), "reading it back says that it is done, not since when");
    assert_eq!(us.writing().beat, 1);
    us.swaps(205, Swap::Won);
    assert!(us.serves(259) && !us.serves(260));
}

#[test]
fn a_process_that_finds_itself_home_unsettled_waits_anew() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    let (raised, kept) = (us.writing(), us.seat.kept.clone());
    us.seat = Seat::start(kept, Mark(3), tick(20));
    us.tell(20, Input::Wake).reads(21, &raised);
    assert_eq!(us.seat.settle_at, Some(tick(111)));
    us.tell(110, Input::Wake);
    assert!(us.seat.asked.as_ref().is_none_or(|asked| asked.to.is_none()));
}

#[test]
fn a_raise_that_is_lost_takes_the_fence_back() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    // Up again: nothing makes it try once more.
    for observer in ["us", "nl"] {
        us.tell(10, Input::Vote { vote: vote(observer, 11, Verdict::Up), asked: tick(10) });
    }
    let beat = first_lease().renewed(Mark(1), 3);
    us.swaps(11, Swap::Lost(Held(Some(beat.clone()))));
    assert_eq!(us.seat.kept.standing, Standing { role: Role::Standby, epoch: Epoch(1) });
    assert!(Seat::admits(&us.seat.kept, Epoch(1)) && us.seat.kept.raising.is_none());
    assert_eq!(us.phase(), Phase::Stable, "{}", us.seat.explain(&us.charter, tick(11)));
    // In doubt it is not taken back: the attempt may still succeed.
    confirmed(&mut us, 20);
    us.swaps(21, Swap::Unknown).reads(22, &beat);
    assert!(!Seat::admits(&us.seat.kept, Epoch(1)));
    assert_eq!(us.writing().epoch, Epoch(2), "and is made again");
}

#[test]
fn a_home_that_lost_the_site_stops_and_puts_aside_what_it_alone_has() {
    let mut uk = home();
    uk.tell(15, Input::Wake);
    let raised = first_lease().raised(&"us".parse().unwrap(), Mark(2), 9);
    uk.swaps(16, Swap::Lost(Held(Some(raised))));
    assert_eq!(uk.said[0], Action::StandDown, "whether or not anything can be written down");
    assert!(uk.said.contains(&Action::Quarantine { epoch: Epoch(2) }), "{:?}", uk.said);
    assert_eq!(uk.phase(), Phase::Reconciling);
    assert!(!uk.serves(16) && !Seat::admits(&uk.seat.kept, Epoch(2)));
    assert_eq!(uk.seat.report(), Some(Input::Peer { standby_in: Epoch(2), reconciled: false }));
    uk.tell(20, Input::Quarantined { epoch: Epoch(1) });
    assert!(!uk.seat.kept.reconciled, "of another time");
    uk.tell(20, Input::Quarantined { epoch: Epoch(2) });
    assert!(Seat::admits(&uk.seat.kept, Epoch(2)) && !Seat::admits(&uk.seat.kept, Epoch(1)));
    assert_eq!(uk.phase(), Phase::Stable);
}

#[test]
fn told_by_the_other_host_it_stops_without_having_read() {
    let mut uk = home();
    uk.tell(15, Input::Wake).tell(16, Input::StepDown { epoch: Epoch(2) });
    assert!(!uk.serves(16) && uk.said.contains(&Action::StandDown));
    // What it reads then is no surprise, and what was asked before no contradiction.
    let raised = first_lease().raised(&"us".parse().unwrap(), Mark(2), 9);
    uk.reads(17, &raised);
    assert_eq!(uk.phase(), Phase::Reconciling);
    uk.tell(18, Input::StepDown { epoch: Epoch(1) });
    assert_eq!(uk.seat.kept.standing.epoch, Epoch(2));
}

#[test]
fn a_coordinator_that_goes_back_freezes_and_is_not_forgotten() {
    let two = first_lease().raised(&"us".parse().unwrap(), Mark(2), 9);
    let mut uk = standby(&first_lease());
    uk.charter = charter("uk", true);
    uk.seat = Seat::start(Kept::default(), Mark(5), tick(0));
    uk.tell(0, Input::Wake).reads(1, &two);
    uk.tell(16, Input::Wake).reads(17, &first_lease());
    assert_eq!(uk.phase(), Phase::Frozen { why: Frozen::Regressed });
    uk.tell(40, Input::Wake);
    assert!(uk.said.is_empty() && uk.seat.wakes_at(&uk.charter) > tick(1_000_000), "it does nothing");
    uk.tell(50, Input::Order(Order::Thaw { by: "ann".into() })).reads(51, &first_lease());
    assert_eq!(uk.phase(), Phase::Frozen { why: Frozen::Regressed }, "nothing is mended yet");
    uk.tell(60, Input::Order(Order::Thaw { by: "ann".into() }));
    uk.reads(61, &Lease { epoch: Epoch(1002), ..two.clone() });
    assert_eq!(uk.phase(), Phase::Stable);
    let other = Lease { home: "uk".parse().unwrap(), beat: 5, ..Lease { epoch: Epoch(1002), ..two } };
    uk.tell(90, Input::Wake).reads(91, &other);
    assert_eq!(uk.phase(), Phase::Frozen { why: Frozen::TwoOwners });
}

#[test]
fn a_namesake_is_noticed() {
    let mut uk = home();
    uk.tell(15, Input::Wake);
    uk.swaps(16, Swap::Lost(Held(Some(first_lease().renewed(Mark(99), 7)))));
    assert_eq!(uk.phase(), Phase::Frozen { why: Frozen::Twin });
}

#[test]
fn one_move_without_a_person_and_then_a_person() {
    let mut us = standby(&Lease { unacknowledged: true, ..first_lease() });
    us.charter.thresholds.hold_down = "0s".parse().unwrap();
    confirmed(&mut us, 10);
    assert_eq!(us.phase(), Phase::AwaitingApproval);
    // The word of a person counts for the epoch that was shown, and past the guards only by name.
    let take = |epoch, despite: &[GuardName]| {
        let (by, despite) = ("ann".to_owned(), despite.iter().copied().collect());
        Input::Order(Order::Take { by, epoch: Epoch(epoch), despite, stopped: false })
    };
    assert!(us.tell(11, take(2, &[])).refused().contains("epoch 1 now, not 2"));
    us.tell(12, take(1, &[]));
    assert!(us.said.contains(&Action::LookAtGuards), "asked anew: {:?}", us.said);
    let mut stale = passed();
    stale[1].passed = false;
    us.tell(13, Input::Guards { guards: stale.clone(), asked: tick(13) });
    assert_eq!(us.refused(), "in the way: mirror-fresh; mend it, or override it by name");
    us.tell(14, take(1, &[GuardName::MirrorFresh]))
        .tell(15, Input::Guards { guards: stale, asked: tick(15) });
    assert_eq!((us.writing().epoch, us.writing().unacknowledged), (Epoch(2), false), "a person has looked");
}

#[test]
fn an_acknowledgement_is_for_one_epoch() {
    let mut uk = home();
    uk.tell(2, Input::Order(Order::Acknowledge { by: "ann".into() }));
    assert_eq!(uk.seat.acknowledged, Some(Epoch(1)));
    let mut us = standby(&first_lease());
    assert!(us.tell(2, Input::Order(Order::Acknowledge { by: "ann".into() })).refused().contains("uk"));
    uk.seat.kept.standing.epoch = Epoch(3);
    uk.seat.watched.as_mut().unwrap().lease =
        Some(Lease { epoch: Epoch(3), unacknowledged: true, ..first_lease() });
    uk.swaps(2, Swap::Unknown);
    let later = Lease { epoch: Epoch(3), beat: 1, unacknowledged: true, ..first_lease() };
    uk.reads(3, &later);
    assert!(uk.writing().unacknowledged, "what was said in epoch 1 says nothing of epoch 3");
}

#[test]
fn a_guard_that_fails_blocks_and_one_that_is_silent_does_not_pass() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    let mut us = standby(&first_lease());
    let mut failed = passed();
    failed[0] = guards::standby_healthy(&"us".parse().unwrap(), &[Sight::Degraded { detail: "slow".into() }]);
    us.tell(10, Input::Guards { guards: failed, asked: tick(10) });
    us.tell(10, Input::Vote { vote: vote("us", 1, DOWN), asked: tick(10) });
    assert_eq!(us.phase(), Phase::Suspect);
    us.tell(10, Input::Vote { vote: vote("nl", 1, DOWN), asked: tick(10) });
    assert_eq!(us.phase(), Phase::Blocked { by: [GuardName::StandbyHealthy].into() });
    assert!(us.seat.explain(&us.charter, tick(10)).contains("because of standby-healthy: 2 of 3 observers"));
    let mut us = standby(&first_lease());
    us.tell(10, Input::Guards { guards: passed()[1..].to_vec(), asked: tick(10) });
    us.tell(10, Input::Vote { vote: vote("us", 1, DOWN), asked: tick(10) });
    us.tell(10, Input::Vote { vote: vote("nl", 1, DOWN), asked: tick(10) });
    assert_eq!(us.phase(), Phase::Confirmed);
    // Old guards are no guards, nor are votes that came too late.
    for who in ["us", "nl"] {
        us.tell(71, Input::Vote { vote: vote(who, 2, DOWN), asked: tick(71) });
    }
    us.tell(71, Input::Guards { guards: passed(), asked: tick(11) });
    assert!(us.seat.kept.raising.is_none());
    us.tell(102, Input::Guards { guards: passed(), asked: tick(102) });
    assert_eq!(us.phase(), Phase::Stable, "the votes held until 101");
}

#[test]
fn guards_that_take_longer_than_a_sign_of_life_are_waited_for() {
    let mut us = standby(&first_lease());
    for who in ["us", "nl"] {
        us.tell(10, Input::Vote { vote: vote(who, 1, DOWN), asked: tick(10) });
    }
    // Renewed every 15 s; the look at a host that is gone without a trace took 20.
    us.tell(30, Input::Guards { guards: passed(), asked: tick(10) });
    assert_eq!(us.phase(), Phase::Executing { stage: Stage::Raising });
}

#[test]
fn maintenance_keeps_it_where_it_is() {
    let mut us = standby(&first_lease());
    us.tell(5, Input::Order(Order::Hold { by: "ann: disks".into(), span: Some("1m".parse().unwrap()) }));
    confirmed(&mut us, 10);
    assert_eq!(us.phase(), Phase::Maintenance);
    confirmed(&mut us, 65);
    assert_eq!(us.phase(), Phase::Executing { stage: Stage::Raising }, "the minute is over");
}

#[test]
fn a_handover_loses_nothing_and_can_be_given_up() {
    let mut uk = home();
    let hand_over = || Input::Order(Order::HandOver { by: "ann".into() });
    assert!(uk.tell(2, hand_over()).refused().contains("us has not said"));
    uk.tell(3, Input::Peer { standby_in: Epoch(1), reconciled: true }).tell(4, hand_over());
    let turn = uk.seat.handover.as_ref().unwrap().turn;
    assert!(
        uk.said.contains(&Action::StandDown) && uk.said.contains(&Action::MirrorLast { turn }),
        "{:?}",
        uk.said
    );
    uk.tell(5, Input::Mirrored { turn: turn + 7, whole: true });
    assert_eq!(uk.phase(), Phase::Executing { stage: Stage::LastMirror }, "another attempt says nothing");
    // One that did not land whole: it goes on serving.
    uk.tell(6, Input::Mirrored { turn, whole: false });
    assert!(uk.serves(6));
    uk.tell(7, hand_over());
    let turn = uk.seat.handover.as_ref().unwrap().turn;
    uk.tell(8, Input::Mirrored { turn, whole: true });
    let handed = uk.writing();
    assert_eq!((handed.epoch, handed.home.as_str(), handed.settled), (Epoch(2), "us", true));
    // Given up while it may still be done: no serving before a sign of life is acknowledged.
    let mut undecided = Host { seat: uk.seat.clone(), charter: uk.charter.clone(), said: vec![] };
    undecided.tell(9, Input::Order(Order::GiveUp { by: "ann".into() }));
    assert!(!undecided.serves(9));
    undecided.reads(10, &first_lease()).swaps(11, Swap::Won);
    assert!(undecided.serves(11));
    // Or done: it stands by at once, with nothing to put aside.
    uk.swaps(9, Swap::Won);
    assert_eq!(uk.seat.kept.standing, Standing { role: Role::Standby, epoch: Epoch(2) });
    assert!(uk.seat.kept.reconciled && !uk.serves(9));
    let mut us = standby(&first_lease());
    us.tell(16, Input::Wake).reads(17, &handed);
    assert!(!us.serves(17));
    us.tell(17, Input::Wake).tell(32, Input::Wake).swaps(33, Swap::Won);
    assert!(us.serves(91) && us.said.iter().any(|action| matches!(action, Action::Apply { .. })));
}

#[test]
fn a_drill_looks_at_everything_and_moves_nothing() {
    let mut us = standby(&first_lease());
    us.tell(10, Input::Order(Order::Drill { by: "ann".into() }));
    assert_eq!(us.phase(), Phase::Drill);
    us.tell(11, Input::Guards { guards: passed(), asked: tick(10) });
    assert_eq!(us.said, [Action::Rehearse { epoch: Epoch(2) }]);
    us.tell(12, Input::Rehearsed);
    assert_eq!(us.phase(), Phase::Stable);
    assert!(home().tell(2, Input::Order(Order::Drill { by: "ann".into() })).refused().contains("standby"));
}

#[test]
fn what_cannot_be_written_down_is_not_followed_by_anything() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    us.tell(10, Input::Remembered(false)).tell(11, Input::Wake);
    let dangerous = |action: &Action| action.moves_something() || matches!(action, Action::Serve { .. });
    assert!(
        !us.said.iter().any(dangerous) && us.said.iter().any(|action| matches!(action, Action::Remember(_)))
    );
    assert!(us.seat.wakes_at(&us.charter) > tick(11), "it does not spin");
    us.tell(12, Input::Remembered(true)).tell(17, Input::Wake);
    assert_eq!(us.writing().epoch, Epoch(2));
}

#[test]
fn what_could_not_be_written_down_is_tried_again_however_much_is_said_meanwhile() {
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    us.tell(10, Input::Remembered(false));
    let tried = (11..=30).filter(|at| {
        us.tell(*at, Input::Vote { vote: vote("nl", *at, DOWN), asked: tick(*at) });
        let tries = us.said.iter().any(|action| matches!(action, Action::Remember(_)));
        if tries {
            us.tell(*at, Input::Guards { guards: passed(), asked: tick(*at) })
                .tell(*at, Input::Remembered(false));
        }
        tries
    });
    assert_eq!(
        tried.collect::<Vec<_>>(),
        [15, 20, 25, 30],
        "every five seconds, as long as an answer is waited for"
    );
}

#[test]
fn where_a_person_decides_nothing_expires_and_nothing_moves_by_itself() {
    let mut uk = Host::new("uk", false, 1);
    uk.tell(0, Input::Wake);
    uk.tell(0, Input::Read { turn: 1, found: Some(Held(None)) }).swaps(1, Swap::Won);
    assert_eq!(uk.seat.serves(&uk.charter, tick(1_000_000)), Some(Until::Told));
    let mut us = Host::new("us", false, 2);
    us.tell(0, Input::Wake).reads(1, &first_lease());
    confirmed(&mut us, 10);
    assert_eq!(us.phase(), Phase::AwaitingApproval);
    let take = |stopped| Order::Take { by: "ann".into(), epoch: Epoch(1), despite: [].into(), stopped };
    assert!(us.tell(11, Input::Order(take(false))).refused().contains("make sure that it has"));
    us.tell(12, Input::Order(take(true))).tell(12, Input::Guards { guards: passed(), asked: tick(12) });
    assert!(us.writing().settled);
    us.swaps(13, Swap::Won);
    assert_eq!(us.seat.serves(&us.charter, tick(13)), Some(Until::Told));
}

#[test]
fn a_clock_that_jumped_ends_the_lease_and_begins_every_wait_anew() {
    let mut uk = home();
    uk.tell(2, Input::ClockJumped);
    assert!(!uk.serves(2) && uk.said.contains(&Action::StandDown));
    let mut us = standby(&first_lease());
    confirmed(&mut us, 10);
    us.swaps(11, Swap::Won).tell(500, Input::ClockJumped);
    assert_eq!(us.seat.settle_at, Some(tick(590)));
}

#[test]
fn times_and_places_that_cannot_work_are_refused_with_what_to_change() {
    let times = |change: &dyn Fn(&mut Times)| {
        let mut times = Times::default();
        change(&mut times);
        Terms::try_from(times).unwrap_err()
    };
    let period = |text: &str| text.parse().unwrap();
    assert!(times(&|times| times.take = period("80s")).contains("make it at least 1m 25s 556ms"));
    assert!(times(&|times| times.hold = period("30s")).contains("make it at least 35s"));
    assert!(times(&|times| times.renew = period("0s")).contains("renew is 0s"));
    assert!(times(&|times| times.drift_permille = 500).contains("drift_permille is 500"));
    let json = r#"{"renew":"15s","hold":"60s","take":"60s","stop":"10s","answer":"5s","drift_permille":100}"#;
    assert!(serde_json::from_str::<Terms>(json).is_err(), "from a file too");
    let hosts = |us: &str| [("uk".parse().unwrap(), "uk".to_owned()), ("us".parse().unwrap(), us.to_owned())];
    assert!(Warrant::new(panel(), "nl", hosts("uk")).unwrap_err().contains("both in the failure domain uk"));
    assert!(Warrant::new(panel(), "uk", hosts("us")).unwrap_err().contains("as the host uk is"));
    let two = |id: &str| Observer { id: id.parse().unwrap(), failure_domain: id[..2].to_owned() };
    let close = Panel::new(["uk-1", "us-1", "us-2"].map(two).to_vec()).unwrap();
    let why = Warrant::new(close, "nl", hosts("us")).unwrap_err();
    assert!(why.contains("add observers outside of uk and us"), "{why}");
    let written = serde_json::to_string(&charter("uk", true)).unwrap();
    assert_eq!(serde_json::from_str::<Charter>(&written).unwrap(), charter("uk", true));
    assert!(
        serde_json::from_str::<Charter>(&written.replace("\"coordinator\":\"nl\"", "\"coordinator\":\"us\""))
            .is_err()
    );
}
