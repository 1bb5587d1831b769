//! `dr agent`: the far end of a mirror, and taking it away again.

use dr_core::Result;
use dr_core::world::agent::{Restrictions, serve_stdio};

use crate::args::{Agent, Common};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Agent) -> Result<u8> {
    if let Some(remote) = &words.remove {
        let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
        let removed = toolkit.remove_agents(remote, &console.control()).await?;
        let text = if removed { "removed" } else { "there was none" };
        console.result(&format!("{text}\n"), &serde_json::json!({ "removed": removed }));
        return Ok(0);
    }
    let state_dir = words.state_dir.unwrap_or_else(|| context::state_dir().join("mirror"));
    let (root, read_only) = (words.root, words.read_only);
    serve_stdio(Restrictions { root, read_only, state_dir: Some(state_dir) }, Some(context::own_access()))
        .await?;
    Ok(0)
}
