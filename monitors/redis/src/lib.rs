//! Watches Redis and Valkey: standalone, replica, member of a cluster, or Sentinel.
//!
//! `config` has the settings, `server` what they become. `login` makes the staged login of `availability` over a
//! connection of our own, in which `resp` reads the protocol within bounds; `driver` is the one place that knows the
//! driver, which serves the other probes behind a `gate` that bounds what it reads, and `session` decides which connection they get. `info` reads the text of
//! INFO. Each probe has a file of its name; `cluster` and `sentinel` are what replication means there. `error` has the
//! classes of refusals, `evidence` what is written down.

mod activity;
mod availability;
mod cluster;
mod commands;
mod config;
mod driver;
mod error;
mod evidence;
mod gate;
mod info;
mod keys;
mod login;
mod metrics;
mod queries;
#[cfg(test)]
mod recorded;
mod replication;
mod resp;
mod sentinel;
mod server;
mod session;
mod statistics;
mod storage;

pub use config::{RedisQuery, RedisSettings, Role};

use std::time::Duration;

use wise_core::{Plugin, ProbeSpec};

const fn probe(name: &'static str, title: &'static str, interval: u64, timeout: u64) -> ProbeSpec {
    ProbeSpec::new(name, title, Duration::from_secs(interval), Duration::from_secs(timeout))
}

/// The descriptor of this kind.
pub const PLUGIN: Plugin = Plugin {
    title: "Redis",
    summary: "Logs in to Redis or Valkey stage by stage, and watches activity, persistence, replication and memory",
    category: "database",
    guide: include_str!("guide.md"),
    probes: &[
        probe(ProbeSpec::AVAILABILITY, "Availability", 30, 10),
        probe("activity", "Activity", 30, 10),
        probe("replication", "Replication", 30, 10),
        probe("storage", "Storage", 300, 60),
        probe("queries", "Custom queries", 60, 30),
    ],
    metrics: metrics::ALL,
    metric_patterns: &["redis.query.*"],
    classes: error::ALL,
    headline: metrics::reach::TOTAL.name,
    ..Plugin::new::<RedisSettings>("redis", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }
