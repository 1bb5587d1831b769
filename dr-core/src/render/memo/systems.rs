//! What there is: the memo itself, machines, name servers, keys, and the sites with what was promised and measured.

use std::net::IpAddr;

use super::page::{BLANK, Page, cell, listed};
use super::{About, day};
use crate::estate::{ApiKind, CoordinatorKind, Host, NameServerId, SiteId, TsigAlgorithm, Zone, ZoneName};
use crate::keys::PublicKey;
use crate::run::Outcome;

pub(super) fn about(page: &mut Page, about: &About<'_>) {
    let estate = about.estate;
    page.heading(2, "1. About this memo");
    page.say(format!(
        "It covers what the estate has: hosts: {}, sites: {}, zones: {}. Print it anew when it is stale, and after every \
         exercise; if the number of the estate on the new print is the same, nothing has changed. What is filled in by hand is \
         copied from the old print.",
        estate.hosts.len(),
        estate.sites.len(),
        estate.zones.len()
    ));
    page.typed(vec![
        "dr memo --check > memo.md    # looks at everything first".to_owned(),
        "dr memo --check --html > memo.html    # the same to print: one file".to_owned(),
    ]);
    let mut copies: Vec<String> = estate.hosts.keys().map(|host| format!("on {host}")).collect();
    copies.extend(
        [
            "elsewhere, where neither server is",
            "on paper, at the one who decides",
            "on paper, at the alternate",
        ]
        .map(str::to_owned),
    );
    page.form(&["Copy", "Where exactly", "Renewed on"], copies);
    page.form(&["Responsible for it", "Name", "Read and agreed on"], ["owner", "the one who decides"]);
}

pub(super) fn systems(page: &mut Page, about: &About<'_>) {
    page.heading(2, "2. Systems");
    hosts(page, about);
    name_servers(page, about);
    zones(page, about);
    keys(page, about);
    page.say(
        "Providers, contracts, and how a person is reached there. The estate does not have these: fill them in.",
    );
    let mut rows: Vec<String> = about.estate.hosts.keys().map(|host| format!("host {host}")).collect();
    rows.extend(about.estate.name_servers.keys().map(|server| format!("name server {server}")));
    rows.extend(about.estate.providers.keys().map(|provider| format!("DNS by API: {provider}")));
    rows.push("registrar of the domains".to_owned());
    rows.push("backups that neither server can change".to_owned());
    page.form(&["Of", "Provider", "Customer, contract", "Telephone, tickets", "Console, power switch"], rows);
}

fn hosts(page: &mut Page, about: &About<'_>) {
    let row = |(id, host): (_, &Host)| {
        let identity = host
            .identity
            .as_ref()
            .map_or_else(|| "from the ssh-agent".to_owned(), |path| path.display().to_string());
        let place = listed(host.failure_domain.iter().cloned().chain(networks(about, host)));
        vec![
            format!("{id}"),
            cell(&host.ssh.to_string()),
            listed(host.addresses.iter().map(ToString::to_string)),
            cell(&place),
            cell(&identity),
        ]
    };
    let rows = about.estate.hosts.iter().map(row).collect();
    page.table(&["Host", "Login", "Addresses", "Where", "Key to log in with"], rows);
    let mut rows = vec![];
    for (id, host) in &about.estate.hosts {
        let shown =
            |line: &String| line.parse::<PublicKey>().map(|key| key.fingerprint()).unwrap_or_default();
        let keys = listed(host.host_keys.iter().map(shown).filter(|text| !text.is_empty()));
        let keys = if host.host_keys.is_empty() { "none: known\\_hosts decides".to_owned() } else { keys };
        rows.push(vec![format!("{id}"), keys, host.agent_keys.len().to_string()]);
    }
    page.table(&["Host", "Proves itself by the host key", "Keys of its agent"], rows);
    let posts = about.estate.observers.iter().map(|(id, post)| {
        let at = post.ssh.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
        let anchors = listed(post.anchors.iter().map(|anchor| anchor.address.to_string()));
        vec![format!("{id}"), cell(&at), cell(&post.failure_domain), anchors]
    });
    page.table(&["Observer", "Login", "Where", "Is blind when none of these answers"], posts.collect());
}

/// What the estate says of the networks that a host's addresses are in.
fn networks(about: &About<'_>, host: &Host) -> Vec<String> {
    let known = |address: &IpAddr| {
        let around = about.estate.networks.iter().filter(|(network, _)| network.contains(*address));
        let (_, known) = around.max_by_key(|(network, _)| network.bits())?;
        let asn = known.asn.map(|asn| format!("AS{asn}"));
        let words: Vec<String> = known.place.iter().cloned().chain(asn).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    let mut found: Vec<String> = host.addresses.iter().filter_map(known).collect();
    found.dedup();
    found
}

fn name_servers(page: &mut Page, about: &About<'_>) {
    let estate = about.estate;
    let of = |is: &dyn Fn(&Zone) -> bool| {
        let zones: Vec<&ZoneName> =
            estate.zones.iter().filter(|(_, zone)| is(zone)).map(|(apex, _)| apex).collect();
        if zones.len() > 6 {
            format!("{} zones", zones.len())
        } else {
            listed(zones.iter().map(|apex| apex.as_str()))
        }
    };
    let rows = estate.name_servers.iter().map(|(id, server)| {
        let name = server.name.as_ref().map_or("–", |name| name.as_str());
        let (primary, serves) = (of(&|zone| zone.primary == *id), of(&|zone| zone.servers.contains(id)));
        vec![format!("{id}"), server.address.to_string(), cell(name), primary, serves]
    });
    page.table(&["Name server", "Address", "Name", "Primary of", "Serves"], rows.collect());
}

fn zones(page: &mut Page, about: &About<'_>) {
    let changed = |zone: &Zone| match (&zone.provider, &zone.update_key) {
        (Some(provider), _) => format!("the API of {provider}"),
        (None, Some(key)) => format!("key {key}"),
        (None, None) => "–".to_owned(),
    };
    let rows = about.estate.zones.iter().map(|(apex, zone)| {
        vec![
            format!("{apex}"),
            format!("{}", zone.primary),
            zone.standby_primary.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string),
            listed(zone.servers.iter().map(NameServerId::as_str)),
            changed(zone),
        ]
    });
    page.table(&["Zone", "Primary", "Takes its place", "Name servers", "Changed by"], rows.collect());
    if let Some(coordinator) = &about.estate.coordinator {
        let kind = match coordinator.kind {
            CoordinatorKind::Etcd => {
                format!("etcd at {}", listed(coordinator.urls.iter().map(|url| cell(url))))
            }
            CoordinatorKind::Sqlite => {
                format!(
                    "the file {}",
                    cell(&listed(coordinator.path.iter().map(|path| path.display().to_string())))
                )
            }
            CoordinatorKind::Dns => "the primary name server".to_owned(),
        };
        let zone =
            coordinator.zone.as_ref().map(|zone| format!(", signs of life in {zone}")).unwrap_or_default();
        let place = coordinator
            .failure_domain
            .as_ref()
            .map(|place| format!(" ({})", cell(place)))
            .unwrap_or_default();
        page.say(format!("Who holds a site is written down at {kind}{place}{zone}."));
    }
}

fn keys(page: &mut Page, about: &About<'_>) {
    let estate = about.estate;
    let mut rows: Vec<Vec<String>> = vec![];
    let mut row = |what: String, file: String| rows.push(vec![what, cell(&file)]);
    for (name, key) in &estate.tsig_keys {
        row(
            format!("changes DNS: {name}, {}", algorithm(key.algorithm)),
            key.secret_file.display().to_string(),
        );
    }
    for (id, provider) in &estate.providers {
        row(
            format!("changes DNS: token of {id} ({})", kind(provider.kind)),
            provider.token_file.display().to_string(),
        );
    }
    if let Some(file) = &estate.policy.mirrors.seal_file {
        row("seals the records of mirrors".to_owned(), file.display().to_string());
    }
    if let Some(file) = estate.coordinator.as_ref().and_then(|coordinator| coordinator.password_file.as_ref())
    {
        row("opens the coordinator".to_owned(), file.display().to_string());
    }
    page.table(&["Secret", "The file that has it"], rows);
}

pub(super) fn algorithm(algorithm: TsigAlgorithm) -> &'static str {
    match algorithm {
        TsigAlgorithm::HmacSha256 => "hmac-sha256",
        TsigAlgorithm::HmacSha384 => "hmac-sha384",
        TsigAlgorithm::HmacSha512 => "hmac-sha512",
    }
}

fn kind(kind: ApiKind) -> &'static str {
    match kind {
        ApiKind::PowerDns => "PowerDNS",
        ApiKind::Cloudflare => "Cloudflare",
        ApiKind::Desec => "deSEC",
        ApiKind::Gandi => "Gandi",
        ApiKind::Hetzner => "Hetzner",
        ApiKind::Route53 => "Route 53",
    }
}

pub(super) fn services(page: &mut Page, about: &About<'_>) {
    let estate = about.estate;
    page.heading(2, "3. Services");
    page.say(format!(
        "RPO: how old the copy may be. RTO: how long visitors may be without an answer ({}). Longest time that the business \
         survives without them: {BLANK}",
        estate.policy.rto
    ));
    let rows = estate.sites.iter().map(|(id, site)| {
        let rpo = site.rpo.unwrap_or(estate.policy.rpo);
        let every =
            if site.mirror { estate.mirrored_every(site).to_string() } else { "not by dr".to_owned() };
        vec![
            format!("{id}"),
            format!("{} → {}", site.home, site.standby),
            format!("{rpo}"),
            every,
            listed(site.names.iter().map(|name| cell(name.as_str()))),
            measured(about, id),
        ]
    });
    page.table(
        &[
            "Site",
            "Home → standby",
            "RPO",
            "Mirrored every",
            "Names",
            "Last move: age of the copy, time it took",
        ],
        rows.collect(),
    );
    let rows = estate.sites.iter().map(|(id, site)| {
        vec![
            format!("{id}"),
            listed(site.trees.iter().map(|tree| match &tree.on_standby {
                Some(there) => format!("{} (on {}: {})", cell(&tree.path), site.standby, cell(there)),
                None => cell(&tree.path),
            })),
            listed(site.databases.iter().map(|name| cell(name))),
            listed(site.mailboxes.iter().map(|name| cell(name.as_str()))),
        ]
    });
    page.table(&["Site", "Trees", "Databases", "Mail of"], rows.collect());
    for (id, group) in &estate.groups {
        let waves = group.waves.iter().map(|wave| listed(wave.iter().map(SiteId::as_str)));
        let waves: Vec<String> = waves.collect();
        page.say(format!(
            "Group {id}, in this order (`dr failover run --group {id}`): {}.",
            waves.join("; then ")
        ));
    }
}

fn measured(about: &About<'_>, site: &SiteId) -> String {
    let Some(moved) = about.last_move(site) else { return "never moved".to_owned() };
    let age = moved.age();
    let took = moved.took.map_or_else(|| "?".to_owned(), |took| took.to_string());
    let records = moved.records_after.map(|after| format!(", the records after {after}")).unwrap_or_default();
    let degraded = if moved.outcome == Some(Outcome::NewDegraded) { ", not all of it" } else { "" };
    format!("{}: {age}; {took}{records}{degraded}", day(moved.at))
}
