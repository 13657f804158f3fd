//! Definitions and transitions.

use mongodb::bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};
use wise_core::{MonitorDefinition, MonitorId, Reason, Status, Timestamp, Transition};

use super::{damaged, date, decoded, encoded};
use crate::error::StoreError;

/// A definition.
pub(in crate::mongodb) fn monitor(
    definition: &MonitorDefinition,
    change: i64,
) -> Result<Document, StoreError> {
    let spec = &definition.spec;
    let tags: Vec<Document> =
        spec.tags.iter().map(|(name, value)| doc! { "name": name, "value": value }).collect();
    let managed_by = match &definition.managed_by {
        wise_core::ManagedBy::Api => "api".to_owned(),
        wise_core::ManagedBy::File(file) => file.clone(),
    };
    let body = serde_json::to_string(definition)
        .map_err(|error| StoreError::Server { reason: format!("a definition: {error}") })?;
    Ok(doc! {
        "_id": definition.id.to_string(),
        "change": change,
        "name": &spec.name,
        "kind": &spec.kind,
        "enabled": spec.enabled,
        "tags": tags,
        "managed_by": managed_by,
        "version": i64::try_from(definition.version).unwrap_or(i64::MAX),
        "created_at": date(definition.created_at.as_micros()),
        "updated_at": date(definition.updated_at.as_micros()),
        "updated_by": &definition.updated_by,
        "definition": body,
    })
}

/// What is left of a definition that was removed.
pub(in crate::mongodb) fn tombstone(monitor: MonitorId, change: i64) -> Document {
    doc! { "_id": monitor.to_string(), "change": change, "removed": DateTime::now() }
}

/// Reads a definition; `None` for what is left of one.
pub(in crate::mongodb) fn read_monitor(document: &Document) -> Result<Option<MonitorDefinition>, StoreError> {
    if document.contains_key("removed") {
        return Ok(None);
    }
    let body = document.get_str("definition").unwrap_or_default();
    serde_json::from_str(body).map(Some).map_err(|error| damaged(document.get("_id"), error))
}

#[derive(Serialize, Deserialize)]
struct StoredTransition {
    #[serde(rename = "_id")]
    sequence: i64,
    monitor: String,
    time: DateTime,
    time_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
    down: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

/// A transition.
pub(in crate::mongodb) fn transition(sequence: u64, transition: &Transition) -> Result<Document, StoreError> {
    encoded(&StoredTransition {
        sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
        monitor: transition.monitor.to_string(),
        time: date(transition.time.as_micros()),
        time_us: transition.time.as_micros(),
        from: transition.from.map(|status| status.name().to_owned()),
        to: transition.to.name().to_owned(),
        down: transition.down,
        reason: transition.reason.clone(),
        evidence: transition.evidence.as_ref().map(ToString::to_string),
    })
}

/// Reads a transition.
pub(in crate::mongodb) fn read_transition(document: Document) -> Result<(u64, Transition), StoreError> {
    let stored: StoredTransition = decoded(document)?;
    let id = stored.sequence;
    let transition = Transition {
        monitor: stored.monitor.parse().map_err(|_| damaged(id, "its monitor has no id"))?,
        time: Timestamp::from_micros(stored.time_us),
        from: stored.from.as_deref().and_then(Status::from_name),
        to: Status::from_name(&stored.to).ok_or_else(|| damaged(id, "an unknown status"))?,
        down: stored.down,
        reason: stored.reason,
        evidence: stored.evidence.and_then(|text| serde_json::from_str(&text).ok()).map(std::sync::Arc::new),
    };
    Ok((u64::try_from(id).unwrap_or(0), transition))
}
