//! From an address to an authenticated connection.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use russh::client::{
    AuthResult, Config, DisconnectReason, Handle, Handler, KeyboardInteractiveAuthResponse, Session,
};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, MethodKind, MethodSet, Names, Preferred, cipher};
use tokio::net::TcpStream;

use super::access::Access;
use super::agent::SshAgent;
use super::fault;
use super::identity::Identity;
use super::secret_key::SecretKey;
use super::trust::{CHECKABLE, Shown, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{Certificate, PublicKey, Software, wire};
use crate::secret::Secret;
use crate::world::Clock as _;
use crate::world::clock::SystemClock;

/// AES-GCM first: with the instructions that every server has for it, half the time of ChaCha20-Poly1305.
pub(super) const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
/// So much of what a channel sends us may be under way: what a line of 5 Gbit/s holds within a round trip of 100 ms.
const WINDOW_BYTES: u32 = 64 << 20;
/// So many packets of a channel wait for whoever reads it before all channels wait.
const QUEUED_PACKETS: usize = 512;

/// What the connection's own task tells us: it judges the host's key and hears the host's last words.
pub(super) struct Client {
    trust: Trust,
    last_words: LastWords,
    banner: LastWords,
    host_key: Arc<OnceLock<String>>,
    software: Arc<OnceLock<String>>,
    announced: Arc<OnceLock<Vec<russh::keys::PublicKey>>>,
}

/// Why the host closed the connection, in its own words.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, said: &str) {
        let words = said.chars().filter(|c| !c.is_control()).take(200).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

/// A failure inside the connection's task.
pub(super) enum Fault {
    /// The host's key was judged, and not trusted.
    Distrusted(Error),
    /// Anything else.
    Ssh(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Distrusted(error) => error.fmt(f),
            Self::Ssh(error) => error.fmt(f),
        }
    }
}

impl Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key,
            PublicKeyOrCertificate::Certificate(shown) => return self.check_certificate(shown),
        };
        let blob = key.to_bytes().map_err(russh::Error::from)?;
        let Some(key) = PublicKey::from_blob(&blob) else { return Ok(false) };
        self.trust.judge(&key).map_err(Fault::Distrusted)?;
        let _ = self.host_key.set(key.with_comment("").to_string());
        Ok(true)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, _: &Names, session: &mut Session) -> Result<(), Fault> {
        let _ = self.software.set(String::from_utf8_lossy(session.remote_sshid()).trim().to_owned());
        Ok(())
    }

    async fn openssh_ext_host_keys_announced(
        &mut self,
        keys: Vec<russh::keys::PublicKey>,
        _: &mut Session,
    ) -> Result<(), Fault> {
        let _ = self.announced.set(keys);
        Ok(())
    }

    /// What sshd shows before a login: a text for everybody, or what PAM says of the account before sshd hangs up.
    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Fault> {
        self.banner.set(banner);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        match reason {
            DisconnectReason::ReceivedDisconnect(said) => {
                self.last_words.set(&said.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

impl Client {
    fn check_certificate(&self, shown: &russh::keys::Certificate) -> Result<bool, Fault> {
        let blob = shown.to_bytes().map_err(russh::Error::from)?;
        let Some(certificate) = Certificate::from_blob(&blob) else { return Ok(false) };
        let shown = Shown { certificate, signature_holds: shown.verify_signature().is_ok() };
        let now = SystemClock::new().read().wall;
        self.trust.judge_certificate(&shown, now).map_err(Fault::Distrusted)?;
        Ok(true)
    }
}

/// An encrypted connection to a host that was judged to be the right one. Nobody is logged in yet.
pub(super) struct Connection {
    pub(super) handle: Handle<Client>,
    pub(super) last_words: LastWords,
    banner: LastWords,
    /// As it was shown first, and judged to be right.
    pub(super) host_key: Arc<OnceLock<String>>,
    /// As the server names itself.
    software: Arc<OnceLock<String>>,
    /// The host keys that it says it has, proved or not.
    announced: Arc<OnceLock<Vec<russh::keys::PublicKey>>>,
    pub(super) remote: Remote,
}

impl Connection {
    /// Connects and exchanges keys.
    pub(super) async fn open(access: &Access, remote: &Remote) -> Result<Self> {
        Self::open_by(access, remote, Trust::gather(access, remote).await?).await
    }

    /// The same, where the host is judged by something else than what the access knows of it.
    pub(super) async fn open_by(access: &Access, remote: &Remote, trust: Trust) -> Result<Self> {
        let config = Config {
            preferred: Preferred {
                key: Cow::Owned(trust.algorithms()?),
                host_key_certificates: Cow::Owned(trust.certificates()),
                cipher: Cow::Borrowed(CIPHERS),
                ..Preferred::DEFAULT
            },
            window_size: WINDOW_BYTES,
            channel_buffer_size: QUEUED_PACKETS,
            keepalive_interval: (access.keepalive > Duration::ZERO).then_some(access.keepalive),
            ..Config::default()
        };
        let stream = dial(remote, access.connect_timeout).await?;
        let (last_words, banner) = (LastWords::default(), LastWords::default());
        let (host_key, software, announced) = (Arc::default(), Arc::default(), Arc::default());
        let client = Client {
            trust,
            last_words: last_words.clone(),
            banner: banner.clone(),
            host_key: Arc::clone(&host_key),
            software: Arc::clone(&software),
            announced: Arc::clone(&announced),
        };
        // The client is moved into the connection's task, so the facts for an error about its key are read again there.
        match russh::client::connect_stream(Arc::new(config), stream, client).await {
            Ok(handle) => {
                Ok(Self { handle, last_words, banner, host_key, software, announced, remote: remote.clone() })
            }
            Err(Fault::Distrusted(error)) => Err(error),
            Err(Fault::Ssh(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. })) => {
                Err(Trust::gather(access, remote).await?.no_common_kind(&theirs))
            }
            Err(Fault::Ssh(error)) => Err(fault::ssh(format!("connect to {remote}"), error)),
        }
    }

    /// The server's program.
    pub(super) fn software(&self) -> Software {
        self.software.get().map(|line| Software::parse(line)).unwrap_or_default()
    }

    /// Asks to be let in with nothing, which tells what else the host takes.
    pub(super) async fn knock(&mut self) -> Result<Knock> {
        let answer = self.handle.authenticate_none(self.remote.user.as_str()).await;
        self.understand(answer)
    }

    /// Offers a key.
    pub(super) async fn offer(&mut self, identity: &Identity) -> Result<Knock> {
        let public = self.library_key(identity.key.public())?;
        let (user, hash) = (self.remote.user.as_str(), hash_for(public.algorithm().is_rsa()));
        let mut signer = Signing(&identity.key);
        match self.handle.authenticate_publickey_with(user, public, hash, &mut signer).await {
            Ok(answer) => self.understand(Ok(answer)),
            Err(_) => Err(self.lost()),
        }
    }

    /// Offers the certificate that lies beside a key.
    pub(super) async fn offer_certificate(
        &mut self,
        identity: &Identity,
        certificate: russh::keys::Certificate,
    ) -> Result<Knock> {
        let (user, hash) = (self.remote.user.as_str(), hash_for(certificate.algorithm().is_rsa()));
        let mut signer = Signing(&identity.key);
        match self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await {
            Ok(answer) => self.understand(Ok(answer)),
            Err(_) => Err(self.lost()),
        }
    }

    /// Offers a key that an agent holds.
    pub(super) async fn offer_agent(
        &mut self,
        agent: &mut SshAgent,
        key: &PublicKey,
    ) -> Result<Option<Knock>> {
        let key = self.library_key(key)?;
        let hash = hash_for(key.algorithm().is_rsa());
        let user = self.remote.user.as_str();
        match self.handle.authenticate_publickey_with(user, key, hash, agent).await {
            Ok(answer) => self.understand(Ok(answer)).map(Some),
            // The agent would not sign; the host has not refused anything.
            Err(_) if !self.handle.is_closed() => Ok(None),
            Err(_) => Err(self.lost()),
        }
    }

    /// Asks whether a key would be taken, without its private half: the host says so before it wants a signature.
    pub(super) async fn ask_about(&mut self, key: &russh::keys::PublicKey) -> Result<Knock> {
        let hash = hash_for(key.algorithm().is_rsa());
        let mut asked = Asked { wanted: false };
        let user = self.remote.user.as_str();
        match self.handle.authenticate_publickey_with(user, key.clone(), hash, &mut asked).await {
            Ok(answer) => self.understand(Ok(answer)),
            Err(_) if asked.wanted => Ok(Knock::Open),
            Err(_) => Err(self.lost()),
        }
    }

    /// After the login: the host keys that the host says it has, of the kinds that can be checked here, and proves to hold in this
    /// connection (`hostkeys-00@openssh.com`, PROTOCOL of OpenSSH). Empty if it announces none.
    pub(super) async fn proven_host_keys(&self) -> Result<Vec<PublicKey>> {
        let operation = || format!("have {} prove its host keys", self.remote.authority());
        // It announces them before it answers anything that comes after the login.
        self.handle.send_ping().await.map_err(|error| self.broken(error))?;
        let kinds: Vec<_> = CHECKABLE.iter().map(|row| row.1.clone()).collect();
        let announced = self.announced.get().into_iter().flatten();
        let keys: Vec<_> = announced.filter(|key| kinds.contains(&key.algorithm())).cloned().collect();
        self.handle.hostkeys_prove(keys.clone()).await.map_err(|error| match error {
            russh::Error::RequestDenied | russh::Error::WrongServerSig => Error::new(
                ErrorKind::HostKey,
                operation(),
                "it announces a key that it does not prove to hold",
            )
            .hint("nothing was believed; look at the HostKey lines of its sshd_config")
            .caused_by(error),
            other => self.broken(other),
        })?;
        let read = |key: &russh::keys::PublicKey| PublicKey::from_blob(&key.to_bytes().ok()?);
        Ok(keys.iter().filter_map(read).collect())
    }

    /// A key as the library takes it.
    fn library_key(&self, key: &PublicKey) -> Result<russh::keys::PublicKey> {
        russh::keys::key::parse_public_key(key.blob()).map_err(|error| self.broken(error.into()))
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    }

    /// Offers a password by the way the host prefers.
    pub(super) async fn offer_password(&mut self, offers: &MethodSet, password: &Secret) -> Result<Knock> {
        let user = self.remote.user.as_str();
        if offers.contains(&MethodKind::Password) {
            let answer = self.handle.authenticate_password(user, password.reveal()).await;
            return self.understand(answer);
        }
        let mut answer = self.handle.authenticate_keyboard_interactive_start(user, None).await;
        // Only the first hidden question is the password; whoever asks on wants something we do not have.
        let mut unused = Some(password);
        for _ in 0..8 {
            let (told, prompts) = match answer.map_err(|error| self.broken(error))? {
                KeyboardInteractiveAuthResponse::Success => return Ok(Knock::Open),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return self.understand(Ok(AuthResult::Failure { remaining_methods, partial_success }));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { instructions, prompts, .. } => {
                    (instructions, prompts)
                }
            };
            // Older generations say it in the question, newer ones (10.5) before it.
            let mut words = prompts.iter().map(|prompt| prompt.prompt.as_str()).chain([told.as_str()]);
            if words.any(fault::is_of_an_expired_password) {
                return Err(fault::expired_password(format!("log in to {}", self.remote)));
            }
            let answers = prompts.iter().map(|prompt| match (prompt.echo, unused.take()) {
                (false, Some(password)) => password.reveal().to_owned(),
                (_, kept) => {
                    unused = kept;
                    String::new()
                }
            });
            let answers = answers.collect();
            answer = self.handle.authenticate_keyboard_interactive_respond(answers).await;
        }
        Ok(Knock::Shut { offers: offers.clone(), partial: false })
    }

    /// The library reports a connection that was cut during a login as a refusal with nothing left to try. A real refusal
    /// names what is left, so the two can be told apart; in doubt it was not a refusal.
    fn understand(&self, answer: Result<AuthResult, russh::Error>) -> Result<Knock> {
        match answer {
            Ok(AuthResult::Success) => Ok(Knock::Open),
            Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() => {
                Err(self.lost())
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                Ok(Knock::Shut { offers: remaining_methods, partial: partial_success })
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn lost(&self) -> Error {
        let operation = format!("log in to {}", self.remote);
        match self.banner.get().filter(|said| fault::is_of_an_expired_account(said)) {
            Some(said) => fault::expired_account(operation, &said),
            None => fault::lost(operation, self.last_words.get()),
        }
    }

    fn broken(&self, error: russh::Error) -> Error {
        fault::ssh(format!("log in to {}", self.remote), error)
    }
}

/// RSA signs with SHA-512, SHA-1 is never asked for; the other kinds have one way each.
fn hash_for(is_rsa: bool) -> Option<HashAlg> {
    is_rsa.then_some(HashAlg::Sha512)
}

/// Signs with a key of ours: what was to be signed, and the signature behind it.
struct Signing<'a>(&'a SecretKey);

impl russh::Signer for Signing<'_> {
    type Error = russh::SendError;

    async fn auth_sign(
        &mut self,
        _: &russh::keys::agent::AgentIdentity,
        _: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let signature = self.0.sign(&to_sign).map_err(|_| russh::SendError {})?;
        wire::put(&mut to_sign, &signature);
        Ok(to_sign)
    }
}

/// Signs nothing, and remembers that a signature was wanted.
struct Asked {
    wanted: bool,
}

impl russh::Signer for Asked {
    type Error = russh::SendError;

    async fn auth_sign(
        &mut self,
        _: &russh::keys::agent::AgentIdentity,
        _: Option<HashAlg>,
        _: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        self.wanted = true;
        Err(russh::SendError {})
    }
}

/// What a host says to an attempt to log in.
#[derive(Debug)]
pub(super) enum Knock {
    /// We are in.
    Open,
    /// Not with that.
    Shut {
        /// What the host still takes.
        offers: MethodSet,
        /// That was right, and the host wants more.
        partial: bool,
    },
}

/// Connects to the first address of the host that answers.
pub(super) async fn dial(remote: &Remote, within: Duration) -> Result<TcpStream> {
    let operation = || format!("connect to {}", remote.authority());
    let unreachable =
        |why: String, hint: &str| Error::new(ErrorKind::Unreachable, operation(), why).hint(hint);
    let lookup = tokio::net::lookup_host((remote.host.as_str(), remote.port));
    let addresses = match tokio::time::timeout(within, lookup).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => {
            return Err(unreachable(
                format!("its address is unknown: {error}"),
                "check the name, or use the host's address",
            ));
        }
        Err(_) => {
            return Err(unreachable(
                "its address could not be found in time".to_owned(),
                "check the resolver",
            ));
        }
    };
    let mut last = unreachable("it has no address".to_owned(), "check the name, or use the host's address");
    for address in addresses {
        match tokio::time::timeout(within, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Answers to small requests must not wait for each other; a socket that cannot do that works all the same.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => {
                let hint = match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => {
                        "nothing listens there: start sshd, or correct the port"
                    }
                    _ => "look at the host, the line and the firewall",
                };
                last = unreachable(error.to_string(), hint).caused_by(error);
            }
            Err(_) => {
                let why = format!("no answer within {} s", within.as_secs_f32());
                last = unreachable(why, "look at the host, the line and the firewall");
            }
        }
    }
    Err(last)
}
