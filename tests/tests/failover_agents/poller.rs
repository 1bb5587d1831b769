//! Looks at both hosts all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dr_tests::{Net, http_get};

use super::stage::{Stage, WWW};

/// What was seen: who served from when on, whenever it was another than before.
pub(crate) type Served = Vec<(&'static str, Duration)>;

/// Looks at both hosts all the time, at each from within its own place: what a cut line hides from visitors is seen as well.
pub(crate) struct Poller {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(Served, Vec<Duration>)>>,
}

impl Poller {
    pub(crate) fn start(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, net) = (stop.clone(), stage.net.clone());
        let (uk, us) = (stage.at("uk"), stage.at("us"));
        let thread = std::thread::spawn(move || look(&net, [("uk", uk), ("us", us)], &stopped));
        Self { stop, thread: Some(thread) }
    }

    /// Who served, one after the other; nobody ever together with the other.
    pub(crate) fn end(mut self) -> Served {
        self.stop.store(true, Ordering::Relaxed);
        let (served, both) = self.thread.take().unwrap().join().unwrap();
        assert_eq!(both, Vec::<Duration>::new(), "both served; who served: {served:?}");
        served
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look(net: &Net, hosts: [(&'static str, SocketAddr); 2], stop: &AtomicBool) -> (Served, Vec<Duration>) {
    let (began, mut served, mut both) = (Instant::now(), Served::new(), vec![]);
    let serves = |(name, at): (&'static str, SocketAddr)| {
        net.inside(name, || matches!(http_get(at, WWW, "/"), Ok((200, _))))
    };
    while !stop.load(Ordering::Relaxed) {
        let looked = hosts.map(serves);
        // In this order: one that stops between two looks has not served together with the other.
        if looked == [true, true] && serves(hosts[0]) {
            both.push(began.elapsed());
        }
        for ((name, _), is_up) in hosts.iter().zip(looked) {
            if is_up && served.last().is_none_or(|(last, _)| last != name) {
                served.push((name, began.elapsed()));
            }
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    (served, both)
}
