//! What observers say, and what it amounts to.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sight::DownKind;
use crate::estate::ObserverId;
use crate::time::{Period, Tick};

/// What an observer says about a site.
///
/// ```
/// use dr_core::failover::Verdict;
/// assert_eq!(serde_json::to_string(&Verdict::Blind).unwrap(), "\"blind\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// It is up.
    Up,
    /// It is down.
    Down {
        /// How it was seen down last.
        kind: DownKind,
    },
    /// The observer cannot reach its own anchors either: its line is cut, and its view says nothing.
    Blind,
    /// It could not look, or is in doubt.
    Unknown,
}

/// What an observer sends. It claims no place of its own: where it stands is for the [`Panel`] to say.
///
/// ```
/// use dr_core::failover::{Verdict, Vote};
/// let vote = Vote { observer: "nl".parse().unwrap(), sequence: 7, verdict: Verdict::Up, valid_for: "3s".parse().unwrap() };
/// let text = serde_json::to_string(&vote).unwrap();
/// assert_eq!(text, r#"{"observer":"nl","sequence":7,"verdict":"up","valid_for":"3s"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Who says it.
    pub observer: ObserverId,
    /// Grows with every vote of this observer, restarts included.
    pub sequence: u64,
    /// What it says.
    pub verdict: Verdict,
    /// How long it holds, counted by whoever receives it: clocks of two hosts are never compared.
    pub valid_for: Period,
}

/// A vote with the moment at which it was received, by the receiver's own clock.
///
/// ```
/// use std::time::Duration;
/// use dr_core::Tick;
/// use dr_core::failover::{Received, Verdict, Vote};
/// let vote = Vote { observer: "nl".parse().unwrap(), sequence: 7, verdict: Verdict::Up, valid_for: "3s".parse().unwrap() };
/// let received = Received { vote, at: Tick(Duration::from_secs(10)) };
/// assert!(received.is_fresh(Tick(Duration::from_secs(12))));
/// assert!(!received.is_fresh(Tick(Duration::from_secs(14))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// The vote.
    pub vote: Vote,
    /// When it came.
    pub at: Tick,
}

impl Received {
    /// Whether it still holds.
    #[must_use]
    pub fn is_fresh(&self, now: Tick) -> bool {
        // A vote from the receiver's own future is nonsense, and nonsense is no evidence.
        self.at <= now && now.since(self.at) <= self.vote.valid_for.as_duration()
    }
}

/// A place from which sites are looked at.
///
/// ```
/// use dr_core::failover::Observer;
/// let observer = Observer { id: "nl".parse().unwrap(), failure_domain: "amsterdam".into() };
/// assert_eq!(observer.id.as_str(), "nl");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observer {
    /// Its name.
    pub id: ObserverId,
    /// What it shares its fate with: a data centre, a provider, a country. Two observers that can be lost or misled by one
    /// event are in one domain.
    pub failure_domain: String,
}

/// The configured observers: at least one, no two with the same name.
///
/// ```
/// use dr_core::failover::{Observer, Panel};
/// let observer = |id: &str, domain: &str| Observer { id: id.parse().unwrap(), failure_domain: domain.into() };
/// let panel = Panel::new(vec![observer("uk-1", "uk"), observer("us-1", "us"), observer("nl-1", "nl")]).unwrap();
/// assert_eq!(panel.majority(), 2);
/// let twice = Panel::new(vec![observer("nl", "ams"), observer("nl", "rtm")]).unwrap_err();
/// assert_eq!(twice, "two observers are called nl; one of them would have two votes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Observer>", into = "Vec<Observer>")]
pub struct Panel(BTreeMap<ObserverId, String>);

impl Panel {
    /// These observers; the error says why they cannot decide anything.
    pub fn new(observers: Vec<Observer>) -> Result<Self, String> {
        let mut panel = BTreeMap::new();
        for Observer { id, failure_domain } in observers {
            if panel.insert(id.clone(), failure_domain).is_some() {
                return Err(format!("two observers are called {id}; one of them would have two votes"));
            }
        }
        if panel.is_empty() {
            return Err("there are no observers, so nobody can say that a site is down".to_owned());
        }
        Ok(Self(panel))
    }

    /// How many of them are more than half.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// How many there are, silent ones included.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a panel is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, observer: &ObserverId) -> bool {
        self.0.contains_key(observer)
    }
}

impl TryFrom<Vec<Observer>> for Panel {
    type Error = String;
    fn try_from(observers: Vec<Observer>) -> Result<Self, String> {
        Self::new(observers)
    }
}

impl From<Panel> for Vec<Observer> {
    fn from(panel: Panel) -> Self {
        panel.0.into_iter().map(|(id, failure_domain)| Observer { id, failure_domain }).collect()
    }
}

/// What the votes amount to now.
///
/// ```
/// use dr_core::Tick;
/// use dr_core::failover::{Observer, Panel, Tally};
/// let panel = Panel::new(vec![Observer { id: "nl".parse().unwrap(), failure_domain: "nl".into() }]).unwrap();
/// let tally = Tally::of(&panel, &[], Tick::default());
/// assert_eq!((tally.majority, tally.unheard.len(), tally.is_down()), (1, 1, false));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Who says up.
    pub up: BTreeSet<ObserverId>,
    /// Who says down, and how.
    pub down: BTreeMap<ObserverId, DownKind>,
    /// Whose own line is cut.
    pub blind: BTreeSet<ObserverId>,
    /// Who is in doubt, contradicts itself, or has not been heard of lately.
    pub unheard: BTreeSet<ObserverId>,
    /// From how many failure domains it is seen down.
    pub domains: usize,
    /// How many of those who say down are left out: they gain by a move, and have one vote together.
    pub interested: usize,
    /// How many of the configured observers are more than half.
    pub majority: usize,
}

impl Tally {
    /// Counts. Of each configured observer only its newest vote counts, and only while it holds; in whatever order they came.
    #[must_use]
    pub fn of(panel: &Panel, votes: &[Received], now: Tick) -> Self {
        Self::toward(panel, None, votes, now)
    }

    /// Counts, where a move would go to a host in the failure domain `beneficiary`: however many observers are there, they have
    /// one vote for a move together.
    #[must_use]
    pub fn toward(panel: &Panel, beneficiary: Option<&str>, votes: &[Received], now: Tick) -> Self {
        let mut tally = Self { majority: panel.majority(), ..Self::default() };
        let mut domains = BTreeSet::new();
        let mut gain = 0_usize;
        for (observer, domain) in &panel.0 {
            let who = match verdict_of(observer, votes, now) {
                Some(Verdict::Down { kind }) => {
                    tally.down.insert(observer.clone(), kind);
                    domains.insert(domain);
                    gain += usize::from(beneficiary == Some(domain));
                    continue;
                }
                Some(Verdict::Up) => &mut tally.up,
                Some(Verdict::Blind) => &mut tally.blind,
                Some(Verdict::Unknown) | None => &mut tally.unheard,
            };
            who.insert(observer.clone());
        }
        tally.domains = domains.len();
        tally.interested = gain.saturating_sub(1);
        tally
    }

    /// Whether the site is down: by more than half of the configured observers, from two failure domains at least, and nobody
    /// sees it up.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down.len() - self.interested >= self.majority && self.domains >= 2 && self.up.is_empty()
    }

    /// In words: who says what, and what is missing.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut said = vec![];
        if !self.down.is_empty() {
            let who: Vec<String> =
                self.down.iter().map(|(who, kind)| format!("{who} ({})", kind.words())).collect();
            said.push(format!("down by {}", who.join(", ")));
        }
        if self.interested > 0 {
            said.push(format!("{} of them gain by a move and have one vote together", self.interested + 1));
        }
        for (what, who) in [("up", &self.up), ("blind", &self.blind), ("in doubt or silent", &self.unheard)] {
            if !who.is_empty() {
                let who: Vec<&str> = who.iter().map(ObserverId::as_str).collect();
                said.push(format!("{what}: {}", who.join(", ")));
            }
        }
        let all = self.down.len() + self.up.len() + self.blind.len() + self.unheard.len();
        format!(
            "{} of {all} observers in {} failure domains see it down, {} in 2 are needed ({})",
            self.down.len(),
            self.domains,
            self.majority,
            said.join("; ")
        )
    }
}

fn verdict_of(observer: &ObserverId, votes: &[Received], now: Tick) -> Option<Verdict> {
    let of_this = || votes.iter().filter(|received| received.vote.observer == *observer);
    let newest = of_this().map(|received| received.vote.sequence).max()?;
    let mut verdicts = of_this().filter(|received| received.vote.sequence == newest);
    let first = verdicts.next()?;
    // The same vote may come twice; two different ones with one number come from two processes under one name.
    let contradicted = verdicts.any(|other| other.vote.verdict != first.vote.verdict);
    let fresh = of_this().any(|received| received.vote.sequence == newest && received.is_fresh(now));
    (fresh && !contradicted).then_some(first.vote.verdict)
}
