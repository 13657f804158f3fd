//! The metric catalogue, by probe.

pub(crate) mod activity;
pub(crate) mod reach;
pub(crate) mod replication;
pub(crate) mod storage;

use wise_core::{MetricSpec, join_metrics};

const PARTS: [&[&MetricSpec]; 4] = [reach::ALL, activity::ALL, replication::ALL, storage::ALL];
const COUNT: usize = reach::ALL.len() + activity::ALL.len() + replication::ALL.len() + storage::ALL.len();

/// Every measurement.
pub(crate) const ALL: &[&MetricSpec] = &join_metrics::<COUNT>(&PARTS);

/// A duration that needs no finer step than a second.
const fn seconds(name: &'static str, title: &'static str, help: &'static str) -> MetricSpec {
    MetricSpec::gauge(name, "seconds", title, help).resolution(1.0)
}
