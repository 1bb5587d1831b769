//! Between C and Rust: texts, out-parameters and panics.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use dr_core::{Error, ErrorKind, Result};

use super::error::dr_error;
use super::status::dr_status;

/// Runs the body of a function. Its error, or its panic, becomes a status and, if the caller wants it, a `dr_error`.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(super) unsafe fn guarded(error: *mut *mut dr_error, body: impl FnOnce() -> Result<()>) -> dr_status {
    let (status, given) = match dr_core::toolkit::guarded(body) {
        Ok(()) => (dr_status::DR_OK, ptr::null_mut()),
        Err(why) => (why.kind().into(), Box::into_raw(Box::new(dr_error::new(&why)))),
    };
    if error.is_null() {
        // SAFETY: it came from Box::into_raw just above, and nobody else has seen it.
        drop((!given.is_null()).then(|| unsafe { Box::from_raw(given) }));
    } else {
        // SAFETY: the caller of this function promises it.
        unsafe { error.write(given) };
    }
    status
}

/// Runs an accessor, which has nothing to report: a panic gives `otherwise`.
pub(super) fn shielded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Gives out what is made; until then, and if nothing is, `*out` is NULL.
///
/// # Safety
/// `out` is NULL or may be written to.
pub(super) unsafe fn give<T>(
    out: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<*mut T>,
) -> Result<()> {
    if out.is_null() {
        return Err(wrong(name, "it is NULL"));
    }
    // SAFETY: the caller of this function promises it.
    unsafe {
        out.write(ptr::null_mut());
        out.write(make()?);
    }
    Ok(())
}

/// Takes back a handle. NULL is fine.
///
/// # Safety
/// `handle` is NULL or came from `Box::into_raw`, was not taken back, and nobody uses it any more.
pub(super) unsafe fn take_back<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller of this function promises it.
        shielded((), || drop(unsafe { Box::from_raw(handle) }));
    }
}

/// What is behind a handle, to be looked at.
///
/// # Safety
/// `handle` is NULL or came from this library, was not freed, and nobody changes it for `'a`.
pub(super) unsafe fn of<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller of this function promises it.
    unsafe { handle.as_ref() }.ok_or_else(|| wrong(name, "it is NULL"))
}

/// The same, to be changed.
///
/// # Safety
/// `handle` is NULL or came from this library, was not freed, and nobody else uses it for `'a`.
pub(super) unsafe fn of_mut<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller of this function promises it.
    unsafe { handle.as_mut() }.ok_or_else(|| wrong(name, "it is NULL"))
}

/// The longest text that is looked at, or copied: no request is longer.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// The text behind a pointer.
///
/// # Safety
/// `pointer` is NULL or points to a text that ends with a NUL and stays as it is for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(wrong(name, "it is NULL"));
    }
    // SAFETY: the caller of this function promises it.
    let text = unsafe { CStr::from_ptr(pointer) };
    let bytes = text.count_bytes();
    if bytes > TEXT_BYTES_MAX {
        return Err(wrong(name, &format!("it has {bytes} bytes; {TEXT_BYTES_MAX} is the most")));
    }
    text.to_str().map_err(|_| wrong(name, "it is not UTF-8"))
}

/// An argument is not as it must be.
pub(super) fn wrong(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("use the argument '{name}'"), why)
}

/// A text for C; a NUL inside it, which C could not see past, is written as `\0`.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
