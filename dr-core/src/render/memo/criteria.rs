//! When a site is moved, by whom, and who is told.

use super::page::{BLANK, Page, cell, listed};
use super::{About, SITES_LISTED, kept};
use crate::estate::{Mode, SiteId};
use crate::failover::GuardName;

/// The guards as they are asked: what each wants, and whether it keeps a person from a move, or is only told.
const GUARDS: [(GuardName, &str, bool); 10] = [
    (GuardName::StandbyHealthy, "the standby answers every probe", true),
    (GuardName::MirrorFresh, "the last verified mirror began no longer ago than the RPO", true),
    (GuardName::DnsChangeable, "the primary or the provider would take the change now", true),
    (GuardName::Tenure, "who holds the site can be read and has not gone back", true),
    (GuardName::Disk, "the standby has room", true),
    (GuardName::Certificates, "the standby has good certificates", true),
    (GuardName::Maintenance, "nobody works on the site or has it frozen", true),
    (GuardName::Ttl, "resolvers forget the old address within the RTO", false),
    (GuardName::HoldDown, "the last move without a person is long ago and acknowledged", false),
    (GuardName::Quorum, "enough observers see it down, or could", false),
];

pub(super) fn activation(page: &mut Page, about: &About<'_>) {
    let policy = &about.estate.policy;
    page.heading(2, "4. When a site is moved");
    page.say(format!("Who may say so: {BLANK} Alternate: {BLANK} Without asking anybody, if: {BLANK}"));
    modes(page, about);
    let health = &policy.health;
    page.say(format!(
        "A site counts as down after {} failures in a row, looked at every {} ({} while in doubt), each within {}; as up again \
         after {} good answers. Nobody waits for a site that comes back within {BLANK}.",
        health.fall, health.interval, health.confirm_interval, health.timeout, health.rise
    ));
    if about.has_agents() {
        let times = &policy.failover.times;
        page.say(format!(
            "By agents it is down when more than half of all observers say so, from two places, and none sees it up. A home that \
             has given no sign of life for {} stops by itself; the standby waits for {} before it serves. No second move without a \
             person for {}, nor before the first one was acknowledged.",
            times.hold, times.take, health.hold_down
        ));
    }
    page.say("What must be so. `dr failover status` says what each guard sees:");
    let rows = GUARDS.iter().map(|(guard, wants, keeps)| {
        let keeps = if *keeps { "refuses; overridden by name" } else { "is told" };
        vec![guard.name().to_owned(), (*wants).to_owned(), keeps.to_owned()]
    });
    page.table(&["Guard", "Passes when", "Else a person's move"], rows.collect());
    if let Some((id, _)) = about.example().filter(|(_, site)| !kept(site)) {
        page.typed(vec![format!(
            "dr failover run {id} --despite mirror-fresh --why \"the home is lost for good\"    # both are kept"
        )]);
    } else if let Some((id, _)) = about.example() {
        page.typed(vec![format!(
            "dr failover approve {id} --despite mirror-fresh --why \"the home is lost for good\"    # both are kept"
        )]);
    }
    page.say("What a move does, in this order:");
    page.items([
        "the standby refuses mirrors from before the new epoch",
        "the epoch is raised by compare-and-set: the standby holds the site, and only one can have raised it",
        "the old home steps down, if it can be reached",
        "the standby becomes home, and must answer as it should",
        "the names point at it: the primary takes the change whole, or not at all",
        "every name server is asked until it shows the change; one that does not is named",
        "the old TTL passes: resolvers may keep the old address so long",
    ]);
    page.say("What fails before the names are changed is taken back by itself. What fails after that is named, and the run is done.");
}

fn modes(page: &mut Page, about: &About<'_>) {
    let mode = |site: &crate::estate::Site| site.failover.unwrap_or(about.estate.policy.failover.mode);
    let by_itself: Vec<&SiteId> = about
        .estate
        .sites
        .iter()
        .filter(|(_, site)| mode(site) == Mode::Auto && kept(site))
        .map(|(id, _)| id)
        .collect();
    let named = |ids: &[&SiteId]| {
        if ids.len() > SITES_LISTED {
            format!("{} sites", ids.len())
        } else {
            listed(ids.iter().map(|id| id.as_str()))
        }
    };
    page.say(if by_itself.is_empty() {
        "No site is moved without a person.".to_owned()
    } else {
        format!("**Moved without a person**: {}. Every other site by a person only.", named(&by_itself))
    });
}

pub(super) fn people(page: &mut Page, about: &About<'_>) {
    page.heading(2, "5. Who is told");
    if about.has_agents() {
        page.say(
            "The agents run the command `tell` of `/etc/dr/agent.json` for everything that people are to be told, on both hosts; \
             what was told is in `dr failover history`.",
        );
    }
    let who = [
        "who decides",
        "alternate",
        "technician",
        "alternate",
        "provider of the servers",
        "registrar",
        "customers: list, status page, telephone",
        "data protection officer (personal data lost or seen: 72 h in the EU)",
        "insurance",
    ];
    page.form(&["Who", "Name", "Telephone", "Other way"], who);
    let status: Vec<String> =
        about.estate.zones.values().flat_map(|zone| &zone.status).map(|name| cell(name.as_str())).collect();
    if !status.is_empty() {
        page.say(format!("Visitors are told at {}: they do not move with the sites.", listed(status)));
    }
    page.say("What is said, in the customers' language, and again at least every hour:");
    page.items([
        format!("**Seen**: since {BLANK} (time) our service {BLANK} does not answer. We are looking for the cause. Next word at {BLANK}."),
        format!("**Moved**: since {BLANK} the service runs on our second server. What was changed between {BLANK} (the start of the last mirror) and {BLANK} may be missing. Next word at {BLANK}."),
        format!("**Home again**: since {BLANK} everything runs as usual. Missing is: {BLANK}."),
    ]);
}
