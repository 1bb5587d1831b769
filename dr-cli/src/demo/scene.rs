//! The stage: two hosts, six name servers, three observers, each a process of its own on loopback, and the estate that
//! describes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dr_core::estate::{
    Health, Host, NameServer, Policy, ProbeSpec, Site, Tree, TsigAlgorithm, TsigKey, Zone,
};
use dr_core::{
    DnsName, Error, ErrorKind, Estate, HostId, NameServerId, Period, Remote, Result, Secret, SiteId, ZoneName,
};
use tokio::sync::mpsc::UnboundedSender;

use super::embedded::process::{Child, Exit, Service, Start};
use super::embedded::{self, host, nameserver};
use super::observer;

/// The zone of the demo; `.test` is reserved for such use (RFC 2606).
const ZONE: &str = "lighthouse.test";
/// The name of the site.
const WWW: &str = "www.lighthouse.test";
/// The account on both hosts.
const USER: &str = "demo";
/// How many name servers.
const SERVERS: u8 = 6;
/// TTL of the address records: short, so that the demo is.
const TTL_SECONDS: u32 = 1;
/// How long a process may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often another block of loopback addresses is tried when a port is taken.
const BLOCK_TRIES: u32 = 8;

/// Everything that was started, and what is known of it.
pub(super) struct Scene {
    /// Where keys, logs, journal and the hosts' directories are.
    pub(super) directory: PathBuf,
    /// The two hosts.
    pub(super) uk: Child<host::Options>,
    /// The second one.
    pub(super) us: Child<host::Options>,
    /// The six name servers; the first is the primary.
    pub(super) servers: Vec<Child<nameserver::Options>>,
    /// The estate as an operator would have written it.
    pub(super) estate: Estate,
    /// The passwords that let one in before there are keys.
    pub(super) passwords: BTreeMap<Remote, Secret>,
    starter: Starter,
}

/// The names that the story uses.
pub(super) struct Names {
    pub(super) site: SiteId,
    pub(super) zone: ZoneName,
    pub(super) www: DnsName,
    pub(super) uk: HostId,
    pub(super) us: HostId,
}

/// The names, parsed once.
pub(super) fn names() -> Result<Names> {
    Ok(Names { site: name("www")?, zone: name(ZONE)?, www: name(WWW)?, uk: name("uk")?, us: name("us")? })
}

/// Parses a name that this file wrote: a failure is a defect of dr.
fn name<T: std::str::FromStr>(text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|why: T::Err| Error::new(ErrorKind::Internal, "set the demo's stage", why.to_string()))
}

/// A block of loopback addresses of this run's own, so that two demos at once do not meet.
#[derive(Clone, Copy)]
struct Block(u8, u8);

impl Block {
    fn random() -> Result<Self> {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes)
            .map_err(|why| Error::new(ErrorKind::Io, "draw random numbers", why.to_string()))?;
        Ok(Self(16 + bytes[0] % 200, 1 + bytes[1] % 250))
    }

    fn address(self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, self.1, last))
    }
}

/// Starts processes of this program.
#[derive(Clone)]
struct Starter {
    program: PathBuf,
    logs: PathBuf,
    ends: UnboundedSender<Exit>,
}

impl Starter {
    async fn start<S: Service>(&self, what: &str, called: &str, options: S) -> Result<Child<S>> {
        let log = self.logs.join(format!("{}.log", called.replace(' ', "-")));
        let start = Start {
            name: called.to_owned(),
            program: self.program.clone(),
            arguments: vec!["demo-process".to_owned(), what.to_owned()],
            log,
            ready_within: READY_WITHIN,
        };
        Child::start(start, options, self.ends.clone()).await.map_err(|why| {
            Error::io(format!("start {called}"), why)
                .hint(format!("what it said is in {}", self.logs.display()))
        })
    }
}

impl Scene {
    /// Starts everything below `directory` and waits until it serves. `front` is the page by which observers see whether the
    /// site is up; the end of every process is told to `ends`.
    pub(super) async fn set(directory: &Path, front: &str, ends: &UnboundedSender<Exit>) -> Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_set(directory, front, ends).await {
                Err(error) if error.kind() == ErrorKind::Busy && tries < BLOCK_TRIES => {}
                done => return done,
            }
        }
    }

    async fn try_set(directory: &Path, front: &str, ends: &UnboundedSender<Exit>) -> Result<Self> {
        let block = Block::random()?;
        let program = crate::context::program()?;
        let logs = directory.join("logs");
        make_directory(&logs)?;
        let starter = Starter { program, logs, ends: ends.clone() };
        let passwords = [random_secret()?, random_secret()?];

        let uk = starter.start(
            "host",
            "host uk",
            host_options(directory, "uk", block.address(2), 0, &passwords[0])?,
        );
        let uk = uk.await?;
        // One A record holds no port, so both web servers have the same one.
        let port = uk.ready().http.port();
        let us = host_options(directory, "us", block.address(3), port, &passwords[1])?;
        let us = starter.start("host", "host us", us).await?;
        let tsig = random_secret()?;
        let servers = start_servers(&starter, directory, block, uk.ready().http.ip(), &tsig).await?;
        write_secret(&directory.join("update.key"), &tsig)?;

        let estate = estate(directory, front, &uk, &us, &servers)?;
        let remotes = [ssh_of(&estate, "uk")?, ssh_of(&estate, "us")?];
        let passwords =
            remotes.into_iter().zip(passwords.map(|secret| Secret::new(secret.reveal().to_owned())));
        let passwords = passwords.collect();
        let directory = directory.to_path_buf();
        Ok(Self { directory, uk, us, servers, estate, passwords, starter })
    }

    /// Starts the observers; they watch `address` and tell the decider at `report_to`.
    pub(super) async fn start_observers(
        &self,
        report_to: SocketAddr,
        token: &embedded::Secret,
    ) -> Result<Vec<Child<observer::Options>>> {
        let names = names()?;
        let site = &self.estate.sites[&names.site];
        let mut observers = vec![];
        for (id, _) in observer::PLACES {
            let options = observer::Options {
                id: name(id)?,
                target: self.uk.ready().http.ip(),
                probe: site.probes[0].clone(),
                anchors: self.servers.iter().map(|server| server.ready().address).collect(),
                zone: names.zone.clone(),
                health: self.estate.policy.health.clone(),
                report_to,
                token: token.clone(),
            };
            observers.push(self.starter.start("observer", &format!("observer {id}"), options).await?);
        }
        Ok(observers)
    }

    /// The directory that a host serves the site from.
    pub(super) fn document_root(&self, host: &str) -> PathBuf {
        document_root(&self.directory, host)
    }
}

pub(super) fn document_root(directory: &Path, host: &str) -> PathBuf {
    directory.join("hosts").join(host).join("var/www").join(WWW)
}

fn host_options(
    directory: &Path,
    called: &str,
    ip: IpAddr,
    http_port: u16,
    password: &embedded::Secret,
) -> Result<host::Options> {
    make_directory(&document_root(directory, called))?;
    Ok(host::Options {
        name: called.to_owned(),
        ip,
        ssh_port: 0,
        http_port,
        root: directory.join("hosts").join(called),
        user: USER.to_owned(),
        password: Some(password.clone()),
        host_key: host::generate_key().map_err(|why| Error::io("make a host key", why))?,
    })
}

/// The primary first, then the secondaries, then the primary is told of them.
async fn start_servers(
    starter: &Starter,
    directory: &Path,
    block: Block,
    home: IpAddr,
    tsig: &embedded::Secret,
) -> Result<Vec<Child<nameserver::Options>>> {
    let listen = |number: u8| SocketAddr::new(block.address(10 + number), 0);
    let key = nameserver::TsigKey { name: format!("update.{ZONE}."), secret: tsig.clone() };
    let zone = nameserver::ZoneText { origin: format!("{ZONE}."), text: zone_text(block, home) };
    let role = nameserver::Role::Primary { zones: vec![zone], secondaries: vec![] };
    let state = |number: u8| Some(directory.join(format!("ns{number}")));
    let primary = nameserver::Options {
        name: "ns1".to_owned(),
        listen: listen(1),
        state: state(1),
        keys: vec![key],
        role,
    };
    let mut servers = vec![starter.start("nameserver", "name server ns1", primary).await?];
    let primary_at = servers[0].ready().address;
    for number in 2..=SERVERS {
        let role = nameserver::Role::Secondary {
            zones: vec![format!("{ZONE}.")],
            primary: primary_at,
            refresh_ms: 1000,
        };
        let called = format!("ns{number}");
        let options = nameserver::Options {
            name: called.clone(),
            listen: listen(number),
            state: state(number),
            keys: vec![],
            role,
        };
        servers.push(starter.start("nameserver", &format!("name server {called}"), options).await?);
    }
    let told = servers[1..].iter().map(|server| server.ready().address).collect();
    let mut options = servers[0].options().clone();
    if let nameserver::Role::Primary { secondaries, .. } = &mut options.role {
        *secondaries = told;
    }
    servers[0].update(options).await.map_err(|why| Error::io("tell the primary of its secondaries", why))?;
    Ok(servers)
}

fn zone_text(block: Block, home: IpAddr) -> String {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ IN SOA ns1 hostmaster 1 3600 900 1209600 {TTL_SECONDS}\n\
         @ {TTL_SECONDS} IN A {home}\nwww {TTL_SECONDS} IN A {home}\n"
    );
    for number in 1..=SERVERS {
        text += &format!("@ IN NS ns{number}\nns{number} IN A {}\n", block.address(10 + number));
    }
    text
}

/// What an operator would write into dr.toml for this.
fn estate(
    directory: &Path,
    front: &str,
    uk: &Child<host::Options>,
    us: &Child<host::Options>,
    servers: &[Child<nameserver::Options>],
) -> Result<Estate> {
    let names = names()?;
    let mut estate = Estate { policy: policy(), ..Estate::default() };
    for (id, child) in [(&names.uk, uk), (&names.us, us)] {
        let ready = child.ready();
        let mut host = Host::new(name(&format!("ssh://{USER}@{}", ready.ssh))?);
        host.host_keys = vec![ready.host_key.clone()];
        host.addresses = vec![ready.http.ip()];
        host.identity = Some(directory.join("id_ed25519"));
        estate.hosts.insert(id.clone(), host);
    }
    let mut site = Site::new(names.uk.clone(), names.us.clone());
    site.trees = vec![Tree::same(&format!("/var/www/{WWW}"))];
    site.names = vec![names.www.clone(), names.zone.apex()];
    site.probes = vec![ProbeSpec::Http {
        host: names.www.clone(),
        path: front.to_owned(),
        port: uk.ready().http.port(),
        status: 200,
        contains: None,
    }];
    estate.sites.insert(names.site, site);
    let mut ids: Vec<NameServerId> = vec![];
    for server in servers {
        let id: NameServerId = name(&server.ready().name)?;
        let called = Some(name(&format!("{id}.{ZONE}"))?);
        estate.name_servers.insert(id.clone(), NameServer { address: server.ready().address, name: called });
        ids.push(id);
    }
    let key: DnsName = name(&format!("update.{ZONE}"))?;
    let secret_file = directory.join("update.key");
    estate.tsig_keys.insert(key.clone(), TsigKey { algorithm: TsigAlgorithm::HmacSha256, secret_file });
    let mut zone = Zone::new(ids[0].clone());
    zone.servers = ids;
    zone.update_key = Some(key);
    estate.zones.insert(names.zone, zone);
    Ok(estate)
}

/// Quick thresholds: the demo has to be over in seconds, and its lines are short.
fn policy() -> Policy {
    Policy {
        rpo: Period::from_secs(3600),
        rto: Period::from_secs(60),
        health: Health {
            interval: Period::from_millis(250),
            confirm_interval: Period::from_millis(50),
            timeout: Period::from_millis(500),
            fall: 3,
            rise: 3,
            hold_down: Period::from_secs(1),
        },
        ..Policy::default()
    }
}

fn ssh_of(estate: &Estate, host: &str) -> Result<Remote> {
    let id: HostId = name(host)?;
    Ok(estate.hosts[&id].ssh.clone())
}

pub(super) fn random_secret() -> Result<embedded::Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|why| Error::new(ErrorKind::Io, "draw random numbers", why.to_string()))?;
    Ok(embedded::Secret::new(data_encoding::BASE64.encode(&bytes)))
}

fn write_secret(path: &Path, secret: &embedded::Secret) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", secret.reveal()))
        .map_err(|why| Error::io(format!("write {}", path.display()), why))
}

fn make_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|why| Error::io(format!("make the directory {}", path.display()), why))
}
