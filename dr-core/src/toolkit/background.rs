//! Work that goes on beside its caller, on a thread of its own: for languages that wait in a way of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocking::Counted;
use super::call::not_too_long;
use super::{Toolkit, blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::run::Event;
use crate::world::{Cancel, Control};

/// What a debug build needs for the deepest of its futures; only what is touched is ever taken.
const STACK_BYTES: usize = 16 << 20;

/// One call on a thread of its own. The thread knows nothing of who waits: it queues what happens and calls `wake`; the caller comes
/// and takes. Nothing but that thread stands behind it, so there is nothing to be set up, shut down or mended after a fork.
///
/// Dropped before it is done, the work is cancelled, and nobody waits for it.
///
/// ```
/// use std::sync::mpsc;
/// use dr_core::toolkit::Background;
/// let (woken, wait) = mpsc::channel();
/// let call = Background::call("", "list_runs", "{}", None, move || woken.send(()).unwrap()).unwrap();
/// wait.recv().unwrap();
/// let (events, done) = call.take();
/// assert!(events.is_empty());
/// assert_eq!(done.unwrap().unwrap(), r#"{"runs":[]}"#);
/// ```
pub struct Background {
    shared: Arc<Shared>,
    cancel: Cancel,
}

struct Shared {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    done: Option<Result<String>>,
    is_over: bool,
}

impl Background {
    /// Opens a toolkit by `settings` and calls an operation, as [`Toolkit::open_json`] and [`Toolkit::call_json`] have them. `token` is
    /// the caller's own way to stop it, looked at every 50 ms; one token may stop many calls. `wake` is called from other threads,
    /// whenever there is something to be taken that was not there before: it must do no more than wake somebody.
    ///
    /// Errors: the system gives no thread.
    pub fn call(
        settings: &str,
        operation: &str,
        request: &str,
        token: Option<Cancel>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        if let Err(too_long) = not_too_long(&format!("the request of {operation:.40}"), request) {
            return Self::start(move |_| Err(too_long), wake);
        }
        let [settings, operation, request] = [settings, operation, request].map(str::to_owned);
        let work = move |control: &Control| {
            let toolkit = Toolkit::open_json(&settings)?;
            let go_on = || !token.as_ref().is_some_and(Cancel::is_cancelled);
            blocking(toolkit.call_json(&operation, &request, control), control, go_on)
        };
        Self::start(work, wake)
    }

    fn start(
        work: impl FnOnce(&Control) -> Result<String> + Send + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Box::new(wake) });
        let sink = Arc::clone(&shared);
        let control = Control::new(move |event| sink.queue(event));
        let cancel = control.cancel.clone();
        let ours = Arc::clone(&shared);
        let counted = Counted::new();
        let run = move || {
            let _counted = counted;
            let done = guarded(|| work(&control));
            drop(control);
            ours.finish(done);
        };
        std::thread::Builder::new()
            .name("dr".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(run)
            .map_err(|why| Error::io("start a thread", why))?;
        Ok(Self { shared, cancel })
    }

    /// What happened since the last time; and once, when it is over, what came of it. Of progress only the latest is kept.
    #[must_use]
    pub fn take(&self) -> (Vec<Event>, Option<Result<String>>) {
        let mut state = self.shared.lock();
        (std::mem::take(&mut state.events), state.done.take())
    }

    /// Stops the work: soon it is over, with what it says then.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Background {{ is_over: {} }}", self.shared.lock().is_over)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, event: &Event) {
        let mut state = self.lock();
        let was_empty = state.events.is_empty();
        match (state.events.last_mut(), event) {
            (Some(last), event) if same_progress(last, event) => last.clone_from(event),
            _ => state.events.push(event.clone()),
        }
        drop(state);
        if was_empty {
            (self.wake)();
        }
    }

    fn finish(&self, done: Result<String>) {
        let mut state = self.lock();
        state.done = Some(done);
        state.is_over = true;
        drop(state);
        (self.wake)();
    }
}

/// Whoever is slow sees the latest of it, and the queue stays short.
fn same_progress(last: &Event, next: &Event) -> bool {
    matches!((last, next), (Event::Progress { phase: a, unit: b, .. }, Event::Progress { phase: c, unit: d, .. })
        if a == c && b == d)
}

/// Runs `work`; a panic in it is a defect of ours, and an error like any other for the caller.
///
/// ```
/// use dr_core::{ErrorKind, toolkit::guarded};
/// let empty: [u8; 0] = [];
/// let error = guarded(|| Ok(empty[std::hint::black_box(0)])).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Internal);
/// ```
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal, "finish the call", "the library panicked")
            .hint("this is a defect in dr; please report it with what stands on standard error"))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn started(
        work: impl FnOnce(&Control) -> Result<String> + Send + 'static,
    ) -> (Background, mpsc::Receiver<()>) {
        let (woken, wait) = mpsc::channel();
        let wake = move || {
            let _ = woken.send(());
        };
        (Background::start(work, wake).unwrap(), wait)
    }

    fn result(call: &Background, wait: &mpsc::Receiver<()>) -> (Vec<Event>, Result<String>) {
        let mut all = vec![];
        loop {
            wait.recv_timeout(Duration::from_secs(20)).unwrap();
            let (events, done) = call.take();
            all.extend(events);
            if let Some(done) = done {
                return (all, done);
            }
        }
    }

    fn progress(done: u64) -> Event {
        Event::Progress { phase: "copy".into(), done, total: Some(9), unit: "files".into() }
    }

    #[test]
    fn what_happens_is_taken_in_order_and_progress_is_only_the_latest() {
        let (go, gate) = mpsc::channel();
        let (call, wait) = started(move |control| {
            gate.recv().unwrap();
            (1..=9).for_each(|done| control.emit(&progress(done)));
            control.emit(&Event::Note { message: "nearly".into() });
            control.emit(&progress(9));
            Ok("{}".into())
        });
        go.send(()).unwrap();
        // Only once everything is there is it looked at.
        while !call.shared.lock().is_over {
            wait.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        let (events, done) = call.take();
        assert_eq!(events, [progress(9), Event::Note { message: "nearly".into() }, progress(9)]);
        assert_eq!(done.unwrap().unwrap(), "{}");
        assert!(call.take().1.is_none(), "it is given once");
    }

    #[test]
    fn a_panic_is_an_error_and_dropping_cancels() {
        let (call, wait) = started(|_| panic!("on purpose"));
        assert_eq!(result(&call, &wait).1.unwrap_err().kind(), ErrorKind::Internal);
        let forever = |control: &Control| {
            blocking(control.run("wait", std::future::pending::<Result<String>>()), control, || true)
        };
        let (call, wait) = started(forever);
        call.cancel();
        assert_eq!(result(&call, &wait).1.unwrap_err().kind(), ErrorKind::Cancelled);
        let (call, wait) = started(forever);
        let shared = Arc::clone(&call.shared);
        drop(call);
        wait.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(shared.lock().is_over);
    }
}
