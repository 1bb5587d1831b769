//! Lots for endpoints that know one file at a time.

use std::borrow::Cow;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::BATCH_BYTES;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Change, Entry, Kept, Landed, Landing, Lot, LotFile, Piece, Progress, RelPath, stages};
use crate::world::{Content, Endpoint, PieceReceiver, PieceSender};

/// So many paths are under way at once: enough to fill a line with a long round trip.
const PATHS_AT_ONCE: usize = 64;
/// So often is a file read anew that changes while it is read.
const TRIES: usize = 3;
/// Files up to this size wait in memory until they are known to be whole; larger ones are written as they come.
const WHOLE_BYTES: usize = 1 << 20;

type Each<'a, T> = futures_util::future::BoxFuture<'a, Result<T>>;

/// All of them, so many at once, in their order.
async fn gather<T>(each: Vec<Each<'_, T>>) -> Result<Vec<T>> {
    let mut running = pin!(stream::iter(each).buffered(PATHS_AT_ONCE));
    let mut all = vec![];
    while let Some(one) = running.next().await {
        all.push(one?);
    }
    Ok(all)
}

/// One file at a time leaves nothing to go back to.
pub(in crate::world) fn begin(landing: &Landing) -> Result<()> {
    if landing.generations > 0 {
        return Err(keeps_nothing("keep former states"));
    }
    if !landing.quarantine.is_empty() {
        return Err(keeps_nothing("put what was changed there into quarantine"));
    }
    Ok(())
}

pub(in crate::world) fn keeps_nothing(what: &str) -> Error {
    let why = "this way to the target knows single files only";
    Error::new(ErrorKind::Unsupported, format!("{what} of the target"), why)
        .hint("let dr itself run on the target's host: see dr agent")
}

pub(in crate::world) fn has_no_agent() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "reach the target from the source",
        "no agent of dr's is at the source",
    )
}

pub(in crate::world) async fn look<E: Endpoint + ?Sized>(
    endpoint: &E,
    paths: &[RelPath],
) -> Result<Vec<Option<Entry>>> {
    gather(paths.iter().map(|path| endpoint.stat(path)).collect()).await
}

pub(in crate::world) async fn digests<E: Endpoint + ?Sized>(
    endpoint: &E,
    paths: &[RelPath],
) -> Result<Vec<Option<Digest>>> {
    gather(paths.iter().map(|path| digest(endpoint, path).boxed()).collect()).await
}

async fn digest<E: Endpoint + ?Sized>(endpoint: &E, path: &RelPath) -> Result<Option<Digest>> {
    let mut content = match endpoint.read(path).await {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
        Err(_) => return Ok(None),
    };
    let (mut hasher, mut chunk) = (blake3::Hasher::new(), BytesMut::with_capacity(BATCH_BYTES));
    loop {
        chunk.clear();
        match content.read_buf(&mut chunk).await {
            Ok(0) => return Ok(Some(Digest::from_bytes(*hasher.finalize().as_bytes()))),
            Ok(_) => drop(hasher.update(&chunk)),
            Err(_) => return Ok(None),
        }
    }
}

pub(in crate::world) async fn change_all<E: Endpoint + ?Sized>(
    endpoint: &E,
    changes: &[Change],
) -> Result<Vec<Landed>> {
    let mut landed = Vec::with_capacity(changes.len());
    for stage in stages(changes) {
        landed.extend(gather(stage.iter().map(|change| make(endpoint, change).boxed()).collect()).await?);
    }
    Ok(landed)
}

pub(in crate::world) fn keeps_no_order() -> Error {
    let why = "this way to the target awaits every answer";
    Error::new(ErrorKind::Unsupported, "do one thing after the other", why)
}

async fn make<E: Endpoint + ?Sized>(endpoint: &E, change: &Change) -> Result<Landed> {
    let there = endpoint.stat(&change.path).await?;
    match change.progress_alone(there.as_ref()) {
        Progress::Done => return Ok(Landed::Done { bytes: 0, entry: there }),
        Progress::Strange => return Ok(Landed::Strange),
        Progress::Ahead | Progress::Between => {}
    }
    match endpoint.change(change).await {
        Ok(()) => Ok(Landed::Done { bytes: 0, entry: change.to.clone() }),
        Err(error) => of_one_file(error),
    }
}

/// What concerns one file only; anything else stops the lot.
fn of_one_file(error: Error) -> Result<Landed> {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => Ok(Landed::Failed(error.to_string())),
        _ => Err(error),
    }
}

pub(in crate::world) async fn supply<E: Endpoint + ?Sized>(
    endpoint: &E,
    lot: &Lot,
    out: PieceSender,
) -> Result<()> {
    let numbered = lot.files.iter().zip(0_u32..);
    let told = numbered.map(|(wanted, file)| supply_one(endpoint, wanted, file, &out).boxed());
    gather(told.collect()).await.map(drop)
}

async fn supply_one<E: Endpoint + ?Sized>(
    endpoint: &E,
    wanted: &LotFile,
    file: u32,
    out: &PieceSender,
) -> Result<()> {
    let path = &wanted.change.path;
    let mut why = Kept::Restless;
    for _ in 0..TRIES {
        let Some(before) = endpoint.stat(path).await? else {
            why = Kept::Gone;
            break;
        };
        if !before.is_file() {
            why = Kept::NoFile;
            break;
        }
        let content = match endpoint.read(path).await {
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            Err(error) => {
                why = Kept::Unreadable(error.to_string());
                continue;
            }
            Ok(content) => content,
        };
        let is_small = before.size_bytes() <= WHOLE_BYTES as u64;
        let (held, digest) = match send(content, &before, file, out, is_small).await? {
            Ok(sent) => sent,
            Err(kept) => {
                why = kept;
                if is_small { continue } else { break }
            }
        };
        if endpoint.stat(path).await?.as_ref() == Some(&before) {
            let mut batch = held;
            batch.push(Piece::End { file, entry: before, digest });
            return tell(out, batch).await;
        }
        why = Kept::Restless;
        if !is_small {
            // What has been sent cannot be sent again.
            break;
        }
    }
    tell(out, vec![Piece::Kept { file, why }]).await
}

/// Sends the content of a file, or holds it back if `is_small`: then it can be read anew. Gives what was held, and the digest.
async fn send(
    mut content: Content,
    entry: &Entry,
    file: u32,
    out: &PieceSender,
    is_small: bool,
) -> Result<Result<(Vec<Piece>, Digest), Kept>> {
    let (mut hasher, mut offset, mut held) = (blake3::Hasher::new(), 0_u64, vec![]);
    loop {
        let mut chunk = BytesMut::with_capacity(BATCH_BYTES);
        match content.read_buf(&mut chunk).await {
            Err(error) => return Ok(Err(Kept::Unreadable(error.to_string()))),
            Ok(0) if offset == entry.size_bytes() => break,
            Ok(bytes) if bytes > 0 && offset + bytes as u64 <= entry.size_bytes() => {
                hasher.update(&chunk);
                let piece = Piece::Data { file, offset, bytes: chunk.freeze() };
                offset += bytes as u64;
                if is_small {
                    held.push(piece);
                } else {
                    tell(out, vec![piece]).await?;
                }
            }
            Ok(_) => return Ok(Err(Kept::Restless)),
        }
    }
    Ok(Ok((held, Digest::from_bytes(*hasher.finalize().as_bytes()))))
}

async fn tell(out: &PieceSender, batch: Vec<Piece>) -> Result<()> {
    out.send(batch).await.map_err(|_| {
        Error::new(ErrorKind::Cancelled, "supply files", "the target does not take any more of them")
    })
}

pub(in crate::world) async fn land<E: Endpoint + ?Sized>(
    endpoint: &E,
    lot: &Lot,
    pieces: PieceReceiver,
) -> Result<Vec<Landed>> {
    let (orders, waiting) = mpsc::unbounded_channel();
    let sorted = sort(lot, pieces, orders);
    let orders =
        stream::unfold(waiting, |mut waiting| async { waiting.recv().await.map(|order| (order, waiting)) });
    let written = async {
        let mut running = pin!(
            orders.map(|order: Order| write(endpoint, lot, order).boxed()).buffer_unordered(PATHS_AT_ONCE)
        );
        let mut all = vec![];
        while let Some(one) = running.next().await {
            all.push(one?);
        }
        Ok(all)
    };
    let (mut landed, written) = futures_util::future::try_join(sorted, written).await?;
    for (file, one) in written {
        landed[file] = Some(one);
    }
    landed.into_iter().collect::<Option<Vec<Landed>>>().ok_or_else(ended_early)
}

fn ended_early() -> Error {
    Error::new(ErrorKind::Unreachable, "land files", "the source ended before all files had come")
}

/// A file that is ready to be written, or comes in while it is.
struct Order {
    file: usize,
    entry: Entry,
    content: mpsc::Receiver<Result<Bytes, Kept>>,
}

/// What has come of a file.
enum Slot {
    Held(Vec<Bytes>, u64),
    Flowing(mpsc::Sender<Result<Bytes, Kept>>, u64),
    Done,
}

impl Slot {
    /// How much of the file has come; none after its end.
    fn arrived(&self) -> Option<u64> {
        match self {
            Self::Held(_, arrived) | Self::Flowing(_, arrived) => Some(*arrived),
            Self::Done => None,
        }
    }
}

/// Puts the pieces in order, file by file; gives what became of files that nothing is written for.
async fn sort(
    lot: &Lot,
    mut pieces: PieceReceiver,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<Vec<Option<Landed>>> {
    let mut landed: Vec<Option<Landed>> = vec![None; lot.files.len()];
    let mut slots: Vec<Slot> = lot.files.iter().map(|_| Slot::Held(vec![], 0)).collect();
    while let Some(batch) = pieces.recv().await {
        for piece in batch {
            let file = piece.file() as usize;
            let (Some(slot), Some(wanted)) = (slots.get_mut(file), lot.files.get(file)) else {
                return Err(garbled("it speaks of a file that is not in the lot"));
            };
            match piece {
                Piece::Data { offset, bytes, .. } => {
                    take(slot, offset, bytes, || order(&orders, file, wanted.change.to.clone())).await?;
                }
                Piece::Copy { .. } => return Err(garbled("it copies from what this target never offered")),
                Piece::End { entry, .. } => {
                    let planned = wanted.change.to.as_ref();
                    let is_planned = planned.is_some_and(|to| is_as_planned(to, &entry));
                    let size_bytes = entry.size_bytes();
                    if is_planned || size_bytes <= WHOLE_BYTES as u64 {
                        let begin = || order(&orders, file, wanted.change.to.clone());
                        fill(slot, size_bytes, begin).await?;
                    }
                    match std::mem::replace(slot, Slot::Done) {
                        Slot::Held(held, arrived) if arrived == size_bytes => {
                            let sender = order(&orders, file, Some(entry))?;
                            for bytes in held {
                                let _ = sender.try_send(Ok(bytes));
                            }
                        }
                        // What was begun is of the version that was planned.
                        Slot::Held(..) => landed[file] = Some(Landed::Kept(Kept::Restless)),
                        Slot::Flowing(sender, arrived) if is_planned && arrived == size_bytes => drop(sender),
                        Slot::Flowing(sender, _) => drop(sender.send(Err(Kept::Restless)).await),
                        Slot::Done => return Err(garbled("it ends a file twice")),
                    }
                }
                Piece::Kept { why, .. } => match std::mem::replace(slot, Slot::Done) {
                    Slot::Flowing(sender, _) => drop(sender.send(Err(why)).await),
                    _ => landed[file] = Some(Landed::Kept(why)),
                },
            }
        }
    }
    if slots.iter().all(|slot| matches!(slot, Slot::Done)) { Ok(landed) } else { Err(ended_early()) }
}

fn garbled(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "land files", format!("what the source says makes no sense: {why}"))
}

/// Whether a file is the version that was planned, by size and time.
pub(super) fn is_as_planned(planned: &Entry, read: &Entry) -> bool {
    (planned.size_bytes(), planned.mtime_s) == (read.size_bytes(), read.mtime_s)
        && (planned.mtime_ns == read.mtime_ns || planned.mtime_ns == 0)
}

/// The file as it will be. If it is newer than what was planned, what the plan says of its owner still holds: it may be another
/// one than at the source.
pub(super) fn arriving<'a>(planned: &'a Entry, read: &Entry) -> Cow<'a, Entry> {
    if is_as_planned(planned, read) {
        return Cow::Borrowed(planned);
    }
    let xattrs = planned.xattrs.as_ref().map(|planned| read.xattrs.as_ref().unwrap_or(planned).clone());
    Cow::Owned(Entry { owner: planned.owner, xattrs, ..read.clone() })
}

fn order(
    orders: &mpsc::UnboundedSender<Order>,
    file: usize,
    entry: Option<Entry>,
) -> Result<mpsc::Sender<Result<Bytes, Kept>>> {
    // A held file has at most so many batches, and they must all fit at once.
    let (sender, content) = mpsc::channel(2 * WHOLE_BYTES / BATCH_BYTES + 64);
    let entry = entry.ok_or_else(|| garbled("it has content for what is removed"))?;
    let ordered = orders.send(Order { file, entry, content });
    ordered.map_err(|_| Error::new(ErrorKind::Cancelled, "land files", "the lot was given up"))?;
    Ok(sender)
}

/// Bytes that no piece names are zero: what is missing before `offset` is put in.
async fn fill(
    slot: &mut Slot,
    offset: u64,
    begin: impl Fn() -> Result<mpsc::Sender<Result<Bytes, Kept>>>,
) -> Result<()> {
    static ZEROS: [u8; BATCH_BYTES] = [0; BATCH_BYTES];
    while let Some(arrived) = slot.arrived().filter(|arrived| *arrived < offset) {
        let hole = usize::try_from(offset - arrived).unwrap_or(BATCH_BYTES).min(BATCH_BYTES);
        put(slot, Bytes::from_static(&ZEROS[..hole]), &begin).await?;
    }
    Ok(())
}

async fn take(
    slot: &mut Slot,
    offset: u64,
    bytes: Bytes,
    begin: impl Fn() -> Result<mpsc::Sender<Result<Bytes, Kept>>>,
) -> Result<()> {
    fill(slot, offset, &begin).await?;
    match slot.arrived() {
        None => Err(garbled("it sends content after the end")),
        Some(arrived) if arrived > offset => Err(garbled("it sends bytes twice, or in no order")),
        Some(_) => put(slot, bytes, begin).await,
    }
}

/// The bytes that follow.
async fn put(
    slot: &mut Slot,
    bytes: Bytes,
    begin: impl Fn() -> Result<mpsc::Sender<Result<Bytes, Kept>>>,
) -> Result<()> {
    let after = slot.arrived().unwrap_or_default() + bytes.len() as u64;
    match slot {
        Slot::Held(held, arrived) => {
            held.push(bytes);
            *arrived = after;
            if after > WHOLE_BYTES as u64 || held.len() > 64 {
                let sender = begin()?;
                for bytes in std::mem::take(held) {
                    let _ = sender.send(Ok(bytes)).await;
                }
                *slot = Slot::Flowing(sender, after);
            }
        }
        Slot::Flowing(sender, arrived) => {
            *arrived = after;
            // Whoever writes it may have given up: what became of it says so.
            let _ = sender.send(Ok(bytes)).await;
        }
        Slot::Done => {}
    }
    Ok(())
}

async fn write<E: Endpoint + ?Sized>(endpoint: &E, lot: &Lot, order: Order) -> Result<(usize, Landed)> {
    let Order { file, entry, content } = order;
    let planned = &lot.files[file].change;
    let entry = match &planned.to {
        Some(to) => arriving(to, &entry).into_owned(),
        None => entry,
    };
    let change = Change { to: Some(entry.clone()), ..planned.clone() };
    let there = endpoint.stat(&change.path).await?;
    // What arrives may be newer than what was planned, and what was planned may have arrived before.
    if [&change, planned].iter().all(|change| change.progress_alone(there.as_ref()) == Progress::Strange) {
        return Ok((file, Landed::Strange));
    }
    let given_up = std::sync::Arc::new(std::sync::Mutex::new(None));
    let content = Incoming { content, rest: Bytes::new(), given_up: given_up.clone() };
    let written = endpoint.write(&change.path, &entry, Box::new(content)).await;
    let kept = given_up.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    Ok((
        file,
        match (written, kept) {
            (_, Some(kept)) => Landed::Kept(kept),
            (Ok(bytes), None) => Landed::Done { bytes, entry: Some(entry) },
            (Err(error), None) => of_one_file(error)?,
        },
    ))
}

/// The content of one file as it comes; an error in it ends the file without its landing.
struct Incoming {
    content: mpsc::Receiver<Result<Bytes, Kept>>,
    rest: Bytes,
    given_up: std::sync::Arc<std::sync::Mutex<Option<Kept>>>,
}

impl tokio::io::AsyncRead for Incoming {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        use bytes::Buf;
        while self.rest.is_empty() {
            match std::task::ready!(self.content.poll_recv(context)) {
                None => return std::task::Poll::Ready(Ok(())),
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(kept)) => {
                    let why = kept.to_string();
                    *self.given_up.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(kept);
                    return std::task::Poll::Ready(Err(std::io::Error::other(why)));
                }
            }
        }
        let now = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..now]);
        self.rest.advance(now);
        std::task::Poll::Ready(Ok(()))
    }
}
