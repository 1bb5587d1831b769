//! The verbs.

use std::ffi::{CString, c_char};

use dr_core::toolkit::{Toolkit, blocking};
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Report, Result};

use super::boundary::{c_text, give, guarded, text, wrong};
use super::error::dr_error;
use super::report::dr_report;
use super::status::dr_status;

/// More name servers than this is a mistake in the count.
const MAX_SERVERS: usize = 1000;

/// The version of the library: "0.1.0". Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn dr_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Asks every name server of a zone whether it would send visitors to the right host. Waits for the answer.
///
/// `servers` are `server_count` texts, each `NAME=ADDRESS` or an address; the port is 53 if not said. A server that does not answer
/// is a finding in the report, not an error. `*report` is to be given back by `dr_report_free`, `*error` by `dr_error_free`;
/// what there is none of is NULL. `error` may be NULL.
///
/// # Safety
/// Texts end with NUL; `servers` holds `server_count` pointers; `report` and `error` may be written to, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_check_zone(
    zone: *const c_char,
    servers: *const *const c_char,
    server_count: usize,
    report: *mut *mut dr_report,
    error: *mut *mut dr_error,
) -> dr_status {
    let body = || {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            give(report, "report", || {
                let (zone, servers) = (text(zone, "zone")?, texts(servers, server_count)?);
                let request = serde_json::json!({ "zone": zone, "servers": servers }).to_string();
                let answer = call("check_zone", "", &request, &Control::silent(), || true)?;
                let read: Report = serde_json::from_str(&answer).map_err(|why| {
                    Error::new(ErrorKind::Internal, "check a zone", "the report could not be read back")
                        .caused_by(why)
                })?;
                Ok(Box::into_raw(Box::new(dr_report::new(&read, &answer))))
            })
        }
    };
    // SAFETY: as the caller promises.
    unsafe { guarded(error, body) }
}

/// Calls any operation by its name: a request in JSON goes in, an answer in JSON comes out. Waits for the answer.
///
/// `settings` is JSON too (docs/schema/settings.json): the estate, the journal, the keys and the known hosts; NULL for none. `*answer` is to be given back by `dr_string_free`, `*error` by `dr_error_free`; what there is none of is NULL. `error` may be
/// NULL.
///
/// # Safety
/// Texts end with NUL; `answer` and `error` may be written to, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_call_json(
    operation: *const c_char,
    settings: *const c_char,
    request: *const c_char,
    answer: *mut *mut c_char,
    error: *mut *mut dr_error,
) -> dr_status {
    let body = || {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            give(answer, "answer", || {
                let operation = text(operation, "operation")?;
                let settings = if settings.is_null() { "" } else { text(settings, "settings")? };
                let request = text(request, "request")?;
                let said = call(operation, settings, request, &Control::silent(), || true)?;
                Ok(c_text(&said).into_raw())
            })
        }
    };
    // SAFETY: as the caller promises.
    unsafe { guarded(error, body) }
}

/// Gives back a text that `dr_call_json` gave out. NULL is fine.
///
/// # Safety
/// `text` is NULL or came from `dr_call_json` and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as the caller promises, it is ours and nobody uses it any more.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Calls an operation; `pulse` is asked now and then whether to go on.
pub(super) fn call(
    operation: &str,
    settings: &str,
    request: &str,
    control: &Control,
    pulse: impl FnMut() -> bool,
) -> Result<String> {
    let toolkit = Toolkit::open_json(settings)?;
    blocking(toolkit.call_json(operation, request, control), control, pulse)
}

/// # Safety
/// `list` is NULL or holds `count` pointers to texts that end with NUL.
unsafe fn texts<'a>(list: *const *const c_char, count: usize) -> Result<Vec<&'a str>> {
    if list.is_null() || count == 0 {
        return Err(wrong("servers", "a zone has at least one name server"));
    }
    if count > MAX_SERVERS {
        return Err(wrong("server_count", "no zone has that many name servers"));
    }
    // SAFETY: as the caller promises.
    (0..count).map(|number| unsafe { text(*list.add(number), "servers") }).collect()
}
