//! What flows from the orchestrator to store, live view and alerting.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::monitor_id::MonitorId;
use crate::report::{Failure, Labels, MetricRef, Reading};
use crate::status::Status;

/// One check, evaluated.
#[derive(Clone, Debug)]
pub struct CheckRecord {
    /// The monitor.
    pub monitor: MonitorId,
    /// Its probe, by name.
    pub probe: &'static str,
    /// When the check started, or was due if it was never made.
    pub time: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The monitor's status after it.
    pub status: Status,
    /// Whether the monitor counts as down after it.
    pub down: bool,
    /// Why it failed; `None` when it passed.
    pub failure: Option<Failure>,
    /// Evidence, when the failure differs from the last one.
    pub evidence: Option<Arc<Value>>,
    /// The numbers.
    pub readings: Vec<Reading>,
    /// Series that the check gave more than once: the worse reading of each was kept. A fault of the monitor's kind.
    pub duplicates: Vec<(MetricRef, Labels)>,
    /// Facts that changed.
    pub facts: Vec<(&'static str, String)>,
    /// When the probe's next check is due.
    pub next: Option<Timestamp>,
    /// Why the monitor has this status.
    pub reason: Option<Reason>,
}

/// Checks and events on their way to the store.
#[derive(Debug, Default)]
pub struct Batch {
    /// Checks, in the order they ended.
    pub records: Vec<CheckRecord>,
    /// Events, in order.
    pub events: Vec<Event>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty()
    }
}

/// Why a monitor has the status it has, or one of its conditions.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Reason {
    /// The error class, or `threshold`.
    pub class: String,
    /// The finer code within the class.
    pub code: Option<String>,
    /// One sentence for people.
    pub message: String,
    /// The probe it comes from.
    pub probe: Option<String>,
    /// The metric, when a threshold is crossed.
    pub metric: Option<String>,
    /// The part of the target, when a threshold is crossed by one.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Its value.
    pub value: Option<f64>,
    /// The bound that it is over.
    #[serde(default)]
    pub bound: Option<f64>,
}

impl Reason {
    /// A reason without more than a class and a sentence.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), message: message.into(), ..Self::default() }
    }

    /// A reason from a failed check.
    pub fn from_failure(failure: &Failure, probe: &str) -> Self {
        Self {
            code: failure.code.as_deref().map(str::to_owned),
            probe: Some(probe.to_owned()),
            ..Self::new(failure.class.name, failure.message.clone())
        }
    }
}
