//! Watches a website: a fresh connection each check, its phases apart, and what came back compared with what is
//! expected.
//!
//! `config` has the settings, `target` what they become, `exchange` makes one request on one connection, `check`
//! follows redirects and judges, `evidence` writes down what happened.

mod assertion;
mod body;
mod check;
mod config;
mod error;
mod evidence;
mod exchange;
mod metrics;
mod proxy;
mod status_codes;
mod stream;
mod target;

pub use config::WebsiteSettings;

use std::time::Duration;

use wise_core::{Plugin, ProbeSpec};

/// The descriptor of this kind.
pub const PLUGIN: Plugin = Plugin {
    title: "Website",
    summary: "Makes an HTTP request on a fresh connection, times each phase, and judges status, headers, body and certificate",
    category: "web",
    probes: &[ProbeSpec::new(
        ProbeSpec::AVAILABILITY,
        "Availability",
        Duration::from_secs(60),
        Duration::from_secs(10),
    )],
    metrics: metrics::ALL,
    classes: error::ALL,
    headline: metrics::TOTAL.name,
    ..Plugin::new::<WebsiteSettings>("website", env!("CARGO_PKG_NAME"))
};

wise_core::inventory::submit! { PLUGIN }
