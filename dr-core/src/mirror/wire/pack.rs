//! Many items in frames of a good size.

use bytes::Bytes;

use super::coding::{Coded, Malformed, Reader, Writer, malformed};

/// So long is a pack when it is full: large enough to cost little each, small enough to share a line.
pub const PACK_BYTES: usize = 256 * 1024;

/// A pack is full too when its paths, written out, are so long together.
const TOLD_BYTES: usize = 8 << 20;

/// What travels in packs; the number says what a pack holds.
pub trait Item: Coded {
    /// The number: every kind has its own.
    const KIND: u8;
}

/// Items on their way into a frame.
///
/// ```
/// use dr_core::mirror::RelPath;
/// use dr_core::mirror::wire::{Pack, unpack};
/// let path = RelPath::new(b"index.html").unwrap();
/// let mut pack = Pack::new();
/// assert!(!pack.push(&path), "there is room for more");
/// assert_eq!(unpack::<RelPath>(pack.take().unwrap()).unwrap(), [path]);
/// ```
pub struct Pack<T> {
    writer: Writer,
    item: std::marker::PhantomData<fn(T)>,
}

impl<T: Item> Default for Pack<T> {
    fn default() -> Self {
        Self { writer: Writer::new(), item: std::marker::PhantomData }
    }
}

impl<T: Item> Pack<T> {
    /// Nothing in it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an item; true says that the pack is full and to be sent.
    pub fn push(&mut self, item: &T) -> bool {
        self.push_with(|to| item.put(to))
    }

    pub(super) fn push_with(&mut self, put: impl FnOnce(&mut Writer)) -> bool {
        if self.writer.is_empty() {
            self.writer.byte(T::KIND);
        }
        put(&mut self.writer);
        self.writer.len() >= PACK_BYTES || self.writer.told_bytes >= TOLD_BYTES
    }

    /// What is in it, ready to be sent; none if nothing is. It is empty afterwards.
    pub fn take(&mut self) -> Option<Bytes> {
        let full = std::mem::take(&mut self.writer);
        (!full.is_empty()).then(|| full.into_bytes())
    }
}

/// What a pack holds, by [`Item::KIND`].
///
/// ```
/// use dr_core::mirror::{RelPath, wire::{Item, Pack, kind_of_pack}};
/// let mut pack = Pack::new();
/// pack.push(&RelPath::root());
/// assert_eq!(kind_of_pack(&pack.take().unwrap()), Some(RelPath::KIND));
/// ```
#[must_use]
pub fn kind_of_pack(pack: &Bytes) -> Option<u8> {
    pack.first().copied()
}

/// The items of a pack.
///
/// ```
/// use dr_core::mirror::{RelPath, wire::unpack};
/// assert!(unpack::<RelPath>(b"garbage".as_slice().into()).is_err());
/// ```
pub fn unpack<T: Item>(pack: Bytes) -> Result<Vec<T>, Malformed> {
    let mut from = Reader::new(pack);
    if from.byte()? != T::KIND {
        return malformed("something else was to come");
    }
    let mut items = vec![];
    while !from.is_empty() {
        items.push(T::take(&mut from)?);
    }
    Ok(items)
}
