//! The bytes of SFTP version 3 (draft-ietf-secsh-filexfer-02), with the extensions of OpenSSH's `PROTOCOL` file.
//!
//! Written here because names are bytes: a library that wants text in a name cannot even say which request it
//! refuses.

/// The longest packet read or written: what OpenSSH's `sftp-server` takes.
pub(crate) const PACKET_MAX_BYTES: u32 = 256 * 1024;
/// The most data in one READ or WRITE, leaving room for the packet's own fields.
pub(crate) const DATA_MAX_BYTES: u32 = PACKET_MAX_BYTES - 1024;

/// What this server offers beyond version 3, as OpenSSH's does.
pub(crate) const EXTENSIONS: [(&str, &str); 6] = [
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
];

/// SSH_FXP_STATUS codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Ok = 0,
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    OpUnsupported = 8,
}

/// Attributes as SFTP carries them; what is `None` is not said, or not to be changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) size: Option<u64>,
    /// User and group id.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mode: Option<u32>,
    /// Access and modification time, seconds since 1970.
    pub(crate) times: Option<(u32, u32)>,
}

/// How a file is opened: the bits of SSH_FXF_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access(pub(crate) u32);

impl Access {
    pub(crate) const READ: u32 = 0x01;
    pub(crate) const WRITE: u32 = 0x02;
    pub(crate) const APPEND: u32 = 0x04;
    pub(crate) const CREATE: u32 = 0x08;
    pub(crate) const TRUNCATE: u32 = 0x10;
    pub(crate) const EXCLUDE: u32 = 0x20;

    pub(crate) fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Open {
        path: Vec<u8>,
        access: Access,
        attributes: Attributes,
    },
    Close {
        handle: Vec<u8>,
    },
    Read {
        handle: Vec<u8>,
        offset: u64,
        length: u32,
    },
    Write {
        handle: Vec<u8>,
        offset: u64,
        data: Vec<u8>,
    },
    Lstat {
        path: Vec<u8>,
    },
    Fstat {
        handle: Vec<u8>,
    },
    Setstat {
        path: Vec<u8>,
        attributes: Attributes,
    },
    Lsetstat {
        path: Vec<u8>,
        attributes: Attributes,
    },
    Fsetstat {
        handle: Vec<u8>,
        attributes: Attributes,
    },
    Opendir {
        path: Vec<u8>,
    },
    Readdir {
        handle: Vec<u8>,
    },
    Remove {
        path: Vec<u8>,
    },
    Mkdir {
        path: Vec<u8>,
        attributes: Attributes,
    },
    Rmdir {
        path: Vec<u8>,
    },
    Realpath {
        path: Vec<u8>,
    },
    Stat {
        path: Vec<u8>,
    },
    Rename {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    PosixRename {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    Hardlink {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    Readlink {
        path: Vec<u8>,
    },
    /// OpenSSH has the two in this order, against the draft, and every client follows it.
    Symlink {
        target: Vec<u8>,
        link: Vec<u8>,
    },
    Fsync {
        handle: Vec<u8>,
    },
    Statvfs {
        path: Vec<u8>,
    },
    Limits,
    Unsupported,
}

/// A packet from a client: the first of a session, or one with a request in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Init,
    /// `None`: the body makes no sense.
    Request(u32, Option<Request>),
}

/// Reads the packet whose bytes (without the length in front) are `body`. `None` if it has not even an id.
pub(crate) fn decode(body: &[u8]) -> Option<Packet> {
    let mut fields = Fields(body);
    let kind = fields.byte()?;
    if kind == 1 {
        return Some(Packet::Init);
    }
    let id = fields.u32()?;
    Some(Packet::Request(id, request(kind, &mut fields)))
}

fn request(kind: u8, f: &mut Fields<'_>) -> Option<Request> {
    Some(match kind {
        3 => Request::Open { path: f.string()?, access: Access(f.u32()?), attributes: f.attributes()? },
        4 => Request::Close { handle: f.string()? },
        5 => Request::Read { handle: f.string()?, offset: f.u64()?, length: f.u32()? },
        6 => Request::Write { handle: f.string()?, offset: f.u64()?, data: f.string()? },
        7 => Request::Lstat { path: f.path()? },
        8 => Request::Fstat { handle: f.string()? },
        9 => Request::Setstat { path: f.path()?, attributes: f.attributes()? },
        10 => Request::Fsetstat { handle: f.string()?, attributes: f.attributes()? },
        11 => Request::Opendir { path: f.path()? },
        12 => Request::Readdir { handle: f.string()? },
        13 => Request::Remove { path: f.path()? },
        14 => Request::Mkdir { path: f.path()?, attributes: f.attributes()? },
        15 => Request::Rmdir { path: f.path()? },
        16 => Request::Realpath { path: f.path()? },
        17 => Request::Stat { path: f.path()? },
        18 => Request::Rename { from: f.path()?, to: f.path()? },
        19 => Request::Readlink { path: f.path()? },
        20 => Request::Symlink { target: f.path()?, link: f.path()? },
        200 => extended(f)?,
        _ => Request::Unsupported,
    })
}

fn extended(f: &mut Fields<'_>) -> Option<Request> {
    Some(match f.string()?.as_slice() {
        b"posix-rename@openssh.com" => Request::PosixRename { from: f.path()?, to: f.path()? },
        b"hardlink@openssh.com" => Request::Hardlink { from: f.path()?, to: f.path()? },
        b"fsync@openssh.com" => Request::Fsync { handle: f.string()? },
        b"lsetstat@openssh.com" => Request::Lsetstat { path: f.path()?, attributes: f.attributes()? },
        b"statvfs@openssh.com" => Request::Statvfs { path: f.path()? },
        b"limits@openssh.com" => Request::Limits,
        _ => Request::Unsupported,
    })
}

/// What is left to read of a packet.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length).map(<[u8]>::to_vec)
    }

    /// A name: bytes, but no NUL, which no file system takes.
    fn path(&mut self) -> Option<Vec<u8>> {
        self.string().filter(|path| !path.contains(&0))
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.u32()?;
        let mut attributes = Attributes::default();
        if flags & 0x1 != 0 {
            attributes.size = Some(self.u64()?);
        }
        if flags & 0x2 != 0 {
            attributes.owner = Some((self.u32()?, self.u32()?));
        }
        if flags & 0x4 != 0 {
            attributes.mode = Some(self.u32()?);
        }
        if flags & 0x8 != 0 {
            attributes.times = Some((self.u32()?, self.u32()?));
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.u32()? {
                self.string()?;
                self.string()?;
            }
        }
        Some(attributes)
    }
}

/// A packet on its way to the client. Its length is filled in by [`Reply::bytes`].
pub(crate) struct Reply(Vec<u8>);

impl Reply {
    fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn string(mut self, value: &[u8]) -> Self {
        // Nothing longer than a packet is ever replied.
        self.0.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(value);
        self
    }

    fn attributes(self, attributes: &Attributes) -> Self {
        let flags = u32::from(attributes.size.is_some())
            | (u32::from(attributes.owner.is_some()) << 1)
            | (u32::from(attributes.mode.is_some()) << 2)
            | (u32::from(attributes.times.is_some()) << 3);
        let mut reply = self.u32(flags);
        if let Some(size) = attributes.size {
            reply = reply.u64(size);
        }
        if let Some((user, group)) = attributes.owner {
            reply = reply.u32(user).u32(group);
        }
        if let Some(mode) = attributes.mode {
            reply = reply.u32(mode);
        }
        if let Some((accessed, modified)) = attributes.times {
            reply = reply.u32(accessed).u32(modified);
        }
        reply
    }

    pub(crate) fn version() -> Self {
        EXTENSIONS.iter().fold(Self::new(2).u32(3), |reply, (name, version)| {
            reply.string(name.as_bytes()).string(version.as_bytes())
        })
    }

    pub(crate) fn status(id: u32, code: Code, message: &str) -> Self {
        Self::new(101).u32(id).u32(code as u32).string(message.as_bytes()).string(b"en")
    }

    pub(crate) fn handle(id: u32, handle: &[u8]) -> Self {
        Self::new(102).u32(id).string(handle)
    }

    pub(crate) fn data(id: u32, data: &[u8]) -> Self {
        Self::new(103).u32(id).string(data)
    }

    /// Names with their `ls -l` form and attributes.
    pub(crate) fn names(id: u32, names: &[(Vec<u8>, Vec<u8>, Attributes)]) -> Self {
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        names.iter().fold(Self::new(104).u32(id).u32(count), |reply, (name, long, attributes)| {
            reply.string(name).string(long).attributes(attributes)
        })
    }

    pub(crate) fn attrs(id: u32, attributes: &Attributes) -> Self {
        Self::new(105).u32(id).attributes(attributes)
    }

    /// An extended reply that is nothing but numbers: statvfs and limits.
    pub(crate) fn numbers(id: u32, numbers: &[u64]) -> Self {
        numbers.iter().fold(Self::new(201).u32(id), |reply, number| reply.u64(*number))
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn packet(kind: u8, id: u32, fields: &[&[u8]]) -> Vec<u8> {
        [&[kind], &id.to_be_bytes()[..], &fields.concat()].concat()
    }

    #[test]
    fn requests_are_read_with_names_of_any_bytes() {
        let name = b"caf\xe9";
        let open = packet(3, 7, &[&string(name), &[0, 0, 0, 0x1a], &[0, 0, 0, 4, 0, 0, 1, 0xa4]]);
        let attributes = Attributes { mode: Some(0o644), ..Attributes::default() };
        let expected = Request::Open { path: name.to_vec(), access: Access(0x1a), attributes };
        assert_eq!(decode(&open), Some(Packet::Request(7, Some(expected))));

        let rename = packet(200, 8, &[&string(b"posix-rename@openssh.com"), &string(b"a"), &string(b"b")]);
        let expected = Request::PosixRename { from: b"a".to_vec(), to: b"b".to_vec() };
        assert_eq!(decode(&rename), Some(Packet::Request(8, Some(expected))));
        let unknown = packet(200, 9, &[&string(b"home-directory"), &string(b"root")]);
        assert_eq!(decode(&unknown), Some(Packet::Request(9, Some(Request::Unsupported))));
    }

    #[test]
    fn every_truncation_is_refused_with_the_id_it_had() {
        let whole = packet(18, 300, &[&string(b"from"), &string(b"to")]);
        for length in 0..whole.len() {
            let expected = if length < 5 { None } else { Some(Packet::Request(300, None)) };
            if length > 0 || expected.is_none() {
                assert_eq!(decode(&whole[..length]), expected, "{length} bytes");
            }
        }
        let nul = packet(17, 1, &[&string(b"a\0b")]);
        assert_eq!(decode(&nul), Some(Packet::Request(1, None)));
        let huge = packet(17, 1, &[&[0xff, 0xff, 0xff, 0xff], b"a"]);
        assert_eq!(decode(&huge), Some(Packet::Request(1, None)));
    }

    #[test]
    fn attributes_read_back_as_written() {
        let attributes = Attributes {
            size: Some(1 << 40),
            owner: Some((1, 2)),
            mode: Some(0o100_644),
            times: Some((3, 4)),
        };
        let bytes = Reply::attrs(5, &attributes).bytes();
        assert_eq!(bytes[..4], u32::try_from(bytes.len() - 4).unwrap().to_be_bytes());
        assert_eq!(Fields(&bytes[9..]).attributes(), Some(attributes));
    }
}
