//! Where files wait on the host until they are whole.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};

use super::Tree;
use super::listing::names_in;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{RelPath, STAGING_PREFIX};
use crate::world::sftp::{Attrs, Fault, Request, op, status};

/// So many leftovers are removed at once.
const REMOVALS_AT_ONCE: usize = 32;

impl Tree {
    /// A path in the staging directory that nothing has yet.
    pub(super) async fn fresh(&self) -> Result<Vec<u8>> {
        let directory = self.staging.get_or_try_init(|| self.make_staging()).await?;
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        Ok([directory, b"/".as_slice(), number.to_string().as_bytes()].concat())
    }

    /// Beside the tree, where no server serves it; inside only where the directory around it cannot be written or is another
    /// file system. What a killed run left there is removed. SFTP has no locks: of two mirrors that write into one tree at once,
    /// the one that began first finds its staged files gone, and stops.
    async fn make_staging(&self) -> Result<Vec<u8>> {
        let mut refusal = None;
        for (path, is_inside) in self.staging_places() {
            match self.make_staging_at(&path, is_inside).await {
                Ok(true) => return Ok(path),
                Ok(false) => {}
                Err(fault @ (Fault::Lost | Fault::Silent)) => {
                    return Err(self.trouble("stage files for", &RelPath::root(), fault));
                }
                Err(fault) => refusal = Some(fault),
            }
        }
        let error = match refusal {
            Some(fault) => self.trouble_writing("stage files for", &RelPath::root(), fault).await,
            None => {
                let why = "no directory beside or in it is on its file system";
                Error::new(ErrorKind::Unsupported, self.named("stage files for", &RelPath::root()), why)
            }
        };
        Err(error
            .hint("give the account that mirrors write access to the tree or to the directory around it"))
    }

    fn staging_places(&self) -> Vec<(Vec<u8>, bool)> {
        let prefix = STAGING_PREFIX.as_bytes();
        let mut places = vec![];
        if let Some(at) = self.root.iter().rposition(|byte| *byte == b'/')
            && at + 1 < self.root.len()
            && self.root.len() - at + prefix.len() < 255
        {
            let (parent, name) = self.root.split_at(at + 1);
            places.push(([parent, prefix, b"-", name].concat(), false));
        }
        let separator: &[u8] = if self.root.ends_with(b"/") { b"" } else { b"/" };
        places.push(([&self.root, separator, prefix].concat(), true));
        places
    }

    /// False where a rename into the tree would not be atomic.
    async fn make_staging_at(&self, path: &[u8], is_inside: bool) -> Result<bool, Fault> {
        let client = self.client();
        let private = Attrs { mode: Some(0o700), ..Attrs::default() };
        match client.attrs(Request::new(op::LSTAT).string(path)).await {
            Ok(attrs) if attrs.mode.is_some_and(|mode| mode & 0o170_000 == 0o040_000) => {
                // Only its owner may do this: a directory that somebody else put there is not used.
                client.done(Request::new(op::SETSTAT).string(path).attrs(&private)).await?;
                self.clear(path).await?;
            }
            Ok(_) => return Ok(false),
            Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => {
                let make = client.done(Request::new(op::MKDIR).string(path).attrs(&private));
                self.keeping_time(is_inside, make).await?;
            }
            Err(fault) => return Err(fault),
        }
        if let (Some(here), Some(there)) = (client.space(path).await, client.space(&self.root).await)
            && here.file_system != there.file_system
        {
            let remove = client.done(Request::new(op::RMDIR).string(path));
            self.keeping_time(is_inside, remove).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Removes what is staged and the directories it was in. What cannot be removed now, the next run removes.
    pub(super) async fn remove_staging(&self) {
        for (path, is_inside) in self.staging_places() {
            let found = self.client().attrs(Request::new(op::LSTAT).string(&path)).await;
            let is_ours =
                found.is_ok_and(|attrs| attrs.mode.is_some_and(|mode| mode & 0o177_777 == 0o040_700));
            if is_ours && self.clear(&path).await.is_ok() {
                let remove = self.client().done(Request::new(op::RMDIR).string(&path));
                let _ = self.keeping_time(is_inside, remove).await;
            }
        }
    }

    async fn clear(&self, path: &[u8]) -> Result<(), Fault> {
        let names = names_in(self.client(), path).await?;
        let removals = names.into_iter().map(|(name, _)| {
            let full = [path, b"/".as_slice(), &name].concat();
            async move { self.client().done(Request::new(op::REMOVE).string(&full)).await }
        });
        let removed: Vec<_> = stream::iter(removals).buffer_unordered(REMOVALS_AT_ONCE).collect().await;
        removed.into_iter().collect()
    }

    /// Puts the time of the root back after `act` made or removed a name in it: that name is no part of the tree.
    async fn keeping_time(
        &self,
        is_inside: bool,
        act: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        if !is_inside {
            return act.await;
        }
        let before = self.client().attrs(Request::new(op::LSTAT).string(&self.root)).await?;
        act.await?;
        let attrs = Attrs { mtime: before.mtime, ..Attrs::default() };
        self.client().done(Request::new(op::SETSTAT).string(&self.root).attrs(&attrs)).await
    }
}
