//! Secrets: write-only values that never reach a log, an answer or the store in the clear.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// What a secret reads back as.
pub const MASK: &str = "********";

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The value itself.
    Text(Zeroizing<String>),
    /// An environment variable.
    Env(String),
    /// A file, whose last line break is left out.
    File(String),
}

/// A secret in a monitor's settings: text, `{"env": "NAME"}` or `{"file": "PATH"}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(SecretSource);

/// Finds the values of secrets that are references.
pub trait SecretLookup: Send + Sync {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// A secret whose reference leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnresolvedSecret {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("cannot read the file {path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
}

impl Secret {
    /// A secret given as text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(SecretSource::Text(Zeroizing::new(text.into())))
    }

    /// Where it comes from.
    pub fn source(&self) -> &SecretSource {
        &self.0
    }

    /// The value.
    ///
    /// # Errors
    /// The reference leads nowhere.
    pub fn resolve(&self, lookup: &dyn SecretLookup) -> Result<Zeroizing<String>, UnresolvedSecret> {
        match &self.0 {
            SecretSource::Text(text) => Ok(text.clone()),
            SecretSource::Env(name) => {
                lookup.env(name).map(Zeroizing::new).ok_or_else(|| UnresolvedSecret::Env(name.clone()))
            }
            SecretSource::File(path) => match lookup.file(path) {
                Ok(text) => {
                    let text = Zeroizing::new(text);
                    let line = text.strip_suffix('\n').unwrap_or(&text);
                    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
                }
                Err(reason) => Err(UnresolvedSecret::File { path: path.clone(), reason }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretSource::Text(_) => f.write_str("Secret(text)"),
            SecretSource::Env(name) => write!(f, "Secret(env {name})"),
            SecretSource::File(path) => write!(f, "Secret(file {path})"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, {\"env\": \"NAME\"} or {\"file\": \"PATH\"}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::from_text(text))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::from_text(text))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                use serde::de::Error;
                let key: Option<Cow<'de, str>> = map.next_key()?;
                let source = match key.as_deref() {
                    Some("env") => SecretSource::Env(map.next_value()?),
                    Some("file") => SecretSource::File(map.next_value()?),
                    Some(other) => return Err(A::Error::unknown_field(other, &["env", "file"])),
                    None => return Err(A::Error::missing_field("env")),
                };
                if let Some(extra) = map.next_key::<Cow<'de, str>>()? {
                    return Err(A::Error::custom(format!("one of env and file, not also `{extra}`")));
                }
                Ok(Secret(source))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "writeOnly": true,
            "x-wise": "secret",
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"env": {"type": "string"}}, "required": ["env"], "additionalProperties": false},
                {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"], "additionalProperties": false}
            ]
        })
    }
}

/// Takes known secrets out of text before it leaves a probe.
#[derive(Clone, Default)]
pub struct Masker(Vec<Zeroizing<String>>);

impl Masker {
    /// Adds a value to be masked. Values under 4 characters are left alone: they would blank out half of any text.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= 4 && !self.0.iter().any(|known| known.as_str() == secret) {
            self.0.push(Zeroizing::new(secret.to_owned()));
            // A longer secret may contain a shorter one.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with every known secret replaced by the mask.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), MASK));
            }
        }
        text
    }

    /// Masks every text and key inside a JSON value.
    pub fn mask_json(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        if self.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            Value::Object(map) => {
                if map.keys().any(|key| matches!(self.mask(key), Cow::Owned(_))) {
                    *map = std::mem::take(map)
                        .into_iter()
                        .map(|(k, v)| (self.mask(&k).into_owned(), v))
                        .collect();
                }
                map.values_mut().for_each(|item| self.mask_json(item));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Lookup;
    impl SecretLookup for Lookup {
        fn env(&self, name: &str) -> Option<String> {
            (name == "PW").then(|| "hunter2".to_owned())
        }
        fn file(&self, path: &str) -> Result<String, String> {
            if path == "/pw" { Ok("hunter3\r\n".to_owned()) } else { Err("no such file".to_owned()) }
        }
    }

    #[test]
    fn each_source_resolves() {
        let resolve = |value| serde_json::from_value::<Secret>(value).unwrap().resolve(&Lookup);
        assert_eq!(resolve(json!("abc")).unwrap().as_str(), "abc");
        assert_eq!(resolve(json!({"env": "PW"})).unwrap().as_str(), "hunter2");
        assert_eq!(resolve(json!({"file": "/pw"})).unwrap().as_str(), "hunter3");
        assert_eq!(
            resolve(json!({"env": "NO"})).unwrap_err().to_string(),
            "the environment variable NO is not set"
        );
        assert!(resolve(json!({"file": "/no"})).unwrap_err().to_string().contains("/no"));
        assert!(serde_json::from_value::<Secret>(json!({"vault": "x"})).is_err());
        assert!(serde_json::from_value::<Secret>(json!({"env": "A", "file": "b"})).is_err());
        assert!(serde_json::from_value::<Secret>(json!(5)).is_err());
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Secret::from_text("hunter2")), "Secret(text)");
    }

    #[test]
    fn the_longest_secret_is_masked_first() {
        let mut masker = Masker::default();
        masker.add("hunter");
        masker.add("hunter2000");
        masker.add("ab");
        assert_eq!(masker.mask("x hunter2000 y hunter z ab"), format!("x {MASK} y {MASK} z ab"));
        let mut value = json!({"hunter": ["a hunter2000"]});
        masker.mask_json(&mut value);
        assert_eq!(value, json!({MASK: [format!("a {MASK}")]}));
    }
}
