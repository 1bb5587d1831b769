//! By SFTP.

use async_trait::async_trait;

use super::super::{fault, session::Session};
use super::{Facts, Files, Kind, LIMIT_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::Room;
use crate::world::sftp::{Attrs, Client, FSYNC, Fault, POSIX_RENAME, Request, access, op, status};

/// The small files of one account, over one SFTP channel.
pub(super) struct BySftp {
    client: Client,
    operation: String,
}

impl BySftp {
    /// Opens a channel; `operation` is what it is for, in errors.
    pub(super) async fn open(session: &Session, operation: String) -> Result<Self> {
        Ok(Self { client: session.sftp().await?, operation })
    }

    async fn read_to_end(&self, handle: &[u8]) -> Result<Vec<u8>> {
        let (mut content, most) = (Vec::new(), self.client.limits.read);
        loop {
            let piece = self.client.read(handle, content.len() as u64, most).await;
            let piece = piece.map_err(|fault| self.failed(fault))?;
            content.extend_from_slice(&piece);
            if content.len() > LIMIT_BYTES {
                return Err(Error::new(
                    ErrorKind::Refused,
                    self.operation.as_str(),
                    "the file is larger than 32 MiB",
                ));
            }
            if piece.len() < most as usize {
                return Ok(content);
            }
        }
    }

    async fn fill(&self, handle: &[u8], content: &[u8], mode: u32) -> Result<(), Fault> {
        let most = self.client.limits.write as usize;
        let mut under_way = vec![];
        for (index, chunk) in content.chunks(most).enumerate() {
            let offset = (index * most) as u64;
            let write = Request::new(op::WRITE).string(handle).long(offset).string(chunk);
            under_way.push(self.client.send(write).await?);
        }
        for written in under_way {
            written.done().await?;
        }
        // The host's umask may have taken away what the mode gives.
        let set = Request::new(op::FSETSTAT).string(handle).attrs(&of_mode(mode));
        self.client.done(set).await?;
        // A server without the extension writes when it likes; the rename is still atomic.
        if self.client.offers(FSYNC) {
            self.client.done(Request::extended(FSYNC).string(handle)).await?;
        }
        Ok(())
    }

    /// Does what a request asks for, about this path.
    async fn done(&self, request: Request) -> Result<()> {
        self.client.done(request).await.map_err(|fault| self.failed(fault))
    }

    fn unless_missing<T>(&self, result: Result<T, Fault>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Status { code: status::NO_SUCH_FILE, .. }) => Ok(None),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn failed(&self, fault: Fault) -> Error {
        fault::sftp(self.operation.as_str(), fault)
    }
}

fn of_mode(mode: u32) -> Attrs {
    Attrs { mode: Some(mode), ..Attrs::default() }
}

/// A request about a path.
fn about(kind: u8, path: &str) -> Request {
    Request::new(kind).string(path.as_bytes())
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
        let open = about(op::OPEN, path).number(access::READ).attrs(&Attrs::default());
        let Some(handle) = self.unless_missing(self.client.handle(open).await)? else { return Ok(None) };
        let content = self.read_to_end(&handle).await;
        // Nothing is lost when a file that was only read cannot be closed.
        self.client.post(Request::new(op::CLOSE).string(&handle)).await;
        content.map(Some)
    }

    async fn create(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let flags = access::WRITE | access::CREATE | access::EXCLUSIVE;
        let open = about(op::OPEN, path).number(flags).attrs(&of_mode(mode));
        let handle = self.client.handle(open).await.map_err(|fault| self.failed(fault))?;
        let written = self.fill(&handle, content, mode).await;
        let closed = self.client.done(Request::new(op::CLOSE).string(&handle)).await;
        written.and(closed).map_err(|fault| self.failed(fault))
    }

    async fn rename_over(&self, from: &str, to: &str) -> Result<()> {
        if !self.client.offers(POSIX_RENAME) {
            let why = "the host's SFTP server cannot replace a file atomically";
            return Err(Error::new(ErrorKind::Unsupported, self.operation.as_str(), why)
                .hint("let sshd there use OpenSSH's own: Subsystem sftp internal-sftp"));
        }
        let [from, to] = [from, to].map(str::as_bytes);
        self.done(Request::extended(POSIX_RENAME).string(from).string(to)).await
    }

    async fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        self.done(about(op::RENAME, from).string(to.as_bytes())).await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.unless_missing(self.client.done(about(op::REMOVE, path)).await).map(|_| ())
    }

    async fn make_dir(&self, path: &str) -> Result<()> {
        match self.client.done(about(op::MKDIR, path).attrs(&of_mode(0o700))).await {
            // The host's umask may have taken away what its owner needs.
            Ok(()) => self.set_mode(path, 0o700).await,
            Err(fault) => match self.kind_of(path).await {
                // Somebody else made it at the same time.
                Ok(Some(Kind::Directory)) => Ok(()),
                _ => Err(self.failed(fault)),
            },
        }
    }

    async fn kind_of(&self, path: &str) -> Result<Option<Kind>> {
        let found = self.unless_missing(self.client.attrs(about(op::LSTAT, path)).await)?;
        Ok(found.map(|found| match found.mode.unwrap_or_default() & 0o170_000 {
            0o040_000 => Kind::Directory,
            0o100_000 => Kind::File,
            0o120_000 => Kind::Link,
            _ => Kind::Other,
        }))
    }

    async fn facts(&self, path: &str) -> Result<Option<Facts>> {
        let found = self.unless_missing(self.client.attrs(about(op::STAT, path)).await)?;
        Ok(found.map(|found| Facts { mode: found.mode, owner: found.owner }))
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        self.done(about(op::SETSTAT, path).attrs(&of_mode(mode))).await
    }

    async fn set_owner(&self, path: &str, uid: u32, gid: u32) -> Result<()> {
        let owner = Attrs { owner: Some((uid, gid)), ..Attrs::default() };
        self.done(about(op::SETSTAT, path).attrs(&owner)).await
    }

    async fn real_path(&self, path: &str) -> Result<String> {
        let found = self.client.real_path(path.as_bytes()).await.map_err(|fault| self.failed(fault))?;
        String::from_utf8(found).map_err(|_| {
            Error::new(ErrorKind::Unsupported, self.operation.as_str(), "a path on the way is not text")
        })
    }

    async fn room(&self, path: &str) -> Option<Room> {
        let mut at = path.trim_end_matches('/');
        loop {
            let asked = if at.is_empty() && path.starts_with('/') { "/" } else { at };
            if let Some(space) =
                self.client.space(if asked.is_empty() { b"." } else { asked.as_bytes() }).await
            {
                return Some(Room { bytes: space.bytes, inodes: space.inodes });
            }
            if at.is_empty() {
                return None;
            }
            at = at.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
}
