//! An observer looks at what it is asked about, for as long as it is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::estate::{HostId, ObserverId, ProbeSpec, SiteId};
use crate::failover::Vote;
use crate::time::{Period, Tick};
use crate::toolkit::{Toolkit, Watch};
use crate::world::{Cancel, Control};

/// What nobody has asked about for so long is not looked at any more.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A site on a host.
type About = (SiteId, HostId);

/// Looks at everything that somebody asks about.
pub(super) struct Lookout {
    toolkit: Toolkit,
    observer: Option<ObserverId>,
    anchors: Vec<(IpAddr, ProbeSpec)>,
    looking: Mutex<BTreeMap<About, Looking>>,
}

struct Looking {
    asked: Tick,
    latest: Arc<Mutex<Option<(Vote, Tick)>>>,
    cancel: Cancel,
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Lookout {
    pub(super) fn new(
        toolkit: Toolkit,
        observer: Option<ObserverId>,
        anchors: Vec<(IpAddr, ProbeSpec)>,
    ) -> Self {
        Self { toolkit, observer, anchors, looking: Mutex::default() }
    }

    /// The newest vote about it, if there is one: it holds for what is left of its time. From now on it is looked at.
    pub(super) fn vote(&self, site: &SiteId, host: &HostId) -> Option<Vote> {
        let observer = self.observer.as_ref()?;
        let now = self.toolkit.world.clock.read().boot;
        let mut all = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, looking| now.since(looking.asked) < FORGET_AFTER);
        let about = (site.clone(), host.clone());
        if let Some(looking) = all.get_mut(&about) {
            looking.asked = now;
            let (vote, at) = looking.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            let left = vote.valid_for.as_duration().checked_sub(now.since(at))?;
            return Some(Vote { valid_for: Period::from(left), ..vote });
        }
        let looking = self.begin(observer, site, host, now)?;
        all.insert(about, looking);
        None
    }

    fn begin(&self, observer: &ObserverId, site: &SiteId, host: &HostId, now: Tick) -> Option<Looking> {
        let estate = &self.toolkit.estate;
        let address = *estate.hosts.get(host)?.addresses.first()?;
        let probe = crate::toolkit::failover::probes(estate.sites.get(site)?).into_iter().next()?;
        let watch = Watch {
            observer: observer.clone(),
            address,
            probe,
            anchors: self.anchors.clone(),
            thresholds: estate.policy.health.clone(),
        };
        let (latest, control) = (Arc::new(Mutex::new(None)), Control::silent());
        let (cancel, kept, toolkit) = (control.cancel.clone(), latest.clone(), self.toolkit.clone());
        tokio::spawn(async move {
            let clock = toolkit.world.clock.clone();
            let on_vote = |vote: &Vote, _: &crate::failover::Health| {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((vote.clone(), clock.read().boot));
            };
            let _ = toolkit.watch(&watch, &control, on_vote).await;
        });
        Some(Looking { asked: now, latest, cancel })
    }
}
