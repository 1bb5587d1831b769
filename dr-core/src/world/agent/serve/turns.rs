//! Requests that wait for their turn, whichever lane they came by.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::mirror::wire::Call;
use crate::mirror::{Order, Turn, Turns};

/// How far the landing has come, for all who wait. What comes for them waits in the windows of their requests, and nowhere else.
#[derive(Default)]
pub(super) struct Queue(watch::Sender<Turns>);

impl Queue {
    /// Takes note of a request in the moment in which it comes, before anything is done for it.
    pub(super) fn arrive(self: &Arc<Self>, call: &Call) -> Option<Place> {
        match call {
            Call::InOrder(order, _) => {
                self.0.send_modify(|turns| turns.arrive(*order));
                Some(Place { queue: Arc::clone(self), order: *order, is_finished: false })
            }
            // What is sent without order is sent when nothing is under way, or when that was given up.
            Call::Begin(_) | Call::Switch | Call::Settle => {
                self.0.send_modify(Turns::end);
                None
            }
            _ => None,
        }
    }
}

/// The place of one request. Whatever becomes of the request, those behind it get to know: it did not land unless it says so.
pub(super) struct Place {
    queue: Arc<Queue>,
    order: Order,
    is_finished: bool,
}

impl Place {
    /// Waits for the turn; an error of kind `Cancelled` if it does not come.
    pub(super) async fn turn(&self) -> Result<()> {
        let mut turns = self.queue.0.subscribe();
        let come = turns.wait_for(|turns| turns.turn(self.order) != Turn::Later).await;
        match come.map(|turns| turns.turn(self.order)) {
            Ok(Turn::Now) => Ok(()),
            _ => {
                let why = "something that was to land before did not";
                Err(Error::new(ErrorKind::Cancelled, "do what was asked", why))
            }
        }
    }

    /// It is over, and what is behind it may begin, if it landed.
    pub(super) fn finish(&mut self, has_landed: bool) {
        if !std::mem::replace(&mut self.is_finished, true) {
            self.queue.0.send_modify(|turns| turns.finish(self.order, has_landed));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.finish(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(queue: &Arc<Queue>, after: u64) -> Place {
        let order = Order::new(1, after);
        queue.arrive(&Call::InOrder(order, Box::new(Call::ChangeAll))).unwrap()
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_lets_nothing_behind_it_begin() {
        let queue = Arc::new(Queue::default());
        let (last, mut first, second) = (place(&queue, 2), place(&queue, 0), place(&queue, 1));
        first.turn().await.unwrap();
        first.finish(true);
        second.turn().await.unwrap();
        let waiting = tokio::spawn(async move { last.turn().await });
        drop(second);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[tokio::test]
    async fn who_settles_meanwhile_ends_what_waits() {
        let queue = Arc::new(Queue::default());
        let waits = place(&queue, 1);
        let waiting = tokio::spawn(async move { waits.turn().await });
        assert!(queue.arrive(&Call::Settle).is_none());
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(place(&queue, 0).turn().await.is_err(), "too late");
    }
}
