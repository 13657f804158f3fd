//! MariaDB from the machine's packages, started by the tests, with every fault tried for real.

mod activity;
mod availability;
mod faults;
mod labels;
mod mysql8;
mod queries;
mod replication;
mod settings;
mod storage;
mod tls;

use std::time::Duration;

use serde_json::json;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{MariaDb, Watch};

/// A deadline that no check should come near.
const SOON: Duration = Duration::from_secs(5);
/// A deadline that a check is meant to miss.
const SHORT: Duration = Duration::from_secs(1);

/// A server with the monitor's user.
fn server(options: &[&str]) -> MariaDb {
    let server = MariaDb::start(options);
    server.add_monitor_user();
    server
}

fn watch(server: &MariaDb) -> Watch {
    Watch::new(&REGISTERED, json!({"url": server.url()}))
}

/// Fails when the monitor has more sessions open than the one it keeps.
async fn assert_baseline(server: &MariaDb, kept: usize) {
    wise_testbed::eventually("the monitor's sessions are closed", || {
        let open = server.monitor_sessions();
        if open <= kept { Ok(()) } else { Err(format!("{open} sessions are open")) }
    })
    .await;
}
