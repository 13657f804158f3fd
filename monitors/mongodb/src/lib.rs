//! Watches MongoDB 4.4 and later, and servers that speak its protocol.
//!
//! `config` has the settings, `pipeline` sees to it that aggregations only read, `wire` reads and writes messages,
//! `hello` says what a server is, `gate` carries the driver over a connection of the network stack, `session` logs in
//! stage by stage and runs commands. The probes are `availability`, `activity` with `operations`, `replication` with
//! `members`, `oplog` and `sharding`, `storage` with `collections`, and `queries`. `metrics` has the catalogue by probe,
//! `error` turns the server's codes into classes, `document` reads values out of answers.

mod activity;
mod availability;
mod collections;
mod config;
mod document;
mod error;
mod gate;
mod hello;
mod members;
mod metrics;
mod operations;
mod oplog;
mod pipeline;
mod queries;
mod replication;
mod session;
mod sharding;
mod storage;
mod wire;

pub use config::MongodbSettings;

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
    title: "MongoDB",
    summary: "Logs in to a member stage by stage, and watches operations, replication, sizes and growth",
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
    metric_patterns: &["mongodb.query.*"],
    classes: error::ALL,
    headline: metrics::availability::TOTAL.name,
    ..Plugin::new::<MongodbSettings>("mongodb", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }

/// The descriptor, for tests and benchmarks that want a place for it.
pub static REGISTERED: Plugin = PLUGIN;
