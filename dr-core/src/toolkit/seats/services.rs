//! What the services are told: one thing after the other, the newest last, until they do it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::driver::Told;
use super::{Deeds, News};
use crate::estate::Epoch;
use crate::failover::Until;
use crate::world::Clock;

/// After which what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the services were told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Nothing yet by this process.
    Untold,
    /// They may serve.
    Serve(Epoch, Until),
    /// They must have stopped.
    Stop,
}

/// The same with a number that grows.
pub(super) type Wanted = (u64, May);

/// Attends to the services until nobody wants anything of them any more. Never two things at once: a start must not overtake a stop.
pub(super) async fn attend(
    deeds: Arc<dyn Deeds>,
    clock: Arc<dyn Clock>,
    mut wanted: watch::Receiver<Wanted>,
    told: mpsc::Sender<Told>,
) {
    loop {
        let (number, may) = wanted.borrow_and_update().clone();
        let (doing, done) = match &may {
            May::Untold => ("", Ok(())),
            May::Serve(epoch, until) => ("let the services serve", deeds.serve(*epoch, *until).await),
            May::Stop => ("stop the services", deeds.stand_down().await),
        };
        let again = match done {
            Ok(()) => {
                if may == May::Stop && told.send(Told::Stopped(number)).await.is_err() {
                    return;
                }
                None
            }
            Err(why) => {
                deeds.tell(News::Trouble { doing: doing.to_owned(), why: why.to_string() });
                Some(AGAIN)
            }
        };
        tokio::select! {
            biased;
            changed = wanted.changed() => if changed.is_err() { return },
            () = rest(&*clock, again) => {}
        }
    }
}

async fn rest(clock: &dyn Clock, span: Option<Duration>) {
    match span {
        Some(span) => clock.sleep(span).await,
        None => std::future::pending().await,
    }
}
