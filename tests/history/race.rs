//! Clients that race for one lease, each as a process of its own, while some of them die in the middle and replies are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dr_core::estate::SiteId;
use dr_core::failover::{Held, Lease, Mark, Swap};
use dr_core::world::Coordinator;

use super::{Call, Said, What, check};

/// What came of a race.
#[derive(Debug, Default)]
pub struct Raced {
    /// Calls in all.
    pub calls: usize,
    /// Swaps that were done.
    pub won: u64,
    /// Swaps that lost.
    pub lost: u64,
    /// Swaps whose outcome nobody knows: their client died, or the reply was lost.
    pub unknown: u64,
    /// Swaps that certainly were not made.
    pub not_done: u64,
    /// What cannot have happened, if anything.
    pub violation: Option<String>,
}

/// Races for as many swaps as `races`, each client with a coordinator of its own, until `patience` is over. `dying`: one swap in so
/// many is abandoned at a random moment, as a process that dies abandons it.
///
/// # Panics
/// If a client does.
pub async fn race(
    clients: Vec<Arc<dyn Coordinator>>,
    site: &SiteId,
    races: u64,
    dying: u64,
    patience: Duration,
) -> Raced {
    let (won, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut running = tokio::task::JoinSet::new();
    for (number, coordinator) in clients.into_iter().enumerate() {
        let mut client = Client {
            coordinator,
            site: site.clone(),
            number: u64::try_from(number).unwrap_or(0),
            turn: 0,
            random: u64::try_from(number).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            began,
            calls: vec![],
        };
        let won = won.clone();
        running.spawn(async move {
            client.run(&won, races, dying, patience).await;
            client.calls
        });
    }
    let mut calls = vec![];
    for history in running.join_all().await {
        calls.extend(history);
    }
    let count = |is: fn(&Said<Lease>) -> bool| {
        let swaps = calls.iter().filter(|call| matches!(&call.what, What::Swap { said, .. } if is(said)));
        swaps.count() as u64
    };
    Raced {
        calls: calls.len(),
        won: count(|said| *said == Said::Won),
        lost: count(|said| matches!(said, Said::Lost(_))),
        unknown: count(|said| *said == Said::Unknown),
        not_done: count(|said| *said == Said::NotDone),
        violation: check(&calls.iter().map(by_text).collect::<Vec<_>>()).err(),
    }
}

/// Leases have no order; their texts do.
fn by_text(call: &Call<Lease>) -> Call<String> {
    let text = |lease: &Option<Lease>| lease.as_ref().map(Lease::to_text);
    let what = match &call.what {
        What::Read(there) => What::Read(text(there)),
        What::Swap { from, to, said } => What::Swap {
            from: text(from),
            to: to.to_text(),
            said: match said {
                Said::Won => Said::Won,
                Said::Lost(there) => Said::Lost(text(there)),
                Said::NotDone => Said::NotDone,
                Said::Unknown => Said::Unknown,
            },
        },
    };
    Call { began: call.began, ended: call.ended, what }
}

struct Client {
    coordinator: Arc<dyn Coordinator>,
    site: SiteId,
    number: u64,
    turn: u64,
    random: u64,
    began: Instant,
    calls: Vec<Call<Lease>>,
}

impl Client {
    async fn run(&mut self, won: &AtomicU64, races: u64, dying: u64, patience: Duration) {
        let mut known = None;
        while won.load(Ordering::Relaxed) < races && self.began.elapsed() < patience {
            if self.drawn(5) == 0 {
                known = self.read().await.unwrap_or(known);
                continue;
            }
            let to = self.next(known.as_ref());
            let dies = dying > 0 && self.drawn(dying) == 0;
            let within = if dies { Duration::from_micros(self.drawn(3000)) } else { patience };
            let began = self.now();
            let asked = self.coordinator.swap_lease(&self.site, known.as_ref(), &to);
            let said = match tokio::time::timeout(within, asked).await {
                Ok(Ok(Swap::Won)) => Said::Won,
                Ok(Ok(Swap::Lost(Held(there)))) => Said::Lost(there),
                Ok(Ok(Swap::Unknown)) | Err(_) => Said::Unknown,
                Ok(Err(_)) => Said::NotDone,
            };
            let from = known.clone();
            self.record(began, What::Swap { from, to: to.clone(), said: said.clone() });
            match said {
                Said::Won => {
                    won.fetch_add(1, Ordering::Relaxed);
                    known = Some(to);
                }
                Said::Lost(there) => known = there,
                Said::NotDone | Said::Unknown => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    known = self.read().await.unwrap_or(known);
                }
            }
        }
    }

    /// What is there; nothing is recorded of a question that was not answered.
    async fn read(&mut self) -> Option<Option<Lease>> {
        let began = self.now();
        let there = self.coordinator.lease(&self.site).await.ok()?;
        self.record(began, What::Read(there.clone()));
        Some(there)
    }

    /// A sign of life where it holds the lease, or a raise: which is as good as the other for whoever compares.
    fn next(&mut self, known: Option<&Lease>) -> Lease {
        self.turn += 1;
        let home = format!("host-{}", self.number).parse().expect("a host");
        let (by, turn) = (Mark(u128::from(self.number) + 1), self.turn);
        match known {
            None => Lease::first(&home, by, turn),
            Some(known) if known.home == home => {
                Lease { beat: known.beat + 1, by, turn, settled: true, ..known.clone() }
            }
            Some(known) => Lease {
                epoch: known.epoch.next(),
                home,
                beat: 0,
                by,
                turn,
                settled: true,
                unacknowledged: false,
            },
        }
    }

    fn record(&mut self, began: u64, what: What<Lease>) {
        let ended = self.now();
        self.calls.push(Call { began, ended, what });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A number below `below` (xorshift).
    fn drawn(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }
}
