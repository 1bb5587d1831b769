//! The recovery memo: what somebody needs who has only a printout, at three in the morning, with one of the servers gone.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::estate::{DnsName, Estate, Host, HostId, Site, SiteId, TsigAlgorithm, Zone, ZoneName};
use crate::failover::tenure_owner;
use crate::report::{Report, Verdict};
use crate::time::Timestamp;

/// The TTL of records that are set by hand: short, since whatever is done in a hurry may have to be changed again.
const TTL_BY_HAND_S: u32 = 60;

/// The recovery memo of an estate, in Markdown, to be printed and kept where neither server is: what to do first, the one command,
/// what to type if dr itself is lost, and everything that the estate knows of systems, sites and name servers. `last` is what the
/// last drill or check found.
///
/// It holds the places of secrets, never a secret: an estate has none.
///
/// ```
/// use dr_core::{Estate, Timestamp, render::memo};
/// let text = memo(&Estate::default(), None, "2026-11-22T03:00:00Z".parse().unwrap());
/// assert!(text.starts_with("# Recovery memo\n"));
/// assert!(text.contains("no check or drill has been recorded"));
/// ```
#[must_use]
pub fn memo(estate: &Estate, last: Option<&Report>, at: Timestamp) -> String {
    let mut out = String::new();
    front(&mut out, estate, at);
    by_hand(&mut out, estate);
    systems(&mut out, estate);
    plans(&mut out, estate);
    known(&mut out, last, at);
    out
}

/// A line of the page. Writing to a string cannot fail.
macro_rules! line {
    ($out:expr $(, $($text:tt)*)?) => {{
        $(let _ = write!($out, $($text)*);)?
        $out.push('\n');
    }};
}

fn front(out: &mut String, estate: &Estate, at: Timestamp) {
    line!(out, "# Recovery memo");
    line!(out);
    line!(
        out,
        "Written by dr at {at} from the estate. It is stale once a host, a site or a name server has changed."
    );
    line!(
        out,
        "Keep one copy on each server, one elsewhere, and one on paper. It holds no password and no key."
    );
    line!(out);
    line!(out, "## In an emergency");
    line!(out);
    line!(
        out,
        "1. **Are you sure?** Look from a place that is neither of the servers. `dr failover status SITE` says"
    );
    line!(
        out,
        "   what it sees and whether a move would succeed. One line that is cut looks like one server that is dead."
    );
    line!(out, "2. **Who decides?** Name: ______________________ Telephone: ______________________");
    line!(out, "   If not reached in 15 minutes: ______________________ Telephone: ______________________");
    line!(out, "3. **The one command**, from any machine with this estate and its keys:");
    line!(out);
    for (id, site) in &estate.sites {
        line!(out, "   - `dr failover run {id}` moves {id} from {} to {}", site.home, site.standby);
    }
    if estate.sites.is_empty() {
        line!(out, "   - the estate has no site yet");
    }
    line!(out);
    line!(
        out,
        "   `dr failover plan SITE` shows every step first; `dr failover resume` goes on after an interruption, and"
    );
    line!(
        out,
        "   `dr failover undo` takes back what was begun. It refuses what would lose data, and says why."
    );
    line!(
        out,
        "4. **Afterwards** do not let the old server copy anything to the new one. `dr failover back SITE` brings"
    );
    line!(out, "   a site home again, and mirrors in reverse first.");
    line!(out);
}

fn by_hand(out: &mut String, estate: &Estate) {
    line!(out, "## By hand, if dr cannot run");
    line!(out);
    line!(
        out,
        "For each site in this order: make sure that the old server does not serve any more (its console, its"
    );
    line!(
        out,
        "provider's power switch), see the new one answer, change the names, ask every name server. The TXT record"
    );
    line!(
        out,
        "tells dr who holds the site: put the epoch that `dig` shows plus one in the place of `EPOCH`."
    );
    line!(out);
    for (id, site) in &estate.sites {
        site_by_hand(out, estate, id, site);
    }
}

fn site_by_hand(out: &mut String, estate: &Estate, id: &SiteId, site: &Site) {
    let (Some(home), Some(standby)) = (estate.hosts.get(&site.home), estate.hosts.get(&site.standby)) else {
        return;
    };
    line!(out, "### {id}: from {} to {}", site.home, site.standby);
    line!(out);
    line!(out, "```sh");
    if let (Some(address), Some(name)) = (standby.addresses.first(), site.names.first()) {
        line!(out, "curl -sS --resolve {name}:80:{} http://{name}/ | head", bracketed(*address));
    }
    for (apex, zone) in &estate.zones {
        let here = |name: &&DnsName| estate.zone_of(name).is_some_and(|(other, _)| other == apex);
        let names: Vec<&DnsName> = site.names.iter().filter(here).collect();
        if let Some(first) = names.first() {
            let tenure = tenure_owner(id, apex).ok().filter(|_| site.names.first() == Some(*first));
            let tenure = tenure.map(|owner| (owner, &site.standby));
            nsupdate(out, estate, (apex, zone), &names, standby, tenure);
        }
    }
    line!(out, "```");
    line!(out);
    if !site.trees.is_empty() {
        line!(
            out,
            "When {} is back, on {}, **before anything else is copied** (first with `--dry-run`):",
            site.home,
            site.standby
        );
        line!(out);
        line!(out, "```sh");
        let remote = &home.ssh;
        let port = if remote.port == 22 { String::new() } else { format!(" -e 'ssh -p {}'", remote.port) };
        let host = if remote.host.contains(':') { format!("[{}]", remote.host) } else { remote.host.clone() };
        for tree in &site.trees {
            let there = format!("{}@{host}:{}/", remote.user, tree.path);
            line!(
                out,
                "rsync -aH --delete{port} {} {}",
                quoted(&format!("{}/", tree.standby_path())),
                quoted(&there)
            );
        }
        line!(out, "```");
        line!(out);
    }
}

fn nsupdate(
    out: &mut String,
    estate: &Estate,
    (apex, zone): (&ZoneName, &Zone),
    names: &[&DnsName],
    to: &Host,
    tenure: Option<(DnsName, &HostId)>,
) {
    let Some(primary) = estate.name_servers.get(&zone.primary) else { return };
    let asked =
        |ip: IpAddr, port: u16| if port == 53 { format!("@{ip}") } else { format!("@{ip} -p {port}") };
    if let Some((owner, _)) = &tenure {
        line!(out, "dig +short {} {owner} TXT", asked(primary.address.ip(), primary.address.port()));
    }
    let key = zone.update_key.as_ref().and_then(|name| Some((name, estate.tsig_keys.get(name)?)));
    // By standard input: whoever is logged in sees the arguments of every process.
    match key {
        Some((name, key)) => {
            let file = quoted(&key.secret_file.display().to_string());
            let algorithm = algorithm(key.algorithm);
            line!(out, "(printf 'key {algorithm}:{name} %s\\n' \"$(cat {file})\"; cat <<'END') | nsupdate");
        }
        None => line!(out, "nsupdate <<'END'"),
    }
    line!(out, "server {} {}", primary.address.ip(), primary.address.port());
    line!(out, "zone {apex}");
    for name in names {
        line!(out, "update delete {name} A");
        line!(out, "update delete {name} AAAA");
        for address in &to.addresses {
            let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
            line!(out, "update add {name} {TTL_BY_HAND_S} {rtype} {address}");
        }
    }
    if let Some((owner, home)) = &tenure {
        line!(out, "update delete {owner} TXT");
        line!(out, "update add {owner} 0 TXT \"epoch=EPOCH home={home} nonce=by-hand\"");
    }
    line!(out, "send");
    line!(out, "END");
    for server in zone.servers.iter().filter_map(|id| estate.name_servers.get(id)) {
        line!(out, "dig +short {} {} A", asked(server.address.ip(), server.address.port()), names[0]);
    }
}

fn systems(out: &mut String, estate: &Estate) {
    line!(out, "## Systems");
    line!(out);
    line!(out, "| Host | Login | Addresses | Host keys pinned | Key to log in with |");
    line!(out, "|---|---|---|---|---|");
    for (id, host) in &estate.hosts {
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        let identity = host
            .identity
            .as_ref()
            .map_or_else(|| "from the agent".to_owned(), |path| path.display().to_string());
        let keys = host.host_keys.len();
        line!(out, "| {id} | {} | {} | {keys} | {} |", host.ssh, listed(&addresses), cell(&identity));
    }
    line!(out);
    line!(out, "| Site | Home | Standby | RPO | RTO | Names | Trees | Databases |");
    line!(out, "|---|---|---|---|---|---|---|---|");
    for (id, site) in &estate.sites {
        let rpo = site.rpo.unwrap_or(estate.policy.rpo);
        let names: Vec<&str> = site.names.iter().map(DnsName::as_str).collect();
        let trees: Vec<String> = site.trees.iter().map(|tree| cell(&tree.path)).collect();
        let databases: Vec<String> = site.databases.iter().map(|name| cell(name)).collect();
        let Site { home, standby, .. } = site;
        let rto = estate.policy.rto;
        let (names, trees, databases) = (listed(&names), listed(&trees), listed(&databases));
        line!(out, "| {id} | {home} | {standby} | {rpo} | {rto} | {names} | {trees} | {databases} |");
    }
    line!(out);
    line!(out, "| Name server | Address | Name | Primary of | Serves |");
    line!(out, "|---|---|---|---|---|");
    for (id, server) in &estate.name_servers {
        let of = |is: &dyn Fn(&Zone) -> bool| {
            listed(
                &estate
                    .zones
                    .iter()
                    .filter(|(_, zone)| is(zone))
                    .map(|(apex, _)| apex.as_str())
                    .collect::<Vec<_>>(),
            )
        };
        let (primary, serves) = (of(&|zone| zone.primary == *id), of(&|zone| zone.servers.contains(id)));
        let name = server.name.as_ref().map_or("–", DnsName::as_str);
        line!(out, "| {id} | {} | {name} | {primary} | {serves} |", server.address);
    }
    line!(out);
    keys(out, estate);
}

fn keys(out: &mut String, estate: &Estate) {
    if estate.tsig_keys.is_empty() {
        return;
    }
    line!(out, "| Key that changes DNS | Algorithm | Where its secret is |");
    line!(out, "|---|---|---|");
    for (name, key) in &estate.tsig_keys {
        line!(
            out,
            "| {name} | {} | {} |",
            algorithm(key.algorithm),
            cell(&key.secret_file.display().to_string())
        );
    }
    line!(out);
}

fn plans(out: &mut String, estate: &Estate) {
    line!(out, "## What a move does");
    line!(out);
    let health = &estate.policy.health;
    line!(
        out,
        "A site counts as down after {} failures in a row, looked at every {} ({} while in doubt), each within {};",
        health.fall,
        health.interval,
        health.confirm_interval,
        health.timeout
    );
    line!(
        out,
        "as up again after {} good answers. No second move without a person for {}.",
        health.rise,
        health.hold_down
    );
    line!(out);
    for (id, site) in &estate.sites {
        let names: Vec<&str> = site.names.iter().map(DnsName::as_str).collect();
        line!(out, "{id}:");
        line!(out);
        for (number, step) in steps(site, &listed(&names)).iter().enumerate() {
            line!(out, "{}. {step}", number + 1);
        }
        line!(out);
    }
}

fn steps(site: &Site, names: &str) -> [String; 7] {
    let (home, standby): (&HostId, &HostId) = (&site.home, &site.standby);
    [
        format!("{standby} refuses mirrors from before the new epoch"),
        format!(
            "the epoch is raised by compare-and-set: {standby} holds the site, and only one can have raised it"
        ),
        format!("{home} steps down, if it can be reached"),
        format!("{standby} becomes home, and must answer as it should"),
        format!("{names} point at {standby}: the primary takes the change whole, or not at all"),
        "every name server is asked until it shows the change; one that does not is named".to_owned(),
        "the old TTL passes: resolvers may keep the old address so long".to_owned(),
    ]
}

fn known(out: &mut String, last: Option<&Report>, at: Timestamp) {
    line!(out, "## What is known to be wrong");
    line!(out);
    let Some(report) = last else {
        line!(out, "Nothing is known: no check or drill has been recorded. `dr check` looks at everything.");
        return;
    };
    let verdict = match report.verdict() {
        Verdict::Ok => "all was well",
        Verdict::Degraded => "there were warnings",
        Verdict::Failed => "a failover would have failed",
    };
    let days = at.since(report.at).as_secs() / 86_400;
    line!(out, "{} ({}, {days} days before this memo): {verdict}.", cell(&report.title), report.at);
    line!(out);
    for finding in &report.findings {
        let (severity, subject) = (finding.severity.name(), cell(&finding.subject.to_string()));
        line!(out, "- **{severity}** {subject}: {}. {}.", cell(&finding.message), cell(&finding.remedy));
    }
    for missing in &report.unexamined {
        line!(out, "- not examined: {}: {}", cell(&missing.subject.to_string()), cell(&missing.why.message));
    }
    for (name, value) in &report.figures {
        line!(out, "- {}: {value}", cell(&name.replace('_', " ")));
    }
}

fn algorithm(algorithm: TsigAlgorithm) -> &'static str {
    match algorithm {
        TsigAlgorithm::HmacSha256 => "hmac-sha256",
        TsigAlgorithm::HmacSha384 => "hmac-sha384",
        TsigAlgorithm::HmacSha512 => "hmac-sha512",
    }
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

fn listed<T: AsRef<str>>(items: &[T]) -> String {
    if items.is_empty() {
        return "–".to_owned();
    }
    items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// Text of unknown origin, fit for a cell or a line: nothing in it ends the cell, begins markup or a tag, or commands a terminal.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '<' | '[' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// One word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@[]".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, Subject, code};

    const ESTATE: &str = include_str!("memo/estate.toml");
    const GOLDEN: &str = include_str!("memo/memo.md");

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn drill() -> Report {
        let mut report = Report::new("drill of shop", at("2026-11-02T03:00:00Z"));
        report.push(Finding::new(
            code::FAILOVER_MIRROR_STALE,
            Subject::new("site", "shop"),
            "the last mirror to us began 30h ago, 25h is allowed",
        ));
        report.figures.insert("switch_milliseconds".into(), 812);
        report
    }

    #[test]
    fn the_page_is_as_it_was_agreed() {
        let estate = Estate::from_toml(ESTATE).unwrap();
        let page = memo(&estate, Some(&drill()), at("2026-11-22T03:00:00Z"));
        let differs = page.lines().zip(GOLDEN.lines()).find(|(new, old)| new != old);
        assert_eq!(differs, None, "correct the code or the page; the whole page is now:\n{page}");
        assert_eq!(page.len(), GOLDEN.len(), "the whole page is now:\n{page}");
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        assert_eq!(cell("a|b`c<d\n"), r"a\|b\`c\<d\n");
        assert_eq!(quoted("/srv/www"), "/srv/www");
        assert_eq!(quoted("/srv/it's $(x)"), r"'/srv/it'\''s $(x)'");
    }
}
