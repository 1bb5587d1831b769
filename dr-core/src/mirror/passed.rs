//! Pieces on their way from one end to the other, as whoever hands them on sees them.

use super::change::Change;
use super::entry::{Carries, Entry, RelPath};
use super::lot::{Lot, LotFile, Piece};

/// What was in a batch of pieces on its way from a source to a target.
///
/// ```
/// use dr_core::mirror::{Lot, Passed, Piece};
/// let mut batch = vec![Piece::Data { file: 0, offset: 0, bytes: "<p>".into() }];
/// # let carries = dr_core::mirror::Carries { nanoseconds: true, owners: true, any_name: true, hard_links: true, xattrs: true, special: true };
/// let passed = Passed::look(&mut batch, &Lot { files: vec![] }, carries);
/// assert_eq!((passed.sent_bytes, passed.lands), (3, false));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Content that left the source.
    pub sent_bytes: u64,
    /// Content that the target has already.
    pub copied_bytes: u64,
    /// Whether a file lands with it.
    pub lands: bool,
    /// Files that were newer than planned when they were read: as they were read.
    pub newer: Vec<(RelPath, Entry)>,
}

impl Passed {
    /// Looks at pieces of a lot, and makes them as they are to arrive: as far as the target can carry what was read, and belonging to
    /// whom it was planned.
    #[must_use]
    pub fn look(batch: &mut [Piece], lot: &Lot, carries: Carries) -> Self {
        let mut passed = Self::default();
        for piece in batch {
            match piece {
                Piece::Data { bytes, .. } => passed.sent_bytes += bytes.len() as u64,
                Piece::Copy { bytes, .. } => passed.copied_bytes = passed.copied_bytes.saturating_add(*bytes),
                Piece::End { file, entry, .. } => {
                    passed.lands = true;
                    let Some(LotFile { change, .. }) = lot.files.get(*file as usize) else { continue };
                    let carried = entry.as_carried(carries);
                    let owner = change.to.as_ref().and_then(|planned| planned.owner);
                    let read = std::mem::replace(entry, Entry { owner, ..carried });
                    if !is_as_planned(change, entry) {
                        passed.newer.push((change.path.clone(), read));
                    }
                }
                Piece::Kept { .. } => {}
            }
        }
        passed
    }
}

fn is_as_planned(change: &Change, read: &Entry) -> bool {
    change.to.as_ref().is_some_and(|planned| {
        (planned.size_bytes(), planned.mtime_s) == (read.size_bytes(), read.mtime_s)
            && (planned.mtime_ns == read.mtime_ns || planned.mtime_ns == 0)
    })
}
