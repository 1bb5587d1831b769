//! Providers that are changed by an API of their own over HTTP: what all of them have in common.
//!
//! None of them takes prerequisites: what the change expects is compared with what the API says just before, and somebody who writes in
//! between is overwritten. That is the difference to RFC 2136, and each says so ([`Abilities`]).

pub(super) mod cloudflare;
pub(super) mod desec;
pub(super) mod gandi;
pub(super) mod hetzner;
pub(super) mod powerdns;
pub(super) mod route53;
mod sigv4;
mod xml;

use std::fmt::Write;
use std::net::SocketAddr;

use async_trait::async_trait;
use hyper::Method;
use serde::de::DeserializeOwned;

use super::http::{Door, Lost, Reply};
use crate::dns::{SetChange, ZoneChange, canonical_rdata};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType, ZoneName};
use crate::world::{Abilities, Commit, Provider};

/// What one kind of API has to be able to do.
#[async_trait]
pub(super) trait Api: Send + Sync {
    /// What can be relied on.
    fn abilities(&self) -> Abilities;
    /// What it has, in the order of the keys.
    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>>;
    /// Makes the change; an error of kind `OutcomeUnknown` if nobody knows.
    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()>;
}

/// An API as a provider.
pub(super) struct ByApi {
    pub(super) api: Box<dyn Api>,
    /// A moment without an answer is allowed.
    pub(super) allow_gap: bool,
}

impl ByApi {
    /// What is there instead of what the change expects; none if all of it is as expected.
    async fn conflict(&self, change: &ZoneChange, operation: &str) -> Result<Option<Vec<Option<RecordSet>>>> {
        Provider::abilities(self, &change.zone).check(change, operation)?;
        let changed = change.sets.iter().map(|set| set.key.clone());
        let keys: Vec<RecordKey> = changed.chain(change.require.iter().map(RecordSet::key)).collect();
        let mut has = self.api.read(&change.zone, &keys).await?;
        let required = has.split_off(change.sets.len().min(has.len()));
        let same = |has: &Option<RecordSet>, wants: Option<&RecordSet>| match (has, wants) {
            (Some(has), Some(wants)) => has.same_data(wants),
            (None, None) => true,
            _ => false,
        };
        let fits = has.iter().zip(&change.sets).all(|(has, set)| same(has, set.from.as_ref()))
            && required.iter().zip(&change.require).all(|(has, wants)| same(has, Some(wants)));
        Ok((!fits).then_some(has))
    }
}

#[async_trait]
impl Provider for ByApi {
    fn abilities(&self, _zone: &ZoneName) -> Abilities {
        Abilities { gap_allowed: self.allow_gap, ..self.api.abilities() }
    }

    async fn read(
        &self,
        zone: &ZoneName,
        _primary: SocketAddr,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<RecordSet>>> {
        if let Some(key) = keys.iter().find(|key| !zone.contains(&key.owner)) {
            let operation = format!("read {key}");
            return Err(Error::new(ErrorKind::Usage, operation, format!("it is not in the zone {zone}")));
        }
        self.api.read(zone, keys).await
    }

    async fn commit(&self, change: &ZoneChange) -> Result<Commit> {
        let operation = format!("change {} by the API of {}", change.zone, self.api.abilities().name);
        if let Some(observed) = self.conflict(change, &operation).await? {
            return Ok(Commit::Conflict { observed });
        }
        match self.api.write(&change.zone, &change.sets).await {
            Ok(()) => Ok(Commit::Applied),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                Ok(Commit::Unknown { why: error.message().to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    async fn rehearse(&self, change: &ZoneChange) -> Result<()> {
        let operation =
            format!("rehearse the change of {} by the API of {}", change.zone, self.api.abilities().name);
        match self.conflict(change, &operation).await? {
            None => Ok(()),
            Some(_) => {
                Err(Error::new(ErrorKind::Conflict, operation, "the zone is not as the change expects it")
                    .hint("plan the change again"))
            }
        }
    }
}

/// One request, whose answer is JSON.
pub(super) async fn ask<T: DeserializeOwned>(door: &Door, path: &str, operation: &str) -> Result<Option<T>> {
    let reply = match door.send(Method::GET, path, None).await {
        Ok(reply) => reply,
        Err(Lost::Unsent(why) | Lost::Unknown(why)) => return Err(unreachable(operation, why)),
    };
    match reply.status {
        200 => parsed(&reply, operation).map(Some),
        404 => Ok(None),
        _ => Err(refusal(&reply, operation)),
    }
}

/// One request that changes something; gives its answer.
pub(super) async fn tell(
    door: &Door,
    method: Method,
    path: &str,
    body: Option<String>,
    operation: &str,
) -> Result<Reply> {
    tell_of(door.send(method, path, body).await, operation, refusal)
}

/// What came of a request that changes something; `refusal` reads what was said no with.
pub(super) fn tell_of(
    sent: Result<Reply, Lost>,
    operation: &str,
    refusal: impl Fn(&Reply, &str) -> Error,
) -> Result<Reply> {
    match sent {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(reply),
        // A server that broke in the middle may have done it.
        Ok(reply) if reply.status >= 500 => {
            Err(Error::new(ErrorKind::OutcomeUnknown, operation, said(&reply)))
        }
        Ok(reply) => Err(refusal(&reply, operation)),
        Err(Lost::Unsent(why)) => Err(unreachable(operation, why)),
        Err(Lost::Unknown(why)) => Err(Error::new(ErrorKind::OutcomeUnknown, operation, why)),
    }
}

pub(super) fn parsed<T: DeserializeOwned>(reply: &Reply, operation: &str) -> Result<T> {
    serde_json::from_slice(&reply.body).map_err(|why| {
        Error::new(
            ErrorKind::Protocol,
            operation,
            format!("its answer is not what its documentation says: {why}"),
        )
    })
}

fn unreachable(operation: &str, why: String) -> Error {
    Error::new(ErrorKind::Unreachable, operation, why)
        .hint("nothing was changed; try again, or look at the provider's status page")
}

fn refusal(reply: &Reply, operation: &str) -> Error {
    let message = said(reply);
    match reply.status {
        401 | 403 => Error::new(ErrorKind::Rejected, operation, message)
            .hint("check the token, and that it may change this zone"),
        404 => {
            Error::new(ErrorKind::NotFound, operation, message).hint("check that the account has this zone")
        }
        429 => {
            let after =
                reply.retry_after.as_ref().map_or_else(String::new, |span| format!(" after {span} s"));
            Error::new(ErrorKind::Busy, operation, message)
                .hint(format!("it takes no more at the moment; try again{after}"))
        }
        500.. => {
            Error::new(ErrorKind::Unreachable, operation, message).hint("look at the provider's status page")
        }
        _ => Error::new(ErrorKind::Rejected, operation, message).hint("its documentation says what it wants"),
    }
}

/// The status and the beginning of what it said.
fn said(reply: &Reply) -> String {
    let text: String =
        String::from_utf8_lossy(&reply.body).chars().filter(|c| !c.is_control()).take(200).collect();
    format!("it answers {} ({text})", reply.status)
}

/// What goes before what comes, so that an alias makes place.
pub(super) fn removals_first(sets: &[SetChange]) -> impl Iterator<Item = &SetChange> {
    sets.iter().filter(|set| set.to.is_none()).chain(sets.iter().filter(|set| set.to.is_some()))
}

/// The data with their names ended by a dot, as APIs want names that are absolute.
pub(super) fn dotted(rtype: RecordType, canonical: &str) -> String {
    let dot = |name: &str| if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
    match rtype {
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::MX | RecordType::SRV => {
            dot(canonical)
        }
        RecordType::SOA => {
            let fields: Vec<String> = canonical
                .split(' ')
                .enumerate()
                .map(|(number, field)| if number < 2 { dot(field) } else { field.to_owned() })
                .collect();
            fields.join(" ")
        }
        _ => canonical.to_owned(),
    }
}

/// The canonical data of what an API says, where a name without a dot at its end is one below the zone.
pub(super) fn undotted(rtype: RecordType, said: &str, zone: &ZoneName, operation: &str) -> Result<String> {
    let has_name = matches!(
        rtype,
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::MX | RecordType::SRV
    );
    let absolute = match said.strip_suffix('@') {
        _ if !has_name || said.ends_with('.') => said.to_owned(),
        Some(before) => format!("{before}{zone}."),
        None => format!("{said}.{zone}."),
    };
    canonical_rdata(rtype, &absolute).map_err(|why| Error::new(ErrorKind::Protocol, operation, why))
}

/// The owner relative to the zone; `@` for the apex.
pub(super) fn relative(zone: &ZoneName, owner: &DnsName) -> String {
    let below = owner.as_str().strip_suffix(zone.as_str()).map(|rest| rest.trim_end_matches('.'));
    match below {
        Some("") | None => "@".to_owned(),
        Some(below) => below.to_owned(),
    }
}

/// A path's part with everything escaped that is not plain (RFC 3986 section 2.3).
pub(super) fn escaped(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for octet in part.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~' | b'@') {
            escaped.push(char::from(octet));
        } else {
            let _ = write!(escaped, "%{octet:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_between_zone_files_and_us() {
        let zone: ZoneName = "example.org".parse().unwrap();
        assert_eq!(dotted(RecordType::MX, "10 mail.example.org"), "10 mail.example.org.");
        assert_eq!(dotted(RecordType::SOA, "a.b c.d 1 2 3 4 5"), "a.b. c.d. 1 2 3 4 5");
        let back = |rtype, said| undotted(rtype, said, &zone, "read").unwrap();
        assert_eq!(back(RecordType::MX, "10 mail"), "10 mail.example.org");
        assert_eq!(back(RecordType::CNAME, "@"), "example.org");
        assert_eq!(back(RecordType::CNAME, "www.example.com."), "www.example.com");
        assert_eq!(back(RecordType::A, "192.0.2.1"), "192.0.2.1");
        assert_eq!(relative(&zone, &"www.example.org".parse().unwrap()), "www");
        assert_eq!(relative(&zone, &zone.apex()), "@");
        assert_eq!(escaped("*.a b/c"), "%2A.a%20b%2Fc");
    }
}
