//! A DNS zone with its name servers, and the keys that may change it.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{DnsName, NameServerId, ProviderId};
use super::record::{RecordKey, RecordSet};

/// A DNS zone and what must be true of it.
///
/// ```
/// use dr_core::estate::Zone;
/// let zone = Zone::new("ns1".parse().unwrap());
/// assert_eq!(zone.servers.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The name server that takes changes.
    pub primary: NameServerId,
    /// The name server that is to take the primary's place if that is lost; one of `servers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_primary: Option<NameServerId>,
    /// Every name server of the zone, the primary included unless it is hidden.
    pub servers: Vec<NameServerId>,
    /// The TSIG key that may change it (a name under `[tsig_keys]`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_key: Option<DnsName>,
    /// The TSIG key that may transfer it (a name under `[tsig_keys]`): a check asks every server for the whole zone with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_key: Option<DnsName>,
    /// The provider whose API changes it (a name under `[providers]`); dynamic updates to the primary if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// Names under which visitors are told what happens, in whatever zone: they must not be lost with the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<DnsName>,
    /// Record sets that must agree on every server, beside those at the apex, at `www` and those of the sites.
    #[serde(default)]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[serde(default)]
    pub expect: Vec<RecordSet>,
}

impl Zone {
    /// A zone with one server, its primary.
    #[must_use]
    pub fn new(primary: NameServerId) -> Self {
        let servers = vec![primary.clone()];
        Self {
            primary,
            standby_primary: None,
            servers,
            update_key: None,
            transfer_key: None,
            provider: None,
            status: vec![],
            records: vec![],
            expect: vec![],
        }
    }
}

/// An authoritative name server.
///
/// ```
/// use dr_core::estate::NameServer;
/// let server = NameServer { address: "192.0.2.53:53".parse().unwrap(), name: None };
/// assert_eq!(server.address.port(), 53);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameServer {
    /// Where it answers: `192.0.2.53`, `192.0.2.53:53` or `[2001:db8::53]:53` (the port is 53 if not said).
    #[serde(deserialize_with = "address_with_default_port")]
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Its name in NS record sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DnsName>,
}

/// A provider that keeps zones and is changed by an API of its own. The token itself stays in a file of its own that only its owner may read.
///
/// ```
/// use dr_core::estate::ApiProvider;
/// let provider: ApiProvider = serde_json::from_str(r#"{"kind": "desec", "token_file": "/etc/dr/desec.token"}"#).unwrap();
/// assert!(provider.url.is_none() && !provider.allow_gap);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiProvider {
    /// Which API.
    pub kind: ApiKind,
    /// Where it is, if not where its documentation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file with the token on its first line, mode 0600; for Route 53 `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, and `:SESSION_TOKEN` if there
    /// is one.
    pub token_file: PathBuf,
    /// Take changes that it can only make with a moment in which a name has nothing.
    #[serde(default)]
    pub allow_gap: bool,
}

/// Which API.
///
/// ```
/// use dr_core::estate::ApiKind;
/// assert_eq!(serde_json::to_string(&ApiKind::PowerDns).unwrap(), "\"powerdns\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ApiKind {
    /// The PowerDNS authoritative server's own.
    PowerDns,
    /// Cloudflare.
    Cloudflare,
    /// deSEC.
    Desec,
    /// Gandi LiveDNS.
    Gandi,
    /// Hetzner Cloud DNS.
    Hetzner,
    /// Amazon Route 53.
    Route53,
}

/// A TSIG key (RFC 8945). The secret itself stays in a file of its own that only its owner may read.
///
/// ```
/// use dr_core::estate::{TsigAlgorithm, TsigKey};
/// let key = TsigKey { algorithm: TsigAlgorithm::HmacSha256, secret_file: "/etc/dr/update.key".into() };
/// assert!(!format!("{key:?}").contains("secret:"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TsigKey {
    /// The algorithm.
    #[serde(default)]
    pub algorithm: TsigAlgorithm,
    /// The file with the secret in base64, mode 0600.
    pub secret_file: PathBuf,
}

/// A TSIG algorithm, by the name that BIND and RFC 8945 use.
///
/// ```
/// use dr_core::estate::TsigAlgorithm;
/// assert_eq!(serde_json::to_string(&TsigAlgorithm::HmacSha512).unwrap(), "\"hmac-sha512\"");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TsigAlgorithm {
    /// hmac-sha256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// hmac-sha384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// hmac-sha512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

fn address_with_default_port<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    server_address(&text).map_err(serde::de::Error::custom)
}

/// Reads the address of a name server; the port is 53 if not said.
///
/// ```
/// use dr_core::estate::server_address;
/// assert_eq!(server_address("192.0.2.53").unwrap().port(), 53);
/// assert_eq!(server_address("[2001:db8::53]:5353").unwrap().port(), 5353);
/// assert!(server_address("ns1.example.org").is_err());
/// ```
pub fn server_address(text: &str) -> Result<SocketAddr, String> {
    let bare =
        || text.trim_start_matches('[').trim_end_matches(']').parse().map(|ip| SocketAddr::new(ip, 53));
    text.parse().or_else(|_| bare()).map_err(|_| {
        format!(
            "'{}' is no address such as 192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53",
            text.escape_debug()
        )
    })
}
