//! The verbs for callers without a runtime: C, Python, a plain `main`.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::world::Control;

/// How often a caller is asked whether it still wants the answer.
const PULSE: Duration = Duration::from_millis(50);

/// Runs a verb to its end on the calling thread, which needs no runtime of its own. Every 50 ms `pulse` is asked whether to go
/// on; when it says no, the work is cancelled, and what it returns then is returned here.
///
/// Nothing outlives the call: no thread, no runtime, no global state. So it may be used before and after a fork.
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
