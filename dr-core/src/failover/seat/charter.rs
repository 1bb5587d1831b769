//! What a seat may do and by which times: checked when it is made, so that what cannot work cannot be configured.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::{Health as Thresholds, HostId, SiteId};
use crate::failover::votes::{Observer, Panel};
use crate::time::{Period, Tick};

/// The times of a lease, as they are written down; [`Terms`] are those that can work.
///
/// ```
/// use dr_core::failover::{Terms, Times};
/// let why = Terms::try_from(Times { take: "60s".parse().unwrap(), ..Times::default() }).unwrap_err();
/// assert_eq!(why, "take is 1m: the old home could still be serving; make it at least 1m 25s 556ms, or hold shorter");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// Between two signs of life of the home.
    pub renew: Period,
    /// So long after the sending of the last acknowledged sign of life the home stops serving, by its own clock.
    pub hold: Period,
    /// So long a standby sees no sign of life, by its own clock, before it believes that the home has stopped.
    pub take: Period,
    /// So long a home may take to stop.
    pub stop: Period,
    /// So long an answer of the coordinator is waited for.
    pub answer: Period,
    /// By how many thousandths a clock may run too fast or too slow.
    pub drift_permille: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            renew: Period::from_secs(15),
            hold: Period::from_secs(60),
            take: Period::from_secs(90),
            stop: Period::from_secs(10),
            answer: Period::from_secs(5),
            drift_permille: 100,
        }
    }
}

/// Times with which two hosts never serve at once, whoever is paused, cut off or slow, as long as no clock is further off than
/// they say.
///
/// With clocks at rates between 1-d and 1+d, what lasts `hold` by a slow clock lasts at most `hold / (1-d)`, and `take` by a fast
/// one at least `take / (1+d)`: so `take` must be `(hold + stop) * (1+d) / (1-d)` or more.
///
/// ```
/// use dr_core::failover::{Terms, Times};
/// assert_eq!(Terms::default().take().to_string(), "1m 30s");
/// assert!(Terms::try_from(Times { renew: "40s".parse().unwrap(), ..Times::default() }).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Times", into = "Times")]
pub struct Terms(Times);

impl TryFrom<Times> for Terms {
    type Error = String;
    fn try_from(times: Times) -> Result<Self, String> {
        let Times { renew, hold, take, stop, answer, drift_permille } = times;
        for (name, span) in [("renew", renew), ("hold", hold), ("take", take), ("answer", answer)] {
            if span.as_duration().is_zero() {
                return Err(format!("{name} is 0s; give it a time"));
            }
        }
        if drift_permille >= 500 {
            let said = "clocks that may be off by half cannot time anything; a sane host is within 1";
            return Err(format!("drift_permille is {drift_permille}: {said}"));
        }
        let one_may_be_lost = renew.as_duration().saturating_mul(2).saturating_add(answer.as_duration());
        if hold.as_duration() < one_may_be_lost {
            let least = Period::from(one_may_be_lost);
            return Err(format!(
                "hold is {hold}: one lost sign of life would stop the home; make it at least {least}, or renew more often"
            ));
        }
        let least = longest(hold.as_duration().saturating_add(stop.as_duration()), drift_permille);
        if take.as_duration() < least {
            let least = Period::from(least);
            return Err(format!(
                "take is {take}: the old home could still be serving; make it at least {least}, or hold shorter"
            ));
        }
        Ok(Self(times))
    }
}

/// How long another clock may show for what one clock shows as `span`, in whole milliseconds, rounded up.
fn longest(span: Duration, drift_permille: u32) -> Duration {
    let (slow, fast) = (u128::from(1000 - drift_permille), u128::from(1000 + drift_permille));
    let millis = (span.as_micros() * fast).div_ceil(slow * 1000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

impl From<Terms> for Times {
    fn from(terms: Terms) -> Self {
        terms.0
    }
}

impl Terms {
    /// Between two signs of life.
    #[must_use]
    pub fn renew(&self) -> Period {
        self.0.renew
    }

    /// How long one that was acknowledged lets the home serve, from its sending.
    #[must_use]
    pub fn hold(&self) -> Period {
        self.0.hold
    }

    /// How long a standby waits for one.
    #[must_use]
    pub fn take(&self) -> Period {
        self.0.take
    }

    /// How long an answer is waited for.
    #[must_use]
    pub fn answer(&self) -> Period {
        self.0.answer
    }
}

/// The right to move a site without asking: only where what decides shares its fate with neither host.
///
/// With two places only there is no safe automatic choice: when the line between them is cut, neither can know whether the other
/// is there. Then there is no warrant, and a person decides.
///
/// ```
/// use dr_core::failover::{Observer, Panel, Warrant};
/// let observer = |id: &str, domain: &str| Observer { id: id.parse().unwrap(), failure_domain: domain.into() };
/// let panel = Panel::new(vec![observer("uk-1", "uk"), observer("us-1", "us"), observer("nl-1", "nl")]).unwrap();
/// let hosts = [("uk".parse().unwrap(), "uk".to_owned()), ("us".parse().unwrap(), "us".to_owned())];
/// assert!(Warrant::new(panel.clone(), "nl", hosts.clone()).is_ok());
/// let why = Warrant::new(panel, "us", hosts).unwrap_err();
/// assert_eq!(
///     why,
///     "the coordinator is in the failure domain us, as the host us is: if that burns, nobody can decide; \
///      put it into a third place, or let a person decide"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WarrantText", into = "WarrantText")]
pub struct Warrant {
    panel: Panel,
    coordinator: String,
    hosts: BTreeMap<HostId, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WarrantText {
    panel: Panel,
    coordinator: String,
    hosts: BTreeMap<HostId, String>,
}

impl TryFrom<WarrantText> for Warrant {
    type Error = String;
    fn try_from(text: WarrantText) -> Result<Self, String> {
        Self::new(text.panel, &text.coordinator, text.hosts)
    }
}

impl From<Warrant> for WarrantText {
    fn from(Warrant { panel, coordinator, hosts }: Warrant) -> Self {
        Self { panel, coordinator, hosts }
    }
}

impl Warrant {
    /// A warrant for these observers, a coordinator in this failure domain, and these two hosts in theirs. The error says what to
    /// change.
    pub fn new(
        panel: Panel,
        coordinator: &str,
        hosts: impl IntoIterator<Item = (HostId, String)>,
    ) -> Result<Self, String> {
        let hosts: BTreeMap<HostId, String> = hosts.into_iter().collect();
        let mut pair = hosts.iter();
        let (Some((one, here)), Some((two, there)), None) = (pair.next(), pair.next(), pair.next()) else {
            return Err(format!("a site has two hosts, not {}", hosts.len()));
        };
        if here == there {
            return Err(format!(
                "{one} and {two} are both in the failure domain {here}: one event takes both; \
                 put one elsewhere, or let a person decide"
            ));
        }
        if let Some((host, domain)) = hosts.iter().find(|(_, domain)| *domain == coordinator) {
            return Err(format!(
                "the coordinator is in the failure domain {domain}, as the host {host} is: if that burns, nobody can \
                 decide; put it into a third place, or let a person decide"
            ));
        }
        for (lost, other) in [(here, there), (there, here)] {
            could_confirm(&panel, lost, other)?;
        }
        Ok(Self { panel, coordinator: coordinator.to_owned(), hosts })
    }
}

/// Whether the observers that are left when a failure domain is lost could say so.
fn could_confirm(panel: &Panel, lost: &str, beneficiary: &str) -> Result<(), String> {
    let all: Vec<Observer> = panel.clone().into();
    let left: Vec<&str> =
        all.iter().map(|who| who.failure_domain.as_str()).filter(|at| *at != lost).collect();
    let interested = left.iter().filter(|at| **at == beneficiary).count();
    let counted = left.len() - interested.saturating_sub(1);
    let domains = left.iter().collect::<BTreeSet<_>>().len();
    if counted >= panel.majority() && domains >= 2 {
        return Ok(());
    }
    Err(format!(
        "if {lost} is lost, {counted} votes from {domains} failure domains are left of {}, and {} from 2 are needed \
         ({beneficiary} has one, however many observers it has); add observers outside of {lost} and {beneficiary}",
        all.len(),
        panel.majority()
    ))
}

/// Who says the last word.
///
/// ```
/// use dr_core::failover::{Mandate, Observer, Panel};
/// let panel = Panel::new(vec![Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() }]).unwrap();
/// let mandate = Mandate::Ask(panel);
/// assert_eq!(mandate.panel().len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mandate {
    /// A person. The home serves until it is told otherwise: nothing expires.
    Ask(Panel),
    /// The seat itself. The home serves only while its lease lasts.
    Auto(Warrant),
}

impl Mandate {
    /// The observers.
    #[must_use]
    pub fn panel(&self) -> &Panel {
        match self {
            Self::Ask(panel) | Self::Auto(Warrant { panel, .. }) => panel,
        }
    }
}

/// Everything that a seat is told beforehand, and that does not change while it runs.
///
/// ```
/// use dr_core::failover::{Charter, Mandate, Observer, Panel, Terms};
/// let panel = Panel::new(vec![Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() }]).unwrap();
/// let charter = |me: &str, other: &str| Charter {
///     site: "shop".parse().unwrap(),
///     me: me.parse().unwrap(),
///     other: other.parse().unwrap(),
///     first_home: "uk".parse().unwrap(),
///     mandate: Mandate::Ask(panel.clone()),
///     terms: Terms::default(),
///     thresholds: Default::default(),
/// };
/// assert!(charter("us", "uk").checked().is_ok());
/// assert!(charter("us", "us").checked().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// The site.
    pub site: SiteId,
    /// The host that has this seat.
    pub me: HostId,
    /// The other host of the site.
    pub other: HostId,
    /// Which of them claims the site when nobody has held it yet.
    pub first_home: HostId,
    /// Who decides, on whose votes.
    pub mandate: Mandate,
    /// The times of the lease.
    pub terms: Terms,
    /// Of these the hold-down matters here.
    pub thresholds: Thresholds,
}

impl Charter {
    /// Itself, if its parts fit together; the error says what does not.
    pub fn checked(self) -> Result<Self, String> {
        let Self { site, me, other, first_home, .. } = &self;
        if me == other {
            return Err(format!("{site}: {me} is both hosts; a site needs two"));
        }
        if first_home != me && first_home != other {
            return Err(format!("{site}: {first_home} cannot be its first home, only {me} or {other}"));
        }
        if let Mandate::Auto(warrant) = &self.mandate
            && let Some(missing) = [me, other].into_iter().find(|host| !warrant.hosts.contains_key(*host))
        {
            return Err(format!("{site}: the warrant does not say in which failure domain {missing} is"));
        }
        Ok(self)
    }

    /// The failure domain that gains by a move to this seat: its votes count as one.
    pub(super) fn beneficiary(&self) -> Option<&str> {
        match &self.mandate {
            Mandate::Ask(_) => None,
            Mandate::Auto(warrant) => warrant.hosts.get(&self.me).map(String::as_str),
        }
    }

    /// Whether a lease ends by itself.
    pub(super) fn expires(&self) -> bool {
        matches!(self.mandate, Mandate::Auto(_))
    }
}

/// So long after.
pub(super) fn after(at: Tick, span: Period) -> Tick {
    Tick(at.0.saturating_add(span.as_duration()))
}
