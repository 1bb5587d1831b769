//! The one value that a coordinator keeps for a site. Seats see it as a [`Lease`], plans as a [`Tenure`]: neither can be raised
//! past the other, because there are not two.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seat::{Lease, Mark};
use super::tenure::Tenure;
use crate::digest::Digest;
use crate::estate::{DnsName, RecordSet, RecordType};

/// What a coordinator keeps for a site: who holds it with the last sign of life, and the mark of whoever began the epoch, which
/// stays the same as long as the epoch lasts.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::{Holding, Lease, Mark, Tenure};
/// let uk = "uk".parse().unwrap();
/// let lease = Lease::first(&uk, Mark(7), 1);
/// let held = Holding::swapped(None, None, &lease).unwrap();
/// assert_eq!(held.tenure(), Tenure { epoch: Epoch(1), home: uk, nonce: Mark(7).to_string() });
/// // A plan raises the epoch: the lease goes with it, and no sign of life of the old home can be written any more.
/// let to = Tenure { epoch: Epoch(2), home: "us".parse().unwrap(), nonce: "plan".into() };
/// let next = Holding::raised(Some(&held), Some(&held.tenure()), &to).unwrap();
/// assert_eq!((next.tenure(), next.lease.epoch, next.lease.settled), (to, Epoch(2), false));
/// assert_eq!(Holding::swapped(Some(&next), Some(&lease), &Lease { beat: 1, ..lease.clone() }), None);
/// assert_eq!(Holding::from_text(&next.to_text()).unwrap(), next);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// Who holds it, with the last sign of life.
    pub lease: Lease,
    /// The mark of whoever began the epoch.
    pub nonce: String,
}

/// Resolvers have no business with it, and no server hands out more than one of its states.
const TTL_S: u32 = 0;

impl Holding {
    /// Who holds the site, without its signs of life.
    #[must_use]
    pub fn tenure(&self) -> Tenure {
        let Lease { epoch, home, .. } = &self.lease;
        Tenure { epoch: *epoch, home: home.clone(), nonce: self.nonce.clone() }
    }

    /// What is held where nothing but a tenure is known: no sign of life, and nobody knows whether the home before has stopped.
    #[must_use]
    pub fn without_signs(tenure: &Tenure) -> Self {
        let Tenure { epoch, home, nonce } = tenure.clone();
        let by = nonce.parse().unwrap_or_else(|_| mark_of(&nonce));
        let lease = Lease { epoch, home, beat: 0, by, turn: 0, settled: false, unacknowledged: false };
        Self { lease, nonce }
    }

    /// What is held after a plan has raised the epoch; none if it may not: what is held is not `from`, or the epoch would not
    /// grow. That a person did it acknowledges the move before.
    #[must_use]
    pub fn raised(held: Option<&Self>, from: Option<&Tenure>, to: &Tenure) -> Option<Self> {
        let grows = held.is_none_or(|held| held.lease.epoch < to.epoch);
        if held.map(Self::tenure).as_ref() != from || !grows {
            return None;
        }
        let mut next = Self::without_signs(to);
        // Before the first one nobody served.
        next.lease.settled = held.is_none();
        Some(next)
    }

    /// What is held after a seat has swapped the lease; none if it may not: what is held is not `from`, or `to` would not be later,
    /// or the epoch would have two homes.
    #[must_use]
    pub fn swapped(held: Option<&Self>, from: Option<&Lease>, to: &Lease) -> Option<Self> {
        if held.map(|held| &held.lease) != from {
            return None;
        }
        let begun = || Self { lease: to.clone(), nonce: to.by.to_string() };
        let Some(held) = held else { return Some(begun()) };
        if to.order() <= held.lease.order() {
            return None;
        }
        if to.epoch > held.lease.epoch {
            return Some(begun());
        }
        (to.home == held.lease.home).then(|| Self { lease: to.clone(), nonce: held.nonce.clone() })
    }

    /// As the text of a TXT record, or of a value in a store: that of the lease, and the mark.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} nonce={}", self.lease.to_text(), self.nonce)
    }

    /// From such a text; the error says what is missing. That of a tenure alone is taken too.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let tenure = Tenure::from_text(text)?;
        if !text.split(' ').any(|part| part.starts_with("beat=")) {
            return Ok(Self::without_signs(&tenure));
        }
        Ok(Self { lease: text.parse()?, nonce: tenure.nonce })
    }

    /// As the one TXT record set of `owner`.
    #[must_use]
    pub fn to_record_set(&self, owner: DnsName) -> RecordSet {
        RecordSet::new(owner, RecordType::TXT, TTL_S, [format!("\"{}\"", self.to_text())])
    }

    /// From the TXT record set; the error says what is wrong with it.
    pub fn from_record_set(set: &RecordSet) -> Result<Self, String> {
        Self::from_text(&only_string(set)?).map_err(|why| format!("{} is no lease: {why}", set.owner))
    }
}

/// The one string of the one record of a TXT record set.
pub(super) fn only_string(set: &RecordSet) -> Result<String, String> {
    let mut data = set.rdata.iter();
    let (Some(only), None) = (data.next(), data.next()) else {
        return Err(format!("{} has {} TXT records instead of one", set.owner, set.rdata.len()));
    };
    let bare = only.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(only);
    Ok(bare.to_owned())
}

fn mark_of(nonce: &str) -> Mark {
    let digest = Digest::of(nonce.as_bytes());
    let bytes = digest.as_bytes().iter().take(16);
    Mark(bytes.fold(0, |mark, byte| mark << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Epoch;

    fn tenure(epoch: u64, home: &str, nonce: &str) -> Tenure {
        Tenure { epoch: Epoch(epoch), home: home.parse().unwrap(), nonce: nonce.to_owned() }
    }

    fn first() -> Holding {
        Holding::swapped(None, None, &Lease::first(&"uk".parse().unwrap(), Mark(7), 1)).unwrap()
    }

    #[test]
    fn a_sign_of_life_leaves_the_tenure_as_it_is() {
        let held = first();
        let mine = held.lease.renewed(Mark(9), 4);
        let next = Holding::swapped(Some(&held), Some(&held.lease), &mine).unwrap();
        assert_eq!(next.tenure(), held.tenure());
        assert_eq!(next.lease, mine);
        assert_eq!(Holding::swapped(Some(&next), Some(&held.lease), &mine), None, "no longer what is held");
    }

    #[test]
    fn a_lease_only_grows_and_an_epoch_has_one_home() {
        let held = first();
        let refused =
            |to: &Lease| assert_eq!(Holding::swapped(Some(&held), Some(&held.lease), to), None, "{to:?}");
        refused(&held.lease);
        refused(&Lease { epoch: Epoch(0), beat: 9, ..held.lease.clone() });
        refused(&Lease { home: "us".parse().unwrap(), beat: 1, ..held.lease.clone() });
        let raised = held.lease.raised(&"us".parse().unwrap(), Mark(8), 2);
        let next = Holding::swapped(Some(&held), Some(&held.lease), &raised).unwrap();
        assert_eq!(next.tenure(), tenure(2, "us", &Mark(8).to_string()));
    }

    #[test]
    fn a_plan_that_raises_settles_nothing_and_acknowledges() {
        let mut held = first();
        held.lease.unacknowledged = true;
        let to = tenure(2, "us", "plan");
        let next = Holding::raised(Some(&held), Some(&held.tenure()), &to).unwrap();
        assert!(!next.lease.settled && !next.lease.unacknowledged && next.lease.beat == 0, "{next:?}");
        assert_eq!(Holding::raised(Some(&held), Some(&tenure(1, "uk", "other")), &to), None);
        assert_eq!(Holding::raised(Some(&held), Some(&held.tenure()), &tenure(1, "us", "plan")), None);
        assert_eq!(Holding::raised(Some(&held), None, &to), None);
        assert!(Holding::raised(None, None, &to).unwrap().lease.settled, "nobody served before");
    }

    #[test]
    fn the_text_of_a_tenure_alone_is_taken() {
        let alone = tenure(3, "us", "by-hand");
        let held = Holding::from_text(&alone.to_text()).unwrap();
        assert_eq!((held.tenure(), held.lease.settled), (alone, false));
        assert!(Holding::from_text("epoch=3 home=us beat=x nonce=a").is_err());
        assert!(Holding::from_text("beat=1").is_err());
    }
}
