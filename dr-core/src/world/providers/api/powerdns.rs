//! The HTTP API of the PowerDNS authoritative server: one PATCH is one transaction of its database.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::http::Door;
use super::{Api, ask, dotted, escaped, tell, undotted};
use crate::dns::SetChange;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{RecordKey, RecordSet, ZoneName};
use crate::world::{Abilities, Atomicity};

pub(in crate::world::providers) struct PowerDns(pub(in crate::world::providers) Door);

#[derive(Deserialize)]
struct Zone {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    soa_edit_api: String,
    #[serde(default)]
    rrsets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    content: String,
    #[serde(default)]
    disabled: bool,
}

impl PowerDns {
    fn path(zone: &ZoneName) -> String {
        format!("/api/v1/servers/localhost/zones/{}.", escaped(zone.as_str()))
    }

    async fn zone(&self, zone: &ZoneName, filter: &str, operation: &str) -> Result<Zone> {
        let path = format!("{}{filter}", Self::path(zone));
        ask(&self.0, &path, operation).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation, format!("{} has no zone {zone}", self.0.place()))
                .hint("check the name, and that the API is that of the primary")
        })
    }
}

#[async_trait]
impl Api for PowerDns {
    fn abilities(&self) -> Abilities {
        Abilities::api("PowerDNS", Atomicity::WholeChange)
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from the API of PowerDNS");
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            // A server that does not know the filter (before 4.6) gives the whole zone.
            let name = format!("{}.", key.owner);
            let filter = format!("?rrset_name={}&rrset_type={}", escaped(&name), key.rtype);
            let there = self.zone(zone, &filter, &operation).await?;
            let wanted =
                |set: &&Set| set.name.eq_ignore_ascii_case(&name) && set.rtype == key.rtype.to_string();
            let Some(set) = there.rrsets.iter().find(wanted) else {
                read.push(None);
                continue;
            };
            let live = set.records.iter().filter(|record| !record.disabled);
            let data: Result<Vec<String>> =
                live.map(|record| undotted(key.rtype, &record.content, zone, &operation)).collect();
            let data = data?;
            read.push(
                (!data.is_empty()).then(|| RecordSet::new(key.owner.clone(), key.rtype, set.ttl, data)),
            );
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} by the API of PowerDNS");
        let there = self.zone(zone, "?rrset_name=none.&rrset_type=A", &operation).await?;
        if matches!(there.kind.as_str(), "Master" | "Producer" | "Primary") && there.soa_edit_api.is_empty() {
            // Without it the serial stays as it is, and no secondary ever transfers the change.
            let why =
                "it would not raise the serial of the zone (no SOA-EDIT-API), and no secondary would follow";
            return Err(Error::new(ErrorKind::Refused, operation, why)
                .hint(format!("pdnsutil set-meta {zone} SOA-EDIT-API DEFAULT")));
        }
        let rrsets: Vec<_> = sets
            .iter()
            .map(|set| {
                let name = format!("{}.", set.key.owner);
                match &set.to {
                    None => json!({ "name": name, "type": set.key.rtype, "changetype": "DELETE" }),
                    Some(to) => {
                        let records: Vec<_> = to
                            .rdata
                            .iter()
                            .map(|data| json!({ "content": dotted(to.rtype, data), "disabled": false }))
                            .collect();
                        json!({
                            "name": name, "type": set.key.rtype, "ttl": to.ttl, "changetype": "REPLACE", "records": records
                        })
                    }
                }
            })
            .collect();
        let body = json!({ "rrsets": rrsets }).to_string();
        tell(&self.0, Method::PATCH, &Self::path(zone), Some(body), &operation).await?;
        if there.kind != "Native" {
            // It would tell the secondaries by itself, within a minute. What becomes of this shows when they are asked.
            let path = format!("{}/notify", Self::path(zone));
            let _ = tell(&self.0, Method::PUT, &path, None, &operation).await;
        }
        Ok(())
    }
}
