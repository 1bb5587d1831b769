//! `dr mirror --rollback`: the former state of a tree.

use std::fmt::Write;

use dr_core::{Location, Result, Timestamp};

use crate::args::Common;
use crate::console::Console;
use crate::context;

pub(super) async fn run(
    common: &Common,
    console: &Console,
    target: &Location,
    to: Option<Timestamp>,
) -> Result<u8> {
    let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
    let control = console.control();
    if common.dry_run {
        let kept = toolkit.generations(target, &control).await?;
        let mut text = String::new();
        for generation in &kept {
            let live = if generation.is_live { ", live now" } else { "" };
            let _ = writeln!(text, "since {}{live}", generation.since);
        }
        if kept.is_empty() {
            let _ =
                writeln!(text, "no former state of {target} is kept; dr mirror --generations N keeps some");
        }
        console.result(&text, &serde_json::json!({ "generations": kept }));
        return Ok(0);
    }
    let live = toolkit.roll_back_mirror(target, to, &control).await?;
    let text = format!("{target} is as it was from {} on\n", live.since);
    console.result(&text, &serde_json::json!({ "live": live }));
    Ok(0)
}
