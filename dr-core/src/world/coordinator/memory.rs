//! What this process has seen of each site: a store that goes back in time is noticed by whoever saw more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, SiteId};
use crate::failover::Holding;

/// What was seen, site by site.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<SiteId, Known>>);

/// What was seen of one site.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) highest: Epoch,
    /// The mark that belongs to an epoch, if the store has it: a lease alone does not say it, and what is compared is the whole text.
    pub(super) nonce: Option<(Epoch, String)>,
}

impl Memory {
    pub(super) fn of(&self, site: &SiteId) -> Known {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(site).cloned().unwrap_or_default()
    }

    /// Remembers what is known to be held; `stored` says that the store has just this text.
    pub(super) fn remember(&self, site: &SiteId, held: &Holding, stored: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(site.clone()).or_default();
        known.highest = held.lease.epoch.max(known.highest);
        known.nonce = stored.then(|| (held.lease.epoch, held.nonce.clone()));
    }
}

/// An error if what is held is behind what was seen.
pub(super) fn not_behind(held: Option<&Holding>, seen: Epoch, store: &str, operation: &str) -> Result<()> {
    let epoch = held.map(|held| held.lease.epoch).unwrap_or_default();
    if epoch >= seen {
        return Ok(());
    }
    let why = format!("{store} went back in time: it says epoch {epoch}, and {seen} was seen before");
    let hint = "do not fail over; find out why it was set back, then set it above the highest epoch seen";
    Err(Error::new(ErrorKind::Refused, operation, why).hint(hint))
}
