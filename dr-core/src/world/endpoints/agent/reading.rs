//! A file's content out of a line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::{Error, Result};
use crate::mirror::Piece;
use crate::mirror::wire::{Content, Reply};
use crate::world::agent::line::{Receiving, Said, as_result};

/// No piece of a pack is longer.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// The content of a file as it comes, until its end is said. The end of the line is an error.
pub(in crate::world) struct Reading {
    receiving: Receiving,
    ready: Bytes,
    is_over: bool,
}

impl Reading {
    /// `ready` came already.
    pub(in crate::world) fn new(receiving: Receiving, ready: Bytes) -> Self {
        Self { receiving, ready, is_over: false }
    }

    /// With the first of it; an error if there is none to read.
    pub(super) async fn begin(mut receiving: Receiving) -> Result<Self> {
        loop {
            let said = receiving.next().await;
            match said {
                Some(Said::Event(_)) => {}
                said => {
                    let mut reading = Self::new(receiving, Bytes::new());
                    reading.hear(said)?;
                    return Ok(reading);
                }
            }
        }
    }

    fn hear(&mut self, said: Option<Said>) -> Result<()> {
        match said {
            Some(Said::Pack { content, unpacked }) => {
                let parts: Vec<Content> = self.receiving.unpack(content, unpacked)?;
                self.ready = match <[Content; 1]>::try_from(parts) {
                    Ok([Content(bytes)]) => bytes,
                    Err(parts) => parts.into_iter().flat_map(|part| part.0).collect(),
                };
                Ok(())
            }
            Some(Said::Last) => {
                self.is_over = true;
                Ok(())
            }
            Some(Said::Reply(reply)) => {
                self.is_over = true;
                as_result(self.receiving.value::<Reply>(reply)?).map(drop)
            }
            Some(Said::Event(_)) => Ok(()),
            None => Err(self.receiving.lost()),
        }
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.is_empty() && !self.is_over {
            let Poll::Ready(said) = self.receiving.poll_next(context) else { return Poll::Pending };
            if let Err(error) = self.hear(said) {
                return Poll::Ready(Err(io::Error::other(error)));
            }
        }
        let count = self.ready.len().min(buffer.remaining());
        buffer.put_slice(&self.ready[..count]);
        self.ready.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// Pieces that fit into a frame.
pub(in crate::world) fn split(piece: Piece) -> Vec<Piece> {
    match piece {
        Piece::Data { file, mut offset, mut bytes } if bytes.len() > PIECE_BYTES_MAX => {
            let mut pieces = vec![];
            while !bytes.is_empty() {
                let part = bytes.split_to(bytes.len().min(PIECE_BYTES_MAX));
                let next = offset + part.len() as u64;
                pieces.push(Piece::Data { file, offset, bytes: part });
                offset = next;
            }
            pieces
        }
        piece => vec![piece],
    }
}

/// What a client's errors have in common.
pub(super) fn unexpected(operation: String) -> Error {
    Error::new(crate::ErrorKind::Protocol, operation, "the agent answered something else")
}
