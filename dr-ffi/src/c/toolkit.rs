//! The toolkit: how hosts are reached, where is written down what is done, and who follows it.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dr_core::run::Event;
use dr_core::toolkit::quiesce;
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Estate, Result};
use serde_json::{Map, Value};

use super::answer::dr_answer;
use super::boundary::{c_text, give, guarded, of, of_mut, shielded, take_back, text};
use super::calls::call;
use super::cancel::dr_cancel;
use super::error::dr_error;
use super::request::dr_request;
use super::status::dr_status;
use super::words::{add_text, set_json, set_text};

/// Changes when something that programs stand on changes; programs compare it with `dr_abi_version`.
pub const DR_ABI_VERSION: u32 = 1;

/// The version of the library that the header is of, as `dr_version` has it.
pub const DR_VERSION_MAJOR: u32 = 0;
/// Its second number.
pub const DR_VERSION_MINOR: u32 = 1;
/// Its third number.
pub const DR_VERSION_PATCH: u32 = 0;

/// Called with an event in JSON (docs/schema/event.json) and what was given with the callback, on the thread that called, and never
/// after the call has returned. What it gives back says whether to go on: 0, or anything else to stop; the call then returns
/// DR_CANCELLED. The text is valid during the callback only. It must return: no longjmp, no C++ exception.
pub type dr_progress = Option<unsafe extern "C" fn(event: *const c_char, user: *mut c_void) -> c_int>;

/// What calls are made with. Nothing else is looked at: no environment, no home directory; and nothing is trusted that is not named.
///
/// While it is not changed, any number of threads may call with it.
pub struct dr_toolkit {
    settings: Map<String, Value>,
    progress: dr_progress,
    user: *mut c_void,
    cancel: Option<Arc<AtomicBool>>,
}

/// What `DR_ABI_VERSION` was when the library was built.
#[unsafe(no_mangle)]
pub extern "C" fn dr_abi_version() -> u32 {
    DR_ABI_VERSION
}

/// A toolkit that knows nothing yet.
#[unsafe(no_mangle)]
pub extern "C" fn dr_toolkit_new() -> *mut dr_toolkit {
    Box::into_raw(Box::new(dr_toolkit {
        settings: Map::new(),
        progress: None,
        user: ptr::null_mut(),
        cancel: None,
    }))
}

/// Sets a text of docs/schema/settings.json: `dr_toolkit_set_text(toolkit, "journal", "/var/lib/dr/journal.db", &error)`.
///
/// # Safety
/// `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_set_text(
    toolkit: *mut dr_toolkit,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises, here and in the functions below.
    unsafe { guarded(error, || set_text(settings(toolkit)?, key, value)) }
}

/// Adds a text to those of a setting: `dr_toolkit_add_text(toolkit, "known_hosts", "/root/.ssh/known_hosts", &error)`.
///
/// # Safety
/// `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_add_text(
    toolkit: *mut dr_toolkit,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || add_text(settings(toolkit)?, key, value)) }
}

/// Sets what has a shape of its own, in JSON: `dr_toolkit_set_json(toolkit, "agents", "{\"off\": true}", &error)`.
///
/// # Safety
/// `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_set_json(
    toolkit: *mut dr_toolkit,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || set_json(settings(toolkit)?, key, value)) }
}

/// Takes the estate from a file: JSON if its name ends in ".json", else TOML. Every mistake in it stands in the one error.
///
/// # Safety
/// `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_set_estate_file(
    toolkit: *mut dr_toolkit,
    path: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    let body = || {
        // SAFETY: as the caller promises.
        let (settings, path) = unsafe { (settings(toolkit)?, text(path, "path")?) };
        let estate = serde_json::to_value(Estate::load(Path::new(path))?)
            .map_err(|why| Error::new(ErrorKind::Internal, "write the estate", why.to_string()))?;
        settings.insert("estate".to_owned(), estate);
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { guarded(error, body) }
}

/// Has every event of later calls told to `progress`, with `user` as it is; NULL tells nobody.
///
/// # Safety
/// `toolkit` is NULL or came from `dr_toolkit_new`; `progress` may be called with `user` as long as calls are made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_set_progress(
    toolkit: *mut dr_toolkit,
    progress: dr_progress,
    user: *mut c_void,
) {
    // SAFETY: as the caller promises.
    if let Some(toolkit) = unsafe { toolkit.as_mut() } {
        (toolkit.progress, toolkit.user) = (progress, user);
    }
}

/// Lets later calls be stopped by a token, which may be freed afterwards; with NULL nothing stops them.
///
/// # Safety
/// `toolkit` is NULL or came from `dr_toolkit_new`; `cancel` is NULL or came from `dr_cancel_new` and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_set_cancel(toolkit: *mut dr_toolkit, cancel: *const dr_cancel) {
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(toolkit) = toolkit.as_mut() {
            toolkit.cancel = cancel.as_ref().map(dr_cancel::flag);
        }
    }
}

/// Calls an operation and waits for its answer. `*answer` is to be given back by `dr_answer_free`, `*error` by `dr_error_free`; what there
/// is none of is NULL. `error` may be NULL.
///
/// # Safety
/// `toolkit` and `request` came from this library and were not freed; `answer` and `error` may be written to, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_call(
    toolkit: *const dr_toolkit,
    request: *const dr_request,
    answer: *mut *mut dr_answer,
    error: *mut *mut dr_error,
) -> dr_status {
    let body = || {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            give(answer, "answer", || {
                let (toolkit, request) = (of(toolkit, "toolkit")?, of(request, "request")?);
                Ok(Box::into_raw(Box::new(dr_answer::new(&toolkit.call(request)?))))
            })
        }
    };
    // SAFETY: as the caller promises.
    unsafe { guarded(error, body) }
}

/// Waits until no thread of the library runs any more, `milliseconds` at most: before `dlclose`, and before a process that counts its
/// threads ends. Calls leave threads behind only where the system keeps one in a system call. DR_OK, or DR_TIMEOUT. There is nothing else
/// to shut down, and calls may be made afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn dr_shutdown(milliseconds: u32) -> dr_status {
    let quiet = || quiesce(Duration::from_millis(milliseconds.into()));
    if shielded(false, quiet) { dr_status::DR_OK } else { dr_status::DR_TIMEOUT }
}

/// Gives a toolkit back. NULL is fine.
///
/// # Safety
/// `toolkit` is NULL or came from `dr_toolkit_new` and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_toolkit_free(toolkit: *mut dr_toolkit) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(toolkit) }
}

/// # Safety
/// `toolkit` is NULL or came from this library, was not freed, and nobody else uses it now.
unsafe fn settings<'a>(toolkit: *mut dr_toolkit) -> Result<&'a mut Map<String, Value>> {
    // SAFETY: as the caller promises.
    Ok(&mut unsafe { of_mut(toolkit, "toolkit") }?.settings)
}

impl dr_toolkit {
    fn call(&self, request: &dr_request) -> Result<String> {
        let queue = Arc::new(Mutex::new(Vec::<Event>::new()));
        let heard = Arc::clone(&queue);
        let control = match self.progress {
            None => Control::silent(),
            Some(_) => Control::new(move |event| {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
            }),
        };
        let stopped = || self.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::SeqCst));
        let mut goes_on = true;
        let mut pulse = || {
            goes_on = goes_on && !stopped() && self.tell(&queue);
            goes_on
        };
        let settings = Value::Object(self.settings.clone()).to_string();
        let words = Value::Object(request.words.clone()).to_string();
        let done = call(&request.operation, &settings, &words, &control, &mut pulse);
        // What happened at the very end; whether to go on is no question any more.
        pulse();
        done
    }

    /// Hands on what has happened; whether to go on.
    fn tell(&self, queue: &Mutex<Vec<Event>>) -> bool {
        let Some(progress) = self.progress else { return true };
        let events = std::mem::take(&mut *queue.lock().unwrap_or_else(PoisonError::into_inner));
        events.iter().all(|event| {
            let said = c_text(&serde_json::to_string(event).unwrap_or_default());
            // SAFETY: whoever set it promised that it may be called with this, and we are on the thread that called.
            unsafe { progress(said.as_ptr(), self.user) == 0 }
        })
    }
}
