//! How what is no record crosses: as the text or the JSON that it is everywhere else.

use dr_core::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::DrError;

/// Its text; its JSON if it is none.
pub(super) fn text_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        // As a path that is no text: what cannot be written is refused where it is read.
        Err(_) => String::new(),
    }
}

/// What has this text, or this JSON.
pub(super) fn read_text<T: DeserializeOwned>(what: &str, text: String) -> Result<T, DrError> {
    let as_json = serde_json::from_str(&text);
    serde_json::from_value(Value::String(text)).or_else(|why| {
        let why = match as_json {
            Ok(read) => return Ok(read),
            // A document that was meant as one: its own mistake is the better one.
            Err(inner) if inner.classify() == serde_json::error::Category::Data => inner,
            Err(_) => why,
        };
        Err(Error::new(ErrorKind::Usage, format!("understand a {what}"), why.to_string()).into())
    })
}

macro_rules! text {
    ($of:ident) => {
        uniffi::custom_type!($of, String, {
            remote,
            lower: |value| super::types::text_of(&value),
            try_lift: |text| Ok(super::types::read_text::<$of>(stringify!($of), text)?),
        });
    };
}

pub(super) use text;
