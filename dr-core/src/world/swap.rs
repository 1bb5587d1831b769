//! The change of a small file, as a compare-and-set.

/// What a small file must hold, and what it shall hold; none where there is, or shall be, no file.
///
/// ```
/// let made = dr_core::world::Swap::new(None, Some(b"a line\n"), 0o600);
/// assert!(made.from.is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap<'a> {
    /// What it must hold.
    pub from: Option<&'a [u8]>,
    /// What it shall hold.
    pub to: Option<&'a [u8]>,
    /// The permission bits that it gets.
    pub mode: u32,
}

impl<'a> Swap<'a> {
    /// From one content to another.
    #[must_use]
    pub fn new(from: Option<&'a [u8]>, to: Option<&'a [u8]>, mode: u32) -> Self {
        Self { from, to, mode }
    }
}
