//! What an agent answers: to people of its own account, and to other agents.

use std::sync::Arc;

use super::deeds::signed;
use super::hear::{PeerAsk, PeerSaid};
use super::{AgentAsk, AgentSaid, Heard, SeatStatus, Shared};
use crate::failover::{Charter, Expected, Guard, HeldBack, Input, Seat, Speaker, Statement, Tally, guard};
use crate::time::{Period, Tick};
use crate::world::talk::{Answering, From};

/// How lines are answered.
pub(super) fn answering(shared: Arc<Shared>) -> Answering {
    Arc::new(move |from, line| {
        let shared = shared.clone();
        Box::pin(async move {
            let said = match from {
                From::Here => match serde_json::from_str(&line) {
                    Ok(ask) => serde_json::to_string(&shared.answer(ask).await),
                    Err(why) => {
                        serde_json::to_string(&AgentSaid::Refused { why: format!("no question: {why}") })
                    }
                },
                From::Outside => {
                    let said = match serde_json::from_str(&line) {
                        Ok(ask) => shared.answer_peer(ask).await,
                        Err(why) => PeerSaid { refused: vec![why.to_string()], ..PeerSaid::default() },
                    };
                    serde_json::to_string(&said)
                }
            };
            said.unwrap_or_default()
        })
    })
}

impl Shared {
    async fn answer(&self, ask: AgentAsk) -> AgentSaid {
        match ask {
            AgentAsk::Status { sites } => {
                let wanted = |status: &SeatStatus| sites.is_empty() || sites.contains(&status.site);
                AgentSaid::Status(self.statuses().filter(wanted).collect())
            }
            AgentAsk::Order { site, order } => {
                let Some(kept) = self.seats.get(&site) else {
                    return AgentSaid::Refused { why: format!("no seat of {site} is kept here") };
                };
                match kept.handle.order(order).await {
                    Ok(said) => AgentSaid::Done { said },
                    Err(why) => AgentSaid::Refused { why },
                }
            }
            AgentAsk::History { last } => AgentSaid::History(self.history.last(last.min(10_000))),
        }
    }

    fn statuses(&self) -> impl Iterator<Item = SeatStatus> {
        let now = self.toolkit.world.clock.read().boot;
        self.seats.iter().map(move |(site, kept)| {
            let shown = kept.handle.shown();
            let age = |at: Tick| Period::from_millis(u64::try_from(now.since(at).as_millis()).unwrap_or(0));
            let votes = shown.seat.votes.iter();
            SeatStatus {
                site: site.clone(),
                host: kept.charter.me.clone(),
                phase: shown.seat.phase(&kept.charter),
                said: shown.seat.explain(&kept.charter, now),
                standing: shown.seat.kept.standing,
                lease: shown.seat.lease().cloned(),
                lease_age: shown.seat.watched.as_ref().map(|watched| age(watched.since)),
                serves: shown.seat.serves(&kept.charter, now).is_some(),
                votes: votes.map(|heard| Heard { vote: heard.vote.clone(), age: age(heard.at) }).collect(),
                guards: guards(&shown.seat, &kept.charter, now),
            }
        })
    }

    async fn answer_peer(&self, ask: PeerAsk) -> PeerSaid {
        let mut said = PeerSaid::default();
        let now = self.toolkit.world.clock.read().wall;
        for told in ask.told {
            // Whoever has raised the epoch of a site is its other host.
            let speaker =
                self.seats.get(told.statement.site()).map(|kept| Speaker::Host(kept.charter.other.clone()));
            let Some(speaker) = speaker else { continue };
            let expected = Expected { speaker: &speaker, nonce: &ask.nonce, newest: None, now };
            match told.open(&expected, |bytes, signature| self.is_signed_by(&speaker, bytes, signature)) {
                Ok(Statement::StepDown { site, epoch, .. }) => {
                    if let Some(kept) = self.seats.get(&site) {
                        kept.handle.tell(Input::StepDown { epoch }).await;
                    }
                }
                Ok(_) => {}
                Err(why) => said.refused.push(why),
            }
        }
        let mut statements = vec![];
        for (site, about) in ask.look_at {
            if let Some(vote) = self.lookout.vote(&site, &about) {
                statements.push(Statement::Vote { site, about, vote });
            }
        }
        for site in ask.stand {
            let Some(kept) = self.seats.get(&site) else { continue };
            let (host, charter) = (kept.charter.me.clone(), kept.charter.digest());
            if let Some(Input::Peer { standby_in, reconciled }) = kept.handle.shown().report {
                let (site, host) = (site.clone(), host.clone());
                statements.push(Statement::StandsBy { site, host, epoch: standby_in, reconciled });
            }
            statements.push(Statement::Terms { site, host, charter });
        }
        said.statements =
            statements.into_iter().filter_map(|said| signed(&self.key, said, &ask.nonce).ok()).collect();
        said
    }
}

/// What the guards said last; on a standby with those that the seat itself works out, which a move must pass as well.
fn guards(seat: &Seat, charter: &Charter, now: Tick) -> Vec<Guard> {
    let mut guards: Vec<Guard> = seat.guards.iter().flat_map(|looked| looked.guards.clone()).collect();
    if seat.lease().is_some_and(|lease| lease.home == charter.other) {
        let panel = charter.mandate.panel();
        guards.push(guard::quorum(&Tally::toward(panel, charter.beneficiary(), &seat.votes, now)));
        guards.push(guard::hold_down(seat.last_switch, now, charter.thresholds.hold_down));
        guards.push(guard::maintenance(&charter.me, Ok(HeldBack::of(&seat.kept).as_ref())));
    }
    guards
}
