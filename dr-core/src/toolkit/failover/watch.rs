//! An observer: looks, makes up its mind, and says so.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::error::Result;
use crate::estate::{Health as Thresholds, ObserverId, ProbeSpec};
use crate::failover::{Health, Sight, Verdict, Vote};
use crate::time::{Period, Tick};
use crate::toolkit::Toolkit;
use crate::world::Control;

/// What an observer looks at, and what it needs to be sure of itself.
///
/// ```
/// use dr_core::toolkit::Watch;
/// let watch = Watch {
///     observer: "nl".parse().unwrap(),
///     address: [192, 0, 2, 10].into(),
///     probe: dr_core::estate::ProbeSpec::Tcp { port: 80 },
///     anchors: vec![],
///     thresholds: Default::default(),
/// };
/// assert_eq!(watch.vote_valid_for().to_string(), "3s");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Who looks.
    pub observer: ObserverId,
    /// Which address is looked at, whatever DNS says.
    pub address: IpAddr,
    /// What is asked there.
    pub probe: ProbeSpec,
    /// Services elsewhere that are up unless the observer's own line is cut: other observers, the primary name server. When the
    /// site does not answer and none of these does either, the observer is blind. With none it always believes itself.
    pub anchors: Vec<(IpAddr, ProbeSpec)>,
    /// How often, how patiently, and how many times.
    pub thresholds: Thresholds,
}

impl Watch {
    /// How long a vote holds: until the next two should have come.
    #[must_use]
    pub fn vote_valid_for(&self) -> Period {
        let Thresholds { interval, timeout, .. } = &self.thresholds;
        Period::from(interval.as_duration() * 2 + timeout.as_duration())
    }
}

impl Toolkit {
    /// Looks once at a service at this address, whatever DNS says.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::{Estate, estate::ProbeSpec, toolkit::Toolkit, world::sim::SimWorld};
    /// let sim = SimWorld::new();
    /// sim.put_sight([192, 0, 2, 10].into(), dr_core::failover::Sight::Up { took_us: 800 });
    /// let toolkit = Toolkit::new(sim.world(), Estate::default());
    /// let probe = ProbeSpec::Tcp { port: 80 };
    /// assert!(toolkit.probe([192, 0, 2, 10].into(), &probe, "1s".parse().unwrap()).await.is_up());
    /// # });
    /// ```
    pub async fn probe(&self, address: IpAddr, probe: &ProbeSpec, within: Period) -> Sight {
        self.world.probe.look(address, probe, within.as_duration()).await
    }

    /// Is an observer until it is cancelled: hands a vote to `on_vote` after every look, with the health behind it.
    ///
    /// In doubt it looks again soon, and several times at once: the looks at a dead machine each last as long as their timeout.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::{Estate, estate::ProbeSpec, failover::{Sight, Verdict}};
    /// use dr_core::{toolkit::{Toolkit, Watch}, world::{Control, sim::SimWorld}};
    /// let sim = SimWorld::new();
    /// sim.put_sight([192, 0, 2, 10].into(), Sight::Up { took_us: 800 });
    /// let watch = Watch {
    ///     observer: "nl".parse().unwrap(),
    ///     address: [192, 0, 2, 10].into(),
    ///     probe: ProbeSpec::Tcp { port: 80 },
    ///     anchors: vec![],
    ///     thresholds: Default::default(),
    /// };
    /// let (toolkit, control) = (Toolkit::new(sim.world(), Estate::default()), Control::silent());
    /// let mut verdicts = vec![];
    /// let on_vote = |vote: &dr_core::failover::Vote, _: &dr_core::failover::Health| {
    ///     verdicts.push(vote.verdict);
    ///     control.cancel.cancel();
    /// };
    /// toolkit.watch(&watch, &control, on_vote).await.unwrap();
    /// assert_eq!(verdicts, [Verdict::Up]);
    /// # });
    /// ```
    pub async fn watch(
        &self,
        watch: &Watch,
        control: &Control,
        mut on_vote: impl FnMut(&Vote, &Health),
    ) -> Result<()> {
        let clock = &self.world.clock;
        let mut health = Health::default();
        // Votes of a restarted observer must be newer than those that it sent before; nothing but the wall clock tells.
        let mut sequence = u64::try_from(clock.read().wall.as_micros()).unwrap_or(0);
        let mut looks = FuturesUnordered::new();
        let mut begun = clock.read().boot;
        looks.push(self.look(watch));
        loop {
            let may_look = looks.len() < health.looks_at_once(&watch.thresholds);
            let rest = health.next_look(begun, &watch.thresholds).since(clock.read().boot);
            let looked = tokio::select! {
                biased;
                () = control.cancel.cancelled() => return Ok(()),
                Some(looked) = looks.next() => looked,
                () = clock.sleep(rest), if may_look => {
                    begun = clock.read().boot;
                    looks.push(self.look(watch));
                    continue;
                }
            };
            let blind = looked.blind;
            health.step(&looked.sight, looked.at, &watch.thresholds);
            sequence += 1;
            let verdict = if blind { Verdict::Blind } else { health.verdict() };
            let (observer, valid_for) = (watch.observer.clone(), watch.vote_valid_for());
            on_vote(&Vote { observer, sequence, verdict, valid_for }, &health);
        }
    }

    async fn look(&self, watch: &Watch) -> Looked {
        let within = watch.thresholds.timeout.as_duration();
        let sight = self.world.probe.look(watch.address, &watch.probe, within).await;
        if !sight.is_down() || watch.anchors.is_empty() || self.any_answers(&watch.anchors, within).await {
            return Looked { sight, blind: false, at: self.world.clock.read().boot };
        }
        // It says nothing about the site, so it must not count towards its fall either.
        let detail = "nothing else can be reached from here either".to_owned();
        Looked { sight: Sight::Unknown { detail }, blind: true, at: self.world.clock.read().boot }
    }

    async fn any_answers(&self, anchors: &[(IpAddr, ProbeSpec)], within: Duration) -> bool {
        let mut looks: FuturesUnordered<_> =
            anchors.iter().map(|(address, probe)| self.world.probe.look(*address, probe, within)).collect();
        while let Some(sight) = looks.next().await {
            if sight.is_up() {
                return true;
            }
        }
        false
    }
}

struct Looked {
    sight: Sight,
    blind: bool,
    at: Tick,
}
