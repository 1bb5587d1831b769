//! What to type where dr itself is lost.

use std::net::{IpAddr, SocketAddr};

use super::held::Keeper;
use super::page::{Page, quoted};
use super::systems::algorithm;
use super::{About, kept};
use crate::estate::{DnsName, Estate, Host, NameServer, Site, SiteId, Zone, ZoneName};

/// The TTL of records that are set by hand: short, since whatever is done in a hurry may have to be changed again.
const TTL_BY_HAND_S: u32 = 60;

pub(super) fn by_hand(page: &mut Page, about: &About<'_>) {
    page.heading(2, "8. By hand, if dr cannot run");
    page.say(
        "For each site in this order: make sure that the old server does not serve any more (its console, its provider's power \
         switch), see the new one answer, change the names, ask every name server. An epoch tells dr who holds the site: in \
         the place of `EPOCH` put one more than the highest that the first lines show, or 2 where they show none.",
    );
    if about.has_agents() {
        page.say(
            "On the new server stop the agent and its warden first, or the warden stops the site again: \
             `systemctl stop dr-agent dr-warden`. Start them when dr runs again.",
        );
    }
    for (id, site) in &about.estate.sites {
        site_by_hand(page, about.estate, id, site);
    }
}

fn site_by_hand(page: &mut Page, estate: &Estate, id: &SiteId, site: &Site) {
    let (Some(home), Some(standby)) = (estate.hosts.get(&site.home), estate.hosts.get(&site.standby)) else {
        return;
    };
    page.heading(3, format!("{id}: from {} to {}", site.home, site.standby));
    let mut lines = vec![];
    if let Some(services) = site.services.as_ref().filter(|_| kept(site)) {
        let words: Vec<String> = services.start.iter().map(|word| quoted(word)).collect();
        lines.push(format!("{} {}", ssh(standby), quoted(&words.join(" "))));
    }
    if let (Some(address), Some(name)) = (standby.addresses.first(), site.names.first()) {
        lines.push(format!("curl -sS --resolve {name}:80:{} http://{name}/ | head", bracketed(*address)));
    }
    let keeper = Keeper::of(estate, id, site);
    lines.extend(keeper.iter().flat_map(|keeper| keeper.asked(id)));
    let mut said = vec![];
    for (apex, zone) in &estate.zones {
        let here = |name: &&DnsName| estate.zone_of(name).is_some_and(|(other, _)| other == apex);
        let names: Vec<&DnsName> = site.names.iter().filter(here).collect();
        let record = keeper.as_ref().and_then(|keeper| keeper.record_in(apex));
        if names.is_empty() {
            continue;
        }
        if zone.provider.is_some() {
            said.push(in_a_browser(estate, (apex, zone), &names, standby));
            said.extend(record.map(|record| record.entered(&site.standby)));
        } else {
            let updates = record.map(|record| record.updated(&site.standby));
            lines.extend(nsupdate(estate, (apex, zone), &names, standby, updates.unwrap_or_default()));
        }
    }
    lines.extend(keeper.iter().flat_map(|keeper| keeper.written(estate, id, &site.standby)));
    said.extend(keeper.and_then(|keeper| keeper.said()));
    page.typed(lines);
    said.into_iter().for_each(|text| page.say(text));
    back(page, site, home);
}

/// A zone that is changed by an API is changed where its provider lets people change it.
fn in_a_browser(estate: &Estate, (apex, zone): (&ZoneName, &Zone), names: &[&DnsName], to: &Host) -> String {
    let provider = zone.provider.as_ref().map(ToString::to_string).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let addresses: Vec<String> = to.addresses.iter().map(ToString::to_string).collect();
    let servers = zone.servers.iter().filter_map(|id| estate.name_servers.get(id));
    let asked: Vec<String> =
        servers.map(|server| format!("`dig +short {} {} A`", at(server.address), names[0])).collect();
    format!(
        "Zone {apex} is changed where {provider} lets people change it: set the addresses of {} to {} with a TTL of {TTL_BY_HAND_S} \
         seconds, take every other A, AAAA and CNAME of these names away, and ask: {}",
        names.join(", "),
        addresses.join(", "),
        asked.join(", ")
    )
}

fn back(page: &mut Page, site: &Site, home: &Host) {
    if site.trees.is_empty() {
        return;
    }
    page.say(format!(
        "When {} is back, on {}, **before anything else is copied**: put aside what only {} has (section 7), then first with \
         `--dry-run`:",
        site.home, site.standby, site.home
    ));
    let remote = &home.ssh;
    let port = if remote.port == 22 { String::new() } else { format!(" -e 'ssh -p {}'", remote.port) };
    let host = if remote.host.contains(':') { format!("[{}]", remote.host) } else { remote.host.clone() };
    let line = |tree: &crate::estate::Tree| {
        let there = format!("{}@{host}:{}/", remote.user, tree.path);
        let here = format!("{}/", tree.standby_path());
        format!("rsync -aH --delete{port} {} {}", quoted(&here), quoted(&there))
    };
    page.typed(site.trees.iter().map(line).collect());
}

fn nsupdate(
    estate: &Estate,
    (apex, zone): (&ZoneName, &Zone),
    names: &[&DnsName],
    to: &Host,
    besides: Vec<String>,
) -> Vec<String> {
    let Some(primary) = estate.name_servers.get(&zone.primary) else { return vec![] };
    let mut lines = begun(estate, (apex, zone), primary);
    for name in names {
        lines.push(format!("update delete {name} A"));
        lines.push(format!("update delete {name} AAAA"));
        // Beside an alias no address can be added.
        lines.push(format!("update delete {name} CNAME"));
        for address in &to.addresses {
            let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
            lines.push(format!("update add {name} {TTL_BY_HAND_S} {rtype} {address}"));
        }
    }
    lines.extend(besides);
    lines.extend(["send", "END"].map(str::to_owned));
    for server in zone.servers.iter().filter_map(|id| estate.name_servers.get(id)) {
        lines.extend(names.first().map(|name| format!("dig +short {} {name} A", at(server.address))));
    }
    lines
}

/// A message to a primary is begun. The key comes by standard input: whoever is logged in sees the arguments of every process.
pub(super) fn begun(estate: &Estate, (apex, zone): (&ZoneName, &Zone), primary: &NameServer) -> Vec<String> {
    let key = zone.update_key.as_ref().and_then(|name| Some((name, estate.tsig_keys.get(name)?)));
    let typed = match key {
        Some((name, key)) => {
            let file = quoted(&key.secret_file.display().to_string());
            let algorithm = algorithm(key.algorithm);
            format!("(printf 'key {algorithm}:{name} %s\\n' \"$(head -n 1 {file})\"; cat <<'END') | nsupdate")
        }
        None => "nsupdate <<'END'".to_owned(),
    };
    let server = format!("server {} {}", primary.address.ip(), primary.address.port());
    vec![typed, server, format!("zone {apex}")]
}

/// How a host is logged into.
pub(super) fn ssh(host: &Host) -> String {
    let remote = &host.ssh;
    let port = if remote.port == 22 { String::new() } else { format!(" -p {}", remote.port) };
    format!("ssh{port} {}", quoted(&format!("{}@{}", remote.user, remote.host)))
}

pub(super) fn at(server: SocketAddr) -> String {
    let (ip, port) = (server.ip(), server.port());
    if port == 53 { format!("@{ip}") } else { format!("@{ip} -p {port}") }
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}
