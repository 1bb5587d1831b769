//! The primary name server as the coordinator: nothing new to run, and no dependency that a failover did not have anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::memory::{Memory, not_behind};
use crate::dns::{SetChange, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Epoch, Estate, RecordKey, RecordSet, RecordType, SiteId, ZoneName};
use crate::failover::{Held, Holding, Lease, Swap, Tenure, lease_owner, tenure_owner};
use crate::world::{Cas, Commit, Coordinator, Provider};

/// Where a site is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The zone of its names.
    pub zone: ZoneName,
    /// Its primary, which is asked directly: a resolver or a secondary may be behind.
    pub primary: SocketAddr,
    /// The TSIG key that may change the record set.
    pub key: Option<DnsName>,
    /// The owner of the TXT record set with the tenure; see [`tenure_owner`]. Changes to the zone can require it.
    pub owner: DnsName,
    /// Where the lease is kept, with its signs of life: best in a zone of its own that no other server transfers. Without it in the
    /// same zone, under `_lease` below the owner.
    pub lock: Option<Lock>,
}

/// Where a lease is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The zone.
    pub zone: ZoneName,
    /// Its primary.
    pub primary: SocketAddr,
    /// The TSIG key that may change the record set.
    pub key: Option<DnsName>,
    /// The owner of the TXT record set; see [`lease_owner`].
    pub owner: DnsName,
}

/// Keeps each site's [`Lease`] as one TXT record set on the primary of a zone. Compare-and-set is one UPDATE whose prerequisite
/// is the exact old record set (RFC 2136 section 2.4.2), so the primary itself decides who wins.
///
/// The [`Tenure`] stands in a second record set, in the zone of the site's names, for changes there to require. It follows when
/// the epoch is raised: in the same message where both are in one zone, else in a second one. If that one does not arrive, a
/// change that requires it is refused, and the next raise brings it.
///
/// A primary whose zone was restored from a backup would report an old epoch. What this process has seen it remembers, and for
/// plans it refuses to believe anything older, as it does when the lease is behind the tenure. A seat remembers by itself.
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
///     lock: None,
/// };
/// let provider = Arc::new(Rfc2136::new(BTreeMap::new()));
/// let sites = BTreeMap::from([("shop".parse().unwrap(), place.clone()), ("Shop".parse().unwrap(), place)]);
/// assert!(DnsCoordinator::new(provider, sites).is_err(), "two sites cannot share one record set");
/// ```
pub struct DnsCoordinator {
    provider: Arc<dyn Provider>,
    places: BTreeMap<SiteId, Place>,
    memory: Memory,
}

/// What the primaries have of a site.
struct Found {
    /// What it says.
    held: Option<Holding>,
    /// The lease's record set.
    lease: Option<RecordSet>,
    /// The tenure's record set, if it was asked for.
    tenure: Option<RecordSet>,
}

/// What became of a message that changes the lease.
enum Written {
    Done,
    Conflict,
    Unknown(String),
}

/// So many times a tenure is raised anew when a sign of life came in between: of which there is one in some seconds.
const ATTEMPTS: usize = 8;

impl Place {
    /// Where the lease is.
    fn lock(&self) -> Lock {
        self.lock.clone().unwrap_or_else(|| Lock {
            zone: self.zone.clone(),
            primary: self.primary,
            key: self.key.clone(),
            // A name that is too long for it is found by the first change.
            owner: format!("_lease.{}", self.owner).parse().unwrap_or_else(|_| self.owner.clone()),
        })
    }
}

impl DnsCoordinator {
    /// Keeps these sites in these places. No two sites may share one.
    pub fn new(provider: Arc<dyn Provider>, places: BTreeMap<SiteId, Place>) -> Result<Self> {
        let mut owners = BTreeSet::new();
        let kept = |place: &Place| [place.lock().owner, place.owner.clone()];
        let shared =
            places.iter().find(|(_, place)| !kept(place).into_iter().all(|owner| owners.insert(owner)));
        if let Some((site, place)) = shared {
            let why = format!(
                "another site is kept at {} too (names of sites that differ only in case?)",
                place.owner
            );
            return Err(Error::new(ErrorKind::Usage, format!("coordinate {site}"), why)
                .hint("rename one of the sites"));
        }
        Ok(Self { provider, places, memory: Memory::default() })
    }

    /// Keeps every site of the estate in the zone of its first name, and its lease in the coordinator's zone if there is one. A site without a name in a zone of the estate has no place,
    /// and asking who holds it is an error.
    pub fn from_estate(provider: Arc<dyn Provider>, estate: &Estate) -> Result<Self> {
        let apart = estate.coordinator.as_ref().and_then(|coordinator| coordinator.zone.as_ref());
        let lock = |site: &SiteId| {
            let apex = apart?;
            let zone = estate.zones.get(apex)?;
            Some(Lock {
                zone: apex.clone(),
                primary: estate.name_servers.get(&zone.primary)?.address,
                key: zone.update_key.clone(),
                owner: lease_owner(site, apex).ok()?,
            })
        };
        let place = |site: &SiteId, name: &DnsName| {
            let (apex, zone) = estate.zone_of(name)?;
            Some(Place {
                zone: apex.clone(),
                primary: estate.name_servers.get(&zone.primary)?.address,
                key: zone.update_key.clone(),
                owner: tenure_owner(site, apex).ok()?,
                lock: lock(site),
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

    async fn record(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        owner: &DnsName,
    ) -> Result<Option<RecordSet>> {
        let key = RecordKey::new(owner.clone(), RecordType::TXT);
        let sets = self.provider.read(zone, primary, std::slice::from_ref(&key)).await?;
        Ok(sets.into_iter().next().flatten())
    }

    /// What is there of both record sets: first of the one that follows, so that it cannot seem to be ahead.
    async fn find(&self, site: &SiteId, place: &Place, operation: &str) -> Result<Found> {
        let lock = place.lock();
        let tenure = self.record(&place.zone, place.primary, &place.owner).await?;
        let lease = self.record(&lock.zone, lock.primary, &lock.owner).await?;
        self.found(site, lease, tenure, operation)
    }

    fn found(
        &self,
        site: &SiteId,
        lease: Option<RecordSet>,
        tenure: Option<RecordSet>,
        operation: &str,
    ) -> Result<Found> {
        let corrupt = |set: &RecordSet, why: String| {
            Error::new(ErrorKind::Corrupt, operation, why).hint(format!(
                "correct {} TXT by hand: epoch=N home=HOST nonce=ANY, N above every epoch seen",
                set.owner
            ))
        };
        // Where only a tenure was ever written, it is what is held.
        let held = match lease.as_ref().or(tenure.as_ref()) {
            None => None,
            Some(set) => Some(Holding::from_record_set(set).map_err(|why| corrupt(set, why))?),
        };
        if let Some(held) = &held {
            // Only a record that is written as we write it can be compared without having been read.
            let ours = |set: &RecordSet| set.rdata == held.to_record_set(set.owner.clone()).rdata;
            self.memory.remember(site, held, lease.as_ref().is_some_and(ours));
        }
        Ok(Found { held, lease, tenure })
    }

    /// An error if what is there is behind what was seen, here or by whoever changed the zone of the site's names.
    fn not_behind(found: &Found, before: Epoch, operation: &str) -> Result<()> {
        let tenure = found.tenure.as_ref().and_then(|set| Tenure::from_record_set(set).ok());
        let seen = tenure.map(|tenure| tenure.epoch).unwrap_or_default().max(before);
        not_behind(found.held.as_ref(), seen, "the primary", operation)
    }

    /// One message that changes the lease, and the tenure if it is another one and stands in the same zone.
    async fn write(&self, place: &Place, found: &Found, next: &Holding) -> Result<Written> {
        let lock = place.lock();
        let is_new = found.held.as_ref().map(Holding::tenure).as_ref() != Some(&next.tenure());
        let mut sets = vec![SetChange {
            key: RecordKey::new(lock.owner.clone(), RecordType::TXT),
            from: found.lease.clone(),
            to: Some(next.to_record_set(lock.owner.clone())),
        }];
        let mut require = vec![];
        if place.lock.is_none() && is_new {
            sets.push(Self::follows(place, found.tenure.as_ref(), next));
        } else if place.lock.is_none() && found.lease.is_none() {
            // The first lease of what is only a tenure rests on that.
            require.extend(found.tenure.clone());
        }
        let Lock { zone, primary, key, .. } = lock;
        match self.commit(ZoneChange { zone, primary, key, through: None, require, sets }).await? {
            Written::Done if place.lock.is_some() && is_new => {
                self.follow(place, found, next).await;
                Ok(Written::Done)
            }
            written => Ok(written),
        }
    }

    fn follows(place: &Place, tenure: Option<&RecordSet>, next: &Holding) -> SetChange {
        SetChange {
            key: RecordKey::new(place.owner.clone(), RecordType::TXT),
            from: tenure.cloned(),
            to: Some(next.tenure().to_record_set(place.owner.clone())),
        }
    }

    /// Brings the tenure into the zone of the names. The lease is won whatever becomes of it.
    async fn follow(&self, place: &Place, found: &Found, next: &Holding) {
        let sets = vec![Self::follows(place, found.tenure.as_ref(), next)];
        let Place { zone, primary, key, .. } = place.clone();
        let _ = self.commit(ZoneChange { zone, primary, key, through: None, require: vec![], sets }).await;
    }

    async fn commit(&self, change: ZoneChange) -> Result<Written> {
        match self.provider.commit(&change).await {
            Ok(Commit::Applied) => Ok(Written::Done),
            Ok(Commit::Conflict { .. }) => Ok(Written::Conflict),
            Ok(Commit::Unknown { why }) => Ok(Written::Unknown(why)),
            Err(why) if why.kind() == ErrorKind::OutcomeUnknown => Ok(Written::Unknown(why.to_string())),
            Err(why) => Err(why),
        }
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
        // What was known before the question was sent: an answer that a change overtakes on its way is not the primary going back.
        let before = self.memory.of(site).highest;
        let found = self.find(site, place, &operation).await?;
        Self::not_behind(&found, before, &operation)?;
        Ok(found.held.map(|held| held.tenure()))
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let operation = format!("raise the epoch of {site} to {}", to.epoch);
        let place = self.place(site, &operation)?;
        for _ in 0..ATTEMPTS {
            let before = self.memory.of(site).highest;
            let found = self.find(site, place, &operation).await?;
            Self::not_behind(&found, before, &operation)?;
            let Some(next) = Holding::raised(found.held.as_ref(), from, to) else {
                return Ok(Cas::Lost(found.held.map(|held| held.tenure())));
            };
            match self.write(place, &found, &next).await? {
                Written::Done => {
                    self.memory.remember(site, &next, true);
                    return Ok(Cas::Won);
                }
                Written::Unknown(why) => return Ok(Cas::Unknown(why)),
                // Nothing was changed: somebody was faster, with the tenure or with a sign of life only.
                Written::Conflict => {}
            }
        }
        let why = format!("what is held has changed {ATTEMPTS} times meanwhile");
        Err(Error::new(ErrorKind::Busy, operation, why).hint("nothing was changed; try again"))
    }

    async fn lease(&self, site: &SiteId) -> Result<Option<Lease>> {
        let operation = format!("ask for the lease of {site}");
        let place = self.place(site, &operation)?;
        let lock = place.lock();
        let lease = self.record(&lock.zone, lock.primary, &lock.owner).await?;
        let found = match lease {
            Some(lease) => self.found(site, Some(lease), None, &operation)?,
            None => self.find(site, place, &operation).await?,
        };
        Ok(found.held.map(|held| held.lease))
    }

    async fn swap_lease(&self, site: &SiteId, from: Option<&Lease>, to: &Lease) -> Result<Swap> {
        let operation = format!("write the lease of {site}");
        let place = self.place(site, &operation)?;
        let known = self.memory.of(site).nonce;
        let found = match (from, known) {
            // A sign of life is one message: all of what must be there is known.
            (Some(from), Some((epoch, nonce))) if from.epoch == epoch && to.epoch == epoch => {
                let held = Holding { lease: from.clone(), nonce };
                let lease = Some(held.to_record_set(place.lock().owner));
                Found { held: Some(held), lease, tenure: None }
            }
            _ => {
                let before = self.memory.of(site).highest;
                let found = self.find(site, place, &operation).await?;
                Self::not_behind(&found, before, &operation)?;
                found
            }
        };
        let Some(next) = Holding::swapped(found.held.as_ref(), from, to) else {
            return Ok(Swap::Lost(Held(self.lease(site).await?)));
        };
        match self.write(place, &found, &next).await? {
            Written::Done => {
                self.memory.remember(site, &next, true);
                Ok(Swap::Won)
            }
            Written::Unknown(_) => Ok(Swap::Unknown),
            // What the primary has instead is read afresh: nothing was changed, and a read that fails must not look like a site
            // that nobody holds.
            Written::Conflict => Ok(Swap::Lost(Held(self.lease(site).await?))),
        }
    }

    fn place_in_dns(&self, site: &SiteId) -> Option<(ZoneName, DnsName)> {
        self.places.get(site).map(|place| (place.zone.clone(), place.owner.clone()))
    }
}
