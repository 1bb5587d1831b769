//! An embedded host: an SSH server with SFTP, and a web server, on one address, over one directory.
//!
//! The directory is the host's whole file system: `/home/<user>` in it is where logins land, `/var/www/<name>/`
//! what the web server gives under that name.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use russh::keys::{Algorithm, PrivateKey, PublicKey, ssh_key::LineEnding};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{
    Secret,
    confine::Root,
    http,
    process::Service,
    ssh::{self, Account},
};

/// What one host is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The name it has in the estate; `Server: dr-demo/<name>` in what its web server answers.
    pub name: String,
    /// The one address both servers listen on.
    pub ip: IpAddr,
    /// 0: one that is free.
    pub ssh_port: u16,
    /// 0: one that is free.
    pub http_port: u16,
    /// The directory that is its file system; made if it is missing.
    pub root: PathBuf,
    /// The one account that can log in. Its home is `/home/<user>`, made with mode 0700 if it is missing.
    pub user: String,
    /// `None`: only public keys log in. Can change while the host runs ([`Service::update`]).
    pub password: Option<Secret>,
    /// The private host key, in OpenSSH's form; from [`generate_key`].
    pub host_key: Secret,
}

/// Where a started host is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// As in [`Options::name`].
    pub name: String,
    /// Where SSH listens.
    pub ssh: SocketAddr,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// The public host key, `ssh-ed25519 AAAA...`: what a client has to pin.
    pub host_key: String,
}

/// A running host. Dropped, it goes down: connections are cut and the ports become free, a moment later; to
/// wait for that there is [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    account: Arc<Account>,
    // Both servers end when this is dropped.
    stop: watch::Sender<bool>,
    servers: [JoinHandle<()>; 2],
}

impl Running {
    /// Takes the host down and waits until its ports are free.
    pub async fn stop(self) {
        drop(self.stop);
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::warn!(%error, "a server of the host");
            }
        }
    }
}

/// A new ed25519 key, in OpenSSH's private form: for [`Options::host_key`], which stays the same over restarts
/// as a machine's does.
///
/// # Errors
/// Where the key cannot be encoded, which does not happen.
pub fn generate_key() -> io::Result<Secret> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
    let key = PrivateKey::from(pair).to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    Ok(Secret::new(key.as_str()))
}

impl Service for Options {
    type Ready = Ready;
    type Running = Running;

    async fn start(self) -> io::Result<(Ready, Running)> {
        let home = prepare(&self.root, &self.user)?;
        let root = Arc::new(Root::open(&self.root)?);
        let key = PrivateKey::from_openssh(self.host_key.reveal())
            .map_err(|error| invalid(format!("host key of {}: {error}", self.name)))?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(invalid(format!("host key of {}: not an ed25519 key", self.name)));
        }
        let ssh_listener = bind(SocketAddr::new(self.ip, self.ssh_port)).await?;
        let http_listener = bind(SocketAddr::new(self.ip, self.http_port)).await?;
        let ready = Ready {
            name: self.name.clone(),
            ssh: ssh_listener.local_addr()?,
            http: http_listener.local_addr()?,
            host_key: public_line(&key)?,
        };
        let password = RwLock::new(self.password);
        let account = Arc::new(Account { root: root.clone(), user: self.user, home, password });
        let (stop, stopped) = watch::channel(false);
        let servers = [
            tokio::spawn(ssh::serve(ssh_listener, account.clone(), key, stopped.clone())),
            tokio::spawn(http::serve(http_listener, root, self.name, stopped)),
        ];
        Ok((ready, Running { account, stop, servers }))
    }

    fn settle(&mut self, ready: &Ready) {
        self.ssh_port = ready.ssh.port();
        self.http_port = ready.http.port();
    }

    /// Takes over the password, or that there is none: for logins from now on.
    fn update(running: &Running, options: Self) {
        if let Ok(mut password) = running.account.password.write() {
            *password = options.password;
        }
    }
}

/// `ssh-ed25519 AAAA...`, without the comment that a key may carry.
fn public_line(key: &PrivateKey) -> io::Result<String> {
    let key = PublicKey::new(key.public_key().key_data().clone(), "");
    Ok(key.to_openssh().map_err(io::Error::other)?.trim_end().to_owned())
}

/// Makes the directories that a host has from its first day; gives the home, from the root.
fn prepare(root: &Path, user: &str) -> io::Result<String> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if user.is_empty() || !user.bytes().all(is_name) {
        return Err(invalid(format!("{user:?} is not a user name")));
    }
    fs::create_dir_all(root.join("var/www"))?;
    let homes = root.join("home");
    fs::create_dir_all(&homes)?;
    let home = homes.join(user);
    match fs::DirBuilder::new().mode(0o700).create(&home) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // The umask may have taken away more than it should.
        outcome => outcome.and_then(|()| fs::set_permissions(&home, fs::Permissions::from_mode(0o700)))?,
    }
    Ok(format!("/home/{user}"))
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
