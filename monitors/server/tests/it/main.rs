//! The server monitor against the real machine, a real node_exporter, and trees of files written here.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod containers;
mod cost;
mod exporter;
mod labels;
mod local;
mod settings;
mod support;
mod tls;
