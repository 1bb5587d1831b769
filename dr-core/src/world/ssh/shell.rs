//! Hosts by SSH, as the world's [`Shell`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use russh::MethodKind;

use super::access::Access;
use super::agent::SshAgent;
use super::attempt::{log_in, method_names};
use super::connector::Connector;
use super::files;
use super::identity::Identity;
use super::login::{Connection, Knock};
use super::looking;
use super::replace::replace;
use super::secret_key;
use super::session::Session;
use super::trust::Trust;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{PublicKey, Software, Stranger};
use crate::mirror::Room;
use crate::world::{Control, HostKeyShown, Login, Output, Shell, Swap};

/// How long the command that proves a login may take. A key with a forced command runs that one, however long it takes.
const PROOF_COMMAND: Duration = Duration::from_secs(5);

/// Real hosts by SSH.
///
/// ```no_run
/// # async fn example() -> dr_core::Result<()> {
/// use dr_core::world::ssh::{Access, Connector, SshShell};
/// use dr_core::world::{Control, Shell};
/// let shell = SshShell::new(Connector::new(Access::default()));
/// let said = shell.run(&"root@us.example.net".parse().unwrap(), "uptime", &Control::silent()).await?;
/// assert_eq!(said.status, Some(0));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SshShell {
    connector: Arc<Connector>,
}

impl SshShell {
    /// Over these connections.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }

    /// A fresh connection on which nothing but this key is offered.
    async fn prove(&self, remote: &Remote, public: &PublicKey) -> Result<Login> {
        let mut key = self.private_half(public).await?;
        let access = self.connector.access();
        let mut connection = Connection::open(access, remote).await?;
        let operation = || format!("prove the key {} to {remote}", public.fingerprint());
        let offers = match connection.knock().await? {
            Knock::Open => {
                return Err(Error::new(
                    ErrorKind::Rejected,
                    operation(),
                    "the host lets everyone in without any key, so it proves nothing about this one",
                )
                .hint("look at its sshd_config: PermitEmptyPasswords, AuthenticationMethods"));
            }
            Knock::Shut { offers, .. } => offers,
        };
        if !offers.contains(&MethodKind::PublicKey) {
            self.part(connection).await;
            return Ok(Login::Refused { offers: method_names(&offers) });
        }
        let knock = match &mut key {
            Half::File(identity) => connection.offer(identity).await?,
            Half::Agent(agent, key) => connection.offer_agent(agent, key).await?.ok_or_else(|| {
                Error::new(ErrorKind::PermissionDenied, operation(), "the ssh-agent would not sign with it")
                    .hint("unlock the agent, or name the private key file")
            })?,
        };
        match knock {
            Knock::Shut { offers, .. } => {
                self.part(connection).await;
                Ok(Login::Refused { offers: method_names(&offers) })
            }
            Knock::Open => {
                let session = Session::new(connection, remote.clone());
                let outcome = accepted(&session).await;
                session.close().await;
                outcome
            }
        }
    }

    /// A fresh connection on which the host is asked about this key, and no private half is needed.
    async fn probe(&self, remote: &Remote, public: &PublicKey) -> Result<Login> {
        let key = russh::keys::PublicKey::from_bytes(public.blob()).map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("ask {remote} about a key"), "its kind is unknown")
                .caused_by(error)
        })?;
        let mut connection = Connection::open(self.connector.access(), remote).await?;
        if !connection.software().answers_honestly() {
            let why = format!("{} says yes to every key until one is used", connection.software().name());
            return Err(Error::new(ErrorKind::Unsupported, format!("ask {remote} about a key"), why)
                .hint("log in with the key itself: dr keys verify; or read authorized_keys: dr keys audit"));
        }
        let answer = match connection.knock().await? {
            Knock::Open => Login::Accepted,
            Knock::Shut { offers, .. } if !offers.contains(&MethodKind::PublicKey) => {
                Login::Refused { offers: method_names(&offers) }
            }
            Knock::Shut { .. } => match connection.ask_about(&key).await? {
                Knock::Open => Login::Accepted,
                Knock::Shut { offers, .. } => Login::Refused { offers: method_names(&offers) },
            },
        };
        self.part(connection).await;
        Ok(answer)
    }

    /// Ends a connection on which the host was only asked. Since OpenSSH 9.8 sshd shuts out for a while who asks a few times and never
    /// logs in (PerSourcePenalties), and everyone who comes from the same address; who is logged in in the end is forgiven. So a key
    /// that is at hand logs in, if one does; if none does, the penalty is waited for, so that penalties never add up.
    async fn part(&self, mut connection: Connection) {
        let keys_only = Access { passwords: Default::default(), ..self.connector.access().clone() };
        let forgiven = log_in(&keys_only, &mut connection).await.is_ok();
        let held = connection.software().held_against(Stranger::Refused);
        connection.close().await;
        if !forgiven {
            tokio::time::sleep(held).await;
        }
    }

    async fn methods(&self, remote: &Remote) -> Result<Vec<String>> {
        let mut connection = Connection::open(self.connector.access(), remote).await?;
        let offers = match connection.knock().await? {
            Knock::Open => vec!["none".to_owned()],
            Knock::Shut { offers, .. } => method_names(&offers),
        };
        self.part(connection).await;
        Ok(offers)
    }

    /// The private half of a public key: in one of the identities, or in the agent.
    async fn private_half(&self, public: &PublicKey) -> Result<Half> {
        let access = self.connector.access();
        let (mut unreadable, mut locked) = (None, None);
        for path in &access.identities {
            match secret_key::public_of(path) {
                Ok(half) if half == *public => match Identity::load(path, access.passphrase.as_ref()).await {
                    Ok(identity) => return Ok(Half::File(identity)),
                    Err(error) => locked = Some(error),
                },
                Ok(_) => {}
                Err(error) => unreadable = Some(error),
            }
        }
        if let Some(socket) = &access.use_agent {
            match held_by_agent(socket, public).await {
                Ok(Some(half)) => return Ok(half),
                Ok(None) => {}
                Err(error) => unreadable = Some(error),
            }
        }
        if let Some(error) = locked {
            return Err(error);
        }
        let error = Error::new(
            ErrorKind::NotFound,
            format!("find the private half of {}", public.fingerprint()),
            "none of the key files at hand holds it",
        )
        .hint("name its file with --identity or in the estate, or load it into the ssh-agent");
        Err(match unreadable {
            Some(cause) => error.caused_by(cause),
            None => error,
        })
    }
}

async fn held_by_agent(socket: &Path, public: &PublicKey) -> Result<Option<Half>> {
    let mut agent = SshAgent::open(socket).await?;
    let held = agent.list().await?.into_iter().any(|held| held.certificate.is_none() && held.key == *public);
    Ok(held.then(|| Half::Agent(agent, public.clone())))
}

enum Half {
    File(Identity),
    Agent(SshAgent, PublicKey),
}

/// Whether a session that was let in stays so. That a key may only run one command, or none, is no refusal; that the host
/// hangs up right after the login (an account that expired, a broken shell profile) is a lost connection.
async fn accepted(session: &Session) -> Result<Login> {
    let control = Control::silent();
    match tokio::time::timeout(PROOF_COMMAND, session.exec("exit 0", b"", &control)).await {
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::OutcomeUnknown) => {
            Err(Error::new(
                ErrorKind::Unreachable,
                error.operation(),
                "the host let us in and then closed the connection",
            )
            .hint("its log says why: an expired account, a limit, or a login script that fails")
            .caused_by(error))
        }
        // Let in, to change a password and do nothing else.
        Ok(Err(error)) if error.kind() == ErrorKind::Authentication => Err(error),
        _ => Ok(Login::Accepted),
    }
}

#[async_trait]
impl Shell for SshShell {
    async fn run(&self, remote: &Remote, command: &str, control: &Control) -> Result<Output> {
        let session =
            control.run(&format!("run a command on {remote}"), self.connector.session(remote)).await?;
        session.exec(command, b"", control).await
    }

    async fn read_file(&self, remote: &Remote, path: &str) -> Result<Option<Vec<u8>>> {
        let files = files::open(&self.connector, remote, format!("read {path} on {remote}")).await?;
        if path.starts_with('/') {
            return files.read(path).await;
        }
        let home = files.home().await?;
        files.read(&format!("{}/{path}", home.trim_end_matches('/'))).await
    }

    async fn room(&self, remote: &Remote, paths: &[String]) -> Result<Vec<Option<Room>>> {
        let files = files::open(&self.connector, remote, format!("look what is free on {remote}")).await?;
        let mut rooms = vec![];
        for path in paths {
            rooms.push(files.room(path).await);
        }
        Ok(rooms)
    }

    async fn replace_file(&self, remote: &Remote, path: &str, swap: Swap<'_>) -> Result<()> {
        let files = files::open(&self.connector, remote, format!("replace {path} on {remote}")).await?;
        replace(&*files, path, swap).await
    }

    async fn prove_key(&self, remote: &Remote, public_key: &str) -> Result<Login> {
        let public: PublicKey = public_key
            .parse()
            .map_err(|why: String| Error::new(ErrorKind::Usage, format!("prove a key to {remote}"), why))?;
        self.connector.limited(remote, self.prove(remote, &public)).await
    }

    async fn probe_key(&self, remote: &Remote, public_key: &str) -> Result<Login> {
        let public: PublicKey = public_key
            .parse()
            .map_err(|why: String| Error::new(ErrorKind::Usage, format!("ask {remote} about a key"), why))?;
        self.connector.limited(remote, self.probe(remote, &public)).await
    }

    async fn software(&self, remote: &Remote) -> Result<Software> {
        Ok(self.connector.session(remote).await?.software())
    }

    async fn host_keys(&self, remote: &Remote) -> Result<Vec<HostKeyShown>> {
        self.connector.limited(remote, looking::host_keys(self.connector.access(), remote)).await
    }

    async fn announced_host_keys(&self, remote: &Remote) -> Result<Vec<HostKeyShown>> {
        self.connector.limited(remote, looking::announced(self.connector.access(), remote)).await
    }

    async fn prove_host(&self, remote: &Remote, authority: &str) -> Result<()> {
        let trust = Trust::by_authority(remote, authority);
        let prove = async {
            let connection = Connection::open_by(self.connector.access(), remote, trust).await?;
            self.part(connection).await;
            Ok(())
        };
        self.connector.limited(remote, prove).await
    }

    async fn offers(&self, remote: &Remote) -> Result<Vec<String>> {
        self.connector.limited(remote, self.methods(remote)).await
    }

    async fn keys_at_hand(&self) -> Result<Vec<String>> {
        let access = self.connector.access();
        // A file that cannot be used says so when it is needed.
        let mut keys: Vec<PublicKey> =
            access.identities.iter().filter_map(|path| secret_key::public_of(path).ok()).collect();
        if let Some(socket) = &access.use_agent
            && let Ok(mut agent) = SshAgent::open(socket).await
        {
            let held = agent.list().await.unwrap_or_default().into_iter();
            let plain = held.filter(|held| held.certificate.is_none()).map(|held| held.key);
            let new: Vec<PublicKey> = plain.filter(|key| !keys.contains(key)).collect();
            keys.extend(new);
        }
        Ok(keys.iter().map(ToString::to_string).collect())
    }
}
