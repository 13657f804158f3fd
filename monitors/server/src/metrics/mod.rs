//! The metric catalogue: `host` for the machine, `storage` for its filesystems, `containers` for what runs on it.

pub(crate) mod containers;
pub(crate) mod host;
pub(crate) mod storage;

use wise_core::{MetricSpec, join_metrics};

const PARTS: [&[&MetricSpec]; 3] = [host::ALL, storage::ALL, containers::ALL];
const COUNT: usize = host::ALL.len() + storage::ALL.len() + containers::ALL.len();

/// Every measurement.
pub(crate) const ALL: &[&MetricSpec] = &join_metrics::<COUNT>(&PARTS);
