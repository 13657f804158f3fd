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
    /// How many at most.
    pub limit: usize,
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
