//! By SFTP.

use async_trait::async_trait;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, FileType, OpenFlags, Packet, StatusCode};

use super::super::{fault, session::Session};
use super::{Facts, Files, Kind, LIMIT_BYTES};
use crate::error::{Error, ErrorKind, Result};

/// What one request carries; every server takes this much (draft-ietf-secsh-filexfer-02 section 3).
const CHUNK_BYTES: usize = 32 << 10;

/// The small files of one account, over one SFTP channel.
pub(super) struct BySftp {
    sftp: RawSftpSession,
    operation: String,
}

impl BySftp {
    /// Opens a channel; `operation` is what it is for, in errors.
    pub(super) async fn open(session: &Session, operation: String) -> Result<Self> {
        Ok(Self { sftp: session.sftp().await?, operation })
    }

    async fn read_to_end(&self, handle: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            match self.sftp.read(handle, content.len() as u64, CHUNK_BYTES as u32).await {
                Ok(piece) => content.extend_from_slice(&piece.data),
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Ok(content);
                }
                Err(error) => return Err(self.failed(error)),
            }
            if content.len() > LIMIT_BYTES {
                return Err(Error::new(
                    ErrorKind::Refused,
                    self.operation.as_str(),
                    "the file is larger than 32 MiB",
                ));
            }
        }
    }

    async fn fill(&self, handle: &str, content: &[u8], attributes: FileAttributes) -> Result<()> {
        for (index, chunk) in content.chunks(CHUNK_BYTES).enumerate() {
            let offset = (index * CHUNK_BYTES) as u64;
            self.sftp.write(handle, offset, chunk.to_vec()).await.map_err(|error| self.failed(error))?;
        }
        // The host's umask may have taken away what the mode gives.
        self.sftp.fsetstat(handle, attributes).await.map_err(|error| self.failed(error))?;
        match self.sftp.fsync(handle).await {
            Ok(_) => Ok(()),
            // A server without the extension writes when it likes; the rename is still atomic.
            Err(SftpError::Status(status)) if status.status_code == StatusCode::OpUnsupported => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn unless_missing<T>(&self, result: Result<T, SftpError>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: SftpError) -> Error {
        fault::sftp(self.operation.as_str(), error)
    }
}

#[async_trait]
impl Files for BySftp {
    fn operation(&self) -> &str {
        &self.operation
    }

    async fn home(&self) -> Result<String> {
        self.real_path(".").await
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let opened = self.sftp.open(path, OpenFlags::READ, FileAttributes::empty()).await;
        let Some(handle) = self.unless_missing(opened)? else { return Ok(None) };
        let content = self.read_to_end(&handle.handle).await;
        // Nothing is lost when a file that was only read cannot be closed.
        let _ = self.sftp.close(handle.handle).await;
        content.map(Some)
    }

    async fn create(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let attributes = FileAttributes { permissions: Some(mode), ..FileAttributes::empty() };
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        let opened = self.sftp.open(path, flags, attributes.clone()).await;
        let handle = opened.map_err(|error| self.failed(error))?.handle;
        let written = self.fill(&handle, content, attributes).await;
        let closed = self.sftp.close(handle).await;
        written?;
        closed.map(drop).map_err(|error| self.failed(error))
    }

    async fn rename_over(&self, from: &str, to: &str) -> Result<()> {
        let mut names = Vec::with_capacity(8 + from.len() + to.len());
        for name in [from, to] {
            names.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes());
            names.extend_from_slice(name.as_bytes());
        }
        match self.sftp.extended("posix-rename@openssh.com", names).await {
            Ok(Packet::Status(status)) if status.status_code == StatusCode::Ok => Ok(()),
            Ok(Packet::Status(status)) if status.status_code == StatusCode::OpUnsupported => Err(Error::new(
                ErrorKind::Unsupported,
                self.operation.as_str(),
                "the host's SFTP server cannot replace a file atomically",
            )
            .hint("let sshd there use OpenSSH's own: Subsystem sftp internal-sftp")),
            Ok(Packet::Status(status)) => Err(self.failed(SftpError::Status(status))),
            Ok(_) => Err(self.failed(SftpError::UnexpectedPacket)),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        self.sftp.rename(from, to).await.map(|_| ()).map_err(|error| self.failed(error))
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let removed = self.sftp.remove(path).await;
        self.unless_missing(removed).map(|_| ())
    }

    async fn make_dir(&self, path: &str) -> Result<()> {
        let private = FileAttributes { permissions: Some(0o700), ..FileAttributes::empty() };
        match self.sftp.mkdir(path, private).await {
            // The host's umask may have taken away what its owner needs.
            Ok(_) => self.set_mode(path, 0o700).await,
            Err(error) => match self.kind_of(path).await {
                // Somebody else made it at the same time.
                Ok(Some(Kind::Directory)) => Ok(()),
                _ => Err(self.failed(error)),
            },
        }
    }

    async fn kind_of(&self, path: &str) -> Result<Option<Kind>> {
        let found = self.sftp.lstat(path).await;
        Ok(self.unless_missing(found)?.map(|found| match found.attrs.file_type() {
            FileType::Dir => Kind::Directory,
            FileType::File => Kind::File,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        }))
    }

    async fn facts(&self, path: &str) -> Result<Option<Facts>> {
        let found = self.sftp.stat(path).await;
        Ok(self.unless_missing(found)?.map(|found| Facts {
            mode: found.attrs.permissions,
            owner: found.attrs.uid.zip(found.attrs.gid),
        }))
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        let attributes = FileAttributes { permissions: Some(mode), ..FileAttributes::empty() };
        self.sftp.setstat(path, attributes).await.map(|_| ()).map_err(|error| self.failed(error))
    }

    async fn set_owner(&self, path: &str, uid: u32, gid: u32) -> Result<()> {
        let attributes = FileAttributes { uid: Some(uid), gid: Some(gid), ..FileAttributes::empty() };
        self.sftp.setstat(path, attributes).await.map(|_| ()).map_err(|error| self.failed(error))
    }

    async fn real_path(&self, path: &str) -> Result<String> {
        let found = self.sftp.realpath(path).await.map_err(|error| self.failed(error))?;
        let first = found.files.into_iter().next();
        first.map(|file| file.filename).ok_or_else(|| self.failed(SftpError::UnexpectedPacket))
    }
}
