//! The content of a file, with many reads under way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncRead, ReadBuf};

use super::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::RelPath;
use crate::world::Content;
use crate::world::sftp::{Attrs, Client, Fault, Reply, Request, access, op};

/// So many reads of one file are sent before the first is answered.
const READS_AT_ONCE: usize = 16;

/// A handle that is closed when nobody needs it any more.
struct Open {
    tree: Arc<Tree>,
    client: usize,
    handle: Vec<u8>,
}

impl Open {
    fn client(&self) -> &Client {
        &self.tree.clients[self.client]
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (tree, client) = (Arc::clone(&self.tree), self.client);
        let request = Request::new(op::CLOSE).string(&self.handle);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { tree.clients[client].post(request).await });
        }
    }
}

impl Tree {
    /// The content of a regular file. Small ones come with the answer to one request.
    pub(super) async fn content(self: &Arc<Self>, path: &RelPath) -> Result<Content> {
        self.way(path).await?;
        let trouble = |fault| self.trouble("read", path, fault);
        let turn = self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % self.clients.len();
        let client = &self.clients[turn];
        let full = self.full(path);
        // Both are on their way at once; what is opened is used only if it was a regular file a moment before.
        let look = client.send(Request::new(op::LSTAT).string(&full)).await.map_err(trouble)?;
        let open = Request::new(op::OPEN).string(&full).number(access::READ).attrs(&Attrs::default());
        let opened = client.handle(open).await;
        let Reply::Attrs(attrs) = look.answer().await.map_err(trouble)? else {
            return Err(trouble(Fault::Protocol));
        };
        let open = Open { tree: Arc::clone(self), client: turn, handle: opened.map_err(trouble)? };
        let is_file = attrs.mode.is_some_and(|mode| mode & 0o170_000 == 0o100_000);
        let Some(size_bytes) = attrs.size.filter(|_| is_file) else {
            let operation = self.named("read", path);
            return Err(Error::new(ErrorKind::Conflict, operation, "it is no regular file any more"));
        };
        let chunk = client.limits.read;
        if size_bytes <= u64::from(chunk) {
            let length = u32::try_from(size_bytes).unwrap_or(chunk);
            let bytes = client.read(&open.handle, 0, length).await.map_err(trouble)?;
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        let (open, tree, path) = (Arc::new(open), Arc::clone(self), path.clone());
        let offsets = (0..size_bytes).step_by(chunk as usize);
        let chunks = stream::iter(offsets)
            .map(move |offset| {
                let (open, tree, path) = (Arc::clone(&open), Arc::clone(&tree), path.clone());
                let length = u32::try_from(size_bytes - offset).unwrap_or(chunk).min(chunk);
                async move {
                    let read = open.client().read(&open.handle, offset, length).await;
                    read.map_err(|fault| io::Error::other(tree.trouble("read", &path, fault)))
                }
            })
            .buffered(READS_AT_ONCE);
        Ok(Box::new(Chunks { chunks: Box::pin(chunks), chunk: vec![], at: 0 }))
    }
}

type ChunkStream = Pin<Box<dyn Stream<Item = io::Result<Vec<u8>>> + Send>>;

/// Pieces of a file, read in order.
struct Chunks {
    chunks: ChunkStream,
    chunk: Vec<u8>,
    at: usize,
}

impl AsyncRead for Chunks {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.at == self.chunk.len() {
            match ready!(self.chunks.as_mut().poll_next(context)) {
                None => return Poll::Ready(Ok(())),
                Some(chunk) => {
                    self.chunk = chunk?;
                    self.at = 0;
                }
            }
        }
        let rest = &self.chunk[self.at..];
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.at += taken;
        Poll::Ready(Ok(()))
    }
}
