//! `dr failover seats|hold|release|ack|approve|hand-over|give-up|freeze|thaw|drill|history`: what is said to the agent of this host.

use std::path::PathBuf;

use dr_core::failover::Verdict;
use dr_core::toolkit::{
    Heard, ListSeats, News, OrderSeat, SeatHistory, SeatOrder, SeatStatus, Told, list_seats, order_seat,
    seat_history,
};
use dr_core::{Epoch, Result};
use serde::Serialize;

use crate::args::{AgentAt, SeatWord, SeatWords};
use crate::console::Console;
use crate::context;

pub(super) async fn run(console: &Console, words: SeatWords) -> Result<u8> {
    let request = match words {
        SeatWords::Seats { sites, at } => {
            let seats = list_seats(&ListSeats { directory: directory(&at), sites }).await?;
            let text: String = seats.seats.iter().map(seat).collect();
            return Ok(show(
                console,
                if text.is_empty() { "no seats are kept here\n" } else { &text },
                &seats,
            ));
        }
        SeatWords::History { last, at } => {
            let told = seat_history(&SeatHistory { directory: directory(&at), last }).await?;
            return Ok(show(console, &told.told.iter().map(line).collect::<String>(), &told));
        }
        SeatWords::Hold { word, span } => OrderSeat { span, ..ordered(word, SeatOrder::Hold) },
        SeatWords::Approve { word, epoch, despite, stopped } => OrderSeat {
            epoch: epoch.map(Epoch),
            despite: despite.into_iter().collect(),
            stopped,
            ..ordered(word, SeatOrder::Approve)
        },
        SeatWords::Release(word) => ordered(word, SeatOrder::Release),
        SeatWords::Ack(word) => ordered(word, SeatOrder::Acknowledge),
        SeatWords::HandOver(word) => ordered(word, SeatOrder::HandOver),
        SeatWords::GiveUp(word) => ordered(word, SeatOrder::GiveUp),
        SeatWords::Freeze(word) => ordered(word, SeatOrder::Freeze),
        SeatWords::Thaw(word) => ordered(word, SeatOrder::Thaw),
        SeatWords::Drill(word) => ordered(word, SeatOrder::Drill),
    };
    let ordered = order_seat(&request).await?;
    Ok(show(console, &format!("{}\n", ordered.said), &ordered))
}

fn ordered(word: SeatWord, order: SeatOrder) -> OrderSeat {
    let by = match &word.why {
        Some(why) => format!("{}: {why}", context::asked_by()),
        None => context::asked_by(),
    };
    OrderSeat {
        directory: directory(&word.at),
        site: word.site,
        order,
        span: None,
        epoch: None,
        despite: Default::default(),
        stopped: false,
        by: Some(by),
    }
}

fn directory(at: &AgentAt) -> PathBuf {
    at.state_dir.clone().unwrap_or_else(context::agent_dir)
}

fn show(console: &Console, text: &str, answer: &impl Serialize) -> u8 {
    console.result(text, &serde_json::to_value(answer).unwrap_or_default());
    0
}

fn seat(seat: &SeatStatus) -> String {
    let mut text = format!("{} on {}: {}\n", seat.site, seat.host, seat.said);
    if let Some(lease) = &seat.lease {
        let age = seat.lease_age.map(|age| age.to_string()).unwrap_or_default();
        text += &format!("  lease     {} in epoch {}, the same for {age}\n", lease.home, lease.epoch);
    }
    text += &format!("  services  {}\n", if seat.serves { "may serve" } else { "must not serve" });
    for Heard { vote, age } in &seat.votes {
        let said = match vote.verdict {
            Verdict::Up => "up".to_owned(),
            Verdict::Down { kind } => format!("DOWN: {}", kind.words()),
            Verdict::Blind => "blind: its own line is cut".to_owned(),
            Verdict::Unknown => "in doubt".to_owned(),
        };
        text += &format!("  vote      {} says {said} ({age} ago)\n", vote.observer);
    }
    for guard in &seat.guards {
        let word = if guard.passed { "passes " } else { "REFUSES" };
        text += &format!("  {word}   {}: {}\n", guard.name.name(), guard.explanation);
    }
    text
}

fn line(told: &Told) -> String {
    let said = match &told.news {
        News::Phase { said, .. } => said.clone(),
        News::Refused { why } => format!("refused: {why}"),
        News::Trouble { doing, why } => format!("could not {doing}: {why}"),
    };
    format!("{} {}: {said}\n", told.at, told.site)
}
