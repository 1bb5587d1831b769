//! What can be relied on where records are changed, and what became of a change.

use crate::dns::{SetChange, Through, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordSet, RecordType};

/// What became of a change to a zone.
///
/// ```
/// use dr_core::world::Commit;
/// assert_ne!(Commit::Applied, Commit::Unknown { why: "no answer in 5 s".into() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The primary took it.
    Applied,
    /// A prerequisite did not hold; nothing was changed. What the primary has instead, as far as it could be read.
    Conflict {
        /// In the order of the change's record sets.
        observed: Vec<Option<RecordSet>>,
    },
    /// The message was sent and no answer came: it may have been applied. Read back to know.
    Unknown {
        /// What happened.
        why: String,
    },
}

/// What can be relied on where a zone's records are changed.
///
/// ```
/// use dr_core::world::{Abilities, Atomicity};
/// assert_eq!((Abilities::RFC2136.atomicity, Abilities::RFC2136.prerequisites), (Atomicity::WholeChange, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// What it is called.
    pub name: &'static str,
    /// How much is changed at once.
    pub atomicity: Atomicity,
    /// Whether it compares and changes in one go. Where it does not, somebody else's change of the same moment is overwritten.
    pub prerequisites: bool,
    /// The lowest TTL that it takes, in seconds.
    pub min_ttl_s: u32,
    /// So many records in one change at most, those that go and those that come; none: as many as a message holds.
    pub records_per_change: Option<usize>,
    /// The estate allows changes that leave a name without records for a moment.
    pub gap_allowed: bool,
}

impl Abilities {
    /// Dynamic updates.
    pub const RFC2136: Self = Self {
        name: "RFC 2136",
        atomicity: Atomicity::WholeChange,
        prerequisites: true,
        min_ttl_s: 0,
        records_per_change: None,
        gap_allowed: false,
    };

    /// An API of which nothing else is known.
    pub(super) const fn api(name: &'static str, atomicity: Atomicity) -> Self {
        Self { name, atomicity, prerequisites: false, ..Self::RFC2136 }
    }

    /// By what a plan says the zone is changed; none for dynamic updates.
    ///
    /// ```
    /// assert_eq!(dr_core::world::Abilities::RFC2136.through(), None);
    /// ```
    #[must_use]
    pub fn through(&self) -> Option<Through> {
        let at_once = self.atomicity == Atomicity::WholeChange;
        (!self.prerequisites).then(|| Through { api: self.name.to_owned(), at_once })
    }

    /// What it cannot do is refused before anything is sent: a TTL that is too low, more than it takes at once, and what it could do only
    /// with a moment in which a name has nothing, unless the estate allows that by name.
    ///
    /// ```
    /// use dr_core::dns::{SetChange, ZoneChange};
    /// use dr_core::{RecordSet, RecordType, world::Abilities};
    /// let to = RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]);
    /// let change = ZoneChange {
    ///     zone: "example.org".parse().unwrap(),
    ///     primary: "192.0.2.53:53".parse().unwrap(),
    ///     key: None,
    ///     through: None,
    ///     require: vec![],
    ///     sets: vec![SetChange { key: to.key(), from: None, to: Some(to) }],
    /// };
    /// assert!(Abilities::RFC2136.check(&change, "change www").is_ok());
    /// let slow = Abilities { min_ttl_s: 3600, ..Abilities::RFC2136 };
    /// assert!(slow.check(&change, "change www").unwrap_err().to_string().contains("no TTL under 3600 s"));
    /// ```
    pub fn check(&self, change: &ZoneChange, operation: &str) -> Result<()> {
        let usage = |why: String| Error::new(ErrorKind::Usage, operation, why);
        let (name, least) = (self.name, self.min_ttl_s);
        if change.sets.is_empty() {
            return Err(usage("it changes no record set".to_owned()));
        }
        for set in &change.sets {
            let sides = [&set.from, &set.to];
            if !change.zone.contains(&set.key.owner) {
                return Err(usage(format!("{} is not in the zone {}", set.key, change.zone)));
            }
            if sides.into_iter().flatten().any(|side| side.key() != set.key || side.rdata.is_empty()) {
                let why =
                    format!("{}: a record set has at least one record, and keeps owner and type", set.key);
                return Err(usage(why));
            }
            if set.to.as_ref().is_some_and(|to| to.ttl < least) {
                return Err(usage(format!("{}: {name} takes no TTL under {least} s", set.key)).hint(
                    format!(
                        "--ttl {least}; what a failover must reach in time cannot be kept there with less"
                    ),
                ));
            }
        }
        let records = records(&change.sets);
        if let Some(most) = self.records_per_change.filter(|most| records > *most) {
            let why = format!(
                "{name} takes {most} records at once, those that go counted, and these are {records}"
            );
            return Err(usage(why).hint("make the change in several smaller ones"));
        }
        if let Some(owner) = self.gap(&change.sets).filter(|_| !self.gap_allowed) {
            let why = format!(
                "{name} removes an alias before it adds records in its place: {owner} would have nothing for a moment"
            );
            return Err(Error::new(ErrorKind::Refused, operation, why)
                .hint("allow it by name: allow_gap = true under that provider in the estate"));
        }
        Ok(())
    }

    /// An owner where an alias and other records change places, which an API that writes one set after another cannot do at once.
    pub(super) fn gap<'a>(&self, sets: &'a [SetChange]) -> Option<&'a DnsName> {
        let of = |set: &&SetChange, is_alias: bool| (set.key.rtype == RecordType::CNAME) == is_alias;
        let swapped = |alias: &&SetChange| {
            let others = || sets.iter().filter(|set| set.key.owner == alias.key.owner && of(set, false));
            (alias.to.is_none() && others().any(|set| set.to.is_some()))
                || (alias.to.is_some() && others().any(|set| set.from.is_some()))
        };
        let found = sets.iter().filter(|set| of(set, true)).find(swapped).map(|set| &set.key.owner);
        found.filter(|_| self.atomicity != Atomicity::WholeChange)
    }
}

/// How many records come and go.
fn records(sets: &[SetChange]) -> usize {
    sets.iter().flat_map(|set| [&set.from, &set.to]).flatten().map(|side| side.rdata.len()).sum()
}

/// How much of a change is made at once.
///
/// ```
/// use dr_core::world::Atomicity;
/// assert_ne!(Atomicity::WholeChange, Atomicity::RecordSet);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomicity {
    /// All of it, or nothing.
    WholeChange,
    /// One record set after another, each from what it was to what it will be.
    RecordSet,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::RecordKey;

    fn set(rtype: RecordType, data: Option<&str>, other: Option<&str>) -> SetChange {
        let key = RecordKey::new("www.example.org".parse().unwrap(), rtype);
        let side =
            |data: Option<&str>| data.map(|data| RecordSet::new(key.owner.clone(), rtype, 300, [data]));
        SetChange { from: side(data), to: side(other), key: key.clone() }
    }

    #[test]
    fn an_alias_that_changes_places_is_a_gap_unless_all_is_done_at_once() {
        let abilities = |atomicity| Abilities::api("an API", atomicity);
        let swap = [
            set(RecordType::CNAME, Some("a.example.org"), None),
            set(RecordType::A, None, Some("192.0.2.1")),
        ];
        assert!(abilities(Atomicity::RecordSet).gap(&swap).is_some());
        assert!(abilities(Atomicity::WholeChange).gap(&swap).is_none());
        let back: Vec<SetChange> = swap.iter().map(SetChange::inverse).collect();
        assert!(abilities(Atomicity::RecordSet).gap(&back).is_some());
        let plain = [set(RecordType::A, Some("192.0.2.1"), Some("192.0.2.2"))];
        assert!(abilities(Atomicity::RecordSet).gap(&plain).is_none());
    }

    #[test]
    fn what_an_api_cannot_do_is_refused_and_told() {
        let change = |sets: Vec<SetChange>| ZoneChange {
            zone: "example.org".parse().unwrap(),
            primary: "192.0.2.53:53".parse().unwrap(),
            key: None,
            through: None,
            require: vec![],
            sets,
        };
        let api = Abilities {
            min_ttl_s: 300,
            records_per_change: Some(2),
            ..Abilities::api("an API", Atomicity::RecordSet)
        };
        let moved = || set(RecordType::A, Some("192.0.2.1"), Some("192.0.2.2"));
        let refused = |api: Abilities, sets: Vec<SetChange>| {
            api.check(&change(sets), "change").map_err(|why| why.kind())
        };
        assert_eq!(refused(api, vec![moved()]), Ok(()));
        assert_eq!(refused(api, vec![]), Err(ErrorKind::Usage));
        assert_eq!(
            refused(api, vec![moved(), set(RecordType::MX, None, Some("10 mx.example.org"))]),
            Err(ErrorKind::Usage)
        );
        assert_eq!(refused(Abilities { min_ttl_s: 301, ..api }, vec![moved()]), Err(ErrorKind::Usage));
        let swap = || {
            vec![
                set(RecordType::A, Some("192.0.2.1"), None),
                set(RecordType::CNAME, None, Some("a.example.org")),
            ]
        };
        assert_eq!(refused(api, swap()), Err(ErrorKind::Refused));
        assert_eq!(refused(Abilities { gap_allowed: true, ..api }, swap()), Ok(()));
        assert_eq!(refused(Abilities { atomicity: Atomicity::WholeChange, ..api }, swap()), Ok(()));
    }
}
