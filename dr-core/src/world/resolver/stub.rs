//! What a visitor's resolver would say.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::wire::wire_name;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::DnsName;

/// A stub resolver with a cache that honours TTLs, positive and negative: it shows a visitor's view of a change, where
/// [`super::WireResolver`] shows each server's own. It reads neither the system's configuration nor its hosts file.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> dr_core::Result<()> {
/// use dr_core::world::resolver::StubResolver;
/// let resolver = StubResolver::new(&["192.0.2.53:53".parse().unwrap()])?;
/// let addresses = resolver.lookup_addresses(&"www.example.org".parse().unwrap()).await?;
/// # let _ = addresses; Ok(()) }
/// ```
pub struct StubResolver(TokioResolver);

impl std::fmt::Debug for StubResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StubResolver(..)")
    }
}

impl StubResolver {
    /// Asks these servers, which may be resolvers or the authoritative servers themselves.
    pub fn new(servers: &[SocketAddr]) -> Result<Self> {
        let operation = "set up a resolver";
        if servers.is_empty() {
            return Err(Error::new(ErrorKind::Usage, operation, "it has no server to ask"));
        }
        let servers = servers.iter().map(|server| {
            let over = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                let mut connection = ConnectionConfig::new(protocol);
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, over.to_vec())
        });
        let config = ResolverConfig::from_parts(None, vec![], servers.collect());
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(1);
        options.attempts = 2;
        options.use_hosts_file = ResolveHosts::Never;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map(Self)
            .map_err(|why| Error::new(ErrorKind::Internal, operation, why.to_string()))
    }

    /// The addresses of a name, from the cache while their TTL lasts; none if the name has none.
    pub async fn lookup_addresses(&self, name: &DnsName) -> Result<Vec<IpAddr>> {
        let operation = || format!("look up {name}");
        let wire = wire_name(name).map_err(|why| Error::new(ErrorKind::Usage, operation(), why))?;
        match self.0.lookup_ip(wire).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(why) if why.is_no_records_found() => Ok(vec![]),
            Err(why) => Err(Error::new(ErrorKind::Unreachable, operation(), why.to_string())
                .hint("check that the resolver's servers answer")),
        }
    }
}
