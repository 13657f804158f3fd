//! MongoDB: SecantusDB, and a `mongod` where there is one, as real servers; replica sets by a responder that answers as
//! the members of one do.

mod activity;
mod availability;
mod faults;
mod labels;
mod queries;
mod replication;
mod responder;
mod settings;
mod shapes;
mod storage;
mod tls;

use std::time::Duration;

use serde_json::json;
use wise_monitor_mongodb::REGISTERED;
use wise_testbed::{Mongo, Watch};

/// A deadline that no check should come near.
const SOON: Duration = Duration::from_secs(5);
/// A deadline that a check is meant to miss.
const SHORT: Duration = Duration::from_secs(1);

/// A real server of each program that there is.
fn servers(options: &[&str]) -> Vec<Mongo> {
    Mongo::programs().iter().map(|program| Mongo::start(program, options)).collect()
}

fn watch(url: &str) -> Watch {
    Watch::new(&REGISTERED, json!({"url": url}))
}

/// TCP connections of this process to a port: what the kernel knows.
fn connections(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let wanted = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let remote = fields.next().unwrap_or("");
            // Established, or on the way there; one that was closed may linger for the protocol's sake.
            remote.ends_with(&wanted) && matches!(fields.next(), Some("01" | "02"))
        })
        .count()
}

/// Fails when the monitor has more connections open than the ones it keeps, or has left tasks behind. A kept session has
/// tasks of its own.
async fn assert_baseline(port: u16, kept: usize) {
    wise_testbed::eventually("the monitor's connections are closed", || {
        let open = connections(port);
        if open <= kept { Ok(()) } else { Err(format!("{open} connections are open")) }
    })
    .await;
    if kept == 0 {
        assert_no_tasks().await;
    }
}

/// Fails when a task is left on this runtime.
async fn assert_no_tasks() {
    let metrics = tokio::runtime::Handle::current().metrics();
    wise_testbed::eventually("no task is left", || match metrics.num_alive_tasks() {
        0 => Ok(()),
        count => Err(format!("{count} tasks are alive")),
    })
    .await;
}
