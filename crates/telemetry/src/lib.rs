//! Telemetry that any Rust service can embed, and that the server uses on itself.
//!
//! [`Metrics`] holds a registry and renders it as Prometheus text 0.0.4 or OpenMetrics 1.0; [`HttpMetrics`] and
//! [`track`] count and time HTTP requests, by method and route; [`HealthChecks`] answers how the service fares.

mod exposition;
mod health;
mod http;
mod requests;

pub use exposition::{Format, Metrics};
pub use health::{CheckResult, HealthChecks, HealthReport, HealthStatus};
pub use http::{HttpMetrics, RequestId, track};
pub use requests::{Durations, RequestSummary, RouteStatistics, Thresholds};

// What a collector of an embedding service is written with.
pub use prometheus_client;
