//! Who holds which site: one file for each place that can keep it.

pub mod dns;
pub mod etcd;
mod memory;
pub mod sqlite;

use async_trait::async_trait;

use crate::error::Result;
use crate::estate::{DnsName, SiteId, ZoneName};
use crate::failover::{Lease, Swap, Tenure};

/// What became of a compare-and-set.
///
/// ```
/// use dr_core::world::Cas;
/// assert_ne!(Cas::Won, Cas::Lost(None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Cas {
    /// It is ours.
    Won,
    /// It was not as expected; what it is.
    Lost(Option<Tenure>),
    /// No answer came: it may have been set. Read back and compare the nonce.
    Unknown(String),
}

/// Who holds which site: linearizable reads, durable compare-and-set. Expiry is never its business.
///
/// It keeps one value a site ([`Holding`](crate::failover::Holding)), of which the lease and the tenure are two views: whoever
/// raises the epoch by one of them ends what was begun by the other. A question is sent once; a change is sent again only after
/// the coordinator has said that the one before was not made, and was asked what it holds.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// Who holds the site now; none if nobody ever did.
    async fn read(&self, site: &SiteId) -> Result<Option<Tenure>>;
    /// Sets it if it is `from`, whatever signs of life there were meanwhile. The lease that belongs to it is not settled.
    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas>;
    /// The lease as it is there now; none if nobody ever held the site. It is not compared with what was seen before: that is the
    /// business of whoever asks, who must see if it has gone back.
    async fn lease(&self, site: &SiteId) -> Result<Option<Lease>>;
    /// Sets the lease if it is just `from`. `Lost` only if it certainly was not set and will not be; every doubt is `Unknown`. An
    /// error says that nothing was set either, and that what is there is not known.
    async fn swap_lease(&self, site: &SiteId, from: Option<&Lease>, to: &Lease) -> Result<Swap>;
    /// Where in DNS the tenure is kept, if it is kept there: the zone, and the owner of its one TXT record set. Changes to that
    /// zone can then require it, so that the primary refuses them once somebody else holds the site.
    fn place_in_dns(&self, _site: &SiteId) -> Option<(ZoneName, DnsName)> {
        None
    }
}
