//! One SFTP channel: many requests under way at once, answers by their number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::wire::{self, Attrs, MAX_PACKET_BYTES, Reply, Request, op, status};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::wire::Fields;
use crate::world::agent::line::Crossed;

/// How long a server may take for one request: a loaded disk is slow, a dead one is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// So many requests wait for the line at most; whoever has more waits.
const QUEUED_REQUESTS: usize = 256;
/// What every server must take and give (draft, section 3).
const PLAIN_CHUNK_BYTES: u32 = 32 * 1024;
/// So many handles a server is trusted to have that does not say how many.
const PLAIN_HANDLES: usize = 64;

/// A channel that speaks SFTP.
pub(in crate::world) struct Client {
    queue: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Waiting>,
    tasks: [JoinHandle<()>; 2],
    extensions: Vec<Vec<u8>>,
    pub(in crate::world) limits: Limits,
    pub(in crate::world) crossed: Crossed,
}

/// What one request may ask for, in bytes, and how many handles may be open.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Limits {
    pub(in crate::world) read: u32,
    pub(in crate::world) write: u32,
    pub(in crate::world) handles: usize,
}

/// Who waits for which answer; none once the channel has ended.
struct Waiting(Mutex<Option<Slots>>);

#[derive(Default)]
struct Slots {
    next: u32,
    answers: HashMap<u32, oneshot::Sender<Reply>>,
}

/// What a server answered instead of what was asked for.
#[derive(Debug)]
pub(in crate::world) enum Fault {
    /// A status, with the server's own words.
    Status { code: u32, message: String },
    /// The channel ended.
    Lost,
    /// Nothing came in time.
    Silent,
    /// Something came that is no answer to the request.
    Protocol,
}

impl Client {
    /// Agrees on version 3 and on what may be asked for.
    pub(in crate::world) async fn open<S>(stream: S) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let (queue, requests) = mpsc::channel(QUEUED_REQUESTS);
        let waiting = Arc::new(Waiting(Mutex::new(Some(Slots::default()))));
        let (version, agreed) = oneshot::channel();
        let crossed = Crossed::default();
        let tasks = [
            tokio::spawn(send(writer, requests, crossed.clone())),
            tokio::spawn(receive(reader, Arc::clone(&waiting), version, crossed.clone())),
        ];
        let (read, write) = (PLAIN_CHUNK_BYTES, PLAIN_CHUNK_BYTES);
        let limits = Limits { read, write, handles: PLAIN_HANDLES };
        let mut client = Self { queue, waiting, tasks, extensions: vec![], limits, crossed };
        let _ = client.queue.send(Request::new(op::INIT).packet(3)).await;
        let extensions = match tokio::time::timeout(ANSWER_WITHIN, agreed).await {
            Ok(Ok(Reply::Version { extensions })) => extensions,
            Err(_) => return Err(Fault::Silent.error("begin SFTP")),
            Ok(_) => {
                let why = "the other side did not answer as an SFTP server does";
                return Err(Error::new(ErrorKind::Protocol, "begin SFTP", why).hint(
                    "check the line 'Subsystem sftp' in its sshd_config, and that its login shell prints nothing",
                ));
            }
        };
        client.extensions = extensions.into_iter().map(|(name, _)| name).collect();
        if client.offers("limits@openssh.com")
            && let Ok(Reply::Extended(said)) = client.ask(Request::extended("limits@openssh.com")).await
        {
            client.limits = limits_from(&said).unwrap_or(limits);
        }
        Ok(client)
    }

    /// Whether the server said that it knows an extension.
    pub(in crate::world) fn offers(&self, extension: &str) -> bool {
        self.extensions.iter().any(|name| name == extension.as_bytes())
    }

    /// Sends a request and waits for its answer.
    pub(in crate::world) async fn ask(&self, request: Request) -> Result<Reply, Fault> {
        self.send(request).await?.answer().await
    }

    /// Sends a request; its answer can be waited for later. What is sent one after the other is done one after the other.
    pub(in crate::world) async fn send(&self, request: Request) -> Result<Pending, Fault> {
        let (answer, pending) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
            let slots = waiting.as_mut().ok_or(Fault::Lost)?;
            slots.next = slots.next.wrapping_add(1);
            slots.answers.insert(slots.next, answer);
            slots.next
        };
        self.queue.send(request.packet(id)).await.map_err(|_| Fault::Lost)?;
        Ok(Pending(pending))
    }

    /// As [`Self::ask`], where the only good answer is "done".
    pub(in crate::world) async fn done(&self, request: Request) -> Result<(), Fault> {
        self.send(request).await?.done().await
    }

    pub(in crate::world) async fn handle(&self, request: Request) -> Result<Vec<u8>, Fault> {
        match self.ask(request).await? {
            Reply::Handle(handle) => Ok(handle),
            _ => Err(Fault::Protocol),
        }
    }

    pub(in crate::world) async fn attrs(&self, request: Request) -> Result<Attrs, Fault> {
        match self.ask(request).await? {
            Reply::Attrs(attrs) => Ok(attrs),
            _ => Err(Fault::Protocol),
        }
    }

    /// The names of an answer; none at the end.
    pub(in crate::world) async fn names(&self, request: Request) -> Result<Vec<(Vec<u8>, Attrs)>, Fault> {
        match self.ask(request).await {
            Ok(Reply::Names(names)) => Ok(names),
            Err(Fault::Status { code: status::EOF, .. }) => Ok(vec![]),
            Ok(_) => Err(Fault::Protocol),
            Err(fault) => Err(fault),
        }
    }

    /// Reads so much or up to the end: a server may give less than it was asked for.
    pub(in crate::world) async fn read(
        &self,
        handle: &[u8],
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        loop {
            let at = offset + bytes.len() as u64;
            let missing = length.saturating_sub(u32::try_from(bytes.len()).unwrap_or(length));
            if missing == 0 {
                return Ok(bytes);
            }
            match self.ask(Request::new(op::READ).string(handle).long(at).number(missing)).await {
                Ok(Reply::Data(data)) if !data.is_empty() && data.len() <= missing as usize => {
                    bytes.extend(data);
                }
                Err(Fault::Status { code: status::EOF, .. }) => return Ok(bytes),
                Ok(_) => return Err(Fault::Protocol),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The path with every symbolic link on it followed; it begins with a slash.
    pub(in crate::world) async fn real_path(&self, path: &[u8]) -> Result<Vec<u8>, Fault> {
        let names = self.names(Request::new(op::REALPATH).string(path)).await?;
        let first = names.into_iter().next().map(|(name, _)| name);
        first.filter(|name| name.starts_with(b"/")).ok_or(Fault::Protocol)
    }

    /// What is free around a path, by OpenSSH's `statvfs`; none if the server cannot say.
    pub(in crate::world) async fn space(&self, path: &[u8]) -> Option<Space> {
        if !self.offers("statvfs@openssh.com") {
            return None;
        }
        let asked = Request::extended("statvfs@openssh.com").string(path);
        match self.ask(asked).await {
            Ok(Reply::Extended(said)) => Space::from_bytes(&said),
            _ => None,
        }
    }

    /// Sends a request whose answer nobody needs.
    pub(in crate::world) async fn post(&self, request: Request) {
        let _ = self.send(request).await;
    }
}

/// What statvfs says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) struct Space {
    /// Bytes that this account may still write.
    pub(in crate::world) bytes: u64,
    /// Files that may still be made; none where there is no such limit.
    pub(in crate::world) inodes: Option<u64>,
    pub(in crate::world) file_system: u64,
    pub(in crate::world) is_read_only: bool,
}

impl Space {
    fn from_bytes(said: &[u8]) -> Option<Self> {
        let mut fields = Fields(said);
        let mut numbers = [0; 10];
        for number in &mut numbers {
            *number = fields.u64()?;
        }
        let [_, block_bytes, _, _, blocks_available, inodes, _, inodes_available, file_system, flags] =
            numbers;
        let bytes = blocks_available.saturating_mul(block_bytes);
        // File systems without a fixed number of inodes say 0 of 0.
        let inodes = (inodes > 0).then_some(inodes_available);
        Some(Self { bytes, inodes, file_system, is_read_only: flags & 1 != 0 })
    }

    pub(in crate::world) fn is_full(&self) -> bool {
        self.bytes == 0 || self.inodes == Some(0)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The sender stops when the queue is gone; a receiver that still waits for a server would not.
        self.tasks[1].abort();
    }
}

/// An answer that is on its way.
pub(in crate::world) struct Pending(oneshot::Receiver<Reply>);

impl Pending {
    pub(in crate::world) async fn answer(self) -> Result<Reply, Fault> {
        match tokio::time::timeout(ANSWER_WITHIN, self.0).await {
            Err(_) => Err(Fault::Silent),
            Ok(Err(_)) => Err(Fault::Lost),
            Ok(Ok(Reply::Status { code, message })) if code != status::OK => {
                Err(Fault::Status { code, message })
            }
            Ok(Ok(reply)) => Ok(reply),
        }
    }

    pub(in crate::world) async fn done(self) -> Result<(), Fault> {
        match self.answer().await? {
            Reply::Status { .. } => Ok(()),
            _ => Err(Fault::Protocol),
        }
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, mut requests: mpsc::Receiver<Vec<u8>>, crossed: Crossed) {
    let mut batch = Vec::new();
    while let Some(request) = requests.recv().await {
        batch.extend_from_slice(&request);
        // Small requests that wait together travel together.
        while batch.len() < MAX_PACKET_BYTES {
            let Ok(request) = requests.try_recv() else { break };
            batch.extend_from_slice(&request);
        }
        if writer.write_all(&batch).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        crossed.add(batch.len());
        batch.clear();
    }
    let _ = writer.shutdown().await;
}

/// Hands out answers until the channel ends, or what comes is not SFTP; then everybody who waits is told.
async fn receive(
    mut reader: impl AsyncRead + Unpin,
    waiting: Arc<Waiting>,
    version: oneshot::Sender<Reply>,
    crossed: Crossed,
) {
    let mut version = Some(version);
    while let Some((id, reply)) = next_reply(&mut reader, &crossed).await {
        if matches!(reply, Reply::Version { .. }) {
            let Some(version) = version.take() else { break };
            let _ = version.send(reply);
            continue;
        }
        let mut waiting = waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = waiting.as_mut().and_then(|slots| slots.answers.remove(&id));
        drop(waiting);
        let Some(answer) = answer else { break };
        // Whoever asked may have gone.
        let _ = answer.send(reply);
    }
    *waiting.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

async fn next_reply(reader: &mut (impl AsyncRead + Unpin), crossed: &Crossed) -> Option<(u32, Reply)> {
    let length = usize::try_from(reader.read_u32().await.ok()?).ok()?;
    if !(5..=MAX_PACKET_BYTES).contains(&length) {
        return None;
    }
    let mut packet = vec![0; length];
    reader.read_exact(&mut packet).await.ok()?;
    crossed.add(4 + length);
    wire::parse(&packet)
}

/// The answer to `limits@openssh.com`: packet, read and write length, and handles; zero means "not said".
fn limits_from(said: &[u8]) -> Option<Limits> {
    let mut fields = Fields(said);
    let [packet, read, write, handles] = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    let packet = if packet == 0 { u64::from(PLAIN_CHUNK_BYTES) + 1024 } else { packet };
    // Room for the request around the data.
    let most = packet.min(MAX_PACKET_BYTES as u64).saturating_sub(1024).max(1024);
    let limit = |said: u64| {
        let said = if said == 0 { u64::from(PLAIN_CHUNK_BYTES) } else { said };
        u32::try_from(said.min(most)).unwrap_or(PLAIN_CHUNK_BYTES)
    };
    let handles = if handles == 0 { PLAIN_HANDLES } else { usize::try_from(handles).unwrap_or(usize::MAX) };
    Some(Limits { read: limit(read), write: limit(write), handles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_counts_in_blocks_and_files() {
        let said = |numbers: [u64; 11]| Space::from_bytes(&numbers.map(u64::to_be_bytes).concat()).unwrap();
        let disk = said([4096, 512, 900, 80, 70, 60, 50, 40, 7, 1, 255]);
        assert_eq!(disk, Space { bytes: 70 * 512, inodes: Some(40), file_system: 7, is_read_only: true });
        assert!(!disk.is_full());
        assert!(said([4096, 512, 900, 80, 70, 60, 50, 0, 7, 0, 255]).is_full(), "no file can be made");
        assert_eq!(said([4096, 512, 900, 80, 70, 0, 0, 0, 7, 0, 255]).inodes, None);
        assert_eq!(Space::from_bytes(&[0; 79]), None);
    }

    #[test]
    fn what_a_server_does_not_say_is_not_asked_too_much_of() {
        let said = |numbers: [u64; 4]| limits_from(&numbers.map(u64::to_be_bytes).concat()).unwrap();
        let openssh = said([262_144, 261_120, 261_120, 1019]);
        assert_eq!((openssh.read, openssh.write, openssh.handles), (261_120, 261_120, 1019));
        let silent = said([0; 4]);
        assert_eq!((silent.read, silent.write, silent.handles), (32 * 1024, 32 * 1024, PLAIN_HANDLES));
        let boaster = said([u64::MAX; 4]);
        assert!(boaster.read as usize <= MAX_PACKET_BYTES, "{boaster:?}");
        assert!(limits_from(&[0; 31]).is_none());
    }
}
