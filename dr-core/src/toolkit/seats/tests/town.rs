//! A world for drivers: a coordinator, two hosts with disks, services and something beside the process that stops them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, Health, HostId};
use crate::failover::{
    Charter, DownKind, Guard, GuardName, Held, Input, Kept, Lease, Mandate, Mark, Observer, Order, Panel,
    Swap, Terms, Times, Until, Verdict, Vote, Warrant,
};
use crate::report::code;
use crate::time::{Period, Tick, Timestamp};
use crate::toolkit::seats::{Deeds, Driver, News, SeatHandle};
use crate::world::{Cancel, Clock, Reading};

const HOSTS: [&str; 2] = ["uk", "us"];
const STOP: Duration = Duration::from_secs(1);
/// The service at home dies, and can be started again.
const DIES: Duration = Duration::from_secs(20);
const MENDED: Duration = Duration::from_secs(60);
/// A person wants it back from here on.
const BACK: Duration = Duration::from_secs(80);
const END: Duration = Duration::from_secs(115);

/// Where a process dies: at which deed of all, and whether what it did then took effect.
#[derive(Clone, Copy)]
pub(super) struct Crash {
    pub(super) call: u64,
    pub(super) effect: bool,
}

/// What came of it.
pub(super) struct Lived {
    pub(super) trace: Vec<String>,
    pub(super) wrong: Vec<String>,
    pub(super) lease: Option<Lease>,
    pub(super) calls: u64,
}

struct Inner {
    random: u64,
    lease: Option<Lease>,
    disks: [Kept; 2],
    /// Beside the processes: up to when the services may serve; none when they have stopped.
    enforcers: [Option<(Until, Epoch)>; 2],
    healthy: [bool; 2],
    handles: [Option<SeatHandle>; 2],
    calls: u64,
    crash: Option<Crash>,
    disk_full: Option<Duration>,
    wall_jump: Option<Duration>,
    trace: Vec<String>,
    wrong: Vec<String>,
}

pub(super) struct Town {
    inner: Mutex<Inner>,
    began: Instant,
    killed: [Notify; 2],
}

/// Lives through a death of the home's services and the way back.
pub(super) fn live(seed: u64, crash: Option<Crash>) -> Lived {
    lived(seed, crash, |_| {})
}

pub(super) fn lived(seed: u64, crash: Option<Crash>, change: impl Fn(&Town)) -> Lived {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let town = Arc::new(Town::new(seed, crash));
        change(&town);
        for host in [0, 1] {
            tokio::spawn(process(town.clone(), host));
            tokio::spawn(rounds(town.clone(), host));
        }
        tokio::spawn(person(town.clone()));
        while town.now() < END {
            sleep(Duration::from_millis(60)).await;
            town.look();
        }
        town.lived()
    })
}

/// One host's processes, one after the other.
async fn process(town: Arc<Town>, host: usize) {
    for life in 1_u128.. {
        let clock = Arc::new(Virtual(town.clone()));
        let there = Arc::new(There { town: town.clone(), host });
        let kept = town.lock().disks[host].clone();
        let mark = Mark((life << 8) + host as u128);
        let (driver, handle) = Driver::new(charter(host), kept, mark, clock, there);
        town.lock().handles[host] = Some(handle);
        let cancel = Cancel::new();
        tokio::select! {
            biased;
            () = town.killed[host].notified() => {}
            () = driver.run(&cancel) => {}
        }
        town.lock().handles[host] = None;
        town.say(|| format!("{} dies", HOSTS[host]));
        sleep(Duration::from_secs(2)).await;
    }
}

/// Each host asks the observers about the other, and tells the other where it stands.
async fn rounds(town: Arc<Town>, host: usize) {
    let mut sequence = 0;
    loop {
        sleep(Duration::from_millis(400)).await;
        let (here, there) = {
            let inner = town.lock();
            (inner.handles[host].clone(), inner.handles[1 - host].clone())
        };
        let Some(here) = here else { continue };
        if let (Some(there), Some(report)) = (there, here.shown().report) {
            there.tell(report).await;
        }
        let asked = town.tick();
        sequence += 1;
        let serves = town.serves(1 - host).is_some() && town.lock().healthy[1 - host];
        let down = Verdict::Down { kind: DownKind::Refused };
        let verdict = if serves { Verdict::Up } else { down };
        for observer in ["uk-1", "us-1", "nl-1"] {
            let observer = observer.parse().unwrap();
            let vote = Vote { observer, sequence, verdict, valid_for: Period::from_secs(1) };
            here.tell(Input::Vote { vote, asked }).await;
        }
    }
}

/// Acknowledges what happened, and wants the site back home.
async fn person(town: Arc<Town>) {
    sleep(BACK).await;
    loop {
        let us = town.lock().handles[1].clone();
        if let Some(us) = us
            && us.shown().seat.lease().is_some_and(|lease| lease.home.as_str() == "us")
        {
            let _ = us.order(Order::Acknowledge { by: "ann".into() }).await;
            let _ = us.order(Order::HandOver { by: "ann".into() }).await;
        }
        sleep(Duration::from_secs(3)).await;
    }
}

impl Town {
    fn new(seed: u64, crash: Option<Crash>) -> Self {
        let inner = Inner {
            random: seed,
            lease: None,
            disks: Default::default(),
            enforcers: [None, None],
            healthy: [true, true],
            handles: [None, None],
            calls: 0,
            crash,
            disk_full: None,
            wall_jump: None,
            trace: vec![],
            wrong: vec![],
        };
        Self { inner: Mutex::new(inner), began: Instant::now(), killed: Default::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn disk_full_after(&self, at: Duration) {
        self.lock().disk_full = Some(at);
    }

    pub(super) fn wall_jumps_at(&self, at: Duration) {
        self.lock().wall_jump = Some(at);
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn tick(&self) -> Tick {
        Tick(Duration::from_secs(1000) + self.now())
    }

    fn say(&self, said: impl FnOnce() -> String) {
        let at = self.now().as_millis();
        self.lock().trace.push(format!("{at:>7} {}", said()));
    }

    /// In which epoch the host may be serving now: a host that is to stop takes its time.
    fn serves(&self, host: usize) -> Option<Epoch> {
        let (until, epoch) = self.lock().enforcers[host]?;
        match until {
            Until::Told => Some(epoch),
            Until::Tick(until) => (self.tick().0 < until.0 + STOP).then_some(epoch),
        }
    }

    fn look(&self) {
        if let (Some(one), Some(two)) = (self.serves(0), self.serves(1)) {
            let at = self.now().as_millis();
            self.lock().wrong.push(format!("{at}: both serve, in {one} and {two}"));
        }
    }

    fn delay(&self, least_ms: u64, most_ms: u64) -> Duration {
        let mut inner = self.lock();
        // SplitMix64.
        inner.random = inner.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = inner.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_millis(least_ms + (mixed ^ (mixed >> 31)) % (most_ms - least_ms))
    }

    fn lived(&self) -> Lived {
        let inner = self.lock();
        let (trace, wrong) = (inner.trace.clone(), inner.wrong.clone());
        Lived { trace, wrong, lease: inner.lease.clone(), calls: inner.calls }
    }
}

/// One host of the town, as its driver sees it.
struct There {
    town: Arc<Town>,
    host: usize,
}

impl There {
    fn me(&self) -> &'static str {
        HOSTS[self.host]
    }

    /// A deed takes its time, and the process may die at it: before its effect or after.
    async fn deed<T>(&self, took: Duration, effect: impl FnOnce(&Town) -> T) -> T {
        let dies = {
            let mut inner = self.town.lock();
            inner.calls += 1;
            inner.crash.filter(|crash| crash.call == inner.calls)
        };
        if dies.is_some_and(|crash| !crash.effect) {
            self.town.killed[self.host].notify_one();
            return std::future::pending().await;
        }
        sleep(took / 2).await;
        let done = effect(&self.town);
        if dies.is_some() {
            self.town.killed[self.host].notify_one();
            return std::future::pending().await;
        }
        sleep(took / 2).await;
        done
    }

    async fn short<T>(&self, effect: impl FnOnce(&Town) -> T) -> T {
        let took = self.town.delay(2, 90);
        self.deed(took, effect).await
    }
}

#[async_trait]
impl Deeds for There {
    async fn remember(&self, kept: &Kept) -> Result<()> {
        let (kept, host, me) = (kept.clone(), self.host, self.me());
        self.short(move |town| {
            let full = town.lock().disk_full.is_some_and(|at| town.now() > at);
            if full {
                return Err(Error::new(ErrorKind::Io, "write", "no space left on the device"));
            }
            town.say(|| format!("{me} remembers {:?} {}", kept.standing, kept.reconciled));
            town.lock().disks[host] = kept;
            Ok(())
        })
        .await
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        Ok(self.short(|town| town.lock().lease.clone()).await)
    }

    async fn swap_lease(&self, from: Option<&Lease>, to: &Lease) -> Result<Swap> {
        let (from, to, me) = (from.cloned(), to.clone(), self.me());
        let swapped = self.short(move |town| {
            if town.lock().lease != from {
                return Swap::Lost(Held(town.lock().lease.clone()));
            }
            town.say(|| format!("{me} writes {}", to.to_text()));
            town.lock().lease = Some(to);
            Swap::Won
        });
        Ok(swapped.await)
    }

    async fn serve(&self, epoch: Epoch, until: Until) -> Result<()> {
        let (host, me) = (self.host, self.me());
        self.short(move |town| {
            town.say(|| format!("{me} serves in {epoch} until {until:?}"));
            let stale = matches!(until, Until::Tick(until) if town.tick() >= until);
            if !stale {
                town.lock().enforcers[host] = Some((until, epoch));
            }
        })
        .await;
        Ok(())
    }

    async fn stand_down(&self) -> Result<()> {
        let (host, me) = (self.host, self.me());
        self.deed(STOP / 2, move |town| {
            town.say(|| format!("{me} stands down"));
            town.lock().enforcers[host] = None;
        })
        .await;
        Ok(())
    }

    async fn guards(&self) -> Result<Vec<Guard>> {
        let names =
            [GuardName::StandbyHealthy, GuardName::MirrorFresh, GuardName::DnsChangeable, GuardName::Tenure];
        let guard = |name| Guard {
            name,
            passed: true,
            explanation: "fine".into(),
            code: code::FAILOVER_MIRROR_STALE,
            evidence: Default::default(),
        };
        Ok(self.short(|_| names.map(guard).to_vec()).await)
    }

    async fn ask_to_step_down(&self, epoch: Epoch) -> Result<()> {
        let other = self.short(|town| town.lock().handles[1 - self.host].clone()).await;
        if let Some(other) = other {
            other.tell(Input::StepDown { epoch }).await;
        }
        Ok(())
    }

    async fn mirror_last(&self, _epoch: Epoch) -> Result<bool> {
        let (host, me) = (self.host, self.me());
        let whole = self.short(move |town| {
            if town.serves(host).is_some() {
                town.lock().wrong.push(format!("{me} mirrors a last time while it may be written to"));
            }
            town.lock().handles[1 - host].is_some()
        });
        Ok(whole.await)
    }

    async fn apply(&self, epoch: Epoch, _from: &HostId) -> Result<bool> {
        let me = self.me();
        self.town.say(|| format!("{me} apply begins {epoch}"));
        let took = self.town.delay(500, 1500);
        Ok(self.deed(took, |town| town.lock().lease.as_ref().is_some_and(|lease| lease.epoch == epoch)).await)
    }

    async fn put_aside(&self, epoch: Epoch) -> Result<()> {
        let (host, me) = (self.host, self.me());
        self.short(move |town| {
            if town.serves(host).is_some() {
                town.lock().wrong.push(format!("{me} puts aside what may still be written to"));
            }
            town.say(|| format!("{me} puts aside {epoch}"));
        })
        .await;
        Ok(())
    }

    async fn rehearse(&self, _epoch: Epoch) -> Result<()> {
        Ok(())
    }

    fn tell(&self, news: News) {
        let me = self.me();
        let said = match news {
            News::Phase { phase, said } => format!("{phase:?}: {said}"),
            News::Refused { why } => format!("refused: {why}"),
            News::Trouble { doing, why } => format!("trouble: {doing}: {why}"),
        };
        self.town.say(|| format!("{me} told: {said}"));
    }
}

struct Virtual(Arc<Town>);

#[async_trait]
impl Clock for Virtual {
    fn read(&self) -> Reading {
        let (boot, now) = (self.0.tick(), self.0.now());
        // The world of services goes its way with the clock.
        let mut inner = self.0.lock();
        inner.healthy[0] = !(DIES..MENDED).contains(&now);
        let jumped = inner.wall_jump.is_some_and(|at| now >= at);
        drop(inner);
        let wall = Timestamp::from_micros(1_000_000 * if jumped { 90_000 } else { 1_000 });
        Reading { wall: wall + now, boot, running: boot }
    }

    async fn sleep(&self, span: Duration) {
        sleep(span).await;
    }
}

fn charter(host: usize) -> Charter {
    let period = Period::from_millis;
    let times = Times {
        renew: period(1000),
        hold: period(4000),
        take: period(6200),
        stop: Period::from(STOP),
        answer: period(500),
        drift_permille: 100,
    };
    let observer =
        |id: &str, domain: &str| Observer { id: id.parse().unwrap(), failure_domain: domain.into() };
    let observers = vec![observer("uk-1", "uk"), observer("us-1", "us"), observer("nl-1", "nl")];
    let hosts = HOSTS.map(|id| (id.parse().unwrap(), id.to_owned()));
    let charter = Charter {
        site: "shop".parse().unwrap(),
        me: HOSTS[host].parse().unwrap(),
        other: HOSTS[1 - host].parse().unwrap(),
        first_home: HOSTS[0].parse().unwrap(),
        mandate: Mandate::Auto(Warrant::new(Panel::new(observers).unwrap(), "nl", hosts).unwrap()),
        terms: Terms::try_from(times).unwrap(),
        thresholds: Health { hold_down: Period::from_secs(10), ..Health::default() },
    };
    charter.checked().unwrap()
}
