//! `dr keys agent`: what the ssh-agent holds.

use dr_core::Result;
use dr_core::toolkit::{HeldByAgent, read_public_key};
use dr_core::world::ssh::{AgentTerms, SecretKey, SshAgent};

use super::clean;
use crate::args::{AgentWords, Common};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: AgentWords) -> Result<u8> {
    let mut agent = SshAgent::open(&context::agent_socket()?).await?;
    let (verb, key) = match words {
        AgentWords::List => {
            let held: Vec<HeldByAgent> = agent.list().await?.iter().map(HeldByAgent::from).collect();
            let rows: Vec<String> = held.iter().map(row).collect();
            let text = if rows.is_empty() { "the agent holds no key".to_owned() } else { rows.join("\n") };
            console.result(&text, &serde_json::json!({ "keys": held }));
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
            (("holds", "would hold"), key.public().clone())
        }
        AgentWords::Remove { key } => {
            let key = read_public_key(&key)?;
            if !common.dry_run {
                agent.remove(&key).await?;
            }
            (("forgot", "would forget"), key)
        }
    };
    let fingerprint = key.fingerprint();
    let (done, would) = verb;
    let verb = if common.dry_run { would } else { done };
    console.result(&format!("the agent {verb} {fingerprint}"), &serde_json::json!({ "key": fingerprint }));
    Ok(0)
}

fn row(held: &HeldByAgent) -> String {
    let comment = clean(&held.comment);
    let what = held.certificate.map_or(String::new(), |serial| format!(" with certificate {serial}"));
    format!("{} {} {} {comment}{what}", held.fingerprint, held.algorithm, held.bits)
}
