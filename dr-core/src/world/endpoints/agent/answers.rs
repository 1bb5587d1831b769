//! What an agent says, as its client understands it.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::mirror::Delta;
use crate::mirror::wire::{Reply, Seen, Sight};
use crate::world::Changes;
use crate::world::agent::line::{Line, Receiving, Said, as_result};

/// The agent that this one has joined, if any.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) token: Option<Vec<u8>>,
    /// What crossed the line between the two, as far as it was told.
    pub(super) told_bytes: u64,
    /// So much of it was for this end.
    pub(super) crossed_bytes: u64,
}

impl Reached {
    /// Their count goes on from one client to the next.
    pub(super) fn tell(&mut self, bytes: u64) {
        self.crossed_bytes += bytes.saturating_sub(self.told_bytes);
        self.told_bytes = self.told_bytes.max(bytes);
    }
}

pub(super) fn take(seen: &mut Delta, Seen { before, sight }: Seen) {
    let Delta { was, now, landed, originals, .. } = seen;
    let snapshot = if before { was } else { now };
    match sight {
        Sight::Landed(path) => drop(landed.insert(path)),
        Sight::Original(path, entry) => drop(originals.insert(path, entry)),
        Sight::Entry(path, entry) => drop(snapshot.entries.insert(path, entry)),
        Sight::Unreadable(path, why) => drop(snapshot.unreadable.insert(path, why)),
        Sight::Excluded(path) => drop(snapshot.excluded.insert(path)),
        Sight::User(number, name) => drop(snapshot.names.users.insert(number, name)),
        Sight::Group(number, name) => drop(snapshot.names.groups.insert(number, name)),
    }
}

/// The end of a request that has no items.
pub(super) async fn finish(receiving: &mut Receiving) -> Result<Reply> {
    loop {
        match receiving.next().await {
            Some(Said::Reply(reply)) => return as_reply(receiving, Some(reply)),
            Some(_) => {}
            None => return Err(receiving.lost()),
        }
    }
}

pub(super) fn as_reply(receiving: &Receiving, reply: Option<bytes::Bytes>) -> Result<Reply> {
    as_result(receiving.value(reply.ok_or_else(|| receiving.lost())?)?)
}

/// Sends and hears at the same time; who hears the end before all is sent stops sending.
pub(super) async fn both<T>(
    sent: impl Future<Output = Result<()>>,
    heard: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (sent, heard) = (std::pin::pin!(sent), std::pin::pin!(heard));
    match futures_util::future::select(sent, heard).await {
        futures_util::future::Either::Left((Ok(()), heard)) => heard.await,
        // Why it could not be sent is told by the answer, if there is one.
        futures_util::future::Either::Left((Err(error), heard)) => match heard.await {
            Err(told) if told.kind() != ErrorKind::Unreachable => Err(told),
            _ => Err(error),
        },
        futures_util::future::Either::Right((heard, _)) => heard,
    }
}

/// What the far end sees of changes, as long as the line stands and somebody listens.
pub(super) async fn watch(line: Arc<Line>, mut receiving: Receiving) -> Result<Option<Changes>> {
    let is_dim = loop {
        match receiving.next().await {
            Some(Said::Pack { content, unpacked }) => {
                break receiving.unpack::<bool>(content, unpacked)?.contains(&true);
            }
            Some(Said::Reply(reply)) => return as_reply(&receiving, Some(reply)).map(|_| None),
            Some(_) => {}
            None => return Err(receiving.lost()),
        }
    };
    let (changes, teller) = Changes::new(is_dim);
    tokio::spawn(async move {
        // It keeps the connection.
        let _line = line;
        loop {
            tokio::select! {
                said = receiving.next() => match said {
                    Some(Said::Pack { .. }) => teller.tell(),
                    Some(Said::Event(_) | Said::Last) => {}
                    Some(Said::Reply(_)) | None => return,
                },
                () = teller.closed() => return,
            }
        }
    });
    Ok(Some(changes))
}
