//! The keys of an ssh-agent.

use std::path::Path;

use russh::keys::PublicKey as SshKey;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding, client::AgentClient};
use tokio::net::UnixStream;

use crate::error::{Error, ErrorKind, Result};
use crate::keys::PublicKey;

/// A connection to an agent.
pub(super) struct Agent {
    pub(super) client: AgentClient<UnixStream>,
}

impl Agent {
    /// Connects, and tells the agent which host it will log in to, so that keys bound to destinations can be used.
    pub(super) async fn open(socket: &Path, binding: Option<&AgentSessionBinding>) -> Result<Self> {
        let stream = UnixStream::connect(socket).await.map_err(|error| failed(socket, error.to_string()))?;
        let mut client = AgentClient::connect(stream);
        if let Some(binding) = binding {
            // An agent without that extension says no; its keys work all the same.
            let _ = client.bind_session(binding, false).await;
        }
        Ok(Self { client })
    }

    /// Its plain keys; certificates are left out.
    pub(super) async fn keys(&mut self, socket: &Path) -> Result<Vec<(PublicKey, SshKey)>> {
        let listed =
            self.client.request_identities().await.map_err(|error| failed(socket, error.to_string()))?;
        let plain = listed.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => {
                let public = PublicKey::from_blob(&key.to_bytes().ok()?)?.with_comment(&comment);
                Some((public, key))
            }
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(plain.collect())
    }
}

fn failed(socket: &Path, why: String) -> Error {
    Error::new(ErrorKind::NotFound, format!("ask the ssh-agent at {}", socket.display()), why).hint(
        "start an agent (eval $(ssh-agent)), load the key with ssh-add, and name its socket ($SSH_AUTH_SOCK)",
    )
}
