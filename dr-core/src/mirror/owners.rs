//! Who owns on the target what somebody owns on the source.

use std::collections::BTreeMap;

use super::change::Owners;
use super::entry::Owner;
use super::snapshot::Names;

/// What [`Owners`] means for two machines, each with its own users and groups.
///
/// A user or group that is mapped is the one that the map names. Else, by name, it is the one that has the same name on the target.
/// Whom the target does not know keeps the number.
///
/// ```
/// use dr_core::mirror::{Names, Owner, OwnerMap, Owners};
/// let names = |uid| Names { users: [(uid, "www-data".to_owned())].into(), ..Names::default() };
/// let by_name = Owners { by_name: true, ..Owners::default() };
/// let map = OwnerMap::new(&by_name, &names(33), &names(48));
/// assert_eq!(map.apply(Owner { uid: 33, gid: 7 }), Owner { uid: 48, gid: 7 });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerMap {
    /// Those that get another number.
    users: BTreeMap<u32, u32>,
    groups: BTreeMap<u32, u32>,
}

impl OwnerMap {
    /// The map between two machines that call users and groups so.
    #[must_use]
    pub fn new(owners: &Owners, source: &Names, target: &Names) -> Self {
        let numbers = |mapped, here, there| numbers(owners.by_name, mapped, here, there);
        Self {
            users: numbers(&owners.users, &source.users, &target.users),
            groups: numbers(&owners.groups, &source.groups, &target.groups),
        }
    }

    /// Who owns it on the target.
    #[must_use]
    pub fn apply(&self, owner: Owner) -> Owner {
        let map = |numbers: &BTreeMap<u32, u32>, number| numbers.get(&number).copied().unwrap_or(number);
        Owner { uid: map(&self.users, owner.uid), gid: map(&self.groups, owner.gid) }
    }

    /// Whether everybody keeps the number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

fn numbers(
    by_name: bool,
    mapped: &BTreeMap<String, String>,
    here: &BTreeMap<u32, String>,
    there: &BTreeMap<u32, String>,
) -> BTreeMap<u32, u32> {
    let named = |wanted: &str, names: &BTreeMap<u32, String>| {
        names.iter().find(|(_, name)| *name == wanted).map(|(number, _)| *number)
    };
    let number = |wanted: &str, names| wanted.parse().ok().or_else(|| named(wanted, names));
    let mut numbers = BTreeMap::new();
    if by_name {
        let there: BTreeMap<&str, u32> =
            there.iter().map(|(number, name)| (name.as_str(), *number)).collect();
        let same = |(number, name): (&u32, &String)| Some((*number, *there.get(name.as_str())?));
        numbers.extend(here.iter().filter_map(same));
    }
    for (from, to) in mapped {
        if let (Some(from), Some(to)) = (number(from, here), number(to, there)) {
            numbers.insert(from, to);
        }
    }
    numbers.retain(|from, to| from != to);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_goes_before_a_name_and_a_name_before_a_number() {
        let names = |pairs: &[(u32, &str)]| Names {
            users: pairs.iter().map(|(number, name)| (*number, (*name).to_owned())).collect(),
            groups: BTreeMap::new(),
        };
        let here = names(&[(1, "ann"), (2, "bob"), (3, "eve")]);
        let there = names(&[(11, "ann"), (12, "bob"), (13, "www")]);
        let check = |by_name, users: &[(&str, &str)], expected: [u32; 4]| {
            let users = users.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
            let owners = Owners { by_name, users, groups: BTreeMap::new() };
            let map = OwnerMap::new(&owners, &here, &there);
            let mapped = [1, 2, 3, 4].map(|uid| map.apply(Owner { uid, gid: uid }));
            assert_eq!(mapped.map(|owner| owner.uid), expected);
            assert_eq!(mapped.map(|owner| owner.gid), [1, 2, 3, 4]);
        };
        check(false, &[], [1, 2, 3, 4]);
        check(true, &[], [11, 12, 3, 4]);
        check(true, &[("ann", "www"), ("4", "0")], [13, 12, 3, 0]);
        check(false, &[("2", "bob"), ("eve", "nobody there")], [1, 12, 3, 4]);
    }
}
