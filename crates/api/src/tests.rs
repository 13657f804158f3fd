//! Rules over all handlers, read from their sources and from the document made of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi::openapi;

/// Every route file, by name.
fn sources() -> Vec<(String, syn::File)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), syn::parse_file(&text).unwrap())
        })
        .collect()
}

fn is_route(function: &syn::ItemFn) -> bool {
    let methods = ["get", "post", "put", "patch", "delete", "route"];
    function.attrs.iter().any(|attribute| methods.iter().any(|method| attribute.path().is_ident(method)))
}

#[test]
fn every_handler_names_a_permission() {
    let mut count = 0;
    for (file, source) in sources() {
        for item in source.items {
            let syn::Item::Fn(function) = item else { continue };
            if !is_route(&function) {
                continue;
            }
            count += 1;
            let first = function.sig.inputs.first();
            let is_access = matches!(first, Some(syn::FnArg::Typed(argument)) if is_access(&argument.ty));
            assert!(is_access, "{file}: the first argument of {} must be Access<…>", function.sig.ident);
            let is_described = function.attrs.iter().any(|attribute| {
                attribute.path().segments.iter().map(|s| s.ident.to_string()).eq(["utoipa", "path"])
            });
            assert!(is_described, "{file}: {} has no #[utoipa::path]", function.sig.ident);
        }
    }
    assert!(count > 20, "only {count} handlers were found");
}

fn is_access(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Access"))
}

#[test]
fn the_document_describes_every_handler_and_is_as_committed() {
    let document = openapi();
    let handlers = sources()
        .into_iter()
        .flat_map(|(_, source)| source.items)
        .filter(|item| matches!(item, syn::Item::Fn(function) if is_route(function)))
        .count();
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(operations.len(), handlers, "{operations:?}");
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json")).unwrap();
    let committed: Value = serde_json::from_str(&committed).unwrap();
    assert!(document == committed, "docs/openapi.json is not up to date: run `cargo xtask codegen`");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = openapi();
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let found = document.pointer(reference.trim_start_matches('#'));
                    assert!(found.is_some(), "{reference} leads nowhere");
                }
                left.extend(map.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
}
