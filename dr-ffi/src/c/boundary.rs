//! Between C and Rust: texts, out-parameters and panics.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dr_core::{Error, ErrorKind, Result};

use super::error::dr_error;
use super::status::dr_status;

/// Runs the body of a function. Its error, or its panic, becomes a status and, if the caller wants it, a `dr_error`.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(super) unsafe fn guarded(error: *mut *mut dr_error, body: impl FnOnce() -> Result<()>) -> dr_status {
    let done = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal, "finish the call", "the library panicked")
            .hint("this is a defect in dr; please report it with what stands on standard error"))
    });
    let (status, given) = match done {
        Ok(()) => (dr_status::DR_OK, std::ptr::null_mut()),
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
