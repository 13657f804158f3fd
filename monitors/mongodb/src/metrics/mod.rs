//! The metric catalogue, a file a probe.

pub(crate) mod activity;
pub(crate) mod availability;
pub(crate) mod replication;
pub(crate) mod storage;

use wise_core::{MetricSpec, join_metrics};

const PARTS: [&[&MetricSpec]; 4] = [availability::ALL, activity::ALL, replication::ALL, storage::ALL];
const COUNT: usize = PARTS[0].len() + PARTS[1].len() + PARTS[2].len() + PARTS[3].len();

/// Every measurement.
pub(crate) const ALL: &[&MetricSpec] = &join_metrics::<COUNT>(&PARTS);
