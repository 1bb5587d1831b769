//! A tree written down: what it was when both ends last agreed. Read and written in one pass, whatever its size.
//!
//! A file begins with [`MAGIC`]; blocks follow, each with its length and a digest of its number and its content. The first block
//! names the pair and the agreement, the last one says how many records there are. Within a block a path is told by what it
//! shares with the one before. A file that is cut, damaged, of another format or out of order is an error, never a wrong tree.

#[cfg(any(test, feature = "world"))]
mod landings;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::entries::tree_order;
use super::entry::{Bytes, Entry, Kind, Owner, RelPath, Xattrs};
use super::snapshot::Stamp;
use super::varint;
use crate::digest::Digest;

#[cfg(any(test, feature = "world"))]
pub(crate) use self::landings::{LandingsReader, LandingsWriter};

/// The first bytes of a file, with the number of the format.
const MAGIC: &[u8; 16] = b"dr baseline 01\r\n";
/// A block is written once it has so many bytes.
const BLOCK_BYTES: usize = 64 * 1024;
/// No block is longer: one record may have attributes of 64 KiB each.
const MAX_BLOCK_BYTES: usize = 64 << 20;
/// More attributes than a file can have.
const MAX_XATTRS: u64 = 65_536;
const SUM_BYTES: usize = 16;
/// The length of a block, and its digest.
const HEAD_BYTES: usize = 4 + SUM_BYTES;

/// One path of a tree that was written down.
///
/// ```
/// use dr_core::mirror::{Entry, Kind, Record};
/// let entry = Entry { kind: Kind::Directory, mode: 0o755, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let root = Record { path: vec![], entry, stamp: None, is_linked: false };
/// assert!(root.path.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes of the path; empty for the root.
    pub path: Vec<u8>,
    /// What was there.
    pub entry: Entry,
    /// Its inode and time of change, where they are known.
    pub stamp: Option<Stamp>,
    /// Whether the file has more names than this.
    pub is_linked: bool,
}

/// Which tree, and which agreement.
///
/// ```
/// use dr_core::mirror::BaselineName;
/// assert_eq!(BaselineName::default().pair, dr_core::Digest::from_bytes([0; 32]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaselineName {
    /// Which mirror.
    pub pair: Digest,
    /// Which agreement.
    pub agreed: Digest,
}

impl Default for BaselineName {
    fn default() -> Self {
        let none = Digest::from_bytes([0; 32]);
        Self { pair: none, agreed: none }
    }
}

/// Writes a tree down, path by path in the order of the tree.
///
/// ```
/// use dr_core::mirror::{BaselineName, BaselineReader, BaselineWriter, Entry, Kind, Record};
/// let entry = Entry { kind: Kind::Directory, mode: 0o755, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// let root = Record { path: vec![], entry, stamp: None, is_linked: false };
/// let mut writer = BaselineWriter::new(vec![], BaselineName::default()).unwrap();
/// writer.push(&root).unwrap();
/// let bytes = writer.finish().unwrap();
/// let mut reader = BaselineReader::new(&bytes[..]).unwrap();
/// assert_eq!(reader.read().unwrap(), Some(&root));
/// assert_eq!(reader.read().unwrap(), None);
/// let cut = &bytes[..bytes.len() - 1];
/// let mut reader = BaselineReader::new(cut).unwrap();
/// assert!(reader.read().is_ok() && reader.read().is_err(), "what is cut is never taken for whole");
/// ```
pub struct BaselineWriter<W: Write> {
    to: W,
    block: Vec<u8>,
    last: Vec<u8>,
    number: u64,
    records: u64,
}

/// What a block holds.
const HEAD: u8 = 0;
const RECORDS: u8 = 1;
const END: u8 = 2;

impl<W: Write> BaselineWriter<W> {
    /// Begins a tree.
    pub fn new(mut to: W, name: BaselineName) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        let mut writer = Self { to, block: vec![HEAD], last: vec![], number: 0, records: 0 };
        writer.block.extend_from_slice(name.pair.as_bytes());
        writer.block.extend_from_slice(name.agreed.as_bytes());
        writer.flush()?;
        Ok(writer)
    }

    /// The next path.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        self.push_entry(&record.path, &record.entry, record.stamp, record.is_linked)
    }

    /// As [`Self::push`].
    pub(crate) fn push_entry(
        &mut self,
        path: &[u8],
        entry: &Entry,
        stamp: Option<Stamp>,
        is_linked: bool,
    ) -> io::Result<()> {
        if self.block.is_empty() {
            self.block.push(RECORDS);
            self.last.clear();
        }
        let shared = self.last.iter().zip(path).take_while(|(one, other)| one == other).count();
        varint::put(&mut self.block, shared as u64);
        put_bytes(&mut self.block, &path[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&path[shared..]);
        put_entry(&mut self.block, entry, stamp, is_linked);
        self.records += 1;
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the tree; without it a file is no baseline.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        self.block.push(END);
        varint::put(&mut self.block, self.records);
        self.flush()?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&head_of(self.number, &self.block)?)?;
        self.to.write_all(&self.block)?;
        self.number += 1;
        self.block.clear();
        Ok(())
    }
}

/// Reads a tree that was written down.
///
/// ```
/// use dr_core::mirror::BaselineReader;
/// assert!(BaselineReader::new(&b"something else"[..]).is_err());
/// ```
pub struct BaselineReader<R: Read> {
    from: R,
    name: BaselineName,
    block: Vec<u8>,
    at: usize,
    number: u64,
    records: u64,
    is_over: bool,
    record: Record,
    no_xattrs: Xattrs,
}

impl<R: Read> BaselineReader<R> {
    /// Reads what is in front of the records.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged("it is no baseline, or one of another format"));
        }
        let entry = Entry { kind: Kind::Other, mode: 0, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
        let mut reader = Self {
            from,
            name: BaselineName::default(),
            block: vec![],
            at: 0,
            number: 0,
            records: 0,
            is_over: false,
            record: Record { path: vec![], entry, stamp: None, is_linked: false },
            no_xattrs: Xattrs::default(),
        };
        reader.fill()?;
        let mut rest = Rest(&reader.block);
        if rest.byte()? != HEAD {
            return Err(damaged("it has no head"));
        }
        reader.name = BaselineName { pair: rest.digest()?, agreed: rest.digest()? };
        reader.at = reader.block.len();
        Ok(reader)
    }

    /// What it was written down as.
    pub fn name(&self) -> BaselineName {
        self.name
    }

    /// The next path; none at the end. An error means that nothing that was read can be believed.
    pub fn read(&mut self) -> io::Result<Option<&Record>> {
        Ok(if self.advance()? { Some(self.record()) } else { None })
    }

    /// The path that was read last.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Reads the next path; false at the end.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        let mut is_first = false;
        if self.at >= self.block.len() {
            self.fill()?;
            self.at = 1;
            is_first = true;
            match self.block.first() {
                Some(&RECORDS) => {}
                Some(&END) => {
                    let mut rest = Rest(&self.block[1..]);
                    if rest.number()? != self.records || !rest.0.is_empty() || self.from.read(&mut [0])? != 0
                    {
                        return Err(damaged("it does not end where it should"));
                    }
                    self.is_over = true;
                    return Ok(false);
                }
                _ => return Err(damaged("a block is of no known kind")),
            }
        }
        let mut rest = Rest(&self.block[self.at..]);
        let (shared, suffix) = (rest.number()?, rest.bytes()?);
        let shared = usize::try_from(shared).ok().filter(|shared| *shared <= self.record.path.len());
        let shared = shared.filter(|shared| *shared == 0 || !is_first).ok_or_else(out_of_order)?;
        let path = [&self.record.path[..shared], suffix].concat();
        let follows = self.records == 0 || tree_order(&self.record.path, &path).is_lt();
        if !follows || (!path.is_empty() && RelPath::fault(&path).is_some()) {
            return Err(out_of_order());
        }
        self.record.path = path;
        rest.entry(&mut self.record, &self.no_xattrs)?;
        self.at = self.block.len() - rest.0.len();
        self.records += 1;
        Ok(true)
    }

    fn fill(&mut self) -> io::Result<()> {
        read_block(&mut self.from, self.number, &mut self.block)?;
        self.number += 1;
        Ok(())
    }
}

/// What stands before a block.
fn head_of(number: u64, block: &[u8]) -> io::Result<[u8; HEAD_BYTES]> {
    let length = u32::try_from(block.len()).map_err(|_| damaged("a block is too long"))?;
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&sum(number, block));
    Ok(head)
}

/// Reads the block of this number in the place of the one before.
fn read_block(from: &mut impl Read, number: u64, block: &mut Vec<u8>) -> io::Result<()> {
    let mut head = [0; HEAD_BYTES];
    from.read_exact(&mut head)?;
    let (length, told) = head.split_at(4);
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length == 0 || length > MAX_BLOCK_BYTES {
        return Err(damaged("a block has no possible length"));
    }
    block.clear();
    // The length may be a lie: memory is taken as the bytes come.
    let read = from.by_ref().take(length as u64).read_to_end(block)?;
    // No fuzzer guesses a sum, and what is behind it is what should be fuzzed.
    if read != length || (!cfg!(fuzzing) && sum(number, block) != told) {
        return Err(damaged("a block is not what was written"));
    }
    Ok(())
}

fn sum(number: u64, block: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(block);
    let mut half = [0; SUM_BYTES];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
    half
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn out_of_order() -> io::Error {
    damaged("a path is none, or out of order")
}

/// Kinds by number, and what else a record has.
mod tag {
    pub(super) const FILE: u8 = 0;
    pub(super) const READ_FILE: u8 = 1;
    pub(super) const DIRECTORY: u8 = 2;
    pub(super) const SYMLINK: u8 = 3;
    pub(super) const HARD_LINK: u8 = 4;
    pub(super) const BLOCK: u8 = 5;
    pub(super) const CHARACTER: u8 = 6;
    pub(super) const FIFO: u8 = 7;
    pub(super) const SOCKET: u8 = 8;
    pub(super) const OTHER: u8 = 9;
    pub(super) const KINDS: u8 = 0x0f;
    pub(super) const LINKED: u8 = 0x10;
    pub(super) const STAMP: u8 = 0x20;
    pub(super) const OWNER: u8 = 0x40;
    pub(super) const XATTRS: u8 = 0x80;
}

fn put_entry(to: &mut Vec<u8>, entry: &Entry, stamp: Option<Stamp>, is_linked: bool) {
    let kind = match entry.kind {
        Kind::File { digest: None, .. } => tag::FILE,
        Kind::File { digest: Some(_), .. } => tag::READ_FILE,
        Kind::Directory => tag::DIRECTORY,
        Kind::Symlink { .. } => tag::SYMLINK,
        Kind::HardLink { .. } => tag::HARD_LINK,
        Kind::Device { is_block: true, .. } => tag::BLOCK,
        Kind::Device { is_block: false, .. } => tag::CHARACTER,
        Kind::Fifo => tag::FIFO,
        Kind::Socket => tag::SOCKET,
        Kind::Other => tag::OTHER,
    };
    let flag = |is_there: bool, flag| if is_there { flag } else { 0 };
    to.push(
        kind | flag(is_linked, tag::LINKED)
            | flag(stamp.is_some(), tag::STAMP)
            | flag(entry.owner.is_some(), tag::OWNER)
            | flag(entry.xattrs.is_some(), tag::XATTRS),
    );
    varint::put(to, entry.mode.into());
    put_signed(to, entry.mtime_s);
    varint::put(to, entry.mtime_ns.into());
    match &entry.kind {
        Kind::File { size_bytes, digest } => {
            varint::put(to, *size_bytes);
            to.extend_from_slice(digest.as_ref().map_or(&[], |digest| digest.as_bytes()));
        }
        Kind::Symlink { target } => put_bytes(to, &target.0),
        Kind::HardLink { first } => put_bytes(to, first.as_bytes()),
        Kind::Device { major, minor, .. } => {
            varint::put(to, (*major).into());
            varint::put(to, (*minor).into());
        }
        _ => {}
    }
    if let Some(owner) = entry.owner {
        varint::put(to, owner.uid.into());
        varint::put(to, owner.gid.into());
    }
    if let Some(xattrs) = &entry.xattrs {
        varint::put(to, xattrs.len() as u64);
        for (name, value) in &**xattrs {
            put_bytes(to, name.as_bytes());
            put_bytes(to, &value.0);
        }
    }
    if let Some(stamp) = stamp {
        varint::put(to, stamp.inode);
        put_signed(to, stamp.ctime_s);
        varint::put(to, stamp.ctime_ns.into());
    }
}

/// Small numbers stay short, negative ones too.
fn put_signed(to: &mut Vec<u8>, number: i64) {
    varint::put(to, ((number << 1) ^ (number >> 63)) as u64);
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// What of a block was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> io::Result<u8> {
        let (&byte, rest) = self.0.split_first().ok_or_else(cut)?;
        self.0 = rest;
        Ok(byte)
    }

    fn take(&mut self, length: u64) -> io::Result<&'a [u8]> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len()).ok_or_else(cut)?;
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    fn digest(&mut self) -> io::Result<Digest> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.take(32)?);
        Ok(Digest::from_bytes(bytes))
    }

    fn number(&mut self) -> io::Result<u64> {
        varint::take(|| self.byte())?.ok_or_else(|| damaged("a number is too large"))
    }

    fn small(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| damaged("a number is too large"))
    }

    fn signed(&mut self) -> io::Result<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn entry(&mut self, record: &mut Record, no_xattrs: &Xattrs) -> io::Result<()> {
        let flags = self.byte()?;
        let (mode, mtime_s, mtime_ns) = (self.small()?, self.signed()?, self.small()?);
        let kind = self.kind(flags & tag::KINDS)?;
        let has = |flag| flags & flag != 0;
        let owner =
            if has(tag::OWNER) { Some(Owner { uid: self.small()?, gid: self.small()? }) } else { None };
        let xattrs = if has(tag::XATTRS) { Some(self.xattrs(no_xattrs)?) } else { None };
        record.stamp = if has(tag::STAMP) {
            Some(Stamp { inode: self.number()?, ctime_s: self.signed()?, ctime_ns: self.small()? })
        } else {
            None
        };
        record.is_linked = has(tag::LINKED);
        record.entry = Entry { kind, mode, mtime_s, mtime_ns, owner, xattrs };
        Ok(())
    }

    fn kind(&mut self, kind: u8) -> io::Result<Kind> {
        Ok(match kind {
            tag::FILE => Kind::File { size_bytes: self.number()?, digest: None },
            tag::READ_FILE => Kind::File { size_bytes: self.number()?, digest: Some(self.digest()?) },
            tag::DIRECTORY => Kind::Directory,
            tag::SYMLINK => Kind::Symlink { target: Bytes(self.bytes()?.to_vec()) },
            tag::HARD_LINK => {
                Kind::HardLink { first: RelPath::new(self.bytes()?).map_err(|_| out_of_order())? }
            }
            tag::BLOCK | tag::CHARACTER => {
                Kind::Device { is_block: kind == tag::BLOCK, major: self.small()?, minor: self.small()? }
            }
            tag::FIFO => Kind::Fifo,
            tag::SOCKET => Kind::Socket,
            tag::OTHER => Kind::Other,
            _ => return Err(damaged("something is of no known kind")),
        })
    }

    fn xattrs(&mut self, no_xattrs: &Xattrs) -> io::Result<Xattrs> {
        let count = self.number()?;
        if count == 0 {
            return Ok(no_xattrs.clone());
        }
        if count > MAX_XATTRS {
            return Err(damaged("a file has too many attributes"));
        }
        let mut xattrs = BTreeMap::new();
        for _ in 0..count {
            let name =
                std::str::from_utf8(self.bytes()?).map_err(|_| damaged("a name is no text"))?.to_owned();
            xattrs.insert(name, Bytes(self.bytes()?.to_vec()));
        }
        Ok(Arc::new(xattrs))
    }
}

fn cut() -> io::Error {
    damaged("a record is cut short")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mirror::entries::tests::{arbitrary_entry, arbitrary_path};

    fn write(records: &[Record]) -> Vec<u8> {
        let mut writer = BaselineWriter::new(vec![], BaselineName::default()).unwrap();
        records.iter().for_each(|record| writer.push(record).unwrap());
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<Record>> {
        let (mut reader, mut all) = (BaselineReader::new(bytes)?, vec![]);
        while let Some(record) = reader.read()? {
            all.push(record.clone());
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            tree in proptest::collection::btree_map(arbitrary_path(), arbitrary_entry(), 0..40),
            stamp in any::<Option<(u64, i64, u32)>>(), is_linked in any::<bool>(), at in any::<prop::sample::Index>(),
        ) {
            let stamp = stamp.map(|(inode, ctime_s, ctime_ns)| Stamp { inode, ctime_s, ctime_ns });
            let record = |(path, entry): (RelPath, Entry)| {
                Record { path: path.as_bytes().to_vec(), entry, stamp, is_linked }
            };
            let records: Vec<Record> = tree.into_iter().map(record).filter(|record| match &record.entry.kind {
                Kind::HardLink { first } => !first.is_root(),
                _ => true,
            }).collect();
            let mut bytes = write(&records);
            prop_assert_eq!(read(&bytes).unwrap(), records);
            // Damaged or cut anywhere, it is not believed.
            let at = at.index(bytes.len());
            prop_assert!(read(&bytes[..at]).is_err());
            bytes[at] ^= 1;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn garbage_is_refused(mut garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&garbage).is_err());
            // With a digest that is right.
            let mut bytes = write(&[]);
            bytes.truncate(MAGIC.len() + 4 + SUM_BYTES + 65);
            garbage.insert(0, RECORDS);
            bytes.extend_from_slice(&(garbage.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&sum(1, &garbage));
            bytes.extend_from_slice(&garbage);
            prop_assert!(read(&bytes).is_err());
        }
    }
}
