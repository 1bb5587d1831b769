//! An ssh-agent: the keys that it holds, and what it signs with them (draft-ietf-sshm-ssh-agent).

use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::secret_key::SecretKey;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::wire::{Fields, put};
use crate::keys::{Certificate, PublicKey};

/// No answer is longer (what OpenSSH's own agent keeps to).
const LENGTH_MAX: usize = 256 * 1024;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const ADD_IDENTITY: u8 = 17;
const REMOVE_IDENTITY: u8 = 18;
const ADD_ID_CONSTRAINED: u8 = 25;
const SUCCESS: u8 = 6;
const CONSTRAIN_LIFETIME: u8 = 1;
const CONSTRAIN_CONFIRM: u8 = 2;
/// RSA signs with SHA-512.
const RSA_SHA2_512: u32 = 4;

/// What an agent may do with a key that it is given.
///
/// ```
/// use dr_core::world::ssh::AgentTerms;
/// let terms = AgentTerms { lifetime: Some(std::time::Duration::from_secs(8 * 3600)), ..AgentTerms::default() };
/// assert!(!terms.confirm);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentTerms {
    /// It forgets the key after so long, in whole seconds; none for as long as it runs.
    pub lifetime: Option<Duration>,
    /// It asks a person before each signature.
    pub confirm: bool,
}

/// A key that an agent holds.
///
/// ```
/// # fn shown(held: &dr_core::world::ssh::HeldKey) -> String {
/// format!("{} {}", held.key.fingerprint(), held.key.comment())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeldKey {
    /// Its public half, with the comment under which it is held.
    pub key: PublicKey,
    /// The certificate, if it is held with one.
    pub certificate: Option<Certificate>,
}

/// A connection to an ssh-agent. It can list, sign, take up and forget keys.
///
/// ```no_run
/// # async fn shown() -> dr_core::Result<()> {
/// use dr_core::world::ssh::{AgentTerms, SecretKey, SshAgent};
/// let mut agent = SshAgent::open("/run/user/1000/agent".as_ref()).await?;
/// let key = SecretKey::load("/root/.ssh/id_ed25519".as_ref(), None)?;
/// agent.add(&key, &AgentTerms { confirm: true, ..AgentTerms::default() }).await?;
/// let signature = agent.sign(key.public(), b"to be signed").await?;
/// agent.remove(key.public()).await?;
/// # Ok(())
/// # }
/// ```
pub struct SshAgent {
    stream: Box<dyn AgentStream + Send + Unpin>,
    socket: PathBuf,
}

impl std::fmt::Debug for SshAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshAgent({})", self.socket.display())
    }
}

impl SshAgent {
    /// Connects to the agent behind this socket (`$SSH_AUTH_SOCK`).
    ///
    /// # Errors
    /// `NotFound` if no agent answers there.
    pub async fn open(socket: &Path) -> Result<Self> {
        Self::bound(socket, None).await
    }

    /// The same, and tells it which host it will log in to, so that keys bound to destinations can be used.
    pub(super) async fn bound(socket: &Path, binding: Option<&AgentSessionBinding>) -> Result<Self> {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            let operation = format!("ask the ssh-agent at {}", socket.display());
            Error::new(ErrorKind::NotFound, operation, error.to_string())
                .hint("start an agent (eval $(ssh-agent)), load the key with dr keys agent add, and name its socket ($SSH_AUTH_SOCK)")
        })?;
        let mut client = AgentClient::connect(stream);
        if let Some(binding) = binding {
            // An agent without that extension says no; its keys work all the same.
            let _ = client.bind_session(binding, false).await;
        }
        Ok(Self { stream: client.into_inner(), socket: socket.to_owned() })
    }

    /// What it holds. Keys of kinds that OpenSSH does not know are left out.
    ///
    /// # Errors
    /// `Protocol` if it breaks off or answers what is no answer.
    pub async fn list(&mut self) -> Result<Vec<HeldKey>> {
        let answer = self.ask(&[REQUEST_IDENTITIES], "list its keys").await?;
        let mut fields = Fields(answer.get(1..).unwrap_or_default());
        let count = fields.u32().filter(|_| answer.first() == Some(&IDENTITIES_ANSWER));
        let mut held = vec![];
        for _ in 0..count.ok_or_else(|| self.nonsense("list its keys"))? {
            let (Some(blob), Some(comment)) = (fields.string(), fields.string()) else {
                return Err(self.nonsense("list its keys"));
            };
            let comment = String::from_utf8_lossy(comment);
            let certificate = Certificate::from_blob(blob);
            let key =
                certificate.as_ref().map(|one| one.key().clone()).or_else(|| PublicKey::from_blob(blob));
            held.extend(key.map(|key| HeldKey { key: key.with_comment(&comment), certificate }));
        }
        Ok(held)
    }

    /// A signature by a key that it holds, as SSH writes it: the algorithm's name before it. RSA signs with SHA-512.
    ///
    /// # Errors
    /// `Refused` if it does not hold the key, or a person said no; `Protocol` as for [`Self::list`].
    pub async fn sign(&mut self, key: &PublicKey, message: &[u8]) -> Result<Vec<u8>> {
        self.sign_as(key.blob(), key.algorithm() == "ssh-rsa", message).await
    }

    async fn sign_as(&mut self, blob: &[u8], is_rsa: bool, message: &[u8]) -> Result<Vec<u8>> {
        let mut request = vec![SIGN_REQUEST];
        put(&mut request, blob);
        put(&mut request, message);
        request.extend(if is_rsa { RSA_SHA2_512 } else { 0 }.to_be_bytes());
        let answer = self.ask(&request, "sign").await?;
        let signature = match answer.split_first() {
            Some((&SIGN_RESPONSE, rest)) => Fields(rest).string().map(<[u8]>::to_vec),
            _ => return Err(self.refused("sign", "it does not hold the key, or a person said no")),
        };
        let signature = signature.ok_or_else(|| self.nonsense("sign"))?;
        // SHA-1 where SHA-512 was asked for would be taken by old hosts, and by nobody else.
        match Fields(&signature).string() {
            Some(b"rsa-sha2-512") if is_rsa => Ok(signature),
            Some(_) if !is_rsa => Ok(signature),
            _ => Err(self.nonsense("sign")),
        }
    }

    /// Gives it a key.
    ///
    /// # Errors
    /// `Refused` if it does not take the key, or not on these terms; `Protocol` as for [`Self::list`].
    pub async fn add(&mut self, key: &SecretKey, terms: &AgentTerms) -> Result<()> {
        let comment = key.public().comment();
        let mut request = Zeroizing::new(Vec::with_capacity(key.wire().len() + comment.len() + 64));
        let limited = terms.confirm || terms.lifetime.is_some();
        request.push(if limited { ADD_ID_CONSTRAINED } else { ADD_IDENTITY });
        request.extend_from_slice(key.wire());
        put(&mut request, comment.as_bytes());
        if let Some(lifetime) = terms.lifetime {
            request.push(CONSTRAIN_LIFETIME);
            request.extend(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
        }
        if terms.confirm {
            request.push(CONSTRAIN_CONFIRM);
        }
        self.done(&request, "take up a key", "it does not take the key on these terms").await
    }

    /// Lets it forget a key.
    ///
    /// # Errors
    /// `Refused` if it does not hold the key; `Protocol` as for [`Self::list`].
    pub async fn remove(&mut self, key: &PublicKey) -> Result<()> {
        let mut request = vec![REMOVE_IDENTITY];
        put(&mut request, key.blob());
        self.done(&request, "forget a key", "it does not hold the key").await
    }

    async fn done(&mut self, request: &[u8], what: &str, why: &str) -> Result<()> {
        let answer = self.ask(request, what).await?;
        if answer == [SUCCESS] { Ok(()) } else { Err(self.refused(what, why)) }
    }

    async fn ask(&mut self, request: &[u8], what: &str) -> Result<Vec<u8>> {
        let exchanged = async {
            let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
            self.stream.write_all(&length.to_be_bytes()).await?;
            self.stream.write_all(request).await?;
            self.stream.flush().await?;
            let length = self.stream.read_u32().await? as usize;
            if length > LENGTH_MAX {
                return Err(std::io::Error::other("its answer is too long"));
            }
            let mut answer = vec![0; length];
            self.stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        exchanged.await.map_err(|error| self.failed(ErrorKind::Protocol, what, &error.to_string()))
    }

    fn failed(&self, kind: ErrorKind, what: &str, why: &str) -> Error {
        Error::new(kind, format!("let the ssh-agent at {} {what}", self.socket.display()), why)
    }

    fn nonsense(&self, what: &str) -> Error {
        self.failed(ErrorKind::Protocol, what, "its answer is none")
    }

    fn refused(&self, what: &str, why: &str) -> Error {
        self.failed(ErrorKind::Refused, what, why)
            .hint("ssh-add -l shows what it holds; a locked agent (ssh-add -x) does nothing")
    }
}

impl russh::Signer for SshAgent {
    type Error = russh::SendError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        _: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let key = key.public_key();
        let blob = key.to_bytes().map_err(|_| russh::SendError {})?;
        let signed = self.sign_as(&blob, key.algorithm().is_rsa(), &to_sign).await;
        put(&mut to_sign, &signed.map_err(|_| russh::SendError {})?);
        Ok(to_sign)
    }
}
