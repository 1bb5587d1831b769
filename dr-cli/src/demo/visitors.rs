//! Visitors: they ask a resolver for the name, then a web server for a page, again and again, and remember what they got.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dr_core::world::resolver::StubResolver;
use dr_core::{DnsName, Error, ErrorKind, Result};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::website::Pages;

/// Between two visits.
const PACE: Duration = Duration::from_millis(20);
/// How long a visitor waits for a page.
const PATIENCE: Duration = Duration::from_millis(500);
/// The largest page taken.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// One visit: when it began and ended, and whether the page was whole and right.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) good: bool,
}

/// The visits so far, and what they expect.
#[derive(Clone)]
pub(super) struct Visitors {
    visits: Arc<Mutex<Vec<Visit>>>,
    pages: Arc<Mutex<Pages>>,
    name: DnsName,
    port: u16,
    resolver: Arc<StubResolver>,
}

impl Visitors {
    pub(super) fn new(name: DnsName, port: u16, resolver: StubResolver, pages: Pages) -> Self {
        let visits = Arc::default();
        Self { visits, pages: Arc::new(Mutex::new(pages)), name, port, resolver: Arc::new(resolver) }
    }

    /// Keeps visiting until the handle is aborted or dropped.
    pub(super) fn keep_coming(&self) -> Coming {
        let visitors = self.clone();
        Coming(tokio::spawn(async move {
            for turn in 0.. {
                visitors.visit(turn).await;
                tokio::time::sleep(PACE).await;
            }
        }))
    }

    async fn visit(&self, turn: usize) {
        let Some((path, expected)) = self.page(turn) else { return };
        let began = Instant::now();
        let good = self.fetch(&path).await.is_ok_and(|(_, body)| body == expected);
        let visit = Visit { began, ended: Instant::now(), good };
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
    }

    fn page(&self, turn: usize) -> Option<(String, Vec<u8>)> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turn.checked_rem(pages.len())?;
        pages.iter().nth(turn).map(|(path, body)| (path.clone(), body.clone()))
    }

    /// One page, as a visitor gets it: by name, through the resolver.
    async fn fetch(&self, path: &str) -> Result<(IpAddr, Vec<u8>)> {
        let addresses = self.resolver.lookup_addresses(&self.name).await?;
        let address = addresses.first().copied().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("visit {}", self.name), "the resolver knows no address")
        })?;
        let host = format!("{}:{}", self.name, self.port);
        let page = get(SocketAddr::new(address, self.port), &host, path);
        let body = tokio::time::timeout(PATIENCE, page)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, format!("get {path}"), "no page in time"))??;
        Ok((address, body))
    }

    /// Fetches every page once and compares it byte for byte; gives how many, and the address that served them.
    pub(super) async fn compare_all(&self) -> Result<(u64, IpAddr)> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut served_by = None;
        for (path, expected) in &pages {
            let (address, body) = self.fetch(path).await?;
            if body != *expected {
                let message = format!("{path} from {address} is not the page that was put there");
                return Err(Error::new(ErrorKind::Corrupt, "compare the pages", message));
            }
            served_by = Some(address);
        }
        let address = served_by.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "compare the pages", "the website has no pages")
        })?;
        Ok((pages.len() as u64, address))
    }

    /// Expects one more page from now on.
    pub(super) fn expect(&self, path: &str, body: &[u8]) {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), body.to_vec());
    }

    /// The visits that began at or after `from`.
    pub(super) fn since(&self, from: Instant) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.iter().filter(|visit| visit.began >= from).cloned().collect()
    }

    /// All visits.
    pub(super) fn count(&self) -> u64 {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Waits for a good visit that began at or after `from`; gives when it ended.
    pub(super) async fn good_after(&self, from: Instant, within: Duration) -> Option<Instant> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(visit) = self.since(from).into_iter().find(|visit| visit.good) {
                return Some(visit.ended);
            }
            tokio::time::sleep(PACE).await;
        }
        None
    }
}

/// The longest time in which no visit was good, between `from` and `to`.
pub(super) fn longest_gap(visits: &[Visit], from: Instant, to: Instant) -> Duration {
    let ends = visits.iter().filter(|visit| visit.good).map(|visit| visit.ended);
    let mut last = from;
    let mut gap = Duration::ZERO;
    for end in ends.chain(Some(to)) {
        gap = gap.max(end.saturating_duration_since(last));
        last = last.max(end);
    }
    gap
}

/// Visitors on their way; they stay away once this is dropped.
pub(super) struct Coming(JoinHandle<()>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn get(address: SocketAddr, host: &str, path: &str) -> Result<Vec<u8>> {
    let operation = || format!("get {path} from {address}");
    let failed = |why: hyper::Error| Error::new(ErrorKind::Unreachable, operation(), why.to_string());
    let stream = TcpStream::connect(address).await.map_err(|why| Error::io(operation(), why))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // The connection works for the request below; its end is that of the response.
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("host", host)
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|why| Error::new(ErrorKind::Internal, operation(), why.to_string()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), PAGE_BYTES_MAX).collect().await;
    connection.abort();
    let body = body.map_err(|why| Error::new(ErrorKind::Unreachable, operation(), why.to_string()))?;
    if status.as_u16() == 200 {
        Ok(body.to_bytes().to_vec())
    } else {
        Err(Error::new(ErrorKind::NotFound, operation(), format!("status {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_counts_from_good_page_to_good_page() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let visit = |ms, good| Visit { began: at(ms), ended: at(ms), good };
        let visits = [visit(10, true), visit(20, false), visit(70, true), visit(90, true)];
        assert_eq!(longest_gap(&visits, start, at(100)), Duration::from_millis(60));
        assert_eq!(longest_gap(&[], start, at(100)), Duration::from_millis(100));
    }
}
