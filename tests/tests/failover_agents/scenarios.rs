//! What happens, and what must come of it.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::stage::{Stage, TAKE, With};

/// One story.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) with: With,
    pub(crate) play: fn(&mut Stage),
    /// Who served, one after the other.
    pub(crate) homes: &'static [&'static str],
}

const fn scenario(name: &'static str, play: fn(&mut Stage), homes: &'static [&'static str]) -> Scenario {
    Scenario { name, with: With::Bind, play, homes }
}

/// All of them, the longest first.
pub(crate) const SCENARIOS: [Scenario; 13] = [
    scenario("agents-die", agents_die_whenever_they_say_something, &["uk", "us", "uk"]),
    scenario("suspended", the_home_is_suspended_and_wakes_late, &["uk", "us"]),
    scenario("cut-off", the_home_is_cut_off, &["uk", "us"]),
    scenario("mute", the_home_hears_and_is_not_heard, &["uk", "us"]),
    scenario("deaf", the_home_is_heard_and_hears_nothing, &["uk", "us"]),
    Scenario {
        name: "disk-full",
        with: With::SmallDisk,
        play: the_standby_s_disk_is_full,
        homes: &["uk", "us"],
    },
    scenario("lines-between", lines_that_matter_to_nobody_are_cut, &["uk"]),
    scenario("primary", the_primary_name_server_stops, &["uk"]),
    scenario("burns", a_host_burns_and_rises, &["uk", "us"]),
    scenario("stands-still", the_holder_stands_still_and_wakes_late, &["uk", "us"]),
    scenario("zone-restored", the_coordinator_goes_back_in_time, &["uk", "us"]),
    Scenario {
        name: "etcd-restored",
        with: With::KnotAndEtcd,
        play: the_coordinator_goes_back_in_time,
        homes: &["uk", "us"],
    },
    Scenario {
        name: "web-server",
        with: With::KnotAndEtcd,
        play: a_web_server_dies_and_the_site_comes_home,
        homes: &["uk", "us", "uk"],
    },
];

/// What the other host's seat tells of a move, and the title of the run that brought the visitors.
fn explained(stage: &Stage, why: &[&str]) {
    stage.explains(&stage.us, why, "bring the visitors of shop from uk to us: epoch 2");
}

/// What somebody sees of the guards who comes without an agent, and what keeps them from a move.
fn guards_are_told_to_everybody(stage: &Stage) {
    let status = || stage.by_hand(&["failover", "status", "shop"]).unwrap_or_else(|said| said);
    let sees = |line: &str| stage.until(&format!("status to say: {line}"), || status().contains(line));
    sees("passes   maintenance");
    let said = status();
    for line in [
        "passes   disk              ",
        "MiB are free at",
        "passes   quorum            2 of 3 observers decide",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("certificates      us: the services wait"), "{said}");
    stage.says(&stage.us, &["hold", "shop", "--why", "new disks"]).unwrap();
    sees("REFUSES  maintenance");
    let said = status();
    assert!(said.contains("new disks"), "{said}");
    stage.says(&stage.us, &["release", "shop"]).unwrap();
    sees("passes   maintenance");
    let kept = stage.by_hand(&["failover", "run", "shop", "--yes"]).unwrap_err();
    assert!(kept.contains("dr failover approve shop"), "{kept}");
}

fn a_web_server_dies_and_the_site_comes_home(stage: &mut Stage) {
    guards_are_told_to_everybody(stage);
    stage.uk.kill_nginx();
    stage.until_home("us");
    explained(stage, &["uk is down", "nl-1"]);
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    fs::write(stage.us.www.path().join("order.html"), "written at us\n").unwrap();
    stage.hand_over(&stage.us, "uk");
    stage.until_home("uk");
    let page = stage.page("uk", "/order.html");
    assert_eq!(page, (200, b"written at us\n".to_vec()), "nothing that was written is lost");
    stage.until_says(&stage.uk, "uk holds shop in epoch 3");
}

fn a_host_burns_and_rises(stage: &mut Stage) {
    stage.uk.burn();
    stage.until_home("us");
    explained(stage, &["uk is down"]);
    stage.until_says(&stage.us, "uk has not come back yet");
    let desk = stage.papers().to_owned();
    stage.uk.rise(&desk);
    // It learns who holds the site, puts aside what it alone has, and stands by.
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    stage.until_says(&stage.us, "us holds shop in epoch 2");
    let aside = stage.uk.state.path().join("aside/shop");
    assert!(aside.is_dir(), "what uk alone had is put aside");
    assert!(stage.serves("us") && !stage.serves("uk"));
}

fn the_home_is_cut_off(stage: &mut Stage) {
    stage.net.cut("uk");
    lost_and_found(stage, |stage| stage.net.mend("uk"));
}

fn the_home_hears_and_is_not_heard(stage: &mut Stage) {
    for other in ["us", "nl"] {
        stage.net.drop_from("uk", other);
    }
    lost_and_found(stage, |stage| ["us", "nl"].map(|other| stage.net.carry_from("uk", other)));
}

fn the_home_is_heard_and_hears_nothing(stage: &mut Stage) {
    for other in ["us", "nl"] {
        stage.net.drop_from(other, "uk");
    }
    lost_and_found(stage, |stage| ["us", "nl"].map(|other| stage.net.carry_from(other, "uk")));
}

/// The home cannot be reached: it stops by itself, the other host takes over; found again, it stands by.
fn lost_and_found<T>(stage: &Stage, found: impl FnOnce(&Stage) -> T) {
    stage.until_home("us");
    assert!(!stage.serves("uk"), "it has stopped by itself");
    explained(stage, &["uk is down"]);
    found(stage);
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    stage.until_says(&stage.us, "us holds shop in epoch 2");
    assert!(stage.serves("us") && !stage.serves("uk"));
}

fn lines_that_matter_to_nobody_are_cut(stage: &mut Stage) {
    // Between the two hosts: the standby's own observer sees its home down, and is alone with that.
    stage.net.drop_from("uk", "us");
    stage.net.drop_from("us", "uk");
    stage.until_says(&stage.us, "us-1 says DOWN");
    nothing_moves(stage);
    stage.net.carry_from("uk", "us");
    stage.net.carry_from("us", "uk");
    stage.until_says(&stage.us, "us-1 says up");
    // The standby alone in the world knows nothing of anybody.
    stage.net.cut("us");
    nothing_moves(stage);
    stage.net.mend("us");
    stage.until_says(&stage.us, "us-1 says up");
    stage.until_says(&stage.us, "uk holds shop in epoch 1");
}

/// For longer than it takes to move a site.
fn nothing_moves(stage: &Stage) {
    let began = Instant::now();
    while began.elapsed() < TAKE {
        assert!(stage.serves("uk") && !stage.serves("us"), "uk serves on");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn the_primary_name_server_stops(stage: &mut Stage) {
    stage.dns.kill9();
    // A home whose signs of life nobody keeps stops, and nobody may take over.
    stage.until("uk to stop", || !stage.serves("uk"));
    let began = Instant::now();
    while began.elapsed() < TAKE + Duration::from_secs(3) {
        assert!(!stage.serves("us") && !stage.serves("uk"), "nobody may serve");
        std::thread::sleep(Duration::from_millis(200));
    }
    stage.until_says(&stage.uk, "no sign of life of it was acknowledged lately");
    stage.net.inside("nl", || stage.dns.restart());
    stage.until("uk to serve again", || stage.serves("uk"));
    stage.until_says(&stage.uk, "uk holds shop in epoch 1");
}

fn the_holder_stands_still_and_wakes_late(stage: &mut Stage) {
    stage.uk.agent.as_ref().unwrap().signal(Signal::STOP);
    stage.until("the warden to stop uk's services at their time", || !stage.serves("uk"));
    stage.until_home("us");
    stage.uk.agent.as_ref().unwrap().signal(Signal::CONT);
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    explained(stage, &["uk is down"]);
    stage.until("the move to be acknowledged", || stage.says(&stage.us, &["ack", "shop"]).is_ok());
    assert!(stage.serves("us") && !stage.serves("uk"));
}

fn the_home_is_suspended_and_wakes_late(stage: &mut Stage) {
    stage.uk.suspend();
    stage.until_home("us");
    stage.uk.wake();
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    stage.until_says(&stage.us, "us holds shop in epoch 2");
    explained(stage, &["uk is down"]);
    assert!(stage.serves("us") && !stage.serves("uk"));
}

fn the_standby_s_disk_is_full(stage: &mut Stage) {
    let disk = stage.us.disk.as_ref().unwrap();
    disk.fill();
    stage.uk.kill_nginx();
    stage.until_says(&stage.us, "uk is down");
    let began = Instant::now();
    while began.elapsed() < TAKE {
        assert!(!stage.serves("us"), "what cannot be remembered is not begun");
        std::thread::sleep(Duration::from_millis(200));
    }
    stage.until_says(&stage.uk, "uk holds shop in epoch 1");
    stage.us.disk.as_ref().unwrap().empty();
    stage.until_home("us");
    explained(stage, &["No space left"]);
}

/// Its data is restored from a copy: both seats freeze. A person does what the memo says then, word for word.
fn the_coordinator_goes_back_in_time(stage: &mut Stage) {
    let copy = stage.copied_lease();
    stage.hand_over(&stage.uk, "us");
    stage.until_home("us");
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    stage.until_says(&stage.us, "us holds shop in epoch 2");
    stage.restore_lease(&copy);
    for place in [&stage.uk, &stage.us] {
        stage.until_says(place, "the coordinator went back in time");
    }
    let memo = stage.by_hand(&["memo"]).unwrap();
    let (_, frozen) = memo.split_once("### 6.9").unwrap();
    let (frozen, rest) = frozen.split_once("\n## 7").unwrap();
    let on_both = |word: &str| {
        let lines: Vec<&str> = frozen.lines().filter(|line| line.starts_with(word)).collect();
        assert_eq!(lines.len(), 1, "{word}: {frozen}");
        for place in [&stage.uk, &stage.us] {
            let words = shlex::split(lines[0].strip_prefix("dr failover ").unwrap()).unwrap();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            stage.says(place, &words).unwrap();
        }
    };
    on_both("dr failover freeze");
    std::thread::sleep(TAKE * 2);
    let (_, by_hand) = rest.split_once("### shop: from uk to us").unwrap();
    let (_, block) = by_hand.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    // Neither the services nor the page of who serves already.
    let lines = block.lines().filter(|line| !line.starts_with("ssh") && !line.starts_with("curl"));
    stage.types(&lines.collect::<Vec<_>>().join("\n").replace("EPOCH", "3"));
    on_both("dr failover thaw");
    stage.until_says(&stage.us, "us holds shop in epoch 3");
    stage.until_says(&stage.uk, "us holds shop in epoch 3");
    stage.until_home("us");
    assert!(!stage.serves("uk"));
}

/// Every time that the agent of a host has told something, it is killed and started anew, and so is the other one.
fn agents_die_whenever_they_say_something(stage: &mut Stage) {
    let desk = stage.papers().to_owned();
    stage.uk.kill_nginx();
    dying(stage, &desk, "us", 4);
    stage.until_home("us");
    stage.until_says(&stage.us, "us holds shop");
    stage.until_says(&stage.uk, "us holds shop");
    stage.settle_down(Instant::now());
    // And so it goes on the way back, by the word of a person that may get lost with the agent.
    let _ = stage.says(&stage.us, &["ack", "shop"]);
    let _ = stage.says(&stage.us, &["hand-over", "shop"]);
    dying(stage, &desk, "uk", 2);
    if !stage.serves("uk") {
        stage.until_says(&stage.us, "shop");
        stage.hand_over(&stage.us, "uk");
    }
    stage.until_home("uk");
}

/// Kills both agents in turn, each when something new was told there, until the site is served on `to` or they died so often.
fn dying(stage: &mut Stage, desk: &std::path::Path, to: &str, times: usize) {
    let lines = |place: &super::place::Place| {
        fs::read_to_string(place.state.path().join("history.jsonl")).unwrap_or_default().lines().count()
    };
    let mut heard = [lines(&stage.us), lines(&stage.uk)];
    let (mut died, began) = (0, Instant::now());
    while died < times && !stage.serves(to) && began.elapsed() < Duration::from_secs(60) {
        for (which, known) in heard.iter_mut().enumerate() {
            let place = if which == 0 { &mut stage.us } else { &mut stage.uk };
            if lines(place) > *known {
                place.agent.as_ref().unwrap().end(Signal::KILL);
                place.start_agent(desk);
                *known = lines(place);
                died += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    eprintln!("agents died {died} times on the way to {to}");
}
