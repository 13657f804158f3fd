//! When checks run, and what their outcomes mean.
//!
//! [`Orchestrator`] spreads the monitors over shards. A shard is a thread with a runtime of its own that owns its
//! monitors outright: their schedule, their probes and their status engines, so that a check needs no lock from the
//! tick to the verdict. Verdicts leave in batches through the [`Sink`].

mod engine;
mod hosts;
mod run;
mod schedule;
mod shard;
mod stats;
mod task;
mod uplink;

pub use engine::{Evaluation, StatusEngine};
pub use run::{CheckOutcome, Orchestrator, OrchestratorConfig, StartMode};
pub use run::{MonitorRun, Restored};
pub use stats::{DELAY_BUCKETS, SchedulerStats, StatsSnapshot};
pub use uplink::{Uplink, UplinkCheck};

use wise_core::{CheckRecord, Transition};

/// Verdicts on their way to the store.
#[derive(Debug, Default)]
pub struct Batch {
    /// Checks, in the order they ended.
    pub records: Vec<CheckRecord>,
    /// Changes of status, in order.
    pub transitions: Vec<Transition>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.transitions.is_empty()
    }
}

/// Where verdicts go.
pub trait Sink: Send + Sync {
    /// Takes a batch without waiting.
    ///
    /// # Errors
    /// The batch back, when it cannot be taken now.
    fn send(&self, batch: Batch) -> Result<(), Batch>;
}
