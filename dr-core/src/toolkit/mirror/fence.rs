//! A mirror never writes into a host that is or has become home.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, Location, Remote, SiteId};
use crate::failover::{Role, Standing};
use crate::mirror::{Fencing, Transfer, check_standing};
use crate::time::Tick;
use crate::world::{Endpoint, Way, World};

/// An answer is relied on for so long.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What the target's host says it is for the site, asked again whenever something is about to land.
pub(super) struct Fence {
    world: World,
    watched: Option<Watched>,
    asked: Mutex<Option<Tick>>,
}

/// Whose standing is watched, and where it stands.
struct Watched {
    site: SiteId,
    epoch: Epoch,
    remote: Remote,
    path: String,
}

impl Fence {
    /// Without a site there is nothing to watch.
    pub(super) fn new(world: &World, transfer: &Transfer) -> Self {
        let watched =
            match (transfer.site.clone(), transfer.epoch, &transfer.target, transfer.standing.clone()) {
                (Some(site), Some(epoch), Location::Remote { remote, .. }, Some(path)) => {
                    Some(Watched { site, epoch, remote: remote.clone(), path })
                }
                _ => None,
            };
        Self { world: world.clone(), watched, asked: Mutex::new(None) }
    }

    /// As [`Self::new`], for a target that is open: an agent has the standing beside the tree, is told to watch it, and looks by
    /// itself before anything lands.
    pub(super) fn beside(world: &World, transfer: &Transfer, target: &dyn Endpoint) -> Self {
        match target.way() {
            Way::Agent { .. } => Self { world: world.clone(), watched: None, asked: Mutex::new(None) },
            _ => Self::new(world, transfer),
        }
    }

    /// An error of kind `Refused` if the target's host is home or knows a newer epoch.
    pub(super) async fn hold(&self) -> Result<()> {
        let Some(Watched { site, epoch, remote, path }) = &self.watched else { return Ok(()) };
        let mut asked = self.asked.lock().await;
        let now = self.world.clock.read().boot;
        if asked.is_some_and(|asked| now.since(asked) < FRESH_FOR) {
            return Ok(());
        }
        if let Some(bytes) = self.world.shell.read_file(remote, path).await? {
            let known = Standing::from_bytes(&bytes).map_err(|why| {
                Error::new(ErrorKind::Corrupt, format!("read {path} on {remote}"), why)
                    .hint("look at the file; if it is lost, remove it and plan again")
            })?;
            check_standing(site, *epoch, known.role == Role::Home, known.epoch)?;
        }
        *asked = Some(now);
        Ok(())
    }
}

/// What an endpoint that has the standing beside the tree is told to watch by itself.
pub(super) fn fencing(transfer: &Transfer) -> Option<Fencing> {
    let (site, standing) = (transfer.site.clone()?, transfer.standing.clone()?);
    Some(Fencing { site, epoch: transfer.epoch?, standing })
}
