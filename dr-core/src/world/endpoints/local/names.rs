//! What this machine calls its users and groups.

use std::collections::BTreeMap;

use crate::mirror::{Names, Owners};

/// The files that name them (passwd(5), group(5)). Who is known by a directory service only goes by number.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// The names, if owners do not simply go by number.
pub(super) fn names(owners: &Owners) -> Names {
    if *owners == Owners::default() {
        return Names::default();
    }
    Names { users: read(USERS), groups: read(GROUPS) }
}

fn read(file: &str) -> BTreeMap<u32, String> {
    let text = std::fs::read(file).unwrap_or_default();
    let mut names = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        if let Ok(number) = number.parse() {
            // Of several names of one number the first one counts, as everywhere.
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_knows_root() {
        let owners = Owners { by_name: true, ..Owners::default() };
        let known = names(&owners);
        assert_eq!((known.users[&0].as_str(), known.groups[&0].as_str()), ("root", "root"));
        assert_eq!(names(&Owners::default()), Names::default());
    }
}
