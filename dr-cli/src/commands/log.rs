//! `dr log`: what was done.

use dr_core::Result;
use dr_core::render::{self, Style};
use dr_core::run::RunId;

use crate::args::Common;
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, run: Option<RunId>, verify: bool) -> Result<u8> {
    let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
    if verify {
        return Ok(console.report(&toolkit.audit().await?));
    }
    let Some(run) = run else {
        let runs = toolkit.runs().await?;
        let lines: Vec<String> = runs
            .iter()
            .map(|run| {
                let outcome = run.outcome.map_or("unfinished".to_owned(), |outcome| format!("{outcome:?}"));
                format!("{}  {}  {outcome:<12} {}", run.run, run.at, run.title)
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
        .map(|line| format!("{} {}", line.at, render::event(&line.event, Some(&plan), style).trim_end()))
        .collect();
    console.result(&text.join("\n"), &serde_json::to_value(&lines).unwrap_or_default());
    Ok(0)
}
