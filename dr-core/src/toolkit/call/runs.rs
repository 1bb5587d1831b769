//! The verbs of failover and of runs by name.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Done, asker, understood, written};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{GroupId, HostId, SiteId};
use crate::failover::GuardName;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::RunId;
use crate::toolkit::{Applied, AuditFailover, FailoverOptions, Together, Toolkit, now};
use crate::world::{Control, RunSummary};

/// The request of `failover_status`.
///
/// ```
/// let request: dr_core::toolkit::FailoverStatus = serde_json::from_str("{}").unwrap();
/// assert!(request.sites.is_empty(), "all of the estate");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailoverStatus {
    /// Which sites; all of the estate if none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
}

/// The request of `failover`.
///
/// ```
/// use dr_core::toolkit::FailOver;
/// let request: FailOver = serde_json::from_str(r#"{"site": "shop", "dry_run": true}"#).unwrap();
/// assert!(!request.planned && request.despite.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailOver {
    /// The site; none to move many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// Everything that this host holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// Everything of this group of the estate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Of many, no more than so many are begun in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// Both hosts are well: mirror a last time first. Without it nothing is asked of the old home.
    #[serde(default)]
    pub planned: bool,
    /// Guards that are overridden, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub despite: BTreeSet<GuardName>,
    /// Why the site is moved; needed to override a guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The host that the site is moved away from; the home in the estate if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<HostId>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `failback`.
///
/// ```
/// let request: dr_core::toolkit::BringBack = serde_json::from_str(r#"{"site": "shop"}"#).unwrap();
/// assert!(!request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BringBack {
    /// The site.
    pub site: SiteId,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `apply_plan`.
///
/// ```
/// use dr_core::toolkit::ApplyPlan;
/// let request: ApplyPlan = serde_json::from_str(
///     r#"{"plan": {"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": []}}"#,
/// ).unwrap();
/// assert!(request.plan.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyPlan {
    /// The plan, as a dry run gave it.
    pub plan: Plan,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `list_runs`.
///
/// ```
/// let request: dr_core::toolkit::ListRuns = serde_json::from_str("{}").unwrap();
/// assert_eq!(request.run, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListRuns {
    /// Only this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// The answer of `list_runs`.
///
/// ```
/// assert!(dr_core::toolkit::Runs::default().runs.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Newest first.
    pub runs: Vec<RunSummary>,
}

/// The request of `resume_run` and `undo_run`.
///
/// ```
/// let request: dr_core::toolkit::GoOn = serde_json::from_str(r#"{"run": "0707070707070707"}"#).unwrap();
/// assert_eq!(request.run.to_string(), "0707070707070707");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoOn {
    /// Which run.
    pub run: RunId,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Toolkit {
    /// Calls a verb of failover or of runs; none if it is no verb of theirs.
    pub(super) async fn call_runs(
        &self,
        operation: &str,
        request: &str,
        control: &Control,
    ) -> Option<Result<String>> {
        self.called(operation, request, control).await.transpose()
    }

    async fn called(&self, operation: &str, request: &str, control: &Control) -> Result<Option<String>> {
        let what = format!("the request of {operation}");
        Ok(Some(match operation {
            "failover_status" => written(&self.all_failover(understood(&what, request)?, control).await?)?,
            "failover" => {
                let asked: FailOver = understood(&what, request)?;
                let (dry_run, by) = (asked.dry_run, asked.by.clone());
                let plan = self.plan_asked(asked, control).await?;
                written(&self.carry_out(plan, dry_run, by, control).await?)?
            }
            "failback" => {
                let BringBack { site, dry_run, by } = understood(&what, request)?;
                let plan = self.plan_failback(&site, control).await?;
                written(&self.carry_out(plan, dry_run, by, control).await?)?
            }
            "apply_plan" => {
                let ApplyPlan { plan, by } = understood(&what, request)?;
                written(&self.carry_out(plan, false, by, control).await?)?
            }
            "failover_audit" => {
                let request: AuditFailover = understood(&what, request)?;
                written(&self.failover_audit(&request).await?)?
            }
            "list_runs" => {
                let asked: ListRuns = understood(&what, request)?;
                let wanted = |run: &RunSummary| asked.run.is_none_or(|only| run.run == only);
                let runs = self.runs().await?.into_iter().filter(wanted).collect();
                written(&Runs { runs })?
            }
            "resume_run" => {
                let GoOn { run, by } = understood(&what, request)?;
                written(&done(self.resume(run, &asker(by), control).await?))?
            }
            "undo_run" => {
                let GoOn { run, by } = understood(&what, request)?;
                written(&done(self.undo(run, &asker(by), control).await?))?
            }
            _ => return Ok(None),
        }))
    }

    async fn plan_asked(&self, asked: FailOver, control: &Control) -> Result<Plan> {
        let FailOver { site, host, group, per_second, planned, despite, why, from, .. } = asked;
        let options = FailoverOptions { planned, despite, why, from };
        let which = match (site, host, group) {
            (Some(site), None, None) => return self.plan_failover(&site, &options, control).await,
            (None, Some(host), None) => Together::Host(host),
            (None, None, Some(group)) => Together::Group(group),
            _ => {
                let why = "it takes a site, a host or a group, and one of them only";
                return Err(
                    Error::new(ErrorKind::Usage, "plan a failover", why).hint("name what is to be moved")
                );
            }
        };
        self.plan_failovers(&which, &options, per_second, control).await
    }

    async fn all_failover(&self, asked: FailoverStatus, control: &Control) -> Result<Report> {
        let sites = match asked.sites.is_empty() {
            true => self.estate.sites.keys().cloned().collect(),
            false => asked.sites,
        };
        let mut report = Report::new("failover status", now());
        for site in &sites {
            report.absorb(self.failover_status(site, control).await?);
        }
        Ok(report.judged(&self.estate.policy.severity))
    }

    /// What is planned is shown, or done.
    pub(super) async fn carry_out(
        &self,
        plan: Plan,
        dry_run: bool,
        by: Option<String>,
        control: &Control,
    ) -> Result<Done> {
        if dry_run || plan.is_empty() {
            return Ok(not_done(plan, dry_run));
        }
        Ok(done(self.apply(&plan, &asker(by), control).await?))
    }

    /// As [`Self::carry_out`]; where somebody else is faster, it is planned again.
    pub(super) async fn carry_out_again(
        &self,
        plan: impl AsyncFn() -> Result<Plan>,
        dry_run: bool,
        by: Option<String>,
        control: &Control,
    ) -> Result<Done> {
        if dry_run {
            return Ok(not_done(plan().await?, true));
        }
        let (plan, applied) = self.plan_and_apply(plan, &asker(by), control, |_| {}).await?;
        Ok(applied.map_or_else(|| not_done(plan, false), done))
    }
}

fn not_done(plan: Plan, show: bool) -> Done {
    let report = Report::new(plan.title.as_str(), plan.at);
    let changed = !plan.is_empty();
    Done { changed, report, run: None, outcome: None, plan: show.then_some(plan) }
}

fn done(applied: Applied) -> Done {
    let Applied { run, outcome, report, .. } = applied;
    Done { changed: true, report, run: Some(run), outcome: Some(outcome), plan: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::ErrorKind;
    use crate::plan::{OnFailure, Pause, Planned, Step};
    use crate::world::sim::SimWorld;

    async fn called(toolkit: &Toolkit, operation: &str, request: Value) -> Result<Value> {
        let answer = toolkit.call_json(operation, &request.to_string(), &Control::silent()).await?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[tokio::test]
    async fn a_plan_is_applied_listed_and_taken_back_by_name() {
        let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
        let pause = Step::Pause(Pause { span: "1s".parse().unwrap(), why: "let it pass".into() });
        let plan = Plan::new("wait", now(), OnFailure::Stop, vec![Planned::needed("wait a second", pause)]);
        let done = called(&toolkit, "apply_plan", json!({ "plan": plan, "by": "ann" })).await.unwrap();
        assert_eq!((&done["changed"], &done["outcome"]), (&json!(true), &json!("new")), "{done:#}");
        let runs = called(&toolkit, "list_runs", json!({})).await.unwrap();
        assert_eq!((&runs["runs"][0]["run"], &runs["runs"][0]["title"]), (&done["run"], &json!("wait")));
        let request = json!({ "run": done["run"] });
        assert_eq!(called(&toolkit, "resume_run", request.clone()).await.unwrap()["outcome"], "new");
        assert_eq!(called(&toolkit, "undo_run", request).await.unwrap()["outcome"], "old");
        let none = called(&toolkit, "list_runs", json!({ "run": "0000000000000000" })).await.unwrap();
        assert_eq!(none, json!({ "runs": [] }));
        let nothing = Plan::new("nothing", now(), OnFailure::Stop, vec![]);
        assert_eq!(
            called(&toolkit, "apply_plan", json!({ "plan": nothing })).await.unwrap()["changed"],
            false
        );
    }

    #[tokio::test]
    async fn a_site_that_is_not_there_is_not_moved() {
        let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
        for (operation, request) in [
            ("failover", json!({ "site": "shop" })),
            ("failback", json!({ "site": "shop" })),
            ("failover_status", json!({ "sites": ["shop"] })),
        ] {
            let error = called(&toolkit, operation, request).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{operation}: {error}");
        }
        assert_eq!(called(&toolkit, "failover_status", json!({})).await.unwrap()["findings"], json!([]));
    }
}
