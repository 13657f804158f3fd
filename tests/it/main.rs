//! End to end: the real binary against real servers.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod command_line;
mod conditions;
mod databases;
mod definitions;
mod exposition;
mod isolation;
mod kills;
mod lifecycle;
mod mongodb;
mod own_history;
mod own_trouble;
mod reports;
mod secrets;
mod store;
