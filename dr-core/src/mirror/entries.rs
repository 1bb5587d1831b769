//! A million entries in little memory, in the order of the tree.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use super::entry::{Bytes, Entry, Kind, Owner, RelPath, Xattrs};
use crate::digest::Digest;

/// What is at each path of a tree: a map from [`RelPath`] to [`Entry`], sorted in the order of the tree.
///
/// It is packed: 32 bytes a path and the bytes of the path itself, in two allocations. Mode, owner and extended attributes are
/// kept once for all paths that share them; digests, targets of symbolic links and first names of hard links in tables of their
/// own. An [`Entry`] is made when one is asked for. [`Self::rows`] goes through all of it without allocating anything.
///
/// Paths are best inserted in order. One that comes out of order moves all that is behind it; many of them are better collected
/// ([`FromIterator`], [`Extend`]), which sorts once.
///
/// ```
/// use dr_core::mirror::{Entries, Entry, Kind, RelPath};
/// let entry = |kind| Entry { kind, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
/// let mut entries: Entries = [(path("css-old"), entry(Kind::Fifo)), (path("css"), entry(Kind::Directory))].into();
/// entries.insert(path("css/site.css"), entry(Kind::File { size_bytes: 5, digest: None }));
/// let paths: Vec<String> = entries.rows().map(|row| row.path().to_string()).collect();
/// assert_eq!(paths, ["css", "css/site.css", "css-old"], "what is in a directory follows it");
/// assert_eq!(entries.get(&path("css/site.css")).unwrap().size_bytes(), 5);
/// assert_eq!(entries.below(&path("css")).count(), 1);
/// ```
#[derive(Clone, Default)]
pub struct Entries {
    rows: Vec<Packed>,
    /// The bytes of all paths.
    paths: Vec<u8>,
    metas: Metas,
    /// Files of which the digest is known: sizes and digests.
    digests: Vec<(u64, Digest)>,
    /// Targets of symbolic links, first names of hard links.
    texts: Vec<Box<[u8]>>,
}

/// One path. What `value` means depends on the kind.
#[derive(Clone, Copy)]
struct Packed {
    path: Place,
    value: u64,
    mtime_s: i64,
    mtime_ns: u32,
    meta: u32,
}

/// Where the bytes of a path are, and what is there: offset, 12 bits of length, 4 bits of kind.
#[derive(Clone, Copy)]
struct Place(u64);

impl Place {
    /// The longest path has 4095 bytes (see [`RelPath::new`]).
    fn new(offset: usize, length: usize, tag: Tag) -> Self {
        Self((offset as u64) << 16 | ((length & 0xfff) as u64) << 4 | tag as u64)
    }

    fn range(self) -> std::ops::Range<usize> {
        let offset = (self.0 >> 16) as usize;
        offset..offset + (self.0 >> 4 & 0xfff) as usize
    }

    fn tag(self) -> u8 {
        (self.0 & 0xf) as u8
    }
}

/// The kinds in 4 bits.
#[derive(Clone, Copy)]
enum Tag {
    /// `value` is the size.
    File,
    /// `value` is a number in `digests`.
    ReadFile,
    Directory,
    /// `value` is a number in `texts`.
    Symlink,
    /// `value` is a number in `texts`.
    HardLink,
    /// `value` is the major number and, in the lower half, the minor one.
    Block,
    Character,
    Fifo,
    Socket,
    Other,
}

/// What many paths have in common, kept once.
#[derive(Clone, Default)]
struct Metas {
    known: Vec<Meta>,
    numbers: HashMap<Meta, u32>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Meta {
    mode: u32,
    owner: Option<Owner>,
    xattrs: Option<Xattrs>,
}

impl Metas {
    fn number(&mut self, entry: &Entry, last: Option<u32>) -> u32 {
        // Most paths are like the one before.
        let is_like = |meta: &Meta| {
            meta.mode == entry.mode
                && meta.owner == entry.owner
                && match (&meta.xattrs, &entry.xattrs) {
                    (None, None) => true,
                    (Some(one), Some(other)) => std::sync::Arc::ptr_eq(one, other),
                    _ => false,
                }
        };
        if let Some(last) = last.filter(|last| self.known.get(*last as usize).is_some_and(is_like)) {
            return last;
        }
        let meta = Meta { mode: entry.mode, owner: entry.owner, xattrs: entry.xattrs.clone() };
        if let Some(number) = self.numbers.get(&meta) {
            return *number;
        }
        // More than 2^32 of them do not fit in memory.
        let number = self.known.len() as u32;
        self.known.push(meta.clone());
        self.numbers.insert(meta, number);
        number
    }
}

impl Entries {
    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is at this path.
    #[must_use]
    pub fn get(&self, path: &RelPath) -> Option<Entry> {
        self.row(path).map(|row| row.entry())
    }

    /// As [`Self::get`], without making an [`Entry`].
    #[must_use]
    pub fn row(&self, path: &RelPath) -> Option<Row<'_>> {
        let at = self.find(path.as_bytes()).ok()?;
        Some(Row { entries: self, packed: &self.rows[at] })
    }

    /// Whether there is anything at this path.
    #[must_use]
    pub fn contains_key(&self, path: &RelPath) -> bool {
        self.find(path.as_bytes()).is_ok()
    }

    /// All paths in the order of the tree. It allocates nothing.
    pub fn rows(&self) -> Rows<'_> {
        Rows { entries: self, rows: self.rows.iter() }
    }

    /// As [`Self::rows`], each with a path and an entry of its own.
    pub fn iter(&self) -> impl Iterator<Item = (RelPath, Entry)> {
        self.rows().map(|row| (row.path(), row.entry()))
    }

    /// All that is in a directory, at any depth, without the directory.
    pub fn below(&self, directory: &RelPath) -> Rows<'_> {
        let start = match self.find(directory.as_bytes()) {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        let rest = &self.rows[start..];
        let is_in = |row: &Packed| is_below(self.path_of(row), directory.as_bytes());
        Rows { entries: self, rows: rest[..rest.partition_point(is_in)].iter() }
    }

    /// Puts an entry at a path; gives what was there.
    pub fn insert(&mut self, path: RelPath, entry: Entry) -> Option<Entry> {
        self.insert_at(path.as_bytes(), entry)
    }

    /// Takes away what is at a path. Its bytes stay in memory as long as the map does.
    pub fn remove(&mut self, path: &RelPath) -> Option<Entry> {
        let at = self.find(path.as_bytes()).ok()?;
        let gone = Row { entries: self, packed: &self.rows[at] }.entry();
        self.rows.remove(at);
        Some(gone)
    }

    /// Takes away all rows but those that are to stay.
    pub(crate) fn retain(&mut self, stays: impl Fn(&Row<'_>) -> bool) {
        let rows = std::mem::take(&mut self.rows);
        let kept = rows.into_iter().filter(|packed| stays(&Row { entries: self, packed })).collect();
        self.rows = kept;
    }

    /// Gives back memory that was set aside for more.
    pub fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
        self.paths.shrink_to_fit();
    }

    /// As [`Self::insert`], for the bytes of a path.
    pub(crate) fn insert_at(&mut self, path: &[u8], entry: Entry) -> Option<Entry> {
        let is_last = self.rows.last().is_none_or(|last| tree_order(self.path_of(last), path).is_lt());
        let found = if is_last { Err(self.rows.len()) } else { self.find(path) };
        match found {
            Ok(at) => {
                let before = Row { entries: self, packed: &self.rows[at] }.entry();
                let offset = self.rows[at].path.range().start;
                self.rows[at] = self.pack(offset, path.len(), entry);
                Some(before)
            }
            Err(at) => {
                let row = self.pack_new(path, entry);
                self.rows.insert(at, row);
                None
            }
        }
    }

    fn pack_new(&mut self, path: &[u8], entry: Entry) -> Packed {
        let offset = self.paths.len();
        self.paths.extend_from_slice(path);
        self.pack(offset, path.len(), entry)
    }

    fn pack(&mut self, offset: usize, length: usize, entry: Entry) -> Packed {
        let meta = self.metas.number(&entry, self.rows.last().map(|last| last.meta));
        let (mtime_s, mtime_ns) = (entry.mtime_s, entry.mtime_ns);
        let (tag, value) = match entry.kind {
            Kind::File { size_bytes, digest: None } => (Tag::File, size_bytes),
            Kind::File { size_bytes, digest: Some(digest) } => {
                self.digests.push((size_bytes, digest));
                (Tag::ReadFile, self.digests.len() as u64 - 1)
            }
            Kind::Directory => (Tag::Directory, 0),
            Kind::Symlink { target } => (Tag::Symlink, self.text(target.0)),
            Kind::HardLink { first } => (Tag::HardLink, self.text(first.as_bytes().to_vec())),
            Kind::Device { is_block, major, minor } => {
                let tag = if is_block { Tag::Block } else { Tag::Character };
                (tag, u64::from(major) << 32 | u64::from(minor))
            }
            Kind::Fifo => (Tag::Fifo, 0),
            Kind::Socket => (Tag::Socket, 0),
            Kind::Other => (Tag::Other, 0),
        };
        Packed { path: Place::new(offset, length, tag), value, mtime_s, mtime_ns, meta }
    }

    fn text(&mut self, text: Vec<u8>) -> u64 {
        self.texts.push(text.into());
        self.texts.len() as u64 - 1
    }

    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| tree_order(self.path_of(row), path))
    }

    fn path_of(&self, row: &Packed) -> &[u8] {
        &self.paths[row.path.range()]
    }
}

/// One path of [`Entries`] and what is there, borrowed.
///
/// ```
/// use dr_core::mirror::{Entries, Entry, Kind, RelPath};
/// let root = Entry { kind: Kind::Directory, mode: 0o755, mtime_s: 7, mtime_ns: 0, owner: None, xattrs: None };
/// let entries: Entries = [(RelPath::root(), root.clone())].into();
/// let row = entries.rows().next().unwrap();
/// assert!(row.is_directory() && row.path_bytes().is_empty() && row.mtime() == (7, 0));
/// assert_eq!(row.entry(), root);
/// ```
#[derive(Clone, Copy)]
pub struct Row<'a> {
    entries: &'a Entries,
    packed: &'a Packed,
}

impl<'a> Row<'a> {
    /// The bytes of the path; empty for the root.
    #[must_use]
    pub fn path_bytes(&self) -> &'a [u8] {
        self.entries.path_of(self.packed)
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> RelPath {
        RelPath::known(self.path_bytes())
    }

    /// What is there.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let meta = self.meta();
        Entry {
            kind: self.kind(),
            mode: meta.mode,
            mtime_s: self.packed.mtime_s,
            mtime_ns: self.packed.mtime_ns,
            owner: meta.owner,
            xattrs: meta.xattrs.clone(),
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.packed.path.tag() == Tag::Directory as u8
    }

    /// Whether it is a regular file, in its first name.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.packed.path.tag() <= Tag::ReadFile as u8
    }

    /// Its size, if it is a regular file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match self.kind() {
            Kind::File { size_bytes, .. } => size_bytes,
            _ => 0,
        }
    }

    /// Last modification: seconds since the Unix epoch, and nanoseconds.
    #[must_use]
    pub fn mtime(&self) -> (i64, u32) {
        (self.packed.mtime_s, self.packed.mtime_ns)
    }

    /// Its owner, where it is known.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.meta().owner
    }

    /// Whether this row and another are surely of one entry, whatever their paths. "No" may also mean that it takes a closer look.
    pub(crate) fn is_plainly(&self, other: &Self, alike: &mut Alike) -> bool {
        let (one, two) = (self.packed, other.packed);
        let (tag, is_plain) = (one.path.tag(), Tag::File as u8 == one.path.tag() || self.is_directory());
        is_plain
            && tag == two.path.tag()
            && one.value == two.value
            && self.mtime() == other.mtime()
            && alike.are(one.meta, two.meta, || self.meta() == other.meta())
    }

    fn meta(&self) -> &'a Meta {
        &self.entries.metas.known[self.packed.meta as usize]
    }

    fn kind(&self) -> Kind {
        let value = self.packed.value;
        let text = || self.entries.texts.get(value as usize).map_or(&[][..], |text| text);
        let device = |is_block| Kind::Device { is_block, major: (value >> 32) as u32, minor: value as u32 };
        match self.packed.path.tag() {
            tag if tag == Tag::File as u8 => Kind::File { size_bytes: value, digest: None },
            tag if tag == Tag::ReadFile as u8 => {
                let (size_bytes, digest) = self.entries.digests[value as usize];
                Kind::File { size_bytes, digest: Some(digest) }
            }
            tag if tag == Tag::Directory as u8 => Kind::Directory,
            tag if tag == Tag::Symlink as u8 => Kind::Symlink { target: Bytes(text().to_vec()) },
            tag if tag == Tag::HardLink as u8 => Kind::HardLink { first: RelPath::known(text()) },
            tag if tag == Tag::Block as u8 => device(true),
            tag if tag == Tag::Character as u8 => device(false),
            tag if tag == Tag::Fifo as u8 => Kind::Fifo,
            tag if tag == Tag::Socket as u8 => Kind::Socket,
            _ => Kind::Other,
        }
    }
}

/// Remembers which modes, owners and attributes of one map are those of another: the last answer is nearly always the next.
#[derive(Default)]
pub(crate) struct Alike(Option<(u32, u32, bool)>);

impl Alike {
    fn are(&mut self, one: u32, other: u32, compare: impl FnOnce() -> bool) -> bool {
        match self.0 {
            Some((last, last_other, answer)) if (last, last_other) == (one, other) => answer,
            _ => {
                let answer = compare();
                self.0 = Some((one, other, answer));
                answer
            }
        }
    }
}

/// The rows of [`Entries`], or of a part of them, in order.
///
/// ```
/// use dr_core::mirror::Entries;
/// assert_eq!(Entries::default().rows().len(), 0);
/// ```
#[derive(Clone)]
pub struct Rows<'a> {
    entries: &'a Entries,
    rows: std::slice::Iter<'a, Packed>,
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        self.rows.next().map(|packed| Row { entries: self.entries, packed })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Rows<'_> {}

impl<'a> Rows<'a> {
    /// The next row, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<Row<'a>> {
        self.rows.as_slice().first().map(|packed| Row { entries: self.entries, packed })
    }
}

impl Extend<(RelPath, Entry)> for Entries {
    /// In any order. Of several entries for one path the last one counts.
    fn extend<I: IntoIterator<Item = (RelPath, Entry)>>(&mut self, more: I) {
        let mut is_sorted = true;
        for (path, entry) in more {
            is_sorted &=
                self.rows.last().is_none_or(|last| tree_order(self.path_of(last), path.as_bytes()).is_lt());
            let row = self.pack_new(path.as_bytes(), entry);
            self.rows.push(row);
        }
        if !is_sorted {
            let paths = &self.paths;
            let path = |row: &Packed| &paths[row.path.range()];
            // A stable sort, so that of several rows for one path the last is the newest.
            self.rows.sort_by(|one, other| tree_order(path(one), path(other)));
            self.rows.dedup_by(|next, kept| {
                let is_again = path(next) == path(kept);
                if is_again {
                    *kept = *next;
                }
                is_again
            });
        }
    }
}

impl FromIterator<(RelPath, Entry)> for Entries {
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        let mut all = Self::default();
        all.extend(entries);
        all
    }
}

impl<const N: usize> From<[(RelPath, Entry); N]> for Entries {
    fn from(entries: [(RelPath, Entry); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        let mut alike = Alike::default();
        self.len() == other.len()
            && self.rows().zip(other.rows()).all(|(one, two)| {
                one.path_bytes() == two.path_bytes()
                    && (one.is_plainly(&two, &mut alike) || one.entry() == two.entry())
            })
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Two trees side by side: every path of either, in order, with what each has there.
pub(crate) fn side_by_side<'a>(
    one: &'a Entries,
    other: &'a Entries,
) -> impl Iterator<Item = (Option<Row<'a>>, Option<Row<'a>>)> {
    let (mut ones, mut others) = (one.rows(), other.rows());
    std::iter::from_fn(move || {
        let order = match (ones.peek(), others.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) if one.path_bytes() == other.path_bytes() => Ordering::Equal,
            (Some(one), Some(other)) => tree_order(one.path_bytes(), other.path_bytes()),
        };
        let one = if order.is_le() { ones.next() } else { None };
        let other = if order.is_ge() { others.next() } else { None };
        Some((one, other))
    })
}

/// The order of a tree walked from the top: `/` comes before every other byte, so that a directory is followed by all that is in
/// it, and only then by the name after it.
pub(crate) fn tree_order(one: &[u8], other: &[u8]) -> Ordering {
    let mut at = 0;
    for (some, others) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        if some != others {
            break;
        }
        at += 8;
    }
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    // No path has a NUL in it, so that it is free to stand for the slash.
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.get(at).map(rank).cmp(&other.get(at).map(rank))
}

/// Whether a path leads through a directory, which is not that path itself.
pub(crate) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => !rest.is_empty() && (directory.is_empty() || rest[0] == b'/'),
        None => false,
    }
}

#[cfg(test)]
pub(super) mod tests;
