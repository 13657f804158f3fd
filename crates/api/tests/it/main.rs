//! Every route in this process, on a store that can be told to fail.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod fallible;
mod metrics;
mod monitors;
mod permissions;
mod problems;
mod sources;
mod test_app;
