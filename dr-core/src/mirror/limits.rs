//! Files that are too small, too large, too young or too old to be mirrored.

use std::collections::HashSet;

use super::change::Options;
use super::entries::Row;
use super::entry::{Kind, RelPath};
use super::snapshot::Snapshot;
use crate::time::Timestamp;

/// Takes out of both trees, before they are compared, the files of the source that are outside the limits of size and age: they are
/// neither sent, nor is anything done to what the target has in their place. A file with several names has one size and age.
///
/// ```
/// use dr_core::mirror::{Entry, Kind, Options, RelPath, Snapshot, leave_out};
/// let film = Entry { kind: Kind::File { size_bytes: 1 << 30, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let mut source = Snapshot { entries: [(RelPath::new(b"film").unwrap(), film)].into(), ..Snapshot::default() };
/// let options = Options { max_size_bytes: Some(1 << 20), ..Options::default() };
/// leave_out(&mut source, &mut Snapshot::default(), &options, Default::default());
/// assert!(source.entries.is_empty());
/// ```
pub fn leave_out(source: &mut Snapshot, target: &mut Snapshot, options: &Options, now: Timestamp) {
    let limits = Limits { options, now_s: now.as_micros().div_euclid(1_000_000) };
    if !limits.are_there() {
        return;
    }
    let mut out: HashSet<RelPath> =
        source.entries.rows().filter(|row| limits.leave_out(row)).map(|row| row.path()).collect();
    let follows = |row: &Row<'_>| match row.entry().kind {
        Kind::HardLink { first } => out.contains(&first),
        _ => false,
    };
    let links: Vec<RelPath> = source.entries.rows().filter(follows).map(|row| row.path()).collect();
    out.extend(links);
    if out.is_empty() {
        return;
    }
    source.entries.retain(|row| !out.contains(&row.path()));
    let is_out = |path: &RelPath| {
        std::iter::successors(Some(path.clone()), RelPath::parent).any(|above| out.contains(&above))
    };
    target.entries.retain(|row| !is_out(&row.path()));
}

struct Limits<'a> {
    options: &'a Options,
    now_s: i64,
}

impl Limits<'_> {
    fn are_there(&self) -> bool {
        let Options { min_size_bytes, max_size_bytes, min_age_s, max_age_s, .. } = self.options;
        [min_size_bytes, max_size_bytes, min_age_s, max_age_s].into_iter().any(Option::is_some)
    }

    fn leave_out(&self, row: &Row<'_>) -> bool {
        let (size, age) = (row.size_bytes(), self.now_s.saturating_sub(row.mtime().0));
        let Options { min_size_bytes, max_size_bytes, min_age_s, max_age_s, .. } = *self.options;
        let seconds = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
        row.is_file()
            && (min_size_bytes.is_some_and(|least| size < least)
                || max_size_bytes.is_some_and(|most| size > most)
                || min_age_s.is_some_and(|least| age < seconds(least))
                || max_age_s.is_some_and(|most| age > seconds(most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{Carries, Entry, diff};

    #[test]
    fn what_is_outside_the_limits_is_left_as_it_is() {
        let entry =
            |kind, mtime_s| Entry { kind, mode: 0o644, mtime_s, mtime_ns: 0, owner: None, xattrs: None };
        let file = |size_bytes, mtime_s| entry(Kind::File { size_bytes, digest: None }, mtime_s);
        let path = |text: &str| {
            if text.is_empty() { RelPath::root() } else { RelPath::new(text.as_bytes()).unwrap() }
        };
        let tree = |entries: &[(&str, Entry)]| Snapshot {
            entries: entries.iter().map(|(at, entry)| (path(at), entry.clone())).collect(),
            ..Snapshot::default()
        };
        let link = entry(Kind::HardLink { first: path("large") }, 100);
        let source = [
            ("", entry(Kind::Directory, 0)),
            ("large", file(10, 100)),
            ("link", link),
            ("page", file(5, 100)),
            ("young", file(5, 990)),
        ];
        let target = [
            ("", entry(Kind::Directory, 0)),
            ("large", entry(Kind::Directory, 0)),
            ("large/stays", file(1, 1)),
            ("old", file(99, 1)),
        ];
        let check = |options: Options, expected: &[&str]| {
            let (mut source, mut target) = (tree(&source), tree(&target));
            leave_out(&mut source, &mut target, &options, Timestamp::from_micros(1_000_000_000));
            let all = Carries {
                nanoseconds: true,
                owners: true,
                any_name: true,
                hard_links: true,
                xattrs: true,
                special: true,
            };
            let difference = diff(&source, &target, &options, all);
            let mut said: Vec<String> =
                difference.changes.iter().map(|change| change.path.to_string()).collect();
            said.sort();
            assert_eq!(said, expected);
        };
        check(Options { max_size_bytes: Some(9), ..Options::default() }, &[".", "old", "page", "young"]);
        check(
            Options { min_age_s: Some(20), ..Options::default() },
            &[".", "large", "large/stays", "link", "old", "page"],
        );
        check(
            Options { min_size_bytes: Some(6), max_age_s: Some(950), ..Options::default() },
            &[".", "large", "large/stays", "link", "old"],
        );
    }
}
