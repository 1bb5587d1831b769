//! `dr dns transfer`: a zone as a name server has it.

use dr_core::toolkit::{TransferZone, ZoneDifference, ZoneTransferred};
use dr_core::{Error, ErrorKind, Result};

use crate::args::{Common, DnsTransfer};
use crate::console::Console;
use crate::context::{self, TsigKeys};

pub(super) async fn run(common: &Common, console: &Console, words: DnsTransfer) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    let console = &console.under(&estate.policy);
    let mut keys = TsigKeys::new();
    if let (Some(name), Some(file)) = (&words.key, &words.key_file) {
        keys.insert(name.clone(), (words.key_algorithm, context::secret_file(file)?));
    }
    let server = words.server.map(|server| server.address.to_string());
    let request = TransferZone { zone: words.zone, server, key: words.key, since: words.since };
    let toolkit = context::toolkit_with(common, estate, vec![], keys)?;
    let transferred = toolkit.transfer_zone(&request, &console.control()).await?;
    let value = serde_json::to_value(&transferred)
        .map_err(|why| Error::new(ErrorKind::Internal, "write the zone as JSON", why.to_string()))?;
    console.result(&text(&transferred), &value);
    Ok(0)
}

/// As a zone file; changes as lines with a + or a - before them.
fn text(transferred: &ZoneTransferred) -> String {
    if transferred.whole {
        return transferred.records.join("\n");
    }
    if transferred.changes.is_empty() {
        return format!("; nothing is newer than {}", transferred.serial);
    }
    let step = |step: &ZoneDifference| {
        let gone = step.gone.iter().map(|line| format!("\n- {line}"));
        let new = step.new.iter().map(|line| format!("\n+ {line}"));
        format!("; {} to {}{}", step.from, step.to, gone.chain(new).collect::<String>())
    };
    transferred.changes.iter().map(step).collect::<Vec<_>>().join("\n")
}
