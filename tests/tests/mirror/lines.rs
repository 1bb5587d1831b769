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
