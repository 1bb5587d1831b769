//! Observers: what they vote, when they are in doubt, and when their own line is cut.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_core::Estate;
use dr_core::estate::{Health, ProbeSpec};
use dr_core::failover::{DownKind, Sight, Verdict, Vote};
use dr_core::toolkit::{Toolkit, Watch};
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, World, clock::SystemClock, probes::NetProbe};
use tokio::net::TcpListener;

const SITE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ANCHOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));

fn watch(address: SocketAddr, anchors: Vec<SocketAddr>) -> Watch {
    let tcp = |address: &SocketAddr| (address.ip(), ProbeSpec::Tcp { port: address.port() });
    Watch {
        observer: "nl".parse().unwrap(),
        address: address.ip(),
        probe: tcp(&address).1,
        anchors: anchors.iter().map(tcp).collect(),
        thresholds: Health { rise: 3, ..Health::default() },
    }
}

/// Watches a simulated site; before the look of each number, the world is changed. Ends after as many votes as asked for.
async fn votes(sim: &SimWorld, count: usize, mut act: impl FnMut(usize, &SimWorld)) -> Vec<Vote> {
    let toolkit = Toolkit::new(sim.world(), Estate::default());
    let control = Control::silent();
    let mut votes = vec![];
    let watch = watch(SocketAddr::new(SITE, 80), vec![SocketAddr::new(ANCHOR, 53)]);
    act(0, sim);
    let on_vote = |vote: &Vote, _: &dr_core::failover::Health| {
        votes.push(vote.clone());
        if votes.len() == count {
            control.cancel.cancel();
        } else {
            act(votes.len(), sim);
        }
    };
    toolkit.watch(&watch, &control, on_vote).await.unwrap();
    votes
}

fn words(votes: &[Vote]) -> String {
    let word = |vote: &Vote| match vote.verdict {
        Verdict::Up => 'U',
        Verdict::Down { .. } => 'D',
        Verdict::Blind => 'B',
        Verdict::Unknown => '?',
    };
    votes.iter().map(word).collect()
}

fn up() -> Sight {
    Sight::Up { took_us: 1 }
}

fn refused() -> Sight {
    Sight::Down { kind: DownKind::Refused, detail: String::new() }
}

#[tokio::test]
async fn it_doubts_at_the_first_failure_and_trusts_again_slowly() {
    let sim = SimWorld::new();
    let said = votes(&sim, 12, |look, sim| match look {
        0 => {
            sim.put_sight(SITE, up());
            sim.put_sight(ANCHOR, up());
        }
        2 => sim.put_sight(SITE, refused()),
        7 => sim.put_sight(SITE, up()),
        _ => {}
    })
    .await;
    assert_eq!(words(&said), "UU??DDD??UUU");
    assert!(said.windows(2).all(|two| two[0].sequence < two[1].sequence));
    assert_eq!(said[4].verdict, Verdict::Down { kind: DownKind::Refused });
}

#[tokio::test]
async fn an_observer_whose_own_line_is_cut_is_blind_and_never_says_down() {
    let sim = SimWorld::new();
    let said = votes(&sim, 12, |look, sim| match look {
        0 => {
            sim.put_sight(SITE, up());
            sim.put_sight(ANCHOR, up());
        }
        2 => {
            sim.put_sight(SITE, refused());
            sim.put_sight(ANCHOR, refused());
        }
        7 => sim.put_sight(ANCHOR, up()),
        _ => {}
    })
    .await;
    // What it saw while it was blind does not count: it needs three failures of its own once it can see.
    assert_eq!(words(&said), "UUBBBBB??DDD");
}

#[tokio::test]
async fn a_restarted_observer_goes_on_above_its_old_votes() {
    let sim = SimWorld::new();
    sim.put_sight(SITE, up());
    let before = votes(&sim, 3, |_, _| {}).await;
    let after = votes(&sim, 1, |_, _| {}).await;
    assert!(after[0].sequence > before[2].sequence);
}

/// Real sockets and a real clock: three failures in a row, each confirmed, and how long that took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_is_down_within_a_second_and_a_half_and_a_mute_one_within_three_and_a_half() {
    let real = World {
        clock: Arc::new(SystemClock::new()),
        probe: Arc::new(NetProbe::new()),
        ..SimWorld::new().world()
    };
    for (mute, limit) in [(false, Duration::from_millis(1500)), (true, Duration::from_millis(3500))] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    use tokio::io::{AsyncReadExt, AsyncWriteExt};
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                });
            }
        });
        let toolkit = Toolkit::new(real.clone(), Estate::default());
        let mut watch = watch(SocketAddr::from(([127, 0, 0, 1], port)), vec![]);
        watch.probe =
            serde_json::from_str(&format!(r#"{{"http":{{"host":"a.test","port":{port}}}}}"#)).unwrap();
        let control = Control::silent();
        let broken: Arc<Mutex<Option<Instant>>> = Arc::default();
        let mut held = None;
        let mut down = None;
        let on_vote = |vote: &Vote, _: &dr_core::failover::Health| match vote.verdict {
            Verdict::Up if broken.lock().unwrap().is_none() => {
                serving.abort();
                // The listener goes with its task; a mute one takes the port over and never accepts.
                while std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    std::thread::yield_now();
                }
                if mute {
                    held = Some(std::net::TcpListener::bind(("127.0.0.1", port)).unwrap());
                }
                *broken.lock().unwrap() = Some(Instant::now());
            }
            Verdict::Down { kind } => {
                down.get_or_insert_with(|| (kind, broken.lock().unwrap().unwrap().elapsed()));
                control.cancel.cancel();
            }
            _ => {}
        };
        tokio::time::timeout(Duration::from_secs(30), toolkit.watch(&watch, &control, on_vote))
            .await
            .expect("it never voted down")
            .unwrap();
        let (kind, took) = down.unwrap();
        println!("mute: {mute}: {kind:?} after {took:?}");
        assert_eq!(kind, if mute { DownKind::TimedOut } else { DownKind::Refused });
        assert!(took < limit + Duration::from_secs(2), "{kind:?} after {took:?}");
    }
}
