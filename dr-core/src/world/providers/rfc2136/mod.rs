//! Dynamic updates (RFC 2136), signed with TSIG (RFC 8945), straight to the primary over TCP.

mod outcome;
mod seal;
mod update;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hickory_proto::op::Message;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::super::resolver::WireResolver;
use super::super::resolver::wire::{read_message, why, write_message};
use super::super::{Commit, Provider, transfer};
use crate::dns::{Answer, Question, Serial, TransferLimits, Transferred, Transport, TsigSigner, ZoneChange};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordSet, TsigAlgorithm, ZoneName};
use crate::secret::Secret;
use outcome::Verdict;

/// How long the connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the primary may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Changes zones by one signed message each: all of it is done or nothing, and only if everything is as the plan says. The
/// message goes over TCP, so that it cannot arrive twice, and is signed afresh each time.
///
/// Prerequisites compare data and not TTLs (RFC 2136 section 2.4.2). A change that would put other records beside an alias
/// (CNAME) has one more: servers ignore such a change without a word.
///
/// ```
/// use std::collections::BTreeMap;
/// use dr_core::{Secret, estate::TsigAlgorithm, world::providers::rfc2136::Rfc2136};
/// let secret = Secret::new("c2VjcmV0IG9mIHRoZSB1cGRhdGUga2V5".to_owned());
/// let keys = BTreeMap::from([("update-key".parse().unwrap(), (TsigAlgorithm::HmacSha256, secret))]);
/// let provider = Rfc2136::new(keys);
/// assert!(!format!("{provider:?}").contains("c2Vj"));
/// ```
#[derive(Debug)]
pub struct Rfc2136 {
    keys: BTreeMap<DnsName, (TsigAlgorithm, Secret)>,
    resolver: WireResolver,
}

impl Rfc2136 {
    /// With these keys: the name that the primary knows, the algorithm, and the secret in base64.
    #[must_use]
    pub fn new(keys: BTreeMap<DnsName, (TsigAlgorithm, Secret)>) -> Self {
        Self { keys, resolver: WireResolver::new() }
    }

    fn signer(&self, key: Option<&DnsName>, operation: &str) -> Result<Option<TsigSigner>> {
        let Some(name) = key else { return Ok(None) };
        let (algorithm, secret) = self.keys.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, operation, format!("there is no secret for the key '{name}'"))
                .hint("name the key as the primary does, and the file with its secret under [tsig_keys]")
        })?;
        TsigSigner::new(name, *algorithm, secret).map(Some).map_err(|why| {
            Error::new(ErrorKind::Usage, operation, format!("the key '{name}': {why}"))
                .hint("the secret is what stands between the quotation marks in the primary's key statement")
        })
    }

    /// The octets of its signature. A key whose secret is elsewhere is taken for one of the longest: a plan may be made where it is not applied.
    fn signature(&self, key: Option<&DnsName>) -> std::result::Result<usize, String> {
        let Some(name) = key else { return Ok(0) };
        let algorithm = self.keys.get(name).map_or(TsigAlgorithm::HmacSha512, |(algorithm, _)| *algorithm);
        TsigSigner::added_octets(name, algorithm)
    }

    /// Sends the message once and reads the answer to it.
    async fn exchange(&self, change: &ZoneChange, message: Message, operation: &str) -> Result<Verdict> {
        let signer = self.signer(change.key.as_ref(), operation)?;
        let turn = self.resolver.turn(change.primary).await;
        turn.during(self.talk(change, message, signer.as_ref(), operation)).await
    }

    async fn talk(
        &self,
        change: &ZoneChange,
        message: Message,
        signer: Option<&TsigSigner>,
        operation: &str,
    ) -> Result<Verdict> {
        let mut stream = connect(change.primary, operation).await?;
        let sent = seal::seal(&message, signer, now()).map_err(|why| {
            Error::new(ErrorKind::Usage, operation, why).hint("make the change in several smaller ones")
        })?;
        let deadline = Instant::now() + ANSWER;
        let talk = async {
            write_message(&mut stream, &sent.signed.octets).await?;
            loop {
                let octets = read_message(&mut stream).await?;
                if let Some(verdict) = outcome::hear(&octets, &sent, signer, now()) {
                    return Ok::<_, std::io::Error>(verdict);
                }
            }
        };
        // From the first octet on, the change may have been made whatever happens to the connection.
        Ok(match timeout_at(deadline, talk).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                Verdict::Unknown(format!("the connection to {} broke: {}", change.primary, why(&error)))
            }
            Err(_) => {
                Verdict::Unknown(format!("{} did not answer in {} s", change.primary, ANSWER.as_secs()))
            }
        })
    }
}

/// What the primary has of a record set.
fn found(key: &RecordKey, zone: &ZoneName, primary: SocketAddr, answer: Answer) -> Result<Option<RecordSet>> {
    let operation = format!("read {key} from {primary}");
    let refused = |why: String| {
        Err(Error::new(ErrorKind::Rejected, operation.as_str(), why)
            .hint(format!("check that {primary} is the primary of {zone} and has it loaded")))
    };
    match answer {
        // Behind an alias there is something else: the record set itself does not exist.
        Answer::Records { set, authoritative: true } => Ok(Some(set).filter(|set| set.key() == *key)),
        Answer::NoData { authoritative: true } | Answer::NxDomain { authoritative: true } => Ok(None),
        Answer::Records { .. } | Answer::NoData { .. } | Answer::NxDomain { .. } => {
            refused("it answers without authority for the zone".to_owned())
        }
        Answer::Referral => refused("it refers to other servers".to_owned()),
        Answer::Failed { rcode } => refused(format!("it answers {rcode}")),
        Answer::Silent => Err(unreachable(&operation, "no answer in time")),
        Answer::Unreachable { why } => Err(unreachable(&operation, &why)),
        Answer::Malformed { why } => Err(Error::new(ErrorKind::Protocol, operation, why)),
    }
}

#[async_trait]
impl Provider for Rfc2136 {
    /// One message holds all of it, or it cannot be done.
    fn fits(&self, change: &ZoneChange) -> Result<()> {
        let operation = format!("change {} on {}", change.zone, change.primary);
        self.abilities(&change.zone).check(change, &operation)?;
        let message = update::change(change, 0).map_err(|why| usage(&operation, why))?;
        self.signature(change.key.as_ref())
            .and_then(|signature| seal::octets(&message, signature))
            .map(|_| ())
            .map_err(|why| usage(&operation, why).hint("make the change in several smaller ones"))
    }

    async fn read(
        &self,
        zone: &ZoneName,
        primary: SocketAddr,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<RecordSet>>> {
        if let Some(key) = keys.iter().find(|key| !zone.contains(&key.owner)) {
            let operation = format!("read {key} from {primary}");
            return Err(Error::new(ErrorKind::Usage, operation, format!("it is not in the zone {zone}")));
        }
        let ask =
            |key: &RecordKey| Question { key: key.clone(), transport: Transport::Tcp, recursive: false };
        let questions: Vec<Question> = keys.iter().map(ask).collect();
        // A few dozen share a round trip.
        let within =
            CONNECT + Duration::from_millis(20).saturating_mul(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        let answers = self.resolver.ask_over_tcp(primary, &questions, within).await;
        keys.iter().zip(answers).map(|(key, answer)| found(key, zone, primary, answer)).collect()
    }

    async fn commit(&self, change: &ZoneChange) -> Result<Commit> {
        let operation = format!("change {} on {}", change.zone, change.primary);
        let message = update::change(change, id(&operation)?).map_err(|why| usage(&operation, why))?;
        match self.exchange(change, message, &operation).await? {
            Verdict::Done => Ok(Commit::Applied),
            Verdict::Prerequisite { .. } => {
                let keys: Vec<RecordKey> = change.sets.iter().map(|set| set.key.clone()).collect();
                // Nothing was changed, and that is the answer, even if what is there instead cannot be read.
                let observed = self.read(&change.zone, change.primary, &keys).await;
                Ok(Commit::Conflict { observed: observed.unwrap_or_else(|_| vec![None; keys.len()]) })
            }
            Verdict::Refused(refusal) => Err(refusal.into_error(change, &operation)),
            Verdict::Unknown(why) => Ok(Commit::Unknown { why }),
        }
    }

    async fn rehearse(&self, change: &ZoneChange) -> Result<()> {
        let operation = format!("rehearse the change of {} on {}", change.zone, change.primary);
        let message = update::rehearsal(change, id(&operation)?).map_err(|why| usage(&operation, why))?;
        match self.exchange(change, message, &operation).await? {
            Verdict::Done => Ok(()),
            Verdict::Prerequisite { rcode } => {
                let why = format!("the zone is not as the change expects it ({rcode})");
                Err(Error::new(ErrorKind::Conflict, operation, why).hint("plan the change again"))
            }
            Verdict::Refused(refusal) => Err(refusal.into_error(change, &operation)),
            Verdict::Unknown(why) => Err(unreachable(&operation, &why)),
        }
    }

    async fn transfer(
        &self,
        zone: &ZoneName,
        server: SocketAddr,
        key: Option<&DnsName>,
        since: Option<Serial>,
        limits: TransferLimits,
    ) -> Result<Transferred> {
        let operation = format!("transfer {zone} from {server}");
        let signer = self.signer(key, &operation)?;
        let asked = transfer::Asked { zone, server, since, limits };
        let turn = self.resolver.turn(server).await;
        let came =
            turn.during(transfer::transfer(&asked, signer.as_ref(), transfer::Patience::default())).await;
        came.map_err(|failure| failure.into_error(&asked, key, operation))
    }
}

async fn connect(primary: SocketAddr, operation: &str) -> Result<TcpStream> {
    let connecting = TcpStream::connect(primary);
    let stream = match timeout_at(Instant::now() + CONNECT, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(operation, &why(&error)).caused_by(error)),
        Err(_) => return Err(unreachable(operation, "no connection in time")),
    };
    // Without it the message would wait for nothing; that it cannot be set is no reason to stop.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn unreachable(operation: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unreachable, operation, why)
        .hint("nothing was changed; check that the primary runs and takes TCP on that port")
}

fn usage(operation: &str, why: String) -> Error {
    Error::new(ErrorKind::Usage, operation, why)
}

/// A random identifier.
fn id(operation: &str) -> Result<u16> {
    let random = getrandom::u32().map_err(|why| {
        Error::new(ErrorKind::Internal, operation, format!("the system gives no random numbers: {why}"))
    })?;
    Ok((random & 0xffff) as u16)
}

/// Seconds since 1970: TSIG speaks of the wall clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
