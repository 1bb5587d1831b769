//! What is asked of an agent, and what it answers.

use super::Door;
use super::coding::{Coded, Malformed, Reader, Writer, malformed, put_json, take_json};
use crate::digest::Digest;
use crate::error::{Error, ErrorRecord};
use crate::mirror::{
    Carries, Change, Compress, Counts, Entry, Generation, Landing, Options, Order, RelPath, Room,
};
use crate::time::Timestamp;

/// How the line and the far machine may be used.
///
/// ```
/// use dr_core::mirror::{Options, wire::Manners};
/// assert!(Manners::from(&Options::default()).bytes_per_second.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// Whether content is compressed.
    pub compress: Compress,
    /// Bytes a second at most.
    pub bytes_per_second: Option<u64>,
    /// Work only with what nobody else wants.
    pub low_priority: bool,
}

impl From<&Options> for Manners {
    fn from(options: &Options) -> Self {
        Self {
            compress: options.compress,
            bytes_per_second: options.bytes_per_second,
            low_priority: options.low_priority,
        }
    }
}

impl Coded for Manners {
    fn put(&self, to: &mut Writer) {
        to.byte(match self.compress {
            Compress::Auto => 0,
            Compress::Never => 1,
            Compress::Always => 2,
        });
        self.bytes_per_second.put(to);
        self.low_priority.put(to);
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let compress = match from.byte()? {
            0 => Compress::Auto,
            1 => Compress::Never,
            2 => Compress::Always,
            _ => return malformed("no such way to compress"),
        };
        let bytes_per_second = Coded::take(from)?;
        if bytes_per_second == Some(0) {
            return malformed("nothing a second is no rate");
        }
        Ok(Self { compress, bytes_per_second, low_priority: Coded::take(from)? })
    }
}

/// The number of a request that has another one in it.
const IN_ORDER: u8 = 25;

/// One request. What it speaks of in numbers follows in packs; those of the answer come before it.
///
/// ```
/// use dr_core::mirror::wire::{Call, Coded, Reader, Writer};
/// let mut to = Writer::new();
/// Call::Room.put(&mut to);
/// assert_eq!(Call::take(&mut Reader::new(to.into_bytes())).unwrap(), Call::Room);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The tree at this absolute path: the first request of a line. Answered by [`Reply::Opened`].
    Open {
        /// The path on the far machine, as bytes.
        root: Vec<u8>,
    },
    /// How the line and the machine may be used from now on.
    Behave(Manners),
    /// Nothing: how long does an answer take?
    Ping,
    /// [`super::Seen`] packs come, then [`Reply::Done`].
    Scan(Options),
    /// [`super::Seen`] packs come, then [`Reply::Delta`].
    Survey {
        /// Which mirror.
        pair: Digest,
        /// What to leave out.
        options: Options,
    },
    /// [`Change`] packs follow.
    Agree {
        /// Which mirror.
        pair: Digest,
        /// The name of what was agreed.
        name: Digest,
    },
    /// [`RelPath`] packs follow, packs of `Option<Entry>` come.
    Look,
    /// [`RelPath`] packs follow, packs of `Option<Digest>` come.
    Digests,
    /// Packs of chunks, then of grains come, then [`Reply::Signature`].
    Signature {
        /// The path.
        path: RelPath,
        /// What is to be there.
        wanted: Entry,
    },
    /// [`super::Version`] packs follow, packs of yes or no come.
    Remembers,
    /// Packs of chunks, then of grains follow. Answered by [`Reply::Taken`].
    Remember {
        /// The path.
        path: RelPath,
        /// What is there.
        version: Entry,
        /// The signature is of what a cut run staged.
        staged: bool,
    },
    /// Answered by [`Reply::Room`].
    Room,
    /// [`RelPath`] packs follow: what goes to quarantine.
    Begin(Landing),
    /// Packs of files follow, packs of pieces come.
    Supply,
    /// Packs of files, then of pieces follow; packs of [`crate::mirror::Landed`] come.
    Land,
    /// [`Change`] packs follow, packs of [`crate::mirror::Landed`] come.
    ChangeAll,
    /// Answered by [`Reply::Entry`].
    Stat(RelPath),
    /// Packs of [`super::Content`] come.
    Read(RelPath),
    /// Packs of [`super::Content`] follow. Answered by [`Reply::Size`].
    Write {
        /// Where it lands.
        path: RelPath,
        /// Its metadata.
        entry: Entry,
    },
    /// One change.
    Change(Change),
    /// Makes everything durable.
    Settle,
    /// [`RelPath`] packs follow: what stays of what a cut run brought.
    Keep,
    /// Makes the new state the live one.
    Switch,
    /// Packs of [`Generation`] come.
    Generations,
    /// Makes another kept state the live one. Answered by [`Reply::Generation`].
    RollBack {
        /// The one that was live since then.
        to: Option<Timestamp>,
    },
    /// Answered by [`Reply::Place`].
    Quarantined,
    /// Joins the agent behind a door, so that content can go there directly. Answered by [`Reply::Size`]: what crossed the line to
    /// it so far.
    Reach {
        /// Where it is.
        door: Door,
        /// How the line to it may be used.
        manners: Manners,
    },
    /// Packs of files follow, whose content goes to the agent that was reached; packs of [`crate::mirror::Passed`] come, then of
    /// [`crate::mirror::Landed`]. Answered by [`Reply::Size`], as [`Self::Reach`] is.
    Deliver(Carries),
    /// Whether upper and lower case are one. Answered by [`Reply::Taken`].
    FoldsCase,
    /// A pack with one yes or no comes at once: whether the kernel sees only a part of the tree. Then one comes whenever something
    /// has changed, until nobody waits for more.
    Watch {
        /// What is left out.
        exclude: Vec<String>,
    },
    /// Another request, at its place among those of a landing; it fails (`Cancelled`) if that place never comes. Of changes, nothing
    /// is done after a stage in which something did not land: there are fewer answers then.
    InOrder(Order, Box<Self>),
}

impl Coded for Call {
    fn put(&self, to: &mut Writer) {
        to.byte(self.number());
        match self {
            Self::Open { root } => to.string(root),
            Self::Behave(manners) => manners.put(to),
            Self::Scan(options) => put_json(options, to),
            Self::Survey { pair, options } => {
                pair.put(to);
                put_json(options, to);
            }
            Self::Agree { pair, name } => {
                pair.put(to);
                name.put(to);
            }
            Self::Signature { path, wanted } => {
                path.put(to);
                wanted.put(to);
            }
            Self::Remember { path, version, staged } => {
                path.put(to);
                version.put(to);
                staged.put(to);
            }
            Self::InOrder(order, call) => {
                order.put(to);
                call.put(to);
            }
            Self::Begin(landing) => landing.put(to),
            Self::Stat(path) | Self::Read(path) => path.put(to),
            Self::Write { path, entry } => {
                path.put(to);
                entry.put(to);
            }
            Self::Change(change) => change.put(to),
            Self::RollBack { to: since } => since.put(to),
            Self::Reach { door, manners } => {
                door.put(to);
                manners.put(to);
            }
            Self::Deliver(carries) => carries.put(to),
            Self::Watch { exclude } => put_json(exclude, to),
            Self::Ping
            | Self::Keep
            | Self::FoldsCase
            | Self::Switch
            | Self::Generations
            | Self::Quarantined
            | Self::Remembers
            | Self::Look
            | Self::Digests
            | Self::Room
            | Self::Supply
            | Self::Land
            | Self::ChangeAll
            | Self::Settle => {}
        }
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let call = match from.byte()? {
            IN_ORDER => {
                let order = Coded::take(from)?;
                let number = from.byte()?;
                Self::InOrder(order, Box::new(Self::take_one(number, from)?))
            }
            number => Self::take_one(number, from)?,
        };
        from.done()?;
        Ok(call)
    }
}

impl Call {
    /// A request by its number, and none within another.
    fn take_one(number: u8, from: &mut Reader) -> Result<Self, Malformed> {
        Ok(match number {
            0 => Self::Open { root: from.string()?.to_vec() },
            1 => Self::Behave(Coded::take(from)?),
            2 => Self::Ping,
            3 => Self::Scan(take_json(from)?),
            4 => Self::Survey { pair: Coded::take(from)?, options: take_json(from)? },
            5 => Self::Agree { pair: Coded::take(from)?, name: Coded::take(from)? },
            6 => Self::Look,
            7 => Self::Digests,
            8 => Self::Signature { path: Coded::take(from)?, wanted: Coded::take(from)? },
            9 => Self::Room,
            10 => Self::Begin(Coded::take(from)?),
            11 => Self::Supply,
            12 => Self::Land,
            13 => Self::ChangeAll,
            14 => Self::Stat(Coded::take(from)?),
            15 => Self::Read(Coded::take(from)?),
            16 => Self::Write { path: Coded::take(from)?, entry: Coded::take(from)? },
            17 => Self::Change(Coded::take(from)?),
            18 => Self::Settle,
            21 => Self::Switch,
            22 => Self::Generations,
            23 => Self::RollBack { to: Coded::take(from)? },
            24 => Self::Quarantined,
            26 => Self::Keep,
            40 => Self::Reach { door: Coded::take(from)?, manners: Coded::take(from)? },
            41 => Self::Deliver(Coded::take(from)?),
            42 => Self::FoldsCase,
            43 => Self::Watch { exclude: take_json(from)? },
            19 => Self::Remembers,
            20 => Self::Remember {
                path: Coded::take(from)?,
                version: Coded::take(from)?,
                staged: Coded::take(from)?,
            },
            _ => return malformed("no such request"),
        })
    }

    fn number(&self) -> u8 {
        match self {
            Self::Open { .. } => 0,
            Self::Behave(_) => 1,
            Self::Ping => 2,
            Self::Scan(_) => 3,
            Self::Survey { .. } => 4,
            Self::Agree { .. } => 5,
            Self::Look => 6,
            Self::Digests => 7,
            Self::Signature { .. } => 8,
            Self::Room => 9,
            Self::Begin(_) => 10,
            Self::Supply => 11,
            Self::Land => 12,
            Self::ChangeAll => 13,
            Self::Stat(_) => 14,
            Self::Read(_) => 15,
            Self::Write { .. } => 16,
            Self::Change(_) => 17,
            Self::Settle => 18,
            Self::Switch => 21,
            Self::Generations => 22,
            Self::RollBack { .. } => 23,
            Self::Quarantined => 24,
            Self::Keep => 26,
            Self::Reach { .. } => 40,
            Self::Deliver(_) => 41,
            Self::FoldsCase => 42,
            Self::Watch { .. } => 43,
            Self::InOrder(..) => IN_ORDER,
            Self::Remembers => 19,
            Self::Remember { .. } => 20,
        }
    }

    /// Whether it changes anything in the tree: an agent that may only read refuses it.
    #[must_use]
    pub fn writes(&self) -> bool {
        if let Self::InOrder(_, call) = self {
            return call.writes();
        }
        matches!(
            self,
            Self::Begin(_)
                | Self::Land
                | Self::ChangeAll
                | Self::Write { .. }
                | Self::Change(_)
                | Self::Keep
                | Self::FoldsCase
                | Self::Switch
                | Self::RollBack { .. }
                | Self::Settle
        )
    }
}

/// The end of a request: what it came to.
///
/// ```
/// use dr_core::mirror::wire::Reply;
/// assert_ne!(Reply::Done, Reply::Size(0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The tree is open.
    Opened {
        /// What it can carry.
        carries: Carries,
        /// Where its root really is.
        root: Vec<u8>,
    },
    /// What is at the path.
    Entry(Option<Entry>),
    /// So many bytes.
    Size(u64),
    /// The rest of a delta.
    Delta {
        /// The name of the agreement.
        agreed: Option<Digest>,
        /// What the whole tree has.
        counts: Counts,
    },
    /// Whether there is a signature, and whether it is of what a cut run staged.
    Signature(Option<bool>),
    /// Whether a signature is of use.
    Taken(bool),
    /// What is free.
    Room(Option<Room>),
    /// A state of the whole tree.
    Generation(Generation),
    /// A place, if there is one.
    Place(Option<String>),
    /// It could not be done.
    Failed(ErrorRecord),
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_record())
    }
}

impl Coded for Reply {
    fn put(&self, to: &mut Writer) {
        match self {
            Self::Done => to.byte(0),
            Self::Opened { carries, root } => {
                to.byte(1);
                carries.put(to);
                to.string(root);
            }
            Self::Entry(entry) => {
                to.byte(2);
                entry.put(to);
            }
            Self::Size(bytes) => {
                to.byte(3);
                bytes.put(to);
            }
            Self::Delta { agreed, counts } => {
                to.byte(4);
                agreed.put(to);
                counts.put(to);
            }
            Self::Signature(staged) => {
                to.byte(5);
                staged.put(to);
            }
            Self::Room(room) => {
                to.byte(6);
                room.put(to);
            }
            Self::Failed(error) => {
                to.byte(7);
                put_json(error, to);
            }
            Self::Generation(generation) => {
                to.byte(9);
                generation.put(to);
            }
            Self::Place(place) => {
                to.byte(10);
                place.put(to);
            }
            Self::Taken(taken) => {
                to.byte(8);
                taken.put(to);
            }
        }
    }

    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let reply = match from.byte()? {
            0 => Self::Done,
            1 => Self::Opened { carries: Coded::take(from)?, root: from.string()?.to_vec() },
            2 => Self::Entry(Coded::take(from)?),
            3 => Self::Size(Coded::take(from)?),
            4 => Self::Delta { agreed: Coded::take(from)?, counts: Coded::take(from)? },
            5 => Self::Signature(Coded::take(from)?),
            6 => Self::Room(Coded::take(from)?),
            7 => Self::Failed(take_json(from)?),
            9 => Self::Generation(Coded::take(from)?),
            10 => Self::Place(Coded::take(from)?),
            8 => Self::Taken(Coded::take(from)?),
            _ => return malformed("no such answer"),
        };
        from.done()?;
        Ok(reply)
    }
}
