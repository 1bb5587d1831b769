//! Who can log in as whom, where, by which key, held back by what, and from which line.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authorized_keys::{Meant, meant};
use super::effective::Effective;
use super::public::PublicKey;
use super::rights::Rights;
use super::strict::{Group, PathSeen, StrictModes, User};
use super::trusted::{authorities, principals};
use crate::time::Timestamp;

/// The shortest line that lets a key in is longer: an ed25519 key without anything else.
const SHORTEST_LINE_BYTES: usize = 79;

/// What was seen of one host.
///
/// ```
/// use dr_core::keys::{HostSeen, Inventory};
/// let nothing = HostSeen { host: "uk".into(), ..HostSeen::default() };
/// assert!(Inventory::of(&[nothing], Default::default()).access.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSeen {
    /// What the host is called.
    pub host: String,
    /// How many minutes its clock is east of UTC.
    pub zone_minutes: i32,
    /// Its accounts.
    pub users: Vec<User>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// What was seen of those accounts that were looked at.
    pub accounts: Vec<AccountSeen>,
    /// The files of the authorities whose certificates its sshd believes (`TrustedUserCAKeys`), those that exist.
    pub authorities: Vec<FileSeen>,
}

/// What was seen of one account.
///
/// ```
/// use dr_core::keys::AccountSeen;
/// let seen = AccountSeen { account: "ann".into(), ..AccountSeen::default() };
/// assert!(seen.effective.is_none(), "sshd was not asked");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSeen {
    /// Its name.
    pub account: String,
    /// What sshd does for it; none if sshd could not be asked.
    pub effective: Option<Effective>,
    /// Whether it has a password.
    pub password: PasswordSeen,
    /// Its key files, those that exist.
    pub files: Vec<FileSeen>,
    /// The file with the names that a certificate must bear to open it (`AuthorizedPrincipalsFile`), if it exists.
    pub principals: Option<FileSeen>,
}

/// What a host's list of passwords says of an account; never the password.
///
/// ```
/// use dr_core::keys::PasswordSeen;
/// assert_eq!("locked".parse(), Ok(PasswordSeen::Locked));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordSeen {
    /// Nobody may look, or it is kept elsewhere.
    #[default]
    Unknown,
    /// There is one.
    Set,
    /// There is none that could be right, as system accounts have it.
    Never,
    /// There is one, and it is locked (`usermod -L`).
    Locked,
}

impl std::str::FromStr for PasswordSeen {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "set" => Ok(Self::Set),
            "never" => Ok(Self::Never),
            "locked" => Ok(Self::Locked),
            _ => Err(()),
        }
    }
}

/// A key file and the way to it.
///
/// ```
/// use dr_core::keys::FileSeen;
/// let seen = FileSeen { path: "/root/.ssh/authorized_keys".into(), ..FileSeen::default() };
/// assert!(seen.way.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSeen {
    /// Where sshd looks for it.
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its real path and every directory above it.
    pub way: Vec<PathSeen>,
    /// The real path of the home directory.
    pub home: String,
}

/// Who can log in where.
///
/// ```
/// use dr_core::keys::Inventory;
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";
/// let inventory = Inventory::of_file("keys", format!("restrict {key}\n").as_bytes(), Default::default());
/// let access = &inventory.access[0];
/// assert_eq!((access.line, access.bits, access.comment.as_str()), (1, 256, "ann"));
/// assert_eq!(access.rights.to_words(), "restrict");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// When it was taken.
    pub at: Timestamp,
    /// Every line that lets a key in, by host, account, file and line.
    pub access: Vec<Access>,
    /// Every key file.
    pub files: Vec<KeyFile>,
    /// What sshd does for every account.
    pub accounts: Vec<AccountLogin>,
}

/// A line that lets a key in.
///
/// ```
/// use dr_core::keys::Inventory;
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann";
/// let inventory = Inventory::of_file("keys", format!("expiry-time=\"20200101\" {key}\n").as_bytes(), "2026-11-22T00:00:00Z".parse().unwrap());
/// assert!(inventory.access[0].is_expired(inventory.at));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The host.
    pub host: String,
    /// The account that one logs in to.
    pub account: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key's fingerprint.
    pub key: String,
    /// Its kind, as SSH names it.
    pub algorithm: Cow<'static, str>,
    /// Its size; 0 where it cannot be told.
    pub bits: u32,
    /// What stands beside it: anyone can write anything there.
    pub comment: String,
    /// What it may do; of an authority that sshd trusts for all accounts, what a certificate with one of the names in `rights.principals` may.
    pub rights: Rights,
    /// File and line that name whom an authority's certificates must be for (`AuthorizedPrincipalsFile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_in: Option<String>,
    /// Until when, by the host's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Access {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= at)
    }

    /// What it may do, in a few words, for a table.
    #[must_use]
    pub fn in_words(&self) -> String {
        let words = self.rights.to_words();
        self.named_in.as_ref().map_or_else(|| words.clone(), |place| format!("{words}, as {place} says"))
    }
}

/// A key file.
///
/// ```
/// use dr_core::keys::Inventory;
/// let inventory = Inventory::of_file("keys", b"# none\nrubbish\n", Default::default());
/// assert_eq!(inventory.files[0].broken[0].line, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The host.
    pub host: String,
    /// The account.
    pub account: String,
    /// Where it is.
    pub file: String,
    /// What it holds.
    #[serde(default)]
    pub holds: Holds,
    /// How many lines of it let somebody in.
    pub keys: usize,
    /// Lines that are meant to be something and that sshd skips.
    pub broken: Vec<BrokenLine>,
    /// Whether sshd reads it at all.
    pub strict_modes: StrictModes,
}

/// What a file is that decides who may log in.
///
/// ```
/// assert_eq!(dr_core::keys::Holds::default(), dr_core::keys::Holds::Keys);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Holds {
    /// The keys of one account (`AuthorizedKeysFile`).
    #[default]
    Keys,
    /// The names that open one account, if a certificate bears them (`AuthorizedPrincipalsFile`).
    Principals,
    /// The authorities that are believed for all accounts (`TrustedUserCAKeys`).
    Authorities,
}

/// A line that sshd skips.
///
/// ```
/// use dr_core::keys::BrokenLine;
/// assert_eq!(BrokenLine { line: 3, why: "a quote is not closed".into() }.line, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenLine {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// What sshd does for an account, beside keys.
///
/// ```
/// use dr_core::keys::{AccountSeen, Effective, HostSeen, Inventory, User};
/// let account = AccountSeen {
///     account: "ann".into(),
///     effective: Some(Effective::parse("passwordauthentication yes\n")),
///     ..AccountSeen::default()
/// };
/// let host = HostSeen { host: "uk".into(), accounts: vec![account], ..HostSeen::default() };
/// let inventory = Inventory::of(&[host], Default::default());
/// assert_eq!(inventory.accounts[0].password_by.as_deref(), Some("PasswordAuthentication"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountLogin {
    /// The host.
    pub host: String,
    /// The account.
    pub account: String,
    /// It is root, or root by another name.
    pub is_root: bool,
    /// The keyword of sshd_config by which a password lets it in; none if no password does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_by: Option<String>,
    /// Its password is locked (`usermod -L`), and keys open it all the same: sshd leaves that to PAM, which looks at passwords only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// sshd lets the agent of whoever logs in be used from the host.
    pub agent_forwarding: bool,
    /// A program that is asked for further keys, which are not seen here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_command: Option<String>,
    /// A program that is asked for the names that open it, which are not seen here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals_command: Option<String>,
    /// Its shell, where that is one with which nobody can do anything (`nologin`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shut_by: Option<String>,
}

impl Inventory {
    /// Of these hosts, at this time.
    #[must_use]
    pub fn of(hosts: &[HostSeen], at: Timestamp) -> Self {
        let mut inventory = Self { at, ..Self::default() };
        for host in hosts {
            for file in &host.authorities {
                inventory.read_authorities(host, file);
            }
            for account in &host.accounts {
                let user = host.users.iter().find(|user| user.name == account.account);
                if let Some(effective) = &account.effective {
                    inventory.accounts.push(login(host, account, user, effective));
                }
                for file in &account.files {
                    let place = (host.host.as_str(), account.account.as_str(), file.path.as_str());
                    inventory.read(place, &file.content, host.zone_minutes, strict_modes(host, user, file));
                }
                inventory.read_principals(host, account, user);
            }
        }
        inventory
    }

    /// Of one file here, whoever it may belong to.
    #[must_use]
    pub fn of_file(path: &str, content: &[u8], at: Timestamp) -> Self {
        let mut inventory = Self { at, ..Self::default() };
        inventory.read(("", "", path), content, 0, StrictModes::default());
        inventory
    }

    fn read(
        &mut self,
        place: (&str, &str, &str),
        content: &[u8],
        zone_minutes: i32,
        strict_modes: StrictModes,
    ) {
        let (host, account, path) = place;
        let before = self.access.len();
        // Whatever has to grow is copied, and there may be 100,000 lines.
        let lines = content.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.access.reserve(lines.min(content.len() / SHORTEST_LINE_BYTES + 1));
        let mut broken = vec![];
        for (line, meant) in (1..).zip(meant(content)) {
            match meant {
                Meant::Nothing => {}
                Meant::Broken(why) => broken.push(BrokenLine { line, why: why.to_owned() }),
                Meant::Key { key, rights, .. } => {
                    self.access.push(Access::of(place, line, &key, rights, zone_minutes));
                }
            }
        }
        self.files.push(KeyFile {
            host: host.to_owned(),
            account: account.to_owned(),
            file: path.to_owned(),
            holds: Holds::Keys,
            keys: self.access.len() - before,
            broken,
            strict_modes,
        });
    }

    /// The file that makes sshd believe authorities: nobody but root may write there, although sshd does not look.
    fn read_authorities(&mut self, host: &HostSeen, file: &FileSeen) {
        let root = User { name: "root".into(), uid: 0, gid: 0, home: "/".into(), shell: String::new() };
        let (trusted, broken) = authorities(&file.content);
        self.files.push(KeyFile {
            host: host.host.clone(),
            account: String::new(),
            file: file.path.clone(),
            holds: Holds::Authorities,
            keys: trusted.len(),
            broken: broken.into_iter().collect(),
            strict_modes: StrictModes::judge(&file.way, &root, "/", &host.users, &host.groups),
        });
    }

    /// Which names a certificate must bear to open an account, by each authority that sshd believes there.
    fn read_principals(&mut self, host: &HostSeen, seen: &AccountSeen, user: Option<&User>) {
        let effective = seen.effective.as_ref();
        let Some(path) = effective.and_then(Effective::authorities_file) else { return };
        let trusted = host.authorities.iter().find(|file| file.path == path);
        let trusted = trusted.map(|file| authorities(&file.content).0).unwrap_or_default();
        let mut names = vec![];
        match (&seen.principals, effective.is_some_and(Effective::names_principals)) {
            (Some(file), _) => {
                let (named, broken) = principals(&file.content);
                self.files.push(KeyFile {
                    host: host.host.clone(),
                    account: seen.account.clone(),
                    file: file.path.clone(),
                    holds: Holds::Principals,
                    keys: named.len(),
                    broken,
                    strict_modes: strict_modes(host, user, file),
                });
                let place = |line: usize| Some(format!("{}:{line}", file.path));
                names.extend(named.into_iter().map(|one| (one.name, one.rights, place(one.line))));
            }
            // The file that is named is not there: nobody. Or a program is asked, and who knows.
            (None, true) => {}
            // An authority opens every account; those in which nobody can do anything are not listed for it.
            (None, false) if user.is_none_or(|user| !is_shut(&user.shell)) => {
                names.push((seen.account.clone(), Rights::default(), None));
            }
            (None, false) => {}
        }
        let place = (host.host.as_str(), seen.account.as_str(), path);
        for (line, key) in &trusted {
            for (name, rights, named_in) in &names {
                let rights = Rights { authority: true, principals: Some(name.clone()), ..rights.clone() };
                let access = Access::of(place, *line, key, rights, host.zone_minutes);
                self.access.push(Access { named_in: named_in.clone(), ..access });
            }
        }
    }
}

impl Access {
    fn of(
        (host, account, file): (&str, &str, &str),
        line: usize,
        key: &PublicKey,
        rights: Rights,
        zone_minutes: i32,
    ) -> Self {
        Self {
            host: host.to_owned(),
            account: account.to_owned(),
            file: file.to_owned(),
            line,
            key: key.fingerprint(),
            algorithm: Cow::Borrowed(key.algorithm()),
            bits: key.bits(),
            comment: key.comment().to_owned(),
            expires: rights.expires.map(|expiry| expiry.at(zone_minutes)),
            rights,
            named_in: None,
        }
    }
}

fn strict_modes(host: &HostSeen, user: Option<&User>, file: &FileSeen) -> StrictModes {
    user.map_or_else(StrictModes::default, |user| {
        StrictModes::judge(&file.way, user, &file.home, &host.users, &host.groups)
    })
}

fn login(host: &HostSeen, seen: &AccountSeen, user: Option<&User>, effective: &Effective) -> AccountLogin {
    let is_root = user.map_or(seen.account == "root", |user| user.uid == 0);
    let has_password = !matches!(seen.password, PasswordSeen::Never | PasswordSeen::Locked);
    AccountLogin {
        host: host.host.clone(),
        account: seen.account.clone(),
        is_root,
        password_by: effective.takes_passwords(is_root).filter(|_| has_password).map(str::to_owned),
        locked: seen.password == PasswordSeen::Locked && effective.value("usepam") == Some("yes"),
        agent_forwarding: effective.value("allowagentforwarding") != Some("no"),
        keys_command: effective.set("authorizedkeyscommand").map(str::to_owned),
        principals_command: effective
            .authorities_file()
            .and_then(|_| effective.set("authorizedprincipalscommand"))
            .map(str::to_owned),
        shut_by: user.map(|user| &user.shell).filter(|shell| is_shut(shell)).cloned(),
    }
}

/// Whether a shell ends at once, whoever comes.
fn is_shut(shell: &str) -> bool {
    matches!(shell.rsplit('/').next(), Some("nologin" | "false" | "sync" | "shutdown" | "halt"))
}
