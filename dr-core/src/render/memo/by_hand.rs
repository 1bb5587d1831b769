//! What to type where dr itself is lost.

use std::net::{IpAddr, SocketAddr};

use super::page::{Page, quoted};
use super::systems::algorithm;
use super::{About, kept};
use crate::estate::{
    CoordinatorKind, DnsName, Estate, Host, HostId, NameServer, Site, SiteId, Zone, ZoneName,
};
use crate::failover::{lease_owner, tenure_owner};

/// The TTL of records that are set by hand: short, since whatever is done in a hurry may have to be changed again.
const TTL_BY_HAND_S: u32 = 60;

pub(super) fn by_hand(page: &mut Page, about: &About<'_>) {
    page.heading(2, "8. By hand, if dr cannot run");
    page.say(
        "For each site in this order: make sure that the old server does not serve any more (its console, its provider's power \
         switch), see the new one answer, change the names, ask every name server. A TXT record tells dr who holds the site: put \
         the epoch that the first `dig` shows plus one in the place of `EPOCH`, or 2 where it shows nothing.",
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
    let mut through_api = vec![];
    for (apex, zone) in &estate.zones {
        let here = |name: &&DnsName| estate.zone_of(name).is_some_and(|(other, _)| other == apex);
        let names: Vec<&DnsName> = site.names.iter().filter(here).collect();
        let Some(first) = names.first() else { continue };
        let holds = site.names.first() == Some(*first);
        if zone.provider.is_some() {
            through_api.push((apex, zone, names));
        } else {
            nsupdate(&mut lines, estate, (apex, zone), &names, standby, holds.then_some((id, &site.standby)));
        }
    }
    lines.extend(in_etcd(estate, id, &site.standby));
    page.typed(lines);
    for (apex, zone, names) in through_api {
        page.say(in_a_browser(estate, apex, zone, &names, standby));
    }
    back(page, site, home);
}

/// A zone that is changed by an API is changed where its provider lets people change it.
fn in_a_browser(estate: &Estate, apex: &ZoneName, zone: &Zone, names: &[&DnsName], to: &Host) -> String {
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

fn in_etcd(estate: &Estate, id: &SiteId, to: &HostId) -> Option<String> {
    let etcd = estate.coordinator.as_ref().filter(|coordinator| coordinator.kind == CoordinatorKind::Etcd)?;
    let key = quoted(&format!("{}{id}", etcd.prefix.as_deref().unwrap_or("dr/sites/")));
    let urls = quoted(&etcd.urls.join(","));
    Some(format!(
        "etcdctl --endpoints {urls} get {key}\n\
         etcdctl --endpoints {urls} put {key} \"epoch=EPOCH home={to} nonce=by-hand\""
    ))
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
    lines: &mut Vec<String>,
    estate: &Estate,
    (apex, zone): (&ZoneName, &Zone),
    names: &[&DnsName],
    to: &Host,
    holds: Option<(&SiteId, &HostId)>,
) {
    let Some(primary) = estate.name_servers.get(&zone.primary) else { return };
    let by_dns = estate.coordinator.as_ref().is_none_or(|keeper| keeper.kind == CoordinatorKind::Dns);
    let tenure =
        holds.filter(|_| by_dns).and_then(|(id, home)| Some((id, home, tenure_owner(id, apex).ok()?)));
    if let Some((_, _, owner)) = &tenure {
        lines.push(format!("dig +short {} {owner} TXT", at(primary.address)));
    }
    begin(lines, estate, (apex, zone), primary);
    for name in names {
        lines.push(format!("update delete {name} A"));
        lines.push(format!("update delete {name} AAAA"));
        for address in &to.addresses {
            let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
            lines.push(format!("update add {name} {TTL_BY_HAND_S} {rtype} {address}"));
        }
    }
    let apart = estate.coordinator.as_ref().and_then(|keeper| keeper.zone.as_ref());
    if let Some((_, home, owner)) = &tenure {
        lines.push(format!("update delete {owner} TXT"));
        lines.push(format!("update add {owner} 0 TXT \"epoch=EPOCH home={home} nonce=by-hand\""));
        if apart.is_none() {
            // The signs of life of the epoch before would contradict it.
            lines.push(format!("update delete _lease.{owner} TXT"));
        }
    }
    lines.extend(["send", "END"].map(str::to_owned));
    let locked = apart.and_then(|apart| estate.zones.get_key_value(apart));
    if let (Some((id, _, _)), Some((lock, kept_in))) = (&tenure, locked) {
        forget(lines, estate, id, (lock, kept_in));
    }
    for server in zone.servers.iter().filter_map(|id| estate.name_servers.get(id)) {
        lines.push(format!("dig +short {} {} A", at(server.address), names[0]));
    }
}

/// The signs of life that stand in a zone of their own are taken away: what is written beside the names counts then.
fn forget(lines: &mut Vec<String>, estate: &Estate, id: &SiteId, (apex, zone): (&ZoneName, &Zone)) {
    let (Some(primary), Ok(owner)) = (estate.name_servers.get(&zone.primary), lease_owner(id, apex)) else {
        return;
    };
    begin(lines, estate, (apex, zone), primary);
    lines.push(format!("update delete {owner} TXT"));
    lines.extend(["send", "END"].map(str::to_owned));
}

/// A message to a primary is begun. The key comes by standard input: whoever is logged in sees the arguments of every process.
fn begin(lines: &mut Vec<String>, estate: &Estate, (apex, zone): (&ZoneName, &Zone), primary: &NameServer) {
    let key = zone.update_key.as_ref().and_then(|name| Some((name, estate.tsig_keys.get(name)?)));
    lines.push(match key {
        Some((name, key)) => {
            let file = quoted(&key.secret_file.display().to_string());
            let algorithm = algorithm(key.algorithm);
            format!("(printf 'key {algorithm}:{name} %s\\n' \"$(head -n 1 {file})\"; cat <<'END') | nsupdate")
        }
        None => "nsupdate <<'END'".to_owned(),
    });
    lines.push(format!("server {} {}", primary.address.ip(), primary.address.port()));
    lines.push(format!("zone {apex}"));
}

/// How a host is logged into.
pub(super) fn ssh(host: &Host) -> String {
    let remote = &host.ssh;
    let port = if remote.port == 22 { String::new() } else { format!(" -p {}", remote.port) };
    format!("ssh{port} {}", quoted(&format!("{}@{}", remote.user, remote.host)))
}

fn at(server: SocketAddr) -> String {
    let (ip, port) = (server.ip(), server.port());
    if port == 53 { format!("@{ip}") } else { format!("@{ip} -p {port}") }
}

fn bracketed(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}
