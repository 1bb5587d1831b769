//! Keys that several people change at once: whoever was slower plans again.

use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::plan::{Plan, Step};
use crate::run::{Direction, Event, Outcome};
use crate::toolkit::{Applied, Toolkit};
use crate::world::Control;

/// How often a plan is made before somebody who is always slower gives up.
const PLANS: u32 = 10;
/// The longest rest before the second plan; before each further one it is twice as long, up to [`REST_MAX`].
const REST: Duration = Duration::from_millis(200);
const REST_MAX: Duration = Duration::from_secs(5);

impl Toolkit {
    /// Makes a plan and applies it. If the run ends wholly old because somebody else changed the same lines in between, it rests for a
    /// moment and plans again from what is there by then, a bounded number of times: each run is recorded as what it was. `begins` is
    /// told of each plan before it is applied. Gives the last plan, and what became of it; nothing if there was nothing to do.
    ///
    /// It is for plans that lose nothing by being made again: installing, rotating and revoking a key. What ran long before it was
    /// overtaken (a pause is over) is left to who asked for it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// use dr_core::{run::Outcome, toolkit::InstallOptions, world::Control};
    /// let host = "root@us.example.net".parse().unwrap();
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror@uk";
    /// let (options, control) = (InstallOptions::default(), Control::silent());
    /// let plan = async || toolkit.plan_key_install(&host, key, &options, &control).await;
    /// let (_, applied) = toolkit.plan_and_apply(plan, "ann", &control, |_| {}).await.unwrap();
    /// assert_eq!(applied.unwrap().outcome, Outcome::New);
    /// let (_, again) = toolkit.plan_and_apply(plan, "ann", &control, |_| {}).await.unwrap();
    /// assert!(again.is_none(), "it is there");
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of making the plan, and of [`Self::apply`].
    pub async fn plan_and_apply(
        &self,
        plan: impl AsyncFn() -> Result<Plan>,
        by: &str,
        control: &Control,
        begins: impl Fn(&Plan),
    ) -> Result<(Plan, Option<Applied>)> {
        let mut times = 1;
        loop {
            let made = plan().await?;
            if made.is_empty() {
                return Ok((made, None));
            }
            begins(&made);
            let applied = self.apply(&made, by, control).await?;
            if times == PLANS || !was_overtaken(&made, &applied) || control.cancel.is_cancelled() {
                return Ok((made, Some(applied)));
            }
            let message =
                format!("somebody else was faster; nothing was changed, and it is planned again ({times})");
            control.emit(&Event::Note { message });
            let rest = self.world.clock.sleep(rest(times, &applied));
            tokio::select! {
                () = rest => {}
                () = control.cancel.cancelled() => {}
            }
            times += 1;
        }
    }
}

/// Whether everything is as it was because somebody else changed what this was to change.
fn was_overtaken(plan: &Plan, applied: &Applied) -> bool {
    let events = || applied.lines.iter().map(|line| &line.event);
    let waited = events().any(|event| {
        matches!(event, Event::StepDone { step, .. } if plan.steps.get(*step).is_some_and(|planned| matches!(planned.step, Step::Pause(_))))
    });
    let conflicts = |event: &Event| matches!(event, Event::StepFailed { direction: Direction::Forward, error, .. } if error.kind == ErrorKind::Conflict);
    applied.outcome == Outcome::Old && !waited && events().any(conflicts)
}

/// By the number of the run, which is random: of many who were slower at once, each comes back at a time of its own.
fn rest(times: u32, applied: &Applied) -> Duration {
    let longest = REST.saturating_mul(2_u32.saturating_pow(times - 1)).min(REST_MAX);
    let dice = u32::from_str_radix(&applied.run.to_string()[..8], 16).unwrap_or_default();
    longest.mul_f64(f64::from(dice) / f64::from(u32::MAX))
}
