//! `named-checkconf -p`, and the short listing of `named-checkconf -l`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::words::{Dialect, Statement, statements};
use super::{Found, FoundZone, shown};

/// The zones that name servers have for themselves (RFC 6303, RFC 1912 section 4.1).
const OWN: [&str; 6] = [
    "localhost",
    "127.in-addr.arpa",
    "0.in-addr.arpa",
    "255.in-addr.arpa",
    "0.0.127.in-addr.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
];

pub(super) fn read(text: &str, found: &mut Found) {
    if text.contains('{') {
        let top = statements(text, Dialect::Named);
        let lists = remote_lists(&top);
        let options =
            top.iter().find(|statement| statement.verb() == "options").map_or(&[][..], Statement::inside);
        for statement in &top {
            match statement.verb() {
                "zone" => zone(statement, "_default", options, &lists, found),
                "view" => {
                    let view = statement.inside();
                    for inner in view.iter().filter(|inner| inner.verb() == "zone") {
                        zone(inner, statement.word(1), view, &lists, found);
                    }
                }
                _ => {}
            }
        }
        return;
    }
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [name, "IN" | "in", view, kind] => add(name, view, kind, (vec![], vec![], vec![]), found),
            [] | [_, "CH" | "HS" | "ch" | "hs", ..] => {}
            _ => found.leave_out(
                format!("the line {}", shown(line)),
                "it is not what named-checkconf prints",
                "",
            ),
        }
    }
}

type Lists<'s> = BTreeMap<&'s str, &'s [Statement]>;

/// The lists of servers that have names: `primaries "x" { ... }` and its other spellings.
fn remote_lists(top: &[Statement]) -> Lists<'_> {
    let named = |statement: &&Statement| {
        matches!(statement.verb(), "primaries" | "masters" | "remote-servers" | "parental-agents")
            && statement.words.len() > 1
    };
    top.iter().filter(named).map(|statement| (statement.word(1), statement.inside())).collect()
}

fn zone(zone: &Statement, view: &str, around: &[Statement], lists: &Lists<'_>, found: &mut Found) {
    if matches!(zone.word(2).to_ascii_uppercase().as_str(), "CH" | "HS" | "CHAOS" | "HESIOD") {
        return;
    }
    let of = |verbs: &[&str]| zone.inside().iter().find(|inner| verbs.contains(&inner.verb()));
    let kind = of(&["type"]).map_or("", |inner| inner.word(1));
    let mut primaries = vec![];
    if let Some(list) = of(&["masters", "primaries"]) {
        servers(list.inside(), lists, &mut primaries, 0);
    }
    let mut secondaries = vec![];
    let told = of(&["also-notify"]).or_else(|| around.iter().find(|inner| inner.verb() == "also-notify"));
    if let Some(list) = told {
        servers(list.inside(), lists, &mut secondaries, 0);
    }
    let mut keys = vec![];
    for inner in zone.inside() {
        let grants = inner.inside().iter();
        match inner.verb() {
            "update-policy" => {
                keys.extend(grants.filter(|grant| grant.verb() == "grant").map(|grant| grant.word(1)));
            }
            "allow-update" => {
                keys.extend(grants.filter(|grant| grant.verb() == "key").map(|grant| grant.word(1)));
            }
            _ => {}
        }
    }
    let keys = keys.into_iter().filter_map(|key| key.parse().ok()).collect();
    add(zone.word(1), view, kind, (primaries, secondaries, keys), found);
}

/// The addresses of a list of servers: `192.0.2.53 port 53 key "k";`, or the name of another list.
fn servers(list: &[Statement], lists: &Lists<'_>, into: &mut Vec<SocketAddr>, depth: usize) {
    const SERVERS_MAX: usize = 64;
    for server in list {
        if into.len() >= SERVERS_MAX {
            return;
        }
        if let Ok(address) = server.verb().parse::<IpAddr>() {
            let port = server.words.iter().position(|word| word == "port");
            let port = port.and_then(|at| server.word(at + 1).parse().ok()).unwrap_or(53);
            let address = SocketAddr::new(address, port);
            if !into.contains(&address) {
                into.push(address);
            }
        } else if let Some(named) = lists.get(server.verb()).filter(|_| depth < 4) {
            servers(named, lists, into, depth + 1);
        }
    }
}

type Around = (Vec<SocketAddr>, Vec<SocketAddr>, Vec<super::DnsName>);

fn add(name: &str, view: &str, kind: &str, (primaries, secondaries, update_keys): Around, found: &mut Found) {
    let place = if view == "_default" { "BIND".to_owned() } else { format!("BIND, view {}", shown(view)) };
    let what = format!("the zone {}", shown(name));
    let primary_here = match kind.to_ascii_lowercase().as_str() {
        "master" | "primary" => true,
        "slave" | "secondary" => false,
        // The root's hints, and what others answer for.
        "hint" => return,
        kind => {
            return found.leave_out(
                what,
                format!("its type is {}: nobody here has its data", shown(kind)),
                &place,
            );
        }
    };
    let Ok(name) = name.parse::<super::ZoneName>() else {
        return found.leave_out(what, "it is no name of a zone", &place);
    };
    if OWN.contains(&name.as_str()) {
        return;
    }
    if let Some(other) = found.zones.iter().find(|zone| zone.name == name) {
        let why =
            format!("it stands in {} already; dr sees one of them only, from where it asks", other.place);
        return found.leave_out(what, why, &place);
    }
    found.add_zone(FoundZone { name, primary_here, primaries, secondaries, update_keys, place });
}
