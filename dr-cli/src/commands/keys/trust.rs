//! `dr keys trust` and `dr keys sshfp`: host keys, shown and published.

use std::net::SocketAddr;
use std::path::PathBuf;

use dr_core::keys::{PublicKey, Sshfp, Verdict};
use dr_core::report::Verdict as Judged;
use dr_core::toolkit::{HostKeys, Toolkit};
use dr_core::world::HostKeyShown;
use dr_core::{DnsName, Error, ErrorKind, Estate, Remote, Result};

use super::public_line;
use crate::args::Common;
use crate::console::Console;
use crate::context;

/// Shows a host's keys beside what this name server says, or has a host that is known vouch for its others.
pub(super) async fn run(
    common: &Common,
    console: &Console,
    estate: Estate,
    remote: &Remote,
    (dns, vouched): (Option<SocketAddr>, bool),
    yes: bool,
) -> Result<u8> {
    if vouched {
        update(common, console, estate, remote, yes).await
    } else {
        trust(common, console, estate, remote, dns, yes).await
    }
}

async fn trust(
    common: &Common,
    console: &Console,
    estate: Estate,
    remote: &Remote,
    dns: Option<SocketAddr>,
    yes: bool,
) -> Result<u8> {
    let toolkit = context::toolkit(common, estate)?;
    let (seen, report) = toolkit.host_keys(remote, dns, &console.control()).await?;
    let rows: Vec<String> = seen.keys.iter().map(|shown| row(shown, &seen, dns.is_some())).collect();
    let value: Vec<_> = seen.keys.iter().map(|shown| json(shown, &seen)).collect();
    if !console.is_monitoring() {
        console.result(
            &rows.join("\n"),
            &serde_json::json!({ "host": remote.known_hosts_name(), "keys": value }),
        );
    }
    let code = console.report(&report);
    let new: Vec<PublicKey> =
        seen.keys.iter().filter(|shown| shown.is_new()).map(|shown| shown.key.clone()).collect();
    // Where something speaks against a host, nothing is taken up by a yes.
    if new.is_empty() || common.dry_run || report.verdict() == Judged::Failed {
        return Ok(code);
    }
    take_up(
        &toolkit,
        common,
        console,
        remote,
        &new,
        yes,
        "Are these the fingerprints on the host's console?",
    )?;
    Ok(code)
}

/// The host is known, and vouches for its other keys.
async fn update(
    common: &Common,
    console: &Console,
    estate: Estate,
    remote: &Remote,
    yes: bool,
) -> Result<u8> {
    let toolkit = context::toolkit(common, estate)?;
    let keys = toolkit.announced_host_keys(remote, &console.control()).await?;
    let seen = HostKeys::default();
    let rows: Vec<String> = keys.iter().map(|shown| row(shown, &seen, false)).collect();
    let value: Vec<_> = keys.iter().map(|shown| json(shown, &seen)).collect();
    let value = serde_json::json!({ "host": remote.known_hosts_name(), "keys": value });
    console.result(&rows.join("\n"), &value);
    let new: Vec<PublicKey> =
        keys.iter().filter(|shown| shown.may_follow()).map(|shown| shown.key.clone()).collect();
    if !new.is_empty() && !common.dry_run {
        take_up(
            &toolkit,
            common,
            console,
            remote,
            &new,
            yes,
            "The host has proved that it holds these keys.",
        )?;
    }
    Ok(0)
}

/// Writes keys down, after a yes.
fn take_up(
    toolkit: &Toolkit,
    common: &Common,
    console: &Console,
    remote: &Remote,
    new: &[PublicKey],
    yes: bool,
    about: &str,
) -> Result<()> {
    let Some(file) = context::known_hosts(common) else { return Ok(()) };
    if yes || console.confirm(&format!("{about} Add {} to {}?", new.len(), file.display())) {
        toolkit.trust_host(remote, new, &file)?;
        console.story(&format!(
            "added {} to {}; or pin them in the estate, under host_keys of the host:",
            new.len(),
            file.display()
        ));
        new.iter().for_each(|key| console.story(&format!("  \"{}\",", key.clone().with_comment(""))));
    }
    Ok(())
}

fn standing(shown: &HostKeyShown) -> String {
    match (&shown.verdict, shown.pinned) {
        (Verdict::Revoked(place), _) => format!("revoked in {place}"),
        (_, Some(true)) => "pinned".to_owned(),
        (_, Some(false)) => "not pinned".to_owned(),
        (Verdict::Known(place), None) => format!("known from {place}"),
        (Verdict::Changed(place), None) => format!("another one of its kind is in {place}"),
        (Verdict::Unknown, None) => "new".to_owned(),
    }
}

fn agrees(shown: &HostKeyShown, seen: &HostKeys) -> bool {
    seen.records.iter().any(|record| record.is_of(&shown.key))
}

fn row(shown: &HostKeyShown, seen: &HostKeys, asked: bool) -> String {
    let dns = match (asked, agrees(shown, seen)) {
        (false, _) => "",
        (true, true) => ", the DNS says the same",
        (true, false) => ", the DNS does not say so",
    };
    let key = &shown.key;
    format!("{} {} {}: {}{dns}", key.algorithm(), key.bits(), key.fingerprint(), standing(shown))
}

fn json(shown: &HostKeyShown, seen: &HostKeys) -> serde_json::Value {
    serde_json::json!({
        "key": shown.key.to_string(), "fingerprint": shown.key.fingerprint(), "standing": standing(shown),
        "new": shown.is_new(), "in_dns": agrees(shown, seen),
    })
}

pub(super) fn sshfp(console: &Console, name: &DnsName, keys: &[PathBuf]) -> Result<u8> {
    let mut records = vec![];
    for path in keys {
        let line = public_line(path)?;
        let record = line.parse().ok().and_then(|key: PublicKey| Sshfp::of(&key)).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("render {}", path.display()),
                "this kind of key has no SSHFP record",
            )
        })?;
        records.push(record.to_string());
    }
    let lines: Vec<String> = records.iter().map(|record| format!("{name} IN SSHFP {record}")).collect();
    console.result(&lines.join("\n"), &serde_json::json!({ "name": name, "records": records }));
    Ok(0)
}
