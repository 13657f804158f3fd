//! Who blocks whom, and who takes long: evidence for an operator who is woken at night.

use serde_json::{Value, json};
use wise_core::Failure;
use wise_database::shape;

use crate::rows::Row;
use crate::session::{APPLICATION, Session};

/// Sessions written down at most.
const MOST: usize = 20;

/// The sessions that wait for a lock, with the session at the root of each queue.
pub(crate) async fn waiting(session: &Session) -> Result<Vec<Value>, Failure> {
    let rows = session
        .rows(&format!(
            "SELECT w.pid, w.datname, w.usename, w.query, extract(epoch FROM clock_timestamp() - w.query_start) AS seconds, \
             b.pid AS by_pid, b.usename AS by_user, b.application_name AS by_application, b.state AS by_state, \
             b.query AS by_query, extract(epoch FROM clock_timestamp() - b.xact_start) AS by_seconds \
             FROM pg_stat_activity w LEFT JOIN LATERAL (SELECT pid FROM unnest(pg_blocking_pids(w.pid)) AS pid LIMIT 1) p ON true \
             LEFT JOIN pg_stat_activity b ON b.pid = p.pid WHERE w.wait_event_type = 'Lock' AND p.pid IS NOT NULL \
             ORDER BY w.query_start LIMIT {MOST}"
        ))
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            json!({
                "pid": row.number("pid"),
                "database": row.text("datname"),
                "user": row.text("usename"),
                "query": shape(row.text("query").unwrap_or("")),
                "waits_seconds": rounded(row, "seconds"),
                "blocked_by": {
                    "pid": row.number("by_pid"),
                    "user": row.text("by_user"),
                    "application": row.text("by_application"),
                    "state": row.text("by_state"),
                    "query": shape(row.text("by_query").unwrap_or("")),
                    "transaction_seconds": rounded(row, "by_seconds"),
                },
            })
        })
        .collect())
}

/// The sessions with the oldest transactions.
pub(crate) async fn longest(session: &Session) -> Result<Vec<Value>, Failure> {
    let rows = session
        .rows(&format!(
            "SELECT pid, datname, usename, application_name, state, wait_event_type, wait_event, query, \
             extract(epoch FROM clock_timestamp() - xact_start) AS tx, \
             extract(epoch FROM clock_timestamp() - state_change) AS since \
             FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start IS NOT NULL \
             AND application_name <> '{APPLICATION}' ORDER BY xact_start LIMIT 5"
        ))
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            json!({
                "pid": row.number("pid"),
                "database": row.text("datname"),
                "user": row.text("usename"),
                "application": row.text("application_name"),
                "state": row.text("state"),
                "waits_for": row.text("wait_event_type").map(|kind| format!("{kind}/{}", row.string("wait_event"))),
                "query": shape(row.text("query").unwrap_or("")),
                "transaction_seconds": rounded(row, "tx"),
                "in_this_state_seconds": rounded(row, "since"),
            })
        })
        .collect())
}

fn rounded(row: &Row, column: &str) -> Option<f64> {
    row.number(column).map(|seconds| (seconds * 1e3).round() / 1e3)
}
