//! The content of a file from one end to the other, whole or not at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use super::fence::Fence;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{Carries, Change, Entry, Progress, RelPath, Summary};
use crate::report::{Finding, Subject, code};
use crate::run::Event;
use crate::time::Tick;
use crate::world::{Content, Control, Endpoint, World};

/// So often is a file read anew that changes while it is read.
const TRIES: usize = 3;

/// Both ends of a mirror that is under way.
pub(super) struct Copier<'a> {
    pub(super) source: Arc<dyn Endpoint>,
    pub(super) target: &'a dyn Endpoint,
    pub(super) carries: Carries,
    pub(super) fence: Arc<Fence>,
    pub(super) control: &'a Control,
    pub(super) meter: Meter<'a>,
}

/// What became of a file.
pub(super) enum Copied {
    /// The target has it as the source has it.
    Whole,
    /// It did not hold still; the target keeps what it had. Why, in words.
    Changed(&'static str),
}

impl Copier<'_> {
    /// Copies a file that was planned to arrive as `planned`. If the source has another by now, that one is copied.
    pub(super) async fn copy(&self, change: &Change, planned: &Entry) -> Result<Copied> {
        let path = &change.path;
        let mut expected = planned.clone();
        for _ in 0..TRIES {
            self.fence.hold().await?;
            let content = match self.source.read(path).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Copied::Changed("it was removed from the source"));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Refused) => {
                    return Ok(Copied::Changed("it is no file any more"));
                }
                content => content?,
            };
            let moved = Arc::new(AtomicBool::new(false));
            let checked = self.checked(path, &expected, content, Arc::clone(&moved));
            match self.target.write(path, &expected, Box::new(checked)).await {
                Ok(bytes) => {
                    self.meter.bytes.fetch_add(bytes, Ordering::Relaxed);
                    return Ok(Copied::Whole);
                }
                Err(error) if !moved.load(Ordering::Relaxed) => return Err(error),
                Err(_) => {}
            }
            match self.current(path).await? {
                Some(now) if now.is_file() => expected = now,
                Some(_) => return Ok(Copied::Changed("it is no file any more")),
                None => return Ok(Copied::Changed("it was removed from the source")),
            }
        }
        Ok(Copied::Changed("it changed every time it was read"))
    }

    /// Makes a change that moves no content, unless the target's host has become home.
    pub(super) async fn change(&self, change: Change) -> Result<()> {
        self.fence.hold().await?;
        self.target.change(&change).await
    }

    /// Whether the target already has what the source has now, whatever was planned.
    pub(super) async fn is_like_source(&self, path: &RelPath, there: Option<&Entry>) -> Result<bool> {
        let now = Change { path: path.clone(), from: None, to: self.current(path).await? };
        Ok(now.progress(there) == Progress::Done)
    }

    pub(super) fn report_changed(&self, path: &RelPath, why: &str) {
        let message = format!("{path} was left as it is on the target: {why}");
        self.control.emit(&Event::Found(Finding::new(
            code::MIRROR_FILE_CHANGED,
            Subject::new("file", path),
            message,
        )));
    }

    async fn current(&self, path: &RelPath) -> Result<Option<Entry>> {
        Ok(self.source.stat(path).await?.map(|entry| entry.as_carried(self.carries)))
    }

    fn checked(&self, path: &RelPath, expected: &Entry, content: Content, moved: Arc<AtomicBool>) -> Checked {
        let (source, path, carries) = (Arc::clone(&self.source), path.clone(), self.carries);
        let fence = Arc::clone(&self.fence);
        let expected = expected.clone();
        let expected_bytes = expected.size_bytes();
        let look = async move {
            // Everything has been read, and what was staged lands next.
            fence.hold().await?;
            let now = source.stat(&path).await?.map(|entry| entry.as_carried(carries));
            let is_same = |now: &Entry| {
                (now.size_bytes(), now.mtime_s, now.mtime_ns)
                    == (expected.size_bytes(), expected.mtime_s, expected.mtime_ns)
            };
            Ok(now.as_ref().is_some_and(is_same))
        };
        Checked { content, read_bytes: 0, expected_bytes, look: Some(Box::pin(look)), moved }
    }
}

type Look = Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

/// Content that ends in an error if the file did not hold still, or the target's host became home meanwhile: whoever writes it then
/// lets go of what was staged.
struct Checked {
    content: Content,
    read_bytes: u64,
    expected_bytes: u64,
    /// Whether the file is still what was expected; none once that is answered.
    look: Option<Look>,
    moved: Arc<AtomicBool>,
}

impl Checked {
    fn gave_way(&self) -> io::Error {
        self.moved.store(true, Ordering::Relaxed);
        io::Error::other(Error::new(ErrorKind::Busy, "read a file", "it changed while it was read"))
    }
}

impl AsyncRead for Checked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        if this.read_bytes < this.expected_bytes || this.look.is_some() {
            ready!(Pin::new(&mut this.content).poll_read(context, buffer))?;
        }
        let read = buffer.filled().len() - before;
        this.read_bytes += read as u64;
        if this.read_bytes > this.expected_bytes {
            return Poll::Ready(Err(this.gave_way()));
        }
        if read > 0 || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(look) = &mut this.look else { return Poll::Ready(Ok(())) };
        let is_same = ready!(look.as_mut().poll(context)).map_err(io::Error::other)?;
        this.look = None;
        if is_same && this.read_bytes == this.expected_bytes {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(this.gave_way()))
        }
    }
}

/// Tells how far a mirror has come, ten times a second at most.
pub(super) struct Meter<'a> {
    world: &'a World,
    control: &'a Control,
    paths: AtomicU64,
    pub(super) bytes: AtomicU64,
    all_paths: u64,
    all_bytes: u64,
    told: Mutex<Tick>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(world: &'a World, control: &'a Control, summary: &Summary, changes: &[Change]) -> Self {
        Self {
            world,
            control,
            paths: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            all_paths: changes.len() as u64,
            all_bytes: summary.bytes,
            told: Mutex::new(world.clock.read().boot),
        }
    }

    /// One more path is done.
    pub(super) fn count(&self) {
        self.paths.fetch_add(1, Ordering::Relaxed);
        let now = self.world.clock.read().boot;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*told) >= Duration::from_millis(100) {
            *told = now;
            drop(told);
            self.tell_all();
        }
    }

    pub(super) fn tell_all(&self) {
        let tell = |done: &AtomicU64, total, unit: &str| {
            self.control.emit(&Event::Progress {
                phase: "copy".into(),
                done: done.load(Ordering::Relaxed),
                total: Some(total),
                unit: unit.into(),
            });
        };
        tell(&self.paths, self.all_paths, "files");
        tell(&self.bytes, self.all_bytes, "bytes");
    }
}
