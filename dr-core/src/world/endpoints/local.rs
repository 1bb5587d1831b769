//! A tree on this machine.
//!
//! Everything below the root is reached from an open descriptor of the root by openat2(2) with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`. Files come into being without a name, or in a directory of our own on the same file system, and are
//! linked or renamed into place whole; one syncfs(2) at the end makes everything durable. A lot is one task on a thread that may
//! block, however many files it has.

mod abilities;
mod align;
mod aside;
mod baseline;
mod changes;
mod digesting;
mod fence;
mod generations;
mod incoming;
mod kept;
mod land;
mod landings;
mod listing;
mod looks;
mod metadata;
mod names;
mod new_file;
mod one;
mod reach;
mod root;
mod scan;
mod seeing;
mod signing;
mod staging;
mod supply;
#[cfg(test)]
mod tests;
mod trouble;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use rustix::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::aside::{Preparation, Quarantine};
use self::baseline::Memory;
use self::fence::Fence;
use self::generations::Building;
use self::kept::Kept;
use self::land::Lander;
use self::landings::Landings;
use self::reach::Reach;
use self::root::Root;
use self::signing::Signatures;
use self::staging::{Staged, Staging};
use self::supply::Supplier;
use super::from_content;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::mirror::{
    Agreement, Carries, Change, Delta, Entry, Fsync, Generation, Landed, Landing, Lot, Options, RelPath,
    Room, Signature, SignedRange, Snapshot, Survey, WORTH_COMPARING_BYTES, stages,
};
use crate::time::Timestamp;
use crate::world::{Changes, Content, Control, Endpoint, PieceReceiver, PieceSender, clock};

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
    root: RwLock<Option<Arc<Root>>>,
    staging: Mutex<Option<Arc<Staging>>>,
    /// What was said before anything lands.
    preparation: RwLock<Arc<Preparation>>,
    /// Where something went to quarantine since then.
    quarantine: Mutex<Option<Quarantine>>,
    /// The next state of the tree, if it is not changed in place.
    building: RwLock<Option<Arc<Building>>>,
    fence: Fence,
    /// Held by everything that lands; whoever settles waits until nothing does.
    writing: RwLock<()>,
    /// A file can be made without a name (O_TMPFILE): taken for so until a file system says no.
    makes_unnamed: AtomicBool,
    is_superuser: bool,
    has_attributes: bool,
    /// Chunks of large files, where something may be remembered at all.
    signatures: OnceLock<Signatures>,
    /// The tree as it was when it and another last agreed.
    memory: Memory,
    landings: Landings,
}

impl LocalEndpoint {
    /// The tree at `path`, which need not exist; the directory it is in must. Symbolic links on the way to the root are followed
    /// now and never again.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let (resolved, has_attributes) = blocking(move || {
            let resolved = resolve(&path)?;
            let has_attributes = abilities::has_attributes(&resolved);
            Ok((resolved, has_attributes))
        })
        .await?;
        Ok(Self(Arc::new(Tree {
            path: resolved,
            root: RwLock::new(None),
            staging: Mutex::new(None),
            preparation: RwLock::default(),
            quarantine: Mutex::new(None),
            building: RwLock::new(None),
            fence: Fence::default(),
            writing: RwLock::new(()),
            makes_unnamed: AtomicBool::new(true),
            is_superuser: rustix::process::geteuid().is_root(),
            has_attributes,
            signatures: OnceLock::new(),
            memory: Memory::default(),
            landings: Landings::default(),
        })))
    }

    /// The same tree, with a directory for what this end remembers between runs: what the tree was when it and another last agreed
    /// (see [`Endpoint::survey`]), and the chunks of large files. Its loss costs time only. It is never inside a tree that is
    /// mirrored: of a tree that it is in nothing is remembered.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use dr_core::Digest;
    /// use dr_core::mirror::{Agreement, Options, Survey};
    /// use dr_core::world::{Control, Endpoint, endpoints::LocalEndpoint};
    /// let (here, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    /// let tree = LocalEndpoint::open(here.path()).await.unwrap().with_state(state.path());
    /// let (options, control) = (Options::default(), Control::silent());
    /// tree.scan(&options, &control).await.unwrap();
    /// let (pair, name) = (Digest::of(b"uk:/www us:/www"), Digest::of(b"first"));
    /// tree.agree(&Agreement { pair, name, changes: vec![] }).await.unwrap();
    /// std::fs::write(here.path().join("index.html"), "<p>").unwrap();
    /// let delta = tree.survey(&Survey { pair, options }, &control).await.unwrap();
    /// assert_eq!(delta.agreed, Some(name));
    /// assert_eq!((delta.was.entries.len(), delta.now.entries.len()), (1, 2), "the root, and what is new in it");
    /// # });
    /// ```
    #[must_use]
    pub fn with_state(self, directory: &Path) -> Self {
        let _ = self.0.signatures.set(Signatures::new(directory));
        self.0.memory.enable(directory);
        self
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tree = Arc::clone(&self.0);
        blocking(move || work(&tree)).await
    }

    /// The same for work on many files; it stops soon after nobody waits for it any more.
    async fn run_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree, &Stop) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let tree = Arc::clone(&self.0);
        let waiting = Waiting(Stop::default());
        let stop = waiting.0.clone();
        let done = blocking(move || work(&tree, &stop)).await;
        drop(waiting);
        done
    }

    /// One change after the other.
    async fn change_part(&self, changes: &[Change]) -> Result<Vec<Landed>> {
        let changes = changes.to_vec();
        self.run_long(move |tree, stop| {
            let _writing = tree.writing.read().unwrap_or_else(PoisonError::into_inner);
            changes::make_all(tree, &changes, stop)
        })
        .await
    }
}

/// Says whether work is to stop.
#[derive(Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "work on a tree", "nobody waits for it any more"));
        }
        Ok(())
    }
}

/// Somebody waits for work; dropped, it stops.
struct Waiting(Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Endpoint for LocalEndpoint {
    fn carries(&self) -> Carries {
        Carries {
            nanoseconds: true,
            owners: self.0.is_superuser,
            any_name: true,
            hard_links: true,
            xattrs: self.0.has_attributes,
            special: self.0.is_superuser,
        }
    }

    fn place(&self) -> Option<Location> {
        Some(Location::Local { path: self.0.path.clone() })
    }

    async fn scan(&self, options: &Options, control: &Control) -> Result<Snapshot> {
        let (options, control) = (options.clone(), control.clone());
        self.run(move |tree| tree.scan(&options, &control)).await
    }

    async fn survey(&self, survey: &Survey, control: &Control) -> Result<Delta> {
        let (survey, control) = (survey.clone(), control.clone());
        self.run(move |tree| tree.survey(&survey, &control)).await
    }

    async fn agree(&self, agreement: &Agreement) -> Result<()> {
        let agreement = agreement.clone();
        self.run(move |tree| tree.agree(&agreement)).await
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
            let landed = tree.land_one(&landing, &entry, &staged);
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

    async fn look(&self, paths: &[RelPath]) -> Result<Vec<Option<Entry>>> {
        let paths = paths.to_vec();
        self.run_long(move |tree, stop| looks::look(tree, &paths, stop)).await
    }

    async fn digests(&self, paths: &[RelPath]) -> Result<Vec<Option<Digest>>> {
        let parts = looks::parts(paths).map(|part| {
            let part = part.to_vec();
            self.run_long(move |tree, stop| looks::digests(tree, &part, stop))
        });
        Ok(futures_util::future::try_join_all(parts).await?.concat())
    }

    async fn signature(&self, path: &RelPath, wanted: &Entry) -> Result<Option<Signature>> {
        let (path, wanted) = (path.clone(), wanted.clone());
        self.run_long(move |tree, stop| tree.signature(&path, &wanted, stop)).await
    }

    async fn remembers(&self, versions: &[(RelPath, Entry)]) -> Result<Vec<bool>> {
        let versions = versions.to_vec();
        self.run(move |tree| {
            let Some(signatures) = tree.signatures() else { return Ok(vec![false; versions.len()]) };
            let has = |(path, version): &(RelPath, Entry)| {
                signatures.has(&signing::key(&tree.path, path, version, false), version.size_bytes())
            };
            Ok(versions.iter().map(has).collect())
        })
        .await
    }

    async fn remember(&self, path: &RelPath, version: &Entry, signature: &Signature) -> Result<bool> {
        let key = signing::key(&self.0.path, path, version, signature.staged);
        let range = 0..signature.size_bytes();
        if (range.end != version.size_bytes() && !signature.staged) || !signature.is_sound() {
            return Ok(false);
        }
        let part = SignedRange { range, signature: signature.clone() };
        self.run(move |tree| {
            Ok(tree.signatures().is_some_and(|signatures| signatures.keep(&key, &part).is_ok()))
        })
        .await
    }

    async fn room(&self) -> Result<Option<Room>> {
        self.run(looks::room).await
    }

    async fn folds_case(&self) -> Result<bool> {
        self.run(|tree| {
            let trouble = |error| tree.trouble("look at", &RelPath::root(), error);
            abilities::folds_case(tree).map_err(trouble)
        })
        .await
    }

    async fn watch(&self, exclude: &[String]) -> Result<Option<Changes>> {
        Changes::below(&self.0.path, exclude).await.map(Some)
    }

    async fn begin(&self, landing: &Landing) -> Result<()> {
        let landing = landing.clone();
        self.run_long(move |tree, stop| tree.begin(landing, stop)).await
    }

    async fn keep(&self, paths: &[RelPath]) -> Result<()> {
        let paths = paths.to_vec();
        self.run_long(move |tree, stop| tree.keep_only(&paths, stop)).await
    }

    async fn switch(&self) -> Result<()> {
        self.run_long(Tree::switch).await
    }

    async fn generations(&self) -> Result<Vec<Generation>> {
        self.run(Tree::generations).await
    }

    async fn roll_back(&self, to: Option<Timestamp>) -> Result<Generation> {
        self.run(move |tree| tree.roll_back(to)).await
    }

    async fn quarantined(&self) -> Result<Option<String>> {
        let slot = self.0.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(slot.as_ref().map(|quarantine| quarantine.path.display().to_string()))
    }

    async fn supply(&self, lot: &Lot, out: PieceSender) -> Result<()> {
        let lot = lot.clone();
        self.run_long(move |tree, stop| Supplier::new(tree, stop, out)?.supply(&lot)).await
    }

    async fn land(&self, lot: &Lot, pieces: PieceReceiver) -> Result<Vec<Landed>> {
        let lot = lot.clone();
        self.run_long(move |tree, stop| {
            let _writing = tree.writing.read().unwrap_or_else(PoisonError::into_inner);
            Lander::new(tree, &lot)?.land(pieces, stop)
        })
        .await
    }

    async fn change_all(&self, changes: &[Change]) -> Result<Vec<Landed>> {
        if looks::parts(changes).nth(1).is_none() {
            return self.change_part(changes).await;
        }
        let mut landed = Vec::with_capacity(changes.len());
        for stage in stages(changes) {
            let parts = looks::parts(stage).map(|part| self.change_part(part));
            landed.extend(futures_util::future::try_join_all(parts).await?.into_iter().flatten());
        }
        Ok(landed)
    }
}

/// What the rest stands on.
impl Tree {
    fn begin(&self, landing: Landing, stop: &Stop) -> Result<()> {
        let trouble = |error| self.trouble("write into", &RelPath::root(), error);
        self.fence.watch(landing.fence.clone())?;
        *self.building.write().unwrap_or_else(PoisonError::into_inner) = None;
        *self.quarantine.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if landing.generations > 0 && !self.path.exists() {
            // Something must be there to trade places with.
            fs::mkdir(&self.path, fs::Mode::RWXU).map_err(|error| trouble(error.into()))?;
        }
        // A tree that does not exist yet is locked as soon as its root is made.
        let is_there = self.path.exists();
        let mut is_shared = landing.generations > 0;
        if is_there {
            self.staging()?;
            if let Some(kept) = Kept::find(&self.path).map_err(trouble)? {
                let live = self.live().map_err(trouble)?;
                self.end_switch(&kept, &live).map_err(trouble)?;
                is_shared |= !kept.former().map_err(trouble)?.is_empty();
                if landing.generations == 0 {
                    kept.forget_next().map_err(trouble)?;
                }
            }
        }
        if landing.generations > 0 {
            let building = self.build(landing.generations, stop)?;
            *self.building.write().unwrap_or_else(PoisonError::into_inner) = Some(building);
        }
        self.open_landings(landing.pair);
        *self.preparation.write().unwrap_or_else(PoisonError::into_inner) =
            Preparation::new(landing, clock::wall(), is_shared);
        Ok(())
    }

    /// What this run has to do with.
    fn touch<'a>(&self, paths: impl Iterator<Item = &'a RelPath>) {
        if let Some(building) = self.building() {
            building.touch(paths);
        }
    }

    fn building(&self) -> Option<Arc<Building>> {
        self.building.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settle(&self) -> Result<()> {
        let _settling = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        // What was built and not switched to waits for the next run.
        let built = self.building.write().unwrap_or_else(PoisonError::into_inner).take();
        let was_used = built.is_some()
            || self.root.read().unwrap_or_else(PoisonError::into_inner).is_some()
            || self.staging.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !was_used {
            return Ok(());
        }
        let trouble = |error| self.trouble("make durable", &RelPath::root(), error);
        let root = self.live().map_err(trouble)?;
        if self.preparation().landing.fsync != Fsync::Never {
            self.sync(&root).map_err(trouble)?;
        }
        match self.staging.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(staging) => staging.remove(&self.path, &root),
            None => Staging::sweep(&self.path, &root),
        }
        Ok(())
    }

    fn signatures(&self) -> Option<&Signatures> {
        self.signatures.get()
    }

    fn signature(&self, path: &RelPath, wanted: &Entry, stop: &Stop) -> Result<Option<Signature>> {
        if matches!(self.live(), Err(error) if looks::is_nothing(&error)) {
            return Ok(None);
        }
        let begun = Staged::begun(self.staging()?, path, wanted);
        let begun = begun.map_err(|error| self.trouble("read", path, error))?;
        let (file, staged) = match begun {
            // What came of the very version that is wanted is of more use than another version.
            Some((_staged, file)) => (file, true),
            None => match Reach::new(self.root().map_err(|error| self.trouble("read", path, error))?)
                .open_to_read(path, self.is_superuser)
            {
                Ok(file) => (file.into(), false),
                Err(_) => return Ok(None),
            },
        };
        let found = file.metadata().map_err(|error| self.trouble("read", path, error))?;
        if !found.is_file() || found.len() <= WORTH_COMPARING_BYTES {
            return Ok(None);
        }
        // It could not be read, or became shorter: the file is sent whole.
        Ok(signing::sign_file(&file, found.len(), stop)?
            .ok()
            .map(|signature| Signature { staged, ..signature }))
    }

    fn preparation(&self) -> Arc<Preparation> {
        Arc::clone(&self.preparation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where things land and are looked at: the next state of the tree while it is built, else the live one.
    fn root(&self) -> io::Result<Arc<Root>> {
        match self.building() {
            Some(building) => Ok(Arc::clone(&building.root)),
            None => self.live(),
        }
    }

    /// The path of what [`Self::root`] gives.
    fn root_path(&self) -> PathBuf {
        self.building().map_or_else(|| self.path.clone(), |building| building.path())
    }

    fn live(&self) -> io::Result<Arc<Root>> {
        if let Some(root) = &*self.root.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(root));
        }
        let mut slot = self.root.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*slot {
            return Ok(Arc::clone(root));
        }
        Ok(Arc::clone(slot.insert(Arc::new(Root::open(&self.path)?))))
    }

    fn staging(&self) -> Result<Arc<Staging>> {
        let mut slot = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*slot {
            return Ok(Arc::clone(staging));
        }
        let root = self.live().map_err(|error| self.trouble("write into", &RelPath::root(), error))?;
        let staging = Arc::new(Staging::open(&self.path, &root)?);
        *slot = Some(Arc::clone(&staging));
        Ok(staging)
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
