//! Definitions and events.

use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;
use wise_core::{Event, EventKind, MonitorDefinition, MonitorId, Reason, Timestamp};

use super::{damaged, date, decoded};
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

/// A definition that was removed and can be brought back. Its name is free.
pub(in crate::mongodb) fn removed(
    definition: &MonitorDefinition,
    at: Timestamp,
    change: i64,
) -> Result<Document, StoreError> {
    let mut document = monitor(definition, change)?;
    document.remove("name");
    document.insert("removed", date(at.as_micros()));
    Ok(document)
}

/// What is left of a definition that was purged.
pub(in crate::mongodb) fn tombstone(monitor: MonitorId, change: i64) -> Document {
    doc! { "_id": monitor.to_string(), "change": change, "purged": DateTime::now() }
}

/// A definition as it is found.
pub(in crate::mongodb) enum Found {
    /// It is in force.
    InForce(MonitorDefinition),
    /// It was removed, then.
    Removed(MonitorDefinition, Timestamp),
    /// It was purged.
    Purged,
}

/// Reads a definition.
pub(in crate::mongodb) fn read_monitor(document: &Document) -> Result<Found, StoreError> {
    if document.contains_key("purged") {
        return Ok(Found::Purged);
    }
    let body = document.get_str("definition").unwrap_or_default();
    let definition = serde_json::from_str(body).map_err(|error| damaged(document.get("_id"), error))?;
    Ok(match document.get_datetime("removed") {
        Ok(at) => Found::Removed(definition, Timestamp::from_micros(at.timestamp_millis() * 1000)),
        Err(_) => Found::InForce(definition),
    })
}

/// An event. What people ask for stands in fields of its own; `event` has all of it.
pub(in crate::mongodb) fn event(sequence: u64, event: &Event) -> Result<Document, StoreError> {
    let body = serde_json::to_string(&event.kind)
        .map_err(|error| StoreError::Server { reason: format!("an event: {error}") })?;
    let mut document = doc! {
        "_id": i64::try_from(sequence).unwrap_or(i64::MAX),
        "monitor": event.monitor.to_string(),
        "time": date(event.time.as_micros()),
        "time_us": event.time.as_micros(),
        "type": event.kind.name(),
        "identity": event.identity(),
        "event": body,
    };
    let mut put_reason = |reason: Option<&Reason>| {
        if let Some(reason) = reason {
            document.insert("class", &reason.class);
            document.insert("message", &reason.message);
        }
    };
    match &event.kind {
        EventKind::Raised { condition }
        | EventKind::Changed { condition, .. }
        | EventKind::Cleared { condition, .. } => {
            put_reason(Some(&condition.reason));
            let labels: Vec<Document> = condition
                .reason
                .labels
                .pairs()
                .iter()
                .map(|(name, value)| doc! { "name": name, "value": value })
                .collect();
            let mut one = doc! {
                "key": condition.key.to_string(),
                "kind": condition.key.kind(),
                "probe": condition.probe(),
                "severity": condition.severity.name(),
                "labels": labels,
            };
            if let Some(metric) = &condition.reason.metric {
                one.insert("metric", metric);
            }
            document.insert("condition", one);
            document.insert("since", date(condition.since.as_micros()));
        }
        EventKind::Status(change) => {
            put_reason(change.reason.as_ref());
            if let Some(from) = change.from {
                document.insert("from", from.name());
            }
            document.insert("to", change.to.name());
            document.insert("down", change.down);
            document.insert("since", date(change.since.as_micros()));
        }
        EventKind::Gap(gap) => {
            put_reason(Some(&gap.reason));
            document.insert("since", date(gap.from.as_micros()));
            document.insert("until", date(gap.until.as_micros()));
        }
        EventKind::Removed { .. } | EventKind::Restored { .. } => {}
    }
    Ok(document)
}

#[derive(Deserialize)]
struct StoredEvent {
    #[serde(rename = "_id")]
    sequence: i64,
    monitor: String,
    time_us: i64,
    event: String,
}

/// Reads an event.
pub(in crate::mongodb) fn read_event(document: Document) -> Result<(u64, Event), StoreError> {
    let stored: StoredEvent = decoded(document)?;
    let id = stored.sequence;
    let event = Event {
        monitor: stored.monitor.parse().map_err(|_| damaged(id, "its monitor has no id"))?,
        time: Timestamp::from_micros(stored.time_us),
        kind: serde_json::from_str(&stored.event).map_err(|error| damaged(id, error))?,
    };
    Ok((u64::try_from(id).unwrap_or(0), event))
}
