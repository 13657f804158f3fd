//! Which checks to list, and how they are answered.

use serde_json::Value;
use wise_core::{MonitorId, Status, Timestamp};

/// Which checks to list.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultQuery {
    /// The monitor.
    pub monitor: MonitorId,
    /// From, included.
    pub from: Timestamp,
    /// To, excluded.
    pub to: Timestamp,
    /// Only checks that failed.
    pub failed: bool,
    /// Only checks of this probe.
    pub probe: Option<String>,
    /// Only checks that failed with this error class.
    pub class: Option<String>,
    /// How many at most.
    pub limit: usize,
}

impl ResultQuery {
    /// All checks of a monitor in a range, so many at most.
    pub fn of(monitor: MonitorId, (from, to): (Timestamp, Timestamp), limit: usize) -> Self {
        Self { monitor, from, to, failed: false, probe: None, class: None, limit }
    }

    /// Only checks that failed.
    pub fn failed(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }

    /// Only checks of this probe, if one is given.
    pub fn probe(mut self, probe: Option<String>) -> Self {
        self.probe = probe;
        self
    }

    /// Only checks that failed with this class, if one is given.
    pub fn class(mut self, class: Option<String>) -> Self {
        self.failed |= class.is_some();
        self.class = class;
        self
    }
}

/// A check as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// When it started.
    pub time: Timestamp,
    /// The probe.
    pub probe: String,
    /// The monitor's status after it.
    pub status: Status,
    /// Whether the monitor was down after it.
    pub down: bool,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
    /// Class, code and message of its failure.
    pub failure: Option<(String, Option<String>, String)>,
    /// Evidence: its own, or that of the failure it repeats.
    pub evidence: Option<Value>,
    /// Where it was made.
    pub location: String,
    /// By which process.
    pub worker: String,
}
