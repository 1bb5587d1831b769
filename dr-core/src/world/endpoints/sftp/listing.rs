//! Everything below the root, with many directories asked for at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use tokio::io::AsyncReadExt;

use super::Tree;
use crate::digest::Digest;
use crate::error::Result;
use crate::mirror::{Entry, Filter, Kind, Options, RelPath, Snapshot};
use crate::run::Event;
use crate::world::Control;
use crate::world::sftp::{Attrs, Client, Fault, Request, access, op, status};

/// So many directories are listed at once at most; each holds one handle open, and on a far line costs two round trips.
const DIRECTORIES_AT_ONCE: usize = 512;
/// So many files of one directory are looked into at once.
const FILES_AT_ONCE: usize = 8;
/// So many READDIR are sent before the first is answered.
const READDIRS_AT_ONCE: usize = 4;

/// One directory, seen.
struct Listed {
    directory: RelPath,
    found: Result<Vec<Found>, Fault>,
}

/// One name in it.
enum Found {
    Entry(RelPath, Entry),
    Excluded(RelPath),
    /// With its entry, if that much is known.
    Unreadable(RelPath, Option<Entry>, String),
}

impl Tree {
    pub(super) async fn scan(
        self: &Arc<Self>,
        filter: &Filter,
        options: &Options,
        control: &Control,
    ) -> Result<Snapshot> {
        let (mut seen, mut found_all) = (Snapshot::default(), vec![]);
        let root = RelPath::root();
        let there = self.look(&root).await.map_err(|fault| self.trouble("scan", &root, fault))?;
        let Some(there) = there else { return Ok(seen) };
        let mut waiting = if there.is_directory() { vec![root.clone()] } else { vec![] };
        found_all.push((root, there));
        let mut under_way = FuturesUnordered::new();
        let mut told = Instant::now();
        let at_once = self.directories_at_once();
        loop {
            while under_way.len() < at_once
                && let Some(directory) = waiting.pop()
            {
                under_way.push(self.list(directory, filter, options.checksum));
            }
            let Some(Listed { directory, found }) = under_way.next().await else {
                seen.entries.extend(found_all);
                return Ok(seen);
            };
            match found {
                Ok(found) => {
                    waiting.extend(found.iter().filter_map(Found::directory));
                    found.into_iter().for_each(|found| take(&mut seen, &mut found_all, found));
                }
                Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => {}
                Err(Fault::Status { message, .. }) => drop(seen.unreadable.insert(directory, message)),
                Err(fault) => return Err(self.trouble("scan", &directory, fault)),
            }
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                let done = found_all.len() as u64;
                control.emit(&Event::Progress {
                    phase: "scan".into(),
                    done,
                    total: None,
                    unit: "files".into(),
                });
            }
        }
    }

    /// Half of the handles that there are: others of this account may be at work too.
    fn directories_at_once(&self) -> usize {
        let handles = self.clients.iter().map(|client| client.limits.handles / 2);
        handles.fold(0, usize::saturating_add).clamp(1, DIRECTORIES_AT_ONCE)
    }

    async fn list(self: &Arc<Self>, directory: RelPath, filter: &Filter, checksum: bool) -> Listed {
        let found = match self.names(&directory).await {
            Err(fault) => Err(fault),
            Ok(names) => {
                let looks = names.into_iter().map(|(name, attrs)| {
                    let path = directory.join(&name);
                    async move {
                        match path {
                            Ok(path) => self.find(path, attrs, filter, checksum).await,
                            // A name with a slash or a NUL in it is no name: the server lies.
                            Err(_) => Err(Fault::Protocol),
                        }
                    }
                });
                let found: Vec<_> = stream::iter(looks).buffer_unordered(FILES_AT_ONCE).collect().await;
                found.into_iter().filter_map(Result::transpose).collect()
            }
        };
        Listed { directory, found }
    }

    /// The names in a directory, with what lstat says about each.
    pub(super) async fn names(&self, directory: &RelPath) -> Result<Vec<(Vec<u8>, Attrs)>, Fault> {
        names_in(self.client(), &self.full(directory)).await
    }

    async fn find(
        self: &Arc<Self>,
        path: RelPath,
        attrs: Attrs,
        filter: &Filter,
        checksum: bool,
    ) -> Result<Option<Found>, Fault> {
        let known = attrs.mode.map(|mode| mode & 0o170_000 == 0o040_000);
        if known.is_some_and(|is_directory| filter.excludes_itself(&path, is_directory)) {
            return Ok(Some(Found::Excluded(path)));
        }
        let full = self.full(&path);
        let is_complete = attrs.mode.is_some() && attrs.mtime.is_some() && attrs.size.is_some();
        let entry = if is_complete { self.entry(&full, attrs).await } else { self.look(&path).await };
        let mut entry = match entry {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(None),
            Err(Fault::Status { message, .. }) => return Ok(Some(Found::Unreadable(path, None, message))),
            Err(fault) => return Err(fault),
        };
        if filter.excludes_itself(&path, entry.is_directory()) {
            return Ok(Some(Found::Excluded(path)));
        }
        let is_doubtful = !self.is_superuser && entry.mode & 0o004 == 0;
        if entry.is_file() && (checksum || is_doubtful) {
            match self.look_into(&path, &full, &mut entry, checksum).await {
                Ok(()) => {}
                Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => return Ok(None),
                Err(Fault::Status { message, .. }) => {
                    return Ok(Some(Found::Unreadable(path, Some(entry), message)));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(Found::Entry(path, entry)))
    }

    /// Whether a file can be read, and its digest if that is wanted.
    async fn look_into(
        self: &Arc<Self>,
        path: &RelPath,
        full: &[u8],
        entry: &mut Entry,
        checksum: bool,
    ) -> Result<(), Fault> {
        let client = self.client();
        let open = Request::new(op::OPEN).string(full).number(access::READ).attrs(&Attrs::default());
        let handle = client.handle(open).await?;
        client.post(Request::new(op::CLOSE).string(&handle)).await;
        let Kind::File { digest, .. } = &mut entry.kind else { return Ok(()) };
        if checksum {
            let unreadable = |why: String| Fault::Status { code: status::FAILURE, message: why };
            let mut content = self.content(path).await.map_err(|error| unreadable(error.to_string()))?;
            let mut hasher = blake3::Hasher::new();
            let mut chunk = vec![0; 64 * 1024];
            loop {
                match content.read(&mut chunk).await {
                    Ok(0) => break,
                    Ok(read) => drop(hasher.update(&chunk[..read])),
                    Err(error) => return Err(unreadable(error.to_string())),
                }
            }
            *digest = Some(Digest::from_bytes(*hasher.finalize().as_bytes()));
        }
        Ok(())
    }
}

impl Found {
    /// The path, if this is a directory to be listed.
    fn directory(&self) -> Option<RelPath> {
        match self {
            Self::Entry(path, entry) if entry.is_directory() => Some(path.clone()),
            _ => None,
        }
    }
}

/// Directories are answered in any order: the entries are sorted at the end.
fn take(seen: &mut Snapshot, entries: &mut Vec<(RelPath, Entry)>, found: Found) {
    match found {
        Found::Entry(path, entry) => entries.push((path, entry)),
        Found::Excluded(path) => drop(seen.excluded.insert(path)),
        Found::Unreadable(path, entry, why) => {
            entries.extend(entry.map(|entry| (path.clone(), entry)));
            seen.unreadable.insert(path, why);
        }
    }
}

/// Every name in a directory but `.` and `..`.
pub(super) async fn names_in(client: &Client, full: &[u8]) -> Result<Vec<(Vec<u8>, Attrs)>, Fault> {
    let handle = client.handle(Request::new(op::OPENDIR).string(full)).await?;
    let mut names = vec![];
    let read = async {
        loop {
            let asked: Vec<_> = (0..READDIRS_AT_ONCE)
                .map(|_| client.names(Request::new(op::READDIR).string(&handle)))
                .collect();
            for some in futures_util::future::join_all(asked).await {
                let some = some?;
                if some.is_empty() {
                    return Ok(());
                }
                names.extend(some);
            }
        }
    };
    let done = read.await;
    client.post(Request::new(op::CLOSE).string(&handle)).await;
    done?;
    names.retain(|(name, _)| !matches!(name.as_slice(), b"." | b".."));
    Ok(names)
}
