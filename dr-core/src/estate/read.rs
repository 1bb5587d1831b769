//! Reading values out of a [`Node`] tree without stopping at the first mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::mistake::{Path, nearest};
use super::names::{DnsName, GroupId, HostId, NameServerId, ObserverId, ProviderId, SiteId, ZoneName};
use super::node::{Node, Value};
use super::record::RecordType;
use super::remote::Remote;
use crate::time::Period;

/// A mistake whose place in the text is not yet known.
pub(super) struct Note {
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// Whether the key is the mistake, and not the value.
    pub(super) of_key: bool,
}

/// A text with more mistakes than this is not an estate; the rest is not listed.
const MAX_NOTES: usize = 500;

/// The mistakes so far.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) list: Vec<Note>,
    /// Whether there were more.
    pub(super) cut: bool,
    /// Places that would look wrong only because of a mistake already noted elsewhere.
    doubtful: Vec<Path>,
}

impl Notes {
    pub(super) fn add(&mut self, path: Path, message: impl Into<String>, suggestion: Option<String>) {
        self.push(Note { path, message: message.into(), suggestion, of_key: false });
    }

    pub(super) fn push(&mut self, note: Note) {
        self.cut |= self.list.len() >= MAX_NOTES;
        if !self.cut {
            self.list.push(note);
        }
    }

    /// Whether what is below this place could not be read, or stands under a mistyped key.
    pub(super) fn hide(&self, path: &Path) -> bool {
        self.list.iter().map(|note| &note.path).chain(&self.doubtful).any(|known| known == path)
    }

    /// Whether a mistake is already known at this place, above it or below it.
    pub(super) fn touch(&self, path: &Path) -> bool {
        let noted = self.list.iter().map(|note| &note.path);
        noted.chain(&self.doubtful).any(|known| known.overlaps(path))
    }
}

/// Reads a value; none after noting why not.
pub(super) trait Read: Sized {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self>;
}

/// A table being read: every key that is asked for is a known one, and the others are mistakes.
pub(super) struct Reader<'a> {
    entries: &'a [(String, Node)],
    path: Path,
    known: Vec<&'static str>,
    notes: &'a mut Notes,
}

impl<'a> Reader<'a> {
    pub(super) fn open(node: &'a Node, path: &Path, notes: &'a mut Notes) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            expected("a table", node, path, notes);
            return None;
        };
        Some(Self { entries, path: path.clone(), known: vec![], notes })
    }

    /// The value of a key that may be left out.
    pub(super) fn optional<T: Read>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        let node = self.entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1)?;
        if matches!(node.value, Value::Null) {
            return None;
        }
        T::read(node, &self.path.key(key), self.notes)
    }

    /// The value of a key that may be left out, or what stands for it.
    pub(super) fn or<T: Read>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of a key that must be there. When it is missing or wrong that is noted, and reading goes on with `stand_in`, so
    /// that the mistakes after it come to light as well.
    pub(super) fn required<T: Read>(&mut self, key: &'static str, stand_in: &str) -> Option<T> {
        let there = self.entries.iter().any(|entry| entry.0 == key && !matches!(entry.1.value, Value::Null));
        let value = self.optional(key);
        if !there {
            self.notes.add(self.path.key(key), "missing key", None);
        }
        value.or_else(|| T::read(&Node::text(stand_in), &self.path, &mut Notes::default()))
    }

    /// Ends the table: what was not asked for is unknown.
    pub(super) fn close(self) {
        let absent = |key: &&&str| self.entries.iter().all(|entry| entry.0 != **key);
        let free: Vec<&str> = self.known.iter().filter(absent).copied().collect();
        for (key, _) in self.entries.iter().filter(|entry| !self.known.contains(&entry.0.as_str())) {
            let meant = nearest(key, free.iter().copied());
            if let Some(meant) = &meant {
                let there = self.path.key(meant);
                // "missing key" would say the same mistake twice.
                self.notes.list.retain(|note| note.path != there || note.message != "missing key");
                self.notes.doubtful.push(there);
            }
            self.notes.push(Note {
                path: self.path.key(key),
                message: "unknown key".to_owned(),
                suggestion: meant,
                of_key: true,
            });
        }
    }
}

/// Notes that something else stands there.
pub(super) fn expected(what: &str, node: &Node, path: &Path, notes: &mut Notes) {
    notes.add(path.clone(), format!("expected {what}, found {}", node.sort()), None);
}

/// A text that `parse` understands.
pub(super) fn text_as<T>(
    node: &Node,
    path: &Path,
    notes: &mut Notes,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let Value::Text(text) = &node.value else {
        expected("a text", node, path, notes);
        return None;
    };
    parse(text).map_err(|why| notes.add(path.clone(), why, None)).ok()
}

/// One of a few words, noted with the one that was probably meant.
pub(super) fn word_of<T: Copy>(
    node: &Node,
    path: &Path,
    notes: &mut Notes,
    words: &[(&'static str, T)],
) -> Option<T> {
    let word = String::read(node, path, notes)?;
    if let Some(row) = words.iter().find(|row| row.0 == word) {
        return Some(row.1);
    }
    let known: Vec<&str> = words.iter().map(|row| row.0).collect();
    let message = format!("'{}' is none of {}", word.escape_debug(), known.join(", "));
    notes.add(path.clone(), message, nearest(&word, known));
    None
}

impl Read for String {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        text_as(node, path, notes, |text| match text.contains('\0') {
            false => Ok(text.to_owned()),
            true => Err("a NUL stands in the text".to_owned()),
        })
    }
}

impl Read for PathBuf {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let text = String::read(node, path, notes)?;
        if text.is_empty() {
            notes.add(path.clone(), "the path is empty", None);
            return None;
        }
        Some(text.into())
    }
}

impl Read for bool {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        if let Value::Bool(truth) = node.value {
            return Some(truth);
        }
        expected("true or false", node, path, notes);
        None
    }
}

fn number<T: TryFrom<i128> + std::fmt::Display>(
    node: &Node,
    path: &Path,
    notes: &mut Notes,
    max: T,
) -> Option<T> {
    let Value::Integer(number) = node.value else {
        expected("a whole number", node, path, notes);
        return None;
    };
    let out_of_range = |_| notes.add(path.clone(), format!("{number} is not between 0 and {max}"), None);
    T::try_from(number).map_err(out_of_range).ok()
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
                number(node, path, notes, Self::MAX)
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
                text_as(node, path, notes, |text| text.parse().map_err(|why| format!("{why}")))
            }
        }
    )*};
}
texts!(
    HostId,
    SiteId,
    GroupId,
    ObserverId,
    NameServerId,
    ProviderId,
    DnsName,
    ZoneName,
    Remote,
    RecordType,
    Period
);

impl Read for IpAddr {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        text_as(node, path, notes, |text| {
            let said =
                |_| format!("'{}' is no address such as 192.0.2.1 or 2001:db8::1", text.escape_debug());
            text.parse().map_err(said)
        })
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let Value::List(items) = &node.value else {
            expected("a list", node, path, notes);
            return None;
        };
        let item = |(number, item)| T::read(item, &path.index(number), notes);
        Some(items.iter().enumerate().filter_map(item).collect())
    }
}

impl<T: Read + Ord> Read for BTreeSet<T> {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        Vec::read(node, path, notes).map(|list| list.into_iter().collect())
    }
}

impl<K: FromStr<Err: std::fmt::Display> + Ord, T: Read> Read for BTreeMap<K, T> {
    fn read(node: &Node, path: &Path, notes: &mut Notes) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            expected("a table", node, path, notes);
            return None;
        };
        let mut map = Self::new();
        for (key, value) in entries {
            let path = path.key(key);
            let name = key.parse::<K>().map_err(|why| {
                let message = why.to_string();
                notes.push(Note { path: path.clone(), message, suggestion: None, of_key: true });
            });
            let value = T::read(value, &path, notes);
            let (Ok(name), Some(value)) = (name, value) else { continue };
            if map.insert(name, value).is_some() {
                notes.add(path, "the same name, written in another way, stands above", None);
            }
        }
        Some(map)
    }
}
