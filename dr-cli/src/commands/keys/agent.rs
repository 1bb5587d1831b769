//! `dr keys agent`: what the ssh-agent holds.

use dr_core::Result;
use dr_core::world::ssh::{AgentTerms, HeldKey, SecretKey, SshAgent};

use super::public_key;
use crate::args::{AgentWords, Common};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: AgentWords) -> Result<u8> {
    let mut agent = SshAgent::open(&context::agent_socket()?).await?;
    let (verb, key) = match words {
        AgentWords::List => {
            let held = agent.list().await?;
            let rows: Vec<String> = held.iter().map(row).collect();
            let text = if rows.is_empty() { "the agent holds no key".to_owned() } else { rows.join("\n") };
            let values: Vec<serde_json::Value> = held.iter().map(value).collect();
            console.result(&text, &serde_json::json!({ "keys": values }));
            return Ok(0);
        }
        AgentWords::Add { key, lifetime, confirm, passphrase_file, ask_passphrase } => {
            let passphrase = match (passphrase_file, ask_passphrase) {
                (Some(file), _) => Some(context::secret_file(&file)?),
                (None, true) => Some(context::ask_secret(&format!("passphrase of {}: ", key.display()))?),
                (None, false) => None,
            };
            let key = SecretKey::load(&key, passphrase.as_ref())?;
            let terms = AgentTerms { lifetime: lifetime.map(|span| span.as_duration()), confirm };
            if !common.dry_run {
                agent.add(&key, &terms).await?;
            }
            ("holds", key.public().clone())
        }
        AgentWords::Remove { key } => {
            let key = public_key(&key)?;
            if !common.dry_run {
                agent.remove(&key).await?;
            }
            ("forgot", key)
        }
    };
    let would = if common.dry_run { "(dry run) " } else { "" };
    let fingerprint = key.fingerprint();
    console.result(
        &format!("{would}the agent {verb} {fingerprint}"),
        &serde_json::json!({ "key": fingerprint }),
    );
    Ok(0)
}

fn row(held: &HeldKey) -> String {
    let comment: String = held.key.comment().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let what =
        held.certificate.as_ref().map_or(String::new(), |one| format!(" with certificate {}", one.serial()));
    format!("{} {} {} {comment}{what}", held.key.fingerprint(), held.key.algorithm(), held.key.bits())
}

fn value(held: &HeldKey) -> serde_json::Value {
    serde_json::json!({
        "key": held.key.fingerprint(), "algorithm": held.key.algorithm(), "bits": held.key.bits(), "comment": held.key.comment(),
        "certificate": held.certificate.as_ref().map(|one| one.serial()),
    })
}
