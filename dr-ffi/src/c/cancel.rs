//! Stopping a call from a signal handler or from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::boundary::take_back;

/// Stops calls that were given it. Once cancelled, always cancelled.
pub struct dr_cancel(Arc<AtomicBool>);

impl dr_cancel {
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// A token that is not cancelled.
#[unsafe(no_mangle)]
pub extern "C" fn dr_cancel_new() -> *mut dr_cancel {
    Box::into_raw(Box::new(dr_cancel(Arc::new(AtomicBool::new(false)))))
}

/// Stops every call that was given this token: each returns DR_CANCELLED within a fraction of a second. It does nothing but store
/// one value, so it may be called from a signal handler and from any thread. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or came from `dr_cancel_new` and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_cancel_now(cancel: *const dr_cancel) {
    // SAFETY: as the caller promises. Nothing here can panic, allocate or lock.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.store(true, Ordering::SeqCst);
    }
}

/// Gives a token back; calls that were given it go on. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or came from `dr_cancel_new` and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_cancel_free(cancel: *mut dr_cancel) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(cancel) }
}
