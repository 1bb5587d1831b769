//! `transfer_zone`: a zone as a name server has it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dns::{Serial, TransferLimits, Transferred, ZoneRecord, ZoneSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, ZoneName, server_address};
use crate::toolkit::Toolkit;
use crate::world::Control;

/// The request of `transfer_zone`.
///
/// ```
/// use dr_core::toolkit::TransferZone;
/// let request: TransferZone = serde_json::from_str(r#"{"zone": "example.org", "server": "192.0.2.1", "since": 7}"#).unwrap();
/// assert_eq!((request.key, request.since), (None, Some(7)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferZone {
    /// The zone.
    pub zone: ZoneName,
    /// The address of the server; the estate's primary if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The name of the TSIG key that signs the question and must sign the answer; the zone's update key if neither it nor a server is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DnsName>,
    /// Only what changed since this version, where the server keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u32>,
}

/// The answer of `transfer_zone`: a zone, or what changed in it.
///
/// ```
/// # fn told(zone: &dr_core::toolkit::ZoneTransferred) {
/// println!("version {}: {} records", zone.serial, zone.records.len());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct ZoneTransferred {
    /// The newest version that came.
    pub serial: u32,
    /// Whether it is the whole zone; if not, what changed stands in `changes`.
    pub whole: bool,
    /// Every record as a line of a zone file, the SOA record first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// What changed, oldest first; empty if the server has nothing newer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ZoneDifference>,
}

/// One step from a version of a zone to a newer one.
///
/// ```
/// # fn told(step: &dr_core::toolkit::ZoneDifference) {
/// println!("{} to {}: {} records are new", step.from, step.to, step.new.len());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneDifference {
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// Records that are no longer there, as lines of a zone file.
    pub gone: Vec<String>,
    /// Records that are new.
    pub new: Vec<String>,
}

impl From<Transferred> for ZoneTransferred {
    fn from(transferred: Transferred) -> Self {
        const SOA: u16 = 6;
        let lines =
            |records: &BTreeSet<ZoneRecord>| records.iter().map(ToString::to_string).collect::<Vec<_>>();
        match transferred {
            Transferred::Whole { serial, records } => {
                let (first, rest): (BTreeSet<ZoneRecord>, _) =
                    records.into_iter().partition(|record| record.rtype == SOA);
                let records = [lines(&first), lines(&rest)].concat();
                Self { serial: serial.0, whole: true, records, changes: vec![] }
            }
            Transferred::Changes { steps } => {
                let serial = steps.last().map_or(0, |step| step.to.0);
                let step = |step: &crate::dns::Difference| ZoneDifference {
                    from: step.from.0,
                    to: step.to.0,
                    gone: lines(&step.gone),
                    new: lines(&step.new),
                };
                Self { serial, whole: false, records: vec![], changes: steps.iter().map(step).collect() }
            }
            Transferred::UpToDate { serial } => {
                Self { serial: serial.0, whole: false, records: vec![], changes: vec![] }
            }
        }
    }
}

impl Toolkit {
    /// The zone as a name server has it (AXFR, RFC 5936), or with `since` what changed since that version (IXFR, RFC 1995). Signed and
    /// verified with the key that the request names; its secret is the estate's, or one that the toolkit was opened with.
    ///
    /// Fails with `Rejected` if the server says no, or if its answer is not signed as it must be: nothing of such an answer is given.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::world::Control;
    /// let request = serde_json::from_str(r#"{"zone": "example.org", "server": "192.0.2.1"}"#).unwrap();
    /// println!("{}", toolkit.transfer_zone(&request, &Control::silent()).await?.records.join("\n"));
    /// # Ok(()) }
    /// ```
    pub async fn transfer_zone(&self, request: &TransferZone, control: &Control) -> Result<ZoneTransferred> {
        let zone = &request.zone;
        let operation = format!("transfer {zone}");
        let usage = |why: String| Error::new(ErrorKind::Usage, operation.clone(), why);
        let (server, key) = match &request.server {
            Some(server) => (server_address(server).map_err(usage)?, request.key.clone()),
            None => {
                let spec = ZoneSpec::from_estate(&self.estate, zone)?;
                let first = spec.servers.first().map(|server| server.address);
                let server =
                    spec.primary.or(first).ok_or_else(|| usage("the zone has no server".to_owned()))?;
                (server, request.key.clone().or(spec.update_key))
            }
        };
        let (since, limits) = (request.since.map(Serial), TransferLimits::default());
        let asked = self.world.provider.transfer(zone, server, key.as_ref(), since, limits);
        control.run(&operation, asked).await.map(ZoneTransferred::from)
    }
}
