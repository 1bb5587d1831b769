//! The agent of another host, by SSH.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::Mutex;

use super::LINE_BYTES_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::world::ssh::Connector;

/// What is asked for where no forced command stands before it.
const COMMAND: &str = "dr agent --votes";

/// A line to another host's agent. It is kept open between questions, and opened anew when it was lost.
///
/// ```
/// use dr_core::world::{ssh::{Access, Connector}, talk::Neighbour};
/// let neighbour = Neighbour::new(Connector::new(Access::default()), "dr@nl.example.net".parse().unwrap());
/// assert_eq!(format!("{neighbour:?}"), "Neighbour(ssh://dr@nl.example.net:22)");
/// ```
pub struct Neighbour {
    connector: Arc<Connector>,
    remote: Remote,
    line: Mutex<Option<Line>>,
}

struct Line {
    input: ChannelReadHalf,
    output: ChannelWriteHalf<Msg>,
    heard: Vec<u8>,
}

impl Neighbour {
    /// The agent on this host. Nothing is opened yet.
    #[must_use]
    pub fn new(connector: Arc<Connector>, remote: Remote) -> Self {
        Self { connector, remote, line: Mutex::new(None) }
    }

    /// Asks one thing. One question at a time; what is not answered in time closes the line, so that no late answer is taken for
    /// that of another question.
    pub async fn ask(&self, question: &str, within: Duration) -> Result<String> {
        let mut slot = self.line.lock().await;
        let taken = slot.take();
        let exchange = async {
            let mut line = match taken {
                Some(line) => line,
                None => self.open().await?,
            };
            let said = line.exchange(question).await.ok_or_else(|| self.lost("the line was lost"))?;
            Ok((line, said))
        };
        match tokio::time::timeout(within, exchange).await {
            Ok(Ok((line, said))) => {
                *slot = Some(line);
                Ok(said)
            }
            Ok(Err(why)) => Err(why),
            Err(_) => Err(self.lost("no answer in time")),
        }
    }

    async fn open(&self) -> Result<Line> {
        let session = self.connector.session(&self.remote).await?;
        let (input, output) = session.start(COMMAND).await?;
        Ok(Line { input, output, heard: vec![] })
    }

    fn lost(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unreachable, format!("ask the agent of {}", self.remote), why)
            .hint("look whether dr agent --run runs there, and whether the key may start dr agent --votes")
    }
}

impl std::fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Neighbour({})", self.remote)
    }
}

impl Line {
    /// None if the line is gone.
    async fn exchange(&mut self, question: &str) -> Option<String> {
        self.output.data_bytes(format!("{question}\n").into_bytes()).await.ok()?;
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return String::from_utf8(line).ok().map(|line| line.trim_end().to_owned());
            }
            match self.input.wait().await? {
                ChannelMsg::Data { data } => self.heard.extend_from_slice(&data),
                ChannelMsg::Close | ChannelMsg::Eof | ChannelMsg::Failure => return None,
                _ => {}
            }
            if self.heard.len() as u64 > LINE_BYTES_MAX {
                return None;
            }
        }
    }
}
