//! What a mirror is about to make of paths, written down before it does so: what a run that was cut short left is then not taken for
//! somebody else's work.
//!
//! A file begins with [`MAGIC`]; blocks follow as in a baseline. The first names the pair and the agreement that both ends had when
//! the run began, each of the others has a batch of paths. What is cut or damaged ends it: all before that counts.

use std::io::{self, Read, Write};

use super::{
    BaselineName, HEAD, HEAD_BYTES, RECORDS, Record, Rest, head_of, put_bytes, put_entry, read_block,
};
use crate::mirror::entry::{Entry, Kind, RelPath, Xattrs};
use crate::mirror::varint;

/// The first bytes of a file, with the number of the format.
const MAGIC: &[u8; 16] = b"dr landings 01\r\n";

/// Writes down what is about to land.
pub(crate) struct LandingsWriter<W: Write> {
    to: W,
    number: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<W: Write> LandingsWriter<W> {
    /// Begins anew.
    pub(crate) fn new(mut to: W, name: BaselineName) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        let mut writer = Self { to, number: 0, bytes: MAGIC.len() as u64, buffer: vec![0; HEAD_BYTES] };
        writer.buffer.push(HEAD);
        writer.buffer.extend_from_slice(name.pair.as_bytes());
        writer.buffer.extend_from_slice(name.agreed.as_bytes());
        writer.flush()?;
        Ok(writer)
    }

    /// Goes on where so many blocks and bytes were found whole.
    pub(crate) fn go_on(to: W, (number, bytes): (u64, u64)) -> Self {
        Self { to, number, bytes, buffer: vec![] }
    }

    /// A batch of paths, and what they are to be; none if they are to be removed. One write, whatever their number. Gives the
    /// length of all that was written.
    pub(crate) fn push<'a>(
        &mut self,
        batch: impl Iterator<Item = (&'a RelPath, Option<&'a Entry>)>,
    ) -> io::Result<u64> {
        self.buffer.clear();
        self.buffer.resize(HEAD_BYTES, 0);
        self.buffer.push(RECORDS);
        let mut last: &[u8] = &[];
        for (path, entry) in batch {
            let path = path.as_bytes();
            let shared = last.iter().zip(path).take_while(|(one, other)| one == other).count();
            varint::put(&mut self.buffer, shared as u64);
            put_bytes(&mut self.buffer, &path[shared..]);
            self.buffer.push(u8::from(entry.is_some()));
            if let Some(entry) = entry {
                put_entry(&mut self.buffer, entry, None, false);
            }
            last = path;
        }
        if self.buffer.len() > HEAD_BYTES + 1 {
            self.flush()?;
        }
        Ok(self.bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let (head, block) = self.buffer.split_at_mut(HEAD_BYTES);
        head.copy_from_slice(&head_of(self.number, block)?);
        self.to.write_all(&self.buffer)?;
        self.number += 1;
        self.bytes += self.buffer.len() as u64;
        Ok(())
    }
}

/// Reads what was about to land.
pub(crate) struct LandingsReader<R: Read> {
    from: R,
    name: BaselineName,
    block: Vec<u8>,
    at: usize,
    whole: (u64, u64),
    record: Record,
    is_removed: bool,
    no_xattrs: Xattrs,
}

impl<R: Read> LandingsReader<R> {
    /// Reads what is in front of the paths.
    pub(crate) fn new(mut from: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        let mut block = vec![];
        read_block(&mut from, 0, &mut block)?;
        let mut rest = Rest(&block);
        if magic != *MAGIC || rest.byte()? != HEAD {
            return Err(super::damaged("it is no list of landings, or one of another format"));
        }
        let name = BaselineName { pair: rest.digest()?, agreed: rest.digest()? };
        let entry = Entry { kind: Kind::Other, mode: 0, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
        Ok(Self {
            from,
            name,
            at: block.len(),
            whole: (1, (MAGIC.len() + HEAD_BYTES + block.len()) as u64),
            block,
            record: Record { path: vec![], entry, stamp: None, is_linked: false },
            is_removed: false,
            no_xattrs: Xattrs::default(),
        })
    }

    /// After which agreement it was begun.
    pub(crate) fn name(&self) -> BaselineName {
        self.name
    }

    /// How many blocks and bytes were whole so far.
    pub(crate) fn whole(&self) -> (u64, u64) {
        self.whole
    }

    /// The next path and what it was to be; none at the end of what is whole.
    pub(crate) fn next(&mut self) -> Option<(&[u8], Option<&Entry>)> {
        self.advance().ok()?;
        Some((&self.record.path, (!self.is_removed).then_some(&self.record.entry)))
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.at >= self.block.len() {
            read_block(&mut self.from, self.whole.0, &mut self.block)?;
            if self.block[0] != RECORDS {
                return Err(super::damaged("a block is of no known kind"));
            }
            self.whole = (self.whole.0 + 1, self.whole.1 + (HEAD_BYTES + self.block.len()) as u64);
            self.at = 1;
            self.record.path.clear();
        }
        let mut rest = Rest(&self.block[self.at..]);
        let (shared, suffix) = (rest.number()?, rest.bytes()?);
        let shared = usize::try_from(shared).ok().filter(|shared| *shared <= self.record.path.len());
        self.record.path.truncate(shared.ok_or_else(super::cut)?);
        self.record.path.extend_from_slice(suffix);
        if !self.record.path.is_empty() && RelPath::fault(&self.record.path).is_some() {
            return Err(super::damaged("a path is none"));
        }
        self.is_removed = rest.byte()? == 0;
        if !self.is_removed {
            rest.entry(&mut self.record, &self.no_xattrs)?;
        }
        self.at = self.block.len() - rest.0.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digest;
    use crate::mirror::entries::tests::{arbitrary_entry, arbitrary_path};

    type Paths = Vec<(RelPath, Option<Entry>)>;

    fn read(bytes: &[u8]) -> Option<(BaselineName, Paths, (u64, u64))> {
        let mut reader = LandingsReader::new(bytes).ok()?;
        let mut all = vec![];
        while let Some((path, entry)) = reader.next() {
            all.push((RelPath::known(path), entry.cloned()));
        }
        Some((reader.name(), all, reader.whole()))
    }

    fn batches() -> impl Strategy<Value = Vec<Paths>> {
        let entry = arbitrary_entry().prop_filter("a link to the root", |entry| match &entry.kind {
            Kind::HardLink { first } => !first.is_root(),
            _ => true,
        });
        let batch = proptest::collection::vec((arbitrary_path(), proptest::option::of(entry)), 1..10);
        proptest::collection::vec(batch, 0..5)
    }

    proptest! {
        #[test]
        fn what_is_whole_is_read_and_gone_on_with(batches in batches(), at in any::<prop::sample::Index>()) {
            let name = BaselineName { pair: Digest::of(b"pair"), agreed: Digest::of(b"agreed") };
            let mut bytes = vec![];
            let mut writer = LandingsWriter::new(&mut bytes, name).unwrap();
            let mut ends = vec![writer.bytes];
            for batch in &batches {
                ends.push(writer.push(batch.iter().map(|(path, entry)| (path, entry.as_ref()))).unwrap());
            }
            let all = batches.concat();
            prop_assert_eq!(read(&bytes), Some((name, all, (ends.len() as u64, bytes.len() as u64))));
            // Cut anywhere, what was whole before counts.
            let cut = at.index(bytes.len());
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            let found = read(&bytes[..cut]);
            prop_assert_eq!(found.is_some(), whole > 0);
            if let Some((_, paths, (blocks, length))) = found {
                prop_assert_eq!((paths, blocks), (batches[..whole - 1].concat(), whole as u64));
                prop_assert_eq!(length, ends[whole - 1]);
                let mut more = bytes[..ends[whole - 1] as usize].to_vec();
                let path = RelPath::known(b"more");
                LandingsWriter::go_on(&mut more, (blocks, length)).push([(&path, None)].into_iter()).unwrap();
                let (_, paths, _) = read(&more).unwrap();
                prop_assert_eq!(paths.last(), Some(&(path, None)));
            }
            // Damaged anywhere, nothing else is believed.
            bytes[cut] ^= 1;
            prop_assert!(read(&bytes).is_none_or(|(_, paths, _)| batches.concat().starts_with(&paths)));
        }

        #[test]
        fn garbage_does_no_harm(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&garbage).is_none());
            let mut bytes = vec![];
            LandingsWriter::new(&mut bytes, BaselineName::default()).unwrap();
            let block = [&[RECORDS][..], &garbage].concat();
            bytes.extend_from_slice(&head_of(1, &block).unwrap());
            bytes.extend_from_slice(&block);
            prop_assert!(read(&bytes).is_some());
        }
    }
}
