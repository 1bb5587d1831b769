//! Lines that are long, and lines that are cut.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_core::mirror::{Compress, Options};
use dr_core::run::Outcome;
use dr_core::world::Control;
use dr_tests::Proxy;
use dr_tests::proxy::{Line, State};

use crate::real::Host;
use crate::{here, mirror, plan, rsync};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_stops_the_run_and_the_run_goes_on_later() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let proxy = Arc::new(Proxy::start(host.sshd.addr()));
    let host = host.reached_at(proxy.addr());
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    for number in 0..400 {
        std::fs::write(from.join(number.to_string()), vec![b'x'; 20_000]).unwrap();
    }
    let toolkit = host.toolkit();
    let (source, target) = (here(&from), host.at(&to));
    let planned = plan(&toolkit, &source, &target, &Options::default()).await.unwrap();
    let line = Arc::clone(&proxy);
    let cutter = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while line.passed().0 < 2_000_000 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        line.set_state(State::Reset);
    });
    let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
    cutter.join().unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped, "8 MB do not fit through before the cut");
    assert!(
        applied.report.findings.iter().any(|finding| finding.message.contains("connection")),
        "{:#?}",
        applied.report
    );
    proxy.set_state(State::Up);
    let resumed = toolkit.resume(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::New, "{:#?}", resumed.report);
    assert_eq!(rsync(&from, &to, &["--checksum", "--modify-window=1"]), "");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing staged is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_share_the_round_trips_of_a_long_line() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(host.sshd.addr());
    let host = host.reached_at(proxy.addr());
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::create_dir(&from).unwrap();
    for number in 0..500 {
        std::fs::write(from.join(number.to_string()), number.to_string()).unwrap();
    }
    let toolkit = host.toolkit();
    proxy.set(Line { delay: Duration::from_millis(40), ..Line::default() });
    let begun = Instant::now();
    let _ = mirror(&toolkit, &here(&from), &host.at(&to), &Options::default()).await;
    // One file after the other needs four round trips each: 160 s.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    println!("500 files over a line of 80 ms: {:?}", begun.elapsed());
}

/// One connection is not enough for a line that is long and wide; with a limit it is.
#[tokio::test(flavor = "multi_thread")]
async fn much_content_has_a_far_line_of_several_connections() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(host.sshd.addr());
    let host = host.reached_at(proxy.addr());
    let from = directory.path().join("from");
    std::fs::create_dir(&from).unwrap();
    for number in 0..140_u8 {
        std::fs::write(from.join(number.to_string()), vec![number; 1 << 20]).unwrap();
    }
    proxy.set(Line { delay: Duration::from_millis(40), ..Line::default() });
    for (limit, connections) in [(None, 4), (Some(1 << 30), 1)] {
        let to = directory.path().join(format!("to {connections}"));
        let options = Options { bytes_per_second: limit, compress: Compress::Always, ..Options::default() };
        let before = proxy.accepted();
        // A toolkit of its own: it has no connection yet.
        let _ = mirror(&host.toolkit_by_agent(), &here(&from), &host.at(&to), &options).await;
        assert_eq!(proxy.accepted() - before, connections, "limit: {limit:?}");
        assert_eq!(rsync(&from, &to, &["--checksum", "--modify-window=1"]), "");
    }
}

/// What is told of the line is what was on it, but for SSH's own part.
#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_the_line_is_counted() {
    let (host, directory) = (Host::start(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(host.sshd.addr());
    let host = host.reached_at(proxy.addr());
    let from = directory.path().join("from");
    std::fs::create_dir(&from).unwrap();
    for number in 0..40_u8 {
        std::fs::write(from.join(number.to_string()), vec![number; 100_000]).unwrap();
    }
    for (name, toolkit) in [("agent", host.toolkit_by_agent()), ("sftp", host.toolkit())] {
        let (to, back) = (directory.path().join(name), directory.path().join(format!("back by {name}")));
        for (source, target) in [(here(&from), host.at(&to)), (host.at(&to), here(&back))] {
            let passed = || proxy.passed().0 + proxy.passed().1;
            let before = passed();
            let planned = plan(&toolkit, &source, &target, &Options::default()).await.unwrap();
            let told = planned.report.figures["wire_bytes"];
            let applied = toolkit.apply(&planned.plan, "test", &Control::silent()).await.unwrap();
            let (counted, passed) = (applied.report.figures["wire_bytes"], passed() - before);
            assert!(0 < told && told < counted, "{name}: {told} of {counted} to plan it");
            assert!(counted <= passed, "{name}: {counted} of {passed}");
            // The login, and some dozen bytes around each packet.
            let around = 20_000 + passed / 20;
            assert!(counted + around > passed, "{name}: {counted} of {passed}");
        }
    }
}
