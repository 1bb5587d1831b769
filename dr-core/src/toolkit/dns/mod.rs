//! DNS through the world: check zones, plan changes of record sets, and perform them.

mod change;
mod gather;
mod many;
mod plan;
mod promote;
mod steps;

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use super::Toolkit;
use crate::dns::{Thresholds, ZoneFacts, ZoneSpec, judge, summary};
use crate::error::Result;
use crate::report::Report;
use crate::run::Event;
use crate::time::Tick;
use crate::world::Control;
pub use change::{ChangeOptions, ChangePlan};
use gather::Round;
pub(super) use many::{act_on_many, observe_agreements, observe_changes};
pub use promote::{PromoteOptions, Promotion};
pub(super) use steps::{act, observe_agreement, observe_change};

/// So many zones are asked about at a time.
const ZONES_AT_ONCE: usize = 48;

impl Toolkit {
    /// Asks every name server of a zone at once and says whether each of them would send visitors to the right host: who is
    /// silent, who is lame, whose records or TTLs differ, which lifetimes do not fit the objectives.
    ///
    /// A server that does not answer costs one timeout of two seconds, not one a question. Severities and the recovery time
    /// objective are those of the estate's policy. The report's figures are servers, questions and milliseconds.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::dns::ZoneSpec;
    /// use dr_core::world::Control;
    /// let servers = vec!["ns1=192.0.2.1".parse().unwrap(), "ns2=192.0.2.2".parse().unwrap()];
    /// let spec = ZoneSpec::new("example.org".parse().unwrap(), servers);
    /// let report = toolkit.check_zone(&spec, &Control::silent()).await?;
    /// println!("{:?}", report.verdict());
    /// # Ok(()) }
    /// ```
    pub async fn check_zone(&self, spec: &ZoneSpec, control: &Control) -> Result<Report> {
        let begun = self.world.clock.read().running;
        let facts = self.zone_facts(spec, control).await?;
        let mut report = judge(&facts, &Thresholds::of(&self.estate.policy));
        report.figures.insert("milliseconds".to_owned(), self.milliseconds_since(begun));
        Ok(report.judged(&self.estate.policy.severity))
    }

    /// What every name server of a zone says, without a judgement: a capture that can be kept, sent and replayed through
    /// [`judge`].
    pub async fn zone_facts(&self, spec: &ZoneSpec, control: &Control) -> Result<ZoneFacts> {
        let round = Round::of_one(&self.world);
        control.run(&format!("check zone {}", spec.zone), async { Ok(round.zone(spec).await) }).await
    }

    /// The same of many zones, in their order.
    pub async fn zones_facts(&self, specs: &[ZoneSpec], control: &Control) -> Result<Vec<ZoneFacts>> {
        let round = Round::of_many(&self.world);
        let gathered = stream::iter(specs.iter().map(|spec| round.zone(spec))).buffered(ZONES_AT_ONCE);
        control.run(&format!("check {} zones", specs.len()), async { Ok(gathered.collect().await) }).await
    }

    /// Judges what servers said, now or some time ago, as [`Toolkit::check_zones`] does.
    ///
    /// ```
    /// use dr_core::toolkit::Toolkit;
    /// use dr_core::world::sim::SimWorld;
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// assert_eq!(toolkit.judge_zones(&[]).title, "check 0 zones");
    /// ```
    pub fn judge_zones(&self, facts: &[ZoneFacts]) -> Report {
        let title = match facts {
            [one] => format!("check zone {}", one.spec.zone),
            many => format!("check {} zones", many.len()),
        };
        let zones = u64::try_from(facts.len()).unwrap_or(u64::MAX);
        let thresholds = Thresholds { zones, ..Thresholds::of(&self.estate.policy) };
        let reports = facts.iter().map(|facts| judge(facts, &thresholds)).collect();
        let at = facts.first().map_or_else(|| self.world.clock.read().wall, |facts| facts.at);
        summary(&title, at, reports).judged(&self.estate.policy.severity)
    }

    /// Checks many zones, some at a time, into one report. Findings and progress are handed to `control` as they come; a
    /// finding about a server that many zones share stands in the report once, with the zones it is for.
    pub async fn check_zones(&self, specs: &[ZoneSpec], control: &Control) -> Result<Report> {
        let operation = match specs {
            [one] => format!("check zone {}", one.zone),
            _ => format!("check {} zones", specs.len()),
        };
        let begun = self.world.clock.read();
        let round = Round::of_many(&self.world);
        // All of them change at once when the site fails that they have in common.
        let zones = u64::try_from(specs.len()).unwrap_or(u64::MAX);
        let thresholds = Thresholds { zones, ..Thresholds::of(&self.estate.policy) };
        let gathered =
            stream::iter(specs.iter().map(|spec| round.zone(spec))).buffer_unordered(ZONES_AT_ONCE);
        let judging = async {
            // What was examined is kept once, and of each zone only what was found: ten thousand zones fit.
            let mut whole = Report::new(operation.as_str(), begun.wall);
            let mut examined = BTreeSet::new();
            let mut done = 0;
            let mut gathered = std::pin::pin!(gathered);
            while let Some(facts) = gathered.next().await {
                let mut report = judge(&facts, &thresholds).judged(&self.estate.policy.severity);
                for finding in &report.findings {
                    control.emit(&Event::Found(finding.clone()));
                }
                examined.extend(std::mem::take(&mut report.examined));
                whole.absorb(report);
                done += 1;
                control.emit(&progress("ask", done, specs.len()));
            }
            whole.examined.extend(examined);
            Ok(whole)
        };
        let whole = control.run(&operation, judging).await?;
        let mut report = summary(operation.as_str(), begun.wall, vec![whole]);
        report.figures.insert("milliseconds".to_owned(), self.milliseconds_since(begun.running));
        Ok(report.judged(&self.estate.policy.severity))
    }

    fn milliseconds_since(&self, begun: Tick) -> u64 {
        let took = self.world.clock.read().running.since(begun);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }
}

fn progress(phase: &str, done: usize, total: usize) -> Event {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Event::Progress {
        phase: phase.to_owned(),
        done: count(done),
        total: Some(count(total)),
        unit: "zones".to_owned(),
    }
}
