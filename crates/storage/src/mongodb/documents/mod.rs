//! What documents hold, and how they come about: definitions and events (`record`), checks (`checks`), rollups.

mod checks;
mod record;
mod rollups;

use std::collections::BTreeMap;

use mongodb::bson::{
    DateTime, Document, RawDocumentBuf, deserialize_from_document, serialize_to_raw_document_buf,
};
use serde::Serialize;

pub(super) use checks::{Span, chunks, read_chunk, results};
pub(super) use record::{Found, event, monitor, read_event, read_monitor, removed, tombstone};
pub(super) use rollups::{NamedRollup, read_rollups, rollups};

use crate::error::StoreError;

pub(super) fn date(micros: i64) -> DateTime {
    DateTime::from_millis(micros.div_euclid(1000))
}

pub(super) fn micros(date: DateTime) -> i64 {
    date.timestamp_millis().saturating_mul(1000)
}

/// The error for a document that cannot be read.
fn damaged(id: impl std::fmt::Debug, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { path: "the store in MongoDB".into(), reason: format!("document {id:?}: {reason}") }
}

/// A document as bytes: what there is much of.
fn encoded_raw(document: &impl Serialize) -> Result<RawDocumentBuf, StoreError> {
    serialize_to_raw_document_buf(document).map_err(|error| StoreError::Server { reason: error.to_string() })
}

fn decoded<T: serde::de::DeserializeOwned>(document: Document) -> Result<T, StoreError> {
    let id = document.get("_id").cloned();
    deserialize_from_document(document).map_err(|error| damaged(id, error))
}

type LabelMap = BTreeMap<String, String>;

/// Labels as the embedded store has them: a JSON array of pairs, sorted.
fn label_map(text: &str) -> LabelMap {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
    pairs.into_iter().collect()
}

fn label_text(labels: &LabelMap) -> String {
    if labels.is_empty() {
        return String::new();
    }
    serde_json::to_string(&labels.iter().collect::<Vec<_>>()).unwrap_or_default()
}

/// A part of an id: slashes in names would make two ids one.
fn clean(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}
