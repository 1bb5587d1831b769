//! Files that land whole, and every other change.

use std::collections::VecDeque;
use std::sync::PoisonError;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

use super::super::from_content;
use super::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Change, Entry, Fsync, Kind, RelPath};
use crate::world::Content;
use crate::world::sftp::{Attrs, Client, FSYNC, Fault, POSIX_RENAME, Pending, Request, access, op, status};

/// So many writes of one file are sent before the first is answered.
const WRITES_AT_ONCE: usize = 16;
/// So many files are made durable at once.
const SYNCS_AT_ONCE: usize = 64;
/// So many files wait on one channel to be made durable, if the server lets them be open.
const UNSYNCED_MAX: usize = 64;
const LSETSTAT: &str = "lsetstat@openssh.com";

impl Tree {
    pub(super) async fn write(&self, path: &RelPath, entry: &Entry, content: Content) -> Result<u64> {
        self.way(path).await?;
        let staged = self.fresh().await?;
        let work = async {
            let (size_bytes, unsynced) = self.stage(path, &staged, entry, content).await?;
            let landed = self.land(&staged, path).await;
            match (landed, unsynced) {
                (Ok(()), Some(unsynced)) => self.sync_later(unsynced).await?,
                (Ok(()), None) => {}
                (Err(error), unsynced) => {
                    if let Some(unsynced) = unsynced {
                        unsynced.close(self).await;
                    }
                    return Err(error);
                }
            }
            Ok(size_bytes)
        };
        let done = work.await;
        if done.is_err() {
            // Waited for, so that the room it took is free for what comes next.
            let _ = self.client().done(Request::new(op::REMOVE).string(&staged)).await;
        }
        done
    }

    /// Writes content and metadata to a file of our own. Everything is sent before the first answer is waited for. The file comes
    /// back open if it is to be made durable later.
    async fn stage(
        &self,
        path: &RelPath,
        staged: &[u8],
        entry: &Entry,
        mut content: Content,
    ) -> Result<(u64, Option<Unsynced>)> {
        let channel = self.channel();
        let client = &self.clients[channel];
        let private = Attrs { mode: Some(0o600), ..Attrs::default() };
        let flags = access::WRITE | access::CREATE | access::EXCLUSIVE;
        let open = Request::new(op::OPEN).string(staged).number(flags).attrs(&private);
        let handle = match client.handle(open).await {
            Ok(handle) => handle,
            Err(fault) => return Err(self.trouble_writing("write", path, fault).await),
        };
        let fsync = if client.offers(FSYNC) { self.fsync() } else { Fsync::Never };
        let open = Unsynced { channel, handle, path: path.clone() };
        let sent = send_whole(client, &open.handle, entry, &mut content, fsync).await;
        let is_open = sent.is_err() || fsync == Fsync::Once;
        let settle = async {
            let (size_bytes, pending) = sent?;
            for pending in pending {
                pending.done().await?;
            }
            Ok(size_bytes)
        };
        let settled = settle.await;
        if is_open && settled.is_err() {
            open.close(self).await;
        }
        match settled {
            Ok(size_bytes) => Ok((size_bytes, is_open.then_some(open))),
            Err(Broken::Content(error)) => Err(from_content(error)),
            Err(Broken::Server(fault)) => Err(self.trouble_writing("write", path, fault).await),
        }
    }

    /// Renames what was staged over what is there. An empty directory makes place.
    async fn land(&self, staged: &[u8], path: &RelPath) -> Result<()> {
        let full = self.full(path);
        let client = self.client();
        let rename = if client.offers(POSIX_RENAME) {
            || Request::extended(POSIX_RENAME)
        } else if self.look(path).await.map_err(|fault| self.trouble("write", path, fault))?.is_none() {
            || Request::new(op::RENAME)
        } else {
            let why = format!(
                "its SFTP server does not offer {POSIX_RENAME}, so nothing can be replaced in one step"
            );
            return Err(Error::new(ErrorKind::Unsupported, self.named("write", path), why)
                .hint("mirror to a host with OpenSSH, or into an empty directory"));
        };
        let request = || rename().string(staged).string(&full);
        let mut done = client.done(request()).await;
        if matches!(done, Err(Fault::Status { code: status::FAILURE, .. }))
            && self.look(path).await.is_ok_and(|there| there.is_some_and(|there| there.is_directory()))
        {
            self.remove(path, true).await?;
            done = client.done(request()).await;
        }
        match done {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.trouble_writing("write", path, fault).await),
        }
    }

    pub(super) async fn change(&self, change: &Change) -> Result<()> {
        let path = &change.path;
        if !path.is_root() {
            match self.way(path).await {
                // Where there is no directory, what was in it is gone as well.
                Err(error) if change.to.is_none() && error.kind() == ErrorKind::NotFound => return Ok(()),
                way => way?,
            }
        }
        let was_directory = change.from.as_ref().is_some_and(Entry::is_directory);
        let done = match change.to.as_ref().map(|entry| (&entry.kind, entry)) {
            None => return self.remove(path, was_directory).await,
            Some((Kind::Symlink { target }, entry)) => {
                return self.make_symlink(path, entry, &target.0).await;
            }
            Some((Kind::Directory, entry)) => self.make_directory(path, entry).await,
            Some((Kind::File { .. }, entry)) => match self.look(path).await {
                Ok(Some(there)) if there.is_file() => self.set(op::SETSTAT, path, entry).await,
                Ok(_) => {
                    let why = "it is no regular file any more";
                    return Err(Error::new(ErrorKind::Conflict, self.named("change", path), why));
                }
                Err(fault) => Err(fault),
            },
            Some((
                Kind::Other | Kind::HardLink { .. } | Kind::Device { .. } | Kind::Fifo | Kind::Socket,
                _,
            )) => {
                let why = "devices, FIFOs and sockets are not carried";
                return Err(Error::new(ErrorKind::Unsupported, self.named("change", path), why));
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.trouble_writing("change", path, fault).await),
        }
    }

    async fn remove(&self, path: &RelPath, is_directory: bool) -> Result<()> {
        if path.is_root() {
            let why = "a mirror never removes the root";
            return Err(Error::new(ErrorKind::Internal, self.named("remove", path), why));
        }
        if is_directory {
            self.ways().retain(|way| way != path && !way.is_below(path));
        }
        let kind = if is_directory { op::RMDIR } else { op::REMOVE };
        match self.client().done(Request::new(kind).string(&self.full(path))).await {
            Ok(()) | Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => Ok(()),
            Err(Fault::Status { code: status::FAILURE, .. }) if is_directory => {
                let why = "the directory is not empty: something else writes into the tree";
                Err(Error::new(ErrorKind::Conflict, self.named("remove", path), why)
                    .hint("find what writes there, then mirror again"))
            }
            Err(fault) => Err(self.trouble_writing("remove", path, fault).await),
        }
    }

    async fn make_directory(&self, path: &RelPath, entry: &Entry) -> Result<(), Fault> {
        let full = self.full(path);
        let there = self.look(path).await?;
        if !there.as_ref().is_some_and(Entry::is_directory) {
            if there.is_some() {
                self.client().done(Request::new(op::REMOVE).string(&full)).await?;
            }
            let private = Attrs { mode: Some(0o700), ..Attrs::default() };
            self.client().done(Request::new(op::MKDIR).string(&full).attrs(&private)).await?;
        }
        self.set(op::SETSTAT, path, entry).await
    }

    async fn make_symlink(&self, path: &RelPath, entry: &Entry, target: &[u8]) -> Result<()> {
        let there = self.look(path).await.map_err(|fault| self.trouble("change", path, fault))?;
        let is_there = there.is_some_and(|there| there.kind == entry.kind);
        let client = self.client();
        let staged = if is_there { self.full(path) } else { self.fresh().await? };
        let work = async {
            if !is_there {
                // OpenSSH takes the two in this order, whatever the draft says, and all others have followed it.
                client.done(Request::new(op::SYMLINK).string(target).string(&staged)).await?;
            }
            if client.offers(LSETSTAT) {
                let owner = entry.owner.map(|owner| (owner.uid, owner.gid));
                let attrs = Attrs { owner, mtime: seconds(entry), ..Attrs::default() };
                client.done(Request::extended(LSETSTAT).string(&staged).attrs(&attrs)).await?;
            }
            Ok(())
        };
        if let Err(fault) = work.await {
            return Err(self.trouble_writing("change", path, fault).await);
        }
        if is_there {
            return Ok(());
        }
        let landed = self.land(&staged, path).await;
        if landed.is_err() {
            let _ = client.done(Request::new(op::REMOVE).string(&staged)).await;
        }
        landed
    }

    async fn set(&self, kind: u8, path: &RelPath, entry: &Entry) -> Result<(), Fault> {
        let (client, full) = (self.client(), self.full(path));
        for attrs in in_order(entry) {
            client.done(Request::new(kind).string(&full).attrs(&attrs)).await?;
        }
        Ok(())
    }

    /// SFTP has no sync of a file system: what landed is synced file by file, where the server offers that. A file stays open until
    /// then, so that it need not be found again; beyond what a server likes to hold open, the oldest is synced first.
    async fn sync_later(&self, unsynced: Unsynced) -> Result<()> {
        let most: usize =
            self.clients.iter().map(|client| (client.limits.handles / 4).min(UNSYNCED_MAX)).sum();
        let oldest = {
            let mut waiting = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back(unsynced);
            if waiting.len() > most { waiting.pop_front() } else { None }
        };
        match oldest {
            Some(oldest) => self.sync(oldest).await,
            None => Ok(()),
        }
    }

    pub(super) async fn settle(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        let syncs = waiting.into_iter().map(|unsynced| self.sync(unsynced));
        stream::iter(syncs).buffer_unordered(SYNCS_AT_ONCE).try_collect::<()>().await?;
        self.remove_staging().await;
        Ok(())
    }

    async fn sync(&self, unsynced: Unsynced) -> Result<()> {
        let client = &self.clients[unsynced.channel];
        let synced = client.send(Request::extended(FSYNC).string(&unsynced.handle)).await;
        unsynced.close(self).await;
        let done = async { synced?.done().await };
        match done.await {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.trouble_writing("make durable", &unsynced.path, fault).await),
        }
    }
}

/// A file that is not durable yet, open on one of the channels.
pub(super) struct Unsynced {
    channel: usize,
    handle: Vec<u8>,
    path: RelPath,
}

impl Unsynced {
    async fn close(&self, tree: &Tree) {
        tree.clients[self.channel].post(Request::new(op::CLOSE).string(&self.handle)).await;
    }
}

/// What kept a file from being staged.
enum Broken {
    Content(std::io::Error),
    Server(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Server(fault)
    }
}

/// Sends content and metadata, and what comes last: the file stays open only if it is to be made durable later.
async fn send_whole(
    client: &Client,
    handle: &[u8],
    entry: &Entry,
    content: &mut Content,
    fsync: Fsync,
) -> Result<(u64, VecDeque<Pending>), Broken> {
    let (size_bytes, mut pending) = send_content(client, handle, content).await?;
    for attrs in in_order(entry) {
        pending.push_back(client.send(Request::new(op::FSETSTAT).string(handle).attrs(&attrs)).await?);
    }
    if fsync == Fsync::Each {
        pending.push_back(client.send(Request::extended(FSYNC).string(handle)).await?);
    }
    if fsync != Fsync::Once {
        pending.push_back(client.send(Request::new(op::CLOSE).string(handle)).await?);
    }
    Ok((size_bytes, pending))
}

/// Sends everything there is; the answers that were not waited for yet come back.
async fn send_content(
    client: &Client,
    handle: &[u8],
    content: &mut Content,
) -> Result<(u64, VecDeque<Pending>), Broken> {
    let mut pending = VecDeque::new();
    let mut size_bytes = 0_u64;
    let chunk_bytes = u64::from(client.limits.write);
    loop {
        let mut chunk = Vec::new();
        (&mut *content).take(chunk_bytes).read_to_end(&mut chunk).await.map_err(Broken::Content)?;
        if chunk.is_empty() {
            return Ok((size_bytes, pending));
        }
        let request = Request::new(op::WRITE).string(handle).long(size_bytes).string(&chunk);
        pending.push_back(client.send(request).await?);
        size_bytes += chunk.len() as u64;
        if pending.len() >= WRITES_AT_ONCE
            && let Some(oldest) = pending.pop_front()
        {
            oldest.done().await?;
        }
    }
}

/// Owner, then mode and time: changing the owner takes setuid bits away.
fn in_order(entry: &Entry) -> impl Iterator<Item = Attrs> {
    let owner = entry.owner.map(|owner| Attrs { owner: Some((owner.uid, owner.gid)), ..Attrs::default() });
    let rest = Attrs { mode: Some(entry.mode & 0o7777), mtime: seconds(entry), ..Attrs::default() };
    owner.into_iter().chain([rest])
}

fn seconds(entry: &Entry) -> Option<u32> {
    Some(u32::try_from(entry.mtime_s.max(0)).unwrap_or(u32::MAX))
}
