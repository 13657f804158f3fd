//! Another machine, through its node_exporter.

mod fetch;
mod map;
mod text;

pub(crate) use fetch::{Exporter, Fetched};
