//! From what was found to an estate: which of it is one site, what it is called, and where its zones are served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::compare::{Difference, Differs, compare_site, gone};
use super::{Found, FoundSite, FoundZone, LeftOut, leave_out};
use crate::estate::{
    DnsName, Estate, Host, HostId, NameServer, NameServerId, Site, SiteId, Tree, Zone, ZoneName,
};

/// What a draft stands on: the estate as it is, the host that was looked at, and the one that would stand in for it.
///
/// ```
/// use dr_core::Estate;
/// use dr_core::estate::{Host, discover::{Found, Ground, Listing}};
/// let mut found = Found::default();
/// found.read(Listing::Nginx, "http { server { server_name example.org; root /srv/shop; } }");
/// let host = |at: &str, address: &str| {
///     let mut host = Host::new(at.parse().unwrap());
///     host.addresses.push(address.parse().unwrap());
///     (at.parse().unwrap(), host)
/// };
/// let (home, standby) = (host("uk", "192.0.2.10"), host("us", "198.51.100.20"));
/// let draft = found.draft(&Ground { estate: &Estate::default(), home, standby });
/// assert_eq!(Estate::from_toml(&draft.fragment().unwrap()).unwrap(), draft.estate);
/// let told: Vec<String> = draft.differences.iter().map(ToString::to_string).collect();
/// assert!(told.iter().any(|new| new == "new: site example.org: example.org, from /srv/shop"), "{told:?}");
/// ```
#[derive(Clone, Debug)]
pub struct Ground<'e> {
    /// What is there already; nothing of it is changed.
    pub estate: &'e Estate,
    /// The host that the listings are of.
    pub home: (HostId, Host),
    /// The host that its sites would go to.
    pub standby: (HostId, Host),
}

/// What would be added to an estate, and what was not.
///
/// ```
/// # fn told(draft: &dr_core::estate::discover::Draft) {
/// for difference in &draft.differences {
///     println!("{difference}");
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Draft {
    /// The estate with everything that is new.
    pub estate: Estate,
    /// Only what is new.
    pub new: Estate,
    /// What is new, what is gone, and what differs.
    pub differences: Vec<Difference>,
    /// What cannot be taken over, and why.
    pub left_out: Vec<LeftOut>,
}

impl Found {
    /// What of this is new to an estate. Whatever it makes of it is an estate without mistakes, if the one it stands on is.
    pub fn draft(self, ground: &Ground<'_>) -> Draft {
        let Self { sites, zones, left_out, read } = self;
        let mut drafting = Drafting {
            ground,
            draft: Draft {
                estate: ground.estate.clone(),
                new: Estate::default(),
                differences: vec![],
                left_out,
            },
            seen_zones: BTreeSet::new(),
            seen_sites: BTreeSet::new(),
        };
        drafting.hosts();
        for zone in zones {
            drafting.zone(zone);
        }
        for group in groups(sites, &mut drafting.draft.left_out) {
            drafting.site(group);
        }
        let Drafting { mut draft, seen_zones, seen_sites, .. } = drafting;
        gone(ground, &read, &seen_sites, &seen_zones, &mut draft.differences);
        draft
    }
}

struct Drafting<'g, 'e> {
    ground: &'g Ground<'e>,
    draft: Draft,
    seen_zones: BTreeSet<ZoneName>,
    seen_sites: BTreeSet<SiteId>,
}

impl Drafting<'_, '_> {
    fn leave_out(&mut self, what: String, why: impl Into<String>, place: &str) {
        leave_out(&mut self.draft.left_out, what, why, place);
    }

    fn differs(&mut self, what: Differs, subject: String, detail: String) {
        self.draft.differences.push(Difference { what, subject, detail });
    }

    fn hosts(&mut self) {
        for (id, host) in [&self.ground.home, &self.ground.standby] {
            if self.draft.estate.hosts.contains_key(id) {
                continue;
            }
            let mut host = host.clone();
            for address in std::mem::take(&mut host.addresses) {
                let other =
                    self.draft.estate.hosts.iter().find(|(_, host)| host.addresses.contains(&address));
                let why = match other {
                    Some((other, _)) => format!("host {other} has it already, and it belongs to one of them"),
                    None if address.is_unspecified() || address.is_multicast() => {
                        "no site is served there".to_owned()
                    }
                    None => {
                        if !host.addresses.contains(&address) {
                            host.addresses.push(address);
                        }
                        continue;
                    }
                };
                self.leave_out(format!("the address {address} of host {id}"), why, "");
            }
            self.draft.estate.hosts.insert(id.clone(), host.clone());
            self.draft.new.hosts.insert(id.clone(), host.clone());
            let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
            self.differs(
                Differs::New,
                format!("host {id}"),
                format!("{} {}", host.ssh, addresses.join(", ")),
            );
        }
    }

    /// The name server at this address; it is made if there is none. None if all names for it are too long.
    fn server(&mut self, address: SocketAddr) -> Option<NameServerId> {
        let estate = &self.draft.estate;
        if let Some((id, _)) = estate.name_servers.iter().find(|(_, server)| server.address == address) {
            return Some(id.clone());
        }
        let host = estate.hosts.iter().find(|(_, host)| host.addresses.contains(&address.ip()));
        let mut word = host.map_or_else(
            || format!("ns-{}", address.ip().to_string().replace([':', '.'], "-")),
            |(id, _)| id.to_string(),
        );
        while estate.name_servers.keys().any(|id| id.as_str() == word) {
            word.push_str("-2");
        }
        let id: NameServerId = word.parse().ok()?;
        let server = NameServer { address, name: None };
        self.draft.estate.name_servers.insert(id.clone(), server.clone());
        self.draft.new.name_servers.insert(id.clone(), server);
        Some(id)
    }

    fn zone(&mut self, found: FoundZone) {
        let what = format!("the zone {}", found.name);
        self.seen_zones.insert(found.name.clone());
        if self.draft.estate.zones.contains_key(&found.name) {
            return;
        }
        let home = self.draft.estate.hosts.get(&self.ground.home.0);
        let Some(address) = home.and_then(|home| home.addresses.first().copied()) else {
            let why = format!("the address of {} is not known; give it with addresses", self.ground.home.0);
            return self.leave_out(what, why, &found.place);
        };
        let Some(here) = self.server(SocketAddr::new(address, 53)) else {
            return self.leave_out(
                what,
                "there is no name left for its name server; declare it",
                &found.place,
            );
        };
        let others = if found.primary_here { &found.secondaries } else { &found.primaries };
        let mut servers: Vec<NameServerId> =
            others.clone().into_iter().filter_map(|other| self.server(other)).collect();
        servers.retain(|server| *server != here);
        let mut seen = BTreeSet::new();
        servers.retain(|server| seen.insert(server.clone()));
        let primary = match (found.primary_here, servers.first()) {
            (true, _) => here.clone(),
            (false, Some(primary)) => primary.clone(),
            (false, None) => {
                let why = "this host is a secondary, and where it takes the zone from is not said; look on the primary";
                return self.leave_out(what, why, &found.place);
            }
        };
        servers.insert(if found.primary_here { 0 } else { servers.len() }, here);
        if found.primary_here && servers.len() == 1 {
            let why = "its other name servers are not in the listing (only also-notify tells); add them to its servers";
            self.leave_out(format!("the secondaries of {}", found.name), why, &found.place);
        }
        let mut zone = Zone { servers, ..Zone::new(primary) };
        for key in &found.update_keys {
            if self.draft.estate.tsig_keys.contains_key(key) {
                zone.update_key = Some(key.clone());
            } else {
                let why = "secrets are not copied; put its secret into a file and name it under tsig_keys";
                self.leave_out(format!("the key {key}, which may change {}", found.name), why, &found.place);
            }
        }
        let detail: Vec<&str> = zone.servers.iter().map(NameServerId::as_str).collect();
        let detail = format!("primary {}, servers {}", zone.primary, detail.join(", "));
        self.differs(Differs::New, format!("zone {}", found.name), detail);
        self.draft.estate.zones.insert(found.name.clone(), zone.clone());
        self.draft.new.zones.insert(found.name, zone);
    }

    fn site(&mut self, group: FoundSite) {
        let FoundSite { names, trees, mailboxes, passed_on, place, .. } = group;
        let Some(first) =
            names.iter().find(|name| !name.as_str().starts_with("*.")).or_else(|| names.first())
        else {
            return;
        };
        let called = first.as_str();
        let called =
            called.strip_prefix("www.").or_else(|| called.strip_prefix("*.")).unwrap_or(called).to_owned();
        let existing = self.draft.estate.sites.iter().find(|(id, site)| {
            id.as_str() == called
                || site.names.iter().any(|name| names.contains(name))
                || (site.home == self.ground.home.0
                    && site.trees.iter().any(|tree| trees.contains(&tree.path)))
        });
        let existing = existing.map(|(id, site)| (id.clone(), site.clone()));
        let names = self.movable(names, &called, &place);
        if let Some((id, site)) = existing.filter(|(id, _)| !self.draft.new.sites.contains_key(id)) {
            self.seen_sites.insert(id.clone());
            let differences = compare_site(&id, &site, &names, &trees);
            self.draft.differences.extend(differences);
            return;
        }
        let mut word = called.clone();
        while self.draft.estate.sites.keys().any(|id| id.as_str() == word) {
            word.push_str("-2");
        }
        let Ok(id) = word.parse::<SiteId>() else {
            let why = "its name is too long for that of a site; write it yourself";
            return self.leave_out(format!("the site {called}"), why, &place);
        };
        let trees: Vec<Tree> = outermost(trees).iter().map(|path| Tree::same(path)).collect();
        if trees.is_empty() {
            let why = match &passed_on {
                Some(program) => {
                    format!("it is passed on to {}; name the trees of that program", super::shown(program))
                }
                None => "the listing names none; name them yourself".to_owned(),
            };
            self.leave_out(format!("the trees of {called}"), why, &place);
        }
        let served: Vec<&str> = names.iter().map(DnsName::as_str).collect();
        let from: Vec<&str> = trees.iter().map(|tree| tree.path.as_str()).collect();
        let mut detail = served.join(", ");
        if !from.is_empty() {
            detail = format!("{detail}{}from {}", if detail.is_empty() { "" } else { ", " }, from.join(", "));
        }
        self.differs(Differs::New, format!("site {id}"), detail);
        let (home, standby) = (self.ground.home.0.clone(), self.ground.standby.0.clone());
        let site = Site { mirror: !trees.is_empty(), trees, names, mailboxes, ..Site::new(home, standby) };
        self.draft.estate.sites.insert(id.clone(), site.clone());
        self.draft.new.sites.insert(id, site);
    }

    /// Those of the names that a failover could move.
    fn movable(&mut self, names: Vec<DnsName>, called: &str, place: &str) -> Vec<DnsName> {
        let without = [&self.ground.home.0, &self.ground.standby.0]
            .into_iter()
            .find(|id| self.draft.estate.hosts.get(*id).is_none_or(|host| host.addresses.is_empty()));
        if let Some(host) = without {
            let why = format!("the addresses of host {host} are not known, so failover could not move them");
            self.leave_out(format!("the names of {called}"), why, place);
            return vec![];
        }
        let (mut fine, mut left) = (vec![], vec![]);
        for name in names {
            let moves = self.draft.estate.zones.is_empty() || self.draft.estate.zone_of(&name).is_some();
            if moves { fine.push(name) } else { left.push(name) }
        }
        for name in left {
            let why = "it is in no zone of the estate, so failover could not move it; add its zone";
            self.leave_out(format!("the name {name}"), why, place);
        }
        fine
    }
}

/// The directories that are not inside of another one.
fn outermost(mut trees: Vec<String>) -> Vec<String> {
    trees.sort();
    let mut kept: Vec<String> = vec![];
    for tree in trees {
        let inside =
            |outer: &String| tree.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !kept.iter().any(inside) && !kept.contains(&tree) {
            kept.push(tree);
        }
    }
    kept
}

/// What belongs together: whatever shares a name, what only sends visitors on to it, and its mail.
fn groups(sites: Vec<FoundSite>, left_out: &mut Vec<LeftOut>) -> Vec<FoundSite> {
    let (redirecting, serving): (Vec<_>, Vec<_>) = sites.into_iter().partition(|site| site.redirects);
    let (serving, mail): (Vec<_>, Vec<_>) = serving.into_iter().partition(|site| !site.names.is_empty());
    let mut groups = Groups::default();
    for site in serving {
        groups.add(site);
    }
    let mut waiting = redirecting;
    loop {
        let before = waiting.len();
        let (known, unknown): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|site| {
            site.redirects_to.iter().chain(&site.names).any(|name| groups.of.contains_key(name))
        });
        waiting = unknown;
        for mut site in known {
            // The name of the target first finds its group; it is there already.
            site.names.extend(site.redirects_to.take());
            groups.add(site);
        }
        if waiting.len() == before {
            break;
        }
    }
    for site in waiting {
        let names: Vec<&str> = site.names.iter().map(DnsName::as_str).collect();
        let target = site.redirects_to.as_ref().map_or("elsewhere", DnsName::as_str);
        let why = format!("it only sends visitors to {target}, which is not here");
        leave_out(left_out, format!("the site {}", names.join(", ")), why, &site.place);
    }
    for site in mail {
        for domain in site.mailboxes {
            match groups.of.get(&domain).and_then(|at| groups.list.get_mut(*at)) {
                Some(Some(group)) if !group.mailboxes.contains(&domain) => group.mailboxes.push(domain),
                Some(_) => {}
                None => {
                    let why = "no site has this name; add it to the mailboxes of the site that it belongs to";
                    leave_out(left_out, format!("the mail of {domain}"), why, &site.place);
                }
            }
        }
    }
    groups.list.into_iter().flatten().collect()
}

#[derive(Default)]
struct Groups {
    list: Vec<Option<FoundSite>>,
    of: BTreeMap<DnsName, usize>,
}

impl Groups {
    fn add(&mut self, site: FoundSite) {
        let touched: BTreeSet<usize> =
            site.names.iter().filter_map(|name| self.of.get(name).copied()).collect();
        let at = touched.first().copied().unwrap_or_else(|| {
            self.list.push(None);
            self.list.len() - 1
        });
        let parts = touched.into_iter().filter_map(|part| self.list[part].take()).chain([site]);
        let mut whole: Option<FoundSite> = None;
        for part in parts.collect::<Vec<_>>() {
            self.of.extend(part.names.iter().map(|name| (name.clone(), at)));
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.join(part),
            }
        }
        self.list[at] = whole;
    }
}

impl FoundSite {
    fn join(&mut self, other: Self) {
        fn add<T: PartialEq>(into: &mut Vec<T>, from: Vec<T>) {
            for item in from {
                if !into.contains(&item) {
                    into.push(item);
                }
            }
        }
        add(&mut self.names, other.names);
        add(&mut self.trees, other.trees);
        add(&mut self.mailboxes, other.mailboxes);
        self.passed_on = self.passed_on.take().or(other.passed_on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_inside_of_another_goes_with_it() {
        let trees = ["/srv/a/b", "/srv/a", "/srv/ab", "/srv/a"].map(str::to_owned).to_vec();
        assert_eq!(outermost(trees), ["/srv/a", "/srv/ab"]);
    }
}
