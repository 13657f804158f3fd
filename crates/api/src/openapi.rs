//! The OpenAPI document, generated from the handlers and from the types of the vocabulary.

use serde_json::{Value, json};
use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
use wise_core::MonitorSpec;

use crate::routes;

/// The document as JSON.
pub fn openapi() -> Value {
    let mut document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("wise-monitoring").version("v1").description(Some(
            "Monitors, their history, and how they stand. docs/api-design.md has the rules behind it.",
        )))
        .build();
    let collected = routes::document();
    document.merge(collected);
    let mut json = serde_json::to_value(&document).unwrap_or_default();
    // Definitions are described by the vocabulary's own schema, from which forms and validation come too.
    let spec = schemars_schema();
    if let Some(schemas) = json.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.insert("MonitorDefinition".to_owned(), spec);
        schemas.sort_keys();
    }
    json
}

fn schemars_schema() -> Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.meta_schema = None;
            settings.inline_subschemas = true;
        })
        .into_generator()
        .into_root_schema_for::<MonitorSpec>();
    let mut value = schema.to_value();
    if let Some(map) = value.as_object_mut() {
        map.insert(
            "example".to_owned(),
            json!({"name": "shop", "kind": "website", "settings": {"url": "https://shop.example/"}}),
        );
    }
    value
}
