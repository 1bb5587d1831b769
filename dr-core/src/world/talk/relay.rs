//! `dr agent --votes`: what sshd starts for another host's agent.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{LINE_BYTES_MAX, OUTSIDE, socket};
use crate::error::{Error, Result};
use crate::world::agent::line::{Incoming, Outgoing};
use crate::world::agent::stdio;

/// How long the agent may take to answer; whoever asked has long given up.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Passes lines on between standard input and output and the agent in this directory, each marked as coming from outside, until the
/// input ends.
pub async fn relay_votes(directory: &Path) -> Result<()> {
    let failed = |why| Error::io("pass questions on to the agent of this host", why);
    let mut agent = BufReader::new(UnixStream::connect(socket(directory)).await.map_err(failed)?);
    let (input, output) = stdio::own().map_err(failed)?;
    let (input, output) = (stdio::incoming(input).map_err(failed)?, stdio::outgoing(output).map_err(failed)?);
    let (Incoming::Stream(input), Outgoing::Stream(mut out)) = (input, output) else { return Ok(()) };
    let mut asked = BufReader::new(input);
    loop {
        let mut line = String::new();
        let read = (&mut asked).take(LINE_BYTES_MAX).read_line(&mut line).await.map_err(failed)?;
        if read == 0 || !line.ends_with('\n') {
            return Ok(());
        }
        agent.write_all(format!("{OUTSIDE}{line}").as_bytes()).await.map_err(failed)?;
        let mut said = String::new();
        let mut limited = (&mut agent).take(LINE_BYTES_MAX);
        // An agent that stands still must not collect those who ask it.
        let Ok(heard) = tokio::time::timeout(ANSWER_MAX, limited.read_line(&mut said)).await else {
            return Ok(());
        };
        if heard.map_err(failed)? == 0 {
            return Ok(());
        }
        out.write_all(said.as_bytes()).await.map_err(failed)?;
        out.flush().await.map_err(failed)?;
    }
}
