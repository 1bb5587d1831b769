//! Requests and answers about keys and hosts. No secret is among them: passphrases and passwords are named by the files that hold them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Account, DnsName, Remote};
use crate::keys::{Inventory, KeyKind, KeyOptions, MirrorBy, PublicKey, Signed, Sshfp};
use crate::report::Report;
use crate::time::Period;
use crate::toolkit::ShownHostKey;

/// The request of `generate_key`.
///
/// ```
/// use dr_core::toolkit::GenerateKey;
/// let request: GenerateKey = serde_json::from_str(r#"{"path": "/root/.ssh/dr", "no_passphrase": true}"#).unwrap();
/// assert_eq!(request.kind, dr_core::keys::KeyKind::Ed25519);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateKey {
    /// The private key's file; the public half is put beside it, as `PATH.pub`. Nothing is ever overwritten.
    pub path: PathBuf,
    /// What kind of key.
    #[serde(default)]
    pub kind: KeyKind,
    /// The comment in the public key.
    #[serde(default)]
    pub comment: String,
    /// The file whose first line is the passphrase; only its owner may be able to read it. The `/dev/fd/N` of a pipe will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The private key is not encrypted: for machines, which have nobody who types.
    #[serde(default)]
    pub no_passphrase: bool,
    /// Look only whether it could be made.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer of `generate_key`.
///
/// ```
/// # fn told(made: &dr_core::toolkit::GeneratedKey) -> String {
/// made.public_path.display().to_string()
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratedKey {
    /// The private key's file.
    pub path: PathBuf,
    /// The file of its public half.
    pub public_path: PathBuf,
    /// The public half as it stands there; none after a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// The request of `install_key`.
///
/// ```
/// use dr_core::toolkit::InstallKey;
/// let request: InstallKey = serde_json::from_str(r#"{"key": "/root/.ssh/dr.pub", "remote": "root@us", "dry_run": true}"#).unwrap();
/// assert!(request.mirror.is_none() && !request.replace);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallKey {
    /// The public key: its line, or the path of its `.pub` file. It is proved if its private half is among the identities of the settings.
    pub key: String,
    /// The account.
    pub remote: Remote,
    /// What the key may do there.
    #[serde(default)]
    pub allow: KeyOptions,
    /// It may mirror one tree and nothing else; then `allow` has no command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorOnly>,
    /// If the key is there already with other options, they are replaced.
    #[serde(default)]
    pub replace: bool,
    /// The file on the host; where its sshd looks, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A tree, and how a key mirrors it.
///
/// ```
/// let tree: dr_core::toolkit::MirrorOnly = serde_json::from_str(r#"{"root": "/srv/shop", "read_only": true}"#).unwrap();
/// assert_eq!(tree.by, dr_core::keys::MirrorBy::Agent);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorOnly {
    /// The directory.
    pub root: String,
    /// What answers on the host.
    #[serde(default)]
    pub by: MirrorBy,
    /// It may be read and not written.
    #[serde(default)]
    pub read_only: bool,
}

/// The request of `verify_key` and `probe_key`.
///
/// ```
/// use dr_core::toolkit::AskAboutKey;
/// let request: AskAboutKey = serde_json::from_str(r#"{"key": "/root/.ssh/dr.pub", "remote": "root@us"}"#).unwrap();
/// assert_eq!(request.remote.host, "us");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskAboutKey {
    /// The public key: its line, or the path of its `.pub` file.
    pub key: String,
    /// The account.
    pub remote: Remote,
}

/// The request of `audit_keys`.
///
/// ```
/// use dr_core::toolkit::AuditKeys;
/// let request: AuditKeys = serde_json::from_str(r#"{"file": "/root/.ssh/authorized_keys"}"#).unwrap();
/// assert!(request.remotes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditKeys {
    /// Accounts to look from: as root all accounts of the host are seen. Every host of the estate if none is named.
    pub remotes: Vec<Remote>,
    /// Look at this authorized_keys file on this machine, and at no host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The file that lists the keys that are expected, one a line: any other one is a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<PathBuf>,
    /// Compare with the inventory in this file, then write the new one there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// Write a page for a browser here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<PathBuf>,
    /// Private keys of certificate authorities, which are not opened: what they signed and has to be renewed is a finding.
    pub authorities: Vec<PathBuf>,
    /// Neither the record nor the page is written.
    pub dry_run: bool,
}

/// The answer of `audit_keys`.
///
/// ```
/// # fn told(audited: &dr_core::toolkit::AuditedKeys) -> usize {
/// audited.inventory.access.len()
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct AuditedKeys {
    /// Who can log in as whom, where.
    pub inventory: Inventory,
    /// What is wrong with that.
    pub report: Report,
}

/// The request of `rotate_key`.
///
/// ```
/// use dr_core::toolkit::RotateKey;
/// let request: RotateKey = serde_json::from_str(r#"{"old": "/root/old.pub", "new": "/root/new.pub", "grace": "1d"}"#).unwrap();
/// assert_eq!(request.grace.as_secs(), 86_400);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// The old public key: its line, or the path of its `.pub` file.
    pub old: String,
    /// The new one; its private half must be among the identities of the settings.
    pub new: String,
    /// The accounts; those of every host of the estate if none is named.
    #[serde(default)]
    pub remotes: Vec<Remote>,
    /// How long both keys open.
    #[serde(default)]
    pub grace: Period,
    /// The file on the hosts; the one that holds the old key, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `revoke_key`.
///
/// ```
/// use dr_core::toolkit::RevokeKey;
/// let request: RevokeKey = serde_json::from_str(r#"{"key": "/root/stolen.pub"}"#).unwrap();
/// assert!(request.after.is_none(), "two minutes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// The public key or the certificate: its line, or the path of its file.
    pub key: String,
    /// Accounts to work from; every host of the estate if none is named.
    #[serde(default)]
    pub remotes: Vec<Remote>,
    /// sshd's list of revoked keys is left alone.
    #[serde(default)]
    pub key_files_only: bool,
    /// After how long a host forgets its list again, if nobody says that all is well: two minutes if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `lock_down`.
///
/// ```
/// use dr_core::toolkit::LockDown;
/// let request: LockDown = serde_json::from_str(r#"{"remote": "root@us", "accounts": ["ann"], "dry_run": true}"#).unwrap();
/// assert_eq!(request.accounts.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockDown {
    /// The account to do it with: root, or one that may sudo.
    pub remote: Remote,
    /// Accounts that must open by a key afterwards, beside that one.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// After how long the host opens itself again, if nobody says that all is well: two minutes if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `unlock`.
///
/// ```
/// let request: dr_core::toolkit::Unlock = serde_json::from_str(r#"{"remote": "root@us"}"#).unwrap();
/// assert!(!request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// The account to do it with: root, or one that may sudo.
    pub remote: Remote,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `trust_host`.
///
/// ```
/// use dr_core::toolkit::TrustHost;
/// let request: TrustHost = serde_json::from_str(r#"{"remote": "root@us.example.net", "dns": "127.0.0.1"}"#).unwrap();
/// assert!(request.accept.is_empty(), "nothing is believed, only shown");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustHost {
    /// The host, as any account of it.
    pub remote: Remote,
    /// Compare with the SSHFP records that this resolver gives: an address, or address:port. That they are signed (DNSSEC) is taken
    /// from one on this machine only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// The host is known: log in, and have it vouch for its other keys.
    #[serde(default)]
    pub update: bool,
    /// The fingerprints that a person has compared on the host's console: these keys, and no other, are added to `known_hosts`.
    #[serde(default)]
    pub accept: Vec<String>,
    /// The file to which lines are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// Nothing is added.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer of `trust_host`.
///
/// ```
/// # fn told(trusted: &dr_core::toolkit::TrustedHost) -> usize {
/// trusted.added.len()
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct TrustedHost {
    /// The host, as known_hosts files name it.
    pub host: String,
    /// Its keys.
    pub keys: Vec<ShownHostKey>,
    /// What is known of the signatures of its SSHFP records; none where there are none, or nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// The lines that were, or with `dry_run` would be, added, as the estate has them under `host_keys`.
    pub added: Vec<String>,
    /// What speaks against it.
    pub report: Report,
}

/// The request of `sshfp_records`.
///
/// ```
/// use dr_core::toolkit::SshfpOf;
/// let request: SshfpOf = serde_json::from_str(r#"{"name": "us.example.net", "keys": ["/etc/ssh/ssh_host_ed25519_key.pub"]}"#).unwrap();
/// assert_eq!(request.keys.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshfpOf {
    /// The host's own name, never one that moves at a failover.
    pub name: DnsName,
    /// Its public keys: their lines, or the paths of their `.pub` files.
    pub keys: Vec<String>,
}

/// The answer of `sshfp_records`.
///
/// ```
/// # fn told(records: &dr_core::toolkit::SshfpRecords) -> String {
/// records.lines.join("\n")
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshfpRecords {
    /// The name.
    pub name: DnsName,
    /// The data of each record: `4 2 9f86d081…`.
    pub records: Vec<String>,
    /// The same as lines of a zone file.
    pub lines: Vec<String>,
}

impl SshfpRecords {
    /// The records of these keys under this name.
    ///
    /// ```
    /// use dr_core::toolkit::SshfpRecords;
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
    /// let records = SshfpRecords::of("us.example.net".parse().unwrap(), &[key]).unwrap();
    /// assert!(records.lines[0].starts_with("us.example.net IN SSHFP 4 2 4fb4af67"));
    /// ```
    ///
    /// # Errors
    /// `Unsupported` for a kind of key that has no such record; `Refused` for two keys of one algorithm: ssh refuses a host if any
    /// record of the algorithm disagrees with its key (`verify_host_key_dns` in dns.c).
    pub fn of(name: DnsName, keys: &[PublicKey]) -> Result<Self> {
        let record = |key: &PublicKey| {
            Sshfp::of(key).ok_or_else(|| {
                let what = format!("render {}", key.fingerprint());
                Error::new(
                    ErrorKind::Unsupported,
                    what,
                    format!("there are no SSHFP records for {}", key.algorithm()),
                )
            })
        };
        let records: Vec<Sshfp> = keys.iter().map(record).collect::<Result<_>>()?;
        for (at, record) in records.iter().enumerate() {
            if records[..at].iter().any(|other| other.algorithm() == record.algorithm() && other != record) {
                let why = format!("two of the keys are of one algorithm ({})", keys[at].algorithm());
                return Err(Error::new(ErrorKind::Refused, format!("render the SSHFP records of {name}"), why).hint(
                    "ssh refuses a host if any record of the algorithm disagrees: name the key that it shows, and rotate by another algorithm",
                ));
            }
        }
        let records: Vec<String> = records.iter().map(ToString::to_string).collect();
        let lines = records.iter().map(|record| format!("{name} IN SSHFP {record}")).collect();
        Ok(Self { name, records, lines })
    }
}
