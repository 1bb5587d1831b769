//! Which agent a host has, and how it gets one.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::AgentEndpoint;
use super::lanes::{self, Answer};
use super::opener::Opener;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::mirror::wire::Door;
use crate::run::Event;
use crate::world::Control;
use crate::world::ssh::{Connector, Session};

/// What the search says where there is no agent; the machine's kind follows.
const NONE_HERE: &str = "dr: no agent here:";
/// No executable of ours comes near.
const BINARY_BYTES_MAX: u64 = 1 << 30;

/// Which agent serves trees on hosts. The default uses what is there and puts none there.
///
/// ```
/// use dr_core::world::endpoints::Agents;
/// let agents = Agents { binary: Some("/usr/bin/dr".into()), ..Agents::default() };
/// assert!(!agents.off);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// No agent: SFTP only.
    pub off: bool,
    /// Where `dr` is on hosts: this one and no other. None: the one put there before, else the one on the PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The executable that is put on a host that has none, in `~/.cache/dr`; usually that of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// How many channels a tree has at most. None: as many as pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
}

/// The executable that can be put on hosts.
struct Binary {
    content: Vec<u8>,
    /// What it is called there.
    name: String,
}

/// Finds agents, by what the caller allows.
#[derive(Default)]
pub(in crate::world::endpoints) struct Finder {
    agents: Agents,
    name: OnceCell<Option<String>>,
}

/// What was found.
pub(in crate::world::endpoints) enum Found {
    Agent(Box<AgentEndpoint>),
    /// None, and why.
    None(String),
}

impl Finder {
    pub(in crate::world::endpoints) fn new(agents: Agents) -> Self {
        Self { agents, name: OnceCell::new() }
    }

    /// What our executable is called on hosts: reading it takes a while, so it is done while the line is being opened.
    pub(in crate::world::endpoints) async fn prepare(&self) {
        if !self.agents.off && self.agents.path.is_none() {
            self.name().await;
        }
    }

    async fn name(&self) -> Option<&str> {
        let read = async { self.read().await.ok().flatten().map(|binary| binary.name) };
        self.name.get_or_init(|| read).await.as_deref()
    }

    async fn read(&self) -> Result<Option<Binary>> {
        let Some(path) = self.agents.binary.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || {
            let failed = |why| Error::io(format!("read the agent {}", path.display()), why);
            if std::fs::metadata(&path).map_err(failed)?.len() > BINARY_BYTES_MAX {
                return Ok(None);
            }
            let content = std::fs::read(&path).map_err(failed)?;
            let name = format!("agent-{}-{}", env!("CARGO_PKG_VERSION"), Digest::of(&content).short());
            Ok(Some(Binary { content, name }))
        });
        read.await.unwrap_or(Ok(None))
    }

    /// The tree at `path` on the host by the agent there, which is put there if it has none.
    pub(in crate::world::endpoints) async fn open(
        &self,
        (connector, session): (&Arc<Connector>, &Arc<Session>),
        remote: &Remote,
        path: &str,
        control: &Control,
    ) -> Result<Found> {
        if self.agents.off {
            return Ok(Found::None("no agent is wanted".to_owned()));
        }
        let root = if path.is_empty() { "." } else { path }.as_bytes();
        let place = Place { connector, session, remote, root, token: &[], most: self.most(), control };
        let command = match &self.agents.path {
            Some(path) => format!("exec {} agent --stdio", quoted(path)),
            None => search(self.name().await),
        };
        let why = match place.start(command).await? {
            Started::Agent(agent) => return Ok(Found::Agent(agent)),
            Started::Not(why) => why,
        };
        if let Some(path) = &self.agents.path {
            let operation = format!("start {path} on {remote}");
            return Err(
                Error::new(ErrorKind::NotFound, operation, why).hint("correct --agent-path, or leave it out")
            );
        }
        let Some(binary) = self.read().await? else { return Ok(Found::None(why)) };
        if let Some(other) = misfit(&binary.content, &why) {
            return Ok(Found::None(other));
        }
        match put(session, &binary, control).await {
            Err(error) if error.kind() == ErrorKind::Unreachable => return Err(error),
            Err(error) => return Ok(Found::None(format!("{why}; {error}"))),
            Ok(()) => {}
        }
        let command = format!("exec \"$HOME\"/.cache/dr/{} agent --stdio", binary.name);
        match place.start(format!("sh -c {}", quoted(&command))).await? {
            Started::Agent(agent) => Ok(Found::Agent(agent)),
            Started::Not(why) => Ok(Found::None(format!("the agent that was put there does not run: {why}"))),
        }
    }

    fn most(&self) -> usize {
        self.agents.lanes.unwrap_or(usize::MAX)
    }
}

/// Joins the agent behind a door, over this session with its host.
pub(in crate::world) async fn join(
    (connector, session): (&Arc<Connector>, &Arc<Session>),
    door: &Door,
    control: &Control,
) -> Result<AgentEndpoint> {
    let (root, token) = (door.root.as_slice(), door.token.as_slice());
    let place = Place { connector, session, remote: &door.remote, root, token, most: usize::MAX, control };
    match place.start(door.command.clone()).await? {
        Started::Agent(agent) => Ok(*agent),
        Started::Not(why) => {
            Err(Error::new(ErrorKind::Refused, format!("join the agent on {}", door.remote), why))
        }
    }
}

/// A tree on a host.
struct Place<'a> {
    connector: &'a Arc<Connector>,
    session: &'a Arc<Session>,
    remote: &'a Remote,
    root: &'a [u8],
    /// Empty for an agent of our own.
    token: &'a [u8],
    /// So many lines at most.
    most: usize,
    control: &'a Control,
}

enum Started {
    Agent(Box<AgentEndpoint>),
    Not(String),
}

impl Place<'_> {
    /// Starts a command that may be an agent.
    async fn start(&self, command: String) -> Result<Started> {
        let (connector, session) = (Arc::clone(self.connector), Arc::clone(self.session));
        let opener = Arc::new(Opener::new(connector, session, self.remote.clone(), command.clone()));
        let peer = format!("the agent on {}", self.remote);
        let way = opener.line().await?;
        match lanes::greet(way, (self.root, self.token), peer.clone(), Some(opener), self.most).await? {
            Answer::Agent(opened) => {
                if let Some(message) = lanes::clock_note(opened.hello.wall_ms, self.remote) {
                    self.control.emit(&Event::Note { message });
                }
                let door = Door {
                    remote: self.remote.clone(),
                    root: self.root.to_vec(),
                    command,
                    token: opened.lanes.token().to_vec(),
                    host_keys: self.session.host_key().map(str::to_owned).into_iter().collect(),
                };
                let agent = AgentEndpoint::new(*opened, peer, Some(door))?;
                Ok(Started::Agent(Box::new(agent)))
            }
            Answer::Stranger(protocol) => {
                Ok(Started::Not(format!("the dr there speaks version {protocol} of the protocol")))
            }
            Answer::Nobody(_) if !self.session.is_alive() => {
                let operation = format!("start an agent on {}", self.remote);
                Err(Error::new(ErrorKind::Unreachable, operation, "the connection was lost"))
            }
            Answer::Nobody(said) => Ok(Started::Not(
                said.line().unwrap_or_else(|| "there is none, and nothing was said".to_owned()),
            )),
        }
    }
}

/// The shell line that becomes an agent, or says that there is none. It reads nothing of its input.
fn search(name: Option<&str>) -> String {
    let ours = name.map_or_else(String::new, |name| {
        format!("a=\"$HOME/.cache/dr/{name}\"; test -x \"$a\" && exec \"$a\" agent --stdio; ")
    });
    let line = format!(
        "{ours}command -v dr >/dev/null 2>&1 && exec dr agent --stdio; echo \"{NONE_HERE} $(uname -sm)\" >&2"
    );
    format!("sh -c {}", quoted(&line))
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Why the executable cannot run on the host, if that is known.
fn misfit(content: &[u8], said: &str) -> Option<String> {
    // The header of an ELF file (elf(5)): e_machine, little-endian on all of these.
    const MACHINES: [(&str, u8); 5] =
        [("x86_64", 62), ("aarch64", 183), ("armv7l", 40), ("riscv64", 243), ("ppc64le", 21)];
    let theirs = said.strip_prefix(NONE_HERE)?.trim();
    let Some(machine) = theirs.strip_prefix("Linux ") else {
        return Some(format!("there is none on the host, and ours is not for {theirs}"));
    };
    let ours = content.get(18).copied()?;
    let fits = MACHINES.iter().find(|(name, _)| *name == machine).is_some_and(|(_, number)| *number == ours);
    (!fits).then(|| format!("there is none on the host, and ours is not for {machine}"))
}

/// Puts the executable into the account's cache: whole or not at all. What is there for more than a week from other versions
/// goes.
async fn put(session: &Session, binary: &Binary, control: &Control) -> Result<()> {
    let sum = data_encoding::HEXLOWER.encode(&Sha256::digest(&binary.content));
    let name = &binary.name;
    let line = format!(
        "umask 077; d=\"$HOME/.cache/dr\"; f=\"$d/{name}\"; t=\"$f.$$\"; \
         mkdir -p \"$d\" && cat >\"$t\" && chmod 700 \"$t\" \
         && test \"$(sha256sum <\"$t\" | cut -c1-64)\" = {sum} && mv -f \"$t\" \"$f\" \
         && {{ find \"$d\" -name \"agent-*\" ! -name {name} -mtime +7 -exec rm -f {{}} + ; exit 0; }}; \
         rm -f \"$t\"; exit 1"
    );
    let said = session.exec(&format!("sh -c {}", quoted(&line)), &binary.content, control).await?;
    if said.status == Some(0) {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr);
    let why = why.lines().last().unwrap_or("what arrived is not what was sent").to_owned();
    Err(Error::new(ErrorKind::Io, "put an agent there", why))
}

/// The command line that removes every agent that was put into the account's cache, and names them.
pub(crate) fn removal() -> String {
    let line = "cd \"$HOME/.cache/dr\" 2>/dev/null || exit 0; \
                for a in agent-*; do test -f \"$a\" && rm -f \"$a\" && echo \"$a\"; done; \
                cd ..; rmdir dr 2>/dev/null; exit 0";
    format!("sh -c {}", quoted(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("/opt/it's here/dr"), "'/opt/it'\\''s here/dr'");
        assert!(
            !search(Some("agent-0.1.0-abc"))
                .trim_start_matches("sh -c '")
                .trim_end_matches('\'')
                .contains('\'')
        );
    }

    #[test]
    fn only_what_can_run_there_is_put_there() {
        let mut ours = vec![0; 64];
        ours[18] = 62;
        for (said, fits) in [
            ("dr: no agent here: Linux x86_64", true),
            ("dr: no agent here: Linux aarch64", false),
            ("dr: no agent here: FreeBSD amd64", false),
            ("sh: dr: not found", true),
        ] {
            assert_eq!(misfit(&ours, said).is_none(), fits, "{said}");
        }
    }
}
