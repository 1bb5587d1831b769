//! `dr agent --votes`: what sshd starts for another host's agent.

use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{LINE_BYTES_MAX, OUTSIDE, socket};
use crate::error::{Error, Result};
use crate::world::agent::line::{Incoming, Outgoing};
use crate::world::agent::stdio;

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
        let heard = (&mut agent).take(LINE_BYTES_MAX).read_line(&mut said).await.map_err(failed)?;
        if heard == 0 {
            return Ok(());
        }
        out.write_all(said.as_bytes()).await.map_err(failed)?;
        out.flush().await.map_err(failed)?;
    }
}
