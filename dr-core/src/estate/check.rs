//! What no single value shows: references that lead nowhere, and values that contradict each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::failover::{CoordinatorKind, Mode, Terms};
use super::group::Group;
use super::mistake::{Path, nearest};
use super::names::{DnsName, HostId, ObserverId, SiteId, ZoneName};
use super::policy::Policy;
use super::probe::ProbeSpec;
use super::read::{Note, Notes};
use super::site::Site;
use super::zone::Zone;
use super::{Estate, Host};
use crate::report::Code;

/// Names that the estate declares, those of broken entries included: a reference to one is no second mistake.
pub(super) struct Declared<'a> {
    pub(super) hosts: BTreeSet<&'a str>,
    pub(super) sites: BTreeSet<&'a str>,
    pub(super) name_servers: BTreeSet<&'a str>,
    pub(super) tsig_keys: BTreeSet<&'a str>,
    pub(super) providers: BTreeSet<&'a str>,
}

impl<'a> Declared<'a> {
    pub(super) fn by(estate: &'a Estate) -> Self {
        Self {
            hosts: estate.hosts.keys().map(HostId::as_str).collect(),
            sites: estate.sites.keys().map(SiteId::as_str).collect(),
            name_servers: estate.name_servers.keys().map(|name| name.as_str()).collect(),
            tsig_keys: estate.tsig_keys.keys().map(DnsName::as_str).collect(),
            providers: estate.providers.keys().map(|name| name.as_str()).collect(),
        }
    }
}

/// Notes everything that does not fit together, except where a mistake is known already.
pub(super) fn check(estate: &Estate, declared: &Declared<'_>, notes: &mut Notes) {
    let mut check = Check { estate, declared, notes };
    let root = Path::default();
    let mut served = BTreeMap::new();
    for (id, host) in &estate.hosts {
        check.host(host, &root.key("hosts").key(id.as_str()), &mut served);
    }
    for (id, site) in &estate.sites {
        check.site(id, site, &root.key("sites").key(id.as_str()));
    }
    for (apex, zone) in &estate.zones {
        check.zone(apex, zone, &root.key("zones").key(apex.as_str()));
    }
    for (id, group) in &estate.groups {
        check.group(group, &root.key("groups").key(id.as_str()));
    }
    check.name_servers(&root.key("name_servers"));
    check.observers(&root.key("observers"));
    check.coordinator(&root.key("coordinator"));
    check.policy(&estate.policy, &root.key("policy"));
}

/// What can be referred to, and the table that declares it.
const HOST: (&str, &str) = ("host", "hosts");
const SITE: (&str, &str) = ("site", "sites");
const NAME_SERVER: (&str, &str) = ("name server", "name_servers");
const TSIG_KEY: (&str, &str) = ("TSIG key", "tsig_keys");
const PROVIDER: (&str, &str) = ("provider", "providers");

struct Check<'a> {
    estate: &'a Estate,
    declared: &'a Declared<'a>,
    notes: &'a mut Notes,
}

impl Check<'_> {
    fn wrong(&mut self, path: Path, message: impl Into<String>) {
        self.wrong_meant(path, message, None);
    }

    fn wrong_meant(&mut self, path: Path, message: impl Into<String>, meant: Option<String>) {
        if !self.notes.touch(&path) {
            self.notes.add(path, message, meant);
        }
    }

    /// Notes a name that nothing under `table` declares, unless that table itself is in doubt.
    fn reference(&mut self, path: Path, (what, table): (&str, &str), name: &str, declared: &BTreeSet<&str>) {
        if !declared.contains(name) && !self.notes.hide(&Path::default().key(table)) {
            let meant = nearest(name, declared.iter().copied());
            self.wrong_meant(path, format!("there is no {what} '{}'", name.escape_debug()), meant);
        }
    }

    fn host<'h>(&mut self, host: &'h Host, path: &Path, served: &mut BTreeMap<std::net::IpAddr, &'h Host>) {
        for (number, line) in host.host_keys.iter().enumerate() {
            if let Err(why) = public_key(line) {
                self.wrong(path.key("host_keys").index(number), why);
            }
        }
        for (number, address) in host.addresses.iter().enumerate() {
            let place = path.key("addresses").index(number);
            if address.is_unspecified() || address.is_multicast() {
                self.wrong(place, format!("{address} is no address that a site can be served under"));
            } else if served.insert(*address, host).is_some() {
                self.wrong(place, format!("{address} stands above already; an address belongs to one host"));
            }
        }
        if host.state_dir.trim().is_empty() {
            self.wrong(path.key("state_dir"), "the directory has no name");
        }
    }

    fn site(&mut self, id: &SiteId, site: &Site, path: &Path) {
        let hosts = &self.declared.hosts;
        self.reference(path.key("home"), HOST, site.home.as_str(), hosts);
        self.reference(path.key("standby"), HOST, site.standby.as_str(), hosts);
        if site.home == site.standby {
            self.wrong(path.key("standby"), "home and standby are the same host: there is nowhere to go");
        }
        if !site.names.is_empty() {
            for host in [&site.home, &site.standby] {
                if self.estate.hosts.get(host).is_some_and(|host| host.addresses.is_empty()) {
                    let place = Path::default().key("hosts").key(host.as_str()).key("addresses");
                    self.wrong(place, format!("none given, yet failover of '{id}' writes them into DNS"));
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (number, name) in site.names.iter().enumerate() {
            let place = path.key("names").index(number);
            if !seen.insert(name) {
                self.wrong(place, format!("{name} stands twice"));
            } else if self.moves_nothing(name) {
                self.wrong(place, format!("{name} is in no zone of the estate, so failover cannot move it"));
            }
        }
        let mut seen = BTreeSet::new();
        for (number, tree) in site.trees.iter().enumerate() {
            let place = path.key("trees").index(number);
            if tree.path.is_empty() || tree.standby_path().is_empty() {
                self.wrong(place, "the path is empty");
            } else if tree.path.contains('\0') || tree.standby_path().contains('\0') {
                self.wrong(place, "a NUL stands in the path");
            } else if !seen.insert(&tree.path) {
                self.wrong(place, format!("{} stands twice", tree.path.escape_debug()));
            }
        }
        if site.rpo.is_some_and(|rpo| rpo.as_duration().is_zero()) {
            self.wrong(path.key("rpo"), "no mirror is ever that fresh");
        }
        self.frequency(site, path);
        for (number, probe) in site.probes.iter().enumerate() {
            self.probe(probe, &path.key("probes").index(number));
        }
    }

    /// Whether zones are given, but none for this name.
    fn moves_nothing(&self, name: &DnsName) -> bool {
        !self.estate.zones.is_empty()
            && self.estate.zone_of(name).is_none()
            && !self.notes.touch(&Path::default().key("zones"))
    }

    fn probe(&mut self, probe: &ProbeSpec, path: &Path) {
        let (sort, port) = match probe {
            ProbeSpec::Tcp { port } => ("tcp", *port),
            ProbeSpec::Dns { port, .. } => ("dns", *port),
            ProbeSpec::Http { path: page, port, status, .. } => {
                self.page(page, *status, &path.key("http"));
                ("http", *port)
            }
            ProbeSpec::Https { path: page, port, status, .. } => {
                self.page(page, *status, &path.key("https"));
                ("https", *port)
            }
            ProbeSpec::Tls { port, .. } => ("tls", *port),
            ProbeSpec::Smtp { port, .. } => ("smtp", *port),
            ProbeSpec::Imap { port, .. } => ("imap", *port),
            ProbeSpec::Ssh { port, host_keys } => {
                let place = path.key("ssh").key("host_keys");
                for (number, key) in host_keys.iter().enumerate() {
                    if let Err(why) = public_key(key) {
                        self.wrong(place.index(number), why);
                    }
                }
                ("ssh", *port)
            }
        };
        if port == 0 {
            self.wrong(path.key(sort).key("port"), "there is no port 0");
        }
    }

    fn page(&mut self, page: &str, status: u16, path: &Path) {
        if !page.starts_with('/') || page.chars().any(|c| c.is_control() || c == ' ') {
            self.wrong(path.key("path"), "a path begins with a slash and has no spaces");
        }
        if !(100..=599).contains(&status) {
            self.wrong(path.key("status"), format!("{status} is no HTTP status"));
        }
    }

    fn zone(&mut self, apex: &ZoneName, zone: &Zone, path: &Path) {
        let servers = &self.declared.name_servers;
        self.reference(path.key("primary"), NAME_SERVER, zone.primary.as_str(), servers);
        if zone.servers.is_empty() {
            self.wrong(path.key("servers"), "a zone has at least one name server");
        }
        let mut seen = BTreeSet::new();
        for (number, server) in zone.servers.iter().enumerate() {
            let place = path.key("servers").index(number);
            if !seen.insert(server) {
                self.wrong(place, format!("{server} stands twice"));
            } else {
                self.reference(place, NAME_SERVER, server.as_str(), servers);
            }
        }
        if let Some(standby) = &zone.standby_primary {
            if *standby == zone.primary {
                self.wrong(path.key("standby_primary"), "it is the primary already");
            } else if !zone.servers.contains(standby) {
                self.wrong(path.key("standby_primary"), "it is none of the zone's servers");
            }
        }
        if let Some(key) = &zone.update_key {
            let keys = &self.declared.tsig_keys;
            self.reference(path.key("update_key"), TSIG_KEY, key.as_str(), keys);
        }
        if let Some(key) = &zone.transfer_key {
            let keys = &self.declared.tsig_keys;
            self.reference(path.key("transfer_key"), TSIG_KEY, key.as_str(), keys);
        }
        if let Some(provider) = &zone.provider {
            let providers = &self.declared.providers;
            self.reference(path.key("provider"), PROVIDER, provider.as_str(), providers);
            if zone.update_key.is_some() {
                self.wrong(
                    path.key("update_key"),
                    "the zone is changed by the API of its provider, not by a key",
                );
            }
        }
        for (number, key) in zone.records.iter().enumerate() {
            self.inside(apex, &key.owner, path.key("records").index(number).key("owner"));
        }
        for (number, set) in zone.expect.iter().enumerate() {
            let place = path.key("expect").index(number);
            self.inside(apex, &set.owner, place.key("owner"));
            if set.ttl > i32::MAX as u32 {
                self.wrong(place.key("ttl"), "a TTL is at most 2147483647 seconds (RFC 2181 section 8)");
            }
            if set.rdata.is_empty() {
                self.wrong(place.key("rdata"), "a record set has at least one record");
            }
        }
    }

    fn inside(&mut self, apex: &ZoneName, owner: &DnsName, place: Path) {
        if !apex.contains(owner) {
            self.wrong(place, format!("{owner} is not in the zone {apex}"));
        }
    }

    fn name_servers(&mut self, path: &Path) {
        let mut seen: BTreeMap<SocketAddr, &str> = BTreeMap::new();
        for (id, server) in &self.estate.name_servers {
            let place = path.key(id.as_str()).key("address");
            if server.address.port() == 0 {
                self.wrong(place, "there is no port 0");
            } else if let Some(other) = seen.insert(server.address, id.as_str()) {
                self.wrong(place, format!("'{other}' has the address {} too", server.address));
            }
        }
    }

    fn policy(&mut self, policy: &Policy, path: &Path) {
        if policy.max_delete.percent > 100 {
            let message = format!("{} percent is more than all of it", policy.max_delete.percent);
            self.wrong(path.key("max_delete").key("percent"), message);
        }
        if i64::try_from(policy.max_delete.files).is_err() {
            self.wrong(path.key("max_delete").key("files"), "no file system holds that many files");
        }
        if i64::try_from(policy.failover.free_bytes).is_err() {
            self.wrong(path.key("failover").key("free_bytes"), "no disk is that large");
        }
        for (key, period) in [("rpo", policy.rpo), ("rto", policy.rto)] {
            if period.as_duration().is_zero() {
                self.wrong(path.key(key), "an objective of no time at all cannot be met");
            }
        }
        for (key, count) in [("at_once", policy.mirrors.at_once), ("per_host", policy.mirrors.per_host)] {
            if count == 0 {
                self.wrong(path.key("mirrors").key(key), "with none at a time nothing is ever mirrored");
            }
        }
        if policy.notify.per_second == 0 {
            self.wrong(
                path.key("notify").key("per_second"),
                "with none a second no secondary ever hears of a change",
            );
        }
        for name in policy.severity.keys().filter(|name| Code::find(name).is_none()) {
            let meant = nearest(name, Code::all().map(Code::name));
            let message = "no finding has this code (docs/findings.md lists them)".to_owned();
            let path = path.key("severity").key(name);
            self.notes.push(Note { path, message, suggestion: meant, of_key: true });
        }
        if let Err(why) = Terms::try_from(policy.failover.times) {
            self.wrong(path.key("failover").key("times"), why);
        }
        self.health(policy, &path.key("health"));
    }

    /// Sites that are none, or that would be moved twice.
    fn group(&mut self, group: &Group, path: &Path) {
        let mut seen = BTreeSet::new();
        for (number, wave) in group.waves.iter().enumerate() {
            for (place, site) in wave.iter().enumerate() {
                let place = path.key("waves").index(number).index(place);
                if seen.insert(site) {
                    self.reference(place, SITE, site.as_str(), &self.declared.sites);
                } else {
                    self.wrong(place, format!("{site} stands twice"));
                }
            }
        }
        if group.at_once == 0 {
            self.wrong(path.key("at_once"), "none would ever be moved");
        }
    }

    /// Observers that are one, or nowhere.
    fn observers(&mut self, path: &Path) {
        let estate = self.estate;
        let mut signers = BTreeMap::new();
        for (id, post) in &estate.observers {
            let path = path.key(id.as_str());
            if post.failure_domain.trim().is_empty() {
                self.wrong(
                    path.key("failure_domain"),
                    "it shares its fate with something: a place, a provider",
                );
            }
            for (number, line) in post.keys.iter().enumerate() {
                let place = path.key("keys").index(number);
                if let Err(why) = public_key(line) {
                    self.wrong(place, why);
                } else if let Some(other) = signers.insert(bare_key(line), id) {
                    let message = format!("{other} signs with it too: one machine would have two votes");
                    self.wrong(place, message);
                }
            }
            for (number, anchor) in post.anchors.iter().enumerate() {
                self.probe(&anchor.probe, &path.key("anchors").index(number).key("probe"));
            }
        }
        self.agents(&signers);
    }

    /// Agents that are one. A host may have an observer of its own; then that one is where the host is.
    fn agents(&mut self, observers: &BTreeMap<String, &ObserverId>) {
        let estate = self.estate;
        let mut signers: BTreeMap<String, &HostId> = BTreeMap::new();
        for (id, host) in &estate.hosts {
            for (number, line) in host.agent_keys.iter().enumerate() {
                let place = Path::default().key("hosts").key(id.as_str()).key("agent_keys").index(number);
                if let Err(why) = public_key(line) {
                    self.wrong(place, why);
                    continue;
                }
                if let Some(other) = signers.insert(bare_key(line), id).filter(|other| *other != id) {
                    let message =
                        format!("{other} signs with it too: each could say that the other has stopped");
                    self.wrong(place, message);
                    continue;
                }
                let Some((observer, post)) =
                    observers.get(&bare_key(line)).and_then(|id| estate.observers.get_key_value(*id))
                else {
                    continue;
                };
                if host.failure_domain.as_ref().is_some_and(|here| *here != post.failure_domain) {
                    let message = format!(
                        "the observer {observer} signs with it too, so it is on {id}, yet not in the same failure_domain"
                    );
                    self.wrong(place, message);
                }
            }
        }
    }

    /// Every sort has keys of its own; and what cannot compare and set cannot coordinate.
    fn coordinator(&mut self, path: &Path) {
        let Some(at) = &self.estate.coordinator else { return };
        let is = |kind| at.kind == kind;
        let (dns, etcd, sqlite) =
            (is(CoordinatorKind::Dns), is(CoordinatorKind::Etcd), is(CoordinatorKind::Sqlite));
        for (key, given, fits, of) in [
            ("zone", at.zone.is_some(), dns, "dns"),
            ("urls", !at.urls.is_empty(), etcd, "etcd"),
            ("prefix", at.prefix.is_some(), etcd, "etcd"),
            ("user", at.user.is_some(), etcd, "etcd"),
            ("password_file", at.password_file.is_some(), etcd, "etcd"),
            ("authorities", at.authorities.is_some(), etcd, "etcd"),
            ("path", at.path.is_some(), sqlite, "sqlite"),
        ] {
            if given && !fits {
                self.wrong(path.key(key), format!("only a coordinator of the kind {of} has it"));
            }
        }
        if etcd && at.urls.is_empty() {
            self.wrong(path.key("urls"), "say where etcd is: the client URLs of its members");
        }
        if at.user.is_some() != at.password_file.is_some() {
            self.wrong(path.key("password_file"), "a user and a password file go together");
        }
        if sqlite && at.path.is_none() {
            self.wrong(path.key("path"), "say where the file is");
        }
        let auto = |site: &Site| site.failover.unwrap_or(self.estate.policy.failover.mode) == Mode::Auto;
        if sqlite && self.estate.sites.values().any(auto) {
            let why = "a file is on one machine, and two hosts cannot both ask it: use dns or etcd, or let a person decide";
            self.wrong(path.key("kind"), why);
        }
        if let Some(zone) = &at.zone {
            match self.estate.zones.get(zone) {
                Some(there) if there.provider.is_some() => {
                    let why = "the API of its provider does not compare and set: two hosts could both win";
                    self.wrong(path.key("zone"), why);
                }
                Some(_) => {}
                None => {
                    let zones: BTreeSet<&str> = self.estate.zones.keys().map(ZoneName::as_str).collect();
                    self.reference(path.key("zone"), ("zone", "zones"), zone.as_str(), &zones);
                }
            }
        }
    }

    /// A mirror that runs less often than the objective allows its copy to age cannot meet it.
    fn frequency(&mut self, site: &Site, path: &Path) {
        let rpo = site.rpo.unwrap_or(self.estate.policy.rpo);
        let root = Path::default().key("policy").key("mirrors").key("every");
        let asked = match (site.mirror_every, self.estate.policy.mirrors.every) {
            (Some(every), _) => Some((every, path.key("mirror_every"))),
            (None, Some(every)) => Some((every, root)),
            (None, None) => None,
        };
        let Some((every, place)) = asked.filter(|_| site.mirror) else { return };
        if every.as_secs() == 0 {
            self.wrong(place, "a mirror needs at least a second");
        } else if every > rpo {
            self.wrong(place, format!("a copy that is made every {every} cannot keep an objective of {rpo}"));
        }
    }

    fn health(&mut self, policy: &Policy, path: &Path) {
        let health = &policy.health;
        for (key, count) in [("fall", health.fall), ("rise", health.rise)] {
            if count == 0 {
                self.wrong(path.key(key), "at least one look is needed to tell");
            }
        }
        let periods = [
            ("interval", health.interval),
            ("confirm_interval", health.confirm_interval),
            ("timeout", health.timeout),
        ];
        for (key, period) in periods {
            if period.as_duration().is_zero() {
                self.wrong(path.key(key), "it must be longer than no time at all");
            }
        }
        // At worst every probe runs into its timeout; what is noticed after the objective is noticed too late.
        let one_look = health.timeout.as_duration().saturating_add(health.confirm_interval.as_duration());
        let notices_after = one_look
            .checked_mul(health.fall)
            .unwrap_or(Duration::MAX)
            .saturating_add(health.interval.as_duration());
        let rto = policy.rto.as_duration();
        if !rto.is_zero() && notices_after >= rto {
            let message = format!(
                "interval + fall × (timeout + confirm_interval) is {}, but the rto is {}: a failure would be noticed too late",
                crate::time::Period::from(notices_after),
                policy.rto
            );
            self.wrong(path.key("timeout"), message);
        }
    }
}

/// The key itself: without a comment it is the same key.
fn bare_key(line: &str) -> String {
    line.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Whether this is a public key as it stands in a .pub file: a type, base64 that repeats the type (RFC 4253 section 6.6), and
/// perhaps a comment.
fn public_key(line: &str) -> Result<(), String> {
    let said = "no public key as in a .pub file (ssh-ed25519 AAAA…)";
    if line.contains("PRIVATE KEY") {
        return Err("this is a private key; what belongs here is the .pub file of the host".to_owned());
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(sort), Some(coded)) = (words.next(), words.next()) else { return Err(said.to_owned()) };
    let blob = data_encoding::BASE64
        .decode(coded.as_bytes())
        .map_err(|_| format!("{said}: it is cut off or mistyped"))?;
    let inner = blob.split_first_chunk::<4>().and_then(|(length, rest)| {
        rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
            .filter(|inner| inner.len() < rest.len())
    });
    if inner == Some(sort.as_bytes()) { Ok(()) } else { Err(format!("{said}: it is not a key of its type")) }
}
