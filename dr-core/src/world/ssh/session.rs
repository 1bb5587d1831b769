//! One connection to one account: commands and files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf, Disconnect, Sig};
use tokio::sync::OnceCell;

use super::fault;
use super::login::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::Software;
use crate::world::sftp::Client;
use crate::world::{Control, Output};

/// How much of a command's standard output is kept.
const STDOUT_LIMIT_BYTES: usize = 1 << 20;
/// How much of its standard error.
const STDERR_LIMIT_BYTES: usize = 64 << 10;
/// What sshd says in the place of a command whose account has to change its password first.
const PASSWORD_FIRST: &[u8] = b"Password change required but no TTY available";
/// The rests, in milliseconds, after which a channel is opened again that the host closed at once while the connection stands:
/// dropbear does that while it is busy with the end of the one before. Nothing was asked for on it yet.
const CHANNEL_RESTS: [u64; 5] = [20, 50, 100, 400, 0];

/// One authenticated connection to one account. Several tasks may use it at once.
///
/// ```
/// # async fn example() -> dr_core::Result<()> {
/// use dr_core::world::ssh::{Access, Connector};
/// let connector = Connector::new(Access { use_agent: Some("/run/agent.sock".into()), ..Access::default() });
/// let session = connector.session(&"root@us.example.net".parse().unwrap()).await?;
/// println!("its home directory is {}", session.home().await?);
/// # Ok(()) }
/// ```
pub struct Session {
    connection: Connection,
    remote: Remote,
    home: OnceCell<String>,
    taken: AtomicBool,
}

impl Session {
    pub(super) fn new(connection: Connection, remote: Remote) -> Self {
        Self { connection, remote, home: OnceCell::new(), taken: AtomicBool::new(false) }
    }

    /// Whether whoever asks now may use it: some servers serve one session on a connection, and hang up when there is a second.
    pub(super) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed) || !self.software().is_single()
    }

    /// The server's program, as it names itself.
    pub(super) fn software(&self) -> Software {
        self.connection.software()
    }

    /// Whether the connection still stands, as far as is known.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.connection.handle.is_closed()
    }

    /// The host key that was judged to be right, as it stands in a `.pub` file.
    pub(crate) fn host_key(&self) -> Option<&str> {
        self.connection.host_key.get().map(String::as_str)
    }

    /// The account's home directory, as the host's SFTP server sees it.
    ///
    /// # Errors
    /// `Unreachable` if the connection is lost, `Unsupported` if the host offers no SFTP.
    pub async fn home(&self) -> Result<&str> {
        let home = self.home.get_or_try_init(|| async {
            let operation = || format!("find the home directory of {}", self.remote);
            let found = self.sftp().await?.real_path(b".").await;
            let path = found.map_err(|fault| fault::sftp(operation(), fault))?;
            String::from_utf8(path)
                .map_err(|_| Error::new(ErrorKind::Unsupported, operation(), "its name is not text"))
        });
        home.await.map(String::as_str)
    }

    /// A new SFTP channel. It ends when the value is dropped.
    pub(super) async fn sftp(&self) -> Result<Client> {
        let operation = || format!("open SFTP on {}", self.remote);
        match Client::open(self.sftp_stream().await?).await {
            Ok(client) => Ok(client),
            // The connection stands: what it begins is no SFTP server, or is not there.
            Err(error) if self.is_alive() && error.kind() != ErrorKind::Timeout => {
                Err(no_sftp(operation()).caused_by(error))
            }
            Err(_) => Err(self.lost(&operation())),
        }
    }

    /// A new channel on which the host's SFTP server listens; nothing has been said on it yet.
    pub(crate) async fn sftp_stream(&self) -> Result<ChannelStream<Msg>> {
        let operation = || format!("open SFTP on {}", self.remote);
        for rest in CHANNEL_RESTS {
            let mut channel = self.channel(&operation()).await?;
            self.sent(&operation(), channel.request_subsystem(true, "sftp").await)?;
            match self.reply(&mut channel).await {
                Some(true) => return Ok(channel.into_stream()),
                Some(false) => return Err(no_sftp(operation())),
                None if self.is_alive() => tokio::time::sleep(Duration::from_millis(rest)).await,
                None => break,
            }
        }
        Err(self.lost(&operation()))
    }

    /// Runs a command line in the account's shell, with `stdin` as its input. Output beyond the limits is read and dropped.
    ///
    /// A connection that is lost before the command was begun is `Unreachable`, afterwards `OutcomeUnknown`: it may have done
    /// all, part or nothing of its work. Cancelling closes the command's input and output and sends it SIGTERM, without waiting
    /// for it; sshd passes signals on to other accounts than root only.
    pub(crate) async fn exec(&self, command: &str, stdin: &[u8], control: &Control) -> Result<Output> {
        self.exec_keeping(command, stdin, STDOUT_LIMIT_BYTES, control).await
    }

    /// As [`Self::exec`], keeping so much of what it prints.
    pub(super) async fn exec_keeping(
        &self,
        command: &str,
        stdin: &[u8],
        stdout_limit: usize,
        control: &Control,
    ) -> Result<Output> {
        let operation = format!("run a command on {}", self.remote);
        control.check(&operation)?;
        let mut channel = self.channel(&operation).await?;
        self.sent(&operation, channel.exec(true, command).await)?;
        match self.reply(&mut channel).await {
            Some(true) => {}
            Some(false) => {
                return Err(Error::new(
                    ErrorKind::PermissionDenied,
                    operation,
                    "the host runs no commands for this account",
                )
                .hint("check the account's shell, ForceCommand in sshd_config, and the options of the key"));
            }
            None => return Err(self.unknown(operation)),
        }
        let (mut read, write) = channel.split();
        let feed = async {
            // A command that does not read its input closes it; what it says is what counts then.
            for chunk in stdin.chunks(32 << 10) {
                if write.data_bytes(chunk.to_vec()).await.is_err() {
                    break;
                }
            }
            let _ = write.eof().await;
            std::future::pending::<()>().await;
        };
        let work = async {
            tokio::select! {
                said = collect(&mut read, stdout_limit) => Ok(said),
                () = feed => Err(self.lost(&operation)),
            }
        };
        match control.run(&operation, work).await {
            // This is what sshd runs instead (do_pwchange in session.c).
            Ok((output, true))
                if output.status == Some(1)
                    && output.stderr.windows(PASSWORD_FIRST.len()).any(|said| said == PASSWORD_FIRST) =>
            {
                Err(fault::expired_password(operation))
            }
            Ok((output, true)) => Ok(output),
            Ok((_, false)) => Err(self.unknown(operation)),
            Err(cancelled) => {
                let _ = write.signal(Sig::TERM).await;
                let _ = write.close().await;
                Err(cancelled)
            }
        }
    }

    /// Starts a command line in the account's shell; both ways are there at once, before the host has answered whether it runs.
    pub(crate) async fn start(&self, command: &str) -> Result<(ChannelReadHalf, ChannelWriteHalf<Msg>)> {
        let operation = format!("run a command on {}", self.remote);
        let channel = self.channel(&operation).await?;
        self.sent(&operation, channel.exec(true, command).await)?;
        Ok(channel.split())
    }

    /// Says goodbye. What other tasks have under way on this session fails.
    pub(super) async fn close(&self) {
        let _ = self.connection.handle.disconnect(Disconnect::ByApplication, "", "en").await;
    }

    async fn channel(&self, operation: &str) -> Result<Channel<Msg>> {
        let opened = self.connection.handle.channel_open_session().await;
        self.sent(operation, opened)
    }

    /// The host's answer to a channel request; none if the connection ended first.
    async fn reply(&self, channel: &mut Channel<Msg>) -> Option<bool> {
        loop {
            match channel.wait().await? {
                ChannelMsg::Success => return Some(true),
                ChannelMsg::Failure => return Some(false),
                ChannelMsg::Close => return None,
                _ => {}
            }
        }
    }

    fn sent<T>(&self, operation: &str, result: Result<T, russh::Error>) -> Result<T> {
        result.map_err(|error| match self.connection.last_words.get() {
            Some(said) => fault::lost(operation, Some(said)),
            None => fault::ssh(operation, error),
        })
    }

    fn lost(&self, operation: &str) -> Error {
        fault::lost(operation, self.connection.last_words.get())
    }

    fn unknown(&self, operation: String) -> Error {
        Error::new(ErrorKind::OutcomeUnknown, operation, "the connection was lost while the command ran")
            .hint("it may have done all, part or nothing of its work: look at the host")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, alive: {})", self.remote, self.is_alive())
    }
}

fn no_sftp(operation: String) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "the host offers no SFTP")
        .hint("enable it in its sshd_config: Subsystem sftp internal-sftp")
}

/// Everything that a command says, and whether it was heard out to its end.
async fn collect(channel: &mut ChannelReadHalf, stdout_limit: usize) -> (Output, bool) {
    let mut output = Output { status: None, stdout: vec![], stderr: vec![] };
    let mut ended = false;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => keep(&mut output.stdout, &data, stdout_limit),
            ChannelMsg::ExtendedData { data, ext: 1 } => keep(&mut output.stderr, &data, STDERR_LIMIT_BYTES),
            ChannelMsg::ExitStatus { exit_status } => {
                output.status = Some(exit_status);
                ended = true;
            }
            ChannelMsg::ExitSignal { .. } => ended = true,
            _ => {}
        }
    }
    (output, ended)
}

fn keep(kept: &mut Vec<u8>, data: &[u8], limit: usize) {
    let room = limit.saturating_sub(kept.len()).min(data.len());
    kept.extend_from_slice(&data[..room]);
}
