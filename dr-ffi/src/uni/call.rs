//! One call: who hears of it, who may stop it, and the future that the foreign side polls.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use dr_core::run::Event;
use dr_core::toolkit::Background;
use dr_core::world::Cancel;
use dr_core::{Error, ErrorKind, Result};

/// Hears what happens during a call: on the thread that awaits it, and never after the call is over or was given up.
#[uniffi::export(with_foreign)]
pub trait Listener: Send + Sync {
    /// Something happened. Whatever is thrown stops the call, which then fails as cancelled.
    fn happened(&self, event: Event) -> std::result::Result<(), Stop>;
}

/// Thrown by a [`Listener`] that wants no more of it.
#[derive(Debug, uniffi::Error)]
pub enum Stop {
    /// It was asked for.
    Asked,
    /// Something else was thrown.
    Failed {
        /// What.
        why: String,
    },
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked => f.write_str("the callback asked for it"),
            Self::Failed { why } => write!(f, "the callback failed: {why}"),
        }
    }
}

impl std::error::Error for Stop {}

impl From<uniffi::UnexpectedUniFFICallbackError> for Stop {
    fn from(thrown: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { why: thrown.reason }
    }
}

/// Stops the calls that were given it, from any thread; once cancelled, always cancelled.
#[derive(Debug, uniffi::Object)]
pub struct CancelToken(Cancel);

#[uniffi::export]
impl CancelToken {
    /// A token that stops nothing yet.
    #[uniffi::constructor]
    #[allow(clippy::new_without_default, reason = "foreign code cannot call a Default")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Cancel::new()))
    }

    /// Stops them: they fail as cancelled soon.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// How long the end of a call waits for threads of ours to come back from the foreign side. Microseconds, unless that side's one lock is held by
/// whoever waits here.
const PATIENCE: Duration = Duration::from_millis(50);

/// Wakes whoever waits, and knows which threads of ours are on the foreign side to do so.
#[derive(Default)]
struct Bell {
    state: Mutex<Ringing>,
    quiet: Condvar,
}

#[derive(Default)]
struct Ringing {
    waiting: Option<Waker>,
    threads: Vec<ThreadId>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Ringing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let me = std::thread::current().id();
        let mut state = self.lock();
        let Some(waiting) = state.waiting.take() else { return };
        state.threads.push(me);
        drop(state);
        // Not under the lock: whoever is woken may poll at once, and on this very thread.
        waiting.wake();
        self.lock().threads.retain(|thread| *thread != me);
        self.quiet.notify_all();
    }

    /// Nobody is woken any more, and nobody is still being woken by another thread: an interpreter that ends after its last call is not
    /// left with a thread of ours inside it, which it would kill, and the process with it.
    fn hush(&self) {
        let me = std::thread::current().id();
        let mut state = self.lock();
        state.waiting = None;
        let rings = |state: &mut Ringing| state.threads.iter().any(|thread| *thread != me);
        // Whether it is quiet by then or not, this side goes on.
        drop(self.quiet.wait_timeout_while(state, PATIENCE, rings));
    }
}

/// A call under way. Dropped, the work is cancelled, and nobody is woken any more.
pub(super) struct Call {
    work: Background,
    bell: Arc<Bell>,
    progress: Option<Arc<dyn Listener>>,
    operation: String,
    /// Why a callback wanted no more.
    stopped: Option<Stop>,
}

impl Call {
    pub(super) fn start(
        settings: &str,
        operation: &str,
        request: &str,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Self> {
        let bell = Arc::new(Bell::default());
        let ours = Arc::clone(&bell);
        let token = cancel.map(|token| token.0.clone());
        let work = Background::call(settings, operation, request, token, move || ours.ring())?;
        Ok(Self { work, bell, progress, operation: operation.to_owned(), stopped: None })
    }

    /// Hands on what has happened, on the thread that polls.
    fn tell(&mut self, events: Vec<Event>) {
        let Some(progress) = &self.progress else { return };
        for event in events {
            if self.stopped.is_none()
                && let Err(stop) = progress.happened(event)
            {
                self.stopped = Some(stop);
                self.work.cancel();
            }
        }
    }

    /// What came of it; where a callback stopped it, that is an error, which says what the callback said.
    fn result(&mut self, done: Result<String>) -> Result<String> {
        let Some(stop) = self.stopped.take() else { return done };
        let subject = match &done {
            Err(error) if error.kind() != ErrorKind::Cancelled => return done,
            Err(error) => error.operation().to_owned(),
            // It stopped where it could, or was done before it heard of it.
            Ok(_) => format!("finish {}", self.operation),
        };
        Err(Error::new(ErrorKind::Cancelled, subject, stop.to_string())
            .hint("list_runs says how far it came"))
    }
}

impl Future for Call {
    type Output = Result<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Before looking: what comes later wakes again.
        self.bell.lock().waiting = Some(context.waker().clone());
        let (events, done) = self.work.take();
        self.tell(events);
        match done {
            Some(done) => {
                self.bell.hush();
                Poll::Ready(self.result(done))
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.bell.hush();
    }
}
