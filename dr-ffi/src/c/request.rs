//! Requests, put together word by word.

use std::ffi::{c_char, c_int};

use dr_core::Result;
use serde_json::{Map, Value};

use super::boundary::{guarded, of_mut, shielded, take_back, text};
use super::error::dr_error;
use super::status::dr_status;
use super::words::{add_text, set, set_json, set_text};

/// An operation and what it is told: the keys are those of its request in docs/schema (docs/PARITY.md lists the operations).
pub struct dr_request {
    pub(super) operation: String,
    pub(super) words: Map<String, Value>,
}

/// A request of an operation, by its name in docs/PARITY.md, that says nothing yet; NULL if `operation` is NULL or not UTF-8.
///
/// # Safety
/// `operation` is NULL or ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_new(operation: *const c_char) -> *mut dr_request {
    // SAFETY: as the caller promises.
    shielded(std::ptr::null_mut(), || match unsafe { text(operation, "operation") } {
        Ok(name) => Box::into_raw(Box::new(dr_request { operation: name.to_owned(), words: Map::new() })),
        Err(_) => std::ptr::null_mut(),
    })
}

/// Says a text: `dr_request_set_text(request, "source", "/var/www/shop", &error)`.
///
/// # Safety
/// `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_set_text(
    request: *mut dr_request,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises, here and in the functions below.
    unsafe { guarded(error, || set_text(words(request)?, key, value)) }
}

/// Says one text more under a key that takes many: `dr_request_add_text(request, "exclude", "*.tmp", &error)`.
///
/// # Safety
/// `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_add_text(
    request: *mut dr_request,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || add_text(words(request)?, key, value)) }
}

/// Says a whole number: `dr_request_set_number(request, "generations", 3, &error)`.
///
/// # Safety
/// `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_set_number(
    request: *mut dr_request,
    key: *const c_char,
    value: i64,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || set(words(request)?, key, value.into())) }
}

/// Says yes or no: `dr_request_set_flag(request, "dry_run", 1, &error)`.
///
/// # Safety
/// `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_set_flag(
    request: *mut dr_request,
    key: *const c_char,
    value: c_int,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || set(words(request)?, key, (value != 0).into())) }
}

/// Says what has a shape of its own, in JSON: `dr_request_set_json(request, "max_delete", "{\"percent\": 10}", &error)`.
///
/// # Safety
/// `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_set_json(
    request: *mut dr_request,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    // SAFETY: as the caller promises.
    unsafe { guarded(error, || set_json(words(request)?, key, value)) }
}

/// Gives a request back. NULL is fine.
///
/// # Safety
/// `request` is NULL or came from `dr_request_new` and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_request_free(request: *mut dr_request) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(request) }
}

/// # Safety
/// `request` is NULL or came from this library, was not freed, and nobody else uses it now.
unsafe fn words<'a>(request: *mut dr_request) -> Result<&'a mut Map<String, Value>> {
    // SAFETY: as the caller promises.
    Ok(&mut unsafe { of_mut(request, "request") }?.words)
}
