//! Runbooks for what is done to files, mail, keys and everything at once.

use super::by_hand::ssh;
use super::page::{BLANK, Page, Step, cell, listed, quoted};
use super::runbooks::{DECIDES, ON_CALL, TECHNICIAN, examples, probe, the_rest};
use super::{About, kept};
use crate::estate::{Host, Site, SiteId};

pub(super) fn bad_mirror(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.5 Files are gone, encrypted or defaced");
    page.say(
        "**Do not mirror.** The standby's copy may be the last good one, and the next mirror would overwrite it. Do not fail over \
         before you know what the copy looks like.",
    );
    stop_mirrors(page, about);
    let sites = examples(about);
    let targets: Vec<(String, &SiteId)> =
        sites.iter().flat_map(|(id, site)| copies(about, id, site)).collect();
    let keeps = |site: &Site| site.generations.unwrap_or(about.estate.policy.mirrors.generations) > 0;
    let any_kept = about.estate.sites.values().any(keeps);
    page.step(Step {
        title: "Look at the copy",
        who: TECHNICIAN,
        time: "15 min",
        typed: targets.iter().map(|(target, _)| format!("dr mirror --rollback {target} --dry-run")).collect(),
        expect: "the former states that are there, with their times".to_owned(),
        verify: "open some files on the standby, old ones and new ones: whole, and not encrypted?".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    if any_kept {
        page.step(Step {
            title: "If the copy is bad, go back to the last good state",
            who: DECIDES,
            time: "5 min",
            typed: targets
                .iter()
                .map(|(target, id)| {
                    format!("dr mirror --rollback {target}    # {id}; --to TIME: an older one")
                })
                .collect(),
            expect: "the state from before the last mirror is live on the standby".to_owned(),
            verify: "the same files again".to_owned(),
            undo: "the bad state is kept beside it: the same command, with `--to` and its time".to_owned(),
        });
    } else {
        page.say(
            "The standby keeps no former state (`generations` is 0): if the copy is bad, only the backup that neither server \
             can change is left (section 2).",
        );
    }
    page.step(Step {
        title: "Move to the good copy",
        who: DECIDES,
        time: &format!("{} are promised", about.estate.policy.rto),
        typed: sites.iter().map(|(id, site)| despite(id, site)).collect(),
        expect: "as in 6.1. Never with `--planned` or `hand-over`: that mirrors first".to_owned(),
        verify: "`dr failover status`, and in a browser".to_owned(),
        undo: "`dr failover undo`, but then the bad files are served again".to_owned(),
    });
    page.extend_rest(about);
    page.step(Step {
        title: "Keep the evidence, and close the door",
        who: TECHNICIAN,
        time: "1 h",
        expect: "the old home is taken off the network and not cleaned; a copy of its disks is made; every key and password that \
                 was on it counts as known to others (6.7); it is installed anew before it is home again (section 7)"
            .to_owned(),
        verify: format!("how they came in: {BLANK}"),
        ..Step::default()
    });
}

fn stop_mirrors(page: &mut Page, about: &About<'_>) {
    let mut typed = vec![
        "systemctl stop 'dr-mirror-*.timer' 'dr-mirror-*.service'    # where mirrors are scheduled"
            .to_owned(),
    ];
    for (id, site) in examples(about).into_iter().filter(|(_, site)| kept(site)) {
        typed.push(format!(
            "dr failover freeze {id} --why \"bad files\"    # typed on {} and {}",
            site.home, site.standby
        ));
    }
    let thawed = if about.has_agents() {
        format!(", and `dr failover thaw {}`", about.any_site())
    } else {
        String::new()
    };
    let undo = format!("when everything is good again: `systemctl start`{thawed}");
    page.step(Step {
        title: "Stop every mirror",
        who: ON_CALL,
        time: "2 min",
        typed,
        expect: "nothing is printed. Where cron mirrors, take its lines out; `--watch` is ended with Ctrl-C"
            .to_owned(),
        verify: "`dr log`: no mirror is `unfinished`".to_owned(),
        undo,
    });
}

/// Where the copies of a site are.
fn copies<'a>(about: &About<'_>, id: &'a SiteId, site: &Site) -> Vec<(String, &'a SiteId)> {
    let Some(standby) = about.estate.hosts.get(&site.standby) else { return vec![] };
    site.trees.iter().map(|tree| (there(standby, tree.standby_path()), id)).collect()
}

/// A tree on a host, as `dr mirror` takes it.
fn there(host: &Host, path: &str) -> String {
    let remote = &host.ssh;
    if remote.port == 22 && !remote.host.contains(':') {
        quoted(&format!("{}@{}:{path}", remote.user, remote.host))
    } else {
        quoted(&format!("{remote}{path}"))
    }
}

fn despite(id: &SiteId, site: &Site) -> String {
    let words = "--despite mirror-fresh --why \"the home's files are bad\"";
    if kept(site) {
        format!(
            "dr failover approve {id} --stopped {words}    # typed on {}, with {} off and {id} thawed",
            site.standby, site.home
        )
    } else {
        format!("dr failover run {id} {words}")
    }
}

pub(super) fn mail(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.6 Mail does not arrive");
    let domains: Vec<String> = about
        .estate
        .sites
        .values()
        .flat_map(|site| &site.mailboxes)
        .map(|name| cell(name.as_str()))
        .collect();
    page.say(format!(
        "Mail domains of the estate: {}. Whoever sends keeps a message for days and tries again: nothing is lost in the first \
         hours unless a server **refuses** it. A server that cannot deliver is better switched off than answering with errors.",
        listed(domains)
    ));
    let probes = about
        .estate
        .hosts
        .values()
        .filter_map(|host| Some(format!("dr probe {} --smtp 25", host.addresses.first()?)));
    let mut typed: Vec<String> = probes.collect();
    typed.extend(about.estate.zones.keys().take(3).map(|apex| format!("dig +short {apex} MX")));
    page.step(Step {
        title: "See which server does not take it",
        who: ON_CALL,
        time: "5 min",
        typed,
        expect: "`up`, with the greeting, from every host that an MX record leads to".to_owned(),
        verify: "send a message from outside; `postqueue -p` on the server shows what waits".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    page.step(Step {
        title: "Let the other server take it",
        who: TECHNICIAN,
        time: "30 min",
        expect: "both servers stand in the MX records, and the standby delivers for the domains or keeps what comes. dr moves MX \
                 records only where they are names of a site"
            .to_owned(),
        verify: "a message from outside arrives; none is refused in the log".to_owned(),
        undo: "as before, once the old server is back: then deliver what waited, `postqueue -f`".to_owned(),
        ..Step::default()
    });
}

pub(super) fn keys(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.7 Somebody else has a key, a token or a password");
    page.say(
        "First what opens the most. What was taken counts as used: look at the logs afterwards, not before.",
    );
    let mut identities: Vec<String> = about
        .estate
        .hosts
        .values()
        .filter_map(|host| host.identity.as_ref())
        .map(|path| path.display().to_string())
        .collect();
    identities.dedup();
    let (old, new): (Vec<_>, Vec<_>) = match identities.first() {
        Some(path) => (vec![quoted(&format!("{path}.pub"))], vec![quoted(&format!("{path}-new"))]),
        None => (vec!["~/.ssh/id_ed25519.pub".to_owned()], vec!["~/.ssh/id_ed25519-new".to_owned()]),
    };
    let (old, new) = (old.concat(), new.concat());
    page.step(Step {
        title: "A key that logs in: replace it, and have it refused everywhere",
        who: TECHNICIAN,
        time: "15 min",
        typed: vec![
            format!("dr keys generate {new} --no-passphrase"),
            format!("dr keys rotate {old} {new}.pub"),
            format!("dr keys revoke {old} -i {new}"),
            "dr keys audit".to_owned(),
        ],
        expect: "the new key is proved on every host before the old one goes. Then write its path into the estate (`identity`)"
            .to_owned(),
        verify: "`dr keys audit` shows the old key nowhere, and nobody whom you do not know".to_owned(),
        undo: "`dr failover undo` takes the last run back; a revoked key is better not used again".to_owned(),
    });
    secrets(page, about);
    page.step(Step {
        title: "A host key, or root on a server",
        who: DECIDES,
        time: "hours",
        expect: "that server is no longer yours: go through 6.5, install it anew, and pin its new host keys"
            .to_owned(),
        verify: "compare the fingerprints on its console with section 2".to_owned(),
        ..Step::default()
    });
    page.step(Step {
        title: "Passwords at providers and the registrar",
        who: DECIDES,
        time: "30 min",
        expect: "new password, new second factor, sessions ended, contact address as it was; then look at what was changed".to_owned(),
        verify: "6.4 for the domains".to_owned(),
        ..Step::default()
    });
}

fn secrets(page: &mut Page, about: &About<'_>) {
    let keys: Vec<String> = about.estate.tsig_keys.keys().map(|name| cell(name.as_str())).collect();
    let Some((apex, _)) = about.estate.zones.iter().next() else { return };
    page.step(Step {
        title: "A key or token that changes DNS",
        who: TECHNICIAN,
        time: "30 min",
        typed: vec!["dr check".to_owned()],
        expect: format!(
            "a new secret on the primary (TSIG: {}) or with the provider, the old one deleted there, and the new one in the \
             files of section 2 on every machine with dr, mode 0600. Then `dns-changeable` passes",
            listed(keys)
        ),
        verify: format!("`dr dns check {apex}`, and compare the records with the last good print: what was changed meanwhile?"),
        undo: "none".to_owned(),
    });
    if about.has_agents() {
        page.say(format!(
            "The key of an agent (`key` in `/etc/dr/agent.json`): freeze its sites (`dr failover freeze {}`), make a new key, write \
             its public half into `agent_keys` of the host or `keys` of the observer in every copy of the estate, restart all \
             agents, thaw.",
            about.any_site()
        ));
    }
}

pub(super) fn both_lost(page: &mut Page, about: &About<'_>) {
    page.heading(3, "6.8 Both servers are gone");
    page.say(
        "No standby is left, so this takes hours or days. What is left: the copy of this memo, the estate, the backups that neither \
         server could change, the registrar and the name servers.",
    );
    page.step(Step {
        title: "Tell everybody",
        who: DECIDES,
        time: "15 min",
        expect: "section 5, with an honest time. A page at another provider that says so is better than none"
            .to_owned(),
        ..Step::default()
    });
    page.step(Step {
        title: "Rent a server elsewhere",
        who: TECHNICIAN,
        time: "1 h",
        expect: format!("another provider than the two that failed: {BLANK} The same system, web server, PHP and database versions as: {BLANK}"),
        verify: "log in, and compare its host key with the console".to_owned(),
        ..Step::default()
    });
    page.step(Step {
        title: "Bring the files and databases back",
        who: TECHNICIAN,
        time: "as long as the data takes",
        expect: format!(
            "from the backup at {BLANK} to the paths of section 3, owners and modes too; databases from their dumps. Begin with \
             what earns money or is looked at most: {BLANK}"
        ),
        verify: "each site under the new address, as below".to_owned(),
        ..Step::default()
    });
    let example = about.example().and_then(|(_, site)| {
        let host = about.estate.hosts.get(&site.home)?;
        probe(host, site)
    });
    page.step(Step {
        title: "Make it a host of the estate",
        who: TECHNICIAN,
        time: "15 min",
        typed: example.into_iter().chain(["dr check".to_owned()]).collect(),
        expect:
            "its login, host keys and addresses stand in the estate in the place of the lost home's; `up`"
                .to_owned(),
        verify: "`dr check` finds nothing about this host".to_owned(),
        ..Step::default()
    });
    page.step(Step {
        title: "Lead the names there",
        who: DECIDES,
        time: "15 min",
        expect: "section 8 with the new address. If the primary name server is lost too: 6.3; if all of them are, the zone is \
                 entered with any DNS provider, and the registrar is told its name servers"
            .to_owned(),
        verify: "every name server, and a telephone".to_owned(),
        ..Step::default()
    });
    page.say("Then a second server: without it the next disaster is this one again.");
}

pub(super) fn frozen(page: &mut Page, about: &About<'_>) {
    if !about.has_agents() {
        return;
    }
    page.heading(3, "6.9 A site is frozen, or who holds it is lost");
    page.say(
        "A seat freezes when the coordinator went back in time, when one epoch has two owners, or when another process uses its \
         host's name. It serves no worse for that, but nothing is moved. Find out why before anything else.",
    );
    let sites: Vec<(&SiteId, &Site)> = examples(about).into_iter().filter(|(_, site)| kept(site)).collect();
    let Some((id, site)) = sites.first().copied() else { return };
    page.step(Step {
        title: "See who serves",
        who: ON_CALL,
        time: "5 min",
        typed: vec!["dr failover seats".to_owned(), "dr failover history".to_owned()],
        expect: format!(
            "typed on {} and on {}: why it is frozen, which epochs were seen",
            site.home, site.standby
        ),
        verify: "visitors are answered by one host only".to_owned(),
        undo: "nothing was changed".to_owned(),
    });
    page.step(Step {
        title: "Freeze both seats, and wait",
        who: DECIDES,
        time: &format!("{} twice", about.estate.policy.failover.times.take),
        typed: sites
            .iter()
            .map(|(id, _)| {
                format!("dr failover freeze {id} --why \"the lease is repaired\"    # typed on both hosts")
            })
            .collect(),
        expect: "`frozen`; after that time whoever is not sure to hold the site has stopped".to_owned(),
        verify: "`dr failover seats`, on both hosts".to_owned(),
        undo: format!("`dr failover thaw {id}`"),
    });
    page.step(Step {
        title: "Write down who holds it",
        who: TECHNICIAN,
        time: "10 min",
        expect: format!(
            "the lines of section 8 for {id} that write the TXT record (or the value in etcd) and take the signs of life away, with the \
             host that serves now and an epoch above every one that was ever seen, on either host"
        ),
        verify: "what section 8 asks first shows it".to_owned(),
        undo: "the same, with a still higher epoch".to_owned(),
        ..Step::default()
    });
    let hosts = [&site.home, &site.standby].into_iter().filter_map(|id| about.estate.hosts.get(id)).map(ssh);
    page.step(Step {
        title: "Thaw",
        who: DECIDES,
        time: "2 min",
        typed: sites
            .iter()
            .map(|(id, _)| format!("dr failover thaw {id}    # typed on both hosts"))
            .collect(),
        expect: format!(
            "one of them holds the site, the other one stands by ({})",
            hosts.collect::<Vec<_>>().join(", ")
        ),
        verify: "`dr failover status`".to_owned(),
        undo: "freeze again".to_owned(),
    });
}

impl Page {
    /// Says of how many more sites the same is typed, if lists were cut.
    fn extend_rest(&mut self, about: &About<'_>) {
        if let Some(text) = the_rest(about) {
            self.say(text);
        }
    }
}
