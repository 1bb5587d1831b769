//! The only input and output: a struct of small traits, each with its contract and a conformance suite.
//!
//! Everything else in the crate is given a [`World`] or, better, only facts. The real world is made by
//! [`crate::toolkit::Toolkit`]; [`sim`] is a world in memory with faults, for tests and drills. Contracts common to all traits:
//! a call that fails has either done nothing or says [`crate::ErrorKind::OutcomeUnknown`]; every call honours the
//! [`Control`]'s cancellation; every wait has a limit; nothing here retries what changes something.

pub mod agent;
pub mod clock;
mod control;
pub mod coordinator;
pub mod endpoints;
mod eyes;
pub(crate) mod here;
mod host_key;
pub mod inbox;
pub mod journal;
mod output;
pub mod probes;
pub mod providers;
pub mod resolver;
pub mod seat_file;
mod sftp;
pub(crate) mod signatures;
pub mod sim;
mod sqlite;
pub mod ssh;
mod swap;
pub mod talk;
mod tls;
mod transfer;
pub mod warden;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use control::{Cancel, Control};
pub use coordinator::{Cas, Coordinator};
pub use eyes::Changes;
pub use host_key::HostKeyShown;
pub use output::Output;
pub use providers::{Abilities, Atomicity, Commit};
pub use swap::Swap;

use crate::digest::Digest;
use crate::dns::{
    Answer, Probe as DnsProbe, Question, Reply, Serial, TransferLimits, Transferred, ZoneChange,
};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Location, ProbeSpec, RecordKey, RecordSet, Remote, ZoneName};
use crate::failover::Sight;
use crate::keys::Software;
pub use crate::mirror::Carries;
use crate::mirror::wire::Door;
use crate::mirror::{
    Agreement, Change, Delta, Entry, Generation, Landed, Landing, Lot, Options, Order, Piece, RelPath, Room,
    Signature, Snapshot, Survey,
};
use crate::plan::Plan;
use crate::run::{Event, Line, Outcome, RunId};
use crate::time::{Tick, Timestamp};
use endpoints::Onlooker;

/// Everything outside, as capabilities. Clone it freely: it is a handful of pointers.
///
/// ```
/// use std::sync::Arc;
/// use dr_core::world::{World, clock::SystemClock, sim::SimWorld};
/// // Everything simulated, but for the time.
/// let world = World { clock: Arc::new(SystemClock::new()), ..SimWorld::new().world() };
/// assert!(world.clock.read().wall > Default::default());
/// ```
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Questions to name servers and resolvers.
    pub resolver: Arc<dyn Resolver>,
    /// Where records are changed.
    pub provider: Arc<dyn Provider>,
    /// Where trees live.
    pub endpoints: Arc<dyn Endpoints>,
    /// Looks at services.
    pub probe: Arc<dyn Probe>,
    /// Hosts by SSH.
    pub shell: Arc<dyn Shell>,
    /// What was intended and done.
    pub journal: Arc<dyn Journal>,
    /// Who holds which site.
    pub coordinator: Arc<dyn Coordinator>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World { .. }")
    }
}

/// One reading of all clocks of this machine.
///
/// ```
/// use dr_core::world::Reading;
/// use dr_core::{Tick, Timestamp};
/// use std::time::Duration;
/// let (boot, running) = (Tick(Duration::from_secs(90)), Tick(Duration::from_secs(60)));
/// let reading = Reading { wall: Timestamp::default(), boot, running };
/// assert_eq!(reading.boot.since(reading.running), Duration::from_secs(30), "it slept so long");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since boot, suspend included (CLOCK_BOOTTIME).
    pub boot: Tick,
    /// Time since boot, suspend not included (CLOCK_MONOTONIC).
    pub running: Tick,
}

/// Time. `boot` never goes back and counts suspend; `wall` may jump.
#[async_trait]
pub trait Clock: Send + Sync {
    /// All clocks at once.
    fn read(&self) -> Reading;
    /// Waits at least so long by `boot`, so that it ends at once after a suspend that outlasted it.
    async fn sleep(&self, span: Duration);
}

/// Questions to name servers. It never fails: what went wrong is an [`Answer`] too.
///
/// A question over UDP is sent at most three times within `within`; an answer counts only if it comes from the address that was
/// asked and repeats identifier and question. Truncated answers are asked for again over TCP.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Puts one question to one server.
    async fn ask(&self, server: SocketAddr, question: &Question, within: Duration) -> Answer;
    /// The same, and whether the server says that it has validated the signatures of what it answers (AD, RFC 4035 section 3.2.3). Its
    /// word is worth what the way to it is worth.
    async fn ask_whether_signed(
        &self,
        server: SocketAddr,
        question: &Question,
        within: Duration,
    ) -> (Answer, bool) {
        (self.ask(server, question, within).await, false)
    }
    /// Makes one probe at one server, and gives what came back as it came: truncated answers are asked for again over TCP unless
    /// truncation is what the probe is about, and an answer from another address is told.
    async fn probe(&self, server: SocketAddr, zone: &ZoneName, probe: DnsProbe, within: Duration) -> Reply;
}

/// Where records are changed: all record sets of a [`ZoneChange`] at once or none, only if every `from` and `require` holds.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What can be relied on with this zone.
    fn abilities(&self, _zone: &ZoneName) -> Abilities {
        Abilities::RFC2136
    }
    /// Whether it could make this change at all, whatever the zone has; nothing is asked of anybody. `Usage` or `Refused` says why not.
    fn fits(&self, change: &ZoneChange) -> Result<()> {
        let operation = format!("change {}", change.zone);
        self.abilities(&change.zone).check(change, &operation)
    }
    /// What the primary has now; TTL included. None where the record set does not exist.
    async fn read(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<RecordSet>>>;
    /// Makes the change. A refusal by the server (rights, signature, clock) is an error of kind `Rejected`.
    async fn commit(&self, change: &ZoneChange) -> Result<Commit>;
    /// Asks whether the change could be made now, by a message with its prerequisites that changes nothing. An error of kind
    /// `Conflict` says that they do not hold, `Rejected` that we may not.
    async fn rehearse(&self, change: &ZoneChange) -> Result<()>;
    /// The zone as a name server has it (RFC 5936), asked for with this key; with `since`, what changed since that version where the server
    /// keeps that (RFC 1995). Whatever the server does, it takes no more than five minutes and no more memory than the limits say. An error
    /// of kind `Rejected` says that the server will not, or that its answer is not signed as it must be: nothing of such an answer is given.
    /// Not every provider can.
    async fn transfer(
        &self,
        zone: &ZoneName,
        server: SocketAddr,
        _key: Option<&DnsName>,
        _since: Option<Serial>,
        _limits: TransferLimits,
    ) -> Result<Transferred> {
        let operation = format!("transfer {zone} from {server}");
        Err(Error::new(ErrorKind::Unsupported, operation, "this provider transfers no zones"))
    }
}

/// Opens endpoints. The directory of a target may not exist yet; its parent must.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// The tree at this place.
    async fn open(&self, location: &Location, control: &Control) -> Result<Box<dyn Endpoint>>;
}

/// The content of a file on its way.
pub type Content = Box<dyn AsyncRead + Send + Unpin>;

/// A tree somewhere. No path leads out of its root: not by symbolic links, `..`, or a race.
#[async_trait]
pub trait Endpoint: Send + Sync {
    /// What it can carry.
    fn carries(&self) -> Carries;
    /// Where the root really is, without symbolic links, if that is known: two trees that are one show by it.
    fn place(&self) -> Option<Location> {
        None
    }
    /// Everything below the root. A root that does not exist gives an empty snapshot; what cannot be read is listed as such.
    /// With `options.checksum`, files have digests.
    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot>;
    /// The content of a file.
    async fn read(&self, path: &RelPath) -> Result<Content>;
    /// Lands a file whole: staged beside the tree, then renamed over what is there (an empty directory makes place), with mode and
    /// times of `entry`. Gives the number of bytes written. A reader of the tree sees the old file or the new one, never a part.
    /// An error while `content` is read leaves what is there; if it holds an [`Error`], that is what comes back.
    async fn write(&self, path: &RelPath, entry: &Entry, content: Content) -> Result<u64>;
    /// Makes any other change: directories, symbolic links, metadata, removal. Idempotent.
    async fn change(&self, change: &Change) -> Result<()>;
    /// The entry at one path now; none where something else than a directory stands on the way to it.
    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>>;
    /// Makes everything durable and removes what was staged and not landed.
    async fn settle(&self) -> Result<()>;

    /// How the tree is reached.
    fn way(&self) -> Way {
        Way::Local
    }
    /// How many bytes crossed the lines to this end since it was opened, both ways, as they were on them: compressed, and with what is
    /// around them; SSH's own part is not counted. None on this machine. Where content goes on from here to another host
    /// ([`Self::reach`]), that is counted too.
    fn crossed(&self) -> Option<u64> {
        None
    }
    /// What changed since the agreement that this end remembers; if it remembers none, everything, as [`Self::scan`] would tell it:
    /// to ask for that afterwards would cost a round trip. The default remembers nothing.
    async fn survey(&self, survey: &Survey, control: &Control) -> Result<Delta> {
        self.scan(&survey.options, control).await.map(Delta::of_everything)
    }
    /// Writes down that both ends are alike now. It follows a scan or a survey through the same endpoint, and [`Self::settle`].
    async fn agree(&self, _agreement: &Agreement) -> Result<()> {
        Ok(())
    }
    /// As [`Self::stat`], for many paths, in their order.
    async fn look(&self, paths: &[RelPath]) -> Result<Vec<Option<Entry>>> {
        endpoints::singly::look(self, paths).await
    }
    /// BLAKE3 of the content of each file, in their order; none where there is no regular file that can be read.
    async fn digests(&self, paths: &[RelPath]) -> Result<Vec<Option<Digest>>> {
        endpoints::singly::digests(self, paths).await
    }
    /// As a target: the chunks of what this end has at `path`, or what a cut run staged of `wanted` if that is more use. None if
    /// there is nothing of use, or this endpoint knows no chunks.
    async fn signature(&self, _path: &RelPath, _wanted: &Entry) -> Result<Option<Signature>> {
        Ok(None)
    }
    /// As a source: of which of these versions of files it still knows the chunks, because it supplied them once. The entries are
    /// those of the target (`change.from`); size and time tell versions apart.
    async fn remembers(&self, versions: &[(RelPath, Entry)]) -> Result<Vec<bool>> {
        Ok(vec![false; versions.len()])
    }
    /// As a source: learns the chunks of the version that the target has, from [`Self::signature`] there, so that it can supply
    /// with [`crate::mirror::Basis::Chunks`]. `version` is `change.from`; if the signature is of what is staged, `change.to`.
    /// False if it cannot use them.
    async fn remember(&self, _path: &RelPath, _version: &Entry, _signature: &Signature) -> Result<bool> {
        Ok(false)
    }
    /// What is free; none where it cannot be known.
    async fn room(&self) -> Result<Option<Room>> {
        Ok(None)
    }
    /// How lines and machines may be used from now on: what the options say of compression, rate and priority.
    async fn heed(&self, _options: &Options) -> Result<()> {
        Ok(())
    }
    /// Whether names that differ only in upper and lower case are one name there. To find out, a name may be made and removed again.
    async fn folds_case(&self) -> Result<bool> {
        Ok(false)
    }
    /// Tells of changes in the tree from now on, as the kernel there does (inotify(7)), but for what `exclude` leaves out, the patterns
    /// of a mirror's options. None where nothing tells.
    async fn watch(&self, _exclude: &[String]) -> Result<Option<Changes>> {
        Ok(None)
    }
    /// So much content is about to be moved: an end that moves more of it if it prepares for that does so now, and waits for nothing.
    fn foresee(&self, _bytes: u64) {}
    /// Prepares for what lands next: takes the tree's lock (`Locked` if another mirror has it), clears what a killed run left. With
    /// `landing.generations`, what is looked at and lands from now on is a new state of the tree beside the live one, which may
    /// have already what a run brought that was cut short.
    async fn begin(&self, landing: &Landing) -> Result<()> {
        endpoints::singly::begin(landing)
    }
    /// With `landing.generations`, after [`Self::begin`]: of what a cut run brought into the state that is built, only these paths
    /// stay. Everything else is as in the live tree again.
    async fn keep(&self, _paths: &[RelPath]) -> Result<()> {
        Ok(())
    }
    /// After everything has landed: makes the state that was built since [`Self::begin`] the live one, at once. Without it
    /// [`Self::settle`] leaves the live tree as it is.
    async fn switch(&self) -> Result<()> {
        Ok(())
    }
    /// The states of the tree that are kept, newest first; the live one is among them. Empty if none was ever kept.
    async fn generations(&self) -> Result<Vec<Generation>> {
        Ok(vec![])
    }
    /// Makes another kept state the live one, at once, and gives it: the one that was live since `to`, or the next older one.
    /// Nothing is lost: the state that was live is kept, and can be gone back to.
    async fn roll_back(&self, _to: Option<Timestamp>) -> Result<Generation> {
        Err(endpoints::singly::keeps_nothing("go back to a former state"))
    }
    /// Where what had to go to quarantine since [`Self::begin`] is now; none if nothing had to.
    async fn quarantined(&self) -> Result<Option<String>> {
        Ok(None)
    }
    /// Sends the files of a lot into `out`, waiting while it is full. What goes wrong with one file is a [`crate::mirror::Piece`];
    /// an error is for all of them.
    async fn supply(&self, lot: &Lot, out: PieceSender) -> Result<()> {
        endpoints::singly::supply(self, lot, out).await
    }
    /// Lands the files of a lot: what became of each, in their order. Every file is compare-and-set, staged, whole, and renamed
    /// over what is there. If `pieces` ends before all files are told of, the rest is left as it is, and that is an error.
    async fn land(&self, lot: &Lot, pieces: PieceReceiver) -> Result<Vec<Landed>> {
        endpoints::singly::land(self, lot, pieces).await
    }
    /// How an agent on another host may join what lands here; none where nobody can.
    fn door(&self) -> Option<Door> {
        None
    }
    /// Joins the agent behind the door of a target from where this tree is: from then on [`Self::deliver`] takes no way round.
    async fn reach(&self, _door: &Door) -> Result<()> {
        Err(endpoints::singly::has_no_agent())
    }
    /// Has what this end supplies land in the target: directly, where its door was reached, else through here. What became of each
    /// file, in their order. With an order, it lands in that order (see [`Self::in_order`]), and goes through here.
    async fn deliver(
        &self,
        target: &dyn Endpoint,
        lot: &Lot,
        carries: Carries,
        onlooker: &dyn Onlooker,
        order: Option<Order>,
    ) -> Result<Vec<Landed>> {
        endpoints::passing::pass_on(self, target, lot, carries, onlooker, order).await
    }
    /// Makes changes that move no content, each compare-and-set, in their order: a change may need the ones before it. Those of one
    /// stage (see [`crate::mirror::stages`]) do not need each other, and may be made at once.
    async fn change_all(&self, changes: &[Change]) -> Result<Vec<Landed>> {
        endpoints::singly::change_all(self, changes).await
    }
    /// The number of a new landing whose calls need not wait for each other's answers (see [`Self::in_order`]). None where whoever
    /// has two things to do, the second after the first, awaits the first.
    fn new_order(&self) -> Option<u64> {
        None
    }
    /// Does this when its turn has come, and not at all if something of the stages before did not land: then it fails, with
    /// `Cancelled`. What became of each path, in their order; of changes, those of the first stage in which something does not land
    /// are the last that are made and answered for.
    async fn in_order(&self, _order: Order, _what: Ordered<'_>) -> Result<Vec<Landed>> {
        Err(endpoints::singly::keeps_no_order())
    }
}

/// What [`Endpoint::in_order`] does.
///
/// ```
/// use dr_core::world::Ordered;
/// assert_eq!(format!("{:?}", Ordered::Settle), "Settle");
/// ```
#[derive(Debug)]
pub enum Ordered<'a> {
    /// [`Endpoint::begin`].
    Begin(&'a Landing),
    /// [`Endpoint::change_all`].
    Change(&'a [Change]),
    /// [`Endpoint::land`].
    Land(&'a Lot, PieceReceiver),
    /// [`Endpoint::switch`].
    Switch,
    /// [`Endpoint::settle`].
    Settle,
}

/// How a tree is reached.
///
/// ```
/// use dr_core::world::Way;
/// assert_eq!(Way::Sftp { why: "dr is not there".into() }.to_string(), "by SFTP: dr is not there");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A directory of this machine.
    Local,
    /// By dr itself at the far end of an SSH connection.
    Agent {
        /// Its version.
        version: String,
    },
    /// By SFTP, and why not by an agent.
    Sftp {
        /// In words.
        why: String,
    },
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("on this machine"),
            Self::Agent { version } => write!(f, "by its agent, dr {version}"),
            Self::Sftp { why } => write!(f, "by SFTP: {why}"),
        }
    }
}

/// Batches of pieces on their way from a source: about [`endpoints::BATCH_BYTES`] of content each.
pub type PieceSender = tokio::sync::mpsc::Sender<Vec<Piece>>;
/// The other end of a [`PieceSender`].
pub type PieceReceiver = tokio::sync::mpsc::Receiver<Vec<Piece>>;

/// Looks at a service from here. It never fails: what went wrong is a [`Sight`] too. `Unknown` means that it could not look.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Looks once, at this address, whatever DNS says.
    async fn look(&self, address: IpAddr, spec: &ProbeSpec, within: Duration) -> Sight;
}

/// Whether a host lets a key in.
///
/// ```
/// use dr_core::world::Login;
/// let refused = Login::Refused { offers: vec!["publickey".into(), "password".into()] };
/// assert_ne!(refused, Login::Accepted);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// It logged in with that key and ran a command.
    Accepted,
    /// The host answered and refused the key; the methods it still offers.
    Refused {
        /// As the host names them: `publickey`, `password`, `keyboard-interactive`.
        offers: Vec<String>,
    },
}

/// Hosts by SSH, with pinned or known host keys only. A lost connection is `Unreachable`, never a refusal.
#[async_trait]
pub trait Shell: Send + Sync {
    /// Runs a command line in the account's shell.
    async fn run(&self, remote: &Remote, command: &str, control: &Control) -> Result<Output>;
    /// The content of a small file (up to 32 MiB); none if it does not exist. Relative paths are below the home directory.
    async fn read_file(&self, remote: &Remote, path: &str) -> Result<Option<Vec<u8>>>;
    /// Swaps a file's content atomically; directories that are missing are made with mode 0700, and the directory of a file that only
    /// its owner may read is made so too, if it is below the home directory. An error of kind `Conflict` if the file holds anything
    /// else than it must.
    async fn replace_file(&self, remote: &Remote, path: &str, swap: Swap<'_>) -> Result<()>;
    /// Logs in over a fresh connection with the private half of this public key and nothing else.
    async fn prove_key(&self, remote: &Remote, public_key: &str) -> Result<Login>;
    /// Whether the host would let this public key in, over a fresh connection and without the private half: nobody logs in with it.
    /// `Unsupported` if the host's answer would mean nothing.
    async fn probe_key(&self, remote: &Remote, public_key: &str) -> Result<Login>;
    /// Which program serves SSH there, as it names itself. Logs in as the other calls do.
    async fn software(&self, remote: &Remote) -> Result<Software>;
    /// The host's keys, each proved by a key exchange, with what is known of it. None of them is believed, and nobody logs in.
    async fn host_keys(&self, remote: &Remote) -> Result<Vec<HostKeyShown>>;
    /// The host keys that a host announces after a login and proves to hold, with what is known of each: a host that is known already
    /// vouches for its other keys, also for one that is to follow. Empty if it announces none.
    async fn announced_host_keys(&self, remote: &Remote) -> Result<Vec<HostKeyShown>>;
    /// Whether the host proves itself, over a fresh connection, by a certificate of this authority for the name that it is reached by,
    /// whatever else is known of it. `HostKey` if it does not.
    async fn prove_host(&self, remote: &Remote, authority: &str) -> Result<()>;
    /// The methods by which the host lets this account in, as it names them, over a fresh connection. Nothing is offered.
    async fn offers(&self, remote: &Remote) -> Result<Vec<String>>;
    /// The public keys whose private halves are at hand, in the order in which they would be tried.
    async fn keys_at_hand(&self) -> Result<Vec<String>>;
    /// What is free at each of these paths, or where it would be made; none where the host does not say.
    async fn room(&self, _remote: &Remote, paths: &[String]) -> Result<Vec<Option<Room>>> {
        Ok(vec![None; paths.len()])
    }
}

/// A run in the journal.
///
/// ```
/// use dr_core::run::RunId;
/// use dr_core::world::RunSummary;
/// let begun = RunSummary { run: RunId::from_bytes([7; 8]), title: "mirror".into(), at: Default::default(), outcome: None };
/// assert!(begun.outcome.is_none(), "it waits for resume or undo");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// Which run.
    pub run: RunId,
    /// What it is for.
    pub title: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// How it ended; none while it has not. `Stopped` waits for `resume` or `undo`.
    pub outcome: Option<Outcome>,
}

/// The right to drive a run; given back when dropped or when the process dies, however it dies.
pub trait Claim: Send + Sync {}

/// What was intended and done. When a call returns, its line survives a loss of power. An error while writing is fatal for the
/// run: it says so and nothing more is done in the world.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Writes a new run: its plan, and the event that says so.
    async fn begin(&self, run: RunId, plan: &Plan, by: &str) -> Result<Line>;
    /// Writes what happened.
    async fn append(&self, run: RunId, event: &Event) -> Result<Line>;
    /// A run with its plan and everything written about it, oldest first.
    async fn load(&self, run: RunId) -> Result<(Plan, Vec<Line>)>;
    /// Every run, newest first.
    async fn runs(&self) -> Result<Vec<RunSummary>>;
    /// The right to drive a run: `Locked` while another process or task has it.
    async fn claim(&self, run: RunId) -> Result<Box<dyn Claim>>;
}
