//! Requests and answers about certificates and ssh-agents. Passphrases are named by the files that hold them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::estate::Remote;
use crate::keys::{Bearer, Issued, Permit};
use crate::time::{Period, Timestamp};
use crate::world::ssh::HeldKey;

/// The request of `certify_key`.
///
/// ```
/// use dr_core::toolkit::CertifyKey;
/// let request: CertifyKey =
///     serde_json::from_str(r#"{"key": "ann.pub", "authority": "ca", "bearer": "user", "names": ["deploy"]}"#).unwrap();
/// assert!(request.good_for.is_none(), "8 hours for a user, 90 days for a host");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifyKey {
    /// The file of the public key; `NAME.pub` gets `NAME-cert.pub` beside it.
    pub key: PathBuf,
    /// The authority's private key; with `agent` its public half will do.
    pub authority: PathBuf,
    /// Whether it is for somebody who logs in, or for a host.
    pub bearer: Bearer,
    /// The accounts, or the names and addresses of the host. Never none.
    pub names: Vec<String>,
    /// How long it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_for: Option<Period>,
    /// What sshd writes into its log; the key's comment if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The only addresses and networks from where it is good.
    #[serde(default)]
    pub from: Vec<String>,
    /// What runs, whatever is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is allowed beside commands.
    #[serde(default)]
    pub permits: Vec<Permit>,
    /// The file whose first line is the passphrase of the authority's key; it has none if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The socket of an ssh-agent that holds the authority's key, and signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
    /// Look only whether the terms are right: nothing is signed, and the answer has neither path nor certificate.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer of `certify_key`.
///
/// ```
/// # fn told(certified: &dr_core::toolkit::CertifiedKey) -> String {
/// certified.names.join(", ")
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedKey {
    /// For whom.
    pub names: Vec<String>,
    /// What sshd writes into its log.
    pub id: String,
    /// Until when.
    pub until: Timestamp,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The certificate's line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// The line by which those who check it trust the authority: of `known_hosts` for a host, of `authorized_keys` for a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<String>,
}

/// The request of `issued_certificates`.
///
/// ```
/// let request: dr_core::toolkit::IssuedBy = serde_json::from_str(r#"{"authority": "/root/ca"}"#).unwrap();
/// assert_eq!(request.authority, std::path::Path::new("/root/ca"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuedBy {
    /// The authority's private key, which is not opened.
    pub authority: PathBuf,
}

/// The answer of `issued_certificates`.
///
/// ```
/// assert!(dr_core::toolkit::IssuedCertificates::default().issued.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuedCertificates {
    /// In the order in which they were signed.
    pub issued: Vec<Issued>,
}

/// The request of `install_certificate`.
///
/// ```
/// use dr_core::toolkit::InstallCertificate;
/// let request: InstallCertificate = serde_json::from_str(r#"{"certificate": "/root/ca.pub", "remote": "root@us"}"#).unwrap();
/// assert!(!request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallCertificate {
    /// The host's certificate, or the authority's public key whose users it is to let in: the line, or the path of the file.
    pub certificate: String,
    /// root at the host, or an account that may sudo, by the name that the certificate is for.
    pub remote: Remote,
    /// After how long the host takes everything back, if nobody says that all is well: two minutes if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Period>,
    /// Plan only: nothing is changed, and the answer holds the plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The request of `list_agent_keys`.
///
/// ```
/// let request: dr_core::toolkit::AgentKeys = serde_json::from_str(r#"{"agent": "/run/agent"}"#).unwrap();
/// assert_eq!(request.agent, std::path::Path::new("/run/agent"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentKeys {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
}

/// The request of `add_agent_key`.
///
/// ```
/// use dr_core::toolkit::AddAgentKey;
/// let request: AddAgentKey = serde_json::from_str(r#"{"agent": "/run/agent", "key": "/root/.ssh/dr", "lifetime": "8h"}"#).unwrap();
/// assert!(!request.confirm);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAgentKey {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
    /// The file whose first line is its passphrase; it has none if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// It forgets the key after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Period>,
    /// It asks a person before each use.
    #[serde(default)]
    pub confirm: bool,
    /// Look only whether the key can be read.
    #[serde(default)]
    pub dry_run: bool,
}

/// The request of `remove_agent_key`.
///
/// ```
/// use dr_core::toolkit::RemoveAgentKey;
/// let request: RemoveAgentKey = serde_json::from_str(r#"{"agent": "/run/agent", "key": "/root/.ssh/dr.pub"}"#).unwrap();
/// assert!(!request.dry_run);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveAgentKey {
    /// The ssh-agent's socket (`$SSH_AUTH_SOCK`).
    pub agent: PathBuf,
    /// The public key: its line, or the path of its `.pub` file.
    pub key: String,
    /// The agent keeps it.
    #[serde(default)]
    pub dry_run: bool,
}

/// The answer of `list_agent_keys`, `add_agent_key` and `remove_agent_key`.
///
/// ```
/// assert!(dr_core::toolkit::HeldKeys::default().keys.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldKeys {
    /// The keys that the agent holds now.
    pub keys: Vec<HeldByAgent>,
}

/// A key that an ssh-agent holds, as it is told to people and programs.
///
/// ```
/// # fn told(held: &dr_core::toolkit::HeldByAgent) -> String {
/// format!("{} {}", held.fingerprint, held.comment)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldByAgent {
    /// Its public half, as it stands in a `.pub` file.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Its kind, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its size.
    pub bits: u32,
    /// The comment under which it is held.
    pub comment: String,
    /// The number of the certificate that it is held with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<u64>,
}

impl From<&HeldKey> for HeldByAgent {
    fn from(held: &HeldKey) -> Self {
        Self {
            key: held.key.to_string(),
            fingerprint: held.key.fingerprint(),
            algorithm: held.key.algorithm().to_owned(),
            bits: held.key.bits(),
            comment: held.key.comment().to_owned(),
            certificate: held.certificate.as_ref().map(|one| one.serial()),
        }
    }
}
