//! What stands beside the agent and stops services at the time they were given, whatever becomes of the agent.
//!
//! It is a process of its own, `dr agent --warden`, and does little enough to be trusted: it takes orders over a socket that only its
//! own account may use, keeps each in a file, and starts and stops services by the commands that came with the order. It alone starts and
//! stops them, so that a start which was slow cannot come after the stop. An order to serve ends by itself, by the clock that counts in
//! suspend; what was ordered before the machine was started anew has ended, unless it was given without an end.

mod hook;
mod orders;
mod post;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

pub(crate) use orders::alone;
pub use orders::watch_over;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, Services, SiteId};
use crate::failover::Until;
use crate::time::{Period, Tick};

/// How long a warden may take to say that it has heard.
const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// How long one that was just started may take until it listens.
const UP_WITHIN: Duration = Duration::from_secs(5);
/// The longest order: a few command lines.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What is asked of a warden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    /// Stop the services at that time; until then they may serve.
    Serve(Charge),
    /// Stop them now; answered when they have stopped.
    Stop(Charge),
    /// How they all are.
    States,
}

/// What a warden answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Heard,
    Stopped,
    States(BTreeMap<SiteId, State>),
    Failed(String),
}

/// The services of one site, and how they are started and stopped.
///
/// ```
/// use dr_core::world::warden::Charge;
/// let charge = Charge {
///     site: "shop".parse().unwrap(),
///     epoch: dr_core::Epoch(2),
///     until: None,
///     services: dr_core::estate::Services::default(),
///     within: "10s".parse().unwrap(),
/// };
/// assert!(charge.until.is_none(), "until it is told otherwise");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The site.
    pub site: SiteId,
    /// In which epoch they serve.
    pub epoch: Epoch,
    /// Up to when; without a time until they are told otherwise.
    pub until: Option<Tick>,
    /// How they are started and stopped.
    pub services: Services,
    /// How long they may take to stop.
    pub within: Period,
}

impl Charge {
    fn may_serve(&self, now: Tick) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How the services of a site are.
///
/// ```
/// use dr_core::world::warden::State;
/// assert_eq!(serde_json::to_string(&State::Serving).unwrap(), "\"serving\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked yet.
    Unknown,
    /// They are being started.
    Starting,
    /// They were started, and may serve.
    Serving,
    /// They are being stopped.
    Stopping,
    /// They have stopped.
    Stopped,
    /// A command failed; it is tried again.
    Failed {
        /// What it said.
        why: String,
    },
}

/// How a warden is reached, and started where nothing else starts it.
///
/// ```
/// use dr_core::world::warden::Warden;
/// let warden = Warden::at("/var/lib/dr/agent".into(), None);
/// assert!(format!("{warden:?}").contains("/var/lib/dr/agent"));
/// ```
#[derive(Clone, Debug)]
pub struct Warden {
    directory: PathBuf,
    program: Option<PathBuf>,
}

impl Warden {
    /// The warden that keeps its orders in this directory. With a program, `dr` itself, it is started if it is not there.
    #[must_use]
    pub fn at(directory: PathBuf, program: Option<PathBuf>) -> Self {
        Self { directory, program }
    }

    /// Has the services of a site serve up to a time. It is heard, and kept, when this returns; they may take a while to come up.
    pub async fn serve(&self, charge: &Charge, until: Until) -> Result<()> {
        let until = match until {
            Until::Told => None,
            Until::Tick(until) => Some(until),
        };
        let operation = format!("let {} serve", charge.site);
        let ask = Ask::Serve(Charge { until, ..charge.clone() });
        answered(&operation, self.ask(&operation, &ask, HEARD_WITHIN).await?, &Said::Heard)
    }

    /// Has them stop; they have when this returns.
    pub async fn stop(&self, charge: &Charge) -> Result<()> {
        let operation = format!("stop {}", charge.site);
        let patience = charge.within.as_duration().saturating_mul(3) + HEARD_WITHIN;
        let said = self.ask(&operation, &Ask::Stop(charge.clone()), patience).await?;
        answered(&operation, said, &Said::Stopped)
    }

    /// How the services of all sites are.
    pub async fn states(&self) -> Result<BTreeMap<SiteId, State>> {
        let operation = "ask how the services are";
        match self.ask(operation, &Ask::States, HEARD_WITHIN).await? {
            Said::States(states) => Ok(states),
            other => Err(strange(operation, &other)),
        }
    }

    async fn ask(&self, operation: &str, ask: &Ask, patience: Duration) -> Result<Said> {
        let stream = match UnixStream::connect(socket(&self.directory)).await {
            Ok(stream) => stream,
            Err(why) => self.start(operation, why).await?,
        };
        let exchange = async {
            let mut stream = BufReader::new(stream);
            send(&mut stream, ask).await?;
            let mut line = String::new();
            (&mut stream).take(LINE_BYTES_MAX).read_line(&mut line).await?;
            serde_json::from_str(&line).map_err(std::io::Error::other)
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(said) => said.map_err(|why| Error::io(operation, why)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, operation, "the warden does not answer")
                .hint("look at its process: dr agent --warden")),
        }
    }

    async fn start(&self, operation: &str, why: std::io::Error) -> Result<UnixStream> {
        let Some(program) = &self.program else {
            return Err(Error::io(operation, why).hint("start the warden: systemctl start dr-warden"));
        };
        let mut command = tokio::process::Command::new(program);
        command.args(["agent", "--warden"]).arg("--state-dir").arg(&self.directory);
        // It outlives whoever starts it.
        command.process_group(0).kill_on_drop(false).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.spawn().map_err(|why| Error::io("start the warden", why))?;
        let deadline = tokio::time::Instant::now() + UP_WITHIN;
        loop {
            match UnixStream::connect(socket(&self.directory)).await {
                Ok(stream) => return Ok(stream),
                Err(why) if tokio::time::Instant::now() > deadline => {
                    return Err(Error::io("start the warden", why));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn answered(operation: &str, said: Said, expected: &Said) -> Result<()> {
    if said == *expected { Ok(()) } else { Err(strange(operation, &said)) }
}

fn strange(operation: &str, said: &Said) -> Error {
    let why = match said {
        Said::Failed(why) => why.clone(),
        other => format!("the warden answered {other:?}"),
    };
    Error::new(ErrorKind::Io, operation, why)
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("warden.sock")
}

async fn send(stream: &mut BufReader<UnixStream>, what: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what).map_err(std::io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
