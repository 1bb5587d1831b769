//! Clocks, probes and the coordinator of the simulated world.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::State;
use super::calls::{Got, Process};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{ProbeSpec, SiteId};
use crate::failover::{DownKind, Held, Holding, Lease, Sight, Swap as LeaseSwap, Tenure};
use crate::world::{Cas, Clock, Coordinator, Probe, Reading};

#[async_trait]
impl Clock for Process {
    fn read(&self) -> Reading {
        let state = self.sim.state();
        Reading { wall: state.wall(), boot: state.tick(), running: state.tick() }
    }

    /// Time passes at once. Tasks that sleep at the same time share it: it passes as long as the longest of them sleeps.
    async fn sleep(&self, span: Duration) {
        let until = self.sim.state().passed + span;
        tokio::task::yield_now().await;
        let _ = self.call("clock.sleep", "", |state| state.passed = state.passed.max(until)).await;
    }
}

#[async_trait]
impl Probe for Process {
    async fn look(&self, address: IpAddr, _spec: &ProbeSpec, _within: Duration) -> Sight {
        let timed_out =
            || Sight::Down { kind: DownKind::TimedOut, detail: "nothing came in time".to_owned() };
        let peer = address.to_string();
        let seen = self.call(format!("probe {peer}"), &peer, |state| state.sights.get(&address).cloned());
        match seen.await {
            Got::Reply(sight) => sight.unwrap_or_else(timed_out),
            Got::Refused | Got::Lost => timed_out(),
        }
    }
}

/// The coordinator is reached under the name `coordinator`.
#[async_trait]
impl Coordinator for Process {
    async fn read(&self, site: &SiteId) -> Result<Option<Tenure>> {
        let held = |state: &mut State| state.holdings.get(site).map(Holding::tenure);
        match self.call("coordinator.read", "coordinator", held).await {
            Got::Reply(tenure) => Ok(tenure),
            Got::Refused | Got::Lost => Err(unreachable(site)),
        }
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let swap = |held: Option<&Holding>| Holding::raised(held, from, to);
        match self.swap("coordinator.cas", site, swap).await {
            Got::Reply(None) => Ok(Cas::Won),
            Got::Reply(Some(held)) => Ok(Cas::Lost(held.map(|held| held.tenure()))),
            Got::Refused => Err(unreachable(site)),
            Got::Lost => Ok(Cas::Unknown("no reply came".to_owned())),
        }
    }

    async fn lease(&self, site: &SiteId) -> Result<Option<Lease>> {
        let held = |state: &mut State| state.holdings.get(site).map(|held| held.lease.clone());
        match self.call("coordinator.lease", "coordinator", held).await {
            Got::Reply(lease) => Ok(lease),
            Got::Refused | Got::Lost => Err(unreachable(site)),
        }
    }

    async fn swap_lease(&self, site: &SiteId, from: Option<&Lease>, to: &Lease) -> Result<LeaseSwap> {
        let swap = |held: Option<&Holding>| Holding::swapped(held, from, to);
        match self.swap("coordinator.swap_lease", site, swap).await {
            Got::Reply(None) => Ok(LeaseSwap::Won),
            Got::Reply(Some(held)) => Ok(LeaseSwap::Lost(Held(held.map(|held| held.lease)))),
            Got::Refused => Err(unreachable(site)),
            Got::Lost => Ok(LeaseSwap::Unknown),
        }
    }
}

impl Process {
    /// Keeps what `next` makes of what is held; what is held instead, where that is nothing.
    async fn swap(
        &self,
        call: &str,
        site: &SiteId,
        next: impl FnOnce(Option<&Holding>) -> Option<Holding> + Send,
    ) -> Got<Option<Option<Holding>>> {
        let swap = |state: &mut State| {
            let Some(next) = next(state.holdings.get(site)) else {
                return Some(state.holdings.get(site).cloned());
            };
            state.holdings.insert(site.clone(), next);
            None
        };
        self.call(call, "coordinator", swap).await
    }
}

fn unreachable(site: &SiteId) -> Error {
    Error::new(ErrorKind::Unreachable, format!("ask who holds {site}"), "the coordinator does not answer")
}
