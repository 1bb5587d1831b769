//! `change_records`: record sets of one zone or many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::named_servers;
use crate::dns::{Prediction, Server, Wish, ZoneSpec, owner_in};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType, ZoneName, server_address};
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{Outcome, RunId, Settled, Verified};
use crate::time::Period;
use crate::toolkit::{ChangeOptions, Toolkit};
use crate::world::Control;

/// The request of `change_records`.
///
/// ```
/// use dr_core::toolkit::ChangeRecords;
/// let request: ChangeRecords = serde_json::from_str(
///     r#"{"zones": ["example.org"], "sets": [{"owner": "www.@", "type": "A", "rdata": ["198.51.100.1"]}], "dry_run": true}"#,
/// ).unwrap();
/// assert_eq!((request.sets[0].ttl, request.settle), (None, false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRecords {
    /// The zones. One is changed all at once or not at all; of many, each by itself.
    pub zones: Vec<ZoneName>,
    /// What is wanted in each of them.
    pub sets: Vec<WantedSet>,
    /// Their name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The address of their primary; the estate's if not said, or the first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The name of the TSIG key that may change them, if it is not the one in the estate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_key: Option<DnsName>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// How long to wait for all name servers; if not said, as long as is predicted, twice over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
    /// Afterwards wait until no resolver can remember what was before.
    #[serde(default)]
    pub settle: bool,
    /// Resolvers to be asked at the end of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<String>,
    /// Of many zones so many a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// Also write a random word into `_dr-change.ZONE TXT`, from which it is read whose change was made if nobody answers.
    #[serde(default)]
    pub mark: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A record set as it is to be.
///
/// ```
/// use dr_core::toolkit::WantedSet;
/// let gone: WantedSet = serde_json::from_str(r#"{"owner": "old.example.org", "type": "A"}"#).unwrap();
/// assert!(gone.rdata.is_empty(), "without data it is removed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedSet {
    /// The owner: absolute, or with `@` for the zone (`@`, `www.@`).
    pub owner: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: RecordType,
    /// Time to live in seconds; as it is if not said, or 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The data of each record, as in a zone file; with none, the record set is removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rdata: BTreeSet<String>,
}

impl WantedSet {
    /// What that is in a zone.
    pub fn wish(&self, zone: &ZoneName) -> Result<Wish, String> {
        let key = RecordKey::new(owner_in(zone, &self.owner)?, self.rtype);
        Ok(match (self.ttl, self.rdata.is_empty()) {
            (_, true) => Wish::Remove(key),
            (None, false) => Wish::Say { key, rdata: self.rdata.clone() },
            (Some(ttl), false) => Wish::Have(RecordSet::new(key.owner, key.rtype, ttl, self.rdata.clone())),
        })
    }
}

/// The answer of `change_records`.
///
/// ```
/// # fn told(changed: &dr_core::toolkit::RecordsChanged) {
/// match &changed.verified {
///     Some(proof) => println!("{} servers show it", proof.servers().len()),
///     None => println!("not everywhere yet"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[must_use]
pub struct RecordsChanged {
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// How long it was predicted to take.
    pub prediction: Prediction,
    /// What was found while it was done; a finding for each server that does not show it.
    pub report: Report,
    /// Which run of the journal it was; none if nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The proof that every name server shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// The proof that resolvers had the time to forget what was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The plan, with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

impl Toolkit {
    pub(super) async fn change_records(
        &self,
        request: ChangeRecords,
        control: &Control,
    ) -> Result<RecordsChanged> {
        let usage = |why: String| Error::new(ErrorKind::Usage, "change records", why);
        let servers = named_servers(&request.servers).map_err(usage)?;
        let mut wishes = vec![];
        for zone in &request.zones {
            let mut spec = if servers.is_empty() {
                ZoneSpec::from_estate(&self.estate, zone)?
            } else {
                ZoneSpec::new(zone.clone(), servers.clone())
            };
            if let Some(primary) = &request.primary {
                spec.primary = Some(server_address(primary).map_err(usage)?);
            }
            spec.primary = spec.primary.or_else(|| servers.first().map(|server| server.address));
            spec.update_key = request.update_key.clone().or(spec.update_key);
            let sets: Result<Vec<Wish>, String> = request.sets.iter().map(|set| set.wish(zone)).collect();
            wishes.push((spec, sets.map_err(usage)?));
        }
        if wishes.is_empty() || request.sets.is_empty() {
            return Err(usage("no zone, or no record set, was named".to_owned()));
        }
        let resolvers: Result<Vec<SocketAddr>, String> =
            request.resolvers.iter().map(|text| server_address(text)).collect();
        let options = ChangeOptions {
            within: request.within,
            settle: request.settle,
            resolvers: resolvers.map_err(usage)?,
            per_second: request.per_second,
            mark: request.mark,
        };
        let planned = self.plan_change(&wishes, &options, control).await?;
        let mut answer = RecordsChanged {
            changed: !planned.plan.is_empty(),
            prediction: planned.prediction,
            report: Report::new(planned.plan.title.clone(), planned.plan.at),
            run: None,
            outcome: None,
            verified: None,
            settled: None,
            plan: None,
        };
        if request.dry_run {
            answer.plan = Some(planned.plan);
        } else if answer.changed {
            let by = super::asker(request.by);
            let applied = self.apply(&planned.plan, &by, control).await?;
            answer.report.absorb(applied.report);
            if applied.verified.is_none() {
                let specs = wishes.iter().map(|(spec, _)| spec);
                answer.report.findings.extend(self.stragglers(&planned.plan, &names_of(specs)).await);
            }
            (answer.run, answer.outcome) = (Some(applied.run), Some(applied.outcome));
            (answer.verified, answer.settled) = (applied.verified, applied.settled);
        }
        Ok(answer)
    }
}

/// What the operator calls each server.
pub(super) fn names_of<'a>(specs: impl Iterator<Item = &'a ZoneSpec>) -> BTreeMap<SocketAddr, String> {
    let servers = specs.flat_map(|spec| &spec.servers);
    servers.map(|Server { name, address }| (*address, name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::world::sim::SimWorld;

    async fn called(sim: &SimWorld, request: Value) -> Result<Value> {
        let toolkit = Toolkit::new(sim.world(), Default::default());
        let answer = toolkit.call_json("change_records", &request.to_string(), &Control::silent()).await?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    /// Two who want the same: without a mark both are content, with marks each knows whose change it was.
    #[tokio::test]
    async fn a_mark_tells_whose_change_it_was() {
        let sim = SimWorld::new();
        let primary = SocketAddr::from(([192, 0, 2, 1], 53));
        let zone: ZoneName = "a.test".parse().unwrap();
        sim.put_zone(&zone, primary, &[], &[]);
        let toolkit = Toolkit::new(sim.world(), Default::default());
        let server = Server { name: "ns1".to_owned(), address: primary };
        let spec = ZoneSpec { primary: Some(primary), ..ZoneSpec::new(zone, vec![server]) };
        let planned = async |data: &str, mark| {
            let set = RecordSet::new("www.a.test".parse().unwrap(), RecordType::A, 60, [data]);
            let options = ChangeOptions { mark, ..ChangeOptions::default() };
            let wishes = [(spec.clone(), vec![Wish::Have(set)])];
            toolkit.plan_change(&wishes, &options, &Control::silent()).await.unwrap().plan
        };
        let applied =
            async |plan: &Plan| toolkit.apply(plan, "ann", &Control::silent()).await.unwrap().outcome;
        for (data, mark, second) in
            [("192.0.2.10", false, Outcome::New), ("192.0.2.11", true, Outcome::Stopped)]
        {
            let (ours, theirs) = (planned(data, mark).await, planned(data, mark).await);
            assert_eq!(ours.title, "change www.a.test A in a.test", "the mark is no news");
            assert_eq!(applied(&theirs).await, Outcome::New);
            assert_eq!(applied(&ours).await, second);
        }
    }

    #[tokio::test]
    async fn records_are_changed_by_name_and_proved() {
        let sim = SimWorld::new();
        let [primary, second, resolver] = [1, 2, 9].map(|last| SocketAddr::from(([192, 0, 2, last], 53)));
        let zones: Vec<ZoneName> = ["a.test", "b.test"].map(|name| name.parse().unwrap()).into();
        for zone in &zones {
            let www =
                RecordSet::new(format!("www.{zone}").parse().unwrap(), RecordType::A, 60, ["192.0.2.10"]);
            let lags = [(second, Duration::from_secs(2)), (resolver, Duration::from_secs(61))];
            sim.put_zone(zone, primary, &lags, &[www]);
        }
        let set = json!({ "owner": "www.@", "type": "A", "rdata": ["198.51.100.7"] });
        let mut request = json!({
            "zones": zones, "sets": [set], "servers": [primary.to_string(), second.to_string()],
            "resolvers": [resolver.to_string()], "dry_run": true,
        });
        let planned = called(&sim, request.clone()).await.unwrap();
        assert_eq!((&planned["changed"], &planned["verified"]), (&json!(true), &Value::Null));
        assert_eq!(planned["plan"]["steps"].as_array().unwrap().len(), 4, "{planned:#}");
        request["dry_run"] = json!(false);
        let done = called(&sim, request.clone()).await.unwrap();
        assert_eq!(
            (&done["outcome"], &done["verified"]["zones"]),
            (&json!("new"), &json!(zones)),
            "{done:#}"
        );
        assert_eq!(done["settled"]["resolvers"], json!([resolver.to_string()]));
        for zone in &zones {
            let key = RecordKey::new(format!("www.{zone}").parse().unwrap(), RecordType::A);
            assert_eq!(sim.records(zone, &key).unwrap().to_string(), format!("www.{zone} 60 A 198.51.100.7"));
        }
        assert_eq!(called(&sim, request.clone()).await.unwrap()["changed"], json!(false));
        // One server is cut off: it is named, and nothing is verified.
        sim.cut("192.0.2.2");
        request["sets"][0]["rdata"] = json!(["198.51.100.8"]);
        let stopped = called(&sim, request.clone()).await.unwrap();
        assert_eq!((&stopped["outcome"], stopped.get("verified")), (&json!("stopped"), None), "{stopped:#}");
        assert!(stopped["report"]["findings"].to_string().contains("run.change_not_shown"), "{stopped:#}");
        request["sets"][0]["owner"] = json!("www.other.test");
        assert_eq!(called(&sim, request).await.unwrap_err().kind(), ErrorKind::Usage);
    }
}
