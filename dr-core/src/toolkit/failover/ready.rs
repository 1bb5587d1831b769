//! What a standby will need once it is home, looked at beside everything else.

use std::net::IpAddr;

use futures_util::future::join_all;

use super::steps::damaged;
use crate::error::{Error, Result};
use crate::estate::{Certified, DnsName, HostId, ProbeSpec, Site, SiteId};
use crate::failover::{Certificate, Charter, Free, Guard, HeldBack, Lease, Sight, guard, held_path};
use crate::toolkit::Toolkit;

/// Of so many names of a site the certificates are looked at.
const NAMES_MAX: usize = 32;
const HTTPS_PORT: u16 = 443;

/// What was seen.
pub(super) struct Ready {
    free: Result<Vec<Free>>,
    held: Result<Option<HeldBack>>,
    certificates: Vec<Certificate>,
    /// Only where somebody watches the site.
    lease: Option<Result<Option<Lease>>>,
}

impl Toolkit {
    /// Looks at a standby's disks and certificates, whether somebody works on the site there, and what the coordinator holds.
    pub(super) async fn ready(&self, id: &SiteId, site: &Site, home: &HostId, standby: &HostId) -> Ready {
        let lease = async {
            if self.estate.observers.is_empty() { None } else { Some(self.world.coordinator.lease(id).await) }
        };
        let (free, held, certificates, lease) = tokio::join!(
            self.free(site, standby),
            self.held_back(id, standby),
            self.certificates(site, home, standby),
            lease
        );
        Ready { free, held, certificates, lease }
    }

    /// A host that the estate does not have was named already by whoever asks.
    async fn free(&self, site: &Site, standby: &HostId) -> Result<Vec<Free>> {
        let Some(host) = self.estate.hosts.get(standby) else { return Ok(vec![]) };
        let is_standby = site.standby == *standby;
        let tree = |tree: &crate::estate::Tree| {
            if is_standby { tree.standby_path().to_owned() } else { tree.path.clone() }
        };
        let mut paths: Vec<String> = site.trees.iter().map(tree).collect();
        paths.push(host.state_dir.clone());
        let rooms = self.world.shell.room(&host.ssh, &paths).await?;
        let free = paths.into_iter().zip(rooms).filter_map(|(path, room)| {
            room.map(|room| Free { path, bytes: room.bytes, inodes: room.inodes })
        });
        Ok(free.collect())
    }

    async fn held_back(&self, id: &SiteId, standby: &HostId) -> Result<Option<HeldBack>> {
        let Some(host) = self.estate.hosts.get(standby) else { return Ok(None) };
        let path = held_path(&host.state_dir, id);
        let Some(bytes) = self.world.shell.read_file(&host.ssh, &path).await? else { return Ok(None) };
        HeldBack::from_bytes(&bytes).map(Some).map_err(|why| damaged(&path, standby, why))
    }

    async fn certificates(&self, site: &Site, home: &HostId, standby: &HostId) -> Vec<Certificate> {
        let address =
            |id: &HostId| self.estate.hosts.get(id).and_then(|host| host.addresses.first()).copied();
        let (Some(home), Some(standby)) = (address(home), address(standby)) else { return vec![] };
        let wanted = certified(site);
        let looks = site.names.iter().take(NAMES_MAX).map(|name| async {
            let (home, standby) =
                tokio::join!(self.tls(home, name, &wanted), self.tls(standby, name, &wanted));
            Certificate { name: name.clone(), home, standby }
        });
        join_all(looks).await
    }

    async fn tls(&self, address: IpAddr, name: &DnsName, wanted: &Certified) -> Sight {
        let probe = ProbeSpec::Tls { host: name.clone(), port: HTTPS_PORT, certificate: wanted.clone() };
        self.world.probe.look(address, &probe, self.estate.policy.health.timeout.as_duration()).await
    }
}

/// Whose certificates count for a site: as its first probe says that looks at one.
fn certified(site: &Site) -> Certified {
    let said = site.probes.iter().find_map(|probe| match probe {
        ProbeSpec::Https { certificate, .. } | ProbeSpec::Tls { certificate, .. } => {
            Some(certificate.clone())
        }
        _ => None,
    });
    said.unwrap_or_default()
}

impl Ready {
    pub(super) fn guards(&self, toolkit: &Toolkit, id: &SiteId, site: &Site, standby: &HostId) -> Vec<Guard> {
        let said = |why: &Error| why.to_string();
        let policy = &toolkit.estate.policy.failover;
        let free = self.free.as_deref().map_err(said);
        let held = self.held.as_ref().map(Option::as_ref).map_err(said);
        let lease = self.lease.as_ref().map(|lease| lease.as_ref().map(Option::as_ref).map_err(said));
        let lease = lease.as_ref().map(|lease| lease.as_ref().copied().map_err(String::as_str));
        let charter = Charter::of(&toolkit.estate, id, standby);
        let mode = site.failover.unwrap_or(policy.mode);
        vec![
            guard::disk(standby, free.as_ref().copied().map_err(String::as_str), policy.free_bytes),
            guard::certificates(standby, &self.certificates, site.services.is_some()),
            guard::maintenance(standby, held.as_ref().copied().map_err(String::as_str)),
            guard::acknowledged(lease),
            guard::observers(mode, charter.as_ref()),
        ]
    }
}
