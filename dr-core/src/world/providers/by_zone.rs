//! Each zone has its provider.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::dns::{Serial, TransferLimits, Transferred, ZoneChange};
use crate::error::Result;
use crate::estate::{DnsName, RecordKey, RecordSet, ZoneName};
use crate::world::{Abilities, Commit, Provider};

/// Changes some zones by an API, and all others by what is usual.
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
/// use dr_core::world::{Provider, providers::{ByZone, rfc2136::Rfc2136}};
/// let all = ByZone::new(Arc::new(Rfc2136::new(BTreeMap::new())), BTreeMap::new());
/// assert!(all.abilities(&"example.org".parse().unwrap()).prerequisites);
/// ```
#[derive(Clone)]
pub struct ByZone {
    usual: Arc<dyn Provider>,
    zones: BTreeMap<ZoneName, Arc<dyn Provider>>,
}

impl ByZone {
    /// These zones by these providers, all others by `usual`.
    #[must_use]
    pub fn new(usual: Arc<dyn Provider>, zones: BTreeMap<ZoneName, Arc<dyn Provider>>) -> Self {
        Self { usual, zones }
    }

    fn of(&self, zone: &ZoneName) -> &dyn Provider {
        self.zones.get(zone).unwrap_or(&self.usual).as_ref()
    }
}

#[async_trait]
impl Provider for ByZone {
    fn abilities(&self, zone: &ZoneName) -> Abilities {
        self.of(zone).abilities(zone)
    }

    fn fits(&self, change: &ZoneChange) -> Result<()> {
        self.of(&change.zone).fits(change)
    }

    async fn read(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<RecordSet>>> {
        self.of(zone).read(zone, primary, keys).await
    }

    async fn commit(&self, change: &ZoneChange) -> Result<Commit> {
        self.of(&change.zone).commit(change).await
    }

    async fn rehearse(&self, change: &ZoneChange) -> Result<()> {
        self.of(&change.zone).rehearse(change).await
    }

    /// Transfers are asked of name servers, whatever changes the zone.
    async fn transfer(
        &self,
        zone: &ZoneName,
        server: SocketAddr,
        key: Option<&DnsName>,
        since: Option<Serial>,
        limits: TransferLimits,
    ) -> Result<Transferred> {
        self.usual.transfer(zone, server, key, since, limits).await
    }
}
