//! The primary name server as the coordinator: nothing new to run, and no dependency that a failover did not have anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::dns::{SetChange, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Epoch, Estate, RecordKey, RecordType, SiteId, ZoneName};
use crate::failover::{Tenure, tenure_owner};
use crate::world::{Cas, Commit, Coordinator, Provider};

/// Where the tenure of a site is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The zone.
    pub zone: ZoneName,
    /// Its primary, which is asked directly: a resolver or a secondary may be behind.
    pub primary: SocketAddr,
    /// The TSIG key that may change the record set.
    pub key: Option<DnsName>,
    /// The owner of the TXT record set; see [`tenure_owner`].
    pub owner: DnsName,
}

/// Keeps each site's [`Tenure`] as one TXT record set on the primary of a zone. Compare-and-set is one UPDATE whose prerequisite
/// is the exact old record set (RFC 2136 section 2.4.2), so the primary itself decides who wins.
///
/// A primary whose zone was restored from a backup would report an old epoch. What this process has seen it remembers, and
/// refuses to believe anything older.
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
/// use dr_core::world::coordinator::dns::{DnsCoordinator, Place};
/// use dr_core::world::providers::rfc2136::Rfc2136;
/// let place = Place {
///     zone: "example.org".parse().unwrap(),
///     primary: "192.0.2.53:53".parse().unwrap(),
///     key: None,
///     owner: "_dr.shop.example.org".parse().unwrap(),
/// };
/// let provider = Arc::new(Rfc2136::new(BTreeMap::new()));
/// let sites = BTreeMap::from([("shop".parse().unwrap(), place.clone()), ("Shop".parse().unwrap(), place)]);
/// assert!(DnsCoordinator::new(provider, sites).is_err(), "two sites cannot share one record set");
/// ```
pub struct DnsCoordinator {
    provider: Arc<dyn Provider>,
    places: BTreeMap<SiteId, Place>,
    highest: Mutex<BTreeMap<SiteId, Epoch>>,
}

impl DnsCoordinator {
    /// Keeps these sites in these places. No two sites may share one.
    pub fn new(provider: Arc<dyn Provider>, places: BTreeMap<SiteId, Place>) -> Result<Self> {
        let mut owners = BTreeSet::new();
        if let Some((site, place)) = places.iter().find(|(_, place)| !owners.insert(&place.owner)) {
            let why = format!(
                "another site keeps its tenure at {} too (names of sites that differ only in case?)",
                place.owner
            );
            return Err(Error::new(ErrorKind::Usage, format!("coordinate {site}"), why)
                .hint("rename one of the sites"));
        }
        Ok(Self { provider, places, highest: Mutex::default() })
    }

    /// Keeps every site of the estate in the zone of its first name. A site without a name in a zone of the estate has no place,
    /// and asking who holds it is an error.
    pub fn from_estate(provider: Arc<dyn Provider>, estate: &Estate) -> Result<Self> {
        let place = |site: &SiteId, name: &DnsName| {
            let (apex, zone) = estate.zone_of(name)?;
            Some(Place {
                zone: apex.clone(),
                primary: estate.name_servers.get(&zone.primary)?.address,
                key: zone.update_key.clone(),
                owner: tenure_owner(site, apex).ok()?,
            })
        };
        let sites = estate.sites.iter();
        let places =
            sites.filter_map(|(id, site)| Some((id.clone(), place(id, site.names.first()?)?))).collect();
        Self::new(provider, places)
    }

    fn place(&self, site: &SiteId, operation: &str) -> Result<&Place> {
        self.places.get(site).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation, "no zone of the estate has a place for it").hint(
                "give the site a name that is in a zone of the estate, with a primary that can be changed",
            )
        })
    }

    fn highest(&self, site: &SiteId) -> Epoch {
        let highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        highest.get(site).copied().unwrap_or_default()
    }

    /// Remembers an epoch that the primary is known to hold.
    fn remember(&self, site: &SiteId, epoch: Epoch) {
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = highest.entry(site.clone()).or_default();
        *before = epoch.max(*before);
    }
}

impl std::fmt::Debug for DnsCoordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsCoordinator").field("places", &self.places).finish_non_exhaustive()
    }
}

#[async_trait]
impl Coordinator for DnsCoordinator {
    async fn read(&self, site: &SiteId) -> Result<Option<Tenure>> {
        let operation = format!("ask who holds {site}");
        let place = self.place(site, &operation)?;
        let key = RecordKey::new(place.owner.clone(), RecordType::TXT);
        // What was known before the question was sent: an answer that a change overtakes on its way is not the primary going back.
        let before = self.highest(site);
        let sets = self.provider.read(&place.zone, place.primary, std::slice::from_ref(&key)).await?;
        let tenure = match sets.into_iter().next().flatten() {
            None => None,
            Some(set) => Some(Tenure::from_record_set(&set).map_err(|why| {
                Error::new(ErrorKind::Corrupt, operation.as_str(), why).hint(format!(
                    "correct {key} by hand: epoch=N home=HOST nonce=ANY, N above every epoch seen"
                ))
            })?),
        };
        let epoch = tenure.as_ref().map(|tenure| tenure.epoch).unwrap_or_default();
        not_behind(epoch, before, &operation)?;
        self.remember(site, epoch);
        Ok(tenure)
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let operation = format!("raise the epoch of {site} to {}", to.epoch);
        let place = self.place(site, &operation)?;
        // The primary compares what is there, not which of the two is higher.
        if from.is_some_and(|from| from.epoch >= to.epoch) {
            return Ok(Cas::Lost(self.read(site).await?));
        }
        let set = |tenure: &Tenure| tenure.to_record_set(place.owner.clone());
        let key = RecordKey::new(place.owner.clone(), RecordType::TXT);
        let change = ZoneChange {
            zone: place.zone.clone(),
            primary: place.primary,
            key: place.key.clone(),
            require: vec![],
            sets: vec![SetChange { key, from: from.map(set), to: Some(set(to)) }],
        };
        match self.provider.commit(&change).await {
            Ok(Commit::Applied) => {
                self.remember(site, to.epoch);
                Ok(Cas::Won)
            }
            Ok(Commit::Unknown { why }) => Ok(Cas::Unknown(why)),
            Err(why) if why.kind() == ErrorKind::OutcomeUnknown => Ok(Cas::Unknown(why.to_string())),
            Err(why) => Err(why),
            // What the primary has instead is read afresh: nothing was changed, and a read that fails must not look like a site
            // that nobody holds.
            Ok(Commit::Conflict { .. }) => Ok(Cas::Lost(self.read(site).await?)),
        }
    }

    fn place_in_dns(&self, site: &SiteId) -> Option<(ZoneName, DnsName)> {
        self.places.get(site).map(|place| (place.zone.clone(), place.owner.clone()))
    }
}

/// An error if the epoch is behind what was seen before.
fn not_behind(epoch: Epoch, before: Epoch, operation: &str) -> Result<()> {
    if epoch >= before {
        return Ok(());
    }
    let why = format!("the primary went back in time: it says epoch {epoch}, and {before} was seen before");
    let hint = "do not fail over; find out why the zone was set back, then set the record above the highest epoch seen";
    Err(Error::new(ErrorKind::Refused, operation, why).hint(hint))
}
