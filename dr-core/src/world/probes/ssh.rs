//! An SSH server says what it is (RFC 4253 section 4.2), and proves its host key where one is asked for.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{Looked, down, judge, tcp, unknown, wrong};
use crate::error::ErrorKind;
use crate::estate::Remote;
use crate::failover::DownKind;
use crate::world::ssh::{Access, Connector};

/// Whatever comes before the version string, and that, is not longer.
const GREETING_BYTES: u64 = 16 * 1024;

pub(super) async fn look(address: SocketAddr, host_keys: &[String]) -> Looked {
    if !host_keys.is_empty() {
        return prove(address, host_keys).await;
    }
    let mut lines = BufReader::new(tcp::connect(address).await?.take(GREETING_BYTES));
    loop {
        let mut line = vec![];
        let read = lines.read_until(b'\n', &mut line).await.map_err(|why| judge(address, &why))?;
        if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
            return Ok(());
        }
        if read == 0 {
            return Err(match lines.get_ref().limit() {
                0 => wrong(format!("{address} talks, but not SSH")),
                _ => down(DownKind::Closed, format!("{address} closed without saying what it is")),
            });
        }
    }
}

async fn prove(address: SocketAddr, host_keys: &[String]) -> Looked {
    let remote = format!("ssh://dr-probe@{address}").parse::<Remote>().map_err(unknown)?;
    let pins = [(remote.known_hosts_name(), host_keys.to_vec())].into();
    let greeted = Connector::new(Access { pins, ..Access::default() }).greet(&remote).await;
    let Err(error) = greeted else { return Ok(()) };
    Err(match error.kind() {
        ErrorKind::HostKey => {
            wrong(format!("{address} does not prove to be what it was: {}", error.message()))
        }
        ErrorKind::Unreachable | ErrorKind::Timeout => {
            // How it cannot be reached is told by a socket of our own.
            tcp::connect(address)
                .await
                .map_or_else(|sight| sight, |_| down(DownKind::Closed, error.to_string()))
        }
        _ => unknown(error.to_string()),
    })
}
