//! The way home, what is known to be wrong, what is exercised when, and what the words mean.

use super::page::{BLANK, Page, Step, cell, listed};
use super::runbooks::{DECIDES, ON_CALL, TECHNICIAN, examples, the_rest};
use super::{About, day, kept};
use crate::estate::{Host, Mode, Site, Zone};
use crate::report::{Report, Verdict};
use crate::run::Outcome;

pub(super) fn reconstitution(page: &mut Page, about: &About<'_>) {
    page.heading(2, "7. The way home");
    page.say("On a quiet day, rested. The sites run on the standby meanwhile, and there is no second copy: do not wait for weeks.");
    page.step(Step {
        title: "Bring the old home up without visitors",
        who: TECHNICIAN,
        time: "hours",
        typed: about.estate.hosts.values().map(|host| format!("dr keys trust {}", host.ssh)).collect(),
        expect: "the line of that host only. After a fire: a new machine, installed as before, new host keys pinned in the estate. \
                 After a break-in always a new one. Its mirrors stay off"
            .to_owned(),
        verify: "`dr check` with the name of the host".to_owned(),
        undo: "switch it off again: nothing depends on it".to_owned(),
    });
    quarantine(page, about);
    go_back(page, about);
    page.say("It is over when all of this is so:");
    let mut so = vec![
        "☐ every site is at home: `dr failover status`".to_owned(),
        "☐ `dr check` finds no error, and every site was mirrored once since".to_owned(),
        "☐ guards that were overridden are looked at: `dr failover audit --verify`".to_owned(),
    ];
    if about.has_agents() {
        let site = about.any_site();
        so.push(format!(
            "☐ moves without a person are acknowledged, each on its home: `dr failover ack {site}`"
        ));
    }
    so.extend(
        [
            "☐ TTLs, schedules and the estate are as before; keys that were lent are taken back",
            "☐ everybody was told (section 5), and a day is set for looking back: what was seen when, what was missing here",
            "☐ this memo is printed anew",
        ]
        .map(str::to_owned),
    );
    page.items(so);
}

fn quarantine(page: &mut Page, about: &About<'_>) {
    let sites = examples(about);
    let by_agent = if about.has_agents() {
        ". Where agents keep a site it is put aside by itself, whole: `/var/lib/dr/agent/aside/SITE/epoch-N` on the old home"
    } else {
        ""
    };
    page.step(Step {
        title: "Put aside what only the old home has",
        who: TECHNICIAN,
        time: "1 h",
        typed: sites
            .iter()
            .filter(|(_, site)| !kept(site) && site.mirror)
            .map(|(id, site)| format!("dr failover back {id} --dry-run    # what {} has and {} has not", site.home, site.standby))
            .collect(),
        expect: format!(
            "what is going to be replaced or deleted there: orders, uploads and mail from between the last mirror and the move. Copy \
             the trees beside themselves before anything lands (`cp -a`){by_agent}"
        ),
        verify: format!("a person has looked at it and merged what is worth it. Who: {BLANK} Kept until: {BLANK}"),
        undo: "nothing was changed".to_owned(),
    });
    if let Some(text) = the_rest(about) {
        page.say(text);
    }
}

fn go_back(page: &mut Page, about: &About<'_>) {
    let sites = examples(about);
    if sites.is_empty() {
        return;
    }
    let line = |(id, site): &(&crate::estate::SiteId, &Site)| {
        if kept(site) {
            format!("dr failover hand-over {id}    # typed on {}", site.standby)
        } else {
            format!("dr failover back {id}")
        }
    };
    page.step(Step {
        title: "Mirror in reverse, and move home",
        who: DECIDES,
        time: "as long as a mirror takes, then minutes",
        typed: sites.iter().map(line).collect(),
        expect: "the mirror to the old home first; the move only if that was complete. What is written meanwhile is mirrored last, \
                 so nothing is lost"
            .to_owned(),
        verify: "`dr failover status`, and as a visitor".to_owned(),
        undo: "`dr failover undo` takes back what was begun; to the standby again: 6.1".to_owned(),
    });
    page.step(Step {
        title: "Mirror the right way again",
        who: ON_CALL,
        time: "as long as a mirror takes",
        typed: vec!["dr mirror --all".to_owned(), "dr check".to_owned()],
        expect: "no finding about a stale mirror; then the schedules are switched on (`systemctl start`, or the lines of cron)".to_owned(),
        verify: "`dr failover status`: `mirror-fresh` passes".to_owned(),
        undo: "nothing to undo".to_owned(),
    });
}

pub(super) fn gaps(page: &mut Page, about: &About<'_>) {
    page.heading(2, "9. What is known to be wrong");
    page.say("By the estate alone:");
    let mut found = of_hosts(about);
    found.extend(of_zones(about));
    found.extend(of_sites(about));
    for (code, severity) in &about.estate.policy.severity {
        found.push(format!(
            "`{}` counts as {} only, because the policy says so",
            cell(code).replace('\\', ""),
            severity.name()
        ));
    }
    if found.is_empty() {
        page.say("Nothing.");
    }
    page.items(found);
    overridden(page, about);
    match &about.facts.check {
        Some(report) => checked(page, report, about),
        None => page
            .say("Nothing else is known: no look at everything was taken for this memo (`dr memo --check`)."),
    }
    page.say(format!("What people know beside that: {BLANK}{BLANK}{BLANK}"));
}

fn of_hosts(about: &About<'_>) -> Vec<String> {
    let mut found = vec![];
    for (id, host) in &about.estate.hosts {
        if host.host_keys.is_empty() {
            found.push(format!("{id}: no host key is pinned; another machine that answers in its place is found out by known\\_hosts only"));
        }
    }
    for (home, sites) in about.by_home() {
        let place = |id| about.estate.hosts.get(id).and_then(|host: &Host| host.failure_domain.as_deref());
        for to in super::targets(&sites) {
            match (place(home), place(to)) {
                (Some(a), Some(b)) if a == b => {
                    found.push(format!("{home} and {to} are lost together: both in {}", cell(a)));
                }
                (Some(_), Some(_)) => {}
                _ => found.push(format!(
                    "whether {home} and {to} are lost together is not said (`failure_domain`)"
                )),
            }
        }
    }
    found
}

fn of_zones(about: &About<'_>) -> Vec<String> {
    let mut found = vec![];
    let named = |is: &dyn Fn(&Zone) -> bool| -> Vec<&str> {
        about.estate.zones.iter().filter(|(_, zone)| is(zone)).map(|(apex, _)| apex.as_str()).collect()
    };
    let mut note = |zones: Vec<&str>, what: &str| {
        if zones.len() > super::SITES_LISTED {
            found.push(format!("{} zones: {what}", zones.len()));
        } else if !zones.is_empty() {
            found.push(format!("{}: {what}", listed(zones)));
        }
    };
    note(named(&|zone| zone.servers.len() < 2), "one name server only: it is lost with that");
    note(
        named(&|zone| zone.servers.len() > 1 && zone.standby_primary.is_none() && zone.provider.is_none()),
        "no server is named that takes the primary's place (`standby_primary`)",
    );
    note(
        named(&|zone| zone.update_key.is_none() && zone.provider.is_none()),
        "nothing signs changes (`update_key`, `provider`): they are taken from anybody's address or not at all",
    );
    found
}

fn of_sites(about: &About<'_>) -> Vec<String> {
    let estate = about.estate;
    let mut found = vec![];
    let mut note = |is: &dyn Fn(&Site) -> bool, what: &str| {
        let sites: Vec<_> = estate.sites.iter().filter(|(_, site)| is(site)).collect();
        if !sites.is_empty() {
            found.push(format!("{}: {what}", super::these(&sites)));
        }
    };
    note(&|site| !site.mirror, "not mirrored by dr: how old the copy is, nobody checks");
    note(
        &|site| site.mirror && site.generations.unwrap_or(estate.policy.mirrors.generations) == 0,
        "the standby keeps no former state (`generations`): after a bad mirror only the backup is left",
    );
    note(
        &|site| !site.databases.is_empty(),
        "databases are named, and dr copies files only: they are as fresh as their last dump into a tree",
    );
    note(&|site| !site.mailboxes.is_empty(), "mail is named, and dr copies it only where it lies in a tree");
    note(&|site| site.names.is_empty(), "no name moves with it");
    let by_person =
        |site: &Site| site.failover.unwrap_or(estate.policy.failover.mode) == Mode::Ask || !kept(site);
    note(&by_person, "moved by a person only: as long as nobody is reached, nothing is moved");
    found
}

fn overridden(page: &mut Page, about: &About<'_>) {
    let moves = about.facts.moves.iter().filter(|moved| !moved.despite.is_empty());
    let lines: Vec<String> = moves
        .map(|moved| {
            let guards = listed(moved.despite.iter().map(|guard| guard.name()));
            format!("{}: {} (by {}): {guards}", day(moved.at), cell(&moved.title), cell(&moved.by))
        })
        .collect();
    if !lines.is_empty() {
        page.say("Guards that were overridden in the past:");
        page.items(lines);
    }
}

fn checked(page: &mut Page, report: &Report, about: &About<'_>) {
    let verdict = match report.verdict() {
        Verdict::Ok => "all was well",
        Verdict::Degraded => "there were warnings",
        Verdict::Failed => "**a failover would have failed**",
    };
    let days = about.at.since(report.at).as_secs() / 86_400;
    let ago = if days == 0 { "for this memo".to_owned() } else { format!("{days} days before this memo") };
    page.say(format!("{} ({}, {ago}): {verdict}.", cell(&report.title), report.at));
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            let (severity, subject) = (finding.severity.name(), cell(&finding.subject.to_string()));
            format!("**{severity}** {subject}: {}. {}.", cell(&finding.message), cell(&finding.remedy))
        })
        .collect();
    lines.extend(report.unexamined.iter().map(|missing| {
        format!("not examined: {}: {}", cell(&missing.subject.to_string()), cell(&missing.why.message))
    }));
    page.items(lines);
}

pub(super) fn tests(page: &mut Page, about: &About<'_>) {
    page.heading(2, "10. What is exercised, and when");
    let (daily, plan, live, back) = match about.example() {
        Some((id, site)) if kept(site) => (
            "`dr check`".to_owned(),
            format!("`dr failover drill {id}` on {}", site.standby),
            format!("`dr failover hand-over {id}` on {}", site.home),
            format!("`dr failover hand-over {id}` on {}", site.standby),
        ),
        Some((id, _)) => (
            "`dr check`".to_owned(),
            format!("`dr failover plan {id}`"),
            format!("`dr failover run {id} --planned`"),
            format!("`dr failover back {id}`"),
        ),
        None => return page.say("The estate has no site yet."),
    };
    let row = |what: &str, often: &str, typed: String| {
        vec![what.to_owned(), often.to_owned(), typed, BLANK.to_owned(), BLANK.to_owned()]
    };
    page.table(
        &["What", "How often", "Command", "Last done, by", "Result"],
        vec![
            row("everything is looked at", "daily", daily),
            row("a move is rehearsed, nothing is moved", "monthly", plan),
            row(
                "a move for real, planned, and back: each site once a year",
                "every 6 months",
                format!("{live}, then {back}"),
            ),
            row("a backup is restored on another machine", "every 3 months", "–".to_owned()),
            row("somebody new does 6.1 with this memo alone", "yearly", "–".to_owned()),
            row("the telephone numbers are called", "every 3 months", "–".to_owned()),
        ],
    );
    results(page, about);
}

fn results(page: &mut Page, about: &About<'_>) {
    if let Some(why) = &about.facts.unread {
        page.say(format!("What was moved could not be read: {}", cell(why)));
    }
    let rows = about.facts.moves.iter().rev().take(10).map(|moved| {
        let ended = match moved.outcome {
            Some(Outcome::New) => "done",
            Some(Outcome::NewDegraded) => "done, not all of it",
            Some(Outcome::Old) => "taken back",
            Some(Outcome::Stopped) => "**stopped**",
            None => "**unfinished**",
        };
        let span =
            |span: Option<crate::time::Period>| span.map_or_else(|| "–".to_owned(), |span| span.to_string());
        vec![
            day(moved.at),
            cell(&moved.title),
            cell(&moved.by),
            ended.to_owned(),
            moved.age(),
            span(moved.records_after),
            span(moved.took),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        page.say("The journal of this machine knows of no move yet: nobody has seen one succeed.");
    } else {
        page.say("The last moves that the journal of this machine knows of, real ones and exercises:");
    }
    page.table(
        &["Day", "What", "By", "Ended", "Age of the copy", "Records changed after", "All done after"],
        rows,
    );
    let drills = about.facts.drills.iter().rev().take(10);
    let rows = drills.map(|(at, site, said)| vec![day(*at), site.to_string(), cell(said)]).collect();
    page.table(&["Day", "Drill of the agent on", "What it said"], rows);
}

pub(super) fn words(page: &mut Page) {
    page.heading(2, "11. Words");
    page.items([
        "**home, standby**: the host that serves a site on a good day, and the one that could",
        "**epoch**: a number that grows with every move; whoever acts by an older one is refused",
        "**coordinator**: where it is written down who holds a site: the primary name server, etcd, or a file",
        "**guard**: what must be so before a move; each says what it saw",
        "**mirror**: the copy from home to standby; its age counts from its beginning",
        "**plan, run**: the steps of a move, and one time that they are done; the journal keeps every run (`dr log`)",
        "**seat, agent, observer**: the part of dr that keeps a site on a host, the service that it runs in, and one that looks from elsewhere",
        "**primary, secondary**: the name server that takes changes of a zone, and one that copies it",
        "**RPO, RTO**: how much may be lost, in time; how long visitors may be without an answer",
        "**TTL**: how long resolvers remember an address",
    ]);
}
