//! Names that are one name where upper and lower case are not told apart.

use std::collections::{BTreeMap, HashMap, HashSet};

use twox_hash::XxHash3_64;

use super::diff::{Difference, Held};
use super::entries::Entries;
use super::entry::RelPath;

/// Paths of which such a target cannot have all, each list in the order of the tree: of the source, and of what would be removed
/// from the target while another of them comes.
///
/// ```
/// use dr_core::mirror::{Change, Difference, Entries, Entry, Kind, RelPath, alike_but_for_case};
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 7, mtime_ns: 0, owner: None, xattrs: None };
/// let path = |name: &[u8]| RelPath::new(name).unwrap();
/// let source = Entries::from([(path(b"Readme"), page.clone()), (path(b"readme"), page.clone())]);
/// let new = Change { path: path(b"readme"), from: None, to: Some(page) };
/// let difference = Difference { changes: vec![new], ..Difference::default() };
/// assert_eq!(alike_but_for_case(&source, &difference), [vec![path(b"Readme"), path(b"readme")]]);
/// ```
#[must_use]
pub fn alike_but_for_case(source: &Entries, difference: &Difference) -> Vec<Vec<RelPath>> {
    let is_new = |change: &&super::Change| change.from.is_none() && change.to.is_some();
    if !difference.changes.iter().any(|change| is_new(&change)) {
        return vec![];
    }
    // A number for each name: of most trees no two are the same.
    let (mut seen, mut twice, mut folded) = (HashSet::new(), HashSet::new(), vec![]);
    let mut note = |path: &[u8]| {
        fold(path, &mut folded);
        let number = XxHash3_64::oneshot(&folded);
        if !seen.insert(number) {
            twice.insert(number);
        }
    };
    source.rows().for_each(|row| note(row.path_bytes()));
    let removed =
        || difference.changes.iter().filter(|change| change.to.is_none()).map(|change| &change.path);
    removed().for_each(|path| note(path.as_bytes()));
    if twice.is_empty() {
        return vec![];
    }
    let mut alike: BTreeMap<Vec<u8>, Vec<RelPath>> = BTreeMap::new();
    let mut gather = |path: RelPath| {
        fold(path.as_bytes(), &mut folded);
        if twice.contains(&XxHash3_64::oneshot(&folded)) {
            alike.entry(folded.clone()).or_default().push(path);
        }
    };
    source.rows().for_each(|row| gather(row.path()));
    removed().cloned().for_each(gather);
    alike.into_values().filter(|paths| paths.len() > 1).collect()
}

fn fold(path: &[u8], to: &mut Vec<u8>) {
    to.clear();
    to.extend(path.iter().map(u8::to_ascii_lowercase));
}

/// For a target that does not tell upper from lower case: of each list only the path stays in the difference that the target has, or
/// else the first. The others are held, with everything below them and whatever would be removed there.
///
/// ```
/// use dr_core::mirror::{Change, Difference, Entries, Entry, Kind, RelPath, hold_folded};
/// let path = |name: &[u8]| RelPath::new(name).unwrap();
/// let entry = Entry { kind: Kind::Fifo, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let change = |name| Change { path: path(name), from: None, to: Some(entry.clone()) };
/// let mut difference = Difference { changes: vec![change(b"A"), change(b"a"), change(b"a/b")], ..Difference::default() };
/// hold_folded(&[vec![path(b"A"), path(b"a")]], &Entries::default(), &mut difference);
/// assert_eq!((difference.changes.len(), difference.held[0].path.clone()), (1, path(b"a")));
/// ```
pub fn hold_folded(alike: &[Vec<RelPath>], target: &Entries, difference: &mut Difference) {
    let mut held: HashMap<RelPath, &RelPath> = HashMap::new();
    for paths in alike {
        let Some(first) = paths.first() else { continue };
        let stays = paths.iter().find(|path| target.row(path).is_some()).unwrap_or(first);
        held.extend(paths.iter().filter(|path| *path != stays).map(|path| (path.clone(), stays)));
        if difference.changes.iter().any(|change| change.to.is_none() && change.path == *stays) {
            // The other name of it is on the source: to remove this one is to remove both.
            held.insert(stays.clone(), stays);
        }
    }
    let is_held = |path: &RelPath| {
        std::iter::successors(Some(path.clone()), RelPath::parent).any(|above| held.contains_key(&above))
    };
    let summary = &mut difference.summary;
    difference.changes.retain(|change| {
        let stays = !is_held(&change.path);
        if !stays && change.from.is_none() {
            summary.created = summary.created.saturating_sub(1);
        }
        if !stays && change.to.is_none() {
            summary.deleted = summary.deleted.saturating_sub(1);
        }
        stays
    });
    let mut told: Vec<Held> = held
        .iter()
        .filter(|(path, stays)| path != *stays)
        .map(|(path, stays)| {
            let why = format!("the target does not tell upper from lower case, and has {stays}");
            Held { path: path.clone(), why: why.into() }
        })
        .collect();
    told.sort_by(|one, other| one.path.cmp(&other.path));
    difference.held.extend(told);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{Change, Entry, Kind};

    fn path(name: &str) -> RelPath {
        RelPath::new(name.as_bytes()).unwrap()
    }

    fn entry() -> Entry {
        let kind = Kind::File { size_bytes: 1, digest: None };
        Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None }
    }

    /// Which paths change, and which are held, where the source has and the target had these.
    fn check(source: &[&str], target: &[&str], changes: &str, held: &str) {
        let tree = |names: &[&str]| names.iter().map(|name| (path(name), entry())).collect::<Entries>();
        let all: std::collections::BTreeSet<&str> = source.iter().chain(target).copied().collect();
        let side = |names: &[&str], name: &str| names.contains(&name).then(entry);
        let change =
            |name: &str| Change { path: path(name), from: side(target, name), to: side(source, name) };
        let changed = all.into_iter().map(change).filter(|change| change.from != change.to);
        let mut difference = Difference { changes: changed.collect(), ..Difference::default() };
        let alike = alike_but_for_case(&tree(source), &difference);
        hold_folded(&alike, &tree(target), &mut difference);
        let told = |paths: Vec<&RelPath>| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            told(difference.changes.iter().map(|change| &change.path).collect()),
            changes,
            "{source:?}"
        );
        assert_eq!(told(difference.held.iter().map(|held| &held.path).collect()), held, "{source:?}");
    }

    #[test]
    fn one_of_each_name_lands_and_the_others_are_held() {
        check(&["a", "b"], &[], "a b", "");
        check(&["A", "a", "b"], &[], "A b", "a");
        check(&["A", "a", "b"], &["a"], "b", "A");
        check(&["D/x", "d/x", "d/y"], &[], "D/x d/y", "d/x");
        check(&["D", "D/x", "d", "d/x", "d/y"], &[], "D D/x", "d d/x");
    }

    #[test]
    fn what_is_renamed_in_case_only_is_left_as_it_is() {
        check(&["new", "readme"], &["README"], "new", "readme");
        check(&["A", "a"], &["A", "a"], "", "");
    }
}
