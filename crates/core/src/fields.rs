//! Errors that name the field, the value and the hint.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with one field of an input.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// Path of the field, such as `settings.assertions[0].op`; empty for the input as a whole.
    pub field: String,
    /// The offending value, shortened; absent when there is none or when it may be secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it is wrong.
    pub reason: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl FieldError {
    /// An error about a field.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), value: None, reason: reason.into(), hint: None }
    }

    /// Adds the value that was given.
    pub fn value(mut self, value: impl fmt::Display) -> Self {
        self.value = Some(shorten(&value.to_string()));
        self
    }

    /// Adds what to write instead.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts a path before the field's own.
    pub fn under(mut self, prefix: &str) -> Self {
        self.field = join(prefix, &self.field);
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)?;
        if let Some(value) = &self.value {
            write!(f, " (given: {value})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// One or more field errors.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// `Ok` when there is no error.
    ///
    /// # Errors
    /// The errors collected so far.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Adds an error.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Puts a path before every field.
    pub fn under(self, prefix: &str) -> Self {
        Self(self.0.into_iter().map(|error| error.under(prefix)).collect())
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

/// Reads a typed value out of JSON, with an error that names the path.
///
/// # Errors
/// The value does not have the type's shape. The error shows no value, because it may be a secret.
pub fn deserialize<T: DeserializeOwned>(value: Value) -> Result<T, FieldErrors> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        describe(&path, &error.inner().to_string()).into()
    })
}

/// As [`deserialize`], for a value that stands under a path of its own.
///
/// # Errors
/// As [`deserialize`].
pub fn deserialize_at<T: DeserializeOwned>(prefix: &str, value: Value) -> Result<T, FieldErrors> {
    deserialize(value).map_err(|errors| errors.under(prefix))
}

/// The value as it may be shown in an error.
pub fn show_value(value: &Value) -> String {
    shorten(&value.to_string())
}

fn describe(path: &str, message: &str) -> FieldError {
    if let Some(name) = between(message, "unknown field `", "`") {
        let hint = match between(message, "expected one of ", "\u{0}")
            .or_else(|| between(message, "expected ", "\u{0}"))
        {
            Some(known) => format!("known here: {}", known.replace('`', "")),
            None => "remove it".to_owned(),
        };
        // The path already ends in the field's name when the parser had read the key.
        let field = if path == name || path.ends_with(&format!(".{name}")) {
            path.to_owned()
        } else {
            join(path, name)
        };
        return FieldError::new(field, "unknown field").hint(hint);
    }
    if let Some(name) = between(message, "missing field `", "`") {
        return FieldError::new(join(path, name), "missing").hint("add it");
    }
    FieldError::new(path, without_value(message))
}

/// serde puts the offending value into `invalid type` messages, and it may be a secret: keep only its type.
fn without_value(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("invalid type: ")
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        let kind = found.split(['`', '"']).next().unwrap_or("").trim();
        return format!("wrong type: {kind}, expected {expected}");
    }
    message.to_owned()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    if end == "\u{0}" {
        return Some(rest);
    }
    rest.find(end).map(|stop| &rest[..stop])
}

fn join(prefix: &str, field: &str) -> String {
    match (prefix.is_empty(), field.is_empty()) {
        (true, _) => field.to_owned(),
        (_, true) => prefix.to_owned(),
        _ if field.starts_with('[') => format!("{prefix}{field}"),
        _ => format!("{prefix}.{field}"),
    }
}

fn shorten(text: &str) -> String {
    const LIMIT: usize = 80;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LIMIT).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only the shape matters")]
        count: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only the shape matters")]
        items: Vec<Inner>,
    }

    fn error(value: Value) -> FieldError {
        deserialize::<Outer>(value).unwrap_err().0.remove(0)
    }

    #[test]
    fn the_path_is_named() {
        let unknown = error(json!({"items": [{"count": 1, "cuont": 2}]}));
        assert_eq!(unknown.field, "items[0].cuont");
        assert_eq!(unknown.hint.as_deref(), Some("known here: count"));
        assert_eq!(error(json!({"items": [{}]})).field, "items[0].count");
        assert_eq!(error(json!({})).field, "items");
        let typed = error(json!({"items": [{"count": "hunter2"}]}));
        assert_eq!(typed.field, "items[0].count");
        assert_eq!(typed.reason, "wrong type: string, expected u32");
        assert!(!typed.to_string().contains("hunter2"));
    }
}
