//! The page for the emergency: the first one, and short.

use super::page::{BLANK, Page, cell};
use super::{About, SITES_LISTED, kept, moves, one};
use crate::time::Timestamp;

pub(super) fn front(page: &mut Page, about: &About<'_>) {
    page.heading(1, "Recovery memo");
    // Nobody reads fractions of a second on paper.
    let at = Timestamp::from_micros(about.at.as_micros() / 1_000_000 * 1_000_000);
    page.say(format!(
        "Written by dr {} at {at} from estate `{}`. **Stale after {}**, and once a host, a site or a name server has changed. \
         It holds no password and no key.",
        env!("CARGO_PKG_VERSION"),
        about.number(),
        about.stale()
    ));
    page.heading(2, "In an emergency");
    page.say(
        "**1. Are you sure?** Look from a place that is neither of the servers: another machine with dr, or a telephone without \
         its WLAN. A line that is cut looks like a server that is dead; if you can see neither server, it is yours. This says what \
         is so and whether a move would succeed, and changes nothing:",
    );
    page.typed(vec!["dr failover status".to_owned()]);
    page.say(format!(
        "**2. Who decides?** {BLANK} Telephone: {BLANK} If not reached in 15 minutes: {BLANK} Telephone: {BLANK}"
    ));
    page.say("**3. What has happened?** If a server is lost, go on here. Else:");
    page.table(&["What you see", "Go to"], situations(about));
    the_command(page, about);
    page.say(
        "**5. If dr cannot run**: section 8 says what to type instead, with `ssh`, `dig`, `nsupdate` and `rsync` only.",
    );
    page.say(format!(
        "**6. Passwords** (consoles of the providers, registrar, this machine) are kept at: {BLANK} The files with keys are \
         named in section 2."
    ));
    page.say(
        "**7. Afterwards** let the old server copy nothing to the new one, and do not switch it on unwatched. \
         Section 7 is the way home. Write down what you do, with the time.",
    );
}

fn situations(about: &About<'_>) -> Vec<Vec<String>> {
    let row = |what: String, to: &str| vec![what, to.to_owned()];
    let mut rows = vec![
        row("a server is gone for hours or for good: fire, theft, disk, provider".to_owned(), "6.1"),
        row("both servers run and do not see each other".to_owned(), "6.2"),
        row("a name server does not answer, or names cannot be changed".to_owned(), "6.3"),
        row("a domain is expired, taken over, or leads elsewhere".to_owned(), "6.4"),
        row("files are gone, encrypted or defaced: **let nothing mirror any more**".to_owned(), "6.5"),
        row("mail does not arrive".to_owned(), "6.6"),
        row("somebody else has a key, a token or a password".to_owned(), "6.7"),
        row("both servers are gone".to_owned(), "6.8"),
    ];
    if about.has_agents() {
        rows.push(row("a site is frozen, or who holds it is lost".to_owned(), "6.9"));
    }
    rows
}

fn the_command(page: &mut Page, about: &About<'_>) {
    let identities = about.estate.hosts.values().filter_map(|host| host.identity.as_ref());
    let mut files: Vec<String> = identities.map(|path| cell(&path.display().to_string())).collect();
    files.dedup();
    let with = if files.is_empty() { "the keys of section 2".to_owned() } else { files.join(", ") };
    page.say(format!(
        "**4. The one command**, from any machine with dr, the estate (`/etc/dr/dr.toml`) and {with}. It shows what it is going to \
         do and asks; it refuses what would lose data, and says why:"
    ));
    let mut lines = vec![];
    for (home, sites) in about.by_home() {
        if sites.len() > SITES_LISTED && sites.iter().any(|(_, site)| kept(site)) {
            let (id, site) = sites[0];
            lines.push(format!("{}, and so on: {} sites, section 3", one(id, site), sites.len()));
        } else {
            lines.extend(moves(home, &sites));
        }
    }
    if lines.is_empty() {
        page.say("The estate has no site yet.");
        return;
    }
    if let Some((id, site)) = about.example().filter(|(_, site)| !kept(site)) {
        lines.push(format!("{} only", one(id, site)));
    }
    lines.push("dr failover resume    # goes on after an interruption".to_owned());
    lines.push("dr failover undo    # takes back what was begun".to_owned());
    page.typed(lines);
}
