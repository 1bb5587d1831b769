//! The text of a zone, in the form every implementation reads.

use std::fmt::Write;
use std::net::Ipv4Addr;

/// The key that signs updates and transfers in the lab. Its secret protects nothing.
pub struct Tsig {
    /// Its name, without a final dot.
    pub name: &'static str,
    /// Its algorithm, as in RFC 8945.
    pub algorithm: &'static str,
    /// The secret, in base64.
    pub secret: &'static str,
}

impl Tsig {
    /// The one key every server of the lab knows: the primary takes updates signed with it.
    pub const LAB: Self = Self {
        name: "lab-key",
        algorithm: "hmac-sha256",
        secret: "c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=",
    };
}

/// A zone as its operator wrote it: one web server, two mail hosts, and as many name servers as asked for.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    web: Ipv4Addr,
    ttl_seconds: u32,
    refresh_seconds: u32,
    name_servers: u8,
    apart: bool,
    lines: String,
}

impl Zone {
    /// A zone with SOA (serial 1), six NS, and A, MX, TXT and `www` pointing at 192.0.2.10, with a TTL of 300 s. A
    /// secondary that lost a NOTIFY asks by itself after a minute.
    ///
    /// ```
    /// let zone = dr_tests::Zone::new("example.test").ttl(60).line("blog 60 IN CNAME www");
    /// assert!(zone.text().contains("www 60 IN A 192.0.2.10\n"));
    /// ```
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name.trim_end_matches('.').to_owned();
        Self {
            name,
            web: Ipv4Addr::new(192, 0, 2, 10),
            ttl_seconds: 300,
            refresh_seconds: 60,
            name_servers: 6,
            apart: false,
            lines: String::new(),
        }
    }

    /// Where the apex, `www` and the first mail host point.
    #[must_use]
    pub fn web(self, web: Ipv4Addr) -> Self {
        Self { web, ..self }
    }

    /// The TTL of all but the NS records and their addresses, in seconds.
    #[must_use]
    pub fn ttl(self, ttl_seconds: u32) -> Self {
        Self { ttl_seconds, ..self }
    }

    /// After how many seconds a secondary asks by itself whether it changed.
    #[must_use]
    pub fn refresh(self, refresh_seconds: u32) -> Self {
        Self { refresh_seconds, ..self }
    }

    /// How many name servers it has: `ns1` to `nsN`, all with the address 127.0.0.1.
    #[must_use]
    pub fn name_servers(self, name_servers: u8) -> Self {
        Self { name_servers, ..self }
    }

    /// Its name servers have addresses of their own, `ns1` 127.0.0.11 and so on, for programs that ask no address twice.
    #[must_use]
    pub fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    /// One more line of a zone file.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push_str(line);
        self.lines.push('\n');
        self
    }

    /// Its name, without a final dot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone file (RFC 1035, section 5).
    #[must_use]
    pub fn text(&self) -> String {
        let Self { name, web, ttl_seconds: ttl, refresh_seconds: refresh, name_servers, apart, lines } = self;
        let mut text = format!(
            "$ORIGIN {name}.\n$TTL {ttl}\n\
             @ {ttl} IN SOA ns1 hostmaster 1 {refresh} 30 1209600 300\n\
             @ {ttl} IN A {web}\n\
             @ {ttl} IN MX 10 mx1\n\
             @ {ttl} IN MX 20 mx2\n\
             @ {ttl} IN TXT \"v=spf1 mx -all\"\n\
             www {ttl} IN A {web}\n\
             mx1 {ttl} IN A {web}\n\
             mx2 {ttl} IN A 198.51.100.10\n"
        );
        for server in 1..=*name_servers {
            let address = if *apart { 10 + server } else { 1 };
            let _ = write!(text, "@ 3600 IN NS ns{server}\nns{server} 3600 IN A 127.0.0.{address}\n");
        }
        text + lines
    }
}
