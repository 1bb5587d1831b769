//! What each request does with the tree.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::turns::Place;
use super::{Agent, priority};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::wire::{
    Call, Content, Item, Manners, PACK_BYTES, Pack, Reply, Seen, Sight, Version, kind_of_pack,
};
use crate::mirror::{
    Agreement, Change, Landed, Landing, Lot, LotFile, Piece, RelPath, Signature, Snapshot, Survey, stages,
};
use crate::world::agent::line::{Receiving, Said, Sending};
use crate::world::endpoints::LocalEndpoint;
use crate::world::endpoints::agent::{Reading, send_signature, split, take_signature};
use crate::world::endpoints::from_content;
use crate::world::{Cancel, Control, Endpoint};

/// So often is it told at most that something has changed.
const TELL_EVERY: Duration = Duration::from_millis(50);
/// Batches of pieces between the tree and the line.
const BATCHES: usize = 4;

impl Agent {
    pub(super) async fn perform(
        &self,
        call: Call,
        place: Option<Place>,
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
            Call::Reach { door, manners } => return self.reach(door, manners, cancel).await,
            _ => {}
        }
        let tree = self.tree.get().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "do what was asked", "no tree was opened before")
        })?;
        let call = match call {
            Call::InOrder(_, call) => *call,
            call => call,
        };
        if let Some(place) = &place {
            place.turn().await?;
        }
        let mut request = Request { tree, sending, receiving, cancel, place };
        if let Call::Deliver(carries) = call {
            let target = self.reached().await?;
            return request.deliver(&target, carries).await;
        }
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
        let mut asked = LocalEndpoint::open(&path).await?;
        if let Some(state_dir) = &self.restrictions.state_dir {
            asked = asked.with_state(state_dir);
        }
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
pub(super) struct Request<'a> {
    pub(super) tree: &'a LocalEndpoint,
    pub(super) sending: &'a Sending,
    receiving: Receiving,
    cancel: &'a Cancel,
    /// Where it stands among those that are done in order, if it is one of them.
    place: Option<Place>,
}

impl Request<'_> {
    async fn survey(&self, survey: &Survey) -> Result<Reply> {
        let delta = self.tree.survey(survey, &self.control()).await?;
        send_snapshot(self.sending, &delta.was, true).await?;
        send_snapshot(self.sending, &delta.now, false).await?;
        let landed = delta.landed.into_iter().map(Sight::Landed);
        let originals = delta.originals.iter().map(|(path, entry)| Sight::Original(path, entry));
        let seen = landed.chain(originals).map(|sight| Seen { before: false, sight });
        self.sending.items(seen.collect::<Vec<_>>()).await?;
        Ok(Reply::Delta { agreed: delta.agreed, counts: delta.counts })
    }

    async fn perform(mut self, call: Call) -> Result<Reply> {
        let (tree, sending) = (self.tree, self.sending);
        match call {
            Call::Scan(options) => {
                let seen = tree.scan(&options, &self.control()).await?;
                send_snapshot(sending, &seen, false).await?;
            }
            Call::Survey { pair, options } => return self.survey(&Survey { pair, options }).await,
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
            Call::Signature { path, wanted } => {
                let found = tree.signature(&path, &wanted).await?;
                if let Some(signature) = &found {
                    send_signature(sending, signature).await?;
                }
                return Ok(Reply::Signature(found.map(|signature| signature.staged)));
            }
            Call::Remembers => {
                let versions = self.list::<Version>().await?;
                let versions: Vec<_> =
                    versions.into_iter().map(|Version(path, entry)| (path, entry)).collect();
                sending.items(tree.remembers(&versions).await?).await?;
            }
            Call::Remember { path, version, staged } => {
                let signature = self.signature(staged).await?;
                return tree.remember(&path, &version, &signature).await.map(Reply::Taken);
            }
            Call::FoldsCase => return tree.folds_case().await.map(Reply::Taken),
            Call::Watch { exclude } => self.watch(&exclude).await?,
            Call::Room => return tree.room().await.map(Reply::Room),
            Call::Keep => {
                let paths = self.list::<RelPath>().await?;
                tree.keep(&paths).await?;
            }
            Call::Supply => self.supply().await?,
            Call::Stat(path) => return tree.stat(&path).await.map(Reply::Entry),
            Call::Read(path) => self.read(&path).await?,
            Call::Write { path, entry } => {
                let content = Reading::new(self.receiving, Bytes::new());
                return tree.write(&path, &entry, Box::new(content)).await.map(Reply::Size);
            }
            Call::Change(change) => tree.change(&change).await?,
            call => return self.land_or_keep(call).await,
        }
        Ok(Reply::Done)
    }

    /// What has to do with what lands, and with the states of the tree.
    async fn land_or_keep(mut self, call: Call) -> Result<Reply> {
        let (tree, sending) = (self.tree, self.sending);
        match call {
            Call::Begin(landing) => {
                let quarantine = self.list::<RelPath>().await?;
                tree.begin(&Landing { quarantine, ..landing }).await?;
                self.land_all(&[]);
            }
            Call::Land => self.land().await?,
            Call::ChangeAll => {
                let changes = self.list::<Change>().await?;
                let landed = match &self.place {
                    Some(_) => self.change_in_order(&changes).await?,
                    None => tree.change_all(&changes).await?,
                };
                sending.items(landed).await?;
            }
            Call::Settle => {
                tree.settle().await?;
                self.land_all(&[]);
            }
            Call::Switch => {
                tree.switch().await?;
                self.land_all(&[]);
            }
            Call::Generations => sending.items(tree.generations().await?).await?,
            Call::RollBack { to } => return tree.roll_back(to).await.map(Reply::Generation),
            Call::Quarantined => return tree.quarantined().await.map(Reply::Place),
            _ => {}
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

    pub(super) async fn list<T: Item>(&mut self) -> Result<Vec<T>> {
        let mut list = vec![];
        self.receiving.all(|item| list.push(item)).await?;
        Ok(list)
    }

    /// A signature in packs of chunks and grains.
    async fn signature(&mut self, staged: bool) -> Result<Signature> {
        let mut signature = Signature { staged, ..Signature::default() };
        while let Said::Pack { content, unpacked } = self.said().await? {
            let content = self.receiving.open(content, unpacked)?;
            take_signature(&self.receiving, content, &mut signature)?;
        }
        if signature.is_sound() { Ok(signature) } else { Err(nonsense("a signature of no file")) }
    }

    async fn supply(&mut self) -> Result<()> {
        let files = self.list::<LotFile>().await?;
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
        self.land_all(&landed);
        self.sending.items(landed).await
    }

    /// Nothing is changed after a stage in which something did not land.
    async fn change_in_order(&mut self, changes: &[Change]) -> Result<Vec<Landed>> {
        let mut landed = vec![];
        for stage in stages(changes) {
            landed.extend(self.tree.change_all(stage).await?);
            if !landed.iter().all(Landed::is_landed) {
                break;
            }
        }
        self.land_all(&landed);
        Ok(landed)
    }

    /// Those who wait for this one may begin, if all of it landed.
    fn land_all(&mut self, landed: &[Landed]) {
        if let Some(place) = &mut self.place {
            place.finish(landed.iter().all(Landed::is_landed));
        }
    }

    /// Tells of changes, until the kernel tells no more or nobody waits for it.
    async fn watch(&mut self, exclude: &[String]) -> Result<()> {
        let Some(mut changes) = self.tree.watch(exclude).await? else { return Ok(()) };
        self.sending.items([changes.is_dim]).await?;
        while changes.next().await {
            self.sending.items([true]).await?;
            // One word for all that comes together.
            tokio::time::sleep(TELL_EVERY).await;
        }
        Ok(())
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

/// A snapshot line by line.
async fn send_snapshot(sending: &Sending, seen: &Snapshot, before: bool) -> Result<()> {
    let mut pack = Pack::new();
    for row in seen.entries.rows() {
        if pack.push_entry(before, row.path_bytes(), &row.entry()) {
            sending.pack(&mut pack).await?;
        }
    }
    let unreadable = seen.unreadable.iter().map(|(path, why)| Sight::Unreadable(path.clone(), why.clone()));
    let excluded = seen.excluded.iter().map(|path| Sight::Excluded(path.clone()));
    let users = seen.names.users.iter().map(|(number, name)| Sight::User(*number, name.clone()));
    let groups = seen.names.groups.iter().map(|(number, name)| Sight::Group(*number, name.clone()));
    for sight in unreadable.chain(excluded).chain(users).chain(groups) {
        if pack.push(&Seen { before, sight }) {
            sending.pack(&mut pack).await?;
        }
    }
    sending.pack(&mut pack).await
}
