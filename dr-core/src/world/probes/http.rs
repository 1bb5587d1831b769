//! An HTTP GET answers with the expected status and text. Redirects are answers like any other: following one would look at
//! another host.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Looked, down, judge, tcp, tls, unknown, wrong};
use crate::estate::{Certified, DnsName};
use crate::failover::{DownKind, Sight};
use crate::world::tls::Authorities;

/// So much of a body is searched for the expected text.
const BODY_BYTES: usize = 1 << 20;

/// What counts as well.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) status: u16,
    pub(super) contains: Option<&'a str>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) host: &'a DnsName,
    pub(super) path: &'a str,
    pub(super) wanted: Wanted<'a>,
}

pub(super) async fn look(address: SocketAddr, page: Page<'_>) -> Looked {
    let stream = tcp::connect(address).await?;
    ask(address, stream, page, 80).await
}

/// The same over TLS.
pub(super) async fn look_securely(
    address: SocketAddr,
    page: Page<'_>,
    certified: &Certified,
    authorities: &Authorities,
) -> Looked {
    let stream = tcp::connect(address).await?;
    let (stream, late) = tls::secured(stream, address, page.host, certified, authorities).await?;
    ask(address, stream, page, 443).await?;
    late.map_or(Ok(()), Err)
}

async fn ask<S>(address: SocketAddr, stream: S, page: Page<'_>, usual_port: u16) -> Looked
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Page { host, path, wanted } = page;
    let request = request(address, host, path, usual_port).map_err(unknown)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|why| seen(address, &why))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|why| seen(address, &why))?;
        judge_answer(response, wanted).await
    };
    // The connection does its work only while it is polled, and ends with this look, not in a task that outlives it.
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        done = &mut exchange => done,
        // The answer, or the error that took its place, is still to be collected after the connection has ended.
        _ = &mut connection => exchange.await,
    }
}

fn request(
    address: SocketAddr,
    host: &DnsName,
    path: &str,
    usual_port: u16,
) -> Result<Request<Empty<Bytes>>, String> {
    let port = address.port();
    let host = if port == usual_port { host.to_string() } else { format!("{host}:{port}") };
    Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "dr-probe")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|why| format!("'{}' is no path that can be asked for: {why}", path.escape_debug()))
}

async fn judge_answer(response: Response<Incoming>, wanted: Wanted<'_>) -> Looked {
    let status = response.status().as_u16();
    if status != wanted.status {
        return Err(wrong(format!("status {status} instead of {}", wanted.status)));
    }
    let Some(text) = wanted.contains else { return Ok(()) };
    match Limited::new(response.into_body(), BODY_BYTES).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let found = text.is_empty() || body.windows(text.len()).any(|part| part == text.as_bytes());
            if found {
                Ok(())
            } else {
                Err(wrong(format!("the page does not contain '{}'", text.escape_debug())))
            }
        }
        Err(why) if why.is::<LengthLimitError>() => {
            Err(wrong(format!("the page is longer than {BODY_BYTES} bytes; ask for a smaller one")))
        }
        Err(why) => Err(down(DownKind::Closed, format!("the page broke off: {why}"))),
    }
}

/// What hyper's error tells: the operating system's own, a connection that ended too soon, or an answer that is no HTTP.
fn seen(address: SocketAddr, error: &hyper::Error) -> Sight {
    if let Some(why) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return judge(address, why);
    }
    if error.is_parse() {
        return wrong(format!("{address} does not speak HTTP: {error}"));
    }
    down(DownKind::Closed, format!("{address}: {error}"))
}
