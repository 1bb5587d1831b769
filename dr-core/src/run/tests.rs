//! The machine by itself: its rules one by one, and that no sequence of events or replies breaks it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Deed, Direction, Event, Machine, Next, Outcome, Reply, RunId, StepState, TRIES, chain};
use crate::error::{Error, ErrorKind, ErrorRecord};
use crate::estate::Epoch;
use crate::failover::{Raise, Tenure};
use crate::keys::{AuthorizedKeysChange, Content};
use crate::plan::{OnFailure, Pause, Plan, Planned, Step};
use crate::time::{Period, Timestamp};

fn tenure(epoch: u64, home: &str) -> Tenure {
    Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: format!("n{epoch}") }
}

fn raise(site: &str) -> Step {
    let site = site.parse().unwrap();
    Step::RaiseEpoch(Raise { site, from: Some(tenure(1, "uk")), to: tenure(2, "us") })
}

fn pause() -> Step {
    Step::Pause(Pause { span: Period::from_secs(60), why: "let the TTL pass".to_owned() })
}

fn plan(on_failure: OnFailure, steps: Vec<Planned>) -> Plan {
    Plan::new("test", Timestamp::from_micros(0), on_failure, steps)
}

fn error(kind: ErrorKind) -> ErrorRecord {
    Error::new(kind, "do it", "it went wrong").to_record()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000) + Duration::from_secs(seconds)
}

/// Drives a machine with these replies, one a [`Next::Perform`], until it finishes or the replies run out. Gives what happened:
/// `begin 0`, `look 0`, `act 0`, `done 0`, `found 0`, `fail 0 kind`, `back` before what goes back, `wait`, and the outcome.
fn story(machine: &mut Machine, replies: &[Reply]) -> String {
    let (mut told, mut replies, mut now) = (vec![], replies.iter(), at(0));
    for _ in 0..1_000 {
        match machine.next(now) {
            Next::Record(event) => {
                told.extend(words(&event));
                machine.recorded(now, &event).unwrap();
            }
            Next::Perform(work) => {
                let deed = if work.deed == Deed::Observe { "look" } else { "act" };
                let back = if work.direction == Direction::Back { "back " } else { "" };
                told.push(format!("{back}{deed} {}", work.step));
                let Some(reply) = replies.next() else { break };
                machine.performed(now, reply.clone());
            }
            Next::Wait(span) => {
                told.push("wait".to_owned());
                now = now + span;
            }
            Next::Finish(_) => break,
        }
    }
    assert!(replies.next().is_none(), "it did not ask often enough: {told:?}");
    told.join(", ")
}

fn words(event: &Event) -> Option<String> {
    let back = |direction: &Direction| if *direction == Direction::Back { "back " } else { "" };
    Some(match event {
        Event::StepBegun { step, direction } => format!("{}begin {step}", back(direction)),
        Event::StepDone { step, direction, found: true } => format!("{}found {step}", back(direction)),
        Event::StepDone { step, direction, found: false } => format!("{}done {step}", back(direction)),
        Event::StepFailed { step, direction, error, .. } => {
            format!("{}fail {step} {}", back(direction), error.kind.name())
        }
        Event::UndoBegun { .. } => "undo".to_owned(),
        Event::Resumed { .. } => "resume".to_owned(),
        Event::Finished { outcome } => format!("{outcome:?}"),
        _ => return None,
    })
}

const FROM: Reply = Reply::State(StepState::From);
const TO: Reply = Reply::State(StepState::To);
const PARTIAL: Reply = Reply::State(StepState::Partial);

fn other() -> Reply {
    Reply::State(StepState::Other("somebody else's".to_owned()))
}

fn failed(kind: ErrorKind) -> Reply {
    Reply::Failed(error(kind))
}

fn lost() -> Reply {
    Reply::Lost(error(ErrorKind::OutcomeUnknown))
}

fn needed(on_failure: OnFailure) -> Machine {
    Machine::new(plan(on_failure, vec![Planned::needed("raise", raise("shop"))]), "ann")
}

fn check(replies: &[Reply], expected: &str) {
    assert_eq!(story(&mut needed(OnFailure::Stop), replies), expected, "{replies:?}");
}

#[test]
fn a_step_is_looked_at_begun_done_and_read_back() {
    check(&[FROM, Reply::Done, TO], "look 0, begin 0, act 0, look 0, done 0, New");
    check(&[PARTIAL, Reply::Done, TO], "look 0, begin 0, act 0, look 0, done 0, New");
    check(&[TO], "look 0, found 0, New");
    check(&[other()], "look 0, fail 0 conflict, Stopped");
    check(&[FROM, Reply::Done, other()], "look 0, begin 0, act 0, look 0, fail 0 conflict, Stopped");
}

fn keys() -> Step {
    let (remote, to) = ("root@us.example.net".parse().unwrap(), Some(Content::new(b"a key\n")));
    Step::ChangeAuthorizedKeys(AuthorizedKeysChange { remote, path: "keys".into(), from: None, to })
}

/// Whoever was slower did nothing, and has nothing to take back; whoever cannot know looks, and leaves what is not theirs.
#[test]
fn what_was_refused_whole_is_old_and_needs_no_way_back() {
    let check = |replies: &[Reply], expected: &str| {
        let plan = plan(OnFailure::Undo, vec![Planned::needed("keys", keys())]);
        let mut machine = Machine::new(plan, "ann");
        assert_eq!(story(&mut machine, replies), expected, "{replies:?}");
    };
    let conflict = || failed(ErrorKind::Conflict);
    check(&[FROM, conflict(), other()], "look 0, begin 0, act 0, look 0, fail 0 conflict, undo, Old");
    check(&[FROM, conflict(), FROM], "look 0, begin 0, act 0, look 0, fail 0 conflict, undo, Old");
    let lost_first = "look 0, begin 0, act 0, look 0, wait, look 0, act 0, look 0, fail 0 conflict, undo, \
                      back look 0, back look 0, back fail 0 conflict, Stopped";
    check(&[FROM, lost(), FROM, FROM, conflict(), other(), other(), other()], lost_first);
    let said_done = "look 0, begin 0, act 0, look 0, fail 0 conflict, undo, back look 0, back look 0, \
                     back fail 0 conflict, Stopped";
    check(&[FROM, Reply::Done, other(), other(), other()], said_done);
    // A process that died may have done it before; the one that takes the run up does not know.
    let mut died = Machine::new(plan(OnFailure::Undo, vec![Planned::needed("keys", keys())]), "ann");
    assert_eq!(story(&mut died, &[FROM]), "look 0, begin 0, act 0");
    died.recorded(at(1), &Event::Resumed { by: "ann".into(), direction: Direction::Forward }).unwrap();
    let taken_up = "look 0, begin 0, act 0, look 0, fail 0 conflict, undo, back look 0, back look 0, back fail 0 conflict, Stopped";
    assert_eq!(story(&mut died, &[FROM, conflict(), other(), other(), other()]), taken_up);
}

#[test]
fn a_lost_reply_is_read_back_and_tried_a_bounded_number_of_times() {
    check(&[FROM, lost(), TO], "look 0, begin 0, act 0, look 0, done 0, New");
    check(&[FROM, failed(ErrorKind::Conflict), TO], "look 0, begin 0, act 0, look 0, done 0, New");
    check(
        &[FROM, lost(), FROM, FROM, lost(), FROM, FROM, lost(), FROM],
        "look 0, begin 0, act 0, look 0, wait, look 0, act 0, look 0, wait, look 0, act 0, look 0, \
         fail 0 outcome_unknown, Stopped",
    );
    let never_seen = [FROM, lost()].into_iter().chain((0..TRIES).map(|_| failed(ErrorKind::Unreachable)));
    check(
        &never_seen.collect::<Vec<_>>(),
        "look 0, begin 0, act 0, look 0, wait, look 0, wait, look 0, fail 0 outcome_unknown, Stopped",
    );
    check(&[FROM, Reply::Done, FROM, TO], "look 0, begin 0, act 0, look 0, wait, look 0, done 0, New");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let unreachable = || failed(ErrorKind::Unreachable);
    check(
        &[unreachable(), FROM, Reply::Done, TO],
        "look 0, wait, look 0, begin 0, act 0, look 0, done 0, New",
    );
    check(
        &[unreachable(), unreachable(), unreachable()],
        "look 0, wait, look 0, wait, look 0, fail 0 unreachable, Stopped",
    );
    check(&[failed(ErrorKind::HostKey)], "look 0, fail 0 host_key, Stopped");
    check(
        &[FROM, failed(ErrorKind::Refused), FROM],
        "look 0, begin 0, act 0, look 0, fail 0 refused, Stopped",
    );
    check(
        &[FROM, unreachable(), FROM, FROM, Reply::Done, TO],
        "look 0, begin 0, act 0, look 0, wait, look 0, act 0, look 0, done 0, New",
    );
}

#[test]
fn a_step_that_is_only_wanted_is_tried_once_and_passed_over() {
    let steps = vec![Planned::wanted("raise", raise("shop")), Planned::needed("raise", raise("blog"))];
    let mut machine = Machine::new(plan(OnFailure::Undo, steps), "ann");
    let replies = [failed(ErrorKind::Unreachable), FROM, Reply::Done, TO];
    let told = story(&mut machine, &replies);
    assert_eq!(told, "look 0, fail 0 unreachable, look 1, begin 1, act 1, look 1, done 1, NewDegraded");
    // Its effect may have landed all the same, if it was begun: going back looks at it.
    let steps = vec![Planned::wanted("raise", raise("shop"))];
    let mut machine = Machine::new(plan(OnFailure::Stop, steps), "ann");
    let told = story(&mut machine, &[FROM, lost(), failed(ErrorKind::Unreachable)]);
    assert_eq!(told, "look 0, begin 0, act 0, look 0, fail 0 outcome_unknown, NewDegraded");
    machine.recorded(at(9), &Event::UndoBegun { why: "ann asked for it".to_owned() }).unwrap();
    let told = story(&mut machine, &[FROM, Reply::Done, TO]);
    assert_eq!(told, "back look 0, back begin 0, back act 0, back look 0, back done 0, Old");
}

fn two(on_failure: OnFailure) -> Machine {
    let steps = vec![Planned::needed("raise", raise("shop")), Planned::needed("raise", raise("blog"))];
    Machine::new(plan(on_failure, steps), "ann")
}

#[test]
fn going_back_visits_every_step_that_was_begun_in_reverse() {
    // The second step fails: the plan takes itself back, the failed step first, for its effect may have landed.
    let forward = [FROM, Reply::Done, TO, FROM, failed(ErrorKind::Rejected), FROM];
    let back = [FROM, Reply::Done, TO, FROM, Reply::Done, TO];
    let told = story(&mut two(OnFailure::Undo), &[&forward[..], &back].concat());
    let expected = "look 0, begin 0, act 0, look 0, done 0, look 1, begin 1, act 1, look 1, fail 1 rejected, undo, \
                    back look 1, back begin 1, back act 1, back look 1, back done 1, \
                    back look 0, back begin 0, back act 0, back look 0, back done 0, Old";
    assert_eq!(told, expected);
    // What takes the failed step back fits nothing, and the step itself was never done: nothing to take back.
    let back = [other(), FROM, TO];
    let told = story(&mut two(OnFailure::Undo), &[&forward[..], &back].concat());
    assert!(
        told.ends_with("back look 1, back look 1, back found 1, back look 0, back found 0, Old"),
        "{told}"
    );
    // Somebody else's state stays, and the run stops.
    let told = story(&mut two(OnFailure::Undo), &[&forward[..], &[other(), other()]].concat());
    assert!(told.ends_with("back look 1, back look 1, back fail 1 conflict, Stopped"), "{told}");
    // A step that was found done is not visited.
    let told = story(&mut two(OnFailure::Undo), &[TO, other()]);
    assert_eq!(told, "look 0, found 0, look 1, fail 1 conflict, undo, Old");
    // What is unknown waits for a person, who may go on either way.
    let mut machine = two(OnFailure::Undo);
    let unknown = [FROM, lost(), failed(ErrorKind::Protocol)];
    assert!(story(&mut machine, &unknown).ends_with("fail 0 outcome_unknown, Stopped"));
    let mut back = machine.clone();
    machine.recorded(at(9), &Event::Resumed { by: "ann".to_owned(), direction: Direction::Forward }).unwrap();
    assert_eq!(story(&mut machine, &[TO, TO]), "look 0, done 0, look 1, found 1, New");
    back.recorded(at(9), &Event::UndoBegun { why: "ann asked for it".to_owned() }).unwrap();
    assert_eq!(story(&mut back, &[TO]), "back look 0, back found 0, Old");
}

#[test]
fn a_look_that_never_answers_going_back_ends() {
    let mut machine = needed(OnFailure::Stop);
    story(&mut machine, &[FROM, Reply::Done, TO]);
    machine.recorded(at(9), &Event::UndoBegun { why: "ann asked for it".to_owned() }).unwrap();
    let unreachable = || failed(ErrorKind::Unreachable);
    let told = story(&mut machine, &[other(), unreachable(), other(), unreachable(), other(), unreachable()]);
    assert!(told.ends_with("back fail 0 unreachable, Stopped"), "{told}");
}

#[test]
fn a_pause_counts_from_when_it_was_recorded_and_again_if_the_clock_went_back() {
    let mut machine = Machine::new(plan(OnFailure::Stop, vec![Planned::needed("wait", pause())]), "ann");
    let mut lines = vec![];
    for _ in 0..2 {
        let Next::Record(event) = machine.next(at(100)) else { panic!() };
        machine.recorded(at(100), &event).unwrap();
        lines.push(chain::next_line(None, RunId::from_bytes([1; 8]), at(100), event));
    }
    assert_eq!(machine.next(at(110)), Next::Wait(Duration::from_secs(50)));
    // The process died and another one looks later: the time passed all the same.
    let mut again = Machine::replay(machine.plan().clone(), &lines).unwrap();
    again.recorded(at(150), &Event::Resumed { by: "bob".to_owned(), direction: Direction::Forward }).unwrap();
    assert_eq!(again.next(at(150)), Next::Wait(Duration::from_secs(10)));
    assert!(matches!(again.next(at(160)), Next::Record(Event::StepDone { step: 0, found: false, .. })));
    // A little back is what clocks do; far back, and nobody knows how long it was.
    assert_eq!(machine.next(at(99)), Next::Wait(Duration::from_secs(60)));
    let restarted = Event::StepBegun { step: 0, direction: Direction::Forward };
    assert_eq!(machine.next(at(50)), Next::Record(restarted.clone()));
    machine.recorded(at(50), &restarted).unwrap();
    assert_eq!(machine.next(at(60)), Next::Wait(Duration::from_secs(50)));
}

#[test]
fn waiting_for_something_ends_with_it_or_with_patience() {
    use crate::estate::ProbeSpec;
    use crate::failover::Expect;
    let expect = Expect {
        address: "192.0.2.1".parse().unwrap(),
        probe: ProbeSpec::Tcp { port: 80 },
        within: Period::from_secs(10),
    };
    let machine = || {
        let steps = vec![Planned::needed("us answers", Step::AwaitHealthy(expect.clone()))];
        Machine::new(plan(OnFailure::Stop, steps), "ann")
    };
    assert_eq!(story(&mut machine(), &[other(), TO]), "begin 0, look 0, wait, look 0, done 0, New");
    assert_eq!(
        story(&mut machine(), &[failed(ErrorKind::HostKey)]),
        "begin 0, look 0, fail 0 host_key, Stopped"
    );
    // Ten seconds at a tenth of a second each.
    let mut impatient = machine();
    let told = story(&mut impatient, &vec![failed(ErrorKind::Unreachable); 101]);
    assert!(told.ends_with("wait, look 0, fail 0 timeout, Stopped"), "{told}");
    impatient
        .recorded(at(99), &Event::Resumed { by: "ann".to_owned(), direction: Direction::Forward })
        .unwrap();
    assert_eq!(story(&mut impatient, &[other(), TO]), "begin 0, look 0, wait, look 0, done 0, New");
}

#[test]
fn a_journal_that_no_run_can_have_left_is_corrupt() {
    let forward = Direction::Forward;
    let first = needed(OnFailure::Stop);
    let recorded =
        Event::PlanRecorded { title: "test".to_owned(), digest: first.plan().digest(), by: "ann".to_owned() };
    let begun = Event::StepBegun { step: 0, direction: forward };
    let done = Event::StepDone { step: 0, direction: forward, found: false };
    let undo = Event::UndoBegun { why: String::new() };
    let finished = |outcome| Event::Finished { outcome };
    let resumed = |direction| Event::Resumed { by: String::new(), direction };
    let wrong: &[&[&Event]] = &[
        &[&begun],
        &[&recorded, &recorded],
        &[&Event::PlanRecorded { title: String::new(), digest: crate::Digest::of(b""), by: String::new() }],
        &[&recorded, &Event::StepBegun { step: 1, direction: forward }],
        &[&recorded, &Event::StepBegun { step: usize::MAX, direction: forward }],
        &[&recorded, &Event::StepBegun { step: 0, direction: Direction::Back }],
        &[&recorded, &begun, &done, &done],
        &[&recorded, &finished(Outcome::New)],
        &[&recorded, &finished(Outcome::Old)],
        &[&recorded, &finished(Outcome::Stopped), &begun],
        &[&recorded, &begun, &done, &finished(Outcome::New), &resumed(forward)],
        &[&recorded, &resumed(Direction::Back)],
        &[&recorded, &undo, &undo],
        &[&recorded, &undo, &done],
        &[&recorded, &undo, &finished(Outcome::New)],
    ];
    for events in wrong {
        let mut machine = first.clone();
        let said: Vec<_> = events.iter().map(|event| machine.recorded(at(0), event)).collect();
        let (last, before) = said.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "{events:?}");
        assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Corrupt, "{events:?}");
    }
}

fn any_step() -> impl Strategy<Value = Planned> {
    let step = prop_oneof![Just(raise("shop")), Just(pause())];
    (step, any::<bool>()).prop_map(|(step, is_needed)| {
        if is_needed { Planned::needed("step", step) } else { Planned::wanted("step", step) }
    })
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let kinds: Vec<ErrorKind> = ErrorKind::all().collect();
    prop_oneof![
        3 => Just(FROM),
        3 => Just(TO),
        1 => Just(PARTIAL),
        1 => Just(other()),
        3 => Just(Reply::Done),
        1 => prop::sample::select(kinds.clone()).prop_map(failed),
        1 => prop::sample::select(kinds).prop_map(|kind| Reply::Lost(error(kind))),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let direction = || prop_oneof![Just(Direction::Forward), Just(Direction::Back)];
    let outcome = prop_oneof![
        Just(Outcome::New),
        Just(Outcome::NewDegraded),
        Just(Outcome::Old),
        Just(Outcome::Stopped)
    ];
    let step = || prop_oneof![4 => 0..4_usize, 1 => Just(usize::MAX)];
    prop_oneof![
        (step(), direction()).prop_map(|(step, direction)| Event::StepBegun { step, direction }),
        (step(), direction(), any::<bool>()).prop_map(|(step, direction, found)| Event::StepDone {
            step,
            direction,
            found
        }),
        (step(), direction(), any::<bool>()).prop_map(|(step, direction, untouched)| {
            Event::StepFailed { step, direction, error: error(ErrorKind::Timeout), untouched }
        }),
        Just(Event::UndoBegun { why: String::new() }),
        direction().prop_map(|direction| Event::Resumed { by: String::new(), direction }),
        outcome.prop_map(|outcome| Event::Finished { outcome }),
        Just(Event::Note { message: String::new() }),
        Just(Event::Counted { figures: BTreeMap::from([("sent_bytes".to_owned(), u64::MAX)]) }),
    ]
}

proptest! {
    /// Whatever the world replies, and whatever the clock does: the run ends, and the journal it leaves replays to the same end.
    #[test]
    fn every_run_ends(
        steps in prop::collection::vec(any_step(), 0..4),
        undo: bool,
        replies in prop::collection::vec(any_reply(), 1..60),
        jumps in prop::collection::vec(-100_i64..100, 1..20),
    ) {
        let plan = plan(if undo { OnFailure::Undo } else { OnFailure::Stop }, steps);
        let mut machine = Machine::new(plan.clone(), "ann");
        let (mut lines, mut now) = (vec![], at(1_000));
        let (mut replies, mut jumps) = (replies.iter().cycle(), jumps.iter().cycle().take(100));
        let mut ended = None;
        for _ in 0..5_000 {
            match machine.next(now) {
                Next::Record(event) => {
                    prop_assert!(machine.recorded(now, &event).is_ok(), "{event:?}");
                    lines.push(chain::next_line(None, RunId::from_bytes([1; 8]), now, event));
                }
                Next::Perform(_) => {
                    let reply = replies.next().unwrap().clone();
                    machine.performed(now, reply);
                }
                Next::Wait(span) => {
                    prop_assert!(span > Duration::ZERO);
                    let jump = jumps.next().copied().unwrap_or(0) * 1_000_000;
                    now = Timestamp::from_micros((now + span).as_micros() + jump);
                }
                Next::Finish(outcome) => {
                    ended = Some(outcome);
                    break;
                }
            }
        }
        prop_assert!(ended.is_some());
        let again = Machine::replay(plan, &lines).unwrap();
        prop_assert_eq!(again.outcome(), ended);
        prop_assert_eq!(again.next(now), machine.next(now));
    }

    /// Whatever a journal says: it is followed or found corrupt, and what is next can always be said.
    #[test]
    fn no_journal_breaks_the_machine(
        steps in prop::collection::vec(any_step(), 0..4),
        events in prop::collection::vec(any_event(), 0..30),
        replies in prop::collection::vec(any_reply(), 30),
    ) {
        let mut machine = Machine::new(plan(OnFailure::Undo, steps), "ann");
        if let Next::Record(event) = machine.next(at(0)) {
            machine.recorded(at(0), &event).unwrap();
        }
        for (event, reply) in events.iter().zip(replies) {
            if let Err(why) = machine.recorded(at(1), event) {
                prop_assert_eq!(why.kind(), ErrorKind::Corrupt);
            }
            let _ = machine.next(at(2));
            machine.performed(at(2), reply);
            let _ = machine.next(at(0));
        }
    }
}
