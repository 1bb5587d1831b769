//! Six name servers of six kinds with the same zones.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ask::{notify, poll};
use crate::bind::{self, Notify};
use crate::port::Port;
use crate::server::{Program, Server};
use crate::zone::Zone;
use crate::{knot, nsd, pdns, soa_serial, yadifa};

/// Time the secondaries have to follow, on a machine busy with other tests.
const AGREE: Duration = Duration::from_secs(60);
const FETCH: Duration = Duration::from_secs(20);
/// And so much more for each zone.
const FETCH_ONE: Duration = Duration::from_millis(50);

/// A BIND primary, and BIND, NSD, Knot DNS, PowerDNS and YADIFA following it.
pub struct DnsLab {
    servers: Vec<Server>,
    zones: Vec<Zone>,
}

impl DnsLab {
    /// Starts all six and waits until they agree on the serial of every zone.
    #[must_use]
    pub fn start(zones: &[Zone]) -> Self {
        Self::with_notify(zones, Notify::Tuned)
    }

    /// The same, with the primary's eagerness to tell of changes chosen.
    #[must_use]
    pub fn with_notify(zones: &[Zone], notify: Notify) -> Self {
        let ports: [Port; 5] = std::array::from_fn(|_| Port::free());
        let names: Vec<&str> = zones.iter().map(Zone::name).collect();
        let secondaries = ports.each_ref().map(Port::addr);
        let primary = bind::primary(Port::free(), zones, &secondaries, notify);
        let at = primary.addr();
        let [bind, nsd, knot, pdns, yadifa] = ports;
        let servers = vec![
            primary,
            bind::secondary(bind, &names, at),
            nsd::secondary(nsd, &names, at),
            knot::secondary(knot, &names, at),
            pdns::secondary(pdns, &names, at),
            yadifa::secondary(yadifa, &names, at),
        ];
        let lab = Self { servers, zones: zones.to_vec() };
        for zone in &lab.zones {
            lab.agreed_serial(zone.name());
        }
        lab
    }

    /// All six, the primary first.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Where the six listen, the primary first.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::addr).collect()
    }

    /// The one that takes updates.
    #[must_use]
    pub fn primary(&self) -> &Server {
        &self.servers[0]
    }

    /// One of `bind-primary`, `bind-secondary`, `nsd`, `knot`, `pdns`, `yadifa`.
    #[must_use]
    pub fn server(&self, name: &str) -> &Server {
        let found = self.servers.iter().find(|server| server.name() == name);
        found.unwrap_or_else(|| panic!("no server of the lab is called {name}"))
    }

    /// Waits until all six have the same serial of `zone`, and gives it.
    pub fn agreed_serial(&self, zone: &str) -> u32 {
        let mut serials = Vec::new();
        let agreed = poll(AGREE, || {
            serials = self.servers.iter().map(|s| (s.name(), soa_serial(s.addr(), zone))).collect();
            let first = serials.first()?.1.as_ref().ok().copied()?;
            serials.iter().all(|(_, serial)| serial.as_ref() == Ok(&first)).then_some(first)
        });
        agreed.unwrap_or_else(|| panic!("no agreement on {zone} in {AGREE:?}: {serials:?}"))
    }

    /// The fault no comparison of serials shows: one server (PowerDNS) has another address for `name`.
    pub fn set_address_on_pdns_only(&self, name: &str, address: Ipv4Addr) {
        pdns::set_address(self.server("pdns"), name, address);
    }
}

/// Starts a name server whose configuration is in `dir`.
pub(crate) fn start(
    name: &'static str,
    package: &'static str,
    path: &str,
    arguments: &[&str],
    port: Port,
    dir: TempDir,
) -> Server {
    let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
    Server::start(name, Program { path: path.to_owned(), package, arguments, answers }, port, dir)
}

/// Has a secondary that puts some zones off fetch them now: a NOTIFY a second for each it does not serve yet. Gives up,
/// quietly, when the primary is not there at all.
pub(crate) fn remind(server: SocketAddr, zones: &[&str]) {
    let mut missing = zones.to_vec();
    let mut reminded = Instant::now();
    let many = u32::try_from(zones.len()).unwrap_or(u32::MAX);
    poll(FETCH + FETCH_ONE.saturating_mul(many), || {
        missing.retain(|zone| soa_serial(server, zone).is_err());
        if reminded.elapsed() > Duration::from_secs(1) {
            missing.iter().for_each(|zone| notify(server, zone));
            reminded = Instant::now();
        }
        missing.is_empty().then_some(())
    });
}

/// Whether a name server answers at all, whatever it answers.
fn answers(server: SocketAddr) -> bool {
    const QUERY: &[u8] = b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x00\x00\x06\x00\x01";
    let ask = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(server)?;
        socket.send(QUERY)?;
        let mut answer = [0; 512];
        Ok(socket.recv(&mut answer)? >= 12 && answer[..2] == QUERY[..2])
    };
    ask().unwrap_or(false)
}
