//! Words of a request, or of the settings, as C says them.

use std::ffi::c_char;

use dr_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::boundary::{text, wrong};

/// # Safety
/// `key` is NULL or ends with NUL.
pub(super) unsafe fn set(words: &mut Map<String, Value>, key: *const c_char, value: Value) -> Result<()> {
    // SAFETY: as the caller promises.
    words.insert(unsafe { text(key, "key") }?.to_owned(), value);
    Ok(())
}

/// # Safety
/// Both are NULL or end with NUL.
pub(super) unsafe fn set_text(
    words: &mut Map<String, Value>,
    key: *const c_char,
    value: *const c_char,
) -> Result<()> {
    // SAFETY: as the caller promises.
    unsafe { set(words, key, text(value, "value")?.into()) }
}

/// # Safety
/// Both are NULL or end with NUL.
pub(super) unsafe fn set_json(
    words: &mut Map<String, Value>,
    key: *const c_char,
    value: *const c_char,
) -> Result<()> {
    // SAFETY: as the caller promises.
    let read = serde_json::from_str(unsafe { text(value, "value") }?).map_err(|why| {
        Error::new(ErrorKind::Usage, "use the argument 'value'", format!("it is no JSON: {why}"))
    })?;
    // SAFETY: as the caller promises.
    unsafe { set(words, key, read) }
}

/// # Safety
/// Both are NULL or end with NUL.
pub(super) unsafe fn add_text(
    words: &mut Map<String, Value>,
    key: *const c_char,
    value: *const c_char,
) -> Result<()> {
    // SAFETY: as the caller promises.
    let (key, value) = unsafe { (text(key, "key")?, text(value, "value")?) };
    match words.entry(key).or_insert_with(|| Value::Array(vec![])) {
        Value::Array(many) => many.push(value.into()),
        _ => return Err(wrong("key", "it was said before, and not as one of many")),
    }
    Ok(())
}
