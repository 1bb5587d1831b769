//! A tree on a host, by SFTP version 3 with OpenSSH's extensions: what every SSH server has, with nothing installed there.
//!
//! Requests are pipelined over a few channels, names are bytes. Not carried: times finer than a second, hard links as such,
//! extended attributes, ACLs, holes. SFTP has no openat2: each directory on the way to a path is looked at once, and one
//! that is a symbolic link is refused, but a link that is slipped in between by somebody who may write into the tree on
//! that host would be followed. The agent does better.

mod listing;
mod reading;
mod staging;
mod writing;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;

use self::writing::Unsynced;
use super::singly;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::{
    Bytes, Carries, Change, Entry, Filter, Fsync, Kind, Landing, Options, Owner, RelPath, Snapshot,
};
use crate::world::sftp::{Attrs, Client, Fault, Request, Space, op, status};
use crate::world::{Content, Control, Endpoint, Way};

/// A tree on a host, over one or several SFTP channels.
///
/// ```no_run
/// # async fn example(stream: tokio::io::DuplexStream) -> dr_core::Result<()> {
/// use dr_core::world::endpoints::SftpEndpoint;
/// let tree = SftpEndpoint::over(vec![stream], "/var/www/shop", true).await?;
/// # Ok(())
/// # }
/// ```
pub struct SftpEndpoint(Arc<Tree>);

struct Tree {
    clients: Vec<Client>,
    turn: AtomicUsize,
    /// As the server resolved it.
    root: Vec<u8>,
    place: Option<Location>,
    is_superuser: bool,
    /// Directories below the root that are known to be directories.
    ways: Mutex<HashSet<RelPath>>,
    staging: OnceCell<Vec<u8>>,
    staged: AtomicU64,
    /// When what lands is made durable.
    fsync: Mutex<Fsync>,
    /// What landed and is not durable yet, oldest first.
    unsynced: Mutex<VecDeque<Unsynced>>,
    /// Why by SFTP and not by an agent.
    why: String,
}

impl SftpEndpoint {
    /// The tree at `root`, which need not exist, over streams that each speak SFTP: channels of an SSH connection, or the pipes of a
    /// server. `is_superuser` says whether the account may set owners and read everything.
    pub async fn over<S>(streams: Vec<S>, root: &str, is_superuser: bool) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let opened = futures_util::future::join_all(streams.into_iter().map(Client::open)).await;
        Self::open(
            opened.into_iter().collect::<Result<_>>()?,
            root,
            is_superuser,
            None,
            "it was asked for".to_owned(),
        )
        .await
    }

    /// As [`Self::over`], for the account and path of `place`, and why not by an agent.
    pub(super) async fn on_host<S>(streams: Vec<S>, place: &Location, why: String) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Location::Remote { remote, path } = place else {
            return Err(Error::new(ErrorKind::Internal, format!("open {place}"), "it is on no host"));
        };
        let mut clients = vec![];
        for opened in futures_util::future::join_all(streams.into_iter().map(Client::open)).await {
            match opened {
                Ok(client) => clients.push(client),
                // One channel is enough; a server may grant no more.
                Err(error) if clients.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        Self::open(clients, path, remote.user.as_str() == "root", Some(place.clone()), why).await
    }

    async fn open(
        clients: Vec<Client>,
        root: &str,
        is_superuser: bool,
        place: Option<Location>,
        why: String,
    ) -> Result<Self> {
        let operation = || format!("open {root} over SFTP");
        let Some(first) = clients.first() else {
            return Err(Error::new(ErrorKind::Internal, operation(), "no channel was given"));
        };
        let resolved = resolve(first, root.as_bytes()).await.map_err(|fault| {
            let error = explain(operation(), fault);
            if error.kind() == ErrorKind::NotFound {
                return error.hint("make the directory it is in first, or correct the path");
            }
            error
        })?;
        let place = place.map(|place| match (place, String::from_utf8(resolved.clone())) {
            (Location::Remote { remote, .. }, Ok(path)) => Location::Remote { remote, path },
            (place, _) => place,
        });
        Ok(Self(Arc::new(Tree {
            clients,
            turn: AtomicUsize::new(0),
            root: resolved,
            place,
            is_superuser,
            ways: Mutex::default(),
            staging: OnceCell::new(),
            staged: AtomicU64::new(0),
            fsync: Mutex::default(),
            unsynced: Mutex::default(),
            why,
        })))
    }
}

/// The path without symbolic links; its last component may be missing, the directory it is in may not.
async fn resolve(client: &Client, path: &[u8]) -> Result<Vec<u8>, Fault> {
    let trimmed = match path.iter().rposition(|byte| *byte != b'/') {
        Some(last) => &path[..=last],
        None => b"/",
    };
    match client.attrs(Request::new(op::LSTAT).string(trimmed)).await {
        Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => {}
        Err(fault) => return Err(fault),
        Ok(_) => return client.real_path(trimmed).await,
    }
    // Servers differ in what they make of a path that does not exist; the one around it must.
    let (parent, name) = match trimmed.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (&b"/"[..], &trimmed[1..]),
        Some(at) => (&trimmed[..at], &trimmed[at + 1..]),
        None => (&b"."[..], trimmed),
    };
    client.attrs(Request::new(op::LSTAT).string(parent)).await?;
    let mut resolved = client.real_path(parent).await?;
    if !resolved.ends_with(b"/") {
        resolved.push(b'/');
    }
    resolved.extend_from_slice(name);
    Ok(resolved)
}

#[async_trait]
impl Endpoint for SftpEndpoint {
    fn crossed(&self) -> Option<u64> {
        Some(self.0.clients.iter().map(|client| client.crossed.bytes()).sum())
    }

    fn way(&self) -> Way {
        Way::Sftp { why: self.0.why.clone() }
    }

    fn carries(&self) -> Carries {
        Carries {
            nanoseconds: false,
            owners: self.0.is_superuser,
            any_name: true,
            hard_links: false,
            xattrs: false,
            special: false,
        }
    }

    fn place(&self) -> Option<Location> {
        self.0.place.clone()
    }

    async fn begin(&self, landing: &Landing) -> Result<()> {
        singly::begin(landing)?;
        *self.0.fsync.lock().unwrap_or_else(PoisonError::into_inner) = landing.fsync;
        Ok(())
    }

    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        let filter = Filter::new(&options.exclude)?;
        control.run(&self.0.named("scan", &RelPath::root()), self.0.scan(&filter, options, control)).await
    }

    async fn read(&self, path: &RelPath) -> Result<Content> {
        self.0.content(path).await
    }

    async fn write(&self, path: &RelPath, entry: &Entry, content: Content) -> Result<u64> {
        self.0.write(path, entry, content).await
    }

    async fn change(&self, change: &Change) -> Result<()> {
        self.0.change(change).await
    }

    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>> {
        match self.0.way(path).await {
            Ok(()) => self.0.look(path).await.map_err(|fault| self.0.trouble("look at", path, fault)),
            // Nothing, or something else than a directory, stands on the way: then nothing of this tree is at this path.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Refused) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn settle(&self) -> Result<()> {
        self.0.settle().await
    }
}

impl Tree {
    /// The next channel in turn. Whatever belongs to one handle stays on one channel.
    fn channel(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.clients.len()
    }

    fn client(&self) -> &Client {
        &self.clients[self.channel()]
    }

    fn fsync(&self) -> Fsync {
        *self.fsync.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path as the server knows it.
    fn full(&self, path: &RelPath) -> Vec<u8> {
        if path.is_root() {
            return self.root.clone();
        }
        let separator: &[u8] = if self.root.ends_with(b"/") { b"" } else { b"/" };
        [&self.root, separator, path.as_bytes()].concat()
    }

    /// Makes sure that every directory on the way to `path` is one, and no symbolic link.
    async fn way(&self, path: &RelPath) -> Result<()> {
        let parent = path.parent().filter(|parent| !parent.is_root());
        let mut unknown: Vec<RelPath> = std::iter::successors(parent, RelPath::parent)
            .filter(|above| !above.is_root())
            .take_while(|above| !self.ways().contains(above))
            .collect();
        while let Some(above) = unknown.pop() {
            let found = self.look(&above).await.map_err(|fault| self.trouble("look at", &above, fault))?;
            let refuse = |kind, why: &str| Err(Error::new(kind, self.named("go through", &above), why));
            match found.map(|entry| entry.kind) {
                Some(Kind::Directory) => drop(self.ways().insert(above)),
                Some(Kind::Symlink { .. }) => {
                    let why = "it is a symbolic link, and dr never follows one inside a tree";
                    return refuse(ErrorKind::Refused, why).map_err(|error| {
                        error.hint("replace the link in the target by a directory, or remove it")
                    });
                }
                Some(_) => return refuse(ErrorKind::Conflict, "it is no directory"),
                None => return refuse(ErrorKind::NotFound, "it does not exist"),
            }
        }
        Ok(())
    }

    fn ways(&self) -> std::sync::MutexGuard<'_, HashSet<RelPath>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is at a path, without following it.
    async fn look(&self, path: &RelPath) -> Result<Option<Entry>, Fault> {
        let full = self.full(path);
        match self.client().attrs(Request::new(op::LSTAT).string(&full)).await {
            Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => Ok(None),
            attrs => self.entry(&full, attrs?).await,
        }
    }

    /// The entry that attributes of lstat describe; none if it vanished meanwhile.
    async fn entry(&self, full: &[u8], attrs: Attrs) -> Result<Option<Entry>, Fault> {
        let (Some(mode), Some(mtime)) = (attrs.mode, attrs.mtime) else { return Err(Fault::Protocol) };
        let kind = match mode & 0o170_000 {
            0o100_000 => Kind::File { size_bytes: attrs.size.ok_or(Fault::Protocol)?, digest: None },
            0o040_000 => Kind::Directory,
            0o120_000 => match self.client().names(Request::new(op::READLINK).string(full)).await {
                Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => return Ok(None),
                names => {
                    let target = names?.into_iter().next().ok_or(Fault::Protocol)?.0;
                    Kind::Symlink { target: Bytes(target) }
                }
            },
            _ => Kind::Other,
        };
        Ok(Some(Entry {
            kind,
            mode: mode & 0o7777,
            mtime_s: i64::from(mtime),
            mtime_ns: 0,
            owner: attrs.owner.map(|(uid, gid)| Owner { uid, gid }),
            xattrs: None,
        }))
    }

    fn named(&self, verb: &str, path: &RelPath) -> String {
        let root = self.place.as_ref().map_or_else(
            || String::from_utf8_lossy(&self.root).escape_debug().to_string(),
            ToString::to_string,
        );
        if path.is_root() { format!("{verb} {root}") } else { format!("{verb} {path} in {root}") }
    }

    fn trouble(&self, verb: &str, path: &RelPath, fault: Fault) -> Error {
        explain(self.named(verb, path), fault)
    }

    /// As [`Self::trouble`]; where the server says no more than "failure", asks whether its disk is full or read-only.
    async fn trouble_writing(&self, verb: &str, path: &RelPath, fault: Fault) -> Error {
        let space = match fault {
            Fault::Status { code: status::FAILURE, .. } => self.space().await,
            _ => None,
        };
        let operation = self.named(verb, path);
        match space {
            Some(Space { is_read_only: true, .. }) => {
                Error::new(ErrorKind::ReadOnly, operation, "the file system there is read-only")
                    .hint("look at the host's kernel log for a failing disk, then remount it")
            }
            Some(space) if space.is_full() => {
                Error::new(ErrorKind::NoSpace, operation, "the file system there is full")
                    .hint("make room on that host, then mirror again")
            }
            _ => explain(operation, fault),
        }
    }

    async fn space(&self) -> Option<Space> {
        let around = self.staging.get().unwrap_or(&self.root);
        self.client().space(around).await
    }
}

/// A fault in the operator's words.
fn explain(operation: String, fault: Fault) -> Error {
    let hint = match &fault {
        Fault::Status { code: status::NO_SUCH_FILE | status::OP_UNSUPPORTED, .. } => None,
        Fault::Status { code: status::PERMISSION_DENIED, .. } => {
            Some("give the account that mirrors the right to it")
        }
        Fault::Status { .. } => Some("look at the disk and the logs of that host"),
        Fault::Lost => Some("run it again; what has landed stays"),
        Fault::Silent => Some("look at the load and the disks of that host"),
        Fault::Protocol => Some("look at which SFTP server that host runs"),
    };
    let error = fault.error(operation);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
