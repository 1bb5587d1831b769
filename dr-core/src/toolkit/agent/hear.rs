//! What an agent asks of others, and what it believes of their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{HostId, SiteId};
use crate::failover::{Expected, Input, Role, Signed, Speaker, Statement};
use crate::toolkit::seats::News;
use crate::world::Cancel;
use crate::world::ssh::verify;
use crate::world::talk::Neighbour;

/// What one agent asks of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerAsk {
    /// Whatever is answered is signed together with this.
    pub(super) nonce: String,
    /// What is wanted of an observer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) look_at: Vec<(SiteId, HostId)>,
    /// Of which sites the other host is to say where it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stand: Vec<SiteId>,
    /// What the asker has to say, signed with the same nonce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) told: Vec<Signed>,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerSaid {
    pub(super) statements: Vec<Signed>,
    /// What was not believed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) refused: Vec<String>,
}

impl PeerAsk {
    pub(super) fn to_line(&self) -> String {
        // A value of ours always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Sixteen random bytes in hexadecimal.
pub(super) fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| {
        Error::new(ErrorKind::Internal, "ask another agent", format!("no random numbers: {why}"))
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// What is remembered of one neighbour between questions.
#[derive(Default)]
struct Memory {
    newest: BTreeMap<SiteId, u64>,
    /// Whose terms are others than ours, and what was said of it.
    trouble: BTreeMap<SiteId, String>,
    silent: bool,
}

/// Asks one neighbour again and again, and tells the seats what it says.
pub(super) async fn hear(shared: Arc<Shared>, who: Speaker, neighbour: Arc<Neighbour>, cancel: Cancel) {
    let mut memory = Memory::default();
    let pause = shared.toolkit.estate.policy.health.interval.as_duration();
    loop {
        let asked = ask(&shared, &who, &neighbour, &mut memory);
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = asked => {}
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = shared.toolkit.world.clock.sleep(pause) => {}
        }
    }
}

async fn ask(shared: &Shared, who: &Speaker, neighbour: &Neighbour, memory: &mut Memory) {
    let mut ask = PeerAsk { nonce: nonce().unwrap_or_default(), ..PeerAsk::default() };
    for (site, kept) in &shared.seats {
        match who {
            Speaker::Host(host) if *host == kept.charter.other => ask.stand.push(site.clone()),
            // Only whoever might take the site wants to know how its home is.
            Speaker::Observer(_) if kept.handle.shown().seat.kept.standing.role == Role::Standby => {
                ask.look_at.push((site.clone(), kept.charter.other.clone()));
            }
            _ => {}
        }
    }
    if ask.stand.is_empty() && ask.look_at.is_empty() || ask.nonce.is_empty() {
        return;
    }
    let clock = &shared.toolkit.world.clock;
    let asked = clock.read();
    let patience = shared.patience();
    let said = neighbour.ask(&ask.to_line(), patience).await;
    let said = said.and_then(|line| {
        serde_json::from_str::<PeerSaid>(&line)
            .map_err(|why| Error::new(ErrorKind::Protocol, format!("ask {who}"), why.to_string()))
    });
    let said = match said {
        Ok(said) => {
            memory.silent = false;
            said
        }
        Err(why) => {
            if !std::mem::replace(&mut memory.silent, true) {
                tracing::warn!("{who} is silent: {why}");
            }
            return;
        }
    };
    for signed in said.statements {
        let site = signed.statement.site().clone();
        let newest = memory.newest.get(&site).copied();
        let expected = Expected { speaker: who, nonce: &ask.nonce, newest, now: asked.wall };
        match signed.open(&expected, |bytes, signature| shared.is_signed_by(who, bytes, signature)) {
            Ok(statement) => shared.take_in(statement, asked.boot, memory).await,
            Err(why) => shared.disbelieve(&site, why, memory),
        }
    }
}

impl Shared {
    /// How long a neighbour may take: a vote that comes later than it holds says nothing.
    pub(super) fn patience(&self) -> std::time::Duration {
        let health = &self.toolkit.estate.policy.health;
        (health.interval.as_duration() * 2 + health.timeout.as_duration())
            .max(std::time::Duration::from_secs(2))
    }

    pub(super) fn is_signed_by(&self, who: &Speaker, bytes: &[u8], signature: &[u8]) -> bool {
        let keys = self.keys.get(who).map(Vec::as_slice).unwrap_or_default();
        keys.iter().any(|key| verify(key, bytes, signature))
    }

    async fn take_in(&self, statement: Statement, asked: crate::Tick, memory: &mut Memory) {
        let Some(kept) = self.seats.get(statement.site()) else { return };
        match statement {
            Statement::Vote { site, about, vote } if about == kept.charter.other => {
                memory.newest.insert(site, vote.sequence);
                // By other terms the two hosts would wait for each other wrongly.
                if self.lock_terms().contains(&kept.charter.site) {
                    return;
                }
                kept.handle.tell(Input::Vote { vote, asked }).await;
            }
            Statement::Terms { site, host, charter } => {
                if charter == kept.charter.digest() {
                    self.lock_terms().remove(&site);
                    memory.trouble.remove(&site);
                } else {
                    self.lock_terms().insert(site.clone());
                    let why = format!(
                        "{host} keeps {site} by other terms than {}: give both the same estate",
                        kept.charter.me
                    );
                    self.disbelieve(&site, why, memory);
                }
            }
            statement @ Statement::StandsBy { .. } => {
                if let Some(input) = statement.for_seat() {
                    kept.handle.tell(input).await;
                }
            }
            Statement::Vote { .. } | Statement::StepDown { .. } => {}
        }
    }

    fn lock_terms(&self) -> MutexGuard<'_, BTreeSet<SiteId>> {
        self.other_terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says it once, not with every answer.
    fn disbelieve(&self, site: &SiteId, why: String, memory: &mut Memory) {
        if memory.trouble.get(site) != Some(&why) {
            self.history
                .tell(site, News::Trouble { doing: "believe another agent".to_owned(), why: why.clone() });
            memory.trouble.insert(site.clone(), why);
        }
    }
}
