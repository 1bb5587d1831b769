//! An observer as a process: looks at the site's home, and sends every vote to the decider over loopback.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dr_core::ZoneName;
use dr_core::estate::{Health, ObserverId, ProbeSpec};
use dr_core::toolkit::{Settings, Toolkit, Watch};
use dr_core::world::Control;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::embedded::Secret;
use super::embedded::process::Service;

/// The observers of the demo and where they stand: three failure domains.
pub(super) const PLACES: [(&str, &str); 3] = [("de", "frankfurt"), ("nl", "amsterdam"), ("jp", "tokyo")];

/// What one observer is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Its name in the panel.
    pub(super) id: ObserverId,
    /// The address that it looks at.
    pub(super) target: IpAddr,
    /// What it asks there.
    pub(super) probe: ProbeSpec,
    /// Name servers that it can reach unless its own line is cut.
    pub(super) anchors: Vec<SocketAddr>,
    /// The zone that those answer for.
    pub(super) zone: ZoneName,
    /// How often, how patiently, how many times.
    pub(super) health: Health,
    /// Where its votes go.
    pub(super) report_to: SocketAddr,
    /// What it says first, so that nobody else votes in its place.
    pub(super) token: Secret,
}

/// It looks, and the decider listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// As in [`Options::id`].
    pub(super) id: ObserverId,
}

/// An observer at work. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Running(Vec<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Service for Options {
    type Ready = Ready;
    type Running = Running;

    async fn start(self) -> io::Result<(Ready, Running)> {
        let mut stream = TcpStream::connect(self.report_to).await?;
        stream.write_all(format!("{}\n", self.token.reveal()).as_bytes()).await?;
        let toolkit =
            Toolkit::open(Settings { journal: PathBuf::from("/nonexistent"), ..Settings::default() })
                .map_err(io::Error::other)?;
        let ready = Ready { id: self.id.clone() };
        let anchor = |at: &SocketAddr| (at.ip(), ProbeSpec::Dns { port: at.port(), zone: self.zone.clone() });
        let watch = Watch {
            observer: self.id.clone(),
            address: self.target,
            probe: self.probe.clone(),
            anchors: self.anchors.iter().map(anchor).collect(),
            thresholds: self.health.clone(),
        };
        let (votes, mut to_send) = mpsc::unbounded_channel();
        let looking = tokio::spawn(async move {
            let told =
                toolkit.watch(&watch, &Control::silent(), |vote, _| drop(votes.send(vote.clone()))).await;
            if let Err(why) = told {
                tracing::error!(%why, "the observer stopped");
            }
        });
        let telling = tokio::spawn(async move {
            while let Some(vote) = to_send.recv().await {
                let Ok(mut line) = serde_json::to_vec(&vote) else { return };
                line.push(b'\n');
                if stream.write_all(&line).await.is_err() {
                    return;
                }
            }
        });
        Ok((ready, Running(vec![looking, telling])))
    }

    fn settle(&mut self, _ready: &Ready) {}

    fn update(_running: &Running, _options: Self) {}
}
