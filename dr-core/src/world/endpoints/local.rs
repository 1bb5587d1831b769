//! A tree on this machine.
//!
//! Everything below the root is reached from an open descriptor of the root by openat2(2) with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`. Files are staged in a directory of our own on the same file system and renamed into place; one
//! syncfs(2) at the end makes everything durable. Not carried yet: hard links as such, extended attributes, ACLs, holes.

mod root;
mod scan;
mod staging;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use rustix::fs::{self, OFlags};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::root::{Root, entry_at};
use self::scan::Scan;
use self::staging::{Staged, Staging};
use super::from_content;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::{Carries, Change, Entry, Filter, Kind, Options, RelPath, Snapshot};
use crate::world::{Content, Control, Endpoint};

/// Files up to this size are read and written in one go, by one hop to a thread that may block.
const SMALL_BYTES: usize = 256 * 1024;

/// A tree on this machine.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use dr_core::mirror::Options;
/// use dr_core::world::{Control, Endpoint, endpoints::LocalEndpoint};
/// let here = tempfile::tempdir().unwrap();
/// std::fs::write(here.path().join("index.html"), "<p>").unwrap();
/// let tree = LocalEndpoint::open(here.path()).await.unwrap();
/// let seen = tree.scan(&Options::default(), &Control::silent()).await.unwrap();
/// assert_eq!(seen.entries.len(), 2, "the root and the page");
/// # });
/// ```
pub struct LocalEndpoint(Arc<Tree>);

struct Tree {
    /// Without symbolic links.
    path: PathBuf,
    root: OnceLock<Root>,
    staging: Mutex<Option<Arc<Staging>>>,
    is_superuser: bool,
}

impl LocalEndpoint {
    /// The tree at `path`, which need not exist; the directory it is in must. Symbolic links on the way to the root are followed
    /// now and never again.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let resolved = blocking(move || resolve(&path)).await?;
        Ok(Self(Arc::new(Tree {
            path: resolved,
            root: OnceLock::new(),
            staging: Mutex::new(None),
            is_superuser: rustix::process::geteuid().is_root(),
        })))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tree = Arc::clone(&self.0);
        blocking(move || work(&tree)).await
    }
}

#[async_trait]
impl Endpoint for LocalEndpoint {
    fn carries(&self) -> Carries {
        Carries {
            nanoseconds: true,
            owners: self.0.is_superuser,
            any_name: true,
            hard_links: false,
            xattrs: false,
            special: false,
        }
    }

    fn place(&self) -> Option<Location> {
        Some(Location::Local { path: self.0.path.clone() })
    }

    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        let filter = Filter::new(&options.exclude)?;
        let (checksum, control) = (options.checksum, control.clone());
        self.run(move |tree| tree.scan(&filter, checksum, &control)).await
    }

    async fn read(&self, path: &RelPath) -> Result<Content> {
        let path = path.clone();
        self.run(move |tree| {
            let content = tree.read(&path).map_err(|error| tree.trouble("read", &path, error))?;
            content.ok_or_else(|| {
                let operation = format!("read {path} in {}", tree.path.display());
                Error::new(ErrorKind::Conflict, operation, "it is no regular file")
            })
        })
        .await
    }

    async fn write(&self, path: &RelPath, entry: &Entry, mut content: Content) -> Result<u64> {
        let mut head = Vec::new();
        (&mut content).take(SMALL_BYTES as u64 + 1).read_to_end(&mut head).await.map_err(from_content)?;
        let (path, entry) = (path.clone(), entry.clone());
        let tree = Arc::clone(&self.0);
        let trouble = |error| tree.trouble("write", &path, error);
        if head.len() <= SMALL_BYTES {
            return self.run(move |tree| tree.write(&path, &entry, &head)).await;
        }
        let (staged, file) = self.run(Tree::stage).await?;
        let mut file = tokio::fs::File::from_std(file);
        let mut size_bytes = 0;
        let mut chunk = head;
        while !chunk.is_empty() {
            file.write_all(&chunk).await.map_err(trouble)?;
            size_bytes += chunk.len() as u64;
            chunk.clear();
            chunk.reserve(SMALL_BYTES);
            content.read_buf(&mut chunk).await.map_err(from_content)?;
        }
        file.flush().await.map_err(trouble)?;
        drop(file);
        let landing = path.clone();
        self.run(move |tree| {
            let landed = tree.land(&landing, &entry, &staged);
            landed.map_err(|error| tree.trouble("write", &landing, error))
        })
        .await?;
        Ok(size_bytes)
    }

    async fn change(&self, change: &Change) -> Result<()> {
        let change = change.clone();
        self.run(move |tree| tree.change(&change)).await
    }

    async fn stat(&self, path: &RelPath) -> Result<Option<Entry>> {
        let path = path.clone();
        self.run(move |tree| tree.stat(&path).map_err(|error| tree.trouble("look at", &path, error))).await
    }

    async fn settle(&self) -> Result<()> {
        self.run(Tree::settle).await
    }
}

/// What runs on threads that may block.
impl Tree {
    fn scan(&self, filter: &Filter, checksum: bool, control: &Control) -> Result<Snapshot> {
        let root_path = RelPath::root();
        let there = entry_at(fs::CWD, self.path.as_os_str());
        let Some(there) = there.map_err(|error| self.trouble("scan", &root_path, error))? else {
            return Ok(Snapshot::default());
        };
        let is_directory = there.is_directory();
        let mut seen = Snapshot::default();
        seen.entries.insert(root_path.clone(), there);
        if !is_directory {
            return Ok(seen);
        }
        let root = self.root().map_err(|error| self.trouble("scan", &root_path, error))?;
        let reads_all = self.is_superuser;
        let entries = vec![];
        Scan { root, filter, checksum, reads_all, control, seen, entries, told: Instant::now() }.walk()
    }

    fn stat(&self, path: &RelPath) -> io::Result<Option<Entry>> {
        if path.is_root() {
            return entry_at(fs::CWD, self.path.as_os_str());
        }
        match self.root().and_then(|root| root.place(path)) {
            // Nothing, or something else than a directory, stands on the way: then nothing of this tree is at this path.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
                ) =>
            {
                Ok(None)
            }
            place => place?.entry(),
        }
    }

    /// None if it is no regular file.
    fn read(&self, path: &RelPath) -> io::Result<Option<Content>> {
        // A FIFO in place of the file must not make us wait for a writer.
        let mut file = File::from(self.root()?.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(None);
        }
        if found.len() > SMALL_BYTES as u64 {
            return Ok(Some(Box::new(tokio::fs::File::from_std(file))));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(Box::new(io::Cursor::new(bytes))))
    }

    fn write(&self, path: &RelPath, entry: &Entry, content: &[u8]) -> Result<u64> {
        let (staged, mut file) = self.stage()?;
        let written = file.write_all(content);
        drop(file);
        written
            .and_then(|()| self.land(path, entry, &staged))
            .map_err(|error| self.trouble("write", path, error))?;
        Ok(content.len() as u64)
    }

    fn stage(&self) -> Result<(Staged, File)> {
        let root = RelPath::root();
        Staged::file(self.staging()?).map_err(|error| self.trouble("stage a file for", &root, error))
    }

    fn land(&self, path: &RelPath, entry: &Entry, staged: &Staged) -> io::Result<()> {
        staged.set_metadata(entry)?;
        staged.land(&self.root()?.place(path)?)
    }

    fn change(&self, change: &Change) -> Result<()> {
        let path = &change.path;
        let was_directory = change.from.as_ref().is_some_and(Entry::is_directory);
        let done = match change.to.as_ref().map(|entry| (&entry.kind, entry)) {
            None if path.is_root() => Err(io::Error::other("a mirror never removes the root")),
            None => self.remove(path, was_directory),
            Some((Kind::Directory, entry)) => self.make_directory(path, entry),
            Some((Kind::Symlink { target }, entry)) => return self.make_symlink(path, entry, &target.0),
            Some((Kind::File { .. }, entry)) => {
                self.root().and_then(|root| root.place(path)?.set_metadata(entry))
            }
            Some((
                Kind::Other | Kind::HardLink { .. } | Kind::Device { .. } | Kind::Fifo | Kind::Socket,
                _,
            )) => Err(io::Error::other("devices, FIFOs and sockets are not carried")),
        };
        done.map_err(|error| self.trouble("change", path, error))
    }

    fn remove(&self, path: &RelPath, is_directory: bool) -> io::Result<()> {
        match self.root()?.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            place => place?.remove(is_directory),
        }
    }

    fn make_directory(&self, path: &RelPath, entry: &Entry) -> io::Result<()> {
        if path.is_root() && !self.path.exists() {
            fs::mkdir(&self.path, fs::Mode::RWXU)?;
        }
        let place = self.root()?.place(path)?;
        let there = place.entry()?;
        if !there.as_ref().is_some_and(Entry::is_directory) {
            if there.is_some() {
                place.remove(false)?;
            }
            fs::mkdirat(&place.directory, place.name, fs::Mode::RWXU)?;
        }
        place.set_metadata(entry)
    }

    fn make_symlink(&self, path: &RelPath, entry: &Entry, target: &[u8]) -> Result<()> {
        let trouble = |error| self.trouble("change", path, error);
        let there = self.stat(path).map_err(trouble)?;
        if there.is_some_and(|there| there.kind == entry.kind) {
            return self.root().and_then(|root| root.place(path)?.set_metadata(entry)).map_err(trouble);
        }
        let staged = Staged::symlink(self.staging()?, target).map_err(trouble)?;
        self.land(path, entry, &staged).map_err(trouble)
    }

    fn settle(&self) -> Result<()> {
        let Some(root) = self.root.get() else { return Ok(()) };
        let synced = root.open_at(&RelPath::root(), OFlags::RDONLY | OFlags::DIRECTORY);
        synced
            .and_then(|directory| Ok(fs::syncfs(directory)?))
            .map_err(|error| self.trouble("make durable", &RelPath::root(), error))?;
        match self.staging.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(staging) => staging.remove(&self.path, root),
            None => Staging::sweep(&self.path, root),
        }
        Ok(())
    }

    fn root(&self) -> io::Result<&Root> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let opened = Root::open(&self.path)?;
        Ok(self.root.get_or_init(|| opened))
    }

    fn staging(&self) -> Result<Arc<Staging>> {
        let mut slot = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*slot {
            return Ok(Arc::clone(staging));
        }
        let root = self.root().map_err(|error| self.trouble("write into", &RelPath::root(), error))?;
        let staging = Arc::new(Staging::open(&self.path, root)?);
        *slot = Some(Arc::clone(&staging));
        Ok(staging)
    }

    /// Names the path and says what to do.
    fn trouble(&self, verb: &str, path: &RelPath, error: io::Error) -> Error {
        let operation = if path.is_root() {
            format!("{verb} {}", self.path.display())
        } else {
            format!("{verb} {path} in {}", self.path.display())
        };
        let known = |kind, message: &str, hint: &str| Error::new(kind, operation.clone(), message).hint(hint);
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => known(
                ErrorKind::Refused,
                "a symbolic link stands in the way, and dr never follows one inside a tree",
                "replace the link in the target by a directory, or remove it",
            ),
            Some(Errno::NOTEMPTY) => known(
                ErrorKind::Conflict,
                "the directory is not empty: something else writes into the tree",
                "find what writes there, then mirror again",
            ),
            Some(Errno::XDEV) => known(
                ErrorKind::Unsupported,
                "it is on another file system than the tree's root",
                "mirror what is mounted there as a tree of its own, and exclude it here",
            ),
            Some(Errno::NOSPC | Errno::DQUOT) => {
                Error::io(operation, error).hint("make room on that file system, then mirror again")
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                Error::io(operation, error).hint("give the account that mirrors the right to it")
            }
            _ => Error::io(operation, error),
        }
    }
}

/// The path without symbolic links; its last component may be missing.
fn resolve(path: &Path) -> Result<PathBuf> {
    let operation = || format!("open {}", path.display());
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Error::io(operation(), error));
            };
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let parent = parent.canonicalize().map_err(|error| {
                let hint = format!("make the directory {} first, or correct the path", parent.display());
                Error::io(operation(), error).hint(hint)
            })?;
            Ok(parent.join(name))
        }
        resolved => resolved.map_err(|error| Error::io(operation(), error)),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "work on a tree", "the task that did it ended early")
            .caused_by(error))
    })
}
