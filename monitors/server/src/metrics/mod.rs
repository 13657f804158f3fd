//! The metric catalogue: `host` for the machine, `storage` for its filesystems, `containers` for what runs on it.

pub(crate) mod containers;
pub(crate) mod host;
pub(crate) mod storage;

use wise_core::{MetricSpec, join_metrics};

const PARTS: [&[&MetricSpec]; 3] = [host::ALL, storage::ALL, containers::ALL];
const COUNT: usize = host::ALL.len() + storage::ALL.len() + containers::ALL.len();

/// Every measurement.
pub(crate) const ALL: &[&MetricSpec] = &join_metrics::<COUNT>(&PARTS);

/// A whole number of things.
const fn count(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::gauge(name, "count", title, help).resolution(1.0)
}

/// A share, to a hundredth of a percent.
const fn ratio(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::gauge(name, "ratio", title, help).resolution(0.0001)
}

/// A size.
const fn bytes(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::gauge(name, "bytes", title, help).resolution(1.0)
}

/// A code, or 0 and 1.
const fn state(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::gauge(name, "state", title, help).resolution(1.0)
}

/// A total that only grows.
const fn total(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::counter(name, "total", title, help)
}
