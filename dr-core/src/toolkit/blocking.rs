//! The verbs for callers without a runtime: C, Python, a plain `main`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::world::Control;

/// How often a caller is asked whether it still wants the answer.
const PULSE: Duration = Duration::from_millis(50);

/// Threads that help a call with what would block it, and calls that go on beside their caller.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread of the library as long as it is kept.
pub(super) struct Counted;

impl Counted {
    pub(super) fn new() -> Self {
        THREADS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until no thread of [`blocking`] calls and of calls in the background runs any more, for so long at most; whether that is so. For
/// whoever is about to unload the library.
///
/// ```
/// use dr_core::toolkit::quiesce;
/// assert!(quiesce(std::time::Duration::from_secs(10)));
/// ```
#[must_use]
pub fn quiesce(within: Duration) -> bool {
    let begun = Instant::now();
    while THREADS.load(Ordering::SeqCst) > 0 {
        if begun.elapsed() >= within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Runs a verb to its end on the calling thread, which needs no runtime of its own. Every 50 ms `pulse` is asked whether to go
/// on; when it says no, the work is cancelled, and what it returns then is returned here.
///
/// Nothing outlives the call but a thread that the system keeps in a system call ([`quiesce`] waits for those). So it may be used before and after a fork.
///
/// ```
/// use dr_core::toolkit::blocking;
/// use dr_core::world::Control;
/// let control = Control::silent();
/// let work = control.run("wait", async {
///     std::future::pending::<()>().await;
///     Ok(())
/// });
/// let error = blocking(work, &control, || false).unwrap_err();
/// assert_eq!(error.kind(), dr_core::ErrorKind::Cancelled);
/// ```
pub fn blocking<T>(
    work: impl Future<Output = Result<T>>,
    control: &Control,
    mut pulse: impl FnMut() -> bool,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(|| std::mem::forget(Counted::new()))
        .on_thread_stop(|| drop(Counted))
        .build()
        .map_err(|error| Error::io("start the runtime of the library", error))?;
    let done = runtime.block_on(async {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(PULSE) => if !pulse() { control.cancel.cancel() },
            }
        }
    });
    // A thread that is inside a system call is not waited for: the answer is known.
    runtime.shutdown_background();
    done
}
