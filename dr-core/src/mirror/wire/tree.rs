//! What is in a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coding::{Coded, Malformed, Reader, Writer, malformed};
use super::pack::{Item, Pack};
use crate::mirror::{Bytes, Carries, Change, Counts, Entry, Kind, Owner, RelPath, Room, Xattrs};

/// The low bits of an entry's first byte say what it is, the others what follows.
const KIND_BITS: u8 = 0x0f;
const LIKE_BEFORE: u8 = 0x10;
const HAS_OWNER: u8 = 0x20;
const HAS_XATTRS: u8 = 0x40;
const HAS_DIGEST: u8 = 0x80;
/// No file system has more attributes at one file, nor longer names.
const XATTRS_MAX: u64 = 4096;

impl Coded for Entry {
    fn put(&self, to: &mut Writer) {
        let before = &to.before;
        let is_like = before.mode == self.mode && before.owner == self.owner && before.xattrs == self.xattrs;
        let mut first = kind_number(&self.kind);
        if is_like {
            first |= LIKE_BEFORE;
        } else {
            first |= if self.owner.is_some() { HAS_OWNER } else { 0 };
            first |= if self.xattrs.is_some() { HAS_XATTRS } else { 0 };
        }
        if matches!(self.kind, Kind::File { digest: Some(_), .. }) {
            first |= HAS_DIGEST;
        }
        to.byte(first);
        if !is_like {
            self.mode.put(to);
            if let Some(owner) = self.owner {
                owner.uid.put(to);
                owner.gid.put(to);
            }
            if let Some(xattrs) = &self.xattrs {
                put_xattrs(xattrs, to);
            }
            to.before.mode = self.mode;
            to.before.owner = self.owner;
            to.before.xattrs.clone_from(&self.xattrs);
        }
        self.mtime_s.wrapping_sub(to.before.mtime_s).put(to);
        to.before.mtime_s = self.mtime_s;
        self.mtime_ns.put(to);
        put_kind(&self.kind, to);
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let first = from.byte()?;
        if first & LIKE_BEFORE == 0 {
            from.before.mode = from.small()?;
            if from.before.mode > 0o7777 {
                return malformed("a mode has more than permission bits");
            }
            let has_owner = first & HAS_OWNER != 0;
            from.before.owner =
                if has_owner { Some(Owner { uid: from.small()?, gid: from.small()? }) } else { None };
            from.before.xattrs = if first & HAS_XATTRS != 0 { Some(take_xattrs(from)?) } else { None };
        }
        from.before.mtime_s = from.before.mtime_s.wrapping_add(i64::take(from)?);
        let mtime_ns = from.small()?;
        if mtime_ns >= 1_000_000_000 {
            return malformed("a second has no more than a billion nanoseconds");
        }
        Ok(Self {
            kind: take_kind(first & KIND_BITS, first & HAS_DIGEST != 0, from)?,
            mode: from.before.mode,
            mtime_s: from.before.mtime_s,
            mtime_ns,
            owner: from.before.owner,
            xattrs: from.before.xattrs.clone(),
        })
    }
}

fn kind_number(kind: &Kind) -> u8 {
    match kind {
        Kind::File { .. } => 0,
        Kind::Directory => 1,
        Kind::Symlink { .. } => 2,
        Kind::HardLink { .. } => 3,
        Kind::Device { is_block: false, .. } => 4,
        Kind::Device { is_block: true, .. } => 5,
        Kind::Fifo => 6,
        Kind::Socket => 7,
        Kind::Other => 8,
    }
}

fn put_kind(kind: &Kind, to: &mut Writer) {
    match kind {
        Kind::File { size_bytes, digest } => {
            size_bytes.put(to);
            if let Some(digest) = digest {
                digest.put(to);
            }
        }
        Kind::Symlink { target } => to.string(&target.0),
        // Not told by the path before: the paths of a list stay told by each other.
        Kind::HardLink { first } => to.string(first.as_bytes()),
        Kind::Device { major, minor, .. } => {
            major.put(to);
            minor.put(to);
        }
        Kind::Directory | Kind::Fifo | Kind::Socket | Kind::Other => {}
    }
}

fn take_kind(number: u8, has_digest: bool, from: &mut Reader) -> Result<Kind, Malformed> {
    Ok(match number {
        0 => {
            let size_bytes = from.number()?;
            Kind::File { size_bytes, digest: if has_digest { Some(Coded::take(from)?) } else { None } }
        }
        1 => Kind::Directory,
        2 => Kind::Symlink { target: Bytes(from.string()?.to_vec()) },
        3 => Kind::HardLink { first: RelPath::new(&from.string()?).map_err(Malformed)? },
        4 | 5 => Kind::Device { is_block: number == 5, major: from.small()?, minor: from.small()? },
        6 => Kind::Fifo,
        7 => Kind::Socket,
        8 => Kind::Other,
        _ => return malformed("no such kind of entry"),
    })
}

fn put_xattrs(xattrs: &Xattrs, to: &mut Writer) {
    to.number(xattrs.len() as u64);
    for (name, value) in xattrs.iter() {
        name.put(to);
        to.string(&value.0);
    }
}

fn take_xattrs(from: &mut Reader) -> Result<Xattrs, Malformed> {
    let count = from.number()?;
    if count > XATTRS_MAX {
        return malformed("too many extended attributes");
    }
    let mut xattrs = BTreeMap::new();
    for _ in 0..count {
        xattrs.insert(from.text()?, Bytes(from.string()?.to_vec()));
    }
    Ok(Arc::new(xattrs))
}

impl Coded for Change {
    fn put(&self, to: &mut Writer) {
        self.path.put(to);
        self.from.put(to);
        self.to.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { path: Coded::take(from)?, from: Coded::take(from)?, to: Coded::take(from)? })
    }
}

/// One line of a snapshot. `before` tells the older of the two snapshots of a delta.
///
/// ```
/// use dr_core::mirror::RelPath;
/// use dr_core::mirror::wire::{Seen, Sight};
/// let line = Seen { before: false, sight: Sight::Excluded(RelPath::new(b"cache").unwrap()) };
/// assert!(!line.before);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// In the older snapshot of a delta.
    pub before: bool,
    /// What was seen.
    pub sight: Sight,
}

/// What a snapshot says of a path.
///
/// ```
/// use dr_core::mirror::{RelPath, wire::Sight};
/// assert_ne!(Sight::Excluded(RelPath::root()), Sight::Unreadable(RelPath::root(), "no right".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there.
    Entry(RelPath, Entry),
    /// It is there and could not be read.
    Unreadable(RelPath, String),
    /// The filter leaves it out.
    Excluded(RelPath),
    /// What the machine calls a user.
    User(u32, String),
    /// What the machine calls a group.
    Group(u32, String),
    /// It is as a run left it that was cut short.
    Landed(RelPath),
    /// It did not change, and what did may be a copy of it.
    Original(RelPath, Entry),
}

impl Coded for Seen {
    fn put(&self, to: &mut Writer) {
        let number = match self.sight {
            Sight::Entry(..) => 0,
            Sight::Unreadable(..) => 1,
            Sight::Excluded(_) => 2,
            Sight::User(..) => 3,
            Sight::Group(..) => 4,
            Sight::Landed(_) => 5,
            Sight::Original(..) => 6,
        };
        to.byte(number | u8::from(self.before) << 4);
        match &self.sight {
            Sight::Entry(path, entry) | Sight::Original(path, entry) => {
                path.put(to);
                entry.put(to);
            }
            Sight::Unreadable(path, why) => {
                path.put(to);
                why.put(to);
            }
            Sight::Excluded(path) | Sight::Landed(path) => path.put(to),
            Sight::User(number, name) | Sight::Group(number, name) => {
                number.put(to);
                name.put(to);
            }
        }
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let first = from.byte()?;
        let sight = match first & 0x0f {
            0 => Sight::Entry(from.path()?, Coded::take(from)?),
            1 => Sight::Unreadable(from.path()?, from.text()?),
            2 => Sight::Excluded(from.path()?),
            3 => Sight::User(from.small()?, from.text()?),
            4 => Sight::Group(from.small()?, from.text()?),
            5 => Sight::Landed(from.path()?),
            6 => Sight::Original(from.path()?, Coded::take(from)?),
            _ => return malformed("no such line of a snapshot"),
        };
        Ok(Self { before: first & 0xf0 != 0, sight })
    }
}

impl Pack<Seen> {
    /// As [`Self::push`], for an entry that nobody has a path of its own for.
    pub fn push_entry(&mut self, before: bool, path: &[u8], entry: &Entry) -> bool {
        self.push_with(|to| {
            to.byte(u8::from(before) << 4);
            to.path(path);
            entry.put(to);
        })
    }
}

/// A version of a file: where it is, and what tells it from others.
///
/// ```
/// use dr_core::mirror::{Entry, Kind, RelPath, wire::Version};
/// let entry = Entry { kind: Kind::Fifo, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// assert!(Version(RelPath::root(), entry).0.is_root());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub RelPath, pub Entry);

impl Coded for Version {
    fn put(&self, to: &mut Writer) {
        self.0.put(to);
        self.1.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self(Coded::take(from)?, Coded::take(from)?))
    }
}

impl Coded for Carries {
    fn put(&self, to: &mut Writer) {
        let all = [self.nanoseconds, self.owners, self.any_name, self.hard_links, self.xattrs, self.special];
        to.byte(all.iter().rev().fold(0, |bits, bit| bits << 1 | u8::from(*bit)));
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let bits = from.byte()?;
        let bit = |at: u8| bits >> at & 1 == 1;
        Ok(Self {
            nanoseconds: bit(0),
            owners: bit(1),
            any_name: bit(2),
            hard_links: bit(3),
            xattrs: bit(4),
            special: bit(5),
        })
    }
}

impl Coded for Counts {
    fn put(&self, to: &mut Writer) {
        [self.files, self.directories, self.bytes].iter().for_each(|number| number.put(to));
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { files: from.number()?, directories: from.number()?, bytes: from.number()? })
    }
}

impl Coded for Room {
    fn put(&self, to: &mut Writer) {
        self.bytes.put(to);
        self.inodes.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { bytes: Coded::take(from)?, inodes: Coded::take(from)? })
    }
}

impl Item for Seen {
    const KIND: u8 = 1;
}
impl Item for Change {
    const KIND: u8 = 2;
}
impl Item for RelPath {
    const KIND: u8 = 3;
}
impl Item for Version {
    const KIND: u8 = 12;
}
impl Item for bool {
    const KIND: u8 = 13;
}
impl Item for Option<Entry> {
    const KIND: u8 = 8;
}
impl Item for Option<crate::digest::Digest> {
    const KIND: u8 = 9;
}
