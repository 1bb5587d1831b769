//! Frames: what one stretch of the line is, whose it is, and how long.

use bytes::{Buf, Bytes};

use super::coding::{Coded, Malformed, Reader, Writer, malformed};

/// The first bytes of both sides. Whatever a login shell prints before them is skipped.
pub const MAGIC: &[u8; 9] = b"\0dr agent";
/// Both sides must speak the same version. It changes with every change of what travels.
pub const PROTOCOL: u32 = 3;
/// No frame is longer, packed or unpacked.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The head of a frame: length of the content, kind, number of the request, length when unpacked (0: it is not packed).
pub const HEAD_BYTES: usize = 13;
/// So much of what a request sends may be under way, in each direction, before the other side has said that it took it.
pub const WINDOW_BYTES: usize = 4 << 20;
/// So many requests may be under way on a line.
pub const CALLS_MAX: usize = 64;

/// What a frame is.
///
/// ```
/// use dr_core::mirror::wire::FrameKind;
/// assert_ne!(FrameKind::Pack, FrameKind::Reply);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Who speaks: the first frame of both sides.
    Hello,
    /// A request; from the client.
    Call,
    /// Items of a request or of its answer. They count against the window.
    Pack,
    /// No more packs of a request come; from the client.
    Last,
    /// The end of a request; from the agent.
    Reply,
    /// So many more bytes of packs were taken.
    Credit,
    /// Nobody waits for the answer any more; from the client.
    Cancel,
    /// An event, as JSON; from the agent.
    Event,
}

const KINDS: [FrameKind; 8] = [
    FrameKind::Hello,
    FrameKind::Call,
    FrameKind::Pack,
    FrameKind::Last,
    FrameKind::Reply,
    FrameKind::Credit,
    FrameKind::Cancel,
    FrameKind::Event,
];

/// The head of a frame.
///
/// ```
/// use dr_core::mirror::wire::{FrameHead, FrameKind};
/// let head = FrameHead { length: 5, kind: FrameKind::Pack, id: 7, unpacked: 0 };
/// assert_eq!(FrameHead::from_bytes(head.to_bytes()).unwrap(), head);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The length of the content that follows.
    pub length: u32,
    /// What it is.
    pub kind: FrameKind,
    /// The request it belongs to.
    pub id: u32,
    /// Its length once unpacked; 0 if it is not packed (zstd, RFC 8878).
    pub unpacked: u32,
}

impl FrameHead {
    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&self.length.to_be_bytes());
        head[4] = self.kind as u8;
        head[5..9].copy_from_slice(&self.id.to_be_bytes());
        head[9..].copy_from_slice(&self.unpacked.to_be_bytes());
        head
    }

    /// As it came; an error if no such frame can be.
    pub fn from_bytes(head: [u8; HEAD_BYTES]) -> Result<Self, Malformed> {
        let mut rest = head.as_slice();
        let length = rest.get_u32();
        let Some(kind) = KINDS.get(usize::from(rest.get_u8())) else {
            return malformed("no such kind of frame");
        };
        let head = Self { length, kind: *kind, id: rest.get_u32(), unpacked: rest.get_u32() };
        if head.length as usize > FRAME_BYTES_MAX || head.unpacked as usize > FRAME_BYTES_MAX {
            return malformed("a frame is longer than a MiB");
        }
        Ok(head)
    }

    /// How many bytes of content the frame stands for.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.length.max(self.unpacked) as usize
    }
}

/// Who speaks. The version of the protocol stands first and will always stand there.
///
/// ```
/// use dr_core::mirror::wire::{Hello, PROTOCOL};
/// let hello = Hello { version: "0.1.0".into(), ..Hello::default() };
/// let (protocol, read) = Hello::read(hello.content()).unwrap();
/// assert_eq!((protocol, read), (PROTOCOL, Some(hello)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The version of dr.
    pub version: String,
    /// The wall clock: milliseconds since the Unix epoch. The client says 0.
    pub wall_ms: i64,
    /// How many cores the machine has. The client says 0.
    pub cores: u32,
    /// From the agent: names this agent. From the client: the agent that this line is to be one more of; empty for a new one.
    pub token: Vec<u8>,
}

impl Hello {
    /// As it travels.
    #[must_use]
    pub fn content(&self) -> Bytes {
        let mut to = Writer::new();
        to.bytes.extend_from_slice(&PROTOCOL.to_be_bytes());
        self.version.put(&mut to);
        self.wall_ms.put(&mut to);
        self.cores.put(&mut to);
        to.string(&self.token);
        to.into_bytes()
    }

    /// The version of the protocol and, if it is ours, the rest.
    pub fn read(content: Bytes) -> Result<(u32, Option<Self>), Malformed> {
        let mut from = Reader::new(content);
        let protocol = from.exactly(4)?.get_u32();
        if protocol != PROTOCOL {
            return Ok((protocol, None));
        }
        let version = from.text()?;
        let (wall_ms, cores) = (Coded::take(&mut from)?, from.small()?);
        let token = from.string()?.to_vec();
        from.done()?;
        if token.len() > 64 || version.len() > 100 {
            return malformed("a greeting is too long");
        }
        Ok((protocol, Some(Self { version, wall_ms, cores, token })))
    }
}
