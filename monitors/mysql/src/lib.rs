//! Watches MySQL 5.7 and later, and MariaDB 10 and later.
//!
//! `config` has the settings, `session` logs in and runs statements, `gate` stands between driver and server and agrees on TLS, `wire` reads packets of a login, `table` reads answers by column name,
//! `availability`, `activity`, `replication`, `storage` and `queries` are the probes, `metrics` has the catalogue by
//! probe, `error` turns error numbers into classes.

mod activity;
mod availability;
mod blockers;
mod channel;
mod config;
mod error;
mod gate;
mod metrics;
mod queries;
mod replication;
mod session;
mod storage;
mod table;
mod tables;
mod wire;

pub use config::MysqlSettings;

use std::time::Duration;

use wise_core::{Plugin, ProbeSpec};
use wise_database::Step;

/// A check of this kind.
type Run<'a> = wise_database::Run<'a, config::Watched>;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The descriptor of this kind.
pub const PLUGIN: Plugin = Plugin {
    title: "MySQL and MariaDB",
    summary: "Logs in, and watches sessions, locks, replication, Galera, sizes and growth",
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
    metric_patterns: &["mysql.query.*"],
    classes: error::ALL,
    headline: metrics::availability::TOTAL.name,
    ..Plugin::new::<MysqlSettings>("mysql", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }

/// The descriptor, for tests and benchmarks that want a place for it.
pub static REGISTERED: Plugin = PLUGIN;
