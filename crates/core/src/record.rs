//! What flows from the orchestrator to store, live view and alerting.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::definition::MonitorId;
use crate::report::{Failure, Reading};
use crate::status::Status;

/// One check, evaluated.
#[derive(Clone, Debug)]
pub struct CheckRecord {
    /// The monitor.
    pub monitor: MonitorId,
    /// Its probe, by name.
    pub probe: &'static str,
    /// When the check started.
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
    /// Facts that changed.
    pub facts: Vec<(&'static str, String)>,
    /// When the probe's next check is due.
    pub next: Option<Timestamp>,
    /// Why the monitor has this status.
    pub reason: Option<Reason>,
}

/// Why a monitor has the status it has.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
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
    /// Its value.
    pub value: Option<f64>,
}

impl Reason {
    /// A reason from a failed check.
    pub fn from_failure(failure: &Failure, probe: &str) -> Self {
        Self {
            class: failure.class.name.to_owned(),
            code: failure.code.as_deref().map(str::to_owned),
            message: failure.message.clone(),
            probe: Some(probe.to_owned()),
            metric: None,
            value: None,
        }
    }
}

/// A change of status, which is stored before anybody is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The monitor.
    pub monitor: MonitorId,
    /// When the change happened.
    pub time: Timestamp,
    /// The status before: unknown at a monitor's first check, `None` when there was none at all.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// Whether the monitor counts as down after it.
    pub down: bool,
    /// Why.
    pub reason: Option<Reason>,
    /// The evidence of the check that decided.
    pub evidence: Option<Arc<Value>>,
}

impl Transition {
    /// Whether both tell of the same change: what they say of why may have been written by another version.
    pub fn is_change(&self, other: &Self) -> bool {
        (self.monitor, self.time, self.to) == (other.monitor, other.time, other.to)
    }
}
