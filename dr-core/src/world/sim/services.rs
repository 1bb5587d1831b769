//! Clocks, probes and the coordinator of the simulated world.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::calls::{Got, Process};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{ProbeSpec, SiteId};
use crate::failover::{DownKind, Sight, Tenure};
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
        match self.call("coordinator.read", "coordinator", |state| state.tenures.get(site).cloned()).await {
            Got::Reply(tenure) => Ok(tenure),
            Got::Refused | Got::Lost => Err(unreachable(site)),
        }
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let swapped = self.call("coordinator.cas", "coordinator", |state| {
            let held = state.tenures.get(site).cloned();
            let grows = held.as_ref().is_none_or(|held| to.epoch > held.epoch);
            if held.as_ref() != from || !grows {
                return Cas::Lost(held);
            }
            state.tenures.insert(site.clone(), to.clone());
            Cas::Won
        });
        match swapped.await {
            Got::Reply(cas) => Ok(cas),
            Got::Refused => Err(unreachable(site)),
            Got::Lost => Ok(Cas::Unknown("no reply came".to_owned())),
        }
    }
}

fn unreachable(site: &SiteId) -> Error {
    Error::new(ErrorKind::Unreachable, format!("ask who holds {site}"), "the coordinator does not answer")
}
