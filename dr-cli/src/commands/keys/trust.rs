//! `dr keys trust` and `dr keys sshfp`: host keys, shown and published.

use std::net::SocketAddr;
use std::path::PathBuf;

use dr_core::keys::{PublicKey, Signed};
use dr_core::report::Verdict as Judged;
use dr_core::toolkit::{HostKeys, ShownHostKey, read_public_key};
use dr_core::{DnsName, Estate, Remote, Result};

use crate::args::Common;
use crate::console::Console;
use crate::context;

/// Shows a host's keys beside what this name server says, or has a host that is known vouch for its others; takes new ones up after
/// a yes.
pub(super) async fn run(
    common: &Common,
    console: &Console,
    estate: Estate,
    remote: &Remote,
    (dns, vouched): (Option<SocketAddr>, bool),
    yes: bool,
) -> Result<u8> {
    let toolkit = context::toolkit(common, estate)?;
    let (seen, report) = if vouched {
        toolkit.announced_host_keys(remote, &console.control()).await?
    } else {
        toolkit.host_keys(remote, dns, &console.control()).await?
    };
    let shown = seen.shown();
    if !console.is_monitoring() {
        let rows: Vec<String> = shown.iter().map(|key| row(key, &seen)).collect();
        let value = serde_json::json!({
            "host": remote.known_hosts_name(), "keys": shown, "signed": seen.signed,
        });
        console.result(&rows.join("\n"), &value);
    }
    let code = console.report(&report);
    let new = seen.to_take_up();
    // Where something speaks against a host, nothing is taken up by a yes.
    if new.is_empty() || common.dry_run || report.verdict() == Judged::Failed {
        return Ok(code);
    }
    let Some(file) = context::known_hosts(common) else { return Ok(code) };
    let about = if vouched {
        "The host has proved that it holds these keys."
    } else {
        "Are these the fingerprints on the host's console?"
    };
    if yes || console.confirm(&format!("{about} Add {} to {}?", new.len(), file.display())) {
        toolkit.trust_host(remote, &new, &file)?;
        let count = new.len();
        let added = format!(
            "added {count} to {}; or pin them in the estate, under host_keys of the host:",
            file.display()
        );
        console.story(&added);
        new.iter().for_each(|key| console.story(&format!("  \"{}\",", key.clone().with_comment(""))));
    }
    Ok(code)
}

fn row(shown: &ShownHostKey, seen: &HostKeys) -> String {
    let ShownHostKey { algorithm, bits, fingerprint, standing, in_dns, .. } = shown;
    let dns = match (in_dns, seen.signed) {
        (None, _) => "",
        (Some(false), _) => "; the DNS does not have it",
        (Some(true), Some(Signed::Proven)) => "; the DNS agrees, signed",
        (Some(true), Some(Signed::Hearsay)) => "; the DNS agrees, signed by hearsay",
        (Some(true), Some(Signed::Unproven) | None) => "; the DNS agrees, not proven",
    };
    format!("{algorithm} {bits} {fingerprint}: {standing}{dns}")
}

pub(super) fn sshfp(
    common: &Common,
    console: &Console,
    estate: Estate,
    name: &DnsName,
    keys: &[PathBuf],
) -> Result<u8> {
    let keys: Vec<PublicKey> = keys.iter().map(|path| read_public_key(path)).collect::<Result<_>>()?;
    let records = context::toolkit(common, estate)?.sshfp_records(name, &keys)?;
    console.result(&records.lines.join("\n"), &serde_json::json!(records));
    Ok(0)
}
