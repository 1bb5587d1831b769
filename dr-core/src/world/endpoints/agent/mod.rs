//! A tree on a host by dr's own agent there: the same engine at the far end, and no round trip a file.

mod answers;
mod finding;
mod lanes;
mod opener;
mod reading;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use self::answers::{Reached, as_reply, both, finish, take};
pub use self::finding::Agents;
pub(in crate::world) use self::finding::join;
pub(crate) use self::finding::removal;
pub(super) use self::finding::{Finder, Found};
use self::lanes::{Answer, Lanes, Opened};
use self::reading::unexpected;
pub(in crate::world) use self::reading::{Reading, split};
use super::from_content;
use super::passing::{Onlooker, pass_on};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::wire::{Call, Door, Grain, Item, Manners, PACK_BYTES, Reply, Version, kind_of_pack};
use crate::mirror::{
    Agreement, Carries, Change, ChunkSum, Delta, Entry, Generation, Landed, Landing, Lot, LotFile, Options,
    Order, Passed, RelPath, Room, Signature, Snapshot, Survey,
};
use crate::time::Timestamp;
use crate::world::agent::line::{Incoming, Line, Outgoing, Receiving, Said, Sending};
use crate::world::{Changes, Content, Control, Endpoint, Ordered, PieceReceiver, PieceSender, Way};

/// So often is the round trip measured.
const PINGS: usize = 3;

/// A tree on a host, by the agent there: [`super::SystemEndpoints`] finds it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use dr_core::world::endpoints::AgentEndpoint;
/// let (ours, theirs) = tokio::io::duplex(1 << 10);
/// drop(theirs);
/// assert!(AgentEndpoint::over(ours, "/var/www").await.is_err(), "nobody is there");
/// # });
/// ```
pub struct AgentEndpoint {
    lanes: Lanes,
    carries: Carries,
    place: Option<Location>,
    version: String,
    peer: String,
    manners: std::sync::Mutex<Manners>,
    /// How agents of other hosts join this one.
    door: Option<Door>,
    reached: std::sync::Mutex<Reached>,
    /// The number of the last landing whose calls are in order.
    landing: AtomicU64,
}

impl AgentEndpoint {
    /// The tree at `root` by an agent that speaks on this stream (see [`crate::world::agent::serve`]).
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static, root: &str) -> Result<Self> {
        let (input, output) = tokio::io::split(stream);
        let way = (Incoming::Stream(Box::new(input)), Outgoing::Stream(Box::new(output)));
        let peer = format!("the agent for {root}");
        match lanes::greet(way, (root.as_bytes(), &[]), peer.clone(), None, 1).await? {
            Answer::Agent(opened) => Self::new(*opened, peer, None),
            Answer::Stranger(protocol) => {
                let why = format!("it speaks version {protocol} of the protocol");
                Err(Error::new(ErrorKind::Protocol, format!("open {peer}"), why))
            }
            Answer::Nobody(said) => {
                let why = said.line().map_or_else(String::new, |said| format!("; it last said: {said}"));
                Err(Error::new(
                    ErrorKind::Protocol,
                    format!("open {peer}"),
                    format!("no agent answered{why}"),
                ))
            }
        }
    }

    fn new(opened: Opened, peer: String, door: Option<Door>) -> Result<Self> {
        let Opened { lanes, hello, reply, greeted_within } = opened;
        let Reply::Opened { carries, root } = reply else { return Err(unexpected(format!("open {peer}"))) };
        let place = door.as_ref().and_then(|door| {
            let path = String::from_utf8(root).ok()?;
            Some(Location::Remote { remote: door.remote.clone(), path })
        });
        let first = lanes.first();
        // Starting the agent took part of it; the answer to a ping tells how much.
        first.shared.squeeze.set_round_trip(greeted_within.as_micros() as u64);
        tokio::spawn(measure(std::sync::Arc::downgrade(first), greeted_within));
        let (manners, reached, landing) = Default::default();
        Ok(Self { lanes, carries, place, version: hello.version, peer, manners, door, reached, landing })
    }

    /// Whether the line to it still stands, as far as is known.
    pub(in crate::world) fn is_alive(&self) -> bool {
        self.lanes.first().is_alive()
    }

    /// One question, one answer.
    async fn ask(&self, call: Call) -> Result<Reply> {
        let (_, mut receiving) = self.lanes.first().call(&call).await?;
        finish(&mut receiving).await
    }

    async fn done(&self, call: Call) -> Result<()> {
        self.ask(call).await.map(drop)
    }

    fn unexpected(&self) -> Error {
        unexpected(format!("work with {}", self.peer))
    }

    /// A question with many items, and an answer with as many others.
    async fn exchange<Q: Item, A: Item>(&self, call: Call, items: impl Iterator<Item = Q>) -> Result<Vec<A>> {
        let (sending, mut receiving) = self.lanes.first().call(&call).await?;
        let sent = async {
            sending.items(items).await?;
            sending.last().await
        };
        let mut answers = vec![];
        let reply = both(sent, receiving.all(|answer| answers.push(answer))).await?;
        as_reply(&receiving, reply)?;
        Ok(answers)
    }

    async fn begin_by(&self, call: Call, landing: &Landing) -> Result<()> {
        let paths = landing.quarantine.iter().cloned();
        self.exchange::<RelPath, RelPath>(call, paths).await.map(drop)
    }

    async fn land_by(&self, call: Call, lot: &Lot, mut pieces: PieceReceiver) -> Result<Vec<Landed>> {
        let line = self.lanes.least().await;
        let (sending, mut receiving) = line.call(&call).await?;
        let sent = async {
            send_files(&sending, lot).await?;
            while let Some(batch) = pieces.recv().await {
                sending.items(batch.into_iter().flat_map(split)).await?;
            }
            sending.last().await
        };
        let mut landed = vec![];
        let reply = both(sent, receiving.all(|one| landed.push(one))).await?;
        as_reply(&receiving, reply)?;
        if landed.len() == lot.files.len() { Ok(landed) } else { Err(self.unexpected()) }
    }

    /// Tells the far end how to behave, if that has changed. What is asked next is asked behind it on the same line, so nobody
    /// waits for the answer.
    pub(in crate::world) async fn behave(&self, manners: Manners) -> Result<()> {
        let before = std::mem::replace(&mut *locked(&self.manners), manners);
        if before == manners {
            return Ok(());
        }
        self.lanes.behave(&manners);
        let (_, mut receiving) = self.lanes.first().call(&Call::Behave(manners)).await?;
        tokio::spawn(async move { finish(&mut receiving).await });
        Ok(())
    }

    /// Gathers what is seen, and gives the end of the request.
    async fn see(&self, call: Call, control: &Control) -> Result<(Delta, Reply)> {
        control.check(&format!("scan {}", self.peer))?;
        let work = async {
            let mut seen = Delta::default();
            let (_, mut receiving) = self.lanes.first().call(&call).await?;
            loop {
                match receiving.next().await {
                    Some(Said::Pack { content, unpacked }) => {
                        for line in receiving.unpack(content, unpacked)? {
                            take(&mut seen, line);
                        }
                    }
                    Some(Said::Event(event)) => {
                        if let Ok(event) = serde_json::from_slice(&event) {
                            control.emit(&event);
                        }
                    }
                    Some(Said::Reply(reply)) => return Ok((seen, as_reply(&receiving, Some(reply))?)),
                    Some(Said::Last) => return Err(self.unexpected()),
                    None => return Err(receiving.lost()),
                }
            }
        };
        control.run(&format!("scan {}", self.peer), work).await
    }
}

fn locked<T>(value: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How long a question and its answer take: the best of some, for one may wait for other things.
async fn measure(line: std::sync::Weak<Line>, mut best: Duration) {
    for _ in 0..PINGS {
        let Some(line) = line.upgrade() else { return };
        let begun = Instant::now();
        let Ok((_, mut receiving)) = line.call(&Call::Ping).await else { return };
        if receiving.next().await.is_none() {
            return;
        }
        best = best.min(begun.elapsed());
        line.shared.squeeze.set_round_trip(best.as_micros() as u64);
    }
}

#[async_trait]
impl Endpoint for AgentEndpoint {
    fn carries(&self) -> Carries {
        self.carries
    }

    fn place(&self) -> Option<Location> {
        self.place.clone()
    }

    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        self.heed(options).await?;
        self.see(Call::Scan(options.clone()), control).await.map(|(seen, _)| seen.now)
    }

    async fn read(&self, path: &RelPath) -> Result<Content> {
        let (_, receiving) = self.lanes.first().call(&Call::Read(path.clone())).await?;
        Ok(Box::new(Reading::begin(receiving).await?))
    }

    async fn write(&self, path: &RelPath, entry: &Entry, mut content: Content) -> Result<u64> {
        let call = Call::Write { path: path.clone(), entry: entry.clone() };
        let (sending, mut receiving) = self.lanes.first().call(&call).await?;
        let sent = async {
            loop {
                let mut chunk = BytesMut::with_capacity(PACK_BYTES);
                if content.read_buf(&mut chunk).await.map_err(from_content)? == 0 {
                    return sending.last().await;
                }
                sending.items([crate::mirror::wire::Content(chunk.freeze())]).await?;
            }
        };
        // An error of the content drops the request: the agent forgets what came.
        let heard = finish(&mut receiving);
        let (sent, heard) = (std::pin::pin!(sent), std::pin::pin!(heard));
        let reply = match futures_util::future::select(sent, heard).await {
            futures_util::future::Either::Left((sent, heard)) => {
                sent?;
                heard.await?
            }
            futures_util::future::Either::Right((heard, _)) => heard?,
        };
        match reply {
            Reply::Size(bytes) => Ok(bytes),
            _ => Err(self.unexpected()),
        }
    }

    async fn change(&self, change: &Change) -> Result<()> {
        self.done(Call::Change(change.clone())).await
    }

    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>> {
        match self.ask(Call::Stat(path.clone())).await? {
            Reply::Entry(entry) => Ok(entry),
            _ => Err(self.unexpected()),
        }
    }

    async fn settle(&self) -> Result<()> {
        self.done(Call::Settle).await
    }

    fn way(&self) -> Way {
        Way::Agent { version: self.version.clone() }
    }

    fn crossed(&self) -> Option<u64> {
        Some(self.lanes.first().shared.crossed.bytes() + locked(&self.reached).crossed_bytes)
    }

    async fn survey(&self, survey: &Survey, control: &Control) -> Result<Delta> {
        self.heed(&survey.options).await?;
        let call = Call::Survey { pair: survey.pair, options: survey.options.clone() };
        let (seen, reply) = self.see(call, control).await?;
        match reply {
            Reply::Delta { agreed, counts } => Ok(Delta { agreed, counts, ..seen }),
            _ => Err(self.unexpected()),
        }
    }

    async fn agree(&self, agreement: &Agreement) -> Result<()> {
        let call = Call::Agree { pair: agreement.pair, name: agreement.name };
        self.exchange::<Change, Change>(call, agreement.changes.iter().cloned()).await.map(drop)
    }

    async fn look(&self, paths: &[RelPath]) -> Result<Vec<Option<Entry>>> {
        let found = self.exchange(Call::Look, paths.iter().cloned()).await?;
        if found.len() == paths.len() { Ok(found) } else { Err(self.unexpected()) }
    }

    async fn digests(&self, paths: &[RelPath]) -> Result<Vec<Option<Digest>>> {
        let found = self.exchange(Call::Digests, paths.iter().cloned()).await?;
        if found.len() == paths.len() { Ok(found) } else { Err(self.unexpected()) }
    }

    async fn signature(&self, path: &RelPath, wanted: &Entry) -> Result<Option<Signature>> {
        let call = Call::Signature { path: path.clone(), wanted: wanted.clone() };
        let (_, mut receiving) = self.lanes.first().call(&call).await?;
        let mut signature = Signature::default();
        let reply = loop {
            match receiving.next().await {
                Some(Said::Pack { content, unpacked }) => {
                    let content = receiving.open(content, unpacked)?;
                    take_signature(&receiving, content, &mut signature)?;
                }
                Some(Said::Reply(reply)) => break reply,
                Some(_) => {}
                None => return Err(receiving.lost()),
            }
        };
        match as_reply(&receiving, Some(reply))? {
            Reply::Signature(None) => Ok(None),
            Reply::Signature(Some(staged)) => {
                signature.staged = staged;
                if signature.is_sound() { Ok(Some(signature)) } else { Err(self.unexpected()) }
            }
            _ => Err(self.unexpected()),
        }
    }

    async fn remembers(&self, versions: &[(RelPath, Entry)]) -> Result<Vec<bool>> {
        let asked: Vec<Version> =
            versions.iter().map(|(path, entry)| Version(path.clone(), entry.clone())).collect();
        let known = self.exchange(Call::Remembers, asked.into_iter()).await?;
        if known.len() == versions.len() { Ok(known) } else { Err(self.unexpected()) }
    }

    async fn remember(&self, path: &RelPath, version: &Entry, signature: &Signature) -> Result<bool> {
        let (path, version, staged) = (path.clone(), version.clone(), signature.staged);
        let (sending, mut receiving) =
            self.lanes.first().call(&Call::Remember { path, version, staged }).await?;
        let sent = async {
            send_signature(&sending, signature).await?;
            sending.last().await
        };
        match both(sent, finish(&mut receiving)).await? {
            Reply::Taken(taken) => Ok(taken),
            _ => Err(self.unexpected()),
        }
    }

    async fn room(&self) -> Result<Option<Room>> {
        match self.ask(Call::Room).await? {
            Reply::Room(room) => Ok(room),
            _ => Err(self.unexpected()),
        }
    }

    async fn heed(&self, options: &Options) -> Result<()> {
        self.behave(options.into()).await
    }

    async fn folds_case(&self) -> Result<bool> {
        match self.ask(Call::FoldsCase).await? {
            Reply::Taken(folds) => Ok(folds),
            _ => Err(self.unexpected()),
        }
    }

    async fn watch(&self, exclude: &[String]) -> Result<Option<Changes>> {
        let line = std::sync::Arc::clone(self.lanes.first());
        let (_, receiving) = line.call(&Call::Watch { exclude: exclude.to_vec() }).await?;
        answers::watch(line, receiving).await
    }

    fn foresee(&self, bytes: u64) {
        self.lanes.begin_more(bytes);
    }

    async fn begin(&self, landing: &Landing) -> Result<()> {
        self.begin_by(Call::Begin(landing.clone()), landing).await
    }

    async fn keep(&self, paths: &[RelPath]) -> Result<()> {
        self.exchange::<RelPath, Change>(Call::Keep, paths.iter().cloned()).await.map(drop)
    }

    async fn switch(&self) -> Result<()> {
        self.done(Call::Switch).await
    }

    async fn generations(&self) -> Result<Vec<Generation>> {
        self.exchange(Call::Generations, std::iter::empty::<RelPath>()).await
    }

    async fn roll_back(&self, to: Option<Timestamp>) -> Result<Generation> {
        match self.ask(Call::RollBack { to }).await? {
            Reply::Generation(generation) => Ok(generation),
            _ => Err(self.unexpected()),
        }
    }

    async fn quarantined(&self) -> Result<Option<String>> {
        match self.ask(Call::Quarantined).await? {
            Reply::Place(place) => Ok(place),
            _ => Err(self.unexpected()),
        }
    }

    async fn supply(&self, lot: &Lot, out: PieceSender) -> Result<()> {
        let line = self.lanes.least().await;
        let (sending, mut receiving) = line.call(&Call::Supply).await?;
        let asked = async {
            send_files(&sending, lot).await?;
            sending.last().await
        };
        let heard = async {
            loop {
                match receiving.next().await {
                    Some(Said::Pack { content, unpacked }) => {
                        let batch = receiving.unpack(content, unpacked)?;
                        if out.send(batch).await.is_err() {
                            return Err(Error::new(
                                ErrorKind::Cancelled,
                                "supply files",
                                "the target does not take any more of them",
                            ));
                        }
                    }
                    Some(Said::Reply(reply)) => return as_reply(&receiving, Some(reply)).map(drop),
                    Some(_) => {}
                    None => return Err(receiving.lost()),
                }
            }
        };
        both(asked, heard).await
    }

    async fn land(&self, lot: &Lot, pieces: PieceReceiver) -> Result<Vec<Landed>> {
        self.land_by(Call::Land, lot, pieces).await
    }

    fn door(&self) -> Option<Door> {
        self.door.clone()
    }

    async fn reach(&self, door: &Door) -> Result<()> {
        locked(&self.reached).token = None;
        let manners = *locked(&self.manners);
        let Reply::Size(told_bytes) = self.ask(Call::Reach { door: door.clone(), manners }).await? else {
            return Err(self.unexpected());
        };
        let mut reached = locked(&self.reached);
        (reached.token, reached.told_bytes) = (Some(door.token.clone()), told_bytes);
        Ok(())
    }

    async fn deliver(
        &self,
        target: &dyn Endpoint,
        lot: &Lot,
        carries: Carries,
        onlooker: &dyn Onlooker,
        order: Option<Order>,
    ) -> Result<Vec<Landed>> {
        let token = target.door().map(|door| door.token);
        if order.is_some() || token.is_none() || token != locked(&self.reached).token {
            return pass_on(self, target, lot, carries, onlooker, order).await;
        }
        let (sending, mut receiving) = self.lanes.first().call(&Call::Deliver(carries)).await?;
        let asked = async {
            send_files(&sending, lot).await?;
            sending.last().await
        };
        let mut landed = vec![];
        let heard = async {
            loop {
                match receiving.next().await {
                    Some(Said::Pack { content, unpacked }) => {
                        let content = receiving.open(content, unpacked)?;
                        if kind_of_pack(&content) == Some(Landed::KIND) {
                            landed.extend(receiving.unpack::<Landed>(content, 0)?);
                            continue;
                        }
                        for passed in receiving.unpack::<Passed>(content, 0)? {
                            onlooker.see(passed).await?;
                        }
                    }
                    Some(Said::Reply(reply)) => return as_reply(&receiving, Some(reply)),
                    Some(_) => {}
                    None => return Err(receiving.lost()),
                }
            }
        };
        let Reply::Size(told_bytes) = both(asked, heard).await? else { return Err(self.unexpected()) };
        locked(&self.reached).tell(told_bytes);
        if landed.len() == lot.files.len() { Ok(landed) } else { Err(self.unexpected()) }
    }

    async fn change_all(&self, changes: &[Change]) -> Result<Vec<Landed>> {
        let landed = self.exchange(Call::ChangeAll, changes.iter().cloned()).await?;
        if landed.len() == changes.len() { Ok(landed) } else { Err(self.unexpected()) }
    }

    fn new_order(&self) -> Option<u64> {
        Some(self.landing.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn in_order(&self, order: Order, what: Ordered<'_>) -> Result<Vec<Landed>> {
        let call = |call| Call::InOrder(order, Box::new(call));
        let done = match what {
            Ordered::Land(lot, pieces) => return self.land_by(call(Call::Land), lot, pieces).await,
            Ordered::Change(changes) => {
                let landed: Vec<Landed> =
                    self.exchange(call(Call::ChangeAll), changes.iter().cloned()).await?;
                let is_cut = !landed.iter().all(Landed::is_landed);
                let is_sound = landed.len() == changes.len() || landed.len() < changes.len() && is_cut;
                return if is_sound { Ok(landed) } else { Err(self.unexpected()) };
            }
            Ordered::Begin(landing) => self.begin_by(call(Call::Begin(landing.clone())), landing).await,
            Ordered::Switch => self.done(call(Call::Switch)).await,
            Ordered::Settle => self.done(call(Call::Settle)).await,
        };
        done.map(|()| vec![])
    }
}

async fn send_files(sending: &Sending, lot: &Lot) -> Result<()> {
    sending.items::<LotFile>(lot.files.iter().cloned()).await
}

/// Chunks first, then grains.
pub(in crate::world) async fn send_signature(sending: &Sending, signature: &Signature) -> Result<()> {
    sending.items(signature.chunks.iter().copied()).await?;
    sending.items(signature.grains.iter().copied().map(Grain)).await
}

/// Adds what one pack says of a signature.
pub(in crate::world) fn take_signature(
    receiving: &Receiving,
    content: bytes::Bytes,
    signature: &mut Signature,
) -> Result<()> {
    if kind_of_pack(&content) == Some(ChunkSum::KIND) {
        signature.chunks.extend(receiving.unpack::<ChunkSum>(content, 0)?);
    } else {
        signature.grains.extend(receiving.unpack::<Grain>(content, 0)?.into_iter().map(|grain| grain.0));
    }
    Ok(())
}
