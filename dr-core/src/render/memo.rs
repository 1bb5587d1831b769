//! The recovery memo: what somebody needs who has only a printout, at three in the morning, with one of the servers gone.

mod by_hand;
mod closing;
mod criteria;
mod disasters;
mod front;
mod held;
mod html;
mod page;
mod runbooks;
mod systems;

use std::collections::BTreeMap;
use std::time::Duration;

use self::page::Page;
use crate::digest::Digest;
use crate::estate::{Estate, HostId, Site, SiteId};
use crate::failover::GuardName;
use crate::report::Report;
use crate::run::Outcome;
use crate::time::{Period, Timestamp};

/// After so many days a memo is printed anew even if nothing is known to have changed.
const FRESH_DAYS: u64 = 31;
/// So many sites are named one by one; of more than these, hosts are spoken of.
const SITES_LISTED: usize = 12;

/// What is known beside the estate: what the journal tells of moves, and what the last look at everything found.
///
/// ```
/// let facts = dr_core::render::MemoFacts::default();
/// assert!(facts.moves.is_empty() && facts.check.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoFacts {
    /// What the last check of everything found; none if there was none.
    pub check: Option<Report>,
    /// The moves that were made, oldest first: real ones and those of exercises.
    pub moves: Vec<MemoMove>,
    /// Drills of the agent on this host, oldest first: when, of which site, and what was rehearsed.
    pub drills: Vec<(Timestamp, SiteId, String)>,
    /// Why the journal could not be read, if so.
    pub unread: Option<String>,
}

/// A move of sites that the journal tells of.
///
/// ```
/// use dr_core::render::MemoMove;
/// let moved = MemoMove { title: "move shop from uk to us".into(), ..MemoMove::default() };
/// assert!(moved.took.is_none(), "it has not ended");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoMove {
    /// The sites.
    pub sites: Vec<SiteId>,
    /// When it was begun.
    pub at: Timestamp,
    /// What it was.
    pub title: String,
    /// Who asked for it.
    pub by: String,
    /// How it ended; none while it has not.
    pub outcome: Option<Outcome>,
    /// From the decision until the last step was done, what resolvers remember included.
    pub took: Option<Period>,
    /// From the decision until the records were changed on the primary of every zone.
    pub records_after: Option<Period>,
    /// How old the copy was that it moved to, at the decision.
    pub copy_age: Option<Period>,
    /// Whether the site was mirrored as part of it: then that age does not matter.
    pub mirrored_first: bool,
    /// Guards that were overridden.
    pub despite: Vec<GuardName>,
}

/// A recovery memo.
///
/// ```
/// use dr_core::{Estate, Timestamp, render::{MemoFacts, memo}};
/// let memo = memo(&Estate::default(), &MemoFacts::default(), "2026-11-22T03:00:00Z".parse().unwrap());
/// assert!(memo.to_markdown().starts_with("# Recovery memo\n"));
/// assert!(memo.to_html().starts_with("<!DOCTYPE html>"));
/// ```
pub struct Memo(Page);

impl Memo {
    /// In Markdown, which is read as it stands, too.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.0.to_markdown()
    }

    /// As one file for a browser and a printer: no script, nothing fetched from anywhere. The page for the emergency is the first.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::to_html(&self.0)
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("blocks", &self.0.blocks.len()).finish()
    }
}

/// The recovery memo of an estate, to be printed and kept where neither server is: one page for the emergency, then what there is,
/// who decides by what, a runbook for each kind of disaster, the way home, what to type if dr itself is lost, what is known to be
/// wrong, and what is exercised when. What an estate does not have (people, contracts, telephone numbers) is left blank for a pen.
///
/// It holds the places of secrets, never a secret: an estate has none.
///
/// ```
/// use dr_core::{Estate, render::{MemoFacts, memo}};
/// let text = memo(&Estate::default(), &MemoFacts::default(), "2026-11-22T03:00:00Z".parse().unwrap()).to_markdown();
/// assert!(text.contains("no look at everything was taken for this memo"));
/// ```
#[must_use]
pub fn memo(estate: &Estate, facts: &MemoFacts, at: Timestamp) -> Memo {
    let about = About { estate, facts, at };
    let mut page = Page::default();
    front::front(&mut page, &about);
    systems::about(&mut page, &about);
    systems::systems(&mut page, &about);
    systems::services(&mut page, &about);
    criteria::activation(&mut page, &about);
    criteria::people(&mut page, &about);
    runbooks::runbooks(&mut page, &about);
    closing::reconstitution(&mut page, &about);
    by_hand::by_hand(&mut page, &about);
    closing::gaps(&mut page, &about);
    closing::tests(&mut page, &about);
    closing::words(&mut page);
    Memo(page)
}

/// What a memo is about.
struct About<'a> {
    estate: &'a Estate,
    facts: &'a MemoFacts,
    at: Timestamp,
}

impl<'a> About<'a> {
    /// The sites by the host that is their home.
    fn by_home(&self) -> BTreeMap<&'a HostId, Vec<(&'a SiteId, &'a Site)>> {
        let mut homes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, site) in &self.estate.sites {
            homes.entry(&site.home).or_default().push((id, site));
        }
        homes
    }

    /// The site that examples are about: the first one.
    fn example(&self) -> Option<(&'a SiteId, &'a Site)> {
        self.estate.sites.iter().next()
    }

    /// Its name, for a command that is about any site.
    fn any_site(&self) -> String {
        self.example().map_or_else(|| "SITE".to_owned(), |(id, _)| id.to_string())
    }

    /// Whether agents keep sites here: those whose services they start and stop.
    fn has_agents(&self) -> bool {
        self.estate.sites.values().any(kept)
    }

    /// By this number two prints are told apart: that of the estate.
    fn number(&self) -> String {
        Digest::of_value(self.estate).to_string().chars().take(12).collect()
    }

    /// The day after which it is printed anew.
    fn stale(&self) -> String {
        day(self.at + Duration::from_secs(FRESH_DAYS * 24 * 3600))
    }

    /// The last move of this site that ended with the visitors elsewhere.
    fn last_move(&self, site: &SiteId) -> Option<&'a MemoMove> {
        let arrived = |moved: &&MemoMove| matches!(moved.outcome, Some(Outcome::New | Outcome::NewDegraded));
        self.facts.moves.iter().rev().filter(arrived).find(|moved| moved.sites.contains(site))
    }
}

impl MemoMove {
    /// How old the copy was, in words.
    fn age(&self) -> String {
        match self.copy_age {
            _ if self.mirrored_first => "mirrored first".to_owned(),
            Some(age) => age.to_string(),
            None => "–".to_owned(),
        }
    }
}

/// Whether agents keep this site, on both hosts.
fn kept(site: &Site) -> bool {
    site.services.is_some()
}

/// The day of a time.
fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or_else(|| text.clone(), |(day, _)| day.to_owned())
}

/// The names of these sites, or how many they are.
fn these(sites: &[(&SiteId, &Site)]) -> String {
    if sites.len() > SITES_LISTED {
        return format!("{} sites", sites.len());
    }
    page::listed(sites.iter().map(|(id, _)| id.as_str()))
}

/// What is typed when this host is lost, with what it does behind it: one line where no agent keeps its sites.
fn moves(home: &HostId, sites: &[(&SiteId, &Site)]) -> Vec<String> {
    let (by_agents, by_hand): (Vec<_>, Vec<_>) = sites.iter().partition(|(_, site)| kept(site));
    let mut lines = vec![];
    if by_agents.is_empty() && !by_hand.is_empty() {
        let to = page::listed(targets(&by_hand).iter().map(|host| host.as_str()));
        lines.push(format!("dr failover run --host {home}    # {home} is lost: {} to {to}", these(&by_hand)));
    } else {
        lines.extend(by_hand.iter().map(|(id, site)| one(id, site)));
    }
    lines.extend(by_agents.iter().map(|(id, site)| one(id, site)));
    lines
}

/// What is typed to move one site.
fn one(id: &SiteId, site: &Site) -> String {
    let Site { home, standby, .. } = site;
    if kept(site) {
        format!("dr failover approve {id}    # typed on {standby}: {id} from {home} to {standby}")
    } else {
        format!("dr failover run {id}    # {id} from {home} to {standby}")
    }
}

/// Where these sites go.
fn targets<'a>(sites: &[(&SiteId, &'a Site)]) -> std::collections::BTreeSet<&'a HostId> {
    sites.iter().map(|(_, site)| &site.standby).collect()
}

#[cfg(test)]
mod tests;
