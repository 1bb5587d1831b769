//! The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its PROTOCOL file), as bytes.
//!
//! Written out because names and handles are bytes: a library that makes text of them cannot mirror every file, and loses its
//! handles when OpenSSH has more than 127 of them open.

use crate::keys::wire::Fields;

/// No packet is longer: OpenSSH's own limit.
pub(in crate::world) const MAX_PACKET_BYTES: usize = 256 * 1024;

/// Requests by their numbers.
pub(in crate::world) mod op {
    pub(in crate::world) const INIT: u8 = 1;
    pub(in crate::world) const OPEN: u8 = 3;
    pub(in crate::world) const CLOSE: u8 = 4;
    pub(in crate::world) const READ: u8 = 5;
    pub(in crate::world) const WRITE: u8 = 6;
    pub(in crate::world) const LSTAT: u8 = 7;
    pub(in crate::world) const SETSTAT: u8 = 9;
    pub(in crate::world) const FSETSTAT: u8 = 10;
    pub(in crate::world) const OPENDIR: u8 = 11;
    pub(in crate::world) const READDIR: u8 = 12;
    pub(in crate::world) const REMOVE: u8 = 13;
    pub(in crate::world) const MKDIR: u8 = 14;
    pub(in crate::world) const RMDIR: u8 = 15;
    pub(in crate::world) const REALPATH: u8 = 16;
    pub(in crate::world) const STAT: u8 = 17;
    pub(in crate::world) const RENAME: u8 = 18;
    pub(in crate::world) const READLINK: u8 = 19;
    pub(in crate::world) const SYMLINK: u8 = 20;
    pub(in crate::world) const EXTENDED: u8 = 200;
}

/// How a file is opened.
pub(in crate::world) mod access {
    pub(in crate::world) const READ: u32 = 0x01;
    pub(in crate::world) const WRITE: u32 = 0x02;
    pub(in crate::world) const CREATE: u32 = 0x08;
    pub(in crate::world) const EXCLUSIVE: u32 = 0x20;
}

/// What a status says.
pub(in crate::world) mod status {
    pub(in crate::world) const OK: u32 = 0;
    pub(in crate::world) const EOF: u32 = 1;
    pub(in crate::world) const NO_SUCH_FILE: u32 = 2;
    pub(in crate::world) const PERMISSION_DENIED: u32 = 3;
    pub(in crate::world) const FAILURE: u32 = 4;
    pub(in crate::world) const OP_UNSUPPORTED: u32 = 8;
}

/// What is known of a file; what is none is not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::world) struct Attrs {
    pub(in crate::world) size: Option<u64>,
    pub(in crate::world) owner: Option<(u32, u32)>,
    /// With the type bits of stat(2) when a server says it.
    pub(in crate::world) mode: Option<u32>,
    pub(in crate::world) mtime: Option<u32>,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) enum Reply {
    Version { extensions: Vec<(Vec<u8>, Vec<u8>)> },
    Status { code: u32, message: String },
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<(Vec<u8>, Attrs)>),
    Attrs(Attrs),
    Extended(Vec<u8>),
}

/// A request on its way: its length, kind and number come first.
pub(in crate::world) struct Request(Vec<u8>);

impl Request {
    pub(in crate::world) fn new(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(kind);
        bytes.extend_from_slice(&[0; 4]);
        Self(bytes)
    }

    pub(in crate::world) fn extended(name: &str) -> Self {
        Self::new(op::EXTENDED).string(name.as_bytes())
    }

    pub(in crate::world) fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(in crate::world) fn long(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(in crate::world) fn string(self, bytes: &[u8]) -> Self {
        // Paths are bounded by RelPath, data by the packet length: neither comes near 4 GiB.
        let mut request = self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        request.0.extend_from_slice(bytes);
        request
    }

    pub(in crate::world) fn attrs(self, attrs: &Attrs) -> Self {
        let flags = u32::from(attrs.size.is_some())
            | u32::from(attrs.owner.is_some()) << 1
            | u32::from(attrs.mode.is_some()) << 2
            | u32::from(attrs.mtime.is_some()) << 3;
        let mut request = self.number(flags);
        if let Some(size) = attrs.size {
            request = request.long(size);
        }
        if let Some((uid, gid)) = attrs.owner {
            request = request.number(uid).number(gid);
        }
        if let Some(mode) = attrs.mode {
            request = request.number(mode);
        }
        if let Some(mtime) = attrs.mtime {
            // Version 3 sets both times or none.
            request = request.number(mtime).number(mtime);
        }
        request
    }

    /// The packet with this number, ready to be sent. INIT has the version where others have their number.
    pub(in crate::world) fn packet(mut self, id: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0[5..9].copy_from_slice(&id.to_be_bytes());
        self.0
    }
}

/// Reads a packet without its length: the number of the request it answers, and the answer. None if it is no packet of version 3.
pub(in crate::world) fn parse(packet: &[u8]) -> Option<(u32, Reply)> {
    let mut fields = Fields(packet);
    let kind = fields.byte()?;
    let id = fields.u32()?;
    let reply = match kind {
        2 => {
            let mut extensions = vec![];
            while !fields.0.is_empty() {
                extensions.push((fields.string()?.to_vec(), fields.string()?.to_vec()));
            }
            Reply::Version { extensions }
        }
        101 => {
            let code = fields.u32()?;
            // Servers of version 3 give a message, some older ones do not.
            let message = fields.string().unwrap_or_default();
            Reply::Status { code, message: String::from_utf8_lossy(message).into_owned() }
        }
        102 => Reply::Handle(fields.string()?.to_vec()),
        103 => Reply::Data(fields.string()?.to_vec()),
        104 => {
            let count = fields.u32()?;
            let mut names = vec![];
            for _ in 0..count {
                let name = fields.string()?.to_vec();
                fields.string()?;
                names.push((name, attrs(&mut fields)?));
            }
            Reply::Names(names)
        }
        105 => Reply::Attrs(attrs(&mut fields)?),
        201 => Reply::Extended(fields.0.to_vec()),
        _ => return None,
    };
    Some((id, reply))
}

fn attrs(fields: &mut Fields<'_>) -> Option<Attrs> {
    let flags = fields.u32()?;
    let mut attrs = Attrs::default();
    if flags & 1 != 0 {
        attrs.size = Some(fields.u64()?);
    }
    if flags & 2 != 0 {
        attrs.owner = Some((fields.u32()?, fields.u32()?));
    }
    if flags & 4 != 0 {
        attrs.mode = Some(fields.u32()?);
    }
    if flags & 8 != 0 {
        fields.u32()?;
        attrs.mtime = Some(fields.u32()?);
    }
    if flags & 0x8000_0000 != 0 {
        for _ in 0..fields.u32()? {
            fields.string()?;
            fields.string()?;
        }
    }
    Some(attrs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_as_the_draft_draws_them() {
        let attrs = Attrs { mode: Some(0o644), ..Attrs::default() };
        let packet = Request::new(op::OPEN).string(b"a\xff").number(access::READ).attrs(&attrs).packet(7);
        let expected =
            [0, 0, 0, 23, 3, 0, 0, 0, 7, 0, 0, 0, 2, b'a', 0xff, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 1, 0o244];
        assert_eq!(packet, expected);
        assert_eq!(Request::new(op::INIT).packet(3), [0, 0, 0, 5, 1, 0, 0, 0, 3]);
    }

    #[test]
    fn replies_are_read_to_the_byte() {
        let names = [
            &[104, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0xfe, 0, 0, 0, 0][..],
            &[0, 0, 0, 8],
            &[0; 4],
            &[0, 0, 0, 5],
        ]
        .concat();
        let attrs = Attrs { mtime: Some(5), ..Attrs::default() };
        assert_eq!(parse(&names), Some((9, Reply::Names(vec![(vec![0xfe], attrs)]))));
        for end in 0..names.len() {
            assert_eq!(parse(&names[..end]), None, "cut at {end}");
        }
        assert_eq!(
            parse(&[101, 0, 0, 0, 1, 0, 0, 0, 4]).map(|(id, _)| id),
            Some(1),
            "a status without a message"
        );
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&packet);
        }

        #[test]
        fn no_names_or_attributes_panic(kind in 101_u8..106, rest in proptest::collection::vec(0..9_u8, 0..200)) {
            let _ = parse(&[&[kind][..], &rest].concat());
        }
    }
}
