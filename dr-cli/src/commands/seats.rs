//! `dr failover seats|hold|release|ack|approve|hand-over|give-up|freeze|thaw|drill|history`: what is said to the agent of this host.

use std::path::PathBuf;

use dr_core::failover::{Order, Verdict};
use dr_core::toolkit::{AgentAsk, AgentSaid, News, SeatStatus, Told, ask_agent};
use dr_core::{Epoch, Error, ErrorKind, Result};

use crate::args::{AgentAt, SeatWord, SeatWords};
use crate::console::Console;
use crate::context;

pub(super) async fn run(console: &Console, words: SeatWords) -> Result<u8> {
    let by = |word: &SeatWord| match &word.why {
        Some(why) => format!("{}: {why}", context::asked_by()),
        None => context::asked_by(),
    };
    let (word, order) = match words {
        SeatWords::Seats { sites, at } => {
            return show(console, ask_agent(&directory(&at), &AgentAsk::Status { sites }).await?);
        }
        SeatWords::History { last, at } => {
            return show(console, ask_agent(&directory(&at), &AgentAsk::History { last }).await?);
        }
        SeatWords::Hold { word, span } => {
            let by = by(&word);
            (word, Order::Hold { by, span })
        }
        SeatWords::Approve { word, epoch, despite, stopped } => {
            let epoch = match epoch {
                Some(epoch) => Epoch(epoch),
                None => epoch_now(&word).await?,
            };
            let by = by(&word);
            (word, Order::Take { by, epoch, despite: despite.into_iter().collect(), stopped })
        }
        SeatWords::Release(word) => ordered(word, by, |by| Order::Release { by }),
        SeatWords::Ack(word) => ordered(word, by, |by| Order::Acknowledge { by }),
        SeatWords::HandOver(word) => ordered(word, by, |by| Order::HandOver { by }),
        SeatWords::GiveUp(word) => ordered(word, by, |by| Order::GiveUp { by }),
        SeatWords::Freeze(word) => ordered(word, by, |by| Order::Freeze { by }),
        SeatWords::Thaw(word) => ordered(word, by, |by| Order::Thaw { by }),
        SeatWords::Drill(word) => ordered(word, by, |by| Order::Drill { by }),
    };
    let directory = directory(&word.at);
    show(console, ask_agent(&directory, &AgentAsk::Order { site: word.site, order }).await?)
}

fn ordered(
    word: SeatWord,
    by: impl FnOnce(&SeatWord) -> String,
    order: impl FnOnce(String) -> Order,
) -> (SeatWord, Order) {
    let by = by(&word);
    (word, order(by))
}

fn directory(at: &AgentAt) -> PathBuf {
    at.state_dir.clone().unwrap_or_else(context::agent_dir)
}

/// The epoch that the seat knows of: what the person sees now.
async fn epoch_now(word: &SeatWord) -> Result<Epoch> {
    let said = ask_agent(&directory(&word.at), &AgentAsk::Status { sites: vec![word.site.clone()] }).await?;
    let lease = match said {
        AgentSaid::Status(seats) => seats.into_iter().next().and_then(|seat| seat.lease),
        _ => None,
    };
    lease.map(|lease| lease.epoch).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("approve {}", word.site), "who holds it is not known here")
            .hint("dr failover seats shows what the agent knows")
    })
}

fn show(console: &Console, said: AgentSaid) -> Result<u8> {
    let json = serde_json::to_value(&said).unwrap_or_default();
    match said {
        AgentSaid::Status(seats) => {
            let text: String = seats.iter().map(seat).collect();
            console.result(if text.is_empty() { "no seats are kept here\n" } else { &text }, &json);
            Ok(0)
        }
        AgentSaid::History(told) => {
            console.result(&told.iter().map(line).collect::<String>(), &json);
            Ok(0)
        }
        AgentSaid::Done { said } => {
            console.result(&format!("{said}\n"), &json);
            Ok(0)
        }
        AgentSaid::Refused { why } => Err(Error::new(ErrorKind::Refused, "give the seat an order", why)),
    }
}

fn seat(seat: &SeatStatus) -> String {
    let mut text = format!("{} on {}: {}\n", seat.site, seat.host, seat.said);
    if let Some(lease) = &seat.lease {
        let age = seat.lease_age.map(|age| age.to_string()).unwrap_or_default();
        text += &format!("  lease     {} in epoch {}, the same for {age}\n", lease.home, lease.epoch);
    }
    text += &format!("  services  {}\n", if seat.serves { "may serve" } else { "must not serve" });
    for (vote, age) in &seat.votes {
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
