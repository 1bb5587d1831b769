//! What is not as it should be about who can log in where.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::inventory::{Access, BrokenLine, Holds, Inventory, KeyFile};
use crate::report::{Code, Finding, Subject, code};
use crate::time::Timestamp;

/// Smaller RSA keys are weak (NIST SP 800-57 part 1, table 4: 128 bits of strength from 2031 on).
pub(crate) const RSA_BITS_MIN: u32 = 3072;
/// A key that ends within so long is spoken of.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// Of the lines behind one finding so many are named.
const NAMED: usize = 8;

impl Inventory {
    /// Everything that is not as it should be. `known` holds the fingerprints of the keys that are expected; without any, none
    /// is called unknown.
    ///
    /// ```
    /// use dr_core::{keys::Inventory, report::code};
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";
    /// let text = format!("restrict,expiry-time=\"20200101\" {key}\n{key}\n");
    /// let inventory = Inventory::of_file("keys", text.as_bytes(), "2026-11-22T00:00:00Z".parse().unwrap());
    /// let codes: Vec<_> = inventory.findings(&[]).iter().map(|finding| finding.code).collect();
    /// assert!(codes.contains(&code::KEY_TWICE), "the second line lets in what the first has locked out");
    /// ```
    #[must_use]
    pub fn findings(&self, known: &[String]) -> Vec<Finding> {
        let mut findings = vec![];
        for file in &self.files {
            of_file(file, &mut findings);
        }
        let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        // The lines of one file are of one account: then there is no need to look at all of them for that.
        let alone = self.files.len() == 1;
        let same = |a: &Access, b: &Access| alone || (&a.host, &a.account) == (&b.host, &b.account);
        for lines in self.access.chunk_by(same) {
            of_lines(lines, self, &known, &mut findings);
        }
        self.shared(&mut findings);
        self.logins(&mut findings);
        self.left_over(&known, &mut findings);
        findings
    }

    /// What is different from an earlier inventory: keys that came, went, or may do something else.
    ///
    /// ```
    /// use dr_core::keys::Inventory;
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";
    /// let file = |text: String| Inventory::of_file("keys", text.as_bytes(), Default::default());
    /// let (before, now) = (file(format!("restrict {key}\n")), file(format!("# moved\n{key}\n")));
    /// let found = now.changes_since(&before);
    /// assert!(found[0].message.contains("may do something else"), "{}", found[0].message);
    /// assert!(now.changes_since(&now).is_empty());
    /// ```
    #[must_use]
    pub fn changes_since(&self, earlier: &Self) -> Vec<Finding> {
        // What was not looked at this time, or not then, has not changed for all that is known.
        let (ours, theirs) = (Covered::by(self), Covered::by(earlier));
        let both = |place: &(&str, &str, &str)| ours.has(place.0, place.1) && theirs.has(place.0, place.1);
        let (now, before) = (by_place(self), by_place(earlier));
        let mut changes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        let places: BTreeSet<_> = now.keys().chain(before.keys()).filter(|place| both(place)).collect();
        for place in places {
            let what = match (before.get(place), now.get(place)) {
                (None, Some(lines)) => format!("{} came", shown(lines[0])),
                (Some(lines), None) => format!("{} is gone", shown(lines[0])),
                (Some(old), Some(new)) if rights_of(old) != rights_of(new) => {
                    let (was, is) = (rights_of(old).join(" or "), rights_of(new).join(" or "));
                    format!("{} may do something else ({was} became {is})", shown(new[0]))
                }
                _ => continue,
            };
            changes.entry((place.0, place.1)).or_default().push(what);
        }
        let said = format!("since {}", earlier.at);
        let finding = |((host, account), items): ((&str, &str), Vec<String>)| {
            grouped(
                code::KEY_CHANGED,
                subject(host, account, if account.is_empty() { "the file" } else { "" }),
                &items,
                &said,
                String::clone,
            )
        };
        changes.into_iter().map(finding).collect()
    }

    /// The same, and what an earlier one knows of all that was not looked at this time: a host that is down once must not be forgotten, or what
    /// becomes of it meanwhile would be no change.
    ///
    /// ```
    /// use dr_core::keys::Inventory;
    /// let earlier = Inventory::of_file("keys", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann", Default::default());
    /// assert_eq!(Inventory::default().with_the_rest_of(&earlier).access, earlier.access);
    /// ```
    #[must_use]
    pub fn with_the_rest_of(&self, earlier: &Self) -> Self {
        let ours = Covered::by(self);
        let mut all = self.clone();
        let access = earlier.access.iter().filter(|line| !ours.has(&line.host, &line.account));
        all.access.extend(access.cloned());
        let files = earlier.files.iter().filter(|file| !ours.has(&file.host, &file.account));
        all.files.extend(files.cloned());
        let accounts = earlier.accounts.iter().filter(|login| !ours.has(&login.host, &login.account));
        all.accounts.extend(accounts.cloned());
        all
    }

    /// Keys that open more than one host: whoever holds one of them holds all. That is what an authority is for.
    fn shared(&self, findings: &mut Vec<Finding>) {
        if self.files.windows(2).all(|pair| pair[0].host == pair[1].host) {
            return;
        }
        let mut first: HashMap<&str, &str> = HashMap::with_capacity(self.access.len());
        let mut shared: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        let keys = || self.access.iter().filter(|access| !access.rights.authority);
        for access in keys() {
            if *first.entry(&access.key).or_insert(&access.host) != access.host {
                shared.entry(&access.key).or_default();
            }
        }
        if shared.is_empty() {
            return;
        }
        for access in keys() {
            if let Some(places) = shared.get_mut(access.key.as_str()) {
                places.insert((&access.host, &access.account));
            }
        }
        for (key, places) in shared {
            let places: Vec<(&str, &str)> = places.into_iter().collect();
            let words = |(host, account): &(&str, &str)| format!("{account} on {host}");
            findings.push(grouped(code::KEY_SHARED, Subject::new("key", key), &places, "it opens", words));
        }
    }

    fn logins(&self, findings: &mut Vec<Finding>) {
        for account in &self.accounts {
            let subject = subject(&account.host, &account.account, "");
            if let Some(keyword) = &account.password_by {
                let code = if account.is_root { code::ROOT_PASSWORD_LOGIN } else { code::PASSWORD_LOGIN };
                let message = format!("sshd lets it in with a password (by {keyword})");
                findings.push(Finding::new(code, subject.clone(), message).with("keyword", keyword));
            }
        }
    }

    /// Keys of accounts in which nobody can do anything, and keys that are expected and open nothing.
    fn left_over(&self, known: &BTreeSet<&str>, findings: &mut Vec<Finding>) {
        let shut = self.accounts.iter().filter_map(|account| Some((account, account.shut_by.as_ref()?)));
        for (account, shell) in shut {
            let of = |line: &&Access| (&line.host, &line.account) == (&account.host, &account.account);
            let lines: Vec<&Access> = self.access.iter().filter(of).collect();
            if !lines.is_empty() {
                let said = format!(
                    "its shell is {shell}, so they run nothing, and forward connections unless restricted"
                );
                let subject = subject(&account.host, &account.account, "");
                findings.push(grouped(code::KEY_ORPHANED, subject, &lines, &said, |line| placed(line)));
            }
        }
        for account in self.accounts.iter().filter(|account| account.locked) {
            let of = |line: &&Access| (&line.host, &line.account) == (&account.host, &account.account);
            let lines: Vec<&Access> =
                self.access.iter().filter(of).filter(|line| !line.is_expired(self.at)).collect();
            if !lines.is_empty() {
                let said = "its password is locked, which keeps nobody out who has a key";
                let subject = subject(&account.host, &account.account, "");
                findings
                    .push(grouped(code::KEY_OF_LOCKED_ACCOUNT, subject, &lines, said, |line| placed(line)));
            }
        }
        let mut unused = known.clone();
        for line in self.access.iter().filter(|_| !known.is_empty()) {
            unused.remove(line.key.as_str());
        }
        for key in unused {
            let message = "it is expected, and opens nothing that was looked at";
            findings.push(Finding::new(code::KEY_ORPHANED, Subject::new("key", key), message));
        }
    }

    fn forwards_agents(&self, host: &str, account: &str) -> bool {
        let of = self.accounts.iter().find(|login| login.host == host && login.account == account);
        of.is_none_or(|login| login.agent_forwarding)
    }
}

/// The lines of each key in each account: by host, account and key.
type Places<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Access>>;

fn by_place(inventory: &Inventory) -> Places<'_> {
    let mut places = Places::new();
    for access in &inventory.access {
        places.entry((&access.host, &access.account, &access.key)).or_default().push(access);
    }
    places
}

fn rights_of(lines: &[&Access]) -> Vec<String> {
    lines.iter().map(|line| line.rights.to_words()).collect()
}

fn of_file(file: &KeyFile, findings: &mut Vec<Finding>) {
    let subject = subject(&file.host, &file.account, &file.file);
    let open = match file.holds {
        Holds::Authorities => {
            let why = file.strict_modes.upstream.as_ref();
            why.map(|why| {
                format!("whoever can write there lets in whom they like, and sshd does not look: {why}")
            })
        }
        Holds::Keys => file.strict_modes.in_words("keys"),
        Holds::Principals => file.strict_modes.in_words("names"),
    };
    findings.extend(open.map(|message| Finding::new(code::KEY_FILE_TOO_OPEN, subject.clone(), message)));
    if !file.broken.is_empty() {
        let words = |broken: &BrokenLine| format!("line {}: {}", broken.line, broken.why);
        findings.push(grouped(code::KEY_LINE_BROKEN, subject, &file.broken, "sshd skips", words));
    }
}

type Question<'a> = (Code, &'static str, &'a dyn Fn(&Access) -> bool);

/// The lines of one account.
fn of_lines(lines: &[Access], inventory: &Inventory, known: &BTreeSet<&str>, findings: &mut Vec<Finding>) {
    let Some(first) = lines.first() else { return };
    let at = inventory.at;
    let subject =
        subject(&first.host, &first.account, if first.account.is_empty() { &first.file } else { "" });
    let forwards = inventory.forwards_agents(&first.host, &first.account);
    let several = lines.iter().any(|line| line.file != first.file);
    let words = |line: &&Access| match several {
        true => format!("line {} of {}, {}", line.line, line.file, shown(line)),
        false => placed(line),
    };
    // What is said of a line that is so. All at once: there may be 100,000 lines, and memory is slower than all these questions.
    let questions: [Question<'_>; 6] = [
        (code::KEY_WEAK, "too weak", &is_weak),
        (code::KEY_EXPIRED, "past its time", &|line| line.is_expired(at)),
        (code::KEY_EXPIRES_SOON, "at its end within two weeks", &|line| {
            line.expires.is_some_and(|expires| expires > at && expires <= at + SOON)
        }),
        (code::KEY_UNKNOWN, "not among the known ones", &|line| {
            !known.is_empty() && !known.contains(line.key.as_str())
        }),
        (code::KEY_NOT_RESTRICTED, "allowed to do everything the account may", &|line| {
            !line.rights.is_limited()
        }),
        (code::KEY_FORWARDS_AGENT, "allowed to bring an agent along", &|line| {
            forwards && line.rights.agent_forwarding && !line.rights.authority
        }),
    ];
    let mut items: [Vec<&Access>; 6] = Default::default();
    for line in lines {
        for ((_, _, wanted), items) in questions.iter().zip(&mut items) {
            if wanted(line) {
                items.push(line);
            }
        }
    }
    for ((code, said, _), items) in questions.into_iter().zip(items) {
        if !items.is_empty() {
            findings.push(grouped(code, subject.clone(), &items, said, words));
        }
    }
    twins(lines, at, &subject, findings);
}

/// sshd takes the first line that lets a key in, so what one line holds back, another one of the same key gives.
fn twins(lines: &[Access], at: Timestamp, subject: &Subject, findings: &mut Vec<Finding>) {
    let mut seen: HashSet<&str> = HashSet::with_capacity(lines.len());
    let keys = || lines.iter().filter(|line| !line.rights.authority);
    let mut twins: BTreeMap<&str, Vec<&Access>> = BTreeMap::new();
    for line in keys().filter(|line| !seen.insert(&line.key)) {
        twins.entry(&line.key).or_default();
    }
    if twins.is_empty() {
        return;
    }
    for line in keys() {
        if let Some(lines) = twins.get_mut(line.key.as_str()) {
            lines.push(line);
        }
    }
    let mut twins: Vec<Vec<&Access>> = twins.into_values().collect();
    twins.sort_unstable_by_key(|lines| lines[0].line);
    let words = |lines: &Vec<&Access>| {
        let numbers: Vec<String> = lines.iter().map(|line| line.line.to_string()).collect();
        let differ = lines.iter().any(|line| line.rights != lines[0].rights);
        let over = lines.iter().filter(|line| line.is_expired(at)).count();
        let harm = match (over > 0 && over < lines.len(), differ) {
            (true, _) => ", of which one is past its time and another is not, so the key still opens",
            (false, true) => ", which allow different things: the first that lets it in counts",
            (false, false) => "",
        };
        format!("{} on the lines {}{harm}", lines[0].key, numbers.join(", "))
    };
    findings.push(grouped(code::KEY_TWICE, subject.clone(), &twins, "more than once there", words));
}

fn is_weak(line: &Access) -> bool {
    match line.algorithm.as_ref() {
        "ssh-dss" => true,
        "ssh-rsa" => line.bits < RSA_BITS_MIN,
        _ => false,
    }
}

fn subject(host: &str, account: &str, file: &str) -> Subject {
    match (account, file) {
        ("", file) if host.is_empty() => Subject::new("file", file),
        (_, "") => Subject::new("account", format!("{account} on {host}")),
        (_, file) => Subject::new("file", format!("{file} on {host}")),
    }
}

/// One finding for all of them, with the first few of them in words.
fn grouped<T>(
    code: Code,
    subject: Subject,
    items: &[T],
    said: &str,
    words: impl Fn(&T) -> String,
) -> Finding {
    let named: Vec<String> = items.iter().take(NAMED).map(words).collect();
    let mut message = format!("{said}: {}", named.join("; "));
    if items.len() > NAMED {
        message = format!("{message}; and {} more", items.len() - NAMED);
    }
    Finding::new(code, subject, message).with("count", items.len())
}

fn placed(line: &Access) -> String {
    format!("line {}, {}", line.line, shown(line))
}

fn shown(line: &Access) -> String {
    let kind = line.algorithm.trim_start_matches("ssh-");
    match line.comment.as_str() {
        "" => format!("{} ({kind})", line.key),
        comment => {
            let comment: String = comment.chars().filter(|c| !c.is_control()).take(60).collect();
            format!("{} ({comment}, {kind})", line.key)
        }
    }
}

/// What an inventory has looked at: all of a host whose sshd was asked about its accounts, otherwise the accounts whose files it has.
struct Covered<'a> {
    hosts: BTreeSet<&'a str>,
    accounts: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Covered<'a> {
    fn by(inventory: &'a Inventory) -> Self {
        Self {
            hosts: inventory.accounts.iter().map(|login| login.host.as_str()).collect(),
            accounts: inventory
                .files
                .iter()
                .map(|file| (file.host.as_str(), file.account.as_str()))
                .collect(),
        }
    }

    fn has(&self, host: &str, account: &str) -> bool {
        self.hosts.contains(host) || self.accounts.contains(&(host, account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{AccountSeen, Effective, FileSeen, HostSeen, User};

    const ANN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";

    /// Who adds a key while a host is not looked at, or to an account that had none, is found all the same.
    #[test]
    fn what_was_not_looked_at_is_remembered() {
        let host = |name: &str, accounts: &[(&str, &str)]| {
            let seen = |(account, keys): &(&str, &str)| AccountSeen {
                account: (*account).into(),
                effective: Some(Effective::parse("passwordauthentication no\n")),
                password: Default::default(),
                files: match *keys {
                    "" => vec![],
                    keys => {
                        vec![FileSeen { path: "keys".into(), content: keys.into(), ..FileSeen::default() }]
                    }
                },
                principals: None,
            };
            HostSeen {
                host: name.into(),
                accounts: accounts.iter().map(seen).collect(),
                ..HostSeen::default()
            }
        };
        let of = |hosts: &[HostSeen]| Inventory::of(hosts, Default::default());
        let (uk, us) = (host("uk", &[("root", ANN)]), host("us", &[("root", "")]));
        let first = of(&[uk.clone(), us]);
        // us is down at night, and has a key in the morning; an account is new on uk.
        let record = of(&[uk]).with_the_rest_of(&first);
        assert!(record.changes_since(&first).is_empty());
        let morning = of(&[host("uk", &[("root", ANN), ("eve", ANN)]), host("us", &[("root", ANN)])]);
        let found: Vec<String> =
            morning.changes_since(&record).iter().map(|finding| finding.subject.name.clone()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("eve") && found[1].contains("us"), "{found:?}");
        // Who is not root sees one account, and says nothing of the others.
        let mut one = host("uk", &[("eve", ANN)]);
        one.accounts[0].effective = None;
        assert!(of(&[one.clone()]).changes_since(&morning).is_empty());
        assert_eq!(of(&[one]).with_the_rest_of(&morning).access.len(), 3);
    }

    #[test]
    fn keys_that_are_left_over_are_found() {
        let user = |name: &str, shell: &str| {
            User::parse(&format!("{name}:x:1000:1000::/home/{name}:{shell}")).unwrap()
        };
        let account = |name: &str| AccountSeen {
            account: name.into(),
            effective: Some(Effective::parse("passwordauthentication no\n")),
            password: Default::default(),
            files: vec![FileSeen { path: "keys".into(), content: ANN.into(), ..FileSeen::default() }],
            principals: None,
        };
        let host = HostSeen {
            host: "uk".into(),
            users: vec![user("web", "/usr/sbin/nologin"), user("ann", "/bin/bash")],
            accounts: vec![account("web"), account("ann")],
            ..HostSeen::default()
        };
        let inventory = Inventory::of(&[host], Timestamp::default());
        let left_over = |known: &[String]| -> Vec<String> {
            let found =
                inventory.findings(known).into_iter().filter(|finding| finding.code == code::KEY_ORPHANED);
            found.map(|finding| format!("{} {}", finding.subject.name, finding.message)).collect()
        };
        let found = left_over(&[]);
        assert!(
            found.len() == 1 && found[0].starts_with("web on uk its shell is /usr/sbin/nologin"),
            "{found:?}"
        );
        let gone = "SHA256:gone".to_owned();
        let found = left_over(&[inventory.access[0].key.clone(), gone]);
        assert!(found.len() == 2 && found[1].starts_with("SHA256:gone it is expected"), "{found:?}");
    }
}
