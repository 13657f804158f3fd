//! Starts the real binary and real servers in temporary folders on free ports, and talks to them.
//!
//! Tests want an event, never a pause: [`until`] asks again and again until something holds, and fails with what it saw
//! last.

mod http;
mod nginx;
mod process;
mod server;

pub use http::{Answer, EventStream, request};
pub use nginx::Nginx;
pub use process::{binary, free_port, hard_kill, signal, terminate};
pub use server::{Builder, Server};

use std::fmt::Debug;
use std::time::Duration;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is `Ok`; fails with the last error.
///
/// # Panics
/// It is not within [`PATIENCE`].
pub fn until<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = deadline();
    loop {
        match ask() {
            Ok(found) => return found,
            Err(seen) => {
                assert!(!deadline(), "{what}: not within {} s; last seen: {seen:?}", PATIENCE.as_secs());
                pause();
            }
        }
    }
}

/// Says when the patience is over.
#[expect(clippy::disallowed_methods, reason = "tests of real processes run on real time")]
fn deadline() -> impl Fn() -> bool {
    let started = std::time::Instant::now();
    move || started.elapsed() > PATIENCE
}

/// Between two questions, so that asking does not take the machine.
#[expect(clippy::disallowed_methods, reason = "tests of real processes run on real time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
