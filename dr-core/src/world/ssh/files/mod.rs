//! Small files on a host, step by step: by SFTP, or by small commands where the host has none.
//!
//! Both do the same and promise the same, so that whatever is made of these steps ([`super::replace`]) is made once.

mod commands;
mod sftp;

use async_trait::async_trait;

use super::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::mirror::Room;

/// How large a small file may be.
const LIMIT_BYTES: usize = 32 << 20;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// Owner and mode of a file, as far as the host says them.
pub(super) struct Facts {
    pub(super) mode: Option<u32>,
    /// The numbers of the owner and the group.
    pub(super) owner: Option<(u32, u32)>,
}

/// The small files of one account. A lost connection is `Unreachable`, whatever it has interrupted.
#[async_trait]
pub(super) trait Files: Send + Sync {
    /// What it is for, in errors.
    fn operation(&self) -> &str;
    /// The account's home directory.
    async fn home(&self) -> Result<String>;
    /// The content of a file; none if there is none.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
    /// Makes a file with this content, which must not exist yet, and has the disk keep it. Nobody else can ever read more of it than
    /// `mode` allows.
    async fn create(&self, path: &str, content: &[u8], mode: u32) -> Result<()>;
    /// Puts one file in the place of another, atomically.
    async fn rename_over(&self, from: &str, to: &str) -> Result<()>;
    /// Renames a file unless the new name is taken.
    async fn rename_new(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; that there is none is fine.
    async fn remove(&self, path: &str) -> Result<()>;
    /// Makes a directory that nobody else can enter; that there is one is fine.
    async fn make_dir(&self, path: &str) -> Result<()>;
    /// What stands at a path, symbolic links not followed; none if nothing does.
    async fn kind_of(&self, path: &str) -> Result<Option<Kind>>;
    /// Owner and mode of what stands at a path, symbolic links followed; none if nothing does.
    async fn facts(&self, path: &str) -> Result<Option<Facts>>;
    /// Sets the permissions of a file or directory.
    async fn set_mode(&self, path: &str, mode: u32) -> Result<()>;
    /// Gives a file to another owner and group.
    async fn set_owner(&self, path: &str, uid: u32, gid: u32) -> Result<()>;
    /// The path with every symbolic link on it followed.
    async fn real_path(&self, path: &str) -> Result<String>;
    /// What is free there, or where it would be made; none if the host does not say.
    async fn room(&self, _path: &str) -> Option<Room> {
        None
    }
}

impl dyn Files + '_ {
    pub(super) fn error(&self, kind: ErrorKind, why: impl Into<String>) -> Error {
        Error::new(kind, self.operation(), why)
    }
}

/// By SFTP if the host has it, else by commands in the account's shell.
pub(super) async fn open<'a>(
    connector: &'a Connector,
    remote: &'a Remote,
    operation: String,
) -> Result<Box<dyn Files + 'a>> {
    if !connector.is_without_sftp(remote) {
        let session = connector.session(remote).await?;
        match sftp::BySftp::open(&session, operation.clone()).await {
            Ok(files) => return Ok(Box::new(files)),
            Err(error) if error.kind() == ErrorKind::Unsupported => connector.remember_no_sftp(remote),
            Err(error) => return Err(error),
        }
    }
    Ok(Box::new(commands::ByCommands::new(connector, remote, operation)))
}
