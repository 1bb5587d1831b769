//! Where records are changed: one file a kind of provider, and one line here.

mod abilities;
mod api;
mod by_zone;
pub(in crate::world) mod http;
pub mod rfc2136;

pub use abilities::{Abilities, Atomicity, Commit};
pub use by_zone::ByZone;

use std::sync::Arc;

use super::Provider;
use crate::error::Result;
use crate::estate::{ApiKind, ApiProvider};
use crate::secret::Secret;
use api::{Api, ByApi, cloudflare, desec, gandi, hetzner, powerdns, route53};
use http::Door;

/// A provider that is changed by an API, opened with this token. Nothing is connected to before it is needed.
///
/// Errors: `Usage` for a URL that is none, or one that would carry the token over the network in the open.
///
/// ```
/// use dr_core::estate::{ApiKind, ApiProvider};
/// use dr_core::{Secret, world::providers::open};
/// let local = ApiProvider {
///     kind: ApiKind::PowerDns,
///     url: Some("http://127.0.0.1:8081".into()),
///     token_file: "/etc/dr/pdns.key".into(),
///     allow_gap: false,
/// };
/// let provider = open(&local, &Secret::new("changeme".into())).unwrap();
/// assert_eq!(provider.abilities(&"example.org".parse().unwrap()).name, "PowerDNS");
/// ```
pub fn open(provider: &ApiProvider, token: &Secret) -> Result<Arc<dyn Provider>> {
    let bearer = ("authorization", "Bearer ");
    let door = |usual: &str, header| Door::new(provider.url.as_deref().unwrap_or(usual), header, token);
    let api: Box<dyn Api> = match provider.kind {
        ApiKind::PowerDns => Box::new(powerdns::PowerDns(door("http://127.0.0.1:8081", ("x-api-key", ""))?)),
        ApiKind::Cloudflare => {
            Box::new(cloudflare::Cloudflare(door("https://api.cloudflare.com/client/v4", bearer)?))
        }
        ApiKind::Desec => {
            Box::new(desec::Desec(door("https://desec.io/api/v1", ("authorization", "Token "))?))
        }
        ApiKind::Gandi => Box::new(gandi::Gandi(door("https://api.gandi.net/v5/livedns", bearer)?)),
        ApiKind::Route53 => {
            let door = Door::open(provider.url.as_deref().unwrap_or("https://route53.amazonaws.com"))?;
            Box::new(route53::Route53::new(door, token)?)
        }
        ApiKind::Hetzner => Box::new(hetzner::Hetzner(door("https://api.hetzner.cloud/v1", bearer)?)),
    };
    Ok(Arc::new(ByApi { api, allow_gap: provider.allow_gap }))
}
