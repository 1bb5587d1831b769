//! Cloudflare: records one by one, in batches. A set that changes keeps its records and changes what is in them, so that it is never empty.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::http::Door;
use super::{Api, ask, escaped, tell};
use crate::dns::{SetChange, canonical_rdata};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet, RecordType, ZoneName};
use crate::world::{Abilities, Atomicity};

/// What "automatic" means.
const AUTOMATIC: u32 = 1;
const AUTOMATIC_SECONDS: u32 = 300;

pub(in crate::world::providers) struct Cloudflare(pub(in crate::world::providers) Door);

#[derive(Deserialize)]
struct Answer<T> {
    result: Vec<T>,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    content: String,
    ttl: u32,
    #[serde(default)]
    priority: Option<u16>,
    #[serde(default)]
    proxied: bool,
}

impl Cloudflare {
    async fn zone(&self, zone: &ZoneName, operation: &str) -> Result<String> {
        let path = format!("/zones?name={}", escaped(zone.as_str()));
        let found: Option<Answer<Zone>> = ask(&self.0, &path, operation).await?;
        found.and_then(|found| found.result.into_iter().next()).map(|zone| escaped(&zone.id)).ok_or_else(
            || {
                Error::new(ErrorKind::NotFound, operation, format!("the account has no zone {zone}"))
                    .hint("check the token: it needs to read the zone, and to edit its DNS")
            },
        )
    }

    async fn records(&self, id: &str, key: &RecordKey, operation: &str) -> Result<Vec<Record>> {
        use RecordType::{A, AAAA, CNAME, MX, NS, PTR, TXT};
        if !matches!(key.rtype, A | AAAA | CNAME | MX | NS | PTR | TXT | RecordType::SOA) {
            let why = format!("{key}: dr writes no {} records at Cloudflare", key.rtype);
            return Err(Error::new(ErrorKind::Unsupported, operation, why));
        }
        if key.rtype == RecordType::SOA {
            // It is not among the records.
            return Ok(vec![]);
        }
        let path = format!(
            "/zones/{id}/dns_records?per_page=100&type={}&name={}",
            key.rtype,
            escaped(key.owner.as_str())
        );
        let found: Option<Answer<Record>> = ask(&self.0, &path, operation).await?;
        let records = found.map_or_else(Vec::new, |found| found.result);
        if records.iter().any(|record| record.proxied) {
            let why = format!("{key} is proxied: visitors see Cloudflare's addresses, not these");
            return Err(Error::new(ErrorKind::Refused, operation, why)
                .hint("change the origin at Cloudflare, or set the record to DNS only"));
        }
        Ok(records)
    }
}

/// The data of one record, in canonical form.
fn data(key: &RecordKey, record: &Record, operation: &str) -> Result<String> {
    let said = match record.priority.filter(|_| key.rtype == RecordType::MX) {
        Some(priority) => format!("{priority} {}", record.content),
        None => record.content.clone(),
    };
    canonical_rdata(key.rtype, &said).map_err(|why| Error::new(ErrorKind::Protocol, operation, why))
}

/// One record as the API wants it.
fn body(to: &RecordSet, data: &str, id: Option<&str>) -> Value {
    let (priority, content) = match data.split_once(' ').filter(|_| to.rtype == RecordType::MX) {
        Some((priority, exchange)) => (priority.parse::<u16>().ok(), exchange),
        None => (None, data),
    };
    let mut body = json!({ "content": content, "ttl": to.ttl });
    let mut put =
        |name: &str, value: Value| body.as_object_mut().map(|body| body.insert(name.to_owned(), value));
    if let Some(priority) = priority {
        put("priority", json!(priority));
    }
    match id {
        Some(id) => put("id", json!(id)),
        None => {
            put("proxied", json!(false));
            put("type", json!(to.rtype));
            put("name", json!(to.owner))
        }
    };
    body
}

#[async_trait]
impl Api for Cloudflare {
    fn abilities(&self) -> Abilities {
        // One transaction in its database; what its servers show follows record by record. A batch has at most 200 records where nothing is paid.
        let api = Abilities::api("Cloudflare", Atomicity::RecordSet);
        Abilities { min_ttl_s: 60, records_per_change: Some(200), ..api }
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from Cloudflare");
        let id = self.zone(zone, &operation).await?;
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            let records = self.records(&id, key, &operation).await?;
            let ttl = |record: &Record| if record.ttl == AUTOMATIC { AUTOMATIC_SECONDS } else { record.ttl };
            let lowest = records.iter().map(ttl).min();
            let data: Result<Vec<String>> =
                records.iter().map(|record| data(key, record, &operation)).collect();
            let data = data?;
            read.push(lowest.map(|ttl| RecordSet::new(key.owner.clone(), key.rtype, ttl, data)));
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} at Cloudflare");
        let id = self.zone(zone, &operation).await?;
        let (mut deletes, mut patches, mut posts) = (vec![], vec![], vec![]);
        for set in sets {
            let mut there = self.records(&id, &set.key, &operation).await?;
            let Some(to) = &set.to else {
                deletes.extend(there.into_iter().map(|record| json!({ "id": record.id })));
                continue;
            };
            // What stays is left alone but for its TTL; of the rest one is made another, as far as they go.
            let mut new: Vec<&String> = vec![];
            for wanted in &to.rdata {
                let same =
                    |record: &Record| data(&set.key, record, &operation).is_ok_and(|has| has == *wanted);
                match there.iter().position(same) {
                    Some(at) => patches.push(body(to, wanted, Some(&there.swap_remove(at).id))),
                    None => new.push(wanted),
                }
            }
            for wanted in new {
                match there.pop() {
                    Some(record) => patches.push(body(to, wanted, Some(&record.id))),
                    None => posts.push(body(to, wanted, None)),
                }
            }
            deletes.extend(there.into_iter().map(|record| json!({ "id": record.id })));
        }
        let batch = json!({ "deletes": deletes, "patches": patches, "posts": posts }).to_string();
        let path = format!("/zones/{id}/dns_records/batch");
        tell(&self.0, Method::POST, &path, Some(batch), &operation).await.map(|_| ())
    }
}
