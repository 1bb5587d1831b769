//! A runbook for each kind of disaster, made of the estate's own names: first those of servers, name servers and domains.

use super::page::{BLANK, Page, Step, cell, listed};
use super::{About, SITES_LISTED, disasters, kept, moves, these};
use crate::estate::{Host, Site, SiteId, Zone, ZoneName};

/// Who does what.
pub(super) const DECIDES: &str = "who decides";
pub(super) const ON_CALL: &str = "whoever is on call";
pub(super) const TECHNICIAN: &str = "technician";

pub(super) fn runbooks(page: &mut Page, about: &About<'_>) {
    page.heading(2, "6. Runbooks");
    page.say(
        "Every command is typed on a machine with dr and the estate, unless another one is named. Tick what is done and write the \
         time beside it. `--dry-run` behind `run`, `back` and `mirror` shows what they would do.",
    );
    site_lost(page, about);
    partitioned(page, about);
    primary_lost(page, about);
    registrar(page, about);
    disasters::bad_mirror(page, about);
    disasters::mail(page, about);
    disasters::keys(page, about);
    disasters::both_lost(page, about);
    disasters::frozen(page, about);
}

/// Looks at every site, and at no more than that.
pub(super) fn look(page: &mut Page, title: &str, expect: &str) {
    page.step(Step {
        title,
        who: ON_CALL,
        time: "2 min",
        typed: vec!["dr failover status".to_owned()],
        expect: expect.to_owned(),
        verify: "the same from a second place: another machine with dr, or a telephone without its WLAN"
            .to_owned(),
        undo: "nothing was changed".to_owned(),
    });
}

/// A question that a probe answers: whether this host serves this site.
pub(super) fn probe(host: &Host, site: &Site) -> Option<String> {
    Some(format!("dr probe {} --http {}/", host.addresses.first()?, site.names.first()?))
}

fn site_lost(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.1 A server is lost");
    if about.example().is_none() {
        page.say("The estate has no site yet.");
        return;
    }
    look(
        page,
        "See that it is lost",
        "the lost host cannot be reached, and `passes` stands before every guard of its sites. A guard that REFUSES says what to do",
    );
    page.step(Step {
        title: "Decide",
        who: DECIDES,
        time: "5 min",
        expect: "`mirror-fresh` says how old the copy is: what is newer is lost, unless the disks of the lost server survive. \
                 A server that is back in less time than a move takes is waited for"
            .to_owned(),
        verify: format!("decided at {BLANK} by {BLANK}"),
        ..Step::default()
    });
    power_off(page, about);
    do_move(page, about);
    let probes = about.by_home().into_values().filter_map(|sites| {
        let (_, site) = sites.first()?;
        probe(about.estate.hosts.get(&site.standby)?, site)
    });
    let mut typed: Vec<String> = probes.collect();
    typed.push("dr check".to_owned());
    page.step(Step {
        title: "See it as a visitor",
        who: ON_CALL,
        time: "5 min",
        typed,
        expect: "`up`; the only findings left are about the lost host".to_owned(),
        verify: "open the sites in a browser, on a telephone; send one order or form through".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    page.step(Step {
        title: "Tell everybody",
        who: DECIDES,
        time: "10 min",
        expect: "section 5: moved, and what may be missing".to_owned(),
        ..Step::default()
    });
    page.say("Then mail (6.6) if it was on that server, and the way home: section 7.");
}

fn power_off(page: &mut Page, about: &About<'_>) {
    let lines = about.by_home().into_keys().filter_map(|home| {
        let address = about.estate.hosts.get(home)?.addresses.first()?;
        Some(format!("dr probe {address} --tcp 80    # {home}"))
    });
    page.step(Step {
        title: "Make sure that it stays off",
        who: TECHNICIAN,
        time: "10 min",
        typed: lines.collect(),
        expect: "after the power switch in the console of its provider (section 2): `down`. If the switch cannot be reached, go \
                 on: the epoch keeps its mirrors out, but visitors whose resolvers are slow may still write there"
            .to_owned(),
        verify: "the console shows it off".to_owned(),
        undo: "switch it on, but only in section 7".to_owned(),
    });
}

fn do_move(page: &mut Page, about: &About<'_>) {
    let mut typed = vec![];
    for (home, sites) in about.by_home() {
        typed.extend(moves(home, &sites));
    }
    let agents = if about.has_agents() {
        " `approve` moves it as soon as the old home has certainly stopped; add `--stopped` if you switched it off yourself"
    } else {
        ""
    };
    page.step(Step {
        title: "Move",
        who: DECIDES,
        time: &format!("{} are promised", about.estate.policy.rto),
        typed,
        expect: format!(
            "the line of the lost host only. The plan, a question, then `done: everything is as planned`. `done, but not \
             everything` names what is missing, most often a name server that does not answer: visitors are served all the same.\
             {agents}"
        ),
        verify: "`dr failover status` once more: the standby holds the sites, in a higher epoch".to_owned(),
        undo: "`dr failover undo`. After an interruption: `dr failover resume`. To the other server again later: section 7"
            .to_owned(),
    });
}

fn partitioned(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.2 Both servers run and do not see each other");
    page.say(
        "**Do not move anything** as long as visitors reach the home: two homes are worse than an old copy.",
    );
    look(
        page,
        "Look from a third place",
        "from there both hosts answer. If one does not, from several places: 6.1",
    );
    let seats: Vec<String> = about
        .estate
        .sites
        .iter()
        .filter(|(_, site)| kept(site))
        .take(SITES_LISTED)
        .map(|(id, site)| {
            format!("dr failover hold {id} --for 2h --why \"the line is cut\"    # typed on {}", site.standby)
        })
        .collect();
    if !seats.is_empty() {
        page.step(Step {
            title: "Keep the agents from moving",
            who: DECIDES,
            time: "2 min",
            typed: seats,
            expect: format!(
                "`held by`. A home that reaches neither the standby nor the coordinator stops after {}: that is meant so, and it \
                 goes on by itself once the line is back. If visitors must not wait: 6.1",
                about.estate.policy.failover.times.hold
            ),
            verify: "`dr failover seats`, on both hosts".to_owned(),
            undo: format!("`dr failover release {}`", about.any_site()),
        });
    }
    page.step(Step {
        title: "Call the providers",
        who: TECHNICIAN,
        time: "15 min",
        expect: "a ticket at both; ask when the line is back".to_owned(),
        verify: format!("ticket numbers: {BLANK} {BLANK}"),
        ..Step::default()
    });
    page.step(Step {
        title: "When it is back: mirror at once",
        who: ON_CALL,
        time: "as long as a mirror takes",
        typed: vec!["dr mirror --all".to_owned(), "dr check".to_owned()],
        expect: "every site mirrored; no finding about a stale mirror".to_owned(),
        verify: "`dr failover status`: `mirror-fresh` passes".to_owned(),
        undo: "nothing to undo: mirrors go from home to standby only".to_owned(),
    });
}

fn primary_lost(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.3 A name server is lost");
    page.say(
        "A secondary that is lost harms nobody as long as another one answers: repair it in the morning. Without its primary a \
         zone still answers, from its secondaries, until they give it up (`expire` in the SOA record, often a week or more); but \
         **nothing can be changed, so no site can be moved**.",
    );
    let zones: Vec<(&ZoneName, &Zone)> = about.estate.zones.iter().collect();
    let Some((apex, _)) = zones.first() else {
        page.say("The estate has no zone yet.");
        return;
    };
    page.step(Step {
        title: "See which one it is",
        who: ON_CALL,
        time: "2 min",
        typed: zones.iter().take(SITES_LISTED).map(|(apex, _)| format!("dr dns check {apex}")).collect(),
        expect: "the server that does not answer is named. Section 2 says of what it is the primary"
            .to_owned(),
        verify: "ping and console of that server; it may be back in minutes".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    let successors: Vec<(&ZoneName, &Zone)> =
        zones.iter().copied().filter(|(_, zone)| zone.standby_primary.is_some()).collect();
    if successors.is_empty() {
        page.say(format!(
            "No zone of the estate says which server takes the primary's place (`standby_primary`). Choose the one with the \
             highest serial in `dr dns check {apex}`, and name it behind the zone."
        ));
    }
    let named = |zone: &Zone| {
        zone.standby_primary.as_ref().or_else(|| zone.servers.iter().find(|id| **id != zone.primary)).cloned()
    };
    let promote = |words: &str| -> Vec<String> {
        let zones = if successors.is_empty() { &zones } else { &successors };
        let lines = zones.iter().take(SITES_LISTED).filter_map(|(apex, zone)| {
            let to = named(zone)?;
            Some(format!("dr dns promote {apex} {to}{words}    # {} is lost", zone.primary))
        });
        lines.collect()
    };
    if promote("").is_empty() {
        page.say(format!("{apex} has no other server: it is down until its primary is back. See section 9."));
        return;
    }
    page.step(Step {
        title: "Ask who could take its place",
        who: ON_CALL,
        time: "5 min",
        typed: promote(" --output conf"),
        expect: "whether it is fit, who would follow, and in `conf` the configuration for each server"
            .to_owned(),
        verify: "no other server has a higher serial".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    page.step(Step {
        title: "Promote it",
        who: DECIDES,
        time: "20 min",
        typed: promote(" --installed"),
        expect: "first the files of `conf` are put in place on each server, and it is reloaded; then this raises the serial, and \
                 every server that answers follows"
            .to_owned(),
        verify: format!("`dr dns check {apex}`; then write the new `primary` into the estate, and `dr failover status`"),
        undo: "promote the old one in the same way, once it is back. Until then **it must not answer**: switch it off".to_owned(),
    });
}

fn registrar(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.4 A domain is expired, taken over, or leads elsewhere");
    page.say("dr cannot mend what stands at the registrar; it can show it, and keep the rest ready.");
    let zones: Vec<&ZoneName> = about.estate.zones.keys().take(SITES_LISTED).collect();
    page.step(Step {
        title: "See what the world is told",
        who: ON_CALL,
        time: "5 min",
        typed: zones.iter().flat_map(|apex| [format!("dig +trace {apex} NS | tail -n 20"), format!("dr dns check {apex}")]).collect(),
        expect: "the NS records of the parent are those of section 2, and the check finds the same".to_owned(),
        verify: "`whois`: the day of expiry, the registrar, the status (`clientHold` and `redemptionPeriod` mean unpaid)".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    page.step(Step {
        title: "Call the registrar",
        who: DECIDES,
        time: "30 min",
        expect: "unpaid: pay, and ask how long it takes. Taken over: have it locked, name the day up to which it was yours, \
                 change the password and the second factor there (6.7)"
            .to_owned(),
        verify: format!("ticket: {BLANK} promised until: {BLANK}"),
        ..Step::default()
    });
    page.step(Step {
        title: "Meanwhile serve under another name",
        who: TECHNICIAN,
        time: "1 h",
        expect: format!("a domain at another registrar, kept for this: {BLANK} Its names lead to the home of each site, which must know them"),
        verify: "in a browser, on a telephone".to_owned(),
        undo: "take the names out again".to_owned(),
        ..Step::default()
    });
    let status = about.estate.zones.values().flat_map(|zone| &zone.status).map(|name| cell(name.as_str()));
    let status: Vec<String> = status.collect();
    if !status.is_empty() {
        page.say(format!("Names for telling visitors: {}.", listed(status)));
    }
}

/// The sites of the estate by name, as far as they are listed.
pub(super) fn examples<'a>(about: &About<'a>) -> Vec<(&'a SiteId, &'a Site)> {
    about.estate.sites.iter().take(SITES_LISTED).collect()
}

/// How many sites a list leaves out.
pub(super) fn the_rest(about: &About<'_>) -> Option<String> {
    let sites: Vec<(&SiteId, &Site)> = about.estate.sites.iter().collect();
    (sites.len() > SITES_LISTED).then(|| format!("In the same way for all {} (section 3).", these(&sites)))
}
