//! PostgreSQL from the machine's packages, started by the tests, with every fault tried for real.

mod activity;
mod availability;
mod faults;
mod labels;
mod queries;
mod replication;
mod settings;
mod storage;
mod tls;

use std::time::Duration;

use serde_json::json;
use wise_monitor_postgresql::REGISTERED;
use wise_testbed::{Postgres, Watch};

/// A deadline that no check should come near.
const SOON: Duration = Duration::from_secs(5);
/// A deadline that a check is meant to miss.
const SHORT: Duration = Duration::from_secs(1);

/// A server with the monitor's user.
fn server(settings: &[(&str, &str)]) -> Postgres {
    let server = Postgres::start(settings);
    server.add_monitor_user();
    server
}

fn watch(server: &Postgres) -> Watch {
    Watch::new(&REGISTERED, json!({"url": server.url()}))
}

/// Fails when the monitor has more sessions open than the one it keeps.
async fn assert_baseline(server: &Postgres, kept: usize) {
    wise_testbed::eventually("the monitor's sessions are closed", || {
        let open = server.monitor_sessions();
        if open <= kept { Ok(()) } else { Err(format!("{open} sessions are open")) }
    })
    .await;
}
