//! An embedded authoritative name server, primary or secondary, over UDP and TCP on one address.
//!
//! The primary takes updates signed with TSIG (RFC 2136, RFC 8945), moves the serial on, and tells its
//! secondaries (RFC 1996), which fetch the zone whole (RFC 5936). Every server swaps a zone in one go: a query
//! is answered from the old one or the new one. hickory-server receives and answers; what it lacks, the
//! secondary and updates without its database, is here.

mod authority;
mod signature;
mod transfer;
mod update;
mod zone;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use data_encoding::BASE64;
use hickory_proto::rr::{Name, TSigner, rdata::tsig::TsigAlgorithm};
use hickory_server::{
    Server, server::Request, server::RequestHandler, server::ResponseHandler, server::ResponseInfo,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};

use self::{
    authority::{Authority, Part},
    zone::Zone,
};
use super::{Secret, process::Service};

/// Ports tried until one is free for both UDP and TCP.
const PORT_TRIES: u32 = 50;
/// A TCP connection without a question for so long is closed.
const TCP_IDLE: Duration = Duration::from_secs(30);
const TCP_ANSWERS_MAX: usize = 64;
/// How long the start of a secondary waits for its first transfer, before it serves without.
const FIRST_TRANSFER_WITHIN: Duration = Duration::from_secs(1);
/// How far the clocks of a signer and of this server may be apart, as BIND has it.
const TSIG_FUDGE_SECONDS: u16 = 300;

/// What one name server is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What it calls itself when asked (NSID, RFC 5001).
    pub name: String,
    /// Port 0: one that is free for both UDP and TCP.
    pub listen: SocketAddr,
    /// Directory where it keeps its zones over a restart, made if it is missing. `None`: a restart begins anew.
    pub state: Option<PathBuf>,
    /// What a primary takes updates from; every server signs its answers to what one of them has signed.
    pub keys: Vec<TsigKey>,
    /// What it serves and where that comes from.
    pub role: Role,
}

/// Where a name server has its zones from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Role {
    /// It has them itself, and they are changed here.
    Primary {
        /// The zones it begins with; what [`Options::state`] has kept is newer.
        zones: Vec<ZoneText>,
        /// Told of every change. Can change while it runs ([`Service::update`]).
        secondaries: Vec<SocketAddr>,
    },
    /// It fetches them.
    Secondary {
        /// The names of the zones.
        zones: Vec<String>,
        /// Where from.
        primary: SocketAddr,
        /// How long between questions whether there is something newer, where no NOTIFY comes.
        refresh_ms: u64,
    },
}

/// A zone as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneText {
    /// Its name: `example.org.`
    pub origin: String,
    /// A zone file (RFC 1035, section 5).
    pub text: String,
}

/// A key for transaction signatures, hmac-sha256 (RFC 8945).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TsigKey {
    /// Its name: `update.example.org.`
    pub name: String,
    /// Its bytes in base64.
    pub secret: Secret,
}

impl TsigKey {
    fn signer(&self) -> io::Result<TSigner> {
        let key = BASE64
            .decode(self.secret.reveal().as_bytes())
            .map_err(|_| invalid(format!("TSIG key {}: the secret is not base64", self.name)))?;
        TSigner::new(key, TsigAlgorithm::HmacSha256, parse_name(&self.name)?, TSIG_FUDGE_SECONDS)
            .map_err(|error| invalid(format!("TSIG key {}: {error}", self.name)))
    }
}

/// A started name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// As in [`Options::name`].
    pub name: String,
    /// Where it answers, over UDP and TCP.
    pub address: SocketAddr,
    /// The serial of each zone it serves; a secondary that could not reach its primary lacks some.
    pub serials: BTreeMap<String, u32>,
}

/// A running name server. Dropped, it is gone.
pub struct Running {
    server: Server<Handler>,
    authority: Arc<Authority>,
    refresh: Option<JoinHandle<()>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("zones", &self.authority.configured()).finish_non_exhaustive()
    }
}

impl Running {
    /// Ends it and waits until its port is free.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::warn!(%error, "a socket of a name server");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(refresh) = &self.refresh {
            refresh.abort();
        }
    }
}

/// The authority as the server wants to own it.
struct Handler(Arc<Authority>);

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: hickory_net::runtime::Time>(
        &self,
        request: &Request,
        handle: R,
    ) -> ResponseInfo {
        self.0.handle_request::<R, T>(request, handle).await
    }
}

impl Service for Options {
    type Ready = Ready;
    type Running = Running;

    async fn start(self) -> io::Result<(Ready, Running)> {
        let authority = Arc::new(authority(&self)?);
        if let Some(directory) = &self.state {
            std::fs::create_dir_all(directory)?;
        }
        for origin in authority.configured() {
            if let Some(zone) = first_zone(&self.role, &authority, origin)? {
                authority.publish(zone).await?;
            }
        }
        let (udp, tcp) = bind(self.listen).await?;
        let address = tcp.local_addr()?;
        let mut server = Server::new(Handler(authority.clone()));
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_MAX);
        let refresh = if let Role::Secondary { primary, refresh_ms, .. } = self.role {
            let mut refresher = Refresher::new(authority.clone(), primary);
            // Late is no error: it serves what it has and goes on trying.
            let _ = tokio::time::timeout(FIRST_TRANSFER_WITHIN, refresher.refresh()).await;
            Some(tokio::spawn(refresher.run(Duration::from_millis(refresh_ms.max(1)))))
        } else {
            authority.notify_all();
            None
        };
        let serial = |origin: &Name| Some((origin.to_string(), authority.zone(origin)?.serial()));
        let serials = authority.configured().iter().filter_map(serial).collect();
        Ok((Ready { name: self.name, address, serials }, Running { server, authority, refresh }))
    }

    fn settle(&mut self, ready: &Ready) {
        self.listen = ready.address;
    }

    /// Takes over the secondaries of a primary, and tells them of its zones.
    fn update(running: &Running, options: Self) {
        if let (Part::Primary { secondaries: known, .. }, Role::Primary { secondaries, .. }) =
            (&running.authority.part, options.role)
        {
            *known.write().unwrap_or_else(PoisonError::into_inner) = secondaries;
            running.authority.notify_all();
        }
    }
}

fn authority(options: &Options) -> io::Result<Authority> {
    let (origins, part) = match &options.role {
        Role::Primary { zones, secondaries } => {
            let secondaries = RwLock::new(secondaries.clone());
            let part = Part::Primary { secondaries, address: options.listen.ip() };
            (zones.iter().map(|zone| &zone.origin).collect::<Vec<_>>(), part)
        }
        Role::Secondary { zones, primary, .. } => {
            (zones.iter().collect(), Part::Secondary { primary: primary.ip(), changed: Notify::new() })
        }
    };
    let origins = origins.into_iter().map(|origin| parse_name(origin)).collect::<Result<_, _>>()?;
    let keys = options.keys.iter().map(TsigKey::signer).collect::<Result<_, _>>()?;
    Ok(Authority::new(options.name.clone(), origins, keys, part, options.state.clone()))
}

/// What the server begins with: what it had, or what it is given.
fn first_zone(role: &Role, authority: &Authority, origin: &Name) -> io::Result<Option<Zone>> {
    if let Some(zone) = authority.saved(origin)? {
        return Ok(Some(zone));
    }
    let Role::Primary { zones, .. } = role else { return Ok(None) };
    for zone in zones {
        if parse_name(&zone.origin)? == *origin {
            return Zone::parse(origin, &zone.text).map(Some);
        }
    }
    Ok(None)
}

/// Keeps the zones of a secondary up to date.
struct Refresher {
    authority: Arc<Authority>,
    primary: SocketAddr,
    /// When each zone was last known to be what the primary has.
    fresh: BTreeMap<Name, Instant>,
}

impl Refresher {
    fn new(authority: Arc<Authority>, primary: SocketAddr) -> Self {
        // What was saved counts as fresh from now: its age is not known any more.
        let fresh = authority.configured().iter().map(|origin| (origin.clone(), Instant::now())).collect();
        Self { authority, primary, fresh }
    }

    async fn run(mut self, every: Duration) {
        let authority = self.authority.clone();
        let Part::Secondary { changed, .. } = &authority.part else { return };
        loop {
            tokio::select! {
                () = changed.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
            self.refresh().await;
        }
    }

    async fn refresh(&mut self) {
        for origin in self.authority.configured() {
            let now = self.authority.zone(origin);
            let known = now.as_ref().map(|zone| zone.serial());
            let outcome = match transfer::newer_zone(self.primary, origin, known).await {
                Ok(Some(zone)) => self.authority.publish(zone).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            let Err(error) = outcome else {
                self.fresh.insert(origin.clone(), Instant::now());
                continue;
            };
            tracing::debug!(zone = %origin, primary = %self.primary, %error, "no refresh");
            let age = self.fresh.get(origin).map(Instant::elapsed).unwrap_or_default();
            let expire = now.map(|zone| Duration::from_secs(u64::try_from(zone.soa.expire).unwrap_or(0)));
            if expire.is_some_and(|expire| age > expire) {
                tracing::warn!(zone = %origin, "expired");
                if let Err(error) = self.authority.withdraw(origin).await {
                    tracing::warn!(zone = %origin, %error, "cannot withdraw");
                }
            }
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let failed = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address} over UDP and TCP: {error}"))
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error)
                if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn parse_name(text: &str) -> io::Result<Name> {
    let mut name =
        Name::from_str(text).map_err(|error| invalid(format!("{text:?} is not a domain name: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
