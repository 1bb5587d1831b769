//! A machine that is reached by SSH with pinned host keys.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::Remote;

/// A machine that carries sites.
///
/// ```
/// use dr_core::estate::Host;
/// let host = Host::new("root@us.example.net".parse().unwrap());
/// assert!(host.host_keys.is_empty(), "nothing is trusted that was not pinned");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// How it is reached: `user@host` or `user@host:port`.
    pub ssh: Remote,
    /// Its host keys as they stand in a .pub file (`ssh-ed25519 AAAA…`). With none, the known_hosts file decides.
    #[serde(default)]
    pub host_keys: Vec<String>,
    /// The addresses under which its sites are served; failover writes these into the zones.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The private key to log in with; without one, the agent's keys are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// Where dr keeps its own small files on that host (roles, baselines); relative to the home directory.
    #[serde(default = "default_state_dir")]
    pub state_dir: String,
    /// What it shares its fate with: a data centre, a provider, a country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_domain: Option<String>,
    /// The public keys that sign what its agent says, as they stand in a .pub file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agent_keys: Vec<String>,
}

impl Host {
    /// A host with nothing but an address.
    #[must_use]
    pub fn new(ssh: Remote) -> Self {
        Self {
            ssh,
            host_keys: vec![],
            addresses: vec![],
            identity: None,
            state_dir: default_state_dir(),
            failure_domain: None,
            agent_keys: vec![],
        }
    }
}

fn default_state_dir() -> String {
    ".local/state/dr".to_owned()
}
