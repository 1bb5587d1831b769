//! `dr keys audit`: a table of who can log in where, and what is wrong with that.

use std::path::PathBuf;

use dr_core::keys::{Access, Inventory};
use dr_core::toolkit::{AuditOptions, read_known_keys};
use dr_core::{Error, ErrorKind, Estate, Remote, Result};

use super::clean;
use crate::args::Common;
use crate::console::Console;
use crate::context;

/// Of the lines so many are shown, unless all are asked for.
const SHOWN: usize = 100;

pub(super) struct Words {
    pub(super) remotes: Vec<Remote>,
    pub(super) file: Option<PathBuf>,
    pub(super) known: Option<PathBuf>,
    pub(super) record: Option<PathBuf>,
    pub(super) html: Option<PathBuf>,
    pub(super) ca: Vec<PathBuf>,
}

pub(super) async fn run(common: &Common, console: &Console, estate: Estate, words: Words) -> Result<u8> {
    let console = console.under(&estate.policy);
    let known = words.known.as_deref().map(read_known_keys).transpose()?.unwrap_or_default();
    let options = AuditOptions {
        known,
        record: words.record,
        keep_record: common.dry_run,
        authorities: words.ca,
        page: words.html.filter(|_| !common.dry_run),
    };
    let toolkit = context::toolkit(common, estate)?;
    let (inventory, report) = match words.file {
        Some(file) => toolkit.audit_key_file(&file, &options)?,
        None => toolkit.audit_keys(&words.remotes, &options, &console.control()).await?,
    };
    if console.is_json() {
        let value = serde_json::to_value(&inventory)
            .map_err(|why| Error::new(ErrorKind::Internal, "write the inventory as JSON", why.to_string()))?;
        console.result("", &value);
    } else if !console.is_monitoring() {
        // A file of 100,000 lines is not written as JSON for nobody.
        console.result(&table(&inventory, common.verbose), &serde_json::Value::Null);
    }
    Ok(console.report(&report))
}

/// One line for each key that is let in, below the account that it opens.
fn table(inventory: &Inventory, all: bool) -> String {
    let mut page = String::new();
    let limit = if all { usize::MAX } else { SHOWN };
    let shown = &inventory.access[..inventory.access.len().min(limit)];
    for lines in shown.chunk_by(|a, b| (&a.host, &a.account, &a.file) == (&b.host, &b.account, &b.file)) {
        let Some(first) = lines.first() else { continue };
        let place = match first.account.as_str() {
            "" => first.file.clone(),
            account => format!("{account} on {} ({})", first.host, first.file),
        };
        page.push_str(&clean(&place));
        page.push('\n');
        for line in lines {
            page.push_str(&row(line, inventory));
        }
    }
    match inventory.access.len().saturating_sub(limit) {
        // Of what could not be looked at the report tells.
        0 if inventory.files.is_empty() && inventory.accounts.is_empty() => {}
        0 if inventory.access.is_empty() => page.push_str("no key is let in\n"),
        0 => {}
        more => page.push_str(&format!("... and {more} more; --verbose shows all\n")),
    }
    page.trim_end().to_owned()
}

fn row(line: &Access, inventory: &Inventory) -> String {
    let kind = line.algorithm.trim_start_matches("ssh-");
    let over = if line.is_expired(inventory.at) { " (over)" } else { "" };
    let rights = clean(&line.in_words());
    format!(
        "  line {:<4} {} {kind} {}  {}: {rights}{over}\n",
        line.line,
        line.key,
        line.bits,
        clean(&line.comment)
    )
}
