//! The website monitor against real local servers: healthy ones, and every way in which one can fail.

#![expect(clippy::unwrap_used, reason = "a test that finds something else than it wants fails at once")]

mod bodies;
mod certificates;
mod connections;
mod credentials;
mod proxies;
mod redirects;
mod server;
mod settings;
mod tls;
