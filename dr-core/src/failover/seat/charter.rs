//! What a seat may do and by which times: checked when it is made, so that what cannot work cannot be configured.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::estate::{Estate, Health as Thresholds, HostId, Mode, SiteId, Terms};
use crate::failover::votes::{Observer, Panel};
use crate::time::{Period, Tick};

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

/// The warrant that the estate gives: who shares whose fate must be said for all of them.
fn warrant(estate: &Estate, panel: Panel, hosts: [&HostId; 2]) -> Result<Warrant, String> {
    let coordinator = estate.coordinator.as_ref().and_then(|coordinator| coordinator.failure_domain.as_ref());
    let coordinator =
        coordinator.ok_or("to move it without asking, say in which failure_domain the [coordinator] is")?;
    let mut domains = vec![];
    for id in hosts {
        let domain = estate.hosts.get(id).and_then(|host| host.failure_domain.clone());
        let domain = domain
            .ok_or_else(|| format!("to move it without asking, say in which failure_domain {id} is"))?;
        domains.push((id.clone(), domain));
    }
    Warrant::new(panel, coordinator, domains)
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

    /// What the estate says of the seat of this host for this site; the error says what it lacks or what cannot work.
    ///
    /// ```
    /// use dr_core::Estate;
    /// use dr_core::failover::Charter;
    /// let estate = Estate::from_toml(r#"
    ///     hosts.uk = { ssh = "root@uk.example.net", failure_domain = "uk" }
    ///     hosts.us = { ssh = "root@us.example.net", failure_domain = "us" }
    ///     sites.shop = { home = "uk", standby = "us" }
    ///     observers.nl = { failure_domain = "nl" }
    /// "#).unwrap();
    /// let [uk, us] = ["uk", "us"].map(|me| Charter::of(&estate, &"shop".parse().unwrap(), &me.parse().unwrap()).unwrap());
    /// assert_eq!((uk.me.as_str(), uk.other.as_str()), ("uk", "us"));
    /// assert_eq!(uk.digest(), us.digest(), "both work by the same terms");
    /// ```
    pub fn of(estate: &Estate, site: &SiteId, me: &HostId) -> Result<Self, String> {
        let of = estate.sites.get(site).ok_or_else(|| format!("the estate has no site {site}"))?;
        let other = if *me == of.home { &of.standby } else { &of.home };
        if *me != of.home && *me != of.standby {
            return Err(format!("{me} has no part in {site}: its hosts are {} and {}", of.home, of.standby));
        }
        let failover = &estate.policy.failover;
        let observers = estate.observers.iter();
        let panel = Panel::new(
            observers
                .map(|(id, post)| Observer { id: id.clone(), failure_domain: post.failure_domain.clone() })
                .collect(),
        );
        let panel = panel.map_err(|why| format!("{site}: {why}; add [observers.NAME] to the estate"))?;
        let mandate = match of.failover.unwrap_or(failover.mode) {
            Mode::Ask => Mandate::Ask(panel),
            Mode::Auto => {
                Mandate::Auto(warrant(estate, panel, [me, other]).map_err(|why| format!("{site}: {why}"))?)
            }
        };
        let terms = Terms::try_from(failover.times).map_err(|why| format!("policy.failover: {why}"))?;
        let charter = Self {
            site: site.clone(),
            me: me.clone(),
            other: other.clone(),
            first_home: of.home.clone(),
            mandate,
            terms,
            thresholds: estate.policy.health.clone(),
        };
        charter.checked()
    }

    /// Everything of it that both hosts must have alike, whoever's it is. Two seats with other terms could serve at once: whoever
    /// hears of another digest does not go on.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self { site, me, other, first_home, mandate, terms, thresholds } = self;
        let hosts = if me < other { [me, other] } else { [other, me] };
        Digest::of_value(&(site, hosts, first_home, mandate, terms, thresholds))
    }

    /// The failure domain that gains by a move to this seat: its votes count as one.
    pub(crate) fn beneficiary(&self) -> Option<&str> {
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
