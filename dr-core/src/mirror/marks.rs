//! A few marked paths beside a walk through a tree.

use std::iter::Peekable;

use super::entries::{is_below, tree_order};
use super::entry::RelPath;

/// Marked paths, in order, that a walk in the same order passes by.
pub(super) struct Marks<'a, I: Iterator<Item = &'a RelPath>> {
    ahead: Peekable<I>,
    /// The outermost marked path that the walk may be in.
    around: Option<&'a RelPath>,
}

/// Where the walk is among the marked paths.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// At a marked path itself.
    pub(super) is_at: bool,
    /// Inside one.
    pub(super) is_below: bool,
}

impl Mark {
    /// Whether a mark that hides what is there hides this path. A directory that is listed is seen itself, if not what is in it.
    pub(super) fn is_unknown(self, is_listed_directory: bool) -> bool {
        self.is_below || (self.is_at && !is_listed_directory)
    }
}

impl<'a, I: Iterator<Item = &'a RelPath>> Marks<'a, I> {
    pub(super) fn new(marked: impl IntoIterator<IntoIter = I>) -> Self {
        Self { ahead: marked.into_iter().peekable(), around: None }
    }

    /// Goes on to `path`, which is never before the last one.
    pub(super) fn seek(&mut self, path: &[u8]) -> Mark {
        let mut is_at = false;
        while let Some(marked) = self.ahead.next_if(|marked| tree_order(marked.as_bytes(), path).is_le()) {
            is_at = marked.as_bytes() == path;
            if !self.around.is_some_and(|around| marked.is_below(around)) {
                self.around = Some(marked);
            }
        }
        let is_below = self.around.is_some_and(|around| is_below(path, around.as_bytes()));
        Mark { is_at, is_below }
    }
}
