//! `dr memo`: what is needed on paper when everything is down.

use dr_core::failover::Phase;
use dr_core::render::{MemoFacts, memo};
use dr_core::toolkit::{News, SeatHistory, Told, seat_history};
use dr_core::{Estate, Result, Timestamp};

use super::check;
use crate::args::{Common, Memo};
use crate::console::Console;
use crate::context;

/// So many lines of the agent's history are looked at for drills.
const TOLD_MAX: usize = 10_000;

pub(super) async fn run(common: &Common, console: &Console, words: &Memo) -> Result<u8> {
    let estate = context::needed_estate(common)?;
    let facts = facts(common, console, &estate, words.check).await?;
    let memo = memo(&estate, &facts, dr_core::toolkit::now());
    let text = if words.html { memo.to_html() } else { memo.to_markdown() };
    console.result(&text, &serde_json::json!({ "memo": text }));
    Ok(0)
}

/// A memo is printed whatever cannot be read in the journal: it says so.
async fn facts(common: &Common, console: &Console, estate: &Estate, looked: bool) -> Result<MemoFacts> {
    let mut facts = MemoFacts { drills: drills().await, ..MemoFacts::default() };
    let moves = match context::without_secrets(common, estate) {
        Ok(toolkit) => toolkit.memo_moves().await,
        Err(why) => Err(why),
    };
    match moves {
        Ok(moves) => facts.moves = moves,
        Err(why) => facts.unread = Some(why.to_string()),
    }
    if looked {
        let toolkit = context::toolkit(common, estate.clone())?;
        facts.check = Some(check::everything(&toolkit, &console.control()).await?);
    }
    Ok(facts)
}

/// What was rehearsed on this host, if an agent runs here.
async fn drills() -> Vec<(Timestamp, dr_core::SiteId, String)> {
    let directory = context::agent_dir();
    if !directory.join("agent.sock").exists() {
        return vec![];
    }
    let told = seat_history(&SeatHistory { directory, last: TOLD_MAX }).await.map(|told| told.told);
    let rehearsed = |Told { at, site, news }| match news {
        News::Phase { phase: Phase::Drill, said } if said.starts_with("rehearsed") => Some((at, site, said)),
        _ => None,
    };
    told.unwrap_or_default().into_iter().filter_map(rehearsed).collect()
}
