//! The stores that a coordinator can be, each started for a race.

use std::sync::Arc;
use std::time::Duration;

use dr_core::estate::{SiteId, TsigAlgorithm, ZoneName};
use dr_core::failover::{lease_owner, tenure_owner};
use dr_core::world::Coordinator;
use dr_core::world::coordinator::dns::{DnsCoordinator, Lock, Place};
use dr_core::world::coordinator::etcd::{Access, EtcdCoordinator};
use dr_core::world::coordinator::sqlite::SqliteCoordinator;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::{DnsName, Secret};

use super::race::{Raced, race};
use crate::bind::{self, Notify};
use crate::proxy::State;
use crate::{Port, Proxy, Server, Tsig, Zone, etcd, knot, pdns};

/// The zone of the names, and one for signs of life.
pub const ZONES: [&str; 2] = ["epoch.test", "lock.test"];

/// These zones, for a primary.
#[must_use]
pub fn zones() -> [Zone; 2] {
    ZONES.map(Zone::new)
}

/// A coordinator for these sites in the zones of the primary at this address; `is_apart` keeps signs of life in a zone of their own.
///
/// # Panics
/// For a name that is none.
#[must_use]
pub fn in_zones(primary: std::net::SocketAddr, is_apart: bool, sites: &[SiteId]) -> DnsCoordinator {
    let [zone, lock] = ZONES.map(|zone| zone.parse::<ZoneName>().expect("a zone"));
    let key: DnsName = Tsig::LAB.name.parse().expect("a name");
    let secret = (TsigAlgorithm::HmacSha256, Secret::new(Tsig::LAB.secret.to_owned()));
    let apart = |site: &SiteId| Lock {
        zone: lock.clone(),
        primary,
        key: Some(key.clone()),
        owner: lease_owner(site, &lock).expect("a name"),
    };
    let place = |site: &SiteId| Place {
        zone: zone.clone(),
        primary,
        key: Some(key.clone()),
        owner: tenure_owner(site, &zone).expect("a name"),
        lock: is_apart.then(|| apart(site)),
    };
    let places = sites.iter().map(|site| (site.clone(), place(site))).collect();
    let provider = Arc::new(Rfc2136::new([(key.clone(), secret)].into()));
    DnsCoordinator::new(provider, places).expect("places of their own")
}

/// A store, and what stands between it and half of its clients.
pub struct Backend {
    kind: &'static str,
    directory: tempfile::TempDir,
    server: Option<Server>,
    line: Option<Proxy>,
}

/// How a race goes.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// So many swaps are won, all in all.
    pub races: u64,
    /// One swap in so many is abandoned by a client that dies.
    pub dying: u64,
    /// The server is killed and started again in the middle, where there is one.
    pub kill: bool,
    /// No race lasts longer.
    pub patience: Duration,
}

impl Backend {
    /// All there are.
    pub const ALL: [&'static str; 5] = ["sqlite", "bind", "knot", "powerdns", "etcd"];

    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(kind: &'static str) -> Self {
        let server = match kind {
            "bind" => Some(bind::primary(Port::free(), &zones(), &[], Notify::Tuned)),
            "knot" => Some(knot::primary(Port::free(), &zones())),
            "powerdns" => Some(pdns::primary(Port::free(), &zones())),
            "etcd" => Some(etcd::member()),
            _ => None,
        };
        let line = server.as_ref().map(|server| Proxy::start(server.addr()));
        Self { kind, directory: tempfile::tempdir().expect("a directory"), server, line }
    }

    /// A client as a process of its own has one.
    fn client(&self, number: usize, site: &SiteId) -> Arc<dyn Coordinator> {
        let through = self.line.as_ref().filter(|_| number % 2 == 1).map(Proxy::addr);
        let at = through.or_else(|| self.server.as_ref().map(Server::addr));
        match (self.kind, at) {
            ("etcd", Some(at)) => {
                let access = Access { urls: vec![format!("http://{at}")], ..Access::default() };
                Arc::new(EtcdCoordinator::new(access).expect("a URL"))
            }
            (kind, Some(at)) => Arc::new(in_zones(at, kind == "bind", std::slice::from_ref(site))),
            _ => {
                let path = self.directory.path().join("leases.db");
                Arc::new(SqliteCoordinator::open(&path).expect("a file"))
            }
        }
    }

    /// Has eight clients race, half of them over a line that is cut again and again.
    ///
    /// # Panics
    /// If a client does.
    pub async fn race(&self, rules: Rules) -> Raced {
        let site: SiteId = "raced".parse().expect("a site");
        let clients = (0..8).map(|number| self.client(number, &site)).collect();
        let racing = race(clients, &site, rules.races, rules.dying, rules.patience);
        let disturbing = async {
            let mut round = 0_u32;
            loop {
                round += 1;
                tokio::time::sleep(Duration::from_millis(60)).await;
                if let Some(line) = &self.line {
                    line.set_state(State::Reset);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    line.set_state(State::default());
                }
                if let (Some(server), 4, true) = (&self.server, round, rules.kill) {
                    tokio::task::block_in_place(|| {
                        server.kill9();
                        server.restart();
                    });
                }
            }
        };
        tokio::select! {
            raced = racing => raced,
            () = disturbing => Raced::default(),
        }
    }
}
