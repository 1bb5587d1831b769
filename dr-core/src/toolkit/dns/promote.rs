//! A secondary takes the primary's place: checks, configuration, and the first change it makes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use super::change::{ChangeOptions, ChangePlan};
use super::gather::Round;
use super::{ZONES_AT_ONCE, plan};
use crate::dns::{
    Configuration, Depth, Parts, Server, Software, Wish, ZoneFacts, ZoneSpec, followers, next_serial,
    promotable, reachable, summary,
};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::DnsName;
use crate::report::{Report, code};
use crate::time::Period;
use crate::toolkit::Toolkit;
use crate::world::Control;

/// How a secondary takes the primary's place.
///
/// ```
/// use dr_core::toolkit::PromoteOptions;
/// assert!(!PromoteOptions::default().installed, "first the configuration");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromoteOptions {
    /// What each server runs, by the name that the operator gives it; the others are asked.
    pub software: BTreeMap<String, Software>,
    /// The primary is still there: the others are only to learn to follow the secondary too, should it be promoted one day.
    pub prepare: bool,
    /// The configuration is in place: the zones are changed at the new primary, and everybody has to follow.
    pub installed: bool,
    /// Go on though another server has a newer version, whose changes are lost then.
    pub lose_changes: bool,
    /// The new primary's name in the SOA records; if not said, the operator's name for it where the NS records have that, else as it is.
    pub mname: Option<DnsName>,
    /// How long to wait for all servers.
    pub within: Option<Period>,
}

/// What it takes for a secondary to become the primary.
///
/// ```
/// # fn shown(promotion: &dr_core::toolkit::Promotion) {
/// for written in &promotion.configurations {
///     println!("{}:\n{}", written.server, written.text);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Promotion {
    /// Whether the secondary is fit for it, and who would not follow.
    pub report: Report,
    /// What has to stand in the configuration of each server whose software is known, the new primary's first.
    pub configurations: Vec<Configuration>,
    /// Servers whose software is not known: theirs has to be written by hand.
    pub unknown: Vec<String>,
    /// With `installed`, the change by which everybody is seen to follow.
    pub change: Option<ChangePlan>,
}

impl Toolkit {
    /// Looks whether the server at `standby_primary` of each zone could be its primary, and writes the configuration by which it is, and by
    /// which the others follow it. All zones must have the same server there. Nothing is changed.
    ///
    /// Once the configuration is in place, the same with `installed` plans the first change at the new primary: the serial is raised
    /// above every version that is anywhere, by 1,000, with the new primary's name in the SOA record; and then the wait until every server
    /// that answers shows it. [`Toolkit::apply`] applies that.
    ///
    /// Fails with `Refused` if `installed` and a server has a newer version than the new primary, unless `lose_changes`; and with `NotFound` if
    /// the new primary does not serve a zone.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit, mut spec: dr_core::dns::ZoneSpec) -> dr_core::Result<()> {
    /// use dr_core::toolkit::PromoteOptions;
    /// use dr_core::world::Control;
    /// spec.standby_primary = Some("192.0.2.2:53".parse().unwrap());
    /// let promotion = toolkit.plan_promotion(&[spec], &PromoteOptions::default(), &Control::silent()).await?;
    /// println!("{:?}", promotion.report.verdict());
    /// # Ok(()) }
    /// ```
    pub async fn plan_promotion(
        &self,
        specs: &[ZoneSpec],
        options: &PromoteOptions,
        control: &Control,
    ) -> Result<Promotion> {
        let operation = "promote a secondary";
        let standby = standby_of(specs)
            .map_err(|(why, hint)| Error::new(ErrorKind::Usage, operation, why).hint(hint))?;
        control.run(operation, self.promotion(specs, &standby, options)).await
    }

    async fn promotion(
        &self,
        specs: &[ZoneSpec],
        standby: &Server,
        options: &PromoteOptions,
    ) -> Result<Promotion> {
        let at = self.world.clock.read().wall;
        let round = Round::of_many(&self.world);
        let looked = stream::iter(specs).map(|spec| look(&round, spec)).buffered(ZONES_AT_ONCE);
        let facts: Vec<ZoneFacts> = looked.collect().await;
        let reports = facts.iter().map(promotable).collect();
        let title = match specs {
            [spec] => format!("promote {} for {}", standby.name, spec.zone),
            many => format!("promote {} for {} zones", standby.name, many.len()),
        };
        let report = summary(&title, at, reports).judged(&self.estate.policy.severity);
        let parts = parts(specs, standby, options.prepare);
        let software = software(&round, specs, standby, &parts, &options.software).await;
        let configurations = parts.configurations(|server| software.get(&server.address).copied());
        let everybody = parts.followers.iter().chain([&parts.primary]);
        let unknown = everybody.filter(|server| !software.contains_key(&server.address));
        let unknown = unknown.map(|server| server.name.clone()).collect();
        let change = if options.installed && !options.prepare {
            Some(self.first_change(&facts, standby, &report, options).await?)
        } else {
            None
        };
        Ok(Promotion { report, configurations, unknown, change })
    }

    /// The serial is raised; who answers has to follow.
    async fn first_change(
        &self,
        facts: &[ZoneFacts],
        standby: &Server,
        report: &Report,
        options: &PromoteOptions,
    ) -> Result<ChangePlan> {
        let operation = format!("promote {}", standby.name);
        let behind = report.findings.iter().find(|finding| finding.code == code::DNS_STANDBY_BEHIND);
        if let Some(behind) = behind.filter(|_| !options.lose_changes) {
            let hint = "promote the server that is ahead, or give up its changes with --lose-changes";
            return Err(Error::new(ErrorKind::Refused, operation, behind.message.clone()).hint(hint));
        }
        let mut wishes = Vec::with_capacity(facts.len());
        for facts in facts {
            let set = next_serial(facts, options.mname.as_ref()).ok_or_else(|| {
                let why = format!("{standby} does not answer for {} with authority", facts.spec.zone);
                Error::new(ErrorKind::NotFound, operation.as_str(), why)
                    .hint("install its configuration first; without --installed dr writes it")
            })?;
            // Who is silent now cannot be waited for; the report names it.
            let spec =
                ZoneSpec { primary: Some(standby.address), servers: reachable(facts), ..facts.spec.clone() };
            wishes.push((spec, vec![Wish::Have(set)]));
        }
        let how = ChangeOptions { within: options.within, ..ChangeOptions::default() };
        plan::changes(&self.world, &self.estate.policy.notify, &wishes, &how).await
    }
}

/// Where a zone stands, and who would follow.
async fn look(round: &Round<'_>, spec: &ZoneSpec) -> ZoneFacts {
    let spec = ZoneSpec { depth: Depth::Records, ..spec.clone() };
    let mut facts = round.zone(&spec).await;
    facts.probes.extend(round.drill(&spec).await);
    facts
}

/// The one server that all zones have in view.
fn standby_of(specs: &[ZoneSpec]) -> Result<Server, (String, &'static str)> {
    let mut all = BTreeSet::new();
    for spec in specs {
        let named = spec.standby_primary.ok_or_else(|| {
            (
                format!("nobody says which server is to be the primary of {}", spec.zone),
                "name one of its servers",
            )
        })?;
        let server =
            spec.servers.iter().find(|server| server.address == named).ok_or_else(|| {
                (format!("{named} is no server of {}", spec.zone), "name one of its servers")
            })?;
        all.insert(server.clone());
    }
    match (all.pop_first(), all.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(("no zone was named".to_owned(), "name one")),
        _ => {
            Err(("the zones do not have the same server in view".to_owned(), "promote one server at a time"))
        }
    }
}

fn parts(specs: &[ZoneSpec], standby: &Server, prepare: bool) -> Parts {
    let followers: BTreeSet<Server> = specs.iter().flat_map(followers).collect();
    let old = |spec: &ZoneSpec| {
        let primary = spec.primary.filter(|primary| *primary != standby.address)?;
        let named = spec.servers.iter().find(|server| server.address == primary).cloned();
        Some(named.unwrap_or_else(|| Server { name: primary.to_string(), address: primary }))
    };
    Parts {
        zones: specs.iter().map(|spec| spec.zone.clone()).collect(),
        primary: standby.clone(),
        followers: followers.into_iter().collect(),
        key: specs.iter().find_map(|spec| spec.update_key.clone()),
        beside: specs.iter().find_map(old).filter(|_| prepare),
    }
}

/// What each server runs: as was said, else as it says itself.
async fn software(
    round: &Round<'_>,
    specs: &[ZoneSpec],
    standby: &Server,
    parts: &Parts,
    said: &BTreeMap<String, Software>,
) -> BTreeMap<SocketAddr, Software> {
    let Some(spec) = specs.first() else { return BTreeMap::new() };
    let each = parts.followers.iter().chain([standby]).map(async |server| {
        let known = match said.get(&server.name) {
            Some(software) => Some(*software),
            None => round.software(spec, server).await,
        };
        known.map(|software| (server.address, software))
    });
    join_all(each).await.into_iter().flatten().collect()
}
