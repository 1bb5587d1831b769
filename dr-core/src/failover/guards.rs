//! What must hold before a site is moved: each guard looks at facts, and says what it saw whether it passes or not.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mirrored::LastMirror;
use super::sight::Sight;
use super::tenure::Tenure;
use super::votes::Tally;
use crate::error::{Error, ErrorKind};
use crate::estate::{Epoch, HostId, SiteId};
use crate::report::{Code, Finding, Subject, code};
use crate::time::{Period, Tick, Timestamp};

/// Which guard: its name is what an operator overrides it by.
///
/// ```
/// use dr_core::failover::GuardName;
/// assert_eq!(GuardName::MirrorFresh.name(), "mirror-fresh");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GuardName {
    /// The standby serves the site.
    StandbyHealthy,
    /// The standby's copy is young enough.
    MirrorFresh,
    /// The zone could be changed now.
    DnsChangeable,
    /// Who holds the site can be read, and has not gone back in time.
    Tenure,
    /// Visitors are told of the move in time.
    Ttl,
    /// The last automatic switch is long enough ago.
    HoldDown,
    /// Enough observers see the site down.
    Quorum,
    /// The standby has room for what the site will write there.
    Disk,
    /// The standby has good certificates where the home has them.
    Certificates,
    /// Nobody works on the site or has it frozen.
    Maintenance,
}

impl GuardName {
    /// As it stands in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StandbyHealthy => "standby-healthy",
            Self::MirrorFresh => "mirror-fresh",
            Self::DnsChangeable => "dns-changeable",
            Self::Tenure => "tenure",
            Self::Ttl => "ttl",
            Self::HoldDown => "hold-down",
            Self::Quorum => "quorum",
            Self::Disk => "disk",
            Self::Certificates => "certificates",
            Self::Maintenance => "maintenance",
        }
    }
}

/// What a guard saw.
///
/// ```
/// use dr_core::failover::{Sight, guard};
/// let guard = guard::standby_healthy(&"us".parse().unwrap(), &[Sight::Up { took_us: 1200 }]);
/// assert!(guard.passed);
/// assert_eq!(guard.explanation, "us answers in 1.2 ms");
/// assert!(guard.finding(&"shop".parse().unwrap()).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Which guard.
    pub name: GuardName,
    /// Whether it lets the site be moved.
    pub passed: bool,
    /// What it saw, in one sentence without a full stop.
    pub explanation: String,
    /// The finding that it becomes when it does not pass.
    pub code: Code,
    /// The values behind it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, String>,
}

impl Guard {
    pub(super) fn new(name: GuardName, code: Code, passed: bool, explanation: impl Into<String>) -> Self {
        Self { name, passed, explanation: explanation.into(), code, evidence: BTreeMap::new() }
    }

    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.evidence.insert(name.to_owned(), value.to_string());
        self
    }

    /// As a finding, if it does not pass.
    #[must_use]
    pub fn finding(&self, site: &SiteId) -> Option<Finding> {
        if self.passed {
            return None;
        }
        let mut finding = Finding::new(self.code, Subject::new("site", site), self.explanation.clone());
        finding.evidence = self.evidence.clone();
        Some(finding)
    }
}

/// Passes if the standby answered every probe as it should.
#[must_use]
pub fn standby_healthy(standby: &HostId, sights: &[Sight]) -> Guard {
    let guard = |passed, said: String| {
        Guard::new(GuardName::StandbyHealthy, code::FAILOVER_STANDBY_UNHEALTHY, passed, said)
    };
    if sights.is_empty() {
        return guard(
            false,
            format!("nothing is known of {standby}: it has no address or was not looked at"),
        );
    }
    let slowest =
        sights.iter().map(|sight| if let Sight::Up { took_us } = sight { *took_us } else { 0 }).max();
    let wrong = sights.iter().find_map(|sight| match sight {
        Sight::Up { .. } => None,
        Sight::Down { kind, detail } => Some(format!("{standby}: {} ({detail})", kind.words())),
        Sight::Degraded { detail } => Some(format!("{standby} answers badly: {detail}")),
        Sight::Unknown { detail } => Some(format!("{standby} could not be looked at: {detail}")),
    });
    match wrong {
        Some(said) => guard(false, said),
        None => {
            let took_ms = slowest.unwrap_or(0) as f64 / 1000.0;
            guard(true, format!("{standby} answers in {took_ms:.1} ms"))
        }
    }
}

/// Clocks of two hosts may differ by so much before a record of a mirror counts as written in the future.
const CLOCK_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(300);

/// Passes if the last mirror that succeeded **began** no longer ago than `rpo`: what changed on the home host after that may be
/// missing. `last` is an error's text where the record could not be read.
///
/// ```
/// use dr_core::failover::guard;
/// let guard = guard::mirror_fresh(&"us".parse().unwrap(), Ok(None), Default::default(), "25h".parse().unwrap());
/// assert!(!guard.passed);
/// ```
#[must_use]
pub fn mirror_fresh(
    standby: &HostId,
    last: Result<Option<&LastMirror>, &str>,
    now: Timestamp,
    rpo: Period,
) -> Guard {
    let guard = |passed, said: String| {
        Guard::new(GuardName::MirrorFresh, code::FAILOVER_MIRROR_STALE, passed, said).with("rpo", rpo)
    };
    let last = match last {
        Ok(Some(last)) => last,
        Ok(None) => return guard(false, format!("{standby} has no record of a mirror")),
        Err(why) => return guard(false, format!("when {standby} was mirrored last cannot be read: {why}")),
    };
    if last.started > now + CLOCK_TOLERANCE {
        return guard(
            false,
            format!("the last mirror began at {}, which is in the future: compare the clocks", last.started),
        );
    }
    let age = now.since(last.started);
    let whole = Period::from_secs(age.as_secs());
    guard(
        age <= rpo.as_duration(),
        format!("the last mirror to {standby} began {whole} ago, {rpo} is allowed"),
    )
    .with("started", last.started)
    .with("age", whole)
}

/// Passes if every zone of the site could be changed now: a message with the prerequisites and nothing else was accepted.
/// `refusals` is what the zones that could not be changed said.
#[must_use]
pub fn dns_changeable(zones: usize, refusals: &[String]) -> Guard {
    let guard = |passed, said: String| {
        Guard::new(GuardName::DnsChangeable, code::FAILOVER_DNS_UNCHANGEABLE, passed, said)
    };
    match refusals {
        [] if zones == 0 => guard(false, "no name of the site is in a zone of the estate".to_owned()),
        [] => guard(true, format!("the primary would take the change now ({zones} zones asked)")),
        some => guard(false, some.join("; ")),
    }
}

/// Passes if the records of the site are remembered no longer than the recovery time objective leaves: `longest_s` is their longest
/// TTL in seconds, `before` what passes until they are changed. An objective of zero is none.
///
/// ```
/// use dr_core::failover::guard;
/// let (before, rto) = ("2m".parse().unwrap(), "15m".parse().unwrap());
/// assert!(guard::ttl(Some(300), before, rto).passed);
/// assert!(!guard::ttl(Some(3600), before, rto).passed);
/// ```
#[must_use]
pub fn ttl(longest_s: Option<u32>, before: Period, rto: Period) -> Guard {
    let guard = |passed, said: String| Guard::new(GuardName::Ttl, code::FAILOVER_TTL_LONG, passed, said);
    let Some(longest_s) = longest_s else {
        return guard(true, "no record of the site is known that could be remembered".to_owned());
    };
    let ttl = Period::from_secs(u64::from(longest_s));
    let sum = Period::from(before.as_duration().saturating_add(ttl.as_duration()));
    let passed = rto.as_duration().is_zero() || sum <= rto;
    let said = format!(
        "resolvers may keep the old address for {ttl} after a change that takes up to {before}: {sum} of {rto}"
    );
    guard(passed, said).with("ttl", ttl).with("rto", rto)
}

/// Passes if who holds the site can be read, and its epoch is not behind the highest one seen anywhere.
///
/// ```
/// use dr_core::Epoch;
/// use dr_core::failover::{Tenure, guard};
/// let held = Tenure { epoch: Epoch(2), home: "uk".parse().unwrap(), nonce: "a1".into() };
/// assert!(guard::tenure(Ok(Some(&held)), Epoch(2)).passed);
/// assert!(!guard::tenure(Ok(Some(&held)), Epoch(3)).passed, "it went back in time");
/// ```
#[must_use]
pub fn tenure(read: Result<Option<&Tenure>, &Error>, highest_seen: Epoch) -> Guard {
    let guard = |code, passed, said: String| {
        Guard::new(GuardName::Tenure, code, passed, said).with("highest_epoch_seen", highest_seen)
    };
    match read {
        // A coordinator that itself noticed that it went back refuses to answer.
        Err(why) if why.kind() == ErrorKind::Refused => {
            guard(code::FAILOVER_EPOCH_BEHIND, false, why.message().to_owned())
        }
        Err(why) => guard(code::FAILOVER_EPOCH_UNREADABLE, false, why.to_string()),
        Ok(tenure) => {
            let epoch = tenure.map(|tenure| tenure.epoch).unwrap_or_default();
            let held = tenure.map_or_else(
                || "nobody has claimed the site yet".to_owned(),
                |tenure| format!("{} holds it in epoch {epoch}", tenure.home),
            );
            if epoch < highest_seen {
                let said = format!("{held}, but epoch {highest_seen} was seen before");
                return guard(code::FAILOVER_EPOCH_BEHIND, false, said);
            }
            guard(code::FAILOVER_EPOCH_UNREADABLE, true, held)
        }
    }
}

/// Passes if the last automatic switch is at least `hold_down` ago, or there was none. Both ticks are of the decider's own clock.
#[must_use]
pub fn hold_down(last_switch: Option<Tick>, now: Tick, hold_down: Period) -> Guard {
    let guard = |passed, said: String| {
        Guard::new(GuardName::HoldDown, code::FAILOVER_HELD_DOWN, passed, said).with("hold_down", hold_down)
    };
    match last_switch {
        None => guard(true, "it was never moved automatically".to_owned()),
        Some(at) => {
            let ago = now.since(at);
            let whole = Period::from_secs(ago.as_secs());
            guard(ago >= hold_down.as_duration(), format!("it was moved {whole} ago; {hold_down} must pass"))
        }
    }
}

/// Passes if the observers agree that the site is down.
#[must_use]
pub fn quorum(tally: &Tally) -> Guard {
    Guard::new(GuardName::Quorum, code::FAILOVER_NO_QUORUM, tally.is_down(), tally.explain())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::DownKind;
    use std::time::Duration;

    fn check(guard: &Guard, passed: bool, code: Code, contains: &str) {
        assert_eq!(guard.passed, passed, "{guard:?}");
        assert!(guard.explanation.contains(contains), "{:?} has no {contains:?}", guard.explanation);
        let finding = guard.finding(&"shop".parse().unwrap());
        assert_eq!(finding.map(|finding| finding.code), (!passed).then_some(code));
        assert_eq!(serde_json::to_value(guard.name).unwrap(), guard.name.name());
    }

    #[test]
    fn a_standby_must_answer_every_probe() {
        let (us, up) = ("us".parse().unwrap(), Sight::Up { took_us: 2500 });
        let code = code::FAILOVER_STANDBY_UNHEALTHY;
        check(&standby_healthy(&us, std::slice::from_ref(&up)), true, code, "2.5 ms");
        check(&standby_healthy(&us, &[]), false, code, "nothing is known");
        let down = Sight::Down { kind: DownKind::Refused, detail: "192.0.2.1:80".into() };
        check(&standby_healthy(&us, &[up.clone(), down]), false, code, "connection refused");
        check(
            &standby_healthy(&us, &[up, Sight::Unknown { detail: "no route".into() }]),
            false,
            code,
            "no route",
        );
    }

    #[test]
    fn the_age_of_a_copy_counts_from_the_start_of_its_mirror() {
        let last = LastMirror {
            site: "shop".parse().unwrap(),
            epoch: Epoch(1),
            started: "2026-11-22T03:00:00Z".parse().unwrap(),
            finished: "2026-11-22T05:00:00Z".parse().unwrap(),
            paths: 1,
            bytes: 1,
            planned: None,
            seal: None,
        };
        let fresh = |now: &str, rpo: &str| {
            mirror_fresh(&"us".parse().unwrap(), Ok(Some(&last)), now.parse().unwrap(), rpo.parse().unwrap())
        };
        let code = code::FAILOVER_MIRROR_STALE;
        check(&fresh("2026-11-22T06:00:00Z", "3h"), true, code, "3h ago");
        check(&fresh("2026-11-22T06:00:01Z", "3h"), false, code, "3h allowed".split(' ').next().unwrap());
        check(&fresh("2026-11-22T06:00:00Z", "2h"), false, code, "2h is allowed");
        check(&fresh("2026-11-22T02:50:00Z", "3h"), false, code, "in the future");
        check(&fresh("2026-11-22T02:58:00Z", "3h"), true, code, "0s ago");
        let unread =
            mirror_fresh(&"us".parse().unwrap(), Err("connection lost"), last.started, "3h".parse().unwrap());
        check(&unread, false, code, "connection lost");
    }

    #[test]
    fn a_zone_that_refuses_and_no_zone_at_all_are_both_in_the_way() {
        let code = code::FAILOVER_DNS_UNCHANGEABLE;
        check(&dns_changeable(1, &[]), true, code, "would take");
        check(&dns_changeable(0, &[]), false, code, "no name");
        check(&dns_changeable(2, &["example.org: REFUSED".into()]), false, code, "REFUSED");
    }

    #[test]
    fn records_that_are_remembered_too_long_are_told() {
        let judged = |longest, rto: &str| ttl(longest, "1m".parse().unwrap(), rto.parse().unwrap());
        let code = code::FAILOVER_TTL_LONG;
        check(&judged(Some(240), "5m"), true, code, "5m of 5m");
        check(&judged(Some(241), "5m"), false, code, "of 5m");
        check(&judged(Some(86400), "0s"), true, code, "24h");
        check(&judged(None, "5m"), true, code, "no record");
    }

    #[test]
    fn a_tenure_that_is_unreadable_or_behind_is_in_the_way() {
        let held = Tenure { epoch: Epoch(3), home: "uk".parse().unwrap(), nonce: "a".into() };
        let (behind, unreadable) = (code::FAILOVER_EPOCH_BEHIND, code::FAILOVER_EPOCH_UNREADABLE);
        check(&tenure(Ok(Some(&held)), Epoch(3)), true, unreadable, "uk holds it in epoch 3");
        check(&tenure(Ok(Some(&held)), Epoch(4)), false, behind, "epoch 4 was seen");
        check(&tenure(Ok(None), Epoch(0)), true, unreadable, "nobody");
        check(&tenure(Ok(None), Epoch(1)), false, behind, "epoch 1 was seen");
        let lost = Error::new(ErrorKind::Unreachable, "read the tenure", "no answer");
        check(&tenure(Err(&lost), Epoch(0)), false, unreadable, "no answer");
        let regressed = Error::new(ErrorKind::Refused, "read the tenure", "epoch 2 after 5");
        check(&tenure(Err(&regressed), Epoch(0)), false, behind, "epoch 2 after 5");
    }

    #[test]
    fn a_switch_holds_the_next_one_down() {
        let tick = |secs| Tick(Duration::from_secs(secs));
        let held = |last, now| hold_down(last, tick(now), "1h".parse().unwrap());
        let code = code::FAILOVER_HELD_DOWN;
        check(&held(None, 0), true, code, "never");
        check(&held(Some(tick(10)), 3609), false, code, "59m");
        check(&held(Some(tick(10)), 3610), true, code, "1h ago");
    }
}
