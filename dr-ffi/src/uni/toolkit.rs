//! What calls are made with.

use std::path::Path;
use std::sync::Arc;

use dr_core::toolkit::{ToolkitSettings, guarded};
use dr_core::{Error, ErrorKind, Estate};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, CancelToken, Listener};
use super::error::DrError;

/// How hosts are reached, where is written down what is done, and what is owned. Nothing else is looked at: no environment, no home
/// directory; and no host is trusted that was not named. One toolkit serves any number of calls at once.
#[derive(Debug, uniffi::Object)]
pub struct Toolkit {
    settings: String,
}

#[uniffi::export]
impl Toolkit {
    /// A toolkit of these settings.
    #[uniffi::constructor(default(settings = None))]
    pub fn new(settings: Option<ToolkitSettings>) -> Result<Arc<Self>, DrError> {
        Self::of(&settings.unwrap_or_default())
    }

    /// The same, with the estate in a file: JSON if its name ends in ".json", else TOML. Every mistake in it stands in the one error.
    #[uniffi::constructor(default(settings = None))]
    pub fn from_estate_file(path: String, settings: Option<ToolkitSettings>) -> Result<Arc<Self>, DrError> {
        let estate = guarded(|| Estate::load(Path::new(&path)))?;
        let estate = serde_json::to_value(estate).map_err(|why| unwritten("the estate", why))?;
        Self::of(&ToolkitSettings { estate: Some(estate), ..settings.unwrap_or_default() })
    }

    /// The same from JSON (docs/schema/settings.json); an empty text stands for no settings.
    #[uniffi::constructor]
    pub fn from_json(settings: String) -> Result<Arc<Self>, DrError> {
        guarded(|| dr_core::toolkit::Toolkit::open_json(&settings))?;
        Ok(Arc::new(Self { settings }))
    }

    /// Calls any operation by its name: a request in JSON goes in, an answer in JSON comes out (docs/schema).
    #[uniffi::method(default(progress = None, cancel = None))]
    pub async fn call(
        &self,
        operation: String,
        request: String,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<String, DrError> {
        Ok(Call::start(&self.settings, &operation, &request, progress, cancel)?.await?)
    }
}

impl Toolkit {
    fn of(settings: &ToolkitSettings) -> Result<Arc<Self>, DrError> {
        Self::from_json(serde_json::to_string(settings).map_err(|why| unwritten("the settings", why))?)
    }

    /// An operation with its own types: they are what JSON says.
    pub(super) async fn typed<Q: Serialize, A: DeserializeOwned>(
        &self,
        operation: &str,
        request: Q,
        progress: Option<Arc<dyn Listener>>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<A, DrError> {
        let what = || format!("the request of {operation}");
        let words = serde_json::to_string(&request).map_err(|why| unwritten(&what(), why))?;
        drop(request);
        let answer = Call::start(&self.settings, operation, &words, progress, cancel)?.await?;
        serde_json::from_str(&answer).map_err(|why| {
            Error::new(ErrorKind::Internal, format!("read the answer of {operation}"), why.to_string()).into()
        })
    }
}

/// What holds no text, as a path of other bytes, has no JSON.
fn unwritten(what: &str, why: serde_json::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("write {what}"), why.to_string())
}

/// The version of the library.
#[uniffi::export]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
