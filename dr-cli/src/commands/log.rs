//! `dr log`: what was done.

use dr_core::Result;
use dr_core::render::{self, Style};
use dr_core::run::{Outcome, RunId};

use crate::args::Common;
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, run: Option<RunId>, verify: bool) -> Result<u8> {
    let toolkit = context::without_secrets(common, &context::estate(common)?.unwrap_or_default())?;
    if verify {
        return Ok(console.report(&toolkit.audit().await?));
    }
    let Some(run) = run else {
        let runs = toolkit.runs().await?;
        let lines: Vec<String> = runs
            .iter()
            .map(|run| {
                let at = seconds(&run.at.to_string());
                format!("{}  {at}  {:<14} {}", run.run, ended(run.outcome), run.title)
            })
            .collect();
        let text = if lines.is_empty() { "no runs yet".to_owned() } else { lines.join("\n") };
        console.result(&text, &serde_json::to_value(&runs).unwrap_or_default());
        return Ok(0);
    };
    let (plan, lines) = toolkit.world.journal.load(run).await?;
    console.plan(&plan);
    let style = Style { width: 100, full: true, ..Style::default() };
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{} {}",
                seconds(&line.at.to_string()),
                render::event(&line.event, Some(&plan), style).trim_end()
            )
        })
        .collect();
    console.result(&text.join("\n"), &serde_json::to_value(&lines).unwrap_or_default());
    Ok(0)
}

/// How a run ended, as people say it.
fn ended(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::New) => "done",
        Some(Outcome::NewDegraded) => "done, not all",
        Some(Outcome::Old) => "taken back",
        Some(Outcome::Stopped) => "STOPPED",
        None => "unfinished",
    }
}

/// A time without the fraction of its second: columns stay in line.
fn seconds(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}
