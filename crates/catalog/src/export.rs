//! Writing definitions so that they can be read again.

use std::collections::BTreeMap;

use serde_json::Value;
use wise_core::{FieldError, FieldErrors, MonitorDefinition, MonitorSpec, Registry, SecretSource};

use crate::catalog::masked_settings;
use crate::files::escape;

/// Who makes and changes the server's own monitor.
pub const FIRST_START: &str = "first start";

/// How definitions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As a file of monitors.
    #[default]
    Toml,
    /// The same as JSON.
    Json,
}

impl Format {
    /// Reads `toml` or `json`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The definitions as a text that can be read again. Secrets given as text become references to variables, since an
/// export is for everybody's eyes.
///
/// # Errors
/// A definition that the format cannot express.
pub fn export(
    registry: &Registry,
    definitions: &[MonitorDefinition],
    format: Format,
) -> Result<String, FieldErrors> {
    let names: BTreeMap<String, String> = definitions
        .iter()
        .map(|definition| (definition.id.to_string(), definition.spec.name.clone()))
        .collect();
    let mut secrets = Vec::new();
    let mut monitors = Vec::new();
    // The server makes its own monitor by itself, at its own address.
    for definition in definitions.iter().filter(|one| one.updated_by != FIRST_START) {
        let mut spec = definition.spec.clone();
        spec.settings = masked_settings(registry, definition);
        let prefix = variable(&spec.name);
        for id in &mut spec.depends_on {
            if let Some(name) = names.get(id) {
                id.clone_from(name);
            }
        }
        let mut value = serde_json::to_value(&spec)
            .map_err(|error| FieldErrors::from(FieldError::new(spec.name.clone(), error.to_string())))?;
        // Texts first: what stands for a secret is a variable and stays one.
        escape_all(&mut value);
        mask_to_reference(&mut value["settings"], &prefix, &mut secrets);
        drop_defaults(&mut value);
        monitors.push((spec.name, value));
    }
    match format {
        Format::Toml => as_toml(monitors, &secrets),
        Format::Json => {
            let monitors: Vec<Value> = monitors.into_iter().map(|(_, value)| value).collect();
            let all = serde_json::json!({ "secrets_to_set": secrets, "monitor": monitors });
            serde_json::to_string_pretty(&all)
                .map(|text| text + "\n")
                .map_err(|error| FieldErrors::from(FieldError::new("", error.to_string())))
        }
    }
}

fn as_toml(monitors: Vec<(String, Value)>, secrets: &[String]) -> Result<String, FieldErrors> {
    let mut out = String::from("# Monitors of wise-monitoring. Put this file into config/monitors.d.\n");
    for (name, value) in monitors {
        let table = toml::to_string(&Wrapped { monitor: [value] })
            .map_err(|error| FieldErrors::from(FieldError::new(name, error.to_string())))?;
        out.push('\n');
        out.push_str(&table);
    }
    if !secrets.is_empty() {
        let list: Vec<String> = secrets.iter().map(|name| format!("#   {name}\n")).collect();
        out.insert_str(0, &format!("# Secrets to set in .env or the environment:\n{}", list.concat()));
    }
    Ok(out)
}

/// Reads what [`export`] has written: the definitions, each as JSON.
///
/// # Errors
/// What is wrong, and where.
pub fn read_export(text: &str, format: Format) -> Result<Vec<Value>, FieldErrors> {
    let wrong = |reason: String| FieldErrors::from(FieldError::new("", reason));
    let all: Value = match format {
        Format::Toml => toml::from_str(text).map_err(|error| wrong(format!("is no TOML: {error}")))?,
        Format::Json => serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON: {error}")))?,
    };
    let Value::Object(mut all) = all else {
        return Err(wrong("wrong type: expected an object with `monitor`, a list".to_owned()));
    };
    all.remove("secrets_to_set");
    let monitors = match all.remove("monitor") {
        Some(Value::Array(monitors)) => monitors,
        Some(_) => return Err(FieldError::new("monitor", "wrong type: expected a list").into()),
        None => {
            return Err(FieldError::new("monitor", "is missing").hint("write a list of definitions").into());
        }
    };
    match all.keys().next() {
        None => Ok(monitors),
        Some(other) => {
            Err(FieldError::new(other.clone(), "unknown field").hint("only `monitor` is read").into())
        }
    }
}

#[derive(serde::Serialize)]
struct Wrapped {
    monitor: [Value; 1],
}

fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Lets no text be read as one with a variable.
fn escape_all(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${") => *text = escape(text),
        Value::Array(items) => items.iter_mut().for_each(escape_all),
        Value::Object(map) => map.values_mut().for_each(escape_all),
        _ => {}
    }
}

fn mask_to_reference(value: &mut Value, path: &str, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) if text == wise_core::MASK => {
            secrets.push(path.to_owned());
            *value = reference(&SecretSource::Env(path.to_owned()));
        }
        Value::String(text) if text.contains(wise_core::MASK) => {
            secrets.push(path.to_owned());
            *text = text.replace(wise_core::MASK, &format!("${{{path}}}"));
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                mask_to_reference(item, &format!("{path}_{index}"), secrets);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                mask_to_reference(item, &format!("{path}_{}", variable(key)), secrets);
            }
        }
        _ => {}
    }
}

fn reference(source: &SecretSource) -> Value {
    match source {
        SecretSource::Env(name) => serde_json::json!({"env": name}),
        SecretSource::File(path) => serde_json::json!({"file": path}),
        SecretSource::Text(_) => Value::Null,
    }
}

/// TOML has no null, and empty or default fields say nothing.
fn drop_defaults(value: &mut Value) {
    let Value::Object(map) = value else { return };
    let plain = MonitorSpec::new("", "", Value::Null);
    let plain = serde_json::to_value(&plain).unwrap_or_default();
    map.retain(|key, value| !value.is_null() && plain.get(key) != Some(value));
    for value in map.values_mut() {
        drop_nulls(value);
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
