//! Working only with what nobody else wants.

use rustix::process::{Pid, setpriority_process};

/// The last in line for the processor. The kernel derives from it the last place among ordinary readers and writers, too
/// (ioprio_set(2)).
const NICEST: i32 = 19;

/// Puts every thread of this process last. Threads that are made later inherit it from those that make them.
pub(super) fn lower() {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return };
    for thread in threads.flatten() {
        let number = thread.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(thread) = number.and_then(Pid::from_raw) {
            // A thread that has just ended needs nothing.
            let _ = setpriority_process(Some(thread), NICEST);
        }
    }
}
