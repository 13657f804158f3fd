//! Watches PostgreSQL 10 and later.
//!
//! `config` has the settings, `session` logs in stage by stage and runs statements, `availability`, `activity`,
//! `replication`, `storage` and `queries` are the probes, `metrics` has the catalogue by probe, `error` turns SQLSTATEs
//! into classes.

mod activity;
mod availability;
mod blockers;
mod config;
mod error;
mod metrics;
mod peer;
mod queries;
mod replication;
mod rows;
mod session;
mod slots;
mod storage;
mod tables;

pub use config::PostgresqlSettings;

use wise_database::Step;

/// A check of this kind.
type Run<'a> = wise_database::Run<'a, config::Watched>;

use std::time::Duration;

use wise_core::{Plugin, ProbeSpec};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The descriptor of this kind.
pub const PLUGIN: Plugin = Plugin {
    title: "PostgreSQL",
    summary: "Logs in stage by stage, and watches sessions, locks, replication, sizes and growth",
    category: "database",
    guide: include_str!("guide.md"),
    probes: &[
        ProbeSpec::new(ProbeSpec::AVAILABILITY, "Availability", seconds(30), seconds(10)),
        ProbeSpec::new("activity", "Activity", seconds(30), seconds(10)),
        ProbeSpec::new("replication", "Replication", seconds(30), seconds(10)),
        ProbeSpec::new("storage", "Storage", seconds(300), seconds(60)),
        ProbeSpec::new("queries", "Custom queries", seconds(60), seconds(30)),
    ],
    metrics: metrics::ALL,
    metric_patterns: &["postgresql.query.*"],
    classes: error::ALL,
    headline: metrics::availability::TOTAL.name,
    ..Plugin::new::<PostgresqlSettings>("postgresql", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }

/// The descriptor, for tests and benchmarks that want a place for it.
pub static REGISTERED: Plugin = PLUGIN;
