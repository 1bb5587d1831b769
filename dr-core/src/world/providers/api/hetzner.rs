//! Hetzner Cloud DNS: the records of a set are replaced in one action; its TTL is another.

use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::http::{Door, Reply};
use super::{Api, ask, dotted, escaped, parsed, relative, tell, undotted};
use crate::dns::SetChange;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet, ZoneName};
use crate::world::{Abilities, Atomicity};

/// How often, and how many times, an action is asked about that is still running.
const PACE: Duration = Duration::from_millis(500);
const LOOKS: u32 = 20;

pub(in crate::world::providers) struct Hetzner(pub(in crate::world::providers) Door);

#[derive(Deserialize)]
struct Found {
    rrset: Set,
}

#[derive(Deserialize)]
struct Set {
    /// None: that of the zone.
    ttl: Option<u32>,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    value: String,
}

#[derive(Deserialize)]
struct ZoneFound {
    zone: ZoneTtl,
}

#[derive(Deserialize)]
struct ZoneTtl {
    ttl: u32,
}

#[derive(Deserialize)]
struct Doing {
    action: Action,
}

#[derive(Deserialize)]
struct Action {
    id: u64,
    status: String,
}

impl Hetzner {
    fn path(zone: &ZoneName, key: &RecordKey) -> String {
        let name = escaped(&relative(zone, &key.owner));
        format!("/zones/{}/rrsets/{name}/{}", escaped(zone.as_str()), key.rtype)
    }

    async fn zone_ttl(&self, zone: &ZoneName, operation: &str) -> Result<u32> {
        let path = format!("/zones/{}", escaped(zone.as_str()));
        let found: Option<ZoneFound> = ask(&self.0, &path, operation).await?;
        let none = || Error::new(ErrorKind::NotFound, operation, format!("the account has no zone {zone}"));
        Ok(found.ok_or_else(none)?.zone.ttl)
    }

    /// Waits until what was begun is done.
    async fn wait(&self, reply: Reply, operation: &str) -> Result<()> {
        let mut action = parsed::<Doing>(&reply, operation)?.action;
        for _ in 0..LOOKS {
            match action.status.as_str() {
                "success" => return Ok(()),
                "error" => {
                    let why = format!("its action {} failed", action.id);
                    return Err(Error::new(ErrorKind::Rejected, operation, why).hint("its console says why"));
                }
                _ => tokio::time::sleep(PACE).await,
            }
            let found: Option<Doing> = ask(&self.0, &format!("/actions/{}", action.id), operation).await?;
            action = found.map_or(action, |found| found.action);
        }
        Err(Error::new(
            ErrorKind::OutcomeUnknown,
            operation,
            format!("its action {} is still running", action.id),
        ))
    }
}

#[async_trait]
impl Api for Hetzner {
    fn abilities(&self) -> Abilities {
        Abilities { min_ttl_s: 60, ..Abilities::api("Hetzner", Atomicity::RecordSet) }
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from Hetzner");
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(found) = ask::<Found>(&self.0, &Self::path(zone, key), &operation).await? else {
                read.push(None);
                continue;
            };
            let ttl = match found.rrset.ttl {
                Some(ttl) => ttl,
                None => self.zone_ttl(zone, &operation).await?,
            };
            let records = found.rrset.records.iter();
            let data: Result<Vec<String>> =
                records.map(|record| undotted(key.rtype, &record.value, zone, &operation)).collect();
            read.push(Some(RecordSet::new(key.owner.clone(), key.rtype, ttl, data?)));
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} at Hetzner");
        for set in super::removals_first(sets) {
            let path = Self::path(zone, &set.key);
            let post = async |path: String, body: serde_json::Value| {
                let reply = tell(&self.0, Method::POST, &path, Some(body.to_string()), &operation).await?;
                self.wait(reply, &operation).await
            };
            let Some(to) = &set.to else {
                let reply = tell(&self.0, Method::DELETE, &path, None, &operation).await?;
                self.wait(reply, &operation).await?;
                continue;
            };
            let records: Vec<_> =
                to.rdata.iter().map(|data| json!({ "value": dotted(to.rtype, data) })).collect();
            let Some(from) = &set.from else {
                let name = relative(zone, &set.key.owner);
                let body = json!({ "name": name, "type": to.rtype, "ttl": to.ttl, "records": records });
                post(format!("/zones/{}/rrsets", escaped(zone.as_str())), body).await?;
                continue;
            };
            if from.rdata != to.rdata {
                post(format!("{path}/actions/set_records"), json!({ "records": records })).await?;
            }
            if from.ttl != to.ttl {
                post(format!("{path}/actions/change_ttl"), json!({ "ttl": to.ttl })).await?;
            }
        }
        Ok(())
    }
}
