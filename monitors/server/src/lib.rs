//! Watches a Linux machine and the containers on it: the machine that this program runs on, or another one through its
//! node_exporter. Both give the same metrics.
//!
//! `config` has the settings and `target` what they become. `local` (with the parsers in `proc`) and `exporter` are the
//! two sources; each gives a `machine`, and `readings` and `storage` make readings of that. `statvfs` asks filesystems
//! behind a watchdog, `containers` looks at control groups and at Docker, `probes` has the jobs, `evidence` what is
//! written down.

mod background;
mod clock;
mod config;
mod containers;
mod error;
mod evidence;
mod exporter;
mod filter;
mod http;
mod hwmon;
mod interval;
mod local;
mod machine;
mod metrics;
mod probes;
mod proc;
mod readings;
mod statvfs;
mod storage;
mod target;

pub use config::ServerSettings;

use std::time::Duration;

use wise_core::{Plugin, ProbeSpec};

/// The descriptor of this kind.
pub const PLUGIN: Plugin = Plugin {
    title: "Server",
    summary: "Watches a Linux machine: processors, memory, disks, filesystems, network, and the containers on it",
    category: "host",
    guide: include_str!("guide.md"),
    probes: &[
        ProbeSpec::new(
            ProbeSpec::AVAILABILITY,
            "Availability",
            Duration::from_secs(30),
            Duration::from_secs(10),
        ),
        ProbeSpec::new(probes::RESOURCES, "Resources", Duration::from_secs(30), Duration::from_secs(10)),
        ProbeSpec::new(probes::STORAGE, "Filesystems", Duration::from_secs(60), Duration::from_secs(15)),
        ProbeSpec::new(probes::CONTAINERS, "Containers", Duration::from_secs(30), Duration::from_secs(15)),
    ],
    metrics: metrics::ALL,
    classes: error::ALL,
    headline: "server.collection_seconds",
    ..Plugin::new::<ServerSettings>("server", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }
