//! The steps of a lock-down: a dead-man's switch, a change of sshd's configuration, and the proof that no password is taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::steps::Content;
use crate::estate::Remote;
use crate::time::Period;

/// The step: arm a dead-man's switch on a host, or disarm it. Armed, it puts a file of sshd's configuration back and makes sshd
/// read it, unless it is disarmed in time: whatever becomes of whoever armed it.
///
/// ```
/// use dr_core::{Period, keys::{Content, Switch}};
/// let arm = Switch {
///     remote: "root@us.example.net".parse().unwrap(),
///     name: "5f2a".into(),
///     path: "/etc/ssh/sshd_config.d/00-dr-lock-down.conf".into(),
///     restore: None,
///     after: Period::from_secs(120),
///     arm: true,
/// };
/// assert!(!arm.inverse().arm);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// An account of the host that is root, or may become it by `sudo -n`.
    pub remote: Remote,
    /// What tells it from other switches.
    pub name: String,
    /// The file that it puts back.
    pub path: String,
    /// What it puts there; none to remove the file.
    pub restore: Option<Content>,
    /// How long it waits.
    pub after: Period,
    /// Arm it, or disarm it.
    pub arm: bool,
}

impl Switch {
    /// Disarming an armed one, and the other way round.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { arm: !self.arm, ..self.clone() }
    }
}

/// The step: change a file of sshd's configuration and make sshd read it. Nothing stays changed unless sshd finds the whole
/// configuration right and, to lock down, says itself that no account of those named takes a password any more.
///
/// ```
/// use dr_core::keys::{Content, SshdChange};
/// let lock = SshdChange {
///     remote: "root@us.example.net".parse().unwrap(),
///     path: "/etc/ssh/sshd_config.d/00-dr-lock-down.conf".into(),
///     from: None,
///     to: Some(Content::new(b"PasswordAuthentication no\n")),
///     accounts: vec!["root@us.example.net".parse().unwrap()],
///     switch: Some("5f2a".into()),
///     took_passwords: Some(true),
///     takes_passwords: Some(false),
///     revokes: None,
///     says: None,
/// };
/// let back = lock.inverse().unwrap();
/// assert_eq!((back.to, back.switch), (None, None));
/// assert!(lock.inverse().unwrap().inverse().is_none(), "to lock down again every login is proved again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshdChange {
    /// An account of the host that is root, or may become it by `sudo -n`.
    pub remote: Remote,
    /// The file.
    pub path: String,
    /// What it must hold; none if it does not exist.
    pub from: Option<Content>,
    /// What it will hold; none to remove it.
    pub to: Option<Content>,
    /// The accounts that are spoken of.
    pub accounts: Vec<Remote>,
    /// The dead-man's switch that must be armed; none for a change that opens, which locks nobody out.
    pub switch: Option<String>,
    /// Whether the host took passwords from the first account before; none if nobody looked.
    pub took_passwords: Option<bool>,
    /// Whether it shall take them; none if that is not known.
    pub takes_passwords: Option<bool>,
    /// The file is a list of revoked keys, or names one: what must be so of that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revokes: Option<Revokes>,
    /// Passwords are no matter: what sshd must say of its configuration afterwards, as lines of `sshd -T`, which may be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Vec<String>>,
}

/// What ssh-keygen on the host must say of a list of revoked keys, before the list gets its name or sshd's configuration names it. sshd
/// refuses every key while that list cannot be read, so nothing is left to chance.
///
/// ```
/// let revokes = dr_core::keys::Revokes { list: "/etc/ssh/revoked_keys".into(), gone: vec![], kept: vec![] };
/// assert!(revokes.is_list("/etc/ssh/revoked_keys"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revokes {
    /// The list.
    pub list: String,
    /// Public keys and certificates that it must revoke, as they stand in .pub files.
    pub gone: Vec<String>,
    /// Those that it must not revoke: what opens the host for us.
    pub kept: Vec<String>,
}

impl Revokes {
    /// Whether a path is that of the list itself.
    #[must_use]
    pub fn is_list(&self, path: &str) -> bool {
        self.list == path
    }
}

impl SshdChange {
    /// Whether whoever does it leaves a mark under its switch that sshd has read it: nothing else tells.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.revokes.is_some() || self.says.is_some()
    }

    /// What opens again what this one closes. There is none of one that opens.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let list = self.revokes.as_ref().filter(|revokes| revokes.is_list(&self.path));
        if list.is_none() {
            self.switch.as_ref()?;
        }
        // The earlier list revokes less, and must be readable all the same.
        let revokes = list.map(|revokes| Revokes { gone: vec![], ..revokes.clone() });
        Some(Self {
            from: self.to.clone(),
            to: self.from.clone(),
            switch: None,
            took_passwords: self.takes_passwords,
            takes_passwords: self.took_passwords,
            revokes,
            says: self.says.as_ref().map(|_| vec![]),
            ..self.clone()
        })
    }
}

/// The step: see, over a fresh connection for each account, that the host takes no password.
///
/// ```
/// use dr_core::{Period, keys::PasswordsRefused};
/// let look = PasswordsRefused { accounts: vec!["root@us.example.net".parse().unwrap()], within: Period::from_secs(30) };
/// assert_eq!(look.accounts.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordsRefused {
    /// The accounts.
    pub accounts: Vec<Remote>,
    /// How long the host may take to answer.
    pub within: Period,
}

/// The step: see, over a fresh connection, that the host proves itself by a certificate of this authority, and by nothing else that is
/// known of it.
///
/// ```
/// use dr_core::{Period, keys::HostProof};
/// let proof = HostProof {
///     remote: "root@us.example.net".parse().unwrap(),
///     authority: "ssh-ed25519 AAAA ca".into(),
///     within: Period::from_secs(30),
/// };
/// assert_eq!(proof.remote.port, 22);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostProof {
    /// The host, by the name that the certificate is for; any account of it.
    pub remote: Remote,
    /// The authority's public key, as it stands in a .pub file.
    pub authority: String,
    /// How long the host may take.
    pub within: Period,
}
