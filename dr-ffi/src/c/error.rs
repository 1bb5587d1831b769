//! Errors as C sees them.

use std::ffi::{CString, c_char};
use std::ptr;

use dr_core::Error;

use super::boundary::{c_text, shielded, take_back};
use super::status::dr_status;

/// Why a call failed, and what to do about it.
pub struct dr_error {
    status: dr_status,
    message: CString,
    hint: Option<CString>,
    json: CString,
}

impl dr_error {
    pub(super) fn new(error: &Error) -> Self {
        Self {
            status: error.kind().into(),
            message: c_text(&error.to_string()),
            hint: error.advice().map(c_text),
            json: c_text(&serde_json::to_string(&error.to_record()).unwrap_or_default()),
        }
    }
}

/// The status that the failed call returned; DR_INTERNAL for NULL.
///
/// # Safety
/// `error` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_error_status(error: *const dr_error) -> dr_status {
    // SAFETY: as the caller promises.
    shielded(dr_status::DR_INTERNAL, || {
        unsafe { error.as_ref() }.map_or(dr_status::DR_INTERNAL, |error| error.status)
    })
}

/// What could not be done and why, in one sentence. Valid until the error is freed.
///
/// # Safety
/// `error` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_error_message(error: *const dr_error) -> *const c_char {
    // SAFETY: as the caller promises.
    shielded(ptr::null(), || unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.message.as_ptr()))
}

/// What to do about it; NULL if nothing is known. Valid until the error is freed.
///
/// # Safety
/// `error` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_error_hint(error: *const dr_error) -> *const c_char {
    // SAFETY: as the caller promises.
    let error = unsafe { error.as_ref() };
    shielded(ptr::null(), || {
        error.and_then(|error| error.hint.as_ref()).map_or(ptr::null(), |hint| hint.as_ptr())
    })
}

/// The whole error as JSON. Valid until the error is freed.
///
/// # Safety
/// `error` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_error_json(error: *const dr_error) -> *const c_char {
    // SAFETY: as the caller promises.
    shielded(ptr::null(), || unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.json.as_ptr()))
}

/// Gives an error back. NULL is fine.
///
/// # Safety
/// `error` is NULL or came from this library and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_error_free(error: *mut dr_error) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(error) }
}
