//! A mirror never writes into a host that is or has become home.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Location;
use crate::failover::{Role, Standing};
use crate::mirror::{Transfer, check_standing};
use crate::time::Tick;
use crate::world::World;

/// An answer is relied on for so long.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What the target's host says it is for the site, asked again while files land.
pub(super) struct Fence<'a> {
    world: &'a World,
    transfer: &'a Transfer,
    asked: Mutex<Option<Tick>>,
}

impl<'a> Fence<'a> {
    pub(super) fn new(world: &'a World, transfer: &'a Transfer) -> Self {
        Self { world, transfer, asked: Mutex::new(None) }
    }

    /// An error of kind `Refused` if the target's host is home or knows a newer epoch. Without a site there is nothing to ask.
    pub(super) async fn hold(&self) -> Result<()> {
        let Transfer { site: Some(site), epoch: Some(epoch), target, standing: Some(path), .. } =
            self.transfer
        else {
            return Ok(());
        };
        let Location::Remote { remote, .. } = target else { return Ok(()) };
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
