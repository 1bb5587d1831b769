//! From what a caller has in hand to a toolkit over the real world.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroize;

use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{CoordinatorKind, DnsName, Estate, Mode, ProviderId, Site, TsigAlgorithm};
use crate::failover::Charter;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::world::clock::SystemClock;
use crate::world::coordinator::dns::DnsCoordinator;
use crate::world::coordinator::etcd::{self, EtcdCoordinator};
use crate::world::coordinator::sqlite::SqliteCoordinator;
use crate::world::endpoints::{Agents, SystemEndpoints};
use crate::world::journal::LateJournal;
use crate::world::probes::NetProbe;
use crate::world::providers::{self, rfc2136::Rfc2136};
use crate::world::resolver::WireResolver;
use crate::world::ssh::{Access, Connector, SshShell};
use crate::world::{Clock, Coordinator, Provider, World};

/// The longest secret: a base64 HMAC key is under 200 bytes.
const SECRET_BYTES_MAX: usize = 4096;

/// What a toolkit over the real world is made of. Nothing else is looked at: no environment, no home directory.
///
/// ```
/// use dr_core::toolkit::{Settings, Toolkit};
/// let directory = tempfile::tempdir().unwrap();
/// let settings = Settings { journal: directory.path().join("journal.db"), ..Settings::default() };
/// let toolkit = Toolkit::open(settings).unwrap();
/// assert!(toolkit.estate.sites.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What the operator owns; empty for a script that passes what it has in hand.
    pub estate: Estate,
    /// The journal's file. Its directory is made if it is missing; the file itself when something is first written. What
    /// mirrors remember of trees on this machine is in the directory `mirror` beside it.
    pub journal: PathBuf,
    /// Keys, passwords and known hosts for SSH. The estate's identities and pinned host keys are added.
    pub access: Access,
    /// TSIG keys beside the estate's, with their secrets.
    pub tsig_keys: BTreeMap<DnsName, (TsigAlgorithm, Secret)>,
    /// Which agents serve trees on hosts.
    pub agents: Agents,
}

impl Toolkit {
    /// A toolkit over the real world: sockets, SSH, disks. Nothing is connected to and no file is made before it is needed.
    ///
    /// Errors: a TSIG secret that cannot be read or that others can read, two sites that would share a tenure, a site that is to be
    /// moved without asking where that cannot be safe.
    pub fn open(settings: Settings) -> Result<Self> {
        let Settings { estate, journal, mut access, tsig_keys, agents } = settings;
        check_charters(&estate)?;
        for host in estate.hosts.values() {
            let pins = access.pins.entry(host.ssh.known_hosts_name()).or_default();
            pins.extend(host.host_keys.iter().cloned());
            let identity = host.identity.iter().filter(|path| !access.identities.contains(path));
            let identity: Vec<PathBuf> = identity.cloned().collect();
            access.identities.extend(identity);
        }
        access.pins.retain(|_, pins| !pins.is_empty());
        let mut keys = tsig_keys;
        for (name, key) in &estate.tsig_keys {
            keys.insert(name.clone(), (key.algorithm, read_secret_file(&key.secret_file)?));
        }
        let connector = Connector::new(access);
        let mut endpoints = SystemEndpoints::with(connector.clone(), agents);
        if let Some(directory) = journal.parent() {
            endpoints = endpoints.with_state(directory.join("mirror"));
        }
        let provider = by_zone(&estate, Rfc2136::new(keys))?;
        let world = World {
            clock: Arc::new(SystemClock::new()),
            resolver: Arc::new(WireResolver::new()),
            coordinator: coordinator(&estate, &provider)?,
            provider,
            endpoints: Arc::new(endpoints),
            probe: Arc::new(NetProbe::new()),
            shell: Arc::new(SshShell::new(connector)),
            journal: Arc::new(LateJournal::new(journal)),
        };
        let seal = estate.policy.mirrors.seal_file.as_deref().map(read_secret_file).transpose()?;
        let toolkit = Self::new(world, estate);
        Ok(seal.into_iter().fold(toolkit, Self::sealing))
    }
}

/// Where the estate says that it is written down who holds a site.
fn coordinator(estate: &Estate, provider: &Arc<dyn Provider>) -> Result<Arc<dyn Coordinator>> {
    let at = estate.coordinator.clone().unwrap_or_default();
    Ok(match at.kind {
        CoordinatorKind::Etcd => {
            let password = at.password_file.as_deref().map(read_secret_file).transpose()?;
            Arc::new(EtcdCoordinator::new(etcd::Access {
                urls: at.urls,
                prefix: at.prefix.unwrap_or_else(|| etcd::Access::default().prefix),
                login: at.user.zip(password),
                authorities: at.authorities,
            })?)
        }
        CoordinatorKind::Sqlite => Arc::new(SqliteCoordinator::open(&at.path.unwrap_or_default())?),
        CoordinatorKind::Dns => Arc::new(DnsCoordinator::from_estate(provider.clone(), estate)?),
    })
}

/// What cannot be configured is refused before anything is done by it.
fn check_charters(estate: &Estate) -> Result<()> {
    let auto = |site: &Site| site.failover.unwrap_or(estate.policy.failover.mode) == Mode::Auto;
    for (id, site) in estate.sites.iter().filter(|(_, site)| auto(site)) {
        Charter::of(estate, id, &site.home).map_err(|why| {
            Error::new(ErrorKind::Usage, format!("let {id} be moved without asking"), why)
                .hint("or let a person decide: failover = \"ask\"")
        })?;
    }
    Ok(())
}

/// The zones that a provider's API changes, by that; all others by dynamic updates.
fn by_zone(estate: &Estate, usual: Rfc2136) -> Result<Arc<dyn Provider>> {
    let mut opened: BTreeMap<&ProviderId, Arc<dyn Provider>> = BTreeMap::new();
    let mut zones = BTreeMap::new();
    for (apex, zone) in &estate.zones {
        let Some((id, of)) = zone.provider.as_ref().and_then(|id| estate.providers.get_key_value(id)) else {
            continue;
        };
        let provider = match opened.get(id) {
            Some(provider) => provider.clone(),
            None => providers::open(of, &read_secret_file(&of.token_file)?)?,
        };
        opened.insert(id, provider.clone());
        zones.insert(apex.clone(), provider);
    }
    Ok(Arc::new(providers::ByZone::new(Arc::new(usual), zones)))
}

/// The first line of a file that holds a secret: its owner alone may read it.
///
/// Errors: `PermissionDenied` if others can read it, `Usage` if it is empty, and what the file system says.
///
/// ```
/// use std::os::unix::fs::PermissionsExt;
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("update.key");
/// std::fs::write(&path, "c2VjcmV0\n").unwrap();
/// std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
/// assert!(dr_core::toolkit::read_secret_file(&path).is_err());
/// std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
/// assert_eq!(dr_core::toolkit::read_secret_file(&path).unwrap().reveal(), "c2VjcmV0");
/// ```
pub fn read_secret_file(path: &Path) -> Result<Secret> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let operation = || format!("read the secret in {}", path.display());
    let failed = |why| Error::io(operation(), why);
    let missing = |why| {
        failed(why)
            .hint("put the secret there, owned by who runs dr, mode 0600, or correct its path in the estate")
    };
    let file = std::fs::File::open(path).map_err(missing)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!("others than its owner can read it (mode {:03o})", mode & 0o777);
        return Err(Error::new(ErrorKind::PermissionDenied, operation(), message)
            .hint(format!("chmod 600 {}, and consider the secret known", path.display())));
    }
    let mut line = String::with_capacity(SECRET_BYTES_MAX);
    file.take(SECRET_BYTES_MAX as u64).read_to_string(&mut line).map_err(failed)?;
    let secret = Secret::new(line.lines().next().unwrap_or_default().trim().to_owned());
    line.zeroize();
    if secret.reveal().is_empty() {
        return Err(Error::new(ErrorKind::Usage, operation(), "its first line is empty"));
    }
    Ok(secret)
}

/// The wall clock now, for a report that is made outside of a toolkit.
///
/// ```
/// assert!(dr_core::toolkit::now() > "2026-01-01T00:00:00Z".parse().unwrap());
/// ```
#[must_use]
pub fn now() -> Timestamp {
    SystemClock::new().read().wall
}
