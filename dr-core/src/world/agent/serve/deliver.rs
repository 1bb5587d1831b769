//! From this host to another one, without the client in between.

use std::sync::Arc;

use async_trait::async_trait;

use super::Agent;
use super::perform::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::wire::{Door, Manners, Reply};
use crate::mirror::{Carries, Lot, LotFile, Passed};
use crate::world::agent::line::Sending;
use crate::world::endpoints::agent::join;
use crate::world::endpoints::passing::pass_on;
use crate::world::endpoints::{AgentEndpoint, Onlooker};
use crate::world::ssh::{Access, Connector};
use crate::world::{Cancel, Control, Endpoint};

/// An agent of another host that was joined.
pub(super) struct Reached {
    token: Vec<u8>,
    tree: Arc<AgentEndpoint>,
}

impl Agent {
    /// Joins the agent behind a door, by the keys of this account and nobody else's.
    pub(super) async fn reach(&self, door: Door, manners: Manners, cancel: &Cancel) -> Result<Reply> {
        let operation = || format!("reach {} from the source", door.remote);
        let is_restricted = self.restrictions.root.is_some() || self.restrictions.read_only;
        let Some(access) = self.access.as_ref().filter(|_| !is_restricted) else {
            return Err(Error::new(
                ErrorKind::Refused,
                operation(),
                "the agent there may reach no other host",
            ));
        };
        let mut reached = self.reached.lock().await;
        if let Some(known) =
            reached.as_ref().filter(|known| known.token == door.token && known.tree.is_alive())
        {
            known.tree.behave(manners).await?;
            return Ok(Reply::Size(known.tree.crossed().unwrap_or(0)));
        }
        *reached = None;
        let mut access: Access = access.clone();
        if !door.host_keys.is_empty() {
            access.pins = [(door.remote.known_hosts_name(), door.host_keys.clone())].into();
        }
        let mut control = Control::silent();
        control.cancel = cancel.clone();
        let connector = Connector::new(access);
        let session = connector.session(&door.remote).await?;
        let tree = join((&connector, &session), &door, &control).await?;
        tree.behave(manners).await?;
        let crossed = Reply::Size(tree.crossed().unwrap_or(0));
        *reached = Some(Reached { token: door.token, tree: Arc::new(tree) });
        Ok(crossed)
    }

    pub(super) async fn reached(&self) -> Result<Arc<AgentEndpoint>> {
        let reached = self.reached.lock().await;
        reached.as_ref().map(|reached| Arc::clone(&reached.tree)).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "do what was asked", "no other host was reached before")
        })
    }
}

impl Request<'_> {
    /// Has a lot of the tree land at the other host, and tells the client what passes.
    pub(super) async fn deliver(&mut self, target: &AgentEndpoint, carries: Carries) -> Result<Reply> {
        let lot = Lot { files: self.list::<LotFile>().await? };
        let landed = pass_on(self.tree, target, &lot, carries, &Telling(self.sending), None).await?;
        self.sending.items(landed).await?;
        Ok(Reply::Size(target.crossed().unwrap_or(0)))
    }
}

/// Tells the client.
struct Telling<'a>(&'a Sending);

#[async_trait]
impl Onlooker for Telling<'_> {
    async fn see(&self, passed: Passed) -> Result<()> {
        self.0.items([passed]).await
    }
}
