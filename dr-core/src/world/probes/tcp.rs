//! A TCP connection succeeds.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::{Looked, judge};
use crate::failover::Sight;

pub(super) async fn look(address: SocketAddr) -> Looked {
    connect(address).await.map(drop)
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Sight> {
    TcpStream::connect(address).await.map_err(|why| judge(address, &why))
}
