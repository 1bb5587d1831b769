//! etcd as the coordinator: for estates with many hosts, and where a primary name server is not to be written every few seconds.
//!
//! Spoken to by its JSON gateway (`/v3/kv/txn`), which every etcd since 3.4 has on its client port. Its leases are not used: they
//! live longer than they say, and a site's lease has no time of expiry anyway.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64;
use hyper::Method;
use serde_json::{Value as Json, json};

use super::memory::{Memory, not_behind};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::SiteId;
use crate::failover::{Held, Holding, Lease, Swap, Tenure};
use crate::secret::Secret;
use crate::world::providers::http::{Door, Lost, Reply};
use crate::world::{Cas, Coordinator};

/// How long a question may take, the connection included: less than what a seat waits for an answer.
const WITHIN: Duration = Duration::from_secs(4);
/// So many times a tenure is raised anew when a sign of life came in between.
const ATTEMPTS: usize = 8;

/// How an etcd is reached.
///
/// ```
/// use dr_core::world::coordinator::etcd::{Access, EtcdCoordinator};
/// let access = Access { urls: vec!["http://127.0.0.1:2379".into()], ..Access::default() };
/// assert!(EtcdCoordinator::new(access).is_ok());
/// let open = Access { urls: vec!["http://etcd.example.net:2379".into()], ..Access::default() };
/// assert!(EtcdCoordinator::new(open).is_err(), "never over the network in the open");
/// ```
#[derive(Clone, Debug)]
pub struct Access {
    /// The client URLs of its members. One that cannot be connected to is passed over.
    pub urls: Vec<String>,
    /// What the keys begin with; the site follows.
    pub prefix: String,
    /// User and password, where it asks for them.
    pub login: Option<(String, Secret)>,
    /// The file of authorities that its certificates must come from; those of the system without.
    pub authorities: Option<PathBuf>,
}

impl Default for Access {
    fn default() -> Self {
        Self { urls: vec![], prefix: "dr/sites/".to_owned(), login: None, authorities: None }
    }
}

/// Keeps each site's lease as the value of one key. Compare-and-set is one transaction that compares the whole value.
pub struct EtcdCoordinator {
    doors: Vec<Door>,
    prefix: String,
    login: Option<(String, Secret)>,
    token: Mutex<Option<Secret>>,
    /// The member that answered last.
    near: AtomicUsize,
    memory: Memory,
}

/// What a key says, and the text that says it: a person may have written that otherwise than we do, and the text is compared.
struct Value {
    held: Holding,
    text: String,
}

/// What is held instead of what was expected, or that it was done.
enum Txn {
    Done,
    Holds(Option<Holding>),
    Unknown(String),
}

impl EtcdCoordinator {
    /// Errors: `Usage` for a URL that is none, or that would carry the password over the network in the open.
    pub fn new(access: Access) -> Result<Self> {
        let Access { urls, prefix, login, authorities } = access;
        if urls.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "use etcd", "no URL of it is given"));
        }
        let doors = urls
            .iter()
            .map(|url| Ok(Door::open(url)?.trusting(authorities.clone()).within(WITHIN)))
            .collect::<Result<_>>()?;
        let (token, near, memory) = (Mutex::default(), AtomicUsize::default(), Memory::default());
        Ok(Self { doors, prefix, login, token, near, memory })
    }

    fn key(&self, site: &SiteId) -> String {
        BASE64.encode(format!("{}{site}", self.prefix).as_bytes())
    }

    async fn get(&self, site: &SiteId, operation: &str) -> Result<Option<Value>> {
        let said = self.ask("/v3/kv/range", &json!({"key": self.key(site)}), operation).await?;
        let said = said.map_err(|why| Error::new(ErrorKind::Unreachable, operation, why))?;
        self.value(site, &said, operation)
    }

    /// The value in the answer to a range.
    fn value(&self, site: &SiteId, range: &Json, operation: &str) -> Result<Option<Value>> {
        let Some(value) = range.pointer("/kvs/0").map(|kv| kv.get("value").and_then(Json::as_str)) else {
            return Ok(None);
        };
        let text = BASE64.decode(value.unwrap_or_default().as_bytes()).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let held = Holding::from_text(&text).map_err(|why| {
            let hint = format!(
                "correct the key {}{site} by hand: epoch=N home=HOST nonce=ANY, N above every epoch seen",
                self.prefix
            );
            Error::new(ErrorKind::Corrupt, operation, why).hint(hint)
        })?;
        // Only a text that is written as we write it can be compared without having been read.
        self.memory.remember(site, &held, held.to_text() == text);
        Ok(Some(Value { held, text }))
    }

    /// One transaction: `next` if the value is just `from`.
    async fn txn(&self, site: &SiteId, from: Option<&Value>, next: &Holding, operation: &str) -> Result<Txn> {
        let key = self.key(site);
        let compare = match from {
            None => json!({"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}),
            Some(from) => {
                let value = BASE64.encode(from.text.as_bytes());
                json!({"key": key, "target": "VALUE", "result": "EQUAL", "value": value})
            }
        };
        let value = BASE64.encode(next.to_text().as_bytes());
        let body = json!({
            "compare": [compare],
            "success": [{"request_put": {"key": key, "value": value}}],
            "failure": [{"request_range": {"key": key}}],
        });
        let said = match self.ask("/v3/kv/txn", &body, operation).await? {
            Ok(said) => said,
            Err(why) => return Ok(Txn::Unknown(why)),
        };
        if said.get("succeeded") == Some(&Json::Bool(true)) {
            self.memory.remember(site, next, true);
            return Ok(Txn::Done);
        }
        match said.pointer("/responses/0/response_range") {
            Some(range) => Ok(Txn::Holds(self.value(site, range, operation)?.map(|value| value.held))),
            None => Ok(Txn::Unknown(format!("an answer that is none: {said}"))),
        }
    }

    /// One question. The inner error says that it may have been done; the outer one that it certainly was not.
    async fn ask(&self, path: &str, body: &Json, operation: &str) -> Result<Result<Json, String>> {
        let mut token = self.token(operation).await?;
        for is_last in [false, true] {
            let reply = match self.send(path, body, token.clone(), operation).await? {
                Ok(reply) => reply,
                Err(why) => return Ok(Err(why)),
            };
            let said: Option<Json> = serde_json::from_slice(&reply.body).ok();
            let message =
                || said.as_ref().and_then(|said| said.get("message")?.as_str()).unwrap_or("no reason");
            // A token that has expired: it was refused before it was looked at.
            let stale = reply.status == 401 || message().contains("revision of auth store is old");
            if stale && self.login.is_some() && !is_last {
                token = Some(self.log_in(operation).await?);
                continue;
            }
            return match (reply.status, &said) {
                (200, Some(_)) => Ok(Ok(said.unwrap_or_default())),
                (400..=499, _) if reply.status != 408 && reply.status != 429 => {
                    Err(Error::new(ErrorKind::Rejected, operation, format!("etcd says: {}", message()))
                        .hint("look at its users, roles and the prefix of the keys"))
                }
                (status, _) => Ok(Err(format!("etcd answers {status}: {}", message()))),
            };
        }
        Ok(Err("etcd refuses every token that it gives".to_owned()))
    }

    async fn token(&self, operation: &str) -> Result<Option<Secret>> {
        if self.login.is_none() {
            return Ok(None);
        }
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(token) => Ok(Some(token)),
            None => self.log_in(operation).await.map(Some),
        }
    }

    async fn log_in(&self, operation: &str) -> Result<Secret> {
        let (name, password) =
            self.login.as_ref().map(|(name, password)| (name.as_str(), password.reveal())).unzip();
        let body = json!({"name": name, "password": password});
        let reply = self.send("/v3/auth/authenticate", &body, None, operation).await?;
        let reply = reply.map_err(|why| Error::new(ErrorKind::Unreachable, operation, why))?;
        let said: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(token) = said.get("token").and_then(Json::as_str) else {
            let why = said.get("message").and_then(Json::as_str).unwrap_or("it gives no token");
            return Err(Error::new(ErrorKind::Authentication, operation, format!("etcd says: {why}"))
                .hint("look at the user and its password file"));
        };
        let token = Secret::new(token.to_owned());
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(token)
    }

    /// Sends it to the member that answered last, or to the first that can be connected to.
    async fn send(
        &self,
        path: &str,
        body: &Json,
        token: Option<Secret>,
        operation: &str,
    ) -> Result<Result<Reply, String>> {
        let near = self.near.load(Ordering::Relaxed);
        let mut away = vec![];
        for number in 0..self.doors.len() {
            let number = (near + number) % self.doors.len();
            let Some(door) = self.doors.get(number) else { continue };
            let door = match token.clone() {
                Some(token) => door.with_token("authorization", token),
                None => door.clone(),
            };
            match door.send(Method::POST, path, Some(body.to_string())).await {
                Ok(reply) => {
                    self.near.store(number, Ordering::Relaxed);
                    return Ok(Ok(reply));
                }
                Err(Lost::Unknown(why)) => {
                    self.near.store(number + 1, Ordering::Relaxed);
                    return Ok(Err(why));
                }
                Err(Lost::Unsent(why)) => away.push(why),
            }
        }
        Err(Error::new(ErrorKind::Unreachable, operation, away.join("; "))
            .hint("nothing was changed; check that etcd runs and can be reached from here"))
    }
}

impl std::fmt::Debug for EtcdCoordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdCoordinator").field("doors", &self.doors).finish_non_exhaustive()
    }
}

#[async_trait]
impl Coordinator for EtcdCoordinator {
    async fn read(&self, site: &SiteId) -> Result<Option<Tenure>> {
        let operation = format!("ask who holds {site}");
        let before = self.memory.of(site).highest;
        let held = self.get(site, &operation).await?.map(|value| value.held);
        not_behind(held.as_ref(), before, "etcd", &operation)?;
        Ok(held.map(|held| held.tenure()))
    }

    async fn cas(&self, site: &SiteId, from: Option<&Tenure>, to: &Tenure) -> Result<Cas> {
        let operation = format!("raise the epoch of {site} to {}", to.epoch);
        for _ in 0..ATTEMPTS {
            let before = self.memory.of(site).highest;
            let value = self.get(site, &operation).await?;
            let held = value.as_ref().map(|value| &value.held);
            not_behind(held, before, "etcd", &operation)?;
            let Some(next) = Holding::raised(held, from, to) else {
                return Ok(Cas::Lost(held.map(Holding::tenure)));
            };
            match self.txn(site, value.as_ref(), &next, &operation).await? {
                Txn::Done => return Ok(Cas::Won),
                Txn::Unknown(why) => return Ok(Cas::Unknown(why)),
                // Nothing was changed: somebody was faster, with the tenure or with a sign of life only.
                Txn::Holds(_) => {}
            }
        }
        let why = format!("what is held has changed {ATTEMPTS} times meanwhile");
        Err(Error::new(ErrorKind::Busy, operation, why).hint("nothing was changed; try again"))
    }

    async fn lease(&self, site: &SiteId) -> Result<Option<Lease>> {
        let value = self.get(site, &format!("ask for the lease of {site}")).await?;
        Ok(value.map(|value| value.held.lease))
    }

    async fn swap_lease(&self, site: &SiteId, from: Option<&Lease>, to: &Lease) -> Result<Swap> {
        let operation = format!("write the lease of {site}");
        let lost = |held: Option<Holding>| Swap::Lost(Held(held.map(|held| held.lease)));
        // A lease does not say the mark of its epoch, without which the value cannot be compared.
        let value = match (from, self.memory.of(site).nonce) {
            (Some(from), Some((epoch, nonce))) if from.epoch == epoch => {
                let held = Holding { lease: from.clone(), nonce };
                Some(Value { text: held.to_text(), held })
            }
            _ => self.get(site, &operation).await?,
        };
        let Some(next) = Holding::swapped(value.as_ref().map(|value| &value.held), from, to) else {
            return Ok(lost(self.get(site, &operation).await?.map(|value| value.held)));
        };
        match self.txn(site, value.as_ref(), &next, &operation).await? {
            Txn::Done => Ok(Swap::Won),
            Txn::Holds(held) => Ok(lost(held)),
            Txn::Unknown(_) => Ok(Swap::Unknown),
        }
    }
}
