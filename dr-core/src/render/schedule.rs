//! When the sites are mirrored and the estate is checked, for systemd and for cron.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::estate::{Estate, SiteId};
use crate::time::Period;

/// A file that systemd reads.
///
/// ```
/// let unit = dr_core::render::Unit { name: "dr-mirror-24h.timer".into(), text: "[Timer]\n".into() };
/// assert!(unit.name.ends_with(".timer"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name below /etc/systemd/system.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A service and a timer (systemd.timer(5)) for each of the periods in which sites of the estate are mirrored, and for a daily check of
/// it. `command` is what runs `dr` with this estate: a program, and words that need no quoting. A check with findings is a failed unit.
///
/// A timer catches up soon after the machine was off, a service that still runs is not started twice, and the moment is spread, so that
/// not every machine of a provider begins at once.
///
/// ```
/// use dr_core::{Estate, render};
/// let estate = Estate::from_toml(r#"
///     hosts = { uk = { ssh = "root@uk" }, us = { ssh = "root@us" } }
///     sites.shop = { home = "uk", standby = "us", trees = [{ path = "/var/www/shop" }] }
/// "#).unwrap();
/// let units = render::systemd(&estate, "/usr/local/bin/dr --estate /etc/dr/dr.toml");
/// assert_eq!(units[0].name, "dr-mirror-24h.service");
/// assert!(units[1].text.contains("OnUnitActiveSec=86400s\n"), "{}", units[1].text);
/// ```
#[must_use]
pub fn systemd(estate: &Estate, command: &str) -> Vec<Unit> {
    let mut units = vec![];
    for (every, sites) in periods(estate) {
        let (word, seconds) = (word(every), every.as_secs());
        let sites = names(&sites);
        let service = format!(
            "[Unit]\nDescription=Mirror every {every}: {sites}\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=oneshot\nExecStart={command} mirror --all --every {word}\n\
             Nice=10\nIOSchedulingClass=idle\n"
        );
        let timer = format!(
            "[Unit]\nDescription=Mirror every {every}: {sites}\n\n\
             [Timer]\nOnBootSec={}s\nOnUnitActiveSec={seconds}s\nRandomizedDelaySec={}s\nAccuracySec=1s\n\n\
             [Install]\nWantedBy=timers.target\n",
            seconds.min(300),
            (seconds / 20).min(900)
        );
        units.push(Unit { name: format!("dr-mirror-{word}.service"), text: service });
        units.push(Unit { name: format!("dr-mirror-{word}.timer"), text: timer });
    }
    if is_checked(estate) {
        let about = "Description=Check the estate: would every site survive";
        let service = format!(
            "[Unit]\n{about}\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\nType=oneshot\nExecStart={command} check\n"
        );
        let timer = format!(
            "[Unit]\n{about}\n\n[Timer]\nOnCalendar=daily\nPersistent=true\nRandomizedDelaySec=1h\n\n\
             [Install]\nWantedBy=timers.target\n"
        );
        units.push(Unit { name: "dr-check.service".to_owned(), text: service });
        units.push(Unit { name: "dr-check.timer".to_owned(), text: timer });
    }
    units
}

/// Lines for a crontab (crontab(5)), one for each of the periods in which sites of the estate are mirrored, and one for a daily check,
/// which says nothing where all is well, so that cron mails nothing. Cron knows minutes that divide an
/// hour and hours that divide a day; of another period the next shorter one is taken, and a comment says so.
///
/// ```
/// use dr_core::{Estate, render};
/// let estate = Estate::from_toml(r#"
///     hosts = { uk = { ssh = "root@uk" }, us = { ssh = "root@us" } }
///     sites.shop = { home = "uk", standby = "us", mirror_every = "7m" }
/// "#).unwrap();
/// let text = render::cron(&estate, "dr");
/// assert!(text.contains("\n*/6 * * * * dr mirror --all --every 7m\n"), "{text}");
/// ```
#[must_use]
pub fn cron(estate: &Estate, command: &str) -> String {
    let mut text = String::new();
    for (every, sites) in periods(estate) {
        let (taken, when) = moment(every);
        let _ = writeln!(text, "# every {every}: {}", names(&sites));
        if taken != every {
            let _ = writeln!(text, "# cron cannot say every {every}; this is every {taken}");
        }
        let _ = writeln!(text, "{when} {command} mirror --all --every {}", word(every));
    }
    if is_checked(estate) {
        text.push_str("# daily: would every site survive\n");
        let _ = writeln!(text, "41 5 * * * said=$({command} check 2>&1) || echo \"$said\"");
    }
    text
}

/// Whether there is anything to check.
fn is_checked(estate: &Estate) -> bool {
    !estate.sites.is_empty() || !estate.zones.is_empty()
}

/// The sites that are mirrored, by how often.
fn periods(estate: &Estate) -> BTreeMap<Period, Vec<&SiteId>> {
    let mut periods = BTreeMap::<_, Vec<_>>::new();
    for (id, site) in estate.sites.iter().filter(|(_, site)| site.mirror) {
        periods.entry(estate.mirrored_every(site)).or_default().push(id);
    }
    periods
}

fn names(sites: &[&SiteId]) -> String {
    const NAMED: usize = 8;
    let named: Vec<&str> = sites.iter().take(NAMED).map(|site| site.as_str()).collect();
    let more = sites.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// A period as one word: `1h30m`.
fn word(every: Period) -> String {
    every.to_string().replace(' ', "")
}

/// The period that cron can say, and its five fields.
fn moment(every: Period) -> (Period, String) {
    const MINUTES: [u64; 11] = [30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1];
    const HOURS: [u64; 7] = [12, 8, 6, 4, 3, 2, 1];
    let minutes = (every.as_secs() / 60).max(1);
    let fitting = |all: &[u64], of: u64| all.iter().copied().find(|each| *each <= of).unwrap_or(1);
    if minutes >= 24 * 60 {
        (Period::from_secs(24 * 3600), "17 3 * * *".to_owned())
    } else if minutes >= 60 {
        let hours = fitting(&HOURS, minutes / 60);
        let field = if hours == 1 { "*".to_owned() } else { format!("*/{hours}") };
        (Period::from_secs(hours * 3600), format!("17 {field} * * *"))
    } else {
        let each = fitting(&MINUTES, minutes);
        let field = if each == 1 { "*".to_owned() } else { format!("*/{each}") };
        (Period::from_secs(each * 60), format!("{field} * * * *"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_is_never_less_often_than_asked() {
        for (asked, taken, fields) in [
            ("1s", "1m", "* * * * *"),
            ("1m", "1m", "* * * * *"),
            ("5m", "5m", "*/5 * * * *"),
            ("7m", "6m", "*/6 * * * *"),
            ("59m", "30m", "*/30 * * * *"),
            ("90m", "1h", "17 * * * *"),
            ("5h", "4h", "17 */4 * * *"),
            ("24h", "24h", "17 3 * * *"),
            ("7d", "24h", "17 3 * * *"),
        ] {
            let asked: Period = asked.parse().unwrap();
            let (period, text) = moment(asked);
            assert_eq!((period, text.as_str()), (taken.parse().unwrap(), fields), "{asked}");
        }
    }

    #[test]
    fn sites_that_are_not_mirrored_are_in_no_schedule() {
        let estate = Estate::from_toml(
            "hosts = { uk = { ssh = 'root@uk' }, us = { ssh = 'root@us' } }\n\
             [sites.a]\nhome = 'uk'\nstandby = 'us'\nmirror = false\n",
        );
        let estate = estate.unwrap();
        let names: Vec<String> = systemd(&estate, "dr").into_iter().map(|unit| unit.name).collect();
        assert_eq!(
            (names.join(" "), cron(&estate, "dr").contains("mirror")),
            ("dr-check.service dr-check.timer".into(), false)
        );
        let nothing = Estate::default();
        assert_eq!((systemd(&nothing, "dr"), cron(&nothing, "dr")), (vec![], String::new()));
    }
}
