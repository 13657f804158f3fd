//! Starts the real binary and real servers in temporary folders on free ports, and talks to them.
//!
//! Tests want an event, never a pause: [`until`] asks again and again until something holds, and fails with what it saw
//! last.

/// A key for processes that share a store: 32 bytes of zero.
pub const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

mod http;
mod server;

pub use http::{Answer, EventStream, request};
pub use server::{Builder, Server};
pub use wise_testbed::{Mongo, Nginx, PATIENCE, binary, free_port, hard_kill, signal, terminate, until};
