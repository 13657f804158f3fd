//! A response body, read up to the cap.

use bytes::Bytes;
use serde_json::Value;

/// What was read of a body. Text and JSON are made when an assertion first asks for them.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub bytes: Bytes,
    /// There was more than the cap.
    pub truncated: bool,
    text: Option<String>,
    json: Option<Result<Value, String>>,
}

impl Body {
    pub(crate) fn new(bytes: Bytes, truncated: bool) -> Self {
        Self { bytes, truncated, text: None, json: None }
    }

    pub(crate) fn text(&mut self) -> &str {
        self.text.get_or_insert_with(|| String::from_utf8_lossy(&self.bytes).into_owned())
    }

    pub(crate) fn json(&mut self) -> Result<&Value, &str> {
        self.json
            .get_or_insert_with(|| serde_json::from_slice(&self.bytes).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }
}
