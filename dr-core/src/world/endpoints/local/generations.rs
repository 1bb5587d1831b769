//! The tree as a whole goes from one state to the next at once, and back.
//!
//! The next state is built beside the live one out of names of the same files; what lands, lands there. Then the two trade places by
//! renameat2(2) with RENAME_EXCHANGE. A run that is cut short leaves the live tree as it was, and the next one goes on. What serves
//! the tree by an open descriptor, as its working directory or through a bind mount keeps the state that it opened.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{self, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::align::Align;
use super::kept::{Kept, NEXT, open_directory};
use super::root::Root;
use super::{Stop, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Fsync, Generation, RelPath};
use crate::time::Timestamp;
use crate::world::clock;

/// The next state of a tree, while it comes together.
pub(super) struct Building {
    kept: Kept,
    pub(super) root: Arc<Root>,
    live: Arc<Root>,
    keep: usize,
    /// A cut run has left it.
    is_left: bool,
    /// What this run has to do with: everything else is to be as it is in the live tree at the end.
    touched: Mutex<HashSet<RelPath>>,
}

impl Building {
    pub(super) fn path(&self) -> PathBuf {
        self.kept.path.join(NEXT)
    }

    pub(super) fn touch<'a>(&self, paths: impl Iterator<Item = &'a RelPath>) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(paths.cloned());
    }
}

impl Tree {
    /// Makes the next state, or goes on with what a cut run left of it. The tree is locked.
    pub(super) fn build(&self, keep: u32, stop: &Stop) -> Result<Arc<Building>> {
        let trouble = |error| self.trouble("keep a former state of", &RelPath::root(), error);
        let live = self.live().map_err(trouble)?;
        let Some(kept) = Kept::beside(&self.path, &live).map_err(trouble)? else {
            return Err(self.cannot_switch());
        };
        kept.sweep().map_err(trouble)?;
        self.can_exchange(&kept)?;
        self.end_switch(&kept, &live).map_err(trouble)?;
        let inode = fs::fstat(live.fd()).map_err(|error| trouble(error.into()))?.st_ino;
        match fs::mkdirat(kept.fd(), NEXT, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => made.map_err(|error| trouble(error.into()))?,
        }
        let next = Arc::new(Root::open(&kept.path.join(NEXT)).map_err(trouble)?);
        let is_left = kept.built_for() == Some(inode);
        if !is_left {
            kept.set_built_for(None).map_err(trouble)?;
            self.align(&live, &next, &HashSet::new(), stop)?;
            kept.set_built_for(Some(inode)).map_err(trouble)?;
        }
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        Ok(Arc::new(Building { kept, root: next, live, keep, is_left, touched: Mutex::default() }))
    }

    /// Takes back what a cut run brought into the next state, but for these paths and what leads there.
    pub(super) fn keep_only(&self, paths: &[RelPath], stop: &Stop) -> Result<()> {
        let Some(building) = self.building().filter(|building| building.is_left) else { return Ok(()) };
        let _writing = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        building.touch(paths.iter());
        let above = paths.iter().flat_map(|path| std::iter::successors(Some(path.clone()), RelPath::parent));
        let kept: HashSet<RelPath> = above.collect();
        let align = Align {
            live: &building.live,
            next: &building.root,
            touched: &kept,
            is_superuser: self.is_superuser,
        };
        let trouble = |error| self.trouble("keep a former state of", &RelPath::root(), error);
        align.take_back(stop)?.map_err(trouble)?;
        align.run(stop)?.map_err(trouble)
    }

    fn align(&self, live: &Root, next: &Root, touched: &HashSet<RelPath>, stop: &Stop) -> Result<()> {
        let aligned = Align { live, next, touched, is_superuser: self.is_superuser }.run(stop)?;
        aligned.map_err(|error| self.trouble("keep a former state of", &RelPath::root(), error))
    }

    /// A run may have been killed between the exchange and what follows it.
    pub(super) fn end_switch(&self, kept: &Kept, live: &Root) -> io::Result<()> {
        let Ok(next) = open_directory(kept.fd(), OsStr::new(NEXT)) else { return Ok(()) };
        let (next, live) = (fs::fstat(&next)?.st_ino, fs::fstat(live.fd())?.st_ino);
        if kept.built_for() == Some(next) && next != live {
            kept.set_built_for(None)?;
            kept.file(OsStr::new(NEXT))?;
        }
        Ok(())
    }

    /// Some file systems cannot; better known before anything is moved.
    fn can_exchange(&self, kept: &Kept) -> Result<()> {
        let names = ["exchange-1", "exchange-2"];
        let tried = names.iter().try_for_each(|name| match fs::mkdirat(kept.fd(), *name, Mode::RWXU) {
            Err(Errno::EXIST) => Ok(()),
            made => made,
        });
        let tried = tried.and_then(|()| {
            fs::renameat_with(kept.fd(), names[0], kept.fd(), names[1], RenameFlags::EXCHANGE)
        });
        for name in names {
            let _ = fs::unlinkat(kept.fd(), name, fs::AtFlags::REMOVEDIR);
        }
        match tried {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(self.cannot_switch()),
            tried => {
                tried.map_err(|error| self.trouble("keep a former state of", &RelPath::root(), error.into()))
            }
        }
    }

    fn cannot_switch(&self) -> Error {
        let operation = format!("keep a former state of {}", self.path.display());
        let why = "it is the root of a file system, or its file system cannot exchange two directories";
        Error::new(ErrorKind::Unsupported, operation, why)
            .hint("mirror a directory inside that file system, or keep no generations")
    }

    /// Makes the state that was built the live one.
    pub(super) fn switch(&self, stop: &Stop) -> Result<()> {
        let _writing = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        let Some(building) = self.building.write().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        self.fence.hold()?;
        let trouble = |error| self.trouble("switch to the new state of", &RelPath::root(), error);
        // What others wrote meanwhile into what this mirror leaves alone comes along.
        let touched = std::mem::take(&mut *building.touched.lock().unwrap_or_else(PoisonError::into_inner));
        self.align(&building.live, &building.root, &touched, stop)?;
        if self.preparation().landing.fsync != Fsync::Never {
            self.sync(&building.root).map_err(trouble)?;
        }
        self.exchange(&building.kept, OsStr::new(NEXT), &building.live, &building.root, clock::wall())
            .map_err(trouble)?;
        building.kept.set_built_for(None).map_err(trouble)?;
        let was_empty = is_empty(&building.live).map_err(trouble)?;
        if was_empty {
            building.kept.discard(OsStr::new(NEXT)).map_err(trouble)?;
        } else {
            building.kept.file(OsStr::new(NEXT)).map_err(trouble)?;
        }
        for former in building.kept.former().map_err(trouble)?.into_iter().skip(building.keep) {
            building.kept.discard(&former.name).map_err(trouble)?;
        }
        Ok(())
    }

    /// The live tree and the one under `name` trade places. Since when either was live is written down before.
    fn exchange(
        &self,
        kept: &Kept,
        name: &OsStr,
        live: &Root,
        new: &Root,
        new_since: Timestamp,
    ) -> io::Result<()> {
        let (was, will) = (fs::fstat(live.fd())?, fs::fstat(new.fd())?);
        if fs::lstat(&self.path)?.st_ino != was.st_ino {
            return Err(io::Error::other("somebody else put another directory in its place"));
        }
        kept.remember(&[(was.st_ino, kept.since(live.fd())?), (will.st_ino, new_since)])?;
        fs::renameat_with(fs::CWD, &self.path, kept.fd(), name, RenameFlags::EXCHANGE)?;
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    pub(super) fn generations(&self) -> Result<Vec<Generation>> {
        let trouble = |error| self.trouble("list the former states of", &RelPath::root(), error);
        let Some(kept) = Kept::find(&self.path).map_err(trouble)? else { return Ok(vec![]) };
        let former = kept.former().map_err(trouble)?;
        if former.is_empty() {
            return Ok(vec![]);
        }
        let mut all: Vec<Generation> =
            former.iter().map(|former| Generation { since: former.since, is_live: false }).collect();
        let live = self.live().and_then(|live| kept.since(live.fd())).map_err(trouble)?;
        all.push(Generation { since: live, is_live: true });
        all.sort_by_key(|generation| std::cmp::Reverse(generation.since));
        Ok(all)
    }

    /// Makes another kept state the live one.
    pub(super) fn roll_back(&self, to: Option<Timestamp>) -> Result<Generation> {
        let _writing = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        let trouble = |error| self.trouble("go back to a former state of", &RelPath::root(), error);
        self.staging()?;
        let live = self.live().map_err(trouble)?;
        let kept = Kept::find(&self.path).map_err(trouble)?;
        let mut chosen = None;
        if let Some(kept) = &kept {
            self.end_switch(kept, &live).map_err(trouble)?;
            let since = kept.since(live.fd()).map_err(trouble)?;
            let is_meant = |former: &Timestamp| to.map_or(*former < since, |to| *former == to);
            chosen = kept.former().map_err(trouble)?.into_iter().find(|former| is_meant(&former.since));
        }
        let (Some(kept), Some(former)) = (kept, chosen) else {
            let operation = format!("go back to a former state of {}", self.path.display());
            return Err(Error::new(ErrorKind::NotFound, operation, "no such state is kept")
                .hint("list the states that are kept; mirror with generations to keep some"));
        };
        let new = Root::open(&kept.path.join(&former.name)).map_err(trouble)?;
        self.exchange(&kept, &former.name, &live, &new, former.since).map_err(trouble)?;
        kept.file(&former.name).map_err(trouble)?;
        // What was being built is to follow the state that is live now.
        kept.set_built_for(None).map_err(trouble)?;
        self.sync(&new).map_err(trouble)?;
        Ok(Generation { since: former.since, is_live: true })
    }

    pub(super) fn sync(&self, root: &Root) -> io::Result<()> {
        let directory = root.open_at(&RelPath::root(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(fs::syncfs(directory.as_fd())?)
    }
}

fn is_empty(root: &Root) -> io::Result<bool> {
    let directory = root.open_at(&RelPath::root(), OFlags::RDONLY | OFlags::DIRECTORY)?;
    for found in fs::Dir::read_from(&directory)? {
        if !matches!(found?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
