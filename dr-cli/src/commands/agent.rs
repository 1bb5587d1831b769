//! `dr agent`: the far end of a mirror; the service that keeps seats and observes, with its warden; and taking agents away again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dr_core::toolkit::{AgentPlaces, AgentSettings, SeatHistory, seat_history};
use dr_core::world::agent::{Restrictions, serve_stdio};
use dr_core::world::ssh::Connector;
use dr_core::world::{Control, talk, warden};
use dr_core::{Error, ErrorKind, Result};

use crate::args::{Agent, Common};
use crate::console::Console;
use crate::context;
use crate::notify::Manager;

pub(super) async fn run(common: &Common, console: &Console, words: Agent) -> Result<u8> {
    if let Some(remote) = &words.remove {
        let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
        let removed = toolkit.remove_agents(remote, &console.control()).await?;
        let text = if removed { "removed" } else { "there was none" };
        console.result(&format!("{text}\n"), &serde_json::json!({ "removed": removed }));
        return Ok(0);
    }
    if words.stdio {
        let state_dir = words.state_dir.unwrap_or_else(|| context::state_dir().join("mirror"));
        let (root, read_only) = (words.root, words.read_only);
        serve_stdio(
            Restrictions { root, read_only, state_dir: Some(state_dir) },
            Some(context::own_access()),
        )
        .await?;
        return Ok(0);
    }
    let directory = words.state_dir.unwrap_or_else(context::agent_dir);
    match (&words.run, &words.units) {
        (Some(settings), _) => serve(common, console, settings, directory).await?,
        (None, Some(settings)) => units(common, console, settings),
        (None, None) if words.votes => talk::relay_votes(&directory).await?,
        (None, None) => warden::watch_over(&directory, &console.control().cancel).await?,
    }
    Ok(0)
}

/// Is an agent until it is told to stop.
async fn serve(common: &Common, console: &Console, file: &Path, directory: PathBuf) -> Result<()> {
    let operation = || format!("read what the agent is from {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|why| Error::io(operation(), why))?;
    let settings: AgentSettings = serde_json::from_str(&text)
        .map_err(|why| Error::new(ErrorKind::Usage, operation(), why.to_string()))?;
    let estate = context::needed_estate(common)?;
    let settings = settings.completed(&estate)?;
    let connector = Connector::new(context::asking_access(common, &estate, settings.login.as_deref()));
    let toolkit = context::toolkit(common, estate)?;
    let program = std::env::current_exe().ok();
    let places = AgentPlaces { directory: directory.clone(), home: context::home(), program };
    let (manager, control) = (Arc::new(context::service_manager()), console.control());
    let seats = settings.charters.len();
    let ready = {
        let (manager, control) = (manager.clone(), control.clone());
        move || {
            manager.tell(&format!("READY=1\nSTATUS={seats} seats are kept"));
            tokio::spawn(lives(manager, control, directory));
        }
    };
    toolkit.run_agent(settings, &places, connector, &control, ready).await
}

/// Tells the service manager that the agent answers, as often as it wants to hear it; and that it stops.
async fn lives(manager: Arc<Manager>, control: Control, directory: PathBuf) {
    loop {
        let next = async {
            match manager.watchdog {
                Some(every) => tokio::time::sleep(every).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = control.cancel.cancelled() => return manager.tell("STOPPING=1"),
            () = next => {}
        }
        if seat_history(&SeatHistory { directory: directory.clone(), last: 0 }).await.is_ok() {
            manager.tell("WATCHDOG=1");
        }
    }
}

fn units(common: &Common, console: &Console, settings: &Path) {
    let program = std::env::current_exe().unwrap_or_else(|_| "dr".into());
    let estate = context::estate_path(common);
    let estate =
        estate.map(|path| format!(" --estate {}", std::path::absolute(&path).unwrap_or(path).display()));
    let command = format!("{}{}", program.display(), estate.unwrap_or_default());
    let settings = std::path::absolute(settings).unwrap_or_else(|_| settings.to_owned());
    let units = dr_core::render::agent_units(&command, &settings.display().to_string());
    let text: String =
        units.iter().map(|unit| format!("# /etc/systemd/system/{}\n{}\n", unit.name, unit.text)).collect();
    let json: Vec<_> =
        units.iter().map(|unit| serde_json::json!({ "name": unit.name, "text": unit.text })).collect();
    console.result(&text, &serde_json::json!({ "units": json }));
}
