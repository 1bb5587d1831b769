//! What each request does with the tree.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::{Agent, priority};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::wire::{
    CHUNKS_MAX, Call, Content, Item, Manners, PACK_BYTES, Reply, Seen, Sight, SignatureHead, kind_of_pack,
};
use crate::mirror::{
    Agreement, Basis, Change, ChunkSum, Landing, Lot, LotFile, Piece, RelPath, Snapshot, Survey,
};
use crate::world::agent::line::{Receiving, Said, Sending};
use crate::world::endpoints::LocalEndpoint;
use crate::world::endpoints::agent::{Reading, split};
use crate::world::endpoints::from_content;
use crate::world::{Cancel, Control, Endpoint};

/// Batches of pieces between the tree and the line.
const BATCHES: usize = 4;

impl Agent {
    pub(super) async fn perform(
        &self,
        call: Call,
        sending: &Sending,
        receiving: Receiving,
        cancel: &Cancel,
    ) -> Result<Reply> {
        if call.writes() && self.restrictions.read_only {
            if call == Call::Settle {
                return Ok(Reply::Done);
            }
            return Err(Error::new(ErrorKind::Refused, "change the tree", "this agent may only read it")
                .hint("the key's command in authorized_keys on the host says --read-only"));
        }
        match call {
            Call::Ping => return Ok(Reply::Done),
            Call::Open { root } => return self.open(root).await,
            Call::Behave(manners) => {
                self.behave(manners, sending);
                return Ok(Reply::Done);
            }
            _ => {}
        }
        let tree = self.tree.get().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "do what was asked", "no tree was opened before")
        })?;
        let request = Request { tree, sending, receiving, cancel };
        request.perform(call).await
    }

    async fn open(&self, root: Vec<u8>) -> Result<Reply> {
        let path = PathBuf::from(std::ffi::OsString::from_vec(root));
        let refused = |why: String| {
            Error::new(ErrorKind::Refused, format!("open {}", path.display()), why)
                .hint("an agent serves one tree; with --root it is that one and no other")
        };
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return Err(refused("that is no path".to_owned()));
        }
        let asked = LocalEndpoint::open(&path).await?;
        if let Some(only) = &self.restrictions.root {
            let only = LocalEndpoint::open(only).await?;
            if only.place() != asked.place() {
                return Err(refused("this agent serves another tree".to_owned()));
            }
        }
        let place = asked.place();
        let tree = self.tree.get_or_init(|| async { asked }).await;
        if tree.place() != place {
            return Err(refused("this agent has another tree open".to_owned()));
        }
        let Some(Location::Local { path: root }) = place else {
            return Err(refused("it is not on this machine".to_owned()));
        };
        Ok(Reply::Opened { carries: tree.carries(), root: root.into_os_string().into_vec() })
    }

    fn behave(&self, manners: Manners, sending: &Sending) {
        sending.set_compress(manners.compress);
        self.limiter.set(manners.bytes_per_second);
        if manners.low_priority {
            priority::lower();
        }
    }
}

/// One request and the tree it is about.
struct Request<'a> {
    tree: &'a LocalEndpoint,
    sending: &'a Sending,
    receiving: Receiving,
    cancel: &'a Cancel,
}

impl Request<'_> {
    async fn perform(mut self, call: Call) -> Result<Reply> {
        let (tree, sending) = (self.tree, self.sending);
        match call {
            Call::Scan(options) => {
                let seen = tree.scan(&options, &self.control()).await?;
                sending.items(lines(seen, false)).await?;
            }
            Call::Survey { pair, options } => {
                let delta = tree.survey(&Survey { pair, options }, &self.control()).await?;
                sending.items(lines(delta.was, true).chain(lines(delta.now, false))).await?;
                return Ok(Reply::Delta { agreed: delta.agreed, counts: delta.counts });
            }
            Call::Agree { pair, name } => {
                let changes = self.list::<Change>().await?;
                tree.agree(&Agreement { pair, name, changes }).await?;
            }
            Call::Look => {
                let paths = self.list::<RelPath>().await?;
                sending.items(tree.look(&paths).await?).await?;
            }
            Call::Digests => {
                let paths = self.list::<RelPath>().await?;
                sending.items(tree.digests(&paths).await?).await?;
            }
            Call::Signature { path, wanted, chunk_bytes } => {
                let found = tree.signature(&path, &wanted, chunk_bytes).await?;
                let head = found.as_ref().map(SignatureHead::of);
                sending.items(found.map(|signature| signature.chunks).unwrap_or_default()).await?;
                return Ok(Reply::Signature(head));
            }
            Call::Room => return tree.room().await.map(Reply::Room),
            Call::Begin(landing) => {
                let quarantine = self.list::<RelPath>().await?;
                tree.begin(&Landing { quarantine, ..landing }).await?;
            }
            Call::Supply => self.supply().await?,
            Call::Land => self.land().await?,
            Call::ChangeAll => {
                let changes = self.list::<Change>().await?;
                sending.items(tree.change_all(&changes).await?).await?;
            }
            Call::Stat(path) => return tree.stat(&path).await.map(Reply::Entry),
            Call::Read(path) => self.read(&path).await?,
            Call::Write { path, entry } => {
                let content = Reading::new(self.receiving, Bytes::new());
                return tree.write(&path, &entry, Box::new(content)).await.map(Reply::Size);
            }
            Call::Change(change) => tree.change(&change).await?,
            Call::Settle => tree.settle().await?,
            Call::Ping | Call::Open { .. } | Call::Behave(_) => {}
        }
        Ok(Reply::Done)
    }

    /// Progress travels as events; whoever cancels stops the work.
    fn control(&self) -> Control {
        let sending = self.sending.clone();
        let mut control = Control::new(move |event| {
            if let Ok(event) = serde_json::to_vec(event) {
                sending.event(event);
            }
        });
        control.cancel = self.cancel.clone();
        control
    }

    async fn list<T: Item>(&mut self) -> Result<Vec<T>> {
        let mut list = vec![];
        self.receiving.all(|item| list.push(item)).await?;
        Ok(list)
    }

    async fn supply(&mut self) -> Result<()> {
        let (mut files, mut chunks) = (vec![], vec![]);
        loop {
            match self.said().await? {
                Said::Pack { content, unpacked } => {
                    let content = self.receiving.open(content, unpacked)?;
                    if kind_of_pack(&content) == Some(ChunkSum::KIND) {
                        chunks.extend(self.receiving.unpack::<ChunkSum>(content, 0)?);
                    } else {
                        files.extend(self.receiving.unpack::<LotFile>(content, 0)?);
                    }
                    if chunks.len() as u64 > CHUNKS_MAX {
                        return Err(nonsense("more chunks than a file has"));
                    }
                }
                _ => break,
            }
        }
        give_chunks(&mut files, chunks)?;
        let lot = Lot { files };
        let (pieces, mut batches) = mpsc::channel::<Vec<Piece>>(BATCHES);
        let sent = async {
            while let Some(batch) = batches.recv().await {
                self.sending.items(batch.into_iter().flat_map(split)).await?;
            }
            Ok(())
        };
        let supplied = self.tree.supply(&lot, pieces);
        futures_util::future::try_join(supplied, sent).await.map(drop)
    }

    async fn land(&mut self) -> Result<()> {
        let mut files = vec![];
        let first: Option<Bytes> = loop {
            match self.said().await? {
                Said::Pack { content, unpacked } => {
                    let content = self.receiving.open(content, unpacked)?;
                    if kind_of_pack(&content) == Some(Piece::KIND) {
                        break Some(content);
                    }
                    files.extend(self.receiving.unpack::<LotFile>(content, 0)?);
                }
                _ => break None,
            }
        };
        let lot = Lot { files };
        let (pieces, batches) = mpsc::channel(BATCHES);
        let receiving = &mut self.receiving;
        let fed = async move {
            let mut next = first;
            while let Some(content) = next {
                let batch = receiving.unpack::<Piece>(content, 0)?;
                if pieces.send(batch).await.is_err() {
                    // It has ended early, and says why itself.
                    return Ok(());
                }
                next = match receiving.next().await {
                    Some(Said::Pack { content, unpacked }) => Some(receiving.open(content, unpacked)?),
                    _ => None,
                };
            }
            Ok(())
        };
        let (landed, ()) = futures_util::future::try_join(self.tree.land(&lot, batches), fed).await?;
        self.sending.items(landed).await
    }

    async fn read(&mut self, path: &RelPath) -> Result<()> {
        let mut content = self.tree.read(path).await?;
        loop {
            let mut chunk = BytesMut::with_capacity(PACK_BYTES);
            while chunk.len() < PACK_BYTES {
                if content.read_buf(&mut chunk).await.map_err(from_content)? == 0 {
                    break;
                }
            }
            if chunk.is_empty() {
                return Ok(());
            }
            self.sending.items([Content(chunk.freeze())]).await?;
        }
    }

    /// What comes next; the line's end is an error.
    async fn said(&mut self) -> Result<Said> {
        let said = self.receiving.next().await;
        said.ok_or_else(|| Error::new(ErrorKind::Unreachable, "do what was asked", "the line ended"))
    }
}

fn nonsense(why: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        "do what was asked",
        format!("what the client says makes no sense: {why}"),
    )
}

/// Every signature gets its chunks, which came behind all files, in their order.
fn give_chunks(files: &mut [LotFile], chunks: Vec<ChunkSum>) -> Result<()> {
    let mut chunks = chunks.into_iter();
    for file in files {
        let Basis::Chunks { signature } = &mut file.basis else { continue };
        let signature = Arc::make_mut(signature);
        let mut told_bytes = 0_u64;
        while told_bytes < signature.size_bytes {
            let chunk = chunks.next().filter(|chunk| chunk.bytes > 0);
            let chunk = chunk.ok_or_else(|| nonsense("a signature has less than its file"))?;
            told_bytes += u64::from(chunk.bytes);
            signature.chunks.push(chunk);
        }
    }
    if chunks.next().is_some() { Err(nonsense("chunks of no file")) } else { Ok(()) }
}

/// A snapshot line by line.
fn lines(seen: Snapshot, before: bool) -> impl Iterator<Item = Seen> {
    let entries = seen.entries.into_iter().map(|(path, entry)| Sight::Entry(path, entry));
    let unreadable = seen.unreadable.into_iter().map(|(path, why)| Sight::Unreadable(path, why));
    let excluded = seen.excluded.into_iter().map(Sight::Excluded);
    entries.chain(unreadable).chain(excluded).map(move |sight| Seen { before, sight })
}
