//! Just enough of an HTTP client for the APIs of DNS providers and of etcd: one request, one connection, bounded, no redirects, no proxies.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::DnsName;
use crate::secret::Secret;
use crate::world::tls::Authorities;

/// How long a request may take if nothing else is said, the connection included.
const WITHIN: Duration = Duration::from_secs(20);
/// The longest answer that is read.
const BODY_BYTES: usize = 8 << 20;
/// Where an API is, and what opens it.
#[derive(Clone)]
pub(in crate::world) struct Door {
    scheme: Scheme,
    host: String,
    port: u16,
    /// What every path begins with, without a slash at its end.
    base: String,
    /// The header with the token.
    token: Option<(&'static str, Secret)>,
    authorities: Authorities,
    /// The file of authorities that its certificate must come from; those of the system without.
    trusted: Option<PathBuf>,
    /// How long a request may take, the connection included; half of it the connection alone.
    within: Duration,
}

#[derive(Clone)]
enum Scheme {
    Http,
    Https(DnsName),
}

/// What came back.
#[derive(Debug)]
pub(in crate::world) struct Reply {
    pub(in crate::world) status: u16,
    pub(in crate::world) body: Vec<u8>,
    /// How long to wait, if it said so.
    pub(super) retry_after: Option<String>,
}

/// A request that may or may not have been carried out.
#[derive(Debug)]
pub(in crate::world) enum Lost {
    /// It never left.
    Unsent(String),
    /// It was sent, and nobody knows what became of it.
    Unknown(String),
}

impl Door {
    /// An API by its URL. `header` is the one that carries the token, whose value is `prefix` and the token. An address of this machine may
    /// be spoken to without TLS; a token never goes over the network in the open.
    pub(super) fn new(url: &str, (header, prefix): (&'static str, &str), token: &Secret) -> Result<Self> {
        let token = Secret::new(format!("{prefix}{}", token.reveal()));
        Ok(Self::open(url)?.with_token(header, token))
    }

    /// The same place with this in a header of every request.
    pub(in crate::world) fn with_token(&self, header: &'static str, token: Secret) -> Self {
        Self { token: Some((header, token)), ..self.clone() }
    }

    /// The same place, whose certificate must come from the authorities in this file.
    pub(in crate::world) fn trusting(self, trusted: Option<PathBuf>) -> Self {
        Self { trusted, ..self }
    }

    /// The same place, with so much patience.
    pub(in crate::world) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// A place by its URL, without a token.
    pub(in crate::world) fn open(url: &str) -> Result<Self> {
        let operation = || format!("use the API at {url}");
        let usage = |why: &str| Error::new(ErrorKind::Usage, operation(), why);
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| usage("it is no URL such as https://host/path"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| usage("its port is no number"))?))
            }
            _ => (authority, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains('@') {
            return Err(usage("it has no host, or a name and password in it"));
        }
        let (scheme, usual) = match scheme {
            "https" => (Scheme::Https(host.parse().map_err(|_| usage("its host is no name"))?), 443),
            "http" => (Scheme::Http, 80),
            _ => return Err(usage("it is neither http nor https")),
        };
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if matches!(scheme, Scheme::Http) && !is_here {
            return Err(
                usage("the token would go over the network in the open").hint("use https, or a tunnel")
            );
        }
        let base = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(usual),
            base,
            token: None,
            authorities: Authorities::default(),
            trusted: None,
            within: WITHIN,
        })
    }

    /// Where it is, for people.
    pub(in crate::world) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The same as the Host header says it.
    pub(super) fn host(&self) -> String {
        match self.port {
            80 | 443 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// A path as it is sent.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends one request and reads the answer.
    pub(in crate::world) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Reply, Lost> {
        let headers: Vec<(&str, Secret)> =
            body.iter().map(|_| ("content-type", Secret::new("application/json".to_owned()))).collect();
        self.send_with(method, path, body, &headers).await
    }

    /// The same with these headers, which may be secrets.
    pub(super) async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&'static str, Secret)],
    ) -> Result<Reply, Lost> {
        match tokio::time::timeout(self.within, self.exchange(method, path, body, headers)).await {
            Ok(reply) => reply,
            Err(_) => {
                Err(Lost::Unknown(format!("{} did not answer in {} s", self.place(), self.within.as_secs())))
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&'static str, Secret)],
    ) -> Result<Reply, Lost> {
        let unsent = |why: &dyn std::fmt::Display| Lost::Unsent(format!("{}: {why}", self.place()));
        let request = self.request(method, path, body, headers).map_err(|why| unsent(&why))?;
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(self.within / 2, connecting).await {
            Ok(connected) => connected.map_err(|why| unsent(&super::super::resolver::wire::why(&why)))?,
            Err(_) => return Err(unsent(&"no connection in time")),
        };
        match &self.scheme {
            Scheme::Http => talk(stream, request).await,
            Scheme::Https(name) => {
                let secured = self.authorities.handshake(stream, name, self.trusted.as_deref()).await;
                let secured = secured.map_err(|why| unsent(&why))?.map_err(|why| unsent(&why))?;
                talk(secured, request).await
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&'static str, Secret)],
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.path(path))
            .header(header::HOST, self.host())
            .header(header::USER_AGENT, "dr")
            .header(header::ACCEPT, "application/json, application/xml")
            .header(header::CONNECTION, "close");
        for (name, value) in self.token.iter().chain(headers) {
            let mut value = header::HeaderValue::from_str(value.reveal())
                .map_err(|_| "the token has characters that no token has".to_owned())?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|why| why.to_string())
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({}{})", self.place(), self.base)
    }
}

/// From the first octet on, the request may have been carried out whatever happens to the connection.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, Lost>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let unknown = |why: &dyn std::fmt::Display| Lost::Unknown(format!("the connection broke: {why}"));
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|why| Lost::Unsent(why.to_string()))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|why| unknown(&why))?;
        let status = response.status().as_u16();
        let said = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = said.map(str::to_owned);
        let body =
            Limited::new(response.into_body(), BODY_BYTES).collect().await.map_err(|why| unknown(&why))?;
        Ok(Reply { status, body: body.to_bytes().to_vec(), retry_after })
    };
    // The connection does its work only while it is polled, and ends with this request.
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        done = &mut exchange => done,
        _ = &mut connection => exchange.await,
    }
}
