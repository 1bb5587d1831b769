//! A certificate is good, for the name, and for a while longer.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{self, CertificateError};

use super::{Looked, judge, tcp, unknown, wrong};
use crate::estate::{Certified, DnsName};
use crate::failover::Sight;
use crate::time::Period;
use crate::world::tls::{Authorities, ends};

const DAY_S: u64 = 24 * 3600;

pub(super) async fn look(
    address: SocketAddr,
    host: &DnsName,
    wanted: &Certified,
    authorities: &Authorities,
) -> Looked {
    let stream = tcp::connect(address).await?;
    let (_, late) = secured(stream, address, host, wanted, authorities).await?;
    late.map_or(Ok(()), Err)
}

/// The line with TLS on it; and what is to be said although all is well: it should have been renewed.
pub(super) async fn secured<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: SocketAddr,
    host: &DnsName,
    wanted: &Certified,
    authorities: &Authorities,
) -> Result<(TlsStream<S>, Option<Sight>), Sight> {
    let shaken = authorities.handshake(stream, host, wanted.authorities.as_deref()).await;
    // What is trusted is a matter of this machine.
    let stream =
        shaken.map_err(|why| unknown(why.to_string()))?.map_err(|why| failed(address, host, &why))?;
    let left = ends(&stream).map(|ends| ends.duration_since(SystemTime::now()).unwrap_or_default());
    let late = left.filter(|left| *left < wanted.renew_before.as_duration()).map(|left| late(host, left));
    Ok((stream, late))
}

fn late(host: &DnsName, left: Duration) -> Sight {
    let left = match left.as_secs() / DAY_S {
        0 | 1 => Period::from_secs(left.as_secs()).to_string(),
        days => format!("{days} days"),
    };
    Sight::Degraded { detail: format!("the certificate for {host} ends in {left}: renew it") }
}

fn failed(address: SocketAddr, host: &DnsName, error: &io::Error) -> Sight {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => {
            wrong(format!("{address} has no good certificate for {host}: {}", words(why)))
        }
        Some(why) => wrong(format!("{address} speaks no TLS that can be trusted: {why}")),
        None => judge(address, error),
    }
}

fn words(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; compare the clocks".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for other names".to_owned()
        }
        CertificateError::UnknownIssuer => "nobody signed it who is trusted here".to_owned(),
        other => other.to_string(),
    }
}
