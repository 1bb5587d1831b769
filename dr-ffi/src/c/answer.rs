//! Answers, looked into by path.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::boundary::{c_text, shielded, take_back, text};

/// What an operation answered.
pub struct dr_answer {
    json: CString,
    value: Value,
    /// Texts that were asked for; they stay until the answer is freed.
    texts: Mutex<BTreeMap<String, CString>>,
}

impl dr_answer {
    pub(super) fn new(json: &str) -> Self {
        let value = serde_json::from_str(json).unwrap_or_default();
        Self { json: c_text(json), value, texts: Mutex::default() }
    }
}

/// The whole answer as JSON, in the shape that docs/schema describes. Valid until the answer is freed.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_json(answer: *const dr_answer) -> *const c_char {
    // SAFETY: as the caller promises.
    shielded(ptr::null(), || unsafe { answer.as_ref() }.map_or(ptr::null(), |answer| answer.json.as_ptr()))
}

/// The text at a path such as "/outcome" or "/report/findings/0/message" (RFC 6901); of anything but a text, its JSON; NULL if there is
/// nothing. Valid until the answer is freed.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_text(answer: *const dr_answer, path: *const c_char) -> *const c_char {
    shielded(ptr::null(), || {
        // SAFETY: as the caller promises.
        let Some((answer, path, value)) = (unsafe { at(answer, path) }) else { return ptr::null() };
        let said = match value {
            Value::Null => return ptr::null(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut texts = answer.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry(path.to_owned()).or_insert_with(|| c_text(&said)).as_ptr()
    })
}

/// The whole number at a path, as "/summary/created"; `otherwise` if there is none.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_number(
    answer: *const dr_answer,
    path: *const c_char,
    otherwise: i64,
) -> i64 {
    // SAFETY: as the caller promises.
    shielded(otherwise, || {
        unsafe { at(answer, path) }.and_then(|(_, _, value)| value.as_i64()).unwrap_or(otherwise)
    })
}

/// 1 if what is at a path, as "/changed", is true; else 0.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_flag(answer: *const dr_answer, path: *const c_char) -> c_int {
    // SAFETY: as the caller promises.
    shielded(0, || {
        c_int::from(unsafe { at(answer, path) }.is_some_and(|(_, _, value)| value == &Value::Bool(true)))
    })
}

/// How many there are at a path, as "/report/findings"; 0 if nothing is there or it is not many.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_count(answer: *const dr_answer, path: *const c_char) -> usize {
    // SAFETY: as the caller promises.
    shielded(0, || match unsafe { at(answer, path) } {
        Some((_, _, Value::Array(many))) => many.len(),
        Some((_, _, Value::Object(many))) => many.len(),
        _ => 0,
    })
}

/// Gives an answer back. NULL is fine.
///
/// # Safety
/// `answer` is NULL or came from this library and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_answer_free(answer: *mut dr_answer) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(answer) }
}

/// # Safety
/// `answer` is NULL or came from this library and was not freed; `path` is NULL or ends with NUL.
unsafe fn at<'a>(
    answer: *const dr_answer,
    path: *const c_char,
) -> Option<(&'a dr_answer, &'a str, &'a Value)> {
    // SAFETY: as the caller promises.
    let (answer, path) = unsafe { (answer.as_ref()?, text(path, "path").ok()?) };
    Some((answer, path, answer.value.pointer(path)?))
}
