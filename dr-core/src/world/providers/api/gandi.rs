//! Gandi LiveDNS: one record set a request.

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

pub(in crate::world::providers) struct Gandi(pub(in crate::world::providers) Door);

#[derive(Deserialize)]
struct Set {
    rrset_ttl: u32,
    rrset_values: Vec<String>,
}

impl Gandi {
    fn path(zone: &ZoneName, key: &RecordKey) -> String {
        let name = escaped(&relative(zone, &key.owner));
        format!("/domains/{}/records/{name}/{}", escaped(zone.as_str()), key.rtype)
    }
}

#[async_trait]
impl Api for Gandi {
    fn abilities(&self) -> Abilities {
        Abilities { min_ttl_s: 300, ..Abilities::api("Gandi", Atomicity::RecordSet) }
    }

    async fn read(&self, zone: &ZoneName, keys: &[RecordKey]) -> Result<Vec<Option<RecordSet>>> {
        let operation = format!("read {zone} from Gandi");
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(set) = ask::<Set>(&self.0, &Self::path(zone, key), &operation).await? else {
                read.push(None);
                continue;
            };
            let data: Result<Vec<String>> =
                set.rrset_values.iter().map(|said| undotted(key.rtype, said, zone, &operation)).collect();
            read.push(Some(RecordSet::new(key.owner.clone(), key.rtype, set.rrset_ttl, data?)));
        }
        Ok(read)
    }

    async fn write(&self, zone: &ZoneName, sets: &[SetChange]) -> Result<()> {
        let operation = format!("change {zone} at Gandi");
        for set in super::removals_first(sets) {
            let path = Self::path(zone, &set.key);
            match &set.to {
                None => tell(&self.0, Method::DELETE, &path, None, &operation).await?,
                Some(to) => {
                    let values: Vec<String> = to.rdata.iter().map(|data| dotted(to.rtype, data)).collect();
                    let body = json!({ "rrset_ttl": to.ttl, "rrset_values": values }).to_string();
                    tell(&self.0, Method::PUT, &path, Some(body), &operation).await?
                }
            };
        }
        Ok(())
    }
}
