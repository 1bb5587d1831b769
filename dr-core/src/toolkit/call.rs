//! The verbs by name, with JSON in and out: what every other language stands on, so that all of them offer the same.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Toolkit;
use crate::dns::{Server, ZoneSpec, canonical_set};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordSet, ZoneName, server_address};
use crate::world::Control;

/// A verb as every language offers it: its name, and the types of its request and its answer (docs/schema).
///
/// ```
/// use dr_core::toolkit::OPERATIONS;
/// assert!(OPERATIONS.iter().any(|operation| operation.name == "check_zone"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in all languages.
    pub name: &'static str,
    /// The type of its request.
    pub request: &'static str,
    /// The type of its answer.
    pub answer: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// Every verb that can be called by name.
pub const OPERATIONS: &[Operation] = &[Operation {
    name: "check_zone",
    request: "CheckZone",
    answer: "Report",
    summary: "ask every name server of a zone whether it would send visitors to the right host",
}];

/// The request of `check_zone`.
///
/// ```
/// use dr_core::toolkit::CheckZone;
/// let request: CheckZone = serde_json::from_str(r#"{"zone": "example.org", "servers": ["ns1=192.0.2.1"]}"#).unwrap();
/// assert_eq!(request.servers, ["ns1=192.0.2.1"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckZone {
    /// The zone.
    pub zone: ZoneName,
    /// Its name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The address of its primary, against which serials are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The names whose address records a failover moves; the apex and `www` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Vec<DnsName>>,
    /// Further record sets that must agree on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordKey>,
    /// Record sets that must be just so on every server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<RecordSet>,
}

impl Toolkit {
    /// Calls a verb by its name in [`OPERATIONS`]: a request in JSON goes in, an answer in JSON comes out.
    ///
    /// ```
    /// use dr_core::toolkit::{Toolkit, blocking};
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let control = Control::silent();
    /// let error = blocking(toolkit.call_json("chek_zone", "{}", &control), &control, || true).unwrap_err();
    /// assert_eq!(error.advice(), Some("there is check_zone"));
    /// ```
    pub async fn call_json(&self, operation: &str, request: &str, control: &Control) -> Result<String> {
        match operation {
            "check_zone" => {
                let spec = self.zone_spec(understood(operation, request)?)?;
                written(operation, &self.check_zone(&spec, control).await?)
            }
            _ => {
                let known: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
                let what = format!("call '{}'", operation.escape_debug());
                Err(Error::new(ErrorKind::Usage, what, "there is no such operation")
                    .hint(format!("there is {}", known.join(", "))))
            }
        }
    }

    fn zone_spec(&self, request: CheckZone) -> Result<ZoneSpec> {
        let operation = format!("check zone {}", request.zone);
        let usage = |why: String| Error::new(ErrorKind::Usage, operation.clone(), why);
        let mut spec = if request.servers.is_empty() {
            ZoneSpec::from_estate(&self.estate, &request.zone)?
        } else {
            let servers: Result<Vec<Server>, String> =
                request.servers.iter().map(|text| text.parse()).collect();
            ZoneSpec::new(request.zone, servers.map_err(usage)?)
        };
        if let Some(primary) = request.primary {
            spec.primary = Some(server_address(&primary).map_err(usage)?);
        }
        if let Some(moving) = request.moving {
            spec.moving = moving;
        }
        spec.records.extend(request.records);
        for set in &request.expect {
            spec.expect.push(canonical_set(set, &operation)?);
        }
        Ok(spec)
    }
}

fn understood<T: DeserializeOwned>(operation: &str, request: &str) -> Result<T> {
    serde_json::from_str(request).map_err(|error| {
        let why = format!("the request is not as it should be: {error}");
        Error::new(ErrorKind::Usage, format!("call {operation}"), why)
    })
}

fn written(operation: &str, answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("call {operation}"), "the answer could not be written")
            .caused_by(error)
    })
}
