//! Zone transfers over TCP: bounded in time and size whatever the server does.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::resolver::wire::{read_message, why, write_message};
use crate::dns::{Serial, Transfer, TransferFault, TransferLimits, Transferred, TsigFault, TsigSigner};
use crate::error::{Error, ErrorKind};
use crate::estate::{DnsName, ZoneName};

/// What is asked for, and of whom.
pub(super) struct Asked<'a> {
    pub(super) zone: &'a ZoneName,
    pub(super) server: SocketAddr,
    pub(super) since: Option<Serial>,
    pub(super) limits: TransferLimits,
}

/// How long is waited: for the connection, for each message, for all of it. A server that drips octet by octet gets no more than that.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    pub(super) message: Duration,
    pub(super) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            message: Duration::from_secs(15),
            whole: Duration::from_secs(300),
        }
    }
}

/// Why there is no transfer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It did not answer in time.
    Silent,
    /// The connection did not come about, or broke.
    Broken(std::io::Error),
    /// What it said is not what was asked for.
    Fault(TransferFault),
    /// What it said is not to be believed, or what we said was not; with the time it is here.
    Tsig(TsigFault, u64),
    /// The question cannot be made.
    Question(String),
}

/// Asks for a transfer, and takes it in.
pub(super) async fn transfer(
    asked: &Asked<'_>,
    key: Option<&TsigSigner>,
    patience: Patience,
) -> Result<Transferred, Failure> {
    let whole = Instant::now() + patience.whole;
    let connecting = TcpStream::connect(asked.server);
    let connected = timeout_at(whole.min(Instant::now() + patience.connect), connecting).await;
    let mut stream = connected.map_err(|_| Failure::Silent)?.map_err(Failure::Broken)?;
    let id = getrandom::u32().map_err(|why| Failure::Question(why.to_string()))?;
    let mut transfer = Transfer::new(asked.zone.clone(), asked.since, asked.limits);
    let question = transfer.question((id & 0xffff) as u16).map_err(Failure::Question)?;
    let (octets, mut verifier) = match key {
        Some(key) => {
            let signed = key.sign(&question, now()).map_err(Failure::Question)?;
            let verifier = key.verifier(&signed);
            (signed.octets, Some(verifier))
        }
        None => (question, None),
    };
    write_message(&mut stream, &octets).await.map_err(Failure::Broken)?;
    loop {
        let until = whole.min(Instant::now() + patience.message);
        let came = timeout_at(until, read_message(&mut stream)).await;
        let octets = came.map_err(|_| Failure::Silent)?.map_err(Failure::Broken)?;
        let now = now();
        let covered = match verifier.as_mut().map(|verifier| verifier.take(&octets, now)) {
            None | Some(Ok(true)) => true,
            Some(Ok(false)) => false,
            Some(Err(TsigFault::Missing)) => {
                // Servers that say no often do not sign that.
                return Err(match transfer.take(&octets) {
                    Err(fault @ TransferFault::Rcode(_)) => Failure::Fault(fault),
                    _ => Failure::Tsig(TsigFault::Missing, now),
                });
            }
            Some(Err(fault)) => return Err(Failure::Tsig(fault, now)),
        };
        if !transfer.take(&octets).map_err(Failure::Fault)? {
            continue;
        }
        // The last message must be signed (RFC 8945 section 5.3.1): nothing before it counts otherwise.
        if !covered {
            return Err(Failure::Tsig(TsigFault::Missing, now));
        }
        let nothing = || Failure::Fault(TransferFault::Malformed("it ended before it was whole".to_owned()));
        return transfer.finish().ok_or_else(nothing);
    }
}

impl Failure {
    /// In words, with what to do about it.
    pub(super) fn into_error(self, asked: &Asked<'_>, key: Option<&DnsName>, operation: String) -> Error {
        let (server, zone) = (asked.server, asked.zone);
        let key = key.map_or_else(|| "no key".to_owned(), |key| format!("the key '{key}'"));
        let rejected = |message: String, hint: String| {
            Error::new(ErrorKind::Rejected, operation.as_str(), message).hint(hint)
        };
        match self {
            Self::Silent => Error::new(ErrorKind::Unreachable, operation, "no answer in time")
                .hint(format!("check that {server} runs and takes TCP on that port")),
            Self::Broken(error) => Error::new(ErrorKind::Unreachable, operation, why(&error))
                .hint(format!(
                    "check that {server} runs, takes TCP on that port, and allows transfers of {zone}"
                ))
                .caused_by(error),
            Self::Question(why) => Error::new(ErrorKind::Usage, operation, why),
            Self::Fault(TransferFault::Rcode(number)) => {
                let said = match number {
                    5 => "REFUSED".to_owned(),
                    9 => "NOTAUTH".to_owned(),
                    2 => "SERVFAIL".to_owned(),
                    4 => "NOTIMP".to_owned(),
                    1 => "FORMERR".to_owned(),
                    3 => "NXDOMAIN".to_owned(),
                    other => format!("response code {other}"),
                };
                let hint = match number {
                    9 => format!("check that {server} has {zone}, and that it knows {key}"),
                    _ => format!("let {key} transfer {zone} there (BIND: allow-transfer, NSD: provide-xfr)"),
                };
                rejected(format!("the server says no ({said})"), hint)
            }
            Self::Fault(fault @ TransferFault::TooLarge(_)) => {
                rejected(fault.to_string(), "raise the limits, if the zone is right".to_owned())
            }
            Self::Fault(fault) => Error::new(ErrorKind::Protocol, operation, fault.to_string()),
            Self::Tsig(fault, now) => {
                let hint = match &fault {
                    TsigFault::BadKey | TsigFault::OtherKey => {
                        format!("compare the name and algorithm of {key} with those at {server}")
                    }
                    TsigFault::BadSig => "the secrets on the two sides differ: copy it again".to_owned(),
                    TsigFault::BadTime(Some(theirs)) => {
                        format!("the clocks are {} s apart: run a time daemon on both", theirs.abs_diff(now))
                    }
                    TsigFault::BadTime(None) | TsigFault::Stale(_) => {
                        format!("run a time daemon on both; RFC 8945 allows {} s", crate::dns::FUDGE_S)
                    }
                    _ => "do not use what came; look who answers there".to_owned(),
                };
                rejected(format!("the server's answer: {fault}"), hint)
            }
        }
    }
}

/// Seconds since 1970: TSIG speaks of the wall clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
