//! `promote_secondary`: a secondary in the primary's place.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::named_servers;
use super::records::names_of;
use crate::dns::{Configuration, Server, Software, ZoneSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, ZoneName, server_address};
use crate::plan::Plan;
use crate::report::Report;
use crate::run::{Outcome, RunId, Verified};
use crate::time::Period;
use crate::toolkit::{PromoteOptions, Toolkit};
use crate::world::Control;

/// The request of `promote_secondary`.
///
/// ```
/// use dr_core::toolkit::PromoteSecondary;
/// let request: PromoteSecondary = serde_json::from_str(r#"{"zones": ["example.org"], "to": "ns2"}"#).unwrap();
/// assert!(!request.installed, "first the configuration is written");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteSecondary {
    /// The zones.
    pub zones: Vec<ZoneName>,
    /// The server that becomes the primary, by its name or address; the estate's `standby_primary` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Their name servers, each `NAME=ADDRESS` or an address; with none, those of the estate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// The address of the primary, lost or not; the estate's if not said, or the first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The name of the TSIG key that signs changes and transfers, if it is not the one in the estate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_key: Option<DnsName>,
    /// What each server runs, by its name; the others are asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub software: BTreeMap<String, Software>,
    /// The primary is still there: the others are to learn to follow the secondary too.
    #[serde(default)]
    pub prepare: bool,
    /// The configuration is in place: raise the serial at the new primary, and wait until every server that answers follows.
    #[serde(default)]
    pub installed: bool,
    /// Go on though another server has a newer version.
    #[serde(default)]
    pub lose_changes: bool,
    /// The new primary's name in the SOA records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mname: Option<DnsName>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// How long to wait for all name servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The answer of `promote_secondary`.
///
/// ```
/// # fn told(promoted: &dr_core::toolkit::SecondaryPromoted) {
/// for written in &promoted.configurations {
///     println!("{}", written.text);
/// }
/// # }
/// ```
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[must_use]
pub struct SecondaryPromoted {
    /// Whether it is fit for it, who would not follow, and who did not.
    pub report: Report,
    /// What has to stand in the configuration of each server, the new primary's first.
    pub configurations: Vec<Configuration>,
    /// Servers whose software is not known.
    pub unknown: Vec<String>,
    /// Whether anything was, or with `dry_run` would be, changed.
    pub changed: bool,
    /// Which run of the journal it was; none if nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The proof that every server that answers follows the new primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// The plan, with `dry_run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

impl PromoteSecondary {
    /// The zones with the server that is meant at `standby_primary`.
    fn specs(&self, toolkit: &Toolkit) -> Result<Vec<ZoneSpec>> {
        let usage = |why: String| Error::new(ErrorKind::Usage, "promote a secondary", why);
        let servers = named_servers(&self.servers).map_err(usage)?;
        let spec = |zone: &ZoneName| {
            let mut spec = match servers.as_slice() {
                [] => ZoneSpec::from_estate(&toolkit.estate, zone)?,
                servers => ZoneSpec::new(zone.clone(), servers.to_vec()),
            };
            let primary = self.primary.as_deref().map(server_address).transpose().map_err(usage)?;
            spec.primary = primary.or(spec.primary).or_else(|| servers.first().map(|server| server.address));
            spec.update_key = self.update_key.clone().or(spec.update_key);
            if let Some(to) = &self.to {
                spec.standby_primary = Some(spec.server_called(to).map_err(usage)?.address);
            }
            Ok(spec)
        };
        self.zones.iter().map(spec).collect()
    }
}

impl ZoneSpec {
    /// The server of this name or address.
    ///
    /// ```
    /// use dr_core::dns::ZoneSpec;
    /// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec!["ns2=192.0.2.2".parse().unwrap()]);
    /// assert_eq!(spec.server_called("192.0.2.2").unwrap().name, "ns2");
    /// assert!(spec.server_called("ns9").unwrap_err().contains("ns2"));
    /// ```
    pub fn server_called(&self, to: &str) -> Result<&Server, String> {
        let address = server_address(to).ok();
        let found = self.servers.iter().find(|server| server.name == to || Some(server.address) == address);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.servers.iter().map(|server| server.name.as_str()).collect();
            format!("'{}' is no server of {}: it has {}", to.escape_debug(), self.zone, names.join(", "))
        })
    }
}

impl Toolkit {
    pub(super) async fn promote_secondary(
        &self,
        request: PromoteSecondary,
        control: &Control,
    ) -> Result<SecondaryPromoted> {
        let specs = request.specs(self)?;
        let options = PromoteOptions {
            software: request.software,
            prepare: request.prepare,
            installed: request.installed,
            lose_changes: request.lose_changes,
            mname: request.mname,
            within: request.within,
        };
        let promotion = self.plan_promotion(&specs, &options, control).await?;
        let mut answer = SecondaryPromoted {
            report: promotion.report,
            configurations: promotion.configurations,
            unknown: promotion.unknown,
            changed: promotion.change.as_ref().is_some_and(|change| !change.plan.is_empty()),
            run: None,
            outcome: None,
            verified: None,
            plan: None,
        };
        let Some(change) = promotion.change else { return Ok(answer) };
        if request.dry_run {
            answer.plan = Some(change.plan);
        } else if answer.changed {
            let applied = self.apply(&change.plan, &super::asker(request.by), control).await?;
            answer.report.absorb(applied.report);
            if applied.verified.is_none() {
                answer.report.findings.extend(self.stragglers(&change.plan, &names_of(specs.iter())).await);
            }
            (answer.run, answer.outcome) = (Some(applied.run), Some(applied.outcome));
            answer.verified = applied.verified;
        }
        Ok(answer)
    }
}
