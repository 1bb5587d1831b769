//! The services of one site, started and stopped by one task.

use std::time::Duration;

use tokio::sync::watch;

use super::hook::{self, Hook};
use super::{Charge, State};
use crate::world::Clock;
use crate::world::clock::SystemClock;

/// After which a command that failed is tried again.
const AGAIN: Duration = Duration::from_millis(300);

/// The newest order, with a number that grows.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub(super) number: u64,
    /// Whether they may serve, up to the time in the charge.
    pub(super) serve: bool,
    pub(super) charge: Charge,
}

impl Ordered {
    fn may_serve(&self) -> bool {
        self.serve && self.charge.may_serve(SystemClock::new().read().boot)
    }
}

/// How they are, and by which order.
pub(super) type Stands = (u64, State);

/// Keeps to the newest order until there are no more.
pub(super) async fn keep(mut orders: watch::Receiver<Ordered>, stands: watch::Sender<Stands>) {
    let mut is = State::Unknown;
    loop {
        let order = orders.borrow_and_update().clone();
        let may = order.may_serve();
        let wanted = if may { State::Serving } else { State::Stopped };
        if is != wanted {
            let under_way = if may { State::Starting } else { State::Stopping };
            stands.send_replace((order.number, under_way));
            let done = if may { start(&mut orders).await } else { hook::stop(&order.charge).await.map(Some) };
            match done {
                Ok(Some(())) => is = wanted,
                // Told otherwise meanwhile: it may have come up or not.
                Ok(None) => {
                    is = State::Unknown;
                    continue;
                }
                Err(why) => {
                    is = State::Failed { why };
                    stands.send_replace((order.number, is.clone()));
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            }
        }
        stands.send_replace((order.number, is.clone()));
        let over = ends(&orders);
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = over => {}
        }
    }
}

/// When the newest order to serve has ended.
fn ends(orders: &watch::Receiver<Ordered>) -> impl Future<Output = ()> + use<> {
    let until = {
        let order = orders.borrow();
        order.charge.until.filter(|_| order.serve)
    };
    let clock = SystemClock::new();
    async move {
        match until {
            Some(until) if clock.read().boot < until => clock.sleep(until.since(clock.read().boot)).await,
            // An order that has ended, or to stop, stays so.
            _ => std::future::pending().await,
        }
    }
}

/// Starts the services; none if they may not serve any more before they are up. What began is killed then.
async fn start(orders: &mut watch::Receiver<Ordered>) -> Result<Option<()>, String> {
    let charge = orders.borrow().charge.clone();
    let mut hook = Hook::begin(&charge.services.start, &charge)?;
    loop {
        let over = ends(orders);
        tokio::select! {
            biased;
            ended = hook.ended() => return ended.map(Some),
            changed = orders.changed() => if changed.is_err() { return Ok(None) },
            () = over => {}
        }
        if !orders.borrow_and_update().may_serve() {
            return Ok(None);
        }
    }
}
