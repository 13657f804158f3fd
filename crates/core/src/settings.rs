//! Secrets inside a monitor's settings, found through the marks in its schema.

use serde_json::{Map, Value};

use crate::fields::{FieldError, FieldErrors};
use crate::secret::MASK;

/// Header names whose values are secrets, in lower case.
const SECRET_HEADERS: [&str; 2] = ["cookie", "set-cookie"];
/// Parts of a header's name that make its value a secret.
const SECRET_PARTS: [&str; 6] = ["token", "secret", "password", "api-key", "apikey", "authorization"];
/// The key of a sealed value in the store.
const SEALED: &str = "$sealed";

/// What kind of secret a place in the settings can hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The whole value, unless it is a reference.
    Secret,
    /// The password in a URL.
    Url,
    /// The values of headers that authenticate.
    Headers,
}

/// Called with the path, the kind and the value of each marked place.
type Visit<'a> = &'a mut dyn FnMut(&[Step], Mark, &mut Value);

/// A sealed value could not be opened, or sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);

/// A settings schema, and what it says about secrets.
pub struct SettingsSchema {
    schema: Value,
}

impl SettingsSchema {
    /// The schema of a plugin.
    pub fn new(schema: Value) -> Self {
        Self { schema }
    }

    /// Replaces secrets by the mask, for reading back.
    pub fn mask(&self, settings: &mut Value) {
        self.visit(settings, &mut |_, value| {
            if let Some(shown) = masked(value) {
                *value = Value::String(shown);
            }
        });
    }

    /// Puts the stored secrets where the mask was sent back.
    ///
    /// # Errors
    /// A mask where nothing is stored, or a URL whose host changed while its password was masked: a stored password
    /// is never sent to a new place.
    pub fn unmask(&self, settings: &mut Value, stored: Option<&Value>) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::default();
        let moved = self.has_moved(settings, stored);
        self.visit(settings, &mut |path, value| {
            let Value::String(text) = value else { return };
            let old = stored.and_then(|stored| at_path(stored, path)).and_then(Value::as_str);
            if text == MASK {
                match old {
                    Some(_) if moved => errors.push(
                        FieldError::new(
                            format!("settings{}", dotted(path)),
                            "a URL leads to another host now, and a stored secret is not sent to another host",
                        )
                        .hint("give the secret again"),
                    ),
                    Some(old) => *text = old.to_owned(),
                    None => errors.push(
                        FieldError::new(
                            format!("settings{}", dotted(path)),
                            "the mask stands for a stored secret, and none is stored",
                        )
                        .hint("give the secret itself, {\"env\": \"NAME\"} or {\"file\": \"PATH\"}"),
                    ),
                }
            } else if let Some(range) = url_password(text).filter(|range| &text[range.clone()] == MASK) {
                let old = old.and_then(|old| Some((old, url_password(old)?)));
                match old {
                    Some((old, old_range)) if host_of(old) == host_of(text) => {
                        text.replace_range(range, &old[old_range]);
                    }
                    _ => errors.push(
                        FieldError::new(
                            format!("settings{}", dotted(path)),
                            "the URL's host changed, and the stored password is not sent to another host",
                        )
                        .hint("write the password into the URL again"),
                    ),
                }
            }
        });
        errors.into_result()
    }

    /// Whether a URL of the settings leads to another host than the stored one.
    fn has_moved(&self, settings: &Value, stored: Option<&Value>) -> bool {
        let Some(stored) = stored else { return false };
        let mut moved = false;
        self.walk(
            &self.schema,
            &mut settings.clone(),
            &mut Vec::new(),
            &mut |path, mark, value| {
                if mark == Mark::Url && value.is_string() {
                    let old = at_path(stored, path).and_then(Value::as_str).and_then(host_of);
                    moved |= old != value.as_str().and_then(host_of);
                }
            },
            0,
        );
        moved
    }

    /// Replaces secrets by what `seal` makes of them, for the store.
    ///
    /// # Errors
    /// What `seal` answers.
    pub fn seal(
        &self,
        settings: &mut Value,
        seal: &dyn Fn(&str) -> Result<String, SealError>,
    ) -> Result<(), SealError> {
        let mut result = Ok(());
        self.visit(settings, &mut |_, value| {
            if result.is_err() || masked(value).is_none() {
                return;
            }
            let Value::String(text) = &*value else { return };
            match seal(text) {
                Ok(sealed) => {
                    let mut object = Map::new();
                    object.insert(SEALED.to_owned(), Value::String(sealed));
                    *value = Value::Object(object);
                }
                Err(error) => result = Err(error),
            }
        });
        result
    }

    /// Opens every sealed value. Needs no schema, so that a definition whose plugin is gone still opens.
    ///
    /// # Errors
    /// What `open` answers.
    pub fn unseal(
        value: &mut Value,
        open: &dyn Fn(&str) -> Result<String, SealError>,
    ) -> Result<(), SealError> {
        match value {
            Value::Object(map) => {
                if map.len() == 1
                    && let Some(Value::String(sealed)) = map.get(SEALED)
                {
                    *value = Value::String(open(sealed)?);
                    return Ok(());
                }
                map.values_mut().try_for_each(|item| Self::unseal(item, open))
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| Self::unseal(item, open)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Every secret given as text, for masking it elsewhere.
    pub fn texts(&self, settings: &Value) -> Vec<String> {
        let mut copy = settings.clone();
        let mut found = Vec::new();
        self.visit(&mut copy, &mut |_, value| {
            if let Value::String(text) = &*value {
                match url_password(text) {
                    Some(range) => found.push(text[range].to_owned()),
                    None if masked(value).is_some() => found.push(text.clone()),
                    None => {}
                }
            }
        });
        found
    }

    /// Calls `f` with each text that is, or holds, a secret.
    fn visit(&self, settings: &mut Value, f: &mut dyn FnMut(&[Step], &mut Value)) {
        let visit = &mut |path: &[Step], mark: Mark, value: &mut Value| {
            // A URL without a password holds nothing to hide.
            if mark != Mark::Url || value.as_str().is_some_and(|text| url_password(text).is_some()) {
                f(path, value);
            }
        };
        self.walk(&self.schema, settings, &mut Vec::new(), visit, 0);
    }

    fn walk(&self, schema: &Value, value: &mut Value, path: &mut Vec<Step>, f: Visit<'_>, depth: usize) {
        // Schemas may refer to themselves; settings nest far less deeply than this.
        if depth > 64 {
            return;
        }
        match mark(schema) {
            Some(Mark::Secret) if !value.is_string() => return,
            Some(mark @ (Mark::Secret | Mark::Url)) => return f(path, mark, value),
            Some(Mark::Headers) => {
                if let Value::Object(map) = value {
                    for (name, item) in map.iter_mut() {
                        if item.is_string() && is_secret_header(name) {
                            path.push(Step::Key(name.clone()));
                            f(path, Mark::Headers, item);
                            path.pop();
                        }
                    }
                }
                return;
            }
            None => {}
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|r| self.resolve(r)) {
            self.walk(target, value, path, f, depth + 1);
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            // Several branches may describe the same place: visiting it twice masks and seals nothing twice, because
            // what was replaced is no longer a text that needs it.
            for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.walk(branch, value, path, f, depth + 1);
            }
        }
        match value {
            Value::Object(map) => {
                for (name, item) in map.iter_mut() {
                    let inner = schema
                        .get("properties")
                        .and_then(|properties| properties.get(name))
                        .or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()));
                    if let Some(inner) = inner {
                        path.push(Step::Key(name.clone()));
                        self.walk(inner, item, path, f, depth + 1);
                        path.pop();
                    }
                }
            }
            Value::Array(items) => {
                if let Some(inner) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        path.push(Step::Index(index));
                        self.walk(inner, item, path, f, depth + 1);
                        path.pop();
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.schema.pointer(reference.strip_prefix('#')?)
    }
}

enum Step {
    Key(String),
    Index(usize),
}

fn at_path<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn dotted(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Key(key) => format!(".{key}"),
            Step::Index(index) => format!("[{index}]"),
        })
        .collect()
}

fn mark(schema: &Value) -> Option<Mark> {
    match schema.get("x-wise")?.as_str()? {
        "secret" => Some(Mark::Secret),
        "url" => Some(Mark::Url),
        "headers" => Some(Mark::Headers),
        _ => None,
    }
}

/// What to show instead of a text that is, or holds, a secret.
fn masked(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    match url_password(text) {
        Some(range) if !range.is_empty() => {
            let mut shown = text.to_owned();
            shown.replace_range(range, MASK);
            Some(shown)
        }
        _ => Some(MASK.to_owned()),
    }
}

/// Whether the value of a header of this name is a secret: it authenticates, by its name.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_HEADERS.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Where the password stands in `scheme://user:password@host/…`.
fn url_password(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.find("://")? + 3;
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |offset| start + offset);
    let at = start + text[start..end].rfind('@')?;
    let colon = start + text[start..at].find(':')?;
    Some(colon + 1..at)
}

fn host_of(text: &str) -> Option<String> {
    let start = text.find("://")? + 3;
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |offset| start + offset);
    let authority = &text[start..end];
    let host = authority.rfind('@').map_or(authority, |at| &authority[at + 1..]);
    Some(format!("{}{}", &text[..start], host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> SettingsSchema {
        SettingsSchema::new(json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "x-wise": "url"},
                "headers": {"type": "object", "x-wise": "headers"},
                "auth": {"anyOf": [{"$ref": "#/$defs/Auth"}, {"type": "null"}]},
                "steps": {"type": "array", "items": {"properties": {"token": {"x-wise": "secret"}}}}
            },
            "$defs": {"Auth": {"oneOf": [
                {"properties": {"type": {"const": "basic"}, "password": {"x-wise": "secret"}}},
                {"properties": {"type": {"const": "bearer"}, "token": {"x-wise": "secret"}}}
            ]}}
        }))
    }

    fn settings() -> Value {
        json!({
            "url": "https://ann:s3cret@example.com/a?b=c@d",
            "headers": {"Accept": "text/html", "X-Api-Key": "k-123456"},
            "auth": {"type": "basic", "user": "ann", "password": "p-123456"},
            "steps": [{"token": {"env": "T"}}, {"token": "t-123456"}]
        })
    }

    #[test]
    fn masking_shows_no_secret_and_comes_back_unchanged() {
        let mut shown = settings();
        schema().mask(&mut shown);
        assert_eq!(
            shown,
            json!({
                "url": format!("https://ann:{MASK}@example.com/a?b=c@d"),
                "headers": {"Accept": "text/html", "X-Api-Key": MASK},
                "auth": {"type": "basic", "user": "ann", "password": MASK},
                "steps": [{"token": {"env": "T"}}, {"token": MASK}]
            })
        );
        schema().unmask(&mut shown, Some(&settings())).unwrap();
        assert_eq!(shown, settings());
    }

    #[test]
    fn a_stored_password_goes_to_no_other_host() {
        let mut moved = json!({"url": format!("https://ann:{MASK}@evil.example/")});
        let error = schema().unmask(&mut moved, Some(&settings())).unwrap_err();
        assert_eq!(error.0[0].field, "settings.url");
        let mut fresh = json!({"auth": {"type": "bearer", "token": MASK}});
        let error = schema().unmask(&mut fresh, None).unwrap_err();
        assert_eq!(error.0[0].field, "settings.auth.token");
    }

    #[test]
    fn sealing_hides_every_secret_and_opens_again() {
        let mut sealed = settings();
        schema().seal(&mut sealed, &|text| Ok(text.chars().rev().collect())).unwrap();
        let text = sealed.to_string();
        for secret in ["s3cret", "k-123456", "p-123456", "t-123456"] {
            assert!(!text.contains(secret), "{text}");
        }
        SettingsSchema::unseal(&mut sealed, &|text| Ok(text.chars().rev().collect())).unwrap();
        assert_eq!(sealed, settings());
        assert_eq!(schema().texts(&settings()), ["s3cret", "k-123456", "p-123456", "t-123456"]);
    }
}
