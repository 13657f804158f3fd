//! When checks run, and what their outcomes mean.
//!
//! [`Orchestrator`] spreads the monitors over shards. A shard is a thread with a runtime of its own that owns its
//! monitors outright: their schedule, their probes, their conditions and status, so that a check needs no lock from the
//! tick to the verdict. Checks and events leave in batches through the [`Sink`].

mod conditions;
mod hosts;
mod run;
mod schedule;
mod shard;
mod stats;
mod status;
mod task;
mod uplink;

pub use run::{CheckOutcome, Orchestrator, OrchestratorConfig, StartMode};
pub use run::{MonitorRun, Restored};
pub use stats::{DELAY_BUCKETS, SchedulerStats, StatsSnapshot};
pub use status::{Evaluation, StatusEngine};
pub use uplink::{Uplink, UplinkCheck};

use wise_core::Batch;

/// Where checks and events go.
pub trait Sink: Send + Sync {
    /// Takes a batch without waiting.
    ///
    /// # Errors
    /// The batch back, when it cannot be taken now.
    fn send(&self, batch: Batch) -> Result<(), Batch>;
}
