//! Events and conditions as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wise_core::{Condition, ConditionKey, Event, EventKind, Reason, Severity, Status, Timestamp};

/// One thing that is wrong with a monitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Condition)]
pub(crate) struct ConditionView {
    /// Tells it from the monitor's other conditions; the same each time it is raised.
    key: String,
    /// `down`, `probe_failing`, `threshold` or `unknown`.
    kind: &'static str,
    /// The probe that can clear it.
    probe: String,
    /// The metric, of a threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    /// The part of the target, of a threshold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    /// When it began: the first failure or reading of the run that raised it.
    #[schema(value_type = String)]
    since: Timestamp,
    /// Why, as it was when it was raised or last changed in severity.
    #[schema(value_type = Object)]
    reason: Reason,
    /// What that check saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
}

impl ConditionView {
    pub(crate) fn new(condition: &Condition) -> Self {
        let (metric, labels) = match &condition.key {
            ConditionKey::Threshold { metric, labels, .. } => {
                (Some(metric.clone()), labels.pairs().iter().cloned().collect())
            }
            _ => (None, BTreeMap::new()),
        };
        Self {
            key: condition.key.to_string(),
            kind: condition.key.kind(),
            probe: condition.probe().to_owned(),
            metric,
            labels,
            severity: condition.severity,
            since: condition.since,
            reason: condition.reason.clone(),
            evidence: condition.evidence.as_deref().cloned(),
        }
    }
}

/// A fact of the main record. Which of the optional fields are there depends on the type.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// Its number in the main record.
    sequence: u64,
    /// The same wherever it is stored, also when another process gives it another number.
    identity: String,
    /// When it was decided.
    #[schema(value_type = String)]
    time: Timestamp,
    /// The monitor.
    monitor: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `raised`, `changed`, `cleared` (a condition), `status`, `gap`, `removed` or `restored`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The condition: as it is now, or as it was when it was cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionView>,
    /// The severity before, of a condition that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    before: Option<Severity>,
    /// Why a condition was cleared: `recovered`, `gone` (the part it was about is no longer there) or `edited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cause: Option<wise_core::ClearCause>,
    /// The status before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    from: Option<Status>,
    /// The status after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    to: Option<Status>,
    /// Whether the monitor counts as down after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<bool>,
    /// From when a status holds, or when a gap began. May precede `time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// When a gap ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    until: Option<Timestamp>,
    /// Why, of a status or a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    reason: Option<Reason>,
}

impl EventView {
    pub(crate) fn new(sequence: u64, event: &Event, name: Option<String>) -> Self {
        let base = Self {
            sequence,
            identity: event.identity(),
            time: event.time,
            monitor: event.monitor.to_string(),
            name,
            kind: event.kind.name(),
            condition: event.kind.condition().map(ConditionView::new),
            ..Self::default()
        };
        match &event.kind {
            EventKind::Raised { .. } => base,
            EventKind::Changed { before, .. } => Self { before: Some(*before), ..base },
            EventKind::Cleared { cause, .. } => Self { cause: Some(*cause), ..base },
            EventKind::Status(change) => Self {
                from: change.from,
                to: Some(change.to),
                down: Some(change.down),
                since: Some(change.since),
                reason: change.reason.clone(),
                ..base
            },
            EventKind::Gap(gap) => Self {
                since: Some(gap.from),
                until: Some(gap.until),
                reason: Some(gap.reason.clone()),
                ..base
            },
            EventKind::Removed { name } | EventKind::Restored { name } => {
                Self { name: Some(name.clone()), ..base }
            }
        }
    }
}
