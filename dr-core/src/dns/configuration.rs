//! The configuration of a zone, as BIND, Knot DNS, NSD and PowerDNS want it.
//!
//! Transfers and changes are signed where there is a key. A NOTIFY need not be, as all it does is make a secondary look; PowerDNS signs
//! it, so both are taken. Secrets are never written: the key is named, and every server has it already.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::Server;
use crate::estate::{DnsName, ZoneName};

/// The software of a name server.
///
/// ```
/// use dr_core::dns::Software;
/// assert_eq!("powerdns".parse::<Software>(), Ok(Software::PowerDns));
/// assert!("nonsense".parse::<Software>().unwrap_err().starts_with("one of bind, "));
/// assert_eq!(Software::of_version("9.18.28-1~deb12u2-Debian"), Some(Software::Bind));
/// assert_eq!(Software::of_version("served by no one"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Software {
    /// BIND 9.
    Bind,
    /// Knot DNS.
    Knot,
    /// NSD. It takes no dynamic updates.
    Nsd,
    /// The PowerDNS authoritative server.
    PowerDns,
}

impl Software {
    const ALL: [(Self, &str); 4] =
        [(Self::Bind, "bind"), (Self::Knot, "knot"), (Self::Nsd, "nsd"), (Self::PowerDns, "powerdns")];

    /// What it is by its answer to `version.bind`, which its operator may have changed.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        let begins = |word: &str| version.trim_matches('"').starts_with(word);
        [("9.", Self::Bind), ("BIND 9.", Self::Bind), ("Knot DNS", Self::Knot), ("NSD ", Self::Nsd)]
            .into_iter()
            .chain([("PowerDNS Auth", Self::PowerDns)])
            .find_map(|(word, software)| begins(word).then_some(software))
    }
}

impl FromStr for Software {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(_, name)| *name == text);
        let names = Self::ALL.map(|(_, name)| name).join(", ");
        known.map(|(software, _)| *software).ok_or_else(|| format!("one of {names}"))
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(software, _)| software == self);
        f.write_str(own.map_or("", |(_, name)| name))
    }
}

/// What has to stand in a name server's configuration.
///
/// ```
/// # fn told(written: &dr_core::dns::Configuration) {
/// println!("{}\n{}", written.text, written.load.join("\n"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// What the operator calls the server.
    pub server: String,
    /// Its software.
    pub software: Software,
    /// The text: in the place of what stands there for these zones; for PowerDNS the commands to run.
    pub text: String,
    /// The commands that check it and have the server take it up.
    pub load: Vec<String>,
}

/// What a server is to a zone.
pub(super) struct Role<'a> {
    /// Whom it follows; nobody, if it is the primary.
    pub(super) masters: Vec<&'a Server>,
    /// Who follows it: they are told of changes and may transfer.
    pub(super) feeds: Vec<&'a Server>,
    /// Whether it takes changes.
    pub(super) updates: bool,
    pub(super) key: Option<&'a DnsName>,
}

impl Configuration {
    pub(super) fn of(server: &Server, software: Software, zones: &[ZoneName], role: &Role<'_>) -> Self {
        let (mut text, comment) = match software {
            Software::Bind => (String::new(), "//"),
            Software::Knot => (knot_shared(role), "#"),
            Software::Nsd | Software::PowerDns => (String::new(), "#"),
        };
        for zone in zones {
            text += &match software {
                Software::Bind => bind(zone, role),
                Software::Knot => knot(zone, role),
                Software::Nsd => nsd(zone, role),
                Software::PowerDns => powerdns(zone, role),
            };
        }
        let head = format!("{comment} {}, {}\n", plain(&server.name), notes(software, role, comment));
        Self { server: server.name.clone(), software, text: head + &text, load: load(software, zones, role) }
    }
}

/// What stands at the head of a configuration: what it is, and what it takes for granted.
fn notes(software: Software, role: &Role<'_>, comment: &str) -> String {
    let what = match role.masters.as_slice() {
        [] => "the primary".to_owned(),
        masters => format!("a secondary of {}", joined(masters, " and ", |server| plain(&server.name))),
    };
    let needs = match (software, role.masters.is_empty()) {
        (Software::Bind, _) => {
            "The files are those that the server has; a secondary writes them raw, unless it has masterfile-format text."
        }
        (Software::Knot, true) => {
            "Storage and journal are as its template says; take 'master' out of that template, if it is there."
        }
        (Software::Knot, false) => "Storage and journal are as its template says.",
        (Software::Nsd, true) => {
            "NSD takes no dynamic updates: raise the serial in the file yourself, or promote another."
        }
        (Software::Nsd, false) => "The files are those that the server has.",
        (Software::PowerDns, true) => {
            "pdns.conf needs primary=yes, dnsupdate=yes, and allow-dnsupdate-from with your address."
        }
        (Software::PowerDns, false) => "pdns.conf needs secondary=yes.",
    };
    let key = role.key.map(|key| format!("\n{comment} It must know the key {key}."));
    format!("{what}\n{comment} {needs}{}", key.unwrap_or_default())
}

/// Letters that cannot end a comment or a name.
fn plain(name: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    name.chars().map(fine).collect()
}

fn joined(servers: &[&Server], between: &str, each: impl Fn(&Server) -> String) -> String {
    servers.iter().map(|server| each(server)).collect::<Vec<String>>().join(between)
}

fn file(zone: &ZoneName) -> String {
    format!("{}.zone", zone.as_str().replace('/', "-"))
}

fn bind(zone: &ZoneName, role: &Role<'_>) -> String {
    let at = |server: &Server| format!("{} port {}", server.address.ip(), server.address.port());
    let kind = if role.masters.is_empty() { "primary" } else { "secondary" };
    let mut lines = vec![format!("type {kind};"), format!("file \"{}\";", file(zone))];
    if role.masters.is_empty() {
        lines.push("masterfile-format raw;".to_owned());
    } else {
        let key = role.key.map(|key| format!(" key \"{key}\"")).unwrap_or_default();
        let masters = joined(&role.masters, " ", |server| format!("{}{key};", at(server)));
        lines.push(format!("primaries {{ {masters} }};"));
    }
    if !role.feeds.is_empty() {
        lines.push("notify explicit;".to_owned());
        lines.push(format!("also-notify {{ {} }};", joined(&role.feeds, " ", |server| at(server) + ";")));
        let allowed = match role.key {
            Some(key) => format!("key \"{key}\";"),
            None => joined(&role.feeds, " ", |server| format!("{};", server.address.ip())),
        };
        lines.push(format!("allow-transfer {{ {allowed} }};"));
    }
    if let Some(key) = role.key.filter(|_| role.updates) {
        lines.push(format!("update-policy {{ grant \"{key}\" zonesub ANY; }};"));
    }
    format!("zone \"{zone}\" {{\n\t{}\n}};\n", lines.join("\n\t"))
}

/// The name of a part of Knot's configuration that is about this server.
fn knot_id(server: &Server) -> String {
    format!("dr-{}", plain(&server.name))
}

/// What the zones of a Knot server have in common.
fn knot_shared(role: &Role<'_>) -> String {
    let mut text = String::from("remote:\n");
    let remotes = role.masters.iter().map(|of| (of, role.key)).chain(role.feeds.iter().map(|of| (of, None)));
    for (server, key) in remotes {
        let at = format!("{}@{}", server.address.ip(), server.address.port());
        text += &format!("  - id: {}\n    address: {at}\n", knot_id(server));
        text += &key.map(|key| format!("    key: {key}\n")).unwrap_or_default();
    }
    text += "acl:\n";
    for server in &role.masters {
        let address = server.address.ip();
        let id = knot_id(server);
        text += &format!("  - id: {id}-tells\n    address: {address}\n    action: notify\n");
        if let Some(key) = role.key {
            text +=
                &format!("  - id: {id}-signs\n    address: {address}\n    key: {key}\n    action: notify\n");
        }
    }
    let updates = if role.updates { "[transfer, update]" } else { "transfer" };
    match (role.key, role.feeds.is_empty()) {
        (_, true) => {}
        (Some(key), false) => text += &format!("  - id: dr-key\n    key: {key}\n    action: {updates}\n"),
        (None, false) => {
            let from = joined(&role.feeds, ", ", |server| server.address.ip().to_string());
            text += &format!("  - id: dr-transfer\n    address: [{from}]\n    action: transfer\n");
        }
    }
    text + "zone:\n"
}

fn knot(zone: &ZoneName, role: &Role<'_>) -> String {
    let ids = |servers: &[&Server]| joined(servers, ", ", knot_id);
    let signs = role.key.map_or(&["tells"][..], |_| &["tells", "signs"]);
    let tells = role.masters.iter().map(|server| knot_id(server));
    let tells = tells.flat_map(|id| signs.iter().map(move |how| format!("{id}-{how}")));
    let own = if role.key.is_some() { "dr-key" } else { "dr-transfer" };
    let acl: Vec<String> = tells.chain((!role.feeds.is_empty()).then(|| own.to_owned())).collect();
    let lists = [("master", ids(&role.masters)), ("notify", ids(&role.feeds)), ("acl", acl.join(", "))];
    // Knot takes no empty lists.
    let said = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lines: String = said.map(|(item, list)| format!("    {item}: [{list}]\n")).collect();
    format!("  - domain: {zone}\n{lines}")
}

fn nsd(zone: &ZoneName, role: &Role<'_>) -> String {
    let key = role.key.map_or("NOKEY", DnsName::as_str);
    let mut text = format!("zone:\n\tname: \"{zone}\"\n\tzonefile: \"{}\"\n", file(zone));
    for server in &role.masters {
        let (ip, port) = (server.address.ip(), server.address.port());
        text += &format!("\trequest-xfr: {ip}@{port} {key}\n\tallow-notify: {ip} NOKEY\n");
        text += &role.key.map(|key| format!("\tallow-notify: {ip} {key}\n")).unwrap_or_default();
    }
    for server in &role.feeds {
        let (ip, port) = (server.address.ip(), server.address.port());
        text += &format!("\tnotify: {ip}@{port} NOKEY\n\tprovide-xfr: {ip} {key}\n");
    }
    text
}

fn powerdns(zone: &ZoneName, role: &Role<'_>) -> String {
    let tool = |rest: String| format!("pdnsutil {rest}\n");
    let mut text = String::new();
    if role.masters.is_empty() {
        text += &tool(format!("set-kind '{zone}' primary"));
        text += &tool(format!("set-meta '{zone}' AXFR-MASTER-TSIG"));
    } else {
        let at = joined(&role.masters, " ", |server| format!("'{}'", server.address));
        text += &tool(format!("set-kind '{zone}' secondary"));
        text += &tool(format!("change-secondary-zone-primary '{zone}' {at}"));
        text += &role
            .key
            .map(|key| tool(format!("set-meta '{zone}' AXFR-MASTER-TSIG '{key}'")))
            .unwrap_or_default();
    }
    if !role.feeds.is_empty() {
        let at = joined(&role.feeds, " ", |server| format!("'{}'", server.address));
        text += &tool(format!("set-meta '{zone}' ALSO-NOTIFY {at}"));
        text += &match role.key {
            Some(key) => tool(format!("set-meta '{zone}' TSIG-ALLOW-AXFR '{key}'")),
            None => {
                let from = joined(&role.feeds, " ", |server| format!("'{}'", server.address.ip()));
                tool(format!("set-meta '{zone}' ALLOW-AXFR-FROM {from}"))
            }
        };
    }
    if let Some(key) = role.key.filter(|_| role.updates) {
        text += &tool(format!("set-meta '{zone}' TSIG-ALLOW-DNSUPDATE '{key}'"));
    }
    text
}

/// The commands that check the configuration, and those that make it hold.
fn load(software: Software, zones: &[ZoneName], role: &Role<'_>) -> Vec<String> {
    let lines: &[&str] = match (software, role.masters.is_empty()) {
        (Software::Bind, _) => &["named-checkconf", "rndc reconfig"],
        (Software::Knot, _) => &["knotc conf-check", "knotc reload"],
        (Software::Nsd, true) => {
            &["nsd-control write", "nsd-checkconf /etc/nsd/nsd.conf", "nsd-control reconfig"]
        }
        (Software::Nsd, false) => &["nsd-checkconf /etc/nsd/nsd.conf", "nsd-control reconfig"],
        (Software::PowerDns, true) => &["pdnsutil check-all-zones", "pdns_control purge"],
        (Software::PowerDns, false) => &[],
    };
    let fetch = zones.iter().filter(|_| software == Software::PowerDns && !role.masters.is_empty());
    let fetch = fetch.map(|zone| format!("pdns_control retrieve '{zone}'"));
    lines.iter().map(|line| (*line).to_owned()).chain(fetch).collect()
}

#[cfg(test)]
mod tests;
