//! Changing records, from the wish to the proof.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::{StreamExt, stream};

use super::plan;
use super::steps::dissent;
use crate::dns::{Agreement, Prediction, Wish, ZoneSpec};
use crate::error::Result;
use crate::plan::{Plan, Step};
use crate::report::{Finding, Subject, code};
use crate::time::Period;
use crate::toolkit::Toolkit;
use crate::world::Control;

/// So many zones' servers are asked at a time.
const ZONES_AT_ONCE: usize = 64;

/// How a change of records is carried out.
///
/// ```
/// use dr_core::toolkit::ChangeOptions;
/// let patient = ChangeOptions { settle: true, ..ChangeOptions::default() };
/// assert_eq!(patient.within, None, "as long as the prediction says, and two minutes at least");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeOptions {
    /// How long to wait for all name servers; if not said, twice what is predicted, and two minutes at least.
    pub within: Option<Period>,
    /// Afterwards wait until no resolver can remember what was before.
    pub settle: bool,
    /// Resolvers to be asked at the end of that; with any, `settle` is meant too.
    pub resolvers: Vec<SocketAddr>,
    /// Of many zones so many a second at most.
    pub per_second: Option<u32>,
    /// Each zone's change also writes a random word into `_dr-change.ZONE TXT`. Whether a change that nobody answered was made, and whether
    /// it was this one and not somebody else's of the same content, is then read from the zone itself.
    pub mark: bool,
}

/// A change that was planned, and how long it will take.
///
/// ```
/// # fn shown(planned: &dr_core::toolkit::ChangePlan) {
/// println!("{} steps; {}", planned.plan.steps.len(), planned.prediction);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ChangePlan {
    /// The plan; empty if everything is so already.
    pub plan: Plan,
    /// How long it will take.
    pub prediction: Prediction,
}

impl Toolkit {
    /// Plans a change of record sets in one zone or many: for each zone one signed message to its primary that is taken only if everything
    /// there is still as it was read now, then the wait until every name server of every zone shows it, then, if `options` want it, until
    /// no resolver can remember what was before. What is so already is left out; a plan without steps means that nothing has to be done.
    ///
    /// The primary and the key are those of each `ZoneSpec`. With one zone the change is all or nothing; of many, each zone is changed by
    /// itself. Fails with `Refused` where the change would be ignored by the primary, because the name is an alias.
    ///
    /// [`Toolkit::apply`] applies the plan, and [`Applied::verified`](crate::toolkit::Applied::verified) says whether every server shows it; [`Toolkit::undo`] takes it back
    /// where the zones are still as this plan left them.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit, spec: dr_core::dns::ZoneSpec) -> dr_core::Result<()> {
    /// use dr_core::dns::Wish;
    /// use dr_core::toolkit::ChangeOptions;
    /// use dr_core::world::Control;
    /// use dr_core::{RecordSet, RecordType};
    /// let wish = Wish::Have(RecordSet::new("www.example.org".parse().unwrap(), RecordType::A, 60, ["198.51.100.1"]));
    /// let planned = toolkit.plan_change(&[(spec, vec![wish])], &ChangeOptions::default(), &Control::silent()).await?;
    /// println!("{}", planned.prediction);
    /// let applied = toolkit.apply(&planned.plan, "ann", &Control::silent()).await?;
    /// assert!(applied.verified.is_some(), "{:?}", toolkit.stragglers(&planned.plan, &Default::default()).await);
    /// # Ok(()) }
    /// ```
    pub async fn plan_change(
        &self,
        wishes: &[(ZoneSpec, Vec<Wish>)],
        options: &ChangeOptions,
        control: &Control,
    ) -> Result<ChangePlan> {
        let operation = match wishes {
            [(spec, _)] => format!("plan a change of zone {}", spec.zone),
            many => format!("plan a change of {} zones", many.len()),
        };
        control.run(&operation, plan::changes(&self.world, &self.estate.policy.notify, wishes, options)).await
    }

    /// Which name servers do not show what a plan changes, a finding each, with what they lack. `names` are those that the operator knows
    /// servers by; without one, a server is called by its address.
    pub async fn stragglers(&self, plan: &Plan, names: &BTreeMap<SocketAddr, String>) -> Vec<Finding> {
        let of = plan.steps.iter().flat_map(|planned| match &planned.step {
            Step::AwaitAgreement(agreement) => std::slice::from_ref(agreement),
            Step::AwaitAgreements(all) => &all.zones,
            _ => &[],
        });
        let asked: Vec<(SocketAddr, &Agreement)> = of
            .filter(|agreement| !agreement.resolvers)
            .flat_map(|agreement| agreement.servers.iter().map(move |server| (*server, agreement)))
            .collect();
        let asked = stream::iter(asked).map(async |(server, agreement)| {
            let says = dissent(&self.world, server, agreement).await?;
            Some((server, agreement.zone.as_str(), says))
        });
        let said: Vec<Option<(SocketAddr, &str, String)>> = asked.buffered(ZONES_AT_ONCE).collect().await;
        let mut behind: BTreeMap<SocketAddr, (Vec<&str>, String)> = BTreeMap::new();
        for (server, zone, says) in said.into_iter().flatten() {
            behind.entry(server).or_insert_with(|| (vec![], says)).0.push(zone);
        }
        let finding = |(server, (zones, says)): (SocketAddr, (Vec<&str>, String))| {
            let name = names.get(&server).cloned().unwrap_or_else(|| server.to_string());
            let message = match zones.len() {
                1 => says,
                many => format!("{says} ({many} zones)"),
            };
            let few = zones.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            Finding::new(code::RUN_CHANGE_NOT_SHOWN, Subject::new("server", name), message)
                .with("address", server)
                .with("zones", if zones.len() > 10 { format!("{few}, …") } else { few })
        };
        behind.into_iter().map(finding).collect()
    }
}
