//! Who moved what, when and why, and what the guards said: from the journal, whose lines are chained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::estate::SiteId;
use crate::plan::{Grounds, Plan, Step};
use crate::report::Report;
use crate::run::{Event, Line, Outcome, RunId};
use crate::time::Timestamp;
use crate::toolkit::Toolkit;

/// One move of a site, as the journal tells of it.
///
/// ```
/// let why = serde_json::from_str::<dr_core::toolkit::Move>("{}").unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The run.
    pub run: RunId,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// The sites that it moves.
    pub sites: Vec<SiteId>,
    /// What it is for.
    pub title: String,
    /// What the guards said, what was overridden, and why; none for a run of a dr that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Grounds>,
    /// How it ended; none while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Everything that was recorded, each line with the digest of the one before.
    pub lines: Vec<Line>,
}

/// The moves there were, and whether the journal is as it was written.
///
/// ```
/// let audit: dr_core::toolkit::FailoverAudit = serde_json::from_str(r#"{"moves": []}"#).unwrap();
/// assert!(audit.moves.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailoverAudit {
    /// Oldest first.
    pub moves: Vec<Move>,
    /// What is wrong with the journal, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// The request of `failover_audit`.
///
/// ```
/// let request: dr_core::toolkit::AuditFailover = serde_json::from_str("{}").unwrap();
/// assert!(request.site.is_none() && !request.verify);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditFailover {
    /// Only moves of this site.
    pub site: Option<SiteId>,
    /// Whether the chain of the whole journal is checked, too.
    pub verify: bool,
}

impl Toolkit {
    /// Every move of a site that was begun on this machine, oldest first: who asked for it, why, what the guards said and which were
    /// overridden, and what came of it. With `verify` the chain over the whole journal is checked as well.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use dr_core::toolkit::{AuditFailover, Toolkit};
    /// use dr_core::world::sim::SimWorld;
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let audit = toolkit.failover_audit(&AuditFailover { verify: true, ..Default::default() }).await.unwrap();
    /// assert!(audit.moves.is_empty() && audit.report.unwrap().findings.is_empty());
    /// # });
    /// ```
    pub async fn failover_audit(&self, request: &AuditFailover) -> Result<FailoverAudit> {
        let mut moves = vec![];
        for summary in self.runs().await? {
            let (plan, lines) = match self.world.journal.load(summary.run).await {
                Ok(loaded) => loaded,
                // What cannot be read is told by the check of the journal.
                Err(_) if request.verify => continue,
                Err(why) => return Err(why),
            };
            let sites = moved(&plan);
            if sites.is_empty() || request.site.as_ref().is_some_and(|site| !sites.contains(site)) {
                continue;
            }
            let by = lines.iter().find_map(|line| match &line.event {
                Event::PlanRecorded { by, .. } => Some(by.clone()),
                _ => None,
            });
            moves.push(Move {
                run: summary.run,
                at: summary.at,
                by: by.unwrap_or_default(),
                sites,
                title: plan.title,
                grounds: plan.grounds,
                outcome: summary.outcome,
                lines,
            });
        }
        moves.reverse();
        let report = if request.verify { Some(self.audit().await?) } else { None };
        Ok(FailoverAudit { moves, report })
    }
}

/// The sites that a plan moves: as it says, or whose epoch it raises.
fn moved(plan: &Plan) -> Vec<SiteId> {
    let mut sites: Vec<SiteId> = plan.grounds.iter().flat_map(|grounds| grounds.sites.clone()).collect();
    sites.extend(plan.steps.iter().filter_map(|planned| match &planned.step {
        Step::RaiseEpoch(raise) => Some(raise.site.clone()),
        _ => None,
    }));
    sites.sort();
    sites.dedup();
    sites
}
