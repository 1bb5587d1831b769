//! A tree as facts: entries by path, and paths that cannot leave it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::entries::{is_below, tree_order};
use crate::digest::Digest;

/// A path below the root of a tree: bytes, components separated by `/`, never empty, absolute, or with `.`, `..` or NUL in it.
///
/// Paths are ordered as a tree is walked: a directory is followed by all that is in it, then by the name after it. In JSON a path is
/// text where it is UTF-8, else `{"base64": "…"}`; the root itself is [`RelPath::root`], written as ".".
///
/// ```
/// use dr_core::mirror::RelPath;
/// let path = RelPath::new(b"css/site.css").unwrap();
/// assert_eq!(path.to_string(), "css/site.css");
/// assert!(RelPath::new(b"../etc/passwd").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The root of the tree.
    #[must_use]
    pub fn root() -> Self {
        Self(vec![])
    }

    /// A path below the root; the error says what is wrong with it.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        match Self::fault(bytes) {
            Some(why) => Err(format!("'{}' is no path below a root: {why}", bytes.escape_ascii())),
            None => Ok(Self(bytes.to_vec())),
        }
    }

    /// Why these bytes are no path below a root, if they are none.
    pub(crate) fn fault(bytes: &[u8]) -> Option<&'static str> {
        if bytes.len() > 4095 {
            return Some("it is longer than 4095 bytes");
        }
        bytes.split(|byte| *byte == b'/').find_map(|part| match part {
            b"" => Some("it is empty, begins or ends with a slash or has two in a row"),
            b"." | b".." => Some("it has '.' or '..' in it"),
            part if part.contains(&0) => Some("it has a NUL in it"),
            part if part.len() > 255 => Some("a component is longer than 255 bytes"),
            _ => None,
        })
    }

    /// A path of which the bytes were looked at before.
    pub(crate) fn known(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// This path with one more component.
    pub fn join(&self, name: &[u8]) -> Result<Self, String> {
        if name.contains(&b'/') {
            return Err(format!("'{}' is no file name", name.escape_ascii()));
        }
        if self.0.is_empty() {
            Self::new(name)
        } else {
            Self::new(&[&self.0, b"/".as_slice(), name].concat())
        }
    }

    /// The bytes; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether this is the root of the tree.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path leads through the directory `above`, which is not this path itself.
    #[must_use]
    pub fn is_below(&self, above: &Self) -> bool {
        is_below(&self.0, &above.0)
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The directory it is in; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let cut = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..cut].to_vec()))
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        tree_order(&self.0, &other.0)
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    /// Fit for a terminal: control characters and what is not UTF-8 are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some("") => f.write_str("."),
            Some(text) if !text.chars().any(char::is_control) => f.write_str(text),
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

impl Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self.as_str() {
            Some("") => to.serialize_str("."),
            Some(text) => to.serialize_str(text),
            None => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry("base64", &data_encoding::BASE64.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RelPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a relative path as text, or as {\"base64\": …}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RelPath, E> {
                if text == "." {
                    Ok(RelPath::root())
                } else {
                    RelPath::new(text.as_bytes()).map_err(E::custom)
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RelPath, A::Error> {
                let coded = Base64::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let bytes =
                    data_encoding::BASE64.decode(coded.base64.as_bytes()).map_err(A::Error::custom)?;
                RelPath::new(&bytes).map_err(A::Error::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for RelPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RelPath".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["base64"], "additionalProperties": false,
              "properties": { "base64": { "type": "string" } } }
        ] })
    }
}

/// What is at a path: what it is, and the metadata that both endpoints can carry.
///
/// ```
/// use dr_core::mirror::{Entry, Kind};
/// let page = Entry { kind: Kind::File { size_bytes: 5, digest: None }, mode: 0o644, mtime_s: 0, mtime_ns: 0, owner: None, xattrs: None };
/// assert!(page.is_file());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0o7777 (inode(7)).
    pub mode: u32,
    /// Last modification: seconds since the Unix epoch.
    pub mtime_s: i64,
    /// Last modification: nanoseconds within that second; 0 from endpoints that know only seconds (SFTP version 3).
    #[serde(default)]
    pub mtime_ns: u32,
    /// Numeric owner and group, where the endpoint knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Extended attributes (xattr(7)), POSIX ACLs among them, where the endpoint reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xattrs: Option<Xattrs>,
}

/// Extended attributes by name. Most trees have none: then all entries share one empty map.
pub type Xattrs = Arc<BTreeMap<String, Bytes>>;

impl Entry {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// The entry as it will be seen where `carries` is what arrives.
    ///
    /// ```
    /// use dr_core::mirror::{Carries, Entry, Kind};
    /// let page = Entry { kind: Kind::Directory, mode: 0o755, mtime_s: -1, mtime_ns: 7, owner: None, xattrs: None };
    /// let sftp = Carries { nanoseconds: false, owners: false, any_name: true, hard_links: false, xattrs: false, special: false };
    /// assert_eq!((page.as_carried(sftp).mtime_s, page.as_carried(sftp).mtime_ns), (0, 0));
    /// ```
    #[must_use]
    pub fn as_carried(&self, carries: Carries) -> Self {
        let mut carried = self.clone();
        if !carries.owners {
            carried.owner = None;
        }
        if !carries.xattrs {
            carried.xattrs = None;
        }
        if !carries.nanoseconds {
            carried.mtime_ns = 0;
            carried.mtime_s = carried.mtime_s.clamp(0, i64::from(u32::MAX));
            if matches!(carried.kind, Kind::Symlink { .. }) {
                // Where times are that coarse (SFTP), those of links cannot be set: 0 stands for "not known".
                carried.mtime_s = 0;
            }
        }
        carried
    }

    /// Its size, if it is a regular file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        if let Kind::File { size_bytes, .. } = self.kind { size_bytes } else { 0 }
    }
}

/// Numeric owner and group.
///
/// ```
/// use dr_core::mirror::Owner;
/// assert_ne!(Owner { uid: 33, gid: 33 }, Owner { uid: 0, gid: 0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What an entry is.
///
/// ```
/// use dr_core::mirror::{Bytes, Kind};
/// let link = Kind::Symlink { target: Bytes(b"releases/2".to_vec()) };
/// assert_eq!(serde_json::to_string(&link).unwrap(), r#"{"symlink":{"target":"releases/2"}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File {
        /// Its size.
        size_bytes: u64,
        /// BLAKE3 of its content, where it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A directory.
    Directory,
    /// A symbolic link; its target as it stands.
    Symlink {
        /// Where it points: text, or base64 where it is not UTF-8.
        target: Bytes,
    },
    /// One more name of a file that has several: the first of them in the order of the tree is the file itself.
    HardLink {
        /// The first name.
        first: RelPath,
    },
    /// A block or character device (mknod(2)).
    Device {
        /// A block device; else a character device.
        is_block: bool,
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket in the file system: its name and metadata only.
    Socket,
    /// Something that the endpoint cannot describe: seen, reported, and not carried.
    Other,
}

/// Bytes that are usually text: text in JSON where they are UTF-8, else `{"base64": "…"}`.
///
/// ```
/// use dr_core::mirror::Bytes;
/// assert_eq!(serde_json::to_string(&Bytes(b"text".to_vec())).unwrap(), "\"text\"");
/// assert_eq!(serde_json::to_string(&Bytes(vec![0xff])).unwrap(), r#"{"base64":"/w=="}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return to.serialize_str(text);
        }
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry("base64", &data_encoding::BASE64.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or {\"base64\": …}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Bytes, A::Error> {
                let coded = Base64::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                data_encoding::BASE64.decode(coded.base64.as_bytes()).map(Bytes).map_err(A::Error::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        RelPath::json_schema(generator)
    }
}

/// What an endpoint can carry; honest, so that two endpoints are compared only in what both know.
///
/// ```
/// use dr_core::mirror::Carries;
/// let disk = Carries { nanoseconds: true, owners: true, any_name: true, hard_links: true, xattrs: true, special: true };
/// let sftp = Carries { nanoseconds: false, owners: false, any_name: true, hard_links: false, xattrs: false, special: false };
/// assert_eq!(disk.onto(sftp), sftp);
/// assert!(sftp.onto(disk).owners, "whether owners are known is for each entry to say, whether they can be set for the target");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carries {
    /// Times finer than a second, and outside the years 1970 to 2106.
    pub nanoseconds: bool,
    /// It may set numeric owners. An endpoint that may not can still read them: its entries then have an owner.
    pub owners: bool,
    /// Names that are not UTF-8.
    pub any_name: bool,
    /// Several names of one file.
    pub hard_links: bool,
    /// Extended attributes, and with them POSIX ACLs.
    pub xattrs: bool,
    /// Devices, FIFOs and sockets.
    pub special: bool,
}

impl Carries {
    /// What arrives when `self` is mirrored onto `target`.
    #[must_use]
    pub fn onto(self, target: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds && target.nanoseconds,
            hard_links: self.hard_links && target.hard_links,
            xattrs: self.xattrs && target.xattrs,
            special: self.special && target.special,
            ..target
        }
    }
}
