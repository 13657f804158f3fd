//! Real servers for tests: PostgreSQL, MariaDB, Redis, MongoDB, nginx, each a process of its own in a temporary folder
//! on a free port, ended when the guard is dropped. No system service is touched.
//!
//! Tests want an event, never a pause: [`until`] asks again and again until something holds, and fails with what it saw
//! last. [`Watch`] runs the probes of a plugin against a server.

mod certificates;
mod listeners;
mod mariadb;
mod mongo;
mod nginx;
mod postgres;
mod process;
mod redis;
mod service;
mod small_disk;
mod watch;

pub use certificates::Certificates;
pub use listeners::{Silent, Speaking};
pub use mariadb::MariaDb;
pub use mongo::Mongo;
pub use nginx::Nginx;
pub use postgres::Postgres;
pub use process::{binary, free_port, hard_kill, signal, terminate};
pub use redis::{Redis, Sentinel};
pub use service::{ClientSession, Service};
pub use small_disk::SmallDisk;
pub use watch::{Watch, absent, code, evidence, fact, find, number, value};

use std::fmt::Debug;
use std::path::PathBuf;
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

/// As [`until`], for questions that are asked on a runtime, which goes on with its tasks in between.
///
/// # Panics
/// It is not within [`PATIENCE`].
pub async fn eventually<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = deadline();
    loop {
        match ask() {
            Ok(found) => return found,
            Err(seen) => {
                assert!(!deadline(), "{what}: not within {} s; last seen: {seen:?}", PATIENCE.as_secs());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Says when the patience is over.
#[expect(clippy::disallowed_methods, reason = "tests of real processes run on real time")]
pub(crate) fn deadline() -> impl Fn() -> bool {
    let started = std::time::Instant::now();
    move || started.elapsed() > PATIENCE
}

/// Between two questions, so that asking does not take the machine.
#[expect(clippy::disallowed_methods, reason = "tests of real processes run on real time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// The folder of build results.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from)
}
