//! Who holds a site, written down by hand wherever the coordinator keeps it: else dr takes the old home for it when it runs again, and
//! mirrors the wrong way.

use std::path::Path;

use super::by_hand::{at, begun};
use super::page::{cell, quoted};
use crate::estate::{Coordinator, CoordinatorKind, Estate, HostId, NameServer, Site, SiteId, Zone, ZoneName};
use crate::failover::{lease_owner, tenure_owner};

/// Where it is written down who holds a site.
pub(super) enum Keeper<'a> {
    Record(Record<'a>),
    Etcd(&'a Coordinator),
    File(&'a Path),
}

/// The TXT record set of name servers that says it.
pub(super) struct Record<'a> {
    /// The zone of the site's first name.
    apex: &'a ZoneName,
    primary: &'a NameServer,
    owner: String,
    /// The owner of the signs of life: in the same zone, unless they have one of their own.
    signs: String,
    apart: Option<(&'a ZoneName, &'a Zone, &'a NameServer)>,
}

impl<'a> Keeper<'a> {
    pub(super) fn of(estate: &'a Estate, id: &SiteId, site: &Site) -> Option<Self> {
        let coordinator = estate.coordinator.as_ref();
        match coordinator.map(|coordinator| (coordinator.kind, coordinator)) {
            Some((CoordinatorKind::Etcd, coordinator)) => Some(Self::Etcd(coordinator)),
            Some((CoordinatorKind::Sqlite, coordinator)) => coordinator.path.as_deref().map(Self::File),
            Some((CoordinatorKind::Dns, coordinator)) => {
                Record::of(estate, coordinator.zone.as_ref(), id, site).map(Self::Record)
            }
            None => Record::of(estate, None, id, site).map(Self::Record),
        }
    }

    /// The record set, if it stands in this zone.
    pub(super) fn record_in(&self, apex: &ZoneName) -> Option<&Record<'a>> {
        match self {
            Self::Record(record) if record.apex == apex => Some(record),
            _ => None,
        }
    }

    /// Lines that show the epoch.
    pub(super) fn asked(&self, id: &SiteId) -> Vec<String> {
        match self {
            Self::Record(record) => record.asked(),
            Self::Etcd(coordinator) => vec![format!("{} get {}", etcdctl(coordinator), key(coordinator, id))],
            // It counts by itself.
            Self::File(_) => vec![],
        }
    }

    /// Lines for after the names were changed.
    pub(super) fn written(&self, estate: &Estate, id: &SiteId, home: &HostId) -> Vec<String> {
        match self {
            Self::Record(record) => record.signs_forgotten(estate),
            Self::Etcd(coordinator) => {
                vec![format!("{} put {} \"{}\"", etcdctl(coordinator), key(coordinator, id), value(home))]
            }
            Self::File(path) => vec![format!(
                "sqlite3 {} \"REPLACE INTO tenures (site, epoch, home, nonce, at) \
                 SELECT '{id}', ifnull(max(epoch), 1) + 1, '{home}', 'by-hand', datetime('now') \
                 FROM tenures WHERE site = '{id}'\"",
                quoted(&path.display().to_string())
            )],
        }
    }

    /// What cannot be typed.
    pub(super) fn said(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        Some(format!(
            "`sqlite3` is typed on the machine that has {}. If it is lost with that machine: when dr runs again, and before anything \
             is mirrored, `dr failover status` makes it anew; then type that line.",
            cell(&path.display().to_string())
        ))
    }
}

impl<'a> Record<'a> {
    fn of(estate: &'a Estate, lock: Option<&ZoneName>, id: &SiteId, site: &Site) -> Option<Self> {
        let primary = |zone: &Zone| estate.name_servers.get(&zone.primary);
        let (apex, zone) = estate.zone_of(site.names.first()?)?;
        let owner = tenure_owner(id, apex).ok()?.to_string();
        let lock = lock.and_then(|lock| estate.zones.get_key_value(lock));
        let apart = lock.and_then(|(apex, zone)| Some((apex, zone, primary(zone)?)));
        let signs = match apart {
            Some((apex, _, _)) => lease_owner(id, apex).ok()?.to_string(),
            None => format!("_lease.{owner}"),
        };
        Some(Self { apex, primary: primary(zone)?, owner, signs, apart })
    }

    /// Signs of life in a zone of their own can be ahead of what stands beside the names.
    fn asked(&self) -> Vec<String> {
        let asked = |server: &NameServer, owner| format!("dig +short {} {owner} TXT", at(server.address));
        let mut lines = vec![asked(self.primary, &self.owner)];
        lines.extend(self.apart.map(|(_, _, primary)| asked(primary, &self.signs)));
        lines
    }

    /// What an update of the zone of the names says besides.
    pub(super) fn updated(&self, home: &HostId) -> Vec<String> {
        let Self { owner, signs, .. } = self;
        let mut lines = vec![
            format!("update delete {owner} TXT"),
            format!("update add {owner} 0 TXT \"{}\"", value(home)),
        ];
        // The signs of life of the epoch before would contradict it.
        lines.extend(self.apart.is_none().then(|| format!("update delete {signs} TXT")));
        lines
    }

    /// The same for people.
    pub(super) fn entered(&self, home: &HostId) -> String {
        let Self { owner, signs, .. } = self;
        let gone = if self.apart.is_none() {
            format!(", and take the TXT of `{signs}` away")
        } else {
            String::new()
        };
        format!("Set the TXT of `{owner}` to `{}` with the same TTL{gone}.", value(home))
    }

    /// An update of the zone that has the signs of life alone.
    fn signs_forgotten(&self, estate: &Estate) -> Vec<String> {
        let Some((apex, zone, primary)) = self.apart else { return vec![] };
        let mut lines = begun(estate, (apex, zone), primary);
        lines.extend([format!("update delete {} TXT", self.signs), "send".to_owned(), "END".to_owned()]);
        lines
    }
}

fn value(home: &HostId) -> String {
    format!("epoch=EPOCH home={home} nonce=by-hand")
}

fn key(coordinator: &Coordinator, id: &SiteId) -> String {
    quoted(&format!("{}{id}", coordinator.prefix.as_deref().unwrap_or("dr/sites/")))
}

/// The password comes by the environment, which only who runs it can see.
fn etcdctl(coordinator: &Coordinator) -> String {
    let file = |path: &Path| quoted(&path.display().to_string());
    let mut line = String::new();
    if let Some(path) = &coordinator.password_file {
        line += &format!("ETCDCTL_PASSWORD=\"$(head -n 1 {})\" ", file(path));
    }
    line += &format!("etcdctl --endpoints {}", quoted(&coordinator.urls.join(",")));
    if let Some(path) = &coordinator.authorities {
        line += &format!(" --cacert {}", file(path));
    }
    if let Some(user) = &coordinator.user {
        line += &format!(" --user {}", quoted(user));
    }
    line
}
