//! Amazon Route 53: a change batch, all of it or nothing. Requests and answers are XML, and each request is signed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use tokio::time::Instant;

use super::super::http::{Door, Lost, Reply};
use super::sigv4::{Asked, Credentials, sign};
use super::xml::{Element, escaped, parse};
use super::{Api, dotted, refusal, removals_first, tell_of, undotted, unreachable};
use crate::dns::SetChange;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet, RecordType, ZoneName};
use crate::secret::Secret;
use crate::world::clock::SystemClock;
use crate::world::{Abilities, Atomicity, Clock};

/// An account may ask five times a second, all of its zones together; so many may be asked at once before that.
const PACE: Duration = Duration::from_millis(200);
const AT_ONCE: u32 = 5;
const VERSION: &str = "2013-04-01";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

pub(in crate::world::providers) struct Route53 {
    door: Door,
    credentials: Credentials,
    /// The identifiers of zones do not change.
    zones: Mutex<BTreeMap<ZoneName, String>>,
    /// When the next request may go out.
    next: tokio::sync::Mutex<Option<Instant>>,
}

impl Route53 {
    pub(in crate::world::providers) fn new(door: Door, line: &Secret) -> Result<Self> {
        let credentials = Credentials::read(line)
            .map_err(|why| Error::new(ErrorKind::Usage, "use the API of Route 53", why))?;
        Ok(Self { door, credentials, zones: Mutex::default(), next: tokio::sync::Mutex::new(None) })
    }

    /// Waits until it is this request's turn.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        let now = Instant::now();
        // Who was quiet for a while has some in hand.
        let earliest = now.checked_sub(PACE * (AT_ONCE - 1)).unwrap_or(now);
        let turn = next.unwrap_or(earliest).max(earliest);
        *next = Some(turn + PACE);
        drop(next);
        tokio::time::sleep_until(turn).await;
    }

    async fn send(&self, method: Method, path: &str, query: &str, body: &str) -> Result<Reply, Lost> {
        self.turn().await;
        let (host, whole) = (self.door.host(), self.door.path(path));
        let asked = Asked {
            method: method.as_str(),
            host: &host,
            path: &whole,
            query,
            body: body.as_bytes(),
            region: "us-east-1",
            service: "route53",
            headers: &[],
        };
        let mut headers = sign(&asked, &self.credentials, SystemClock::new().read().wall);
        headers.push(("content-type", Secret::new("application/xml".to_owned())));
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.door.send_with(method, &target, Some(body.to_owned()), &headers).await
    }

    async fn ask(&self, path: &str, query: &str, operation: &str) -> Result<Element> {
        match self.send(Method::GET, path, query, "").await {
            Ok(reply) if reply.status == 200 => document(&reply, operation),
            Ok(reply) => Err(refused(&reply, operation)),
            Err(Lost::Unsent(why) | Lost::Unknown(why)) => Err(unreachable(operation, why)),
        }
    }

    /// The identifier of a zone that the internet sees.
    async fn zone(&self, zone: &ZoneName, operation: &str) -> Result<String> {
        if let Some(known) = self.zones.lock().unwrap_or_else(PoisonError::into_inner).get(zone) {
            return Ok(known.clone());
        }
        let query = format!("dnsname={}&maxitems=10", query_escaped(zone.as_str()));
        let found = self.ask(&format!("/{VERSION}/hostedzonesbyname"), &query, operation).await?;
        let public = |found: &&Element| found.at(&["Config", "PrivateZone"]) != Some("true");
        let named =
            |found: &&Element| found.at(&["Name"]).is_some_and(|name| *zone.as_str() == *name_of(name));
        let ids: Vec<&str> = found
            .list("HostedZones")
            .iter()
            .filter(public)
            .filter(named)
            .filter_map(|found| found.at(&["Id"])?.rsplit('/').next())
            .collect();
        let id = match ids.as_slice() {
            [id] if !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()) => (*id).to_owned(),
            [] => {
                let why = format!("the account has no public zone {zone}");
                return Err(Error::new(ErrorKind::NotFound, operation, why).hint(
                    "check the name, and that the key may list zones (route53:ListHostedZonesByName)",
                ));
            }
            [_] => return Err(odd(operation, "the identifier of the zone is none")),
            many => {
                let why =
                    format!("the account has {} zones {zone}; visitors are sent to one of them", many.len());
                return Err(Error::new(ErrorKind::Refused, operation, why)
                    .hint("delete those that the parent zone does not delegate to"));
            }
        };
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), id.clone());
        Ok(id)
    }

    async fn set(
        &self,
        zone: &ZoneName,
        id: &str,
        key: &RecordKey,
        operation: &str,
    ) -> Result<Option<RecordSet>> {
        let name = query_escaped(&format!("{}.", key.owner));
        // Sorted, as the signature wants it.
        let query = format!("maxitems=1&name={name}&type={}", key.rtype);
        let found = self.ask(&format!("/{VERSION}/hostedzone/{id}/rrset"), &query, operation).await?;
        // It lists from there on: the first is another one if there is none.
        let first = found.list("ResourceRecordSets").first();
        let is_it = |set: &&Element| {
            set.at(&["Name"]).is_some_and(|name| *key.owner.as_str() == *name_of(name))
                && set.at(&["Type"]).is_some_and(|rtype| rtype == key.rtype.to_string())
        };
        let Some(set) = first.filter(is_it) else { return Ok(None) };
        let special = ["AliasTarget", "SetIdentifier", "TrafficPolicyInstanceId"];
        if let Some(what) = special.into_iter().find(|what| set.child(what).is_some()) {
            let why = format!("{key} is answered by a rule of Route 53's own ({what})");
            return Err(Error::new(ErrorKind::Refused, operation, why)
                .hint("change it there, or make a simple record set of it"));
        }
        let ttl = set.at(&["TTL"]).and_then(|ttl| ttl.parse().ok());
        let ttl: u32 = ttl.ok_or_else(|| odd(operation, "a record set has no TTL"))?;
        let values = set.list("ResourceRecords").iter().filter_map(|record| record.at(&["Value"]));
        let data: Result<Vec<String>> =
            values.map(|value| undotted(key.rtype, &decimal(key.rtype, value), zone, operation)).collect();
        Ok(Some(RecordSet::new(key.owner.clone(), key.rtype, ttl, data?)))
    }
}

#[async_trait]
impl Api for Route53 {
    fn abilities(&self) -> Abilities {
        // A batch has at most 1,000 records, and those that replace others count twice.
        let api = Abilities::api("Route 53", Atomicity::WholeChange);
        Abilities { records_per_change: Some(500), ..api }
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from Route 53");
        let id = self.zone(zone, &operation).await?;
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            read.push(self.set(zone, &id, key, &operation).await?);
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} at Route 53");
        let id = self.zone(zone, &operation).await?;
        let mut changes = String::new();
        for set in removals_first(sets) {
            match &set.to {
                Some(to) => changes.push_str(&change("UPSERT", to)),
                // What is removed has to be named just as it is, its TTL too.
                None => {
                    let there = self.set(zone, &id, &set.key, &operation).await?;
                    changes.extend(there.map(|there| change("DELETE", &there)));
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\">\
             <ChangeBatch><Comment>dr</Comment><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        let sent = self.send(Method::POST, &format!("/{VERSION}/hostedzone/{id}/rrset/"), "", &body).await;
        tell_of(sent, &operation, refused).map(|_| ())
    }
}

fn change(action: &str, set: &RecordSet) -> String {
    let mut records = String::new();
    for data in &set.rdata {
        let value = escaped(&octal(set.rtype, &dotted(set.rtype, data)));
        let _ = write!(records, "<ResourceRecord><Value>{value}</Value></ResourceRecord>");
    }
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}</Name><Type>{}</Type><TTL>{}</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>",
        escaped(&format!("{}.", set.owner)),
        set.rtype,
        set.ttl
    )
}

fn document(reply: &Reply, operation: &str) -> Result<Element> {
    parse(&String::from_utf8_lossy(&reply.body)).map_err(|why| odd(operation, &why))
}

fn odd(operation: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        operation,
        format!("its answer is not what its documentation says: {why}"),
    )
}

/// What it says no with: a code, and for a batch that it does not take what is wrong with it.
fn refused(reply: &Reply, operation: &str) -> Error {
    let Ok(said) = parse(&String::from_utf8_lossy(&reply.body)) else { return refusal(reply, operation) };
    let clean = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(300).collect() };
    if said.name == "InvalidChangeBatch" {
        let messages: Vec<String> =
            said.list("Messages").iter().map(|message| clean(&message.text)).collect();
        let message = clean(&messages.join("; "));
        // "Tried to delete …, but it was not found", "but the values provided do not match the current values".
        let changed =
            ["not found", "do not match", "already exists"].iter().any(|words| message.contains(words));
        return if changed {
            Error::new(ErrorKind::Conflict, operation, message)
                .hint("somebody else changed the zone; plan the change again")
        } else {
            Error::new(ErrorKind::Rejected, operation, message).hint("nothing of the batch was done")
        };
    }
    let code = said.at(&["Error", "Code"]).unwrap_or_default();
    let message = clean(&format!("{code}: {}", said.at(&["Error", "Message"]).unwrap_or_default()));
    match code {
        "Throttling" | "ThrottlingException" | "PriorRequestNotComplete" => {
            Error::new(ErrorKind::Busy, operation, message)
                .hint("it takes five requests a second from an account; try again in a moment")
        }
        "SignatureDoesNotMatch" | "RequestExpired" | "InvalidSignatureException" | "IncompleteSignature" => {
            Error::new(ErrorKind::Rejected, operation, message)
                .hint("check the secret access key, and this machine's clock: it may be five minutes wrong at most")
        }
        "AccessDenied" | "InvalidClientTokenId" | "ExpiredToken" | "OptInRequired" => {
            Error::new(ErrorKind::Rejected, operation, message)
                .hint("the key needs route53:ListHostedZonesByName, ListResourceRecordSets and ChangeResourceRecordSets")
        }
        "" => refusal(reply, operation),
        _ if reply.status >= 500 => {
            Error::new(ErrorKind::Unreachable, operation, message).hint("look at the provider's status page")
        }
        _ => Error::new(ErrorKind::Rejected, operation, message).hint("its documentation says what it wants"),
    }
}

/// A name as it is meant: in lower case, without the dot at its end, and letters instead of `\052`.
fn name_of(said: &str) -> String {
    let mut name = String::new();
    let mut rest = said.trim_end_matches('.');
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        let number = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match number {
            Some(letter) => name.push(char::from(letter)),
            None => return said.to_owned(),
        }
        rest = after.get(3..).unwrap_or_default();
    }
    name.push_str(rest);
    name.make_ascii_lowercase();
    name
}

/// Texts with octets by their decimal number, as in zone files, from those with octal ones.
fn decimal(rtype: RecordType, value: &str) -> String {
    numbered(rtype, value, 8, |octet| format!("\\{octet:03}"))
}

/// And back.
fn octal(rtype: RecordType, data: &str) -> String {
    numbered(rtype, data, 10, |octet| format!("\\{octet:03o}"))
}

fn numbered(rtype: RecordType, text: &str, radix: u32, written: impl Fn(u8) -> String) -> String {
    if !matches!(rtype, RecordType::TXT | RecordType::CAA) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let digits = after.get(..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, radix).ok()) {
            Some(octet) => {
                out.push_str(&written(octet));
                rest = after.get(3..).unwrap_or_default();
            }
            // The character after it stands for itself.
            None => {
                out.push('\\');
                let length = after.chars().next().map_or(0, char::len_utf8);
                out.push_str(after.get(..length).unwrap_or_default());
                rest = after.get(length..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// As the signature wants it: all but what RFC 3986 section 2.3 leaves alone.
fn query_escaped(text: &str) -> String {
    super::escaped(text).replace('@', "%40")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_as_it_writes_them() {
        assert_eq!(name_of("\\052.Example.ORG."), "*.example.org");
        assert_eq!(name_of("a\\9.org."), "a\\9.org.");
        assert_eq!(decimal(RecordType::TXT, r#""a\344 \" \\ b""#), r#""a\228 \" \\ b""#);
        assert_eq!(octal(RecordType::TXT, r#""a\228 \" \\ b""#), r#""a\344 \" \\ b""#);
        assert_eq!(octal(RecordType::A, "192.0.2.1"), "192.0.2.1");
        assert_eq!(query_escaped("*.a@b_c"), "%2A.a%40b_c");
    }

    #[test]
    fn one_batch_says_all_of_it() {
        let set =
            RecordSet::new("www.example.org".parse().unwrap(), RecordType::MX, 60, ["10 mx.example.org"]);
        let expected = "<Change><Action>UPSERT</Action><ResourceRecordSet><Name>www.example.org.</Name><Type>MX</Type><TTL>60</TTL>\
             <ResourceRecords><ResourceRecord><Value>10 mx.example.org.</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>";
        assert_eq!(change("UPSERT", &set), expected);
    }

    #[test]
    fn what_it_refuses_is_told_apart() {
        let kind = |status, body: &str| {
            let reply = Reply { status, body: body.as_bytes().to_vec(), retry_after: None };
            refused(&reply, "change").kind()
        };
        let error = |code: &str| {
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>")
        };
        let batch = |text: &str| {
            format!("<InvalidChangeBatch><Messages><Message>{text}</Message></Messages></InvalidChangeBatch>")
        };
        assert_eq!(kind(400, &error("Throttling")), ErrorKind::Busy);
        assert_eq!(kind(400, &error("PriorRequestNotComplete")), ErrorKind::Busy);
        assert_eq!(kind(403, &error("SignatureDoesNotMatch")), ErrorKind::Rejected);
        assert_eq!(kind(503, &error("ServiceUnavailable")), ErrorKind::Unreachable);
        assert_eq!(kind(400, &batch("Tried to delete www, but it was not found")), ErrorKind::Conflict);
        assert_eq!(kind(400, &batch("Invalid Resource Record: bad value")), ErrorKind::Rejected);
        assert_eq!(kind(429, "not XML at all"), ErrorKind::Busy);
    }
}
