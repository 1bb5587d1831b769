//! Looks at services over the network: one file a kind of probe.
//!
//! What the network or the service says is evidence about the service; what this machine says about itself (no sockets left,
//! no route, a local firewall) is none, and becomes [`Sight::Unknown`]: an observer with a trouble of its own must never
//! count as one that saw the site down.

mod dns;
mod http;
mod mail;
mod ssh;
mod tcp;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::estate::{Certified, DnsName, ProbeSpec};
use crate::failover::{DownKind, Sight};
use crate::world::Probe;
use crate::world::tls::Authorities;

/// Looks at real services from this machine.
///
/// ```
/// use std::time::Duration;
/// use dr_core::estate::ProbeSpec;
/// use dr_core::world::{Probe, probes::NetProbe};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
/// let spec = ProbeSpec::Tcp { port: listener.local_addr().unwrap().port() };
/// let sight = NetProbe::new().look([127, 0, 0, 1].into(), &spec, Duration::from_secs(2)).await;
/// assert!(sight.is_up());
/// # });
/// ```
#[derive(Clone, Default)]
pub struct NetProbe {
    authorities: Authorities,
}

impl std::fmt::Debug for NetProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NetProbe { .. }")
    }
}

impl NetProbe {
    /// It needs nothing but a network.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    async fn judge<'a>(&'a self, address: IpAddr, spec: &'a ProbeSpec, within: Duration) -> Looked {
        let at = |port: &u16| SocketAddr::new(address, *port);
        let authorities = &self.authorities;
        let secured = |starttls: &'a Option<DnsName>, wanted: &'a Certified| {
            starttls.as_ref().map(|host| mail::Secured { host, wanted, authorities })
        };
        match spec {
            ProbeSpec::Tcp { port } => tcp::look(at(port)).await,
            ProbeSpec::Http { host, path, port, status, contains } => {
                let wanted = http::Wanted { status: *status, contains: contains.as_deref() };
                http::look(at(port), http::Page { host, path, wanted }).await
            }
            ProbeSpec::Https { host, path, port, status, contains, certificate } => {
                let wanted = http::Wanted { status: *status, contains: contains.as_deref() };
                let page = http::Page { host, path, wanted };
                http::look_securely(at(port), page, certificate, authorities).await
            }
            ProbeSpec::Tls { host, port, certificate } => {
                tls::look(at(port), host, certificate, authorities).await
            }
            ProbeSpec::Dns { port, zone } => dns::look(at(port), zone, within).await,
            ProbeSpec::Smtp { port, starttls, certificate } => {
                mail::smtp(at(port), secured(starttls, certificate)).await
            }
            ProbeSpec::Imap { port, starttls, certificate } => {
                mail::imap(at(port), secured(starttls, certificate)).await
            }
            ProbeSpec::Ssh { port, host_keys } => ssh::look(at(port), host_keys).await,
        }
    }
}

#[async_trait]
impl Probe for NetProbe {
    async fn look(&self, address: IpAddr, spec: &ProbeSpec, within: Duration) -> Sight {
        let begun = Instant::now();
        match tokio::time::timeout(within, self.judge(address, spec, within)).await {
            Ok(Ok(())) => {
                Sight::Up { took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX) }
            }
            Ok(Err(sight)) => sight,
            Err(_) => down(DownKind::TimedOut, format!("no answer from {address} in {within:?}")),
        }
    }
}

/// What a probe gives: nothing if all is well, else what was seen.
type Looked = Result<(), Sight>;

fn down(kind: DownKind, detail: impl Into<String>) -> Sight {
    Sight::Down { kind, detail: detail.into() }
}

fn wrong(detail: impl Into<String>) -> Sight {
    down(DownKind::WrongAnswer, detail)
}

fn unknown(detail: impl Into<String>) -> Sight {
    Sight::Unknown { detail: detail.into() }
}

/// What an error of the operating system tells about the service, or that it tells only about this machine.
fn judge(address: SocketAddr, error: &io::Error) -> Sight {
    let detail = format!("{address}: {error}");
    let Some(errno) = Errno::from_io_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => down(DownKind::Closed, detail),
            _ => unknown(detail),
        };
    };
    match errno {
        Errno::CONNREFUSED => down(DownKind::Refused, detail),
        Errno::TIMEDOUT => down(DownKind::TimedOut, detail),
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => down(DownKind::Closed, detail),
        // Sent by a router, or nobody on the segment has the address: the machine is not there. NETUNREACH on the other hand is
        // what this machine says when it has no route itself.
        Errno::HOSTUNREACH | Errno::HOSTDOWN => down(DownKind::NoRoute, detail),
        _ => unknown(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_of_this_machine_says_nothing_about_the_service() {
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let sight = |errno: Errno| judge(address, &io::Error::from(errno));
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::NETUNREACH,
            Errno::NETDOWN,
            Errno::ADDRNOTAVAIL,
            Errno::ACCESS,
            Errno::PERM,
            Errno::AFNOSUPPORT,
        ] {
            assert!(matches!(sight(errno), Sight::Unknown { .. }), "{errno:?}");
        }
        for (errno, kind) in [
            (Errno::CONNREFUSED, DownKind::Refused),
            (Errno::CONNRESET, DownKind::Closed),
            (Errno::HOSTUNREACH, DownKind::NoRoute),
            (Errno::TIMEDOUT, DownKind::TimedOut),
        ] {
            assert!(matches!(sight(errno), Sight::Down { kind: seen, .. } if seen == kind), "{errno:?}");
        }
    }
}
