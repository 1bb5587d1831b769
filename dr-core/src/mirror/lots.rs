//! Cutting work into lots: enough in each that no round trip is felt, and little enough that several ways are busy to the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::entry::RelPath;
use super::lot::{Basis, Lot, LotFile, Part};

/// How large lots are.
///
/// ```
/// use dr_core::mirror::LotLimits;
/// assert!(LotLimits::default().range_bytes.is_none(), "huge files are cut only where the ends can put them together");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotLimits {
    /// At most so many files.
    pub files: usize,
    /// So many bytes, if it is more than one file.
    pub bytes: u64,
    /// Files of at least twice this size go in ranges of this size; none: in one piece.
    pub range_bytes: Option<u64>,
}

impl Default for LotLimits {
    fn default() -> Self {
        Self { files: 512, bytes: 4 << 20, range_bytes: None }
    }
}

/// All work, in lots.
///
/// ```
/// use dr_core::mirror::Lots;
/// assert!(Lots::default().first.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots {
    /// What the target makes from files of its own: to be finished before anything else lands, because that may replace them.
    pub first: Vec<Lot>,
    /// What travels. Big and small take turns, so that disk and line are both busy.
    pub then: Vec<Lot>,
    /// Huge files whose ranges are in `then`. Each is landed ([`Part::Land`]) once all its ranges are staged.
    pub landings: Vec<LotFile>,
    /// What the target makes from files that land with those above: to be begun when all of them are over.
    pub last: Vec<Lot>,
}

/// Cuts work into lots. Small files stay in the order they come in, which should be that of the tree.
///
/// ```
/// use dr_core::mirror::{Basis, Change, Entry, Kind, LotFile, LotLimits, Part, RelPath, lots};
/// let file = |name: &str, size_bytes| {
///     let kind = Kind::File { size_bytes, digest: None };
///     let to = Some(Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None });
///     let change = Change { path: RelPath::new(name.as_bytes()).unwrap(), from: None, to };
///     LotFile { change, basis: Basis::Nothing, part: Part::Whole }
/// };
/// let limits = LotLimits { range_bytes: Some(64 << 20), ..LotLimits::default() };
/// let cut = lots(vec![file("a", 10), file("b", 200 << 20), file("c", 10)], &limits);
/// assert_eq!((cut.then.len(), cut.landings.len()), (5, 1), "a and c together, and four ranges of b");
/// ```
#[must_use]
pub fn lots(files: impl IntoIterator<Item = LotFile>, limits: &LotLimits) -> Lots {
    let (mut own, mut big, mut small) = (vec![], vec![], Batches::new(*limits));
    let mut twins = Batches::new(LotLimits { bytes: u64::MAX, ..*limits });
    // There may be a million: each goes to its place at once.
    for file in files {
        match &file.basis {
            Basis::Same { .. } => own.push(file),
            Basis::Twin { .. } => twins.push(file),
            _ if size_of(&file) > limits.bytes => big.push(file),
            _ => small.push(file),
        }
    }
    // The longest first: the end is then made of short ones, whichever way takes them.
    big.sort_by_key(|file| std::cmp::Reverse(size_of(file)));
    let (mut singles, mut landings) = (vec![], vec![]);
    for file in big {
        match limits.range_bytes.map(|bytes| bytes.max(1 << 20)) {
            Some(bytes) if size_of(&file) >= 2 * bytes => {
                singles.extend(ranges(&file, bytes).map(|file| Lot { files: vec![file] }));
                landings.push(LotFile { part: Part::Land, ..file });
            }
            _ => singles.push(Lot { files: vec![file] }),
        }
    }
    let (first, then) = (own_lots(own, limits), take_turns(singles, small.finish()));
    Lots { first, then, landings, last: twins.finish() }
}

fn size_of(file: &LotFile) -> u64 {
    file.change.to.as_ref().map_or(0, |to| to.size_bytes())
}

fn ranges(file: &LotFile, bytes: u64) -> impl Iterator<Item = LotFile> {
    let size = size_of(file);
    (0..size.div_ceil(bytes)).map(move |number| {
        let offset = number * bytes;
        LotFile { part: Part::Range { offset, bytes: bytes.min(size - offset) }, ..file.clone() }
    })
}

/// Lots of files in the order they come in.
struct Batches {
    limits: LotLimits,
    all: Vec<Lot>,
    lot: Lot,
    bytes: u64,
}

impl Batches {
    fn new(limits: LotLimits) -> Self {
        Self { limits, all: vec![], lot: Lot::default(), bytes: 0 }
    }

    fn push(&mut self, file: LotFile) {
        let (more, LotLimits { files, bytes, .. }) = (size_of(&file), self.limits);
        if !self.lot.files.is_empty() && (self.lot.files.len() >= files || self.bytes + more > bytes) {
            self.close();
        }
        self.bytes += more;
        self.lot.files.push(file);
    }

    fn close(&mut self) {
        self.lot.files.shrink_to_fit();
        self.all.push(std::mem::take(&mut self.lot));
        self.bytes = 0;
    }

    fn finish(mut self) -> Vec<Lot> {
        if !self.lot.files.is_empty() {
            self.close();
        }
        self.all
    }
}

/// Spreads the fewer evenly between the more, beginning with a big one.
fn take_turns(big: Vec<Lot>, small: Vec<Lot>) -> Vec<Lot> {
    let (bigs, smalls) = (big.len(), small.len());
    let mut all = Vec::with_capacity(bigs + smalls);
    let (mut big, mut small) =
        (big.into_iter().enumerate().peekable(), small.into_iter().enumerate().peekable());
    loop {
        let next = match (big.peek(), small.peek()) {
            (Some((one, _)), Some((other, _))) if one * smalls <= other * bigs => big.next(),
            (Some(_), None) => big.next(),
            _ => small.next(),
        };
        let Some((_, lot)) = next else { return all };
        all.push(lot);
    }
}

/// What is made from files of the target. A file that another one is made from must not be replaced before: such chains (log
/// rotation) stay together in one lot, in the order that works.
fn own_lots(files: Vec<LotFile>, limits: &LotLimits) -> Vec<Lot> {
    let replaced: BTreeSet<RelPath> = files.iter().map(|file| file.change.path.clone()).collect();
    let bases: BTreeSet<RelPath> = files.iter().filter_map(basis_of).cloned().collect();
    let (chained, free): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
        bases.contains(&file.change.path) || basis_of(file).is_some_and(|path| replaced.contains(path))
    });
    let mut lots = Batches::new(LotLimits { bytes: u64::MAX, ..*limits });
    free.into_iter().for_each(|file| lots.push(file));
    let mut lots = lots.finish();
    if !chained.is_empty() {
        lots.push(Lot { files: in_order(chained) });
    }
    lots
}

fn basis_of(file: &LotFile) -> Option<&RelPath> {
    if let Basis::Same { path, .. } = &file.basis { Some(path) } else { None }
}

/// Each file before the one that replaces what it is made from. Where they go in a circle, somebody has to begin: the target sees
/// that the basis is not what it was.
fn in_order(files: Vec<LotFile>) -> Vec<LotFile> {
    let mut users: BTreeMap<RelPath, usize> = BTreeMap::new();
    for path in files.iter().filter_map(basis_of) {
        *users.entry(path.clone()).or_default() += 1;
    }
    let mut waiting: BTreeMap<RelPath, LotFile> =
        files.into_iter().map(|file| (file.change.path.clone(), file)).collect();
    let is_free =
        |users: &BTreeMap<RelPath, usize>, path: &RelPath| users.get(path).is_none_or(|left| *left == 0);
    let mut ready: VecDeque<RelPath> = waiting.keys().filter(|path| is_free(&users, path)).cloned().collect();
    let mut ordered = vec![];
    while let Some(path) = ready.pop_front().or_else(|| waiting.keys().next().cloned()) {
        let Some(file) = waiting.remove(&path) else { continue };
        if let Some(basis) = basis_of(&file) {
            if let Some(left) = users.get_mut(basis) {
                *left -= 1;
            }
            if is_free(&users, basis) {
                ready.push_back(basis.clone());
            }
        }
        ordered.push(file);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::mirror::{Change, Entry, Kind};
    use proptest::prelude::*;

    fn file(path: &str, size_bytes: u64, basis: Basis) -> LotFile {
        let kind = Kind::File { size_bytes, digest: None };
        let to = Some(Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None });
        let change = Change { path: RelPath::new(path.as_bytes()).unwrap(), from: None, to };
        LotFile { change, basis, part: Part::Whole }
    }

    fn same(path: &str) -> Basis {
        let path = RelPath::new(path.as_bytes()).unwrap();
        Basis::Same { path, digest: Digest::of(b""), leaves: false }
    }

    fn names(lot: &Lot) -> Vec<String> {
        lot.files.iter().map(|file| file.change.path.to_string()).collect()
    }

    #[test]
    fn rotated_logs_are_taken_from_the_end() {
        let rotated = vec![
            file("log.1", 1, same("log")),
            file("log.2", 1, same("log.1")),
            file("log.3", 1, same("log.2")),
            file("elsewhere", 1, same("old")),
        ];
        let cut = lots(rotated, &LotLimits::default());
        assert_eq!(
            cut.first.iter().map(names).collect::<Vec<_>>(),
            [vec!["elsewhere"], vec!["log.3", "log.2", "log.1"]]
        );
        let swapped = lots(vec![file("a", 1, same("b")), file("b", 1, same("a"))], &LotLimits::default());
        assert_eq!(swapped.first[0].files.len(), 2, "a circle comes to an end");
    }

    #[test]
    fn big_ones_are_spread_between_the_small() {
        let mut files: Vec<_> =
            (0..8).map(|number| file(&format!("s{number}"), 10, Basis::Nothing)).collect();
        files.insert(5, file("big", 50, Basis::Nothing));
        files.push(file("bigger", 60, Basis::Nothing));
        let cut = lots(files, &LotLimits { files: 2, bytes: 40, range_bytes: None });
        let all: Vec<_> = cut.then.iter().map(|lot| names(lot).join(" ")).collect();
        assert_eq!(all, ["bigger", "s0 s1", "s2 s3", "big", "s4 s5", "s6 s7"]);
    }

    proptest! {
        #[test]
        fn every_byte_of_every_file_is_in_one_lot(
            sizes in prop::collection::vec((0_u64..20 << 20, 0_u8..6), 0..60),
            limit in 1_u64..8 << 20,
            count in 1_usize..20,
            range in prop::option::of(0_u64..4 << 20),
        ) {
            let files: Vec<_> = sizes.iter().zip(0..).map(|((size, what), number)| {
                let basis = match *what {
                    0 => same(&format!("{}", number * 7 % 60)),
                    1 => Basis::Twin { path: RelPath::new(b"0").unwrap(), digest: Digest::of(b"") },
                    _ => Basis::Nothing,
                };
                file(&format!("{number}"), *size, basis)
            }).collect();
            let limits = LotLimits { files: count, bytes: limit, range_bytes: range };
            let cut = lots(files.clone(), &limits);
            let mut seen: BTreeMap<RelPath, u64> = BTreeMap::new();
            for lot in cut.first.iter().chain(&cut.then).chain(&cut.last) {
                prop_assert!(!lot.files.is_empty());
                for file in &lot.files {
                    let so_far = seen.entry(file.change.path.clone()).or_default();
                    *so_far += match file.part {
                        Part::Whole => size_of(file) + 1,
                        Part::Range { offset, bytes } => {
                            prop_assert_eq!(offset, *so_far);
                            prop_assert!(cut.landings.iter().any(|landing| landing.change == file.change));
                            bytes
                        }
                        Part::Land => unreachable!(),
                    };
                }
            }
            for lot in &cut.then {
                prop_assert!(lot.files.len() <= count);
                let bytes: u64 = lot.files.iter().map(size_of).sum();
                prop_assert!(lot.files.len() == 1 || bytes <= limit);
            }
            let mut last = cut.last.iter().flat_map(|lot| &lot.files);
            let are_twins = last.all(|file| matches!(file.basis, Basis::Twin { .. }));
            prop_assert!(are_twins);
            prop_assert_eq!(seen.len(), files.len());
            for file in &files {
                let is_cut = cut.landings.iter().any(|landing| landing.change == file.change);
                prop_assert_eq!(seen[&file.change.path], size_of(file) + u64::from(!is_cut));
            }
        }
    }
}
