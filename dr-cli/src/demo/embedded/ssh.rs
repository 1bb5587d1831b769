//! The SSH server of an embedded host: logins, the SFTP subsystem, and the few commands a stock server answers.

use std::{
    collections::HashMap,
    io::{self, Read},
    os::fd::OwnedFd,
    sync::{Arc, RwLock},
    time::Duration,
};

use data_encoding::BASE64;
use russh::{
    Channel, ChannelId, Disconnect, MethodKind, MethodSet, Preferred,
    keys::{PrivateKey, PublicKey},
    server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use rustix::fs::{Mode, OFlags, fstat};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{Secret, confine::Root, sftp};

/// Sessions in one connection, as sshd's `MaxSessions`.
const SESSIONS_MAX: usize = 10;
/// The longest `authorized_keys` that is read.
const KEYS_MAX_BYTES: u64 = 1024 * 1024;
/// How long a client may take to log in, as sshd's `LoginGraceTime`.
const LOGIN_GRACE: Duration = Duration::from_secs(120);

/// Who may log in, and what they find.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) root: Arc<Root>,
    pub(super) user: String,
    /// From the root: `/home/dr`.
    pub(super) home: String,
    /// Changes while the host runs; `None`: no password logs in.
    pub(super) password: RwLock<Option<Secret>>,
}

impl Account {
    fn password(&self) -> Option<Secret> {
        self.password.read().ok().and_then(|password| password.clone())
    }

    fn methods(&self) -> MethodSet {
        let mut methods = MethodSet::empty();
        methods.push(MethodKind::PublicKey);
        if self.password().is_some() {
            methods.push(MethodKind::Password);
        }
        methods
    }

    /// Whether `authorized_keys`, as it is now, lets `key` in.
    fn authorizes(&self, key: &PublicKey) -> bool {
        let (Ok(blob), Ok(text)) = (key.to_bytes(), self.authorized_keys()) else { return false };
        let blob = BASE64.encode(&blob);
        text.lines().any(|line| key_in(line) == Some(blob.as_str()))
    }

    fn authorized_keys(&self) -> io::Result<String> {
        let home = self.strict(&self.home, OFlags::PATH | OFlags::DIRECTORY)?;
        drop(home);
        let directory = format!("{}/.ssh", self.home);
        drop(self.strict(&directory, OFlags::PATH | OFlags::DIRECTORY)?);
        let file = self.strict(&format!("{directory}/authorized_keys"), OFlags::RDONLY | OFlags::NONBLOCK)?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).take(KEYS_MAX_BYTES).read_to_end(&mut bytes)?;
        // A line that is not text spoils itself alone.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Opens what decides about logins, unless others than its owner could have written it (sshd's
    /// `StrictModes`).
    fn strict(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let file = self.root.open_at(path.as_bytes(), flags, Mode::empty())?;
        if fstat(&file)?.st_mode & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{path} is writable by others"),
            ));
        }
        Ok(file)
    }
}

/// The base64 of the key that a line of `authorized_keys` lets in without asking for more than this server
/// does: with no options, or `restrict`, which forbids what is absent here anyway.
fn key_in(line: &str) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let mut first = fields.next()?;
    if first.eq_ignore_ascii_case("restrict") {
        first = fields.next()?;
    }
    let is_kind = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|kind| first.starts_with(kind));
    is_kind.then(|| fields.next()).flatten()
}

/// Serves logins on `listener` until `stop` changes or its sender is gone.
pub(super) async fn serve(
    listener: TcpListener,
    account: Arc<Account>,
    key: PrivateKey,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let config = Arc::new(config(&account, &key));
                    connections.spawn(connection(stream, config, account.clone(), stop.clone()));
                }
                // Out of descriptors, mostly: those in use come free.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SSH connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

fn config(account: &Account, key: &PrivateKey) -> Config {
    Config {
        methods: account.methods(),
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key.clone()],
        max_auth_attempts: 6,
        inactivity_timeout: None,
        nodelay: true,
        preferred: Preferred::default(),
        ..Config::default()
    }
}

async fn connection(
    stream: TcpStream,
    config: Arc<Config>,
    account: Arc<Account>,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let (logged_in, mut login) = watch::channel(false);
    let handler = Login { account, channels: HashMap::new(), logged_in };
    let started = tokio::time::timeout(LOGIN_GRACE, russh::server::run_stream(config, stream, handler));
    let mut session = tokio::select! {
        started = started => match started {
            Ok(Ok(session)) => session,
            _ => return,
        },
        _ = stop.changed() => return,
    };
    let handle = session.handle();
    let late = async {
        if tokio::time::timeout(LOGIN_GRACE, login.wait_for(|done| *done)).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = &mut session => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an SSH connection ended");
            }
        }
        () = late => { let _ = handle.disconnect(Disconnect::ByApplication, "login took too long".into(), "en".into()).await; }
        _ = stop.changed() => { let _ = handle.disconnect(Disconnect::ByApplication, "host is going down".into(), "en".into()).await; }
    }
}

/// One connection: the login, then its sessions.
struct Login {
    account: Arc<Account>,
    /// Sessions that have not yet said what they are for.
    channels: HashMap<ChannelId, Channel<Msg>>,
    logged_in: watch::Sender<bool>,
}

impl Login {
    fn verdict(&self, let_in: bool) -> Auth {
        if let_in {
            return Auth::Accept;
        }
        Auth::Reject { proceed_with_methods: Some(self.account.methods()), partial_success: false }
    }

    async fn knows(&self, user: &str, key: &PublicKey) -> bool {
        let (account, key) = (self.account.clone(), key.clone());
        let checked = tokio::task::spawn_blocking(move || account.authorizes(&key)).await;
        user == self.account.user && checked.unwrap_or(false)
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = self.account.password().is_some_and(|secret| secret.matches(password));
        Ok(self.verdict(right && user == self.account.user))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.verdict(self.knows(user, offer.public_key).await))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.verdict(self.knows(user, key.public_key).await))
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), Self::Error> {
        self.logged_in.send_replace(true);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // Dropping the reply refuses the session.
        if self.channels.len() < SESSIONS_MAX {
            self.channels.insert(channel.id(), channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Nobody reads what the client sends to a command: dropping the channel says so.
        if self.channels.remove(&id).is_none() {
            return session.channel_failure(id);
        }
        session.channel_success(id)?;
        let line = String::from_utf8_lossy(line);
        let status = match output_of(&self.account.user, &line) {
            Some(output) => {
                session.data(id, output.into_bytes())?;
                0
            }
            None => {
                let name = line.split_ascii_whitespace().next().unwrap_or_default();
                let message = format!("{name}: not found: this host of dr demo has no shell\n");
                session.extended_data(id, 1, message.into_bytes())?;
                127
            }
        };
        session.exit_status_request(id, status)?;
        session.eof(id)?;
        session.close(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name != "sftp" {
            return session.channel_failure(id);
        }
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let (handle, account) = (session.handle(), self.account.clone());
        tokio::spawn(async move {
            let (root, home) = (account.root.clone(), account.home.clone().into_bytes());
            let ended = sftp::serve(channel.into_stream(), root, home).await;
            if let Err(error) = &ended {
                tracing::debug!(%error, "an SFTP session ended");
            }
            // Each fails only where the connection is gone, and then there is nobody left to tell.
            let _ = handle.exit_status_request(id, u32::from(ended.is_err())).await;
            let _ = handle.eof(id).await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }
}

/// What the commands print that a stock server answers and a visitor may ask for.
fn output_of(user: &str, line: &str) -> Option<String> {
    let kernel = if cfg!(target_os = "macos") { "Darwin" } else { "Linux" };
    match line.trim() {
        "true" | ":" => Some(String::new()),
        "uname" | "uname -s" => Some(format!("{kernel}\n")),
        "uname -sm" => Some(format!("{kernel} {}\n", std::env::consts::ARCH)),
        "id -un" | "whoami" => Some(format!("{user}\n")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::key_in;

    #[test]
    fn only_lines_without_conditions_let_a_key_in() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAI";
        for (line, expected) in [
            (format!("ssh-ed25519 {blob} somebody@home"), Some(blob)),
            (format!("  ssh-ed25519\t{blob}"), Some(blob)),
            (format!("restrict ssh-ed25519 {blob} x"), Some(blob)),
            (format!("# ssh-ed25519 {blob}"), None),
            (format!("from=\"10.0.0.1\" ssh-ed25519 {blob}"), None),
            (format!("restrict,command=\"true\" ssh-ed25519 {blob}"), None),
            (String::new(), None),
            ("ssh-ed25519".to_owned(), None),
        ] {
            assert_eq!(key_in(&line), expected, "{line:?}");
        }
    }
}
