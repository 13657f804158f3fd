//! Processes.

use std::path::PathBuf;
use std::process::{Child, Command};

/// The binary under test, from `WISE_BINARY`, or where a debug build puts it.
pub fn binary() -> PathBuf {
    std::env::var_os("WISE_BINARY").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debug/wise-monitoring")),
        PathBuf::from,
    )
}

/// A port that nothing listens on now.
///
/// # Panics
/// There is none.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// Sends a signal by its name to a process by its id.
///
/// # Panics
/// `kill` cannot be run.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(status.expect("kill runs").success(), "kill -{name} {id}");
}

/// As `kill -9`.
///
/// # Panics
/// The process cannot be waited for.
pub fn hard_kill(child: &mut Child) {
    child.kill().expect("the process can be killed");
    child.wait().expect("the process can be waited for");
}

/// Asks a process to end, and answers its exit code.
///
/// # Panics
/// It does not end.
pub fn terminate(child: &mut Child) -> Option<i32> {
    signal(child.id(), "TERM");
    crate::until("the process ends", || match child.try_wait() {
        Ok(Some(status)) => Ok(status.code()),
        Ok(None) => Err("still running".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}
