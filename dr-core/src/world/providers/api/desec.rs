//! deSEC: many record sets of a zone in one bulk request, all of them or none.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::http::Door;
use super::{Api, ask, dotted, escaped, relative, tell, undotted};
use crate::dns::SetChange;
use crate::error::Result;
use crate::estate::{RecordKey, RecordSet, ZoneName};
use crate::world::{Abilities, Atomicity};

pub(in crate::world::providers) struct Desec(pub(in crate::world::providers) Door);

#[derive(Deserialize)]
struct Set {
    ttl: u32,
    records: Vec<String>,
}

#[async_trait]
impl Api for Desec {
    fn abilities(&self) -> Abilities {
        // The lowest TTL of ordinary accounts; it refuses what is lower.
        Abilities { min_ttl_s: 3600, ..Abilities::api("deSEC", Atomicity::WholeChange) }
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from deSEC");
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            let name = escaped(&relative(zone, &key.owner));
            let path = format!("/domains/{}/rrsets/{name}/{}/", escaped(zone.as_str()), key.rtype);
            let Some(set) = ask::<Set>(&self.0, &path, &operation).await? else {
                read.push(None);
                continue;
            };
            let data: Result<Vec<String>> =
                set.records.iter().map(|said| undotted(key.rtype, said, zone, &operation)).collect();
            read.push(Some(RecordSet::new(key.owner.clone(), key.rtype, set.ttl, data?)));
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} at deSEC");
        let sets: Vec<_> = sets
            .iter()
            .map(|set| {
                let name = relative(zone, &set.key.owner);
                let subname = if name == "@" { "" } else { &name };
                match &set.to {
                    // No records: the set is removed.
                    None => json!({ "subname": subname, "type": set.key.rtype, "records": [] }),
                    Some(to) => {
                        let records: Vec<String> = to.rdata.iter().map(|data| dotted(to.rtype, data)).collect();
                        json!({ "subname": subname, "type": set.key.rtype, "ttl": to.ttl, "records": records })
                    }
                }
            })
            .collect();
        let path = format!("/domains/{}/rrsets/", escaped(zone.as_str()));
        let body = serde_json::Value::Array(sets).to_string();
        tell(&self.0, Method::PATCH, &path, Some(body), &operation).await.map(|_| ())
    }
}
