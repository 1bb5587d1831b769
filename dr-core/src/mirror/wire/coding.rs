//! Numbers, bytes and lists as they stand in a frame.

use bytes::Bytes;

use crate::digest::Digest;
use crate::mirror::varint;
use crate::mirror::{Owner, RelPath, Xattrs};

/// Paths are told by the one before, so that few bytes can stand for many: this is the most that a frame's may be, written out.
const TOLD_BYTES_MAX: usize = 16 << 20;

/// What came is not what dr says.
///
/// ```
/// use dr_core::mirror::wire::{Coded, Reader};
/// let malformed = u64::take(&mut Reader::new(vec![].into())).unwrap_err();
/// assert_eq!(malformed.to_string(), "it ends in the middle of a value");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub(super) String);

impl Malformed {
    /// Why, in words.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

fn ends_early<T>() -> Result<T, Malformed> {
    malformed("it ends in the middle of a value")
}

pub(super) fn malformed<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(why.into()))
}

/// A value that travels.
///
/// ```
/// use dr_core::mirror::wire::{Coded, Reader, Writer};
/// let mut to = Writer::new();
/// 300_u64.put(&mut to);
/// assert_eq!(to.len(), 2);
/// assert_eq!(u64::take(&mut Reader::new(to.into_bytes())).unwrap(), 300);
/// ```
pub trait Coded: Sized {
    /// Adds it to a frame.
    fn put(&self, to: &mut Writer);
    /// Takes it from a frame. Never panics, and never allocates more than what is left of the frame justifies.
    fn take(from: &mut Reader) -> Result<Self, Malformed>;
}

/// What the next path and entry are told by: most are like the one before.
#[derive(Clone, Default)]
pub(super) struct Before {
    pub(super) path: Vec<u8>,
    pub(super) mtime_s: i64,
    pub(super) mode: u32,
    pub(super) owner: Option<Owner>,
    pub(super) xattrs: Option<Xattrs>,
}

/// A frame's content while it is written.
///
/// ```
/// assert!(dr_core::mirror::wire::Writer::new().is_empty());
/// ```
#[derive(Default)]
pub struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) before: Before,
    /// The length of all paths, written out.
    pub(super) told_bytes: usize,
}

impl Writer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u64) {
        varint::put(&mut self.bytes, number);
    }

    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Only what is different from the path before.
    pub(super) fn path(&mut self, path: &[u8]) {
        let alike = path.iter().zip(&self.before.path).take_while(|(one, other)| one == other).count();
        self.number(alike as u64);
        self.string(&path[alike..]);
        self.before.path.truncate(alike);
        self.before.path.extend_from_slice(&path[alike..]);
        self.told_bytes += path.len();
    }
}

/// A frame's content while it is read.
///
/// ```
/// assert!(dr_core::mirror::wire::Reader::new(vec![].into()).is_empty());
/// ```
pub struct Reader {
    bytes: Bytes,
    /// So much of it was read.
    at: usize,
    pub(super) before: Before,
    told_bytes: usize,
}

impl Reader {
    /// Reads from the beginning.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, before: Before::default(), told_bytes: 0 }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An error unless everything was read.
    pub fn done(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { malformed("there is more than was to come") }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let Some(byte) = self.bytes.get(self.at) else { return ends_early() };
        self.at += 1;
        Ok(*byte)
    }

    pub(super) fn exactly(&mut self, count: usize) -> Result<Bytes, Malformed> {
        let start = self.at;
        self.raw(count)?;
        Ok(self.bytes.slice(start..self.at))
    }

    /// As [`Self::exactly`], for what is copied anyway.
    pub(super) fn raw(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let start = self.at;
        if count > self.bytes.len() - start {
            return ends_early();
        }
        self.at += count;
        Ok(&self.bytes[start..self.at])
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        match varint::take(|| self.byte())? {
            Some(number) => Ok(number),
            None => malformed("a number has more than 64 bits"),
        }
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).or_else(|_| malformed("a number has more than 32 bits"))
    }

    pub(super) fn string(&mut self) -> Result<Bytes, Malformed> {
        let length = self.number()?;
        self.exactly(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.string()?.to_vec()).or_else(|_| malformed("a text is not UTF-8"))
    }

    /// A path that stays below its root.
    pub(super) fn path(&mut self) -> Result<RelPath, Malformed> {
        let alike = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if alike > self.before.path.len() {
            return malformed("a path goes on where none was");
        }
        self.before.path.truncate(alike);
        let start = self.at;
        self.raw(length)?;
        self.before.path.extend_from_slice(&self.bytes[start..self.at]);
        self.told_bytes += self.before.path.len();
        if self.told_bytes > TOLD_BYTES_MAX {
            return malformed("its paths are too long together");
        }
        if self.before.path.is_empty() {
            return Ok(RelPath::root());
        }
        RelPath::new(&self.before.path).map_err(Malformed)
    }
}

impl Coded for u64 {
    fn put(&self, to: &mut Writer) {
        to.number(*self);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        from.number()
    }
}

impl Coded for u32 {
    fn put(&self, to: &mut Writer) {
        to.number(u64::from(*self));
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        from.small()
    }
}

impl Coded for i64 {
    fn put(&self, to: &mut Writer) {
        // Small whether it is over or under zero.
        to.number(((self << 1) ^ (self >> 63)) as u64);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let number = from.number()?;
        Ok((number >> 1) as Self ^ -((number & 1) as Self))
    }
}

impl Coded for bool {
    fn put(&self, to: &mut Writer) {
        to.byte(u8::from(*self));
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => malformed("neither yes nor no"),
        }
    }
}

impl Coded for String {
    fn put(&self, to: &mut Writer) {
        to.string(self.as_bytes());
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        from.text()
    }
}

impl Coded for Digest {
    fn put(&self, to: &mut Writer) {
        to.bytes.extend_from_slice(self.as_bytes());
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        // Exactly 32 are taken.
        Ok(Self::from_bytes(from.raw(32)?.try_into().unwrap_or_default()))
    }
}

impl Coded for RelPath {
    fn put(&self, to: &mut Writer) {
        to.path(self.as_bytes());
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        from.path()
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, to: &mut Writer) {
        to.byte(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(to);
        }
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        if bool::take(from)? { T::take(from).map(Some) } else { Ok(None) }
    }
}

/// A value that serde knows, as JSON: for what travels once a run.
pub(super) fn put_json(value: &impl serde::Serialize, to: &mut Writer) {
    // A value of ours always serialises; nothing at all is refused by whoever reads it.
    to.string(&serde_json::to_vec(value).unwrap_or_default());
}

pub(super) fn take_json<T: serde::de::DeserializeOwned>(from: &mut Reader) -> Result<T, Malformed> {
    serde_json::from_slice(&from.string()?).map_err(|why| Malformed(why.to_string()))
}
