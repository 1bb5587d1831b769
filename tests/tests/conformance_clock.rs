//! What every clock must do, run against the system's and the simulated one.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use dr_core::Timestamp;
use dr_core::world::Clock;
use dr_core::world::clock::SystemClock;
use dr_core::world::sim::SimWorld;

async fn conformance_clock(clock: Arc<dyn Clock>) {
    // No reading goes back, and a quiet moment is no disturbance.
    let mut last = clock.read();
    for _ in 0..1_000 {
        let now = clock.read();
        assert!(now.boot >= last.boot && now.running >= last.running);
        assert!(now.boot >= now.running || now.boot.since(now.running) == Duration::ZERO);
        last = now;
    }
    // A sleep takes at least its time by the boot clock, and the other clocks go along with it.
    for span in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(120)] {
        let before = clock.read();
        clock.sleep(span).await;
        let after = clock.read();
        assert!(after.boot.since(before.boot) >= span, "{span:?}");
        assert!(after.wall.since(before.wall) + Duration::from_millis(20) >= span, "{span:?}");
        assert_eq!(after.disturbance_since(&before), None);
    }
    // Sleeps at the same time share the time.
    let before = clock.read();
    let span = Duration::from_millis(300);
    let (one, two) = (Arc::clone(&clock), Arc::clone(&clock));
    tokio::join!(async move { one.sleep(span).await }, async move { two.sleep(span).await });
    let passed = clock.read().boot.since(before.boot);
    assert!(passed >= span && passed < Duration::from_secs(30), "{passed:?}");
}

#[tokio::test]
async fn the_system_clock_conforms() {
    conformance_clock(Arc::new(SystemClock::new())).await;
    // It tells the same time as the standard library.
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let difference = SystemClock::new().read().wall.as_micros() - i64::try_from(unix.as_micros()).unwrap();
    assert!(difference.abs() < 2_000_000, "{difference} µs");
    // And the same time since boot as the kernel's own file, which counts suspend too.
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!((SystemClock::new().read().boot.0.as_secs_f64() - uptime).abs() < 2.0);
}

#[tokio::test]
async fn a_sleep_can_be_given_up() {
    let clock = SystemClock::new();
    let long = tokio::time::timeout(Duration::from_millis(20), clock.sleep(Duration::from_secs(3_600)));
    assert!(long.await.is_err());
}

#[tokio::test]
async fn the_simulated_clock_conforms_and_waits_for_nobody() {
    let sim = SimWorld::new();
    let clock = sim.world().clock;
    let started = std::time::Instant::now();
    conformance_clock(Arc::clone(&clock)).await;
    clock.sleep(Duration::from_secs(86_400)).await;
    assert!(started.elapsed() < Duration::from_secs(60));
    // Two sleeps of 300 ms at once are 300 ms.
    let before = clock.read();
    tokio::join!(clock.sleep(Duration::from_millis(300)), clock.sleep(Duration::from_millis(300)));
    assert_eq!(clock.read().boot.since(before.boot), Duration::from_millis(300));
    // A wall clock that is set shows, by how much.
    sim.set_wall_by(-60_000_000);
    let after = clock.read();
    assert_eq!(after.disturbance_since(&before).map(|found| found.jumped_us), Some(-60_000_000));
    assert!(after.wall < before.wall && before.wall > Timestamp::from_micros(0));
}
