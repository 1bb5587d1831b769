//! How many new connections over TCP one server is offered at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// BIND and Knot let ten connections wait to be taken up (`tcp-listen-queue`); the kernel drops what comes beyond that without a word, and
/// tries again a second later.
const AT_ONCE: usize = 8;
/// After this it has been taken up, or is on a line so long that more may be sent on their way meanwhile.
const TAKEN_UP: Duration = Duration::from_millis(50);
/// Servers that were asked once are forgotten when so many are known.
const KNOWN: usize = 1000;

/// Who may open a connection to a server now, and who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<SocketAddr, Arc<Semaphore>>>>);

/// The right to open one connection.
pub(crate) struct Turn {
    _room: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Opens a connection and talks over it. The next one's turn comes when that is done, or when the server has taken it up for sure.
    pub(crate) async fn during<T>(self, talk: impl Future<Output = T>) -> T {
        let mut talk = pin!(talk);
        tokio::select! {
            biased;
            said = &mut talk => return said,
            () = sleep(TAKEN_UP) => drop(self),
        }
        talk.await
    }
}

impl Turns {
    /// Waits until one more connection may be opened.
    pub(crate) async fn at(&self, server: SocketAddr) -> Turn {
        let room = self.room(server);
        // It is never closed.
        Turn { _room: room.acquire_owned().await.ok() }
    }

    fn room(&self, server: SocketAddr) -> Arc<Semaphore> {
        // What a panicking task left behind is still a list of servers.
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() > KNOWN {
            rooms.retain(|_, room| Arc::strong_count(room) > 1);
        }
        rooms.entry(server).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn eight_at_a_time_and_each_server_by_itself() {
        let (turns, here, there) = (
            Turns::default(),
            SocketAddr::from(([192, 0, 2, 1], 53)),
            SocketAddr::from(([192, 0, 2, 2], 53)),
        );
        let mut held = vec![];
        for _ in 0..AT_ONCE {
            held.push(turns.at(here).await);
        }
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, turns.at(here)).await.is_err());
        assert!(tokio::time::timeout(soon, turns.at(there)).await.is_ok());
        held.pop();
        assert!(tokio::time::timeout(soon, turns.at(here)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_keeps_nobody_waiting() {
        let (turns, here) = (Turns::default(), SocketAddr::from(([192, 0, 2, 1], 53)));
        let begun = tokio::time::Instant::now();
        let answer = async || turns.at(here).await.during(sleep(Duration::from_secs(10))).await;
        futures_util::future::join_all((0..4 * AT_ONCE).map(|_| answer())).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10) + 3 * TAKEN_UP);
    }

    #[tokio::test]
    async fn a_crowd_of_servers_is_forgotten_but_not_those_in_use() {
        let turns = Turns::default();
        let server = |number: u16| SocketAddr::from(([192, 0, 2, 1], number));
        let _held = turns.at(server(1)).await;
        for number in 2..=3000 {
            drop(turns.at(server(number)).await);
        }
        assert!(turns.0.lock().unwrap().len() <= KNOWN + 1);
        assert_eq!(turns.room(server(1)).available_permits(), AT_ONCE - 1);
    }
}
