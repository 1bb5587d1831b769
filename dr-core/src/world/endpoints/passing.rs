//! Lots on their way from one end to the other, through here.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::error::{ErrorKind, Result};
use crate::mirror::{Carries, Landed, Lot, Order, Passed, Piece};
use crate::world::{Endpoint, Ordered};

/// So many batches wait between two ends of one lot.
const BATCHES: usize = 8;

/// Whoever wants to know what passes between two ends.
#[async_trait]
pub trait Onlooker: Send + Sync {
    /// Told of every batch before it goes on. An error stops the lot.
    async fn see(&self, passed: Passed) -> Result<()>;
}

/// Has what one end supplies land at the other, batch by batch.
pub(in crate::world) async fn pass_on<S: Endpoint + ?Sized>(
    source: &S,
    target: &dyn Endpoint,
    lot: &Lot,
    carries: Carries,
    onlooker: &dyn Onlooker,
    order: Option<Order>,
) -> Result<Vec<Landed>> {
    let (supplying, mut supplied) = mpsc::channel::<Vec<Piece>>(BATCHES);
    let (passing, arriving) = mpsc::channel(BATCHES);
    let pass = async move {
        while let Some(mut batch) = supplied.recv().await {
            onlooker.see(Passed::look(&mut batch, lot, carries)).await?;
            if passing.send(batch).await.is_err() {
                // The target has given up, and says why.
                break;
            }
        }
        Ok(())
    };
    let land = async {
        match order {
            Some(order) => target.in_order(order, Ordered::Land(lot, arriving)).await,
            None => target.land(lot, arriving).await,
        }
    };
    let (supply, pass, land) = tokio::join!(source.supply(lot, supplying), pass, land);
    // The end that failed first says why; the other only misses it.
    match (supply, pass, land) {
        (_, Err(error), _) => Err(error),
        (Err(error), _, _) if error.kind() != ErrorKind::Cancelled => Err(error),
        (_, _, landed) => landed,
    }
}
