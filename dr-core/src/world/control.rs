//! How a caller follows long work and stops it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::run::Event;

/// Stops work from another task or thread. Clones share one state; once cancelled, always cancelled.
///
/// ```
/// use dr_core::world::Cancel;
/// let cancel = Cancel::new();
/// cancel.clone().cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Cancel {
    /// Not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Stops the work.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is stopped.
    pub async fn cancelled(&self) {
        // The sender lives as long as self, so the only way out is the value.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

/// What accompanies every piece of long work: where its events go, and how it is stopped.
///
/// ```
/// use dr_core::run::Event;
/// use dr_core::world::Control;
/// let control = Control::new(|event: &Event| { let _ = event; });
/// control.emit(&Event::Note { message: "begun".into() });
/// assert!(control.check("mirror shop").is_ok());
/// control.cancel.cancel();
/// assert!(control.check("mirror shop").is_err());
/// ```
#[derive(Clone)]
pub struct Control {
    /// Stops the work.
    pub cancel: Cancel,
    sink: Arc<dyn Fn(&Event) + Send + Sync>,
}

impl Control {
    /// Events go to `sink`, from whatever task they arise in.
    pub fn new(sink: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { cancel: Cancel::new(), sink: Arc::new(sink) }
    }

    /// Events go nowhere.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Hands an event to the caller.
    pub fn emit(&self, event: &Event) {
        (self.sink)(event);
    }

    /// An error of kind `Cancelled` if the work was stopped.
    pub fn check(&self, operation: &str) -> Result<()> {
        if self.cancel.is_cancelled() { Err(cancelled(operation)) } else { Ok(()) }
    }

    /// Runs `work` until it is done or stopped.
    pub async fn run<T>(&self, operation: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled(operation)),
            done = work => done,
        }
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control {{ cancelled: {} }}", self.cancel.is_cancelled())
    }
}

fn cancelled(operation: &str) -> Error {
    Error::new(ErrorKind::Cancelled, operation, "it was cancelled")
        .hint("nothing half-done is visible; run it again to go on")
}
